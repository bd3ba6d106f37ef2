"""What fixes the shape of a full-attention encoder."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_littlebird.modules.config.formed_encoder import FormedEncoderConfig

FULL_POSITIONS = ("learned", "rotary")


@dataclass(frozen=True)
class FullAttentionConfig(FormedEncoderConfig):
    """BERT and RoBERTa: every token attends to every other, positions are learned. Or ModernBERT.

    Args:
        positions: ``learned``; or ``rotary``, queries and keys that are turned by their positions (Su et al., 2021).
        rope_theta, local_rope_theta: base of the rotary frequencies, in layers of full and of local attention.
        attention_window: w of each layer, even: w / 2 tokens on each side; 0 for all tokens. Empty: 0 in all layers.
    """

    positions: str = "learned"
    rope_theta: float = 160_000.0
    local_rope_theta: float = 10_000.0
    attention_window: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.positions not in FULL_POSITIONS:
            raise ValueError(f"positions {self.positions!r} is not one of {', '.join(FULL_POSITIONS)}")
        if self.positions == "rotary" and self.embed_dim // self.heads % 2:
            raise ValueError(f"rotary positions need an even head size, not {self.embed_dim // self.heads}")
        if min(self.rope_theta, self.local_rope_theta) <= 0:
            raise ValueError("the base of rotary frequencies is not positive")
        if self.attention_window and len(self.attention_window) != self.layers:
            raise ValueError(f"{len(self.attention_window)} attention windows do not fit {self.layers} layers")
        if any(window < 0 or window % 2 for window in self.attention_window):
            raise ValueError(f"attention windows {self.attention_window} are not even numbers, or 0 for all tokens")

    @property
    def has_positions(self) -> bool:
        return self.positions == "learned"

    def window(self, layer: int) -> int:
        """That of a layer, by its number from 0."""
        return self.attention_window[layer] if self.attention_window else 0

    def theta(self, layer: int) -> float:
        """The base of a layer's rotary frequencies."""
        return self.local_rope_theta if self.window(layer) else self.rope_theta
