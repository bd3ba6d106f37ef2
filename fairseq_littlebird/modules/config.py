"""What fixes an encoder's shape."""

from __future__ import annotations

from dataclasses import dataclass

POSITIONS = ("bialibi", "learned", "none")


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes and switches of a LittleBird encoder; the defaults are the paper's base model (table 10).

    Args:
        vocab_size: words, special ones included.
        padding_idx: the id of <pad>.
        layers, embed_dim, ffn_embed_dim, heads: as in any Transformer encoder.
        pack_size: S, packed rows; 0 leaves out the pack stream (table 3).
        block_size: b, tokens a block.
        dropout, attention_dropout, activation_dropout: probabilities.
        layerdrop: probability of skipping a layer in training.
        positions: ``bialibi``; or, for ablation (table 8), ``learned`` (absolute, up to max_positions), ``none``.
        max_positions: rows of the learned position table; nothing else depends on it.
        window: False leaves X-to-X attention out of the unpack step (table 8).
        checkpoint_activations: recompute each layer in the backward pass.
        attention_backend: see :func:`unpack_window_attention`.
    Raises:
        ValueError: sizes that do not fit together; the text says which.
    """

    vocab_size: int
    padding_idx: int = 1
    layers: int = 12
    embed_dim: int = 768
    ffn_embed_dim: int = 3072
    heads: int = 12
    pack_size: int = 64
    block_size: int = 64
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    layerdrop: float = 0.0
    positions: str = "bialibi"
    max_positions: int = 512
    window: bool = True
    checkpoint_activations: bool = False
    attention_backend: str = "auto"

    def __post_init__(self) -> None:
        if self.heads < 1 or self.embed_dim % self.heads:
            raise ValueError(f"{self.heads} attention heads do not divide a width of {self.embed_dim}")
        if self.pack_size < 0:
            raise ValueError(f"pack size {self.pack_size} is negative; 0 turns the pack stream off")
        if self.block_size < 1:
            raise ValueError(f"block size {self.block_size} is not positive")
        if self.positions not in POSITIONS:
            raise ValueError(f"positions {self.positions!r} is not one of {', '.join(POSITIONS)}")
        if not self.window and not self.pack_size:
            raise ValueError("without the window a pack size of 0 leaves nothing to attend to")
