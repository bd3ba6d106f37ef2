"""What fixes the shape of every encoder."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_littlebird.modules.config.layer_form import LayerForm

ACTIVATIONS = ("gelu", "gelu_tanh", "relu")


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
        activation: of the feed-forward layers: ``gelu``; ``gelu_tanh``, its approximation (BigBird's); or ``relu``.
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

    @property
    def form(self) -> LayerForm:
        """The form of the layers."""
        return LayerForm()
