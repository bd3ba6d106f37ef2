"""What fixes the shape of a Longformer encoder."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_littlebird.modules.config.encoder import EncoderConfig


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
