"""What fixes the shape of a language model with causal windows."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_littlebird.modules.config.encoder import EncoderConfig
from fairseq_littlebird.modules.config.windows import check_windows

CAUSAL_POSITIONS = ("alibi", "relative_sinusoidal", "learned")


@dataclass(frozen=True)
class CausalWindowConfig(EncoderConfig):
    """A decoder-only Longformer (Beltagy et al., 2020, section 4); other windows mean no other parameters.

    Args:
        attention_window: w of each layer, even: a token sees w tokens before it.
        dilations: of each layer and head, steps from one token of the window to the next.
        positions: ``alibi``, biases that are linear in the distance; ``relative_sinusoidal``, as in Transformer-XL, the
            paper's; or ``learned``, absolute ones up to max_positions.
    """

    attention_window: tuple[int, ...] = (512,) * 12
    dilations: tuple[tuple[int, ...], ...] = ((1,) * 12,) * 12
    positions: str = "alibi"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.positions not in CAUSAL_POSITIONS:
            raise ValueError(f"positions {self.positions!r} is not one of {', '.join(CAUSAL_POSITIONS)}")
        if self.word_embed_dim not in (0, self.embed_dim):
            raise ValueError(f"token embeddings of width {self.word_embed_dim}: the output layer has the model's width")
        check_windows(self.attention_window, self.dilations, self.layers, self.heads)

    @property
    def receptive_field(self) -> int | None:
        """How many tokens before a token can change its hidden state; None where positions count from the beginning."""
        if self.has_positions:
            return None
        return sum(w * max(d) for w, d in zip(self.attention_window, self.dilations, strict=True))

    @property
    def has_positions(self) -> bool:
        return self.positions == "learned"
