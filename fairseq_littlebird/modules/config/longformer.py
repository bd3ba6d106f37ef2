"""What fixes the shape of a Longformer encoder."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_littlebird.modules.config.encoder import EncoderConfig
from fairseq_littlebird.modules.config.windows import check_windows


@dataclass(frozen=True)
class LongformerConfig(EncoderConfig):
    """Longformer (Beltagy et al., 2020).

    Args:
        attention_window: w of each layer, even: w / 2 tokens on each side.
        dilations: of each layer and head, steps from one token of the window to the next.
    """

    max_positions: int = 4096
    attention_window: tuple[int, ...] = (512,) * 12
    dilations: tuple[tuple[int, ...], ...] = ((1,) * 12,) * 12

    def __post_init__(self) -> None:
        super().__post_init__()
        check_windows(self.attention_window, self.dilations, self.layers, self.heads)
