"""What fixes an encoder's shape."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_littlebird.attention.bigbird.random_blocks import RANDOM_ATTENTION

POSITIONS = ("bialibi", "learned", "none")
ACTIVATIONS = ("gelu", "gelu_tanh")


@dataclass(frozen=True)
class EncoderConfig:
    """What every encoder has; the defaults are the base size (table 10).

    Args:
        vocab_size: tokens, special ones included.
        padding_idx: the id of <pad>.
        layers, embed_dim, ffn_embed_dim, heads: as in any Transformer encoder.
        dropout, attention_dropout, activation_dropout: probabilities.
        layerdrop: probability of skipping a layer in training.
        checkpoint_activations: recompute each layer in the backward pass.
        max_positions: learned position embeddings, where there are any.
        word_embed_dim: width of the token embeddings, where a projection follows them (ELECTRA); 0: embed_dim.
        layer_norm_eps: what every layer norm adds to the variance.
        activation: of the feed-forward layers: ``gelu``, or ``gelu_tanh``, its approximation (BigBird's).
        context_type: a vector is added to the tokens of the context, after the question (BERT's second token type).
    Raises:
        ValueError: sizes that do not fit together; the text says which.
    """

    vocab_size: int
    padding_idx: int = 1
    layers: int = 12
    embed_dim: int = 768
    ffn_embed_dim: int = 3072
    heads: int = 12
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    layerdrop: float = 0.0
    checkpoint_activations: bool = False
    max_positions: int = 512
    word_embed_dim: int = 0
    layer_norm_eps: float = 1e-5
    activation: str = "gelu"
    context_type: bool = False

    def __post_init__(self) -> None:
        if self.heads < 1 or self.embed_dim % self.heads:
            raise ValueError(f"{self.heads} attention heads do not divide a width of {self.embed_dim}")
        if self.word_embed_dim < 0:
            raise ValueError(f"width {self.word_embed_dim} of the token embeddings is negative")
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation {self.activation!r} is not one of {', '.join(ACTIVATIONS)}")

    @property
    def has_positions(self) -> bool:
        """Whether a learned table of absolute positions is added to the token embeddings."""
        return True


@dataclass(frozen=True)
class FullAttentionConfig(EncoderConfig):
    """BERT and RoBERTa: every token attends to every other, positions are learned."""


@dataclass(frozen=True)
class ETCConfig(EncoderConfig):
    """BigBird-ETC; the defaults are its base size (table 8 of Zaheer et al., 2020).

    Args:
        global_tokens: G, at least 2: one stands for what is outside of any segment.
        local_radius: r, the table's block length b (169 for the large size): a long token sees those at most so far
            away. They lie in the 3b tokens of its own block and its neighbours, which the table calls the window.
        max_distance: k, from which on distances have one label.
    """

    global_tokens: int = 256
    local_radius: int = 84
    max_distance: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.global_tokens < 2:
            raise ValueError(f"{self.global_tokens} global tokens are less than 2")
        if self.local_radius < 1:
            raise ValueError(f"local radius {self.local_radius} is not positive")
        if self.max_distance < 1:
            raise ValueError(f"largest distance {self.max_distance} is not positive")

    @property
    def has_positions(self) -> bool:
        return False


@dataclass(frozen=True)
class LongformerConfig(EncoderConfig):
    """Longformer (Beltagy et al., 2020).

    Args:
        attention_window: w of each layer, even: w / 2 tokens on each side.
        dilations: of each head, steps from one token of the window to the next; the same in all layers.
    """

    max_positions: int = 4096
    attention_window: tuple[int, ...] = (512,) * 12
    dilations: tuple[int, ...] = (1,) * 12

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.attention_window) != self.layers:
            raise ValueError(f"{len(self.attention_window)} attention windows do not fit {self.layers} layers")
        if len(self.dilations) != self.heads:
            raise ValueError(f"{len(self.dilations)} attention dilations do not fit {self.heads} heads")
        for window in self.attention_window:
            if window < 2 or window % 2:
                raise ValueError(f"attention window {window} is not an even number of at least 2")
        for dilation in self.dilations:
            if dilation < 1:
                raise ValueError(f"attention dilation {dilation} is not positive")


@dataclass(frozen=True)
class LittleBirdConfig(EncoderConfig):
    """LittleBird.

    Args:
        pack_size: S, pack vectors; 0 leaves out the pack stream (table 3).
        block_size: b, tokens a block.
        positions: ``bialibi``; or, for ablation (table 8), ``learned`` (absolute, up to max_positions), ``none``.
        window: False leaves X-to-X attention out of the unpack step (table 8).
        attention_backend: see :func:`unpack_window_attention`.
    """

    pack_size: int = 64
    block_size: int = 64
    positions: str = "bialibi"
    window: bool = True
    attention_backend: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pack_size < 0:
            raise ValueError(f"pack size {self.pack_size} is negative; 0 turns the pack stream off")
        if self.block_size < 1:
            raise ValueError(f"block size {self.block_size} is not positive")
        if self.positions not in POSITIONS:
            raise ValueError(f"positions {self.positions!r} is not one of {', '.join(POSITIONS)}")
        if not self.window and not self.pack_size:
            raise ValueError("without the window a pack size of 0 leaves nothing to attend to")

    @property
    def has_positions(self) -> bool:
        return self.positions == "learned"


@dataclass(frozen=True)
class BigBirdConfig(EncoderConfig):
    """BigBird-ITC.

    Args:
        block_size: b, tokens a block.
        random_blocks: R, blocks that a block sees beyond its window and the global ones.
        random_attention: ``seeded``, or ``first_block`` for what transformers computes outside training; see
            :func:`random_blocks`.
        seed: of the random blocks.
    """

    block_size: int = 64
    random_blocks: int = 3
    random_attention: str = "seeded"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block_size < 1:
            raise ValueError(f"block size {self.block_size} is not positive")
        if self.random_blocks < 0:
            raise ValueError(f"{self.random_blocks} random blocks are negative")
        if self.random_attention not in RANDOM_ATTENTION:
            raise ValueError(f"random attention {self.random_attention!r} is not one of {', '.join(RANDOM_ATTENTION)}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"random seed {self.seed} is not between 0 and {2**32 - 1}")
