"""Attention to the tokens before, in windows (Beltagy et al., 2020, section 4), as a module.

Legend: B batch, L tokens, H heads, D head width, w window, d dilation, R ≤ w + 1 distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from fairseq_littlebird.attention.causal_window import KeyBuffer, alibi_bias, causal_window_attention
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.attention.relative_sinusoids import RelativeSinusoids
from fairseq_littlebird.modules.attention.self_attention import SelfAttention
from fairseq_littlebird.modules.config.causal_window import CausalWindowConfig


@dataclass(frozen=True, kw_only=True)
class CausalWindowContext(AttentionContext):
    """What all layers share of a batch; padding is on the right, where no token sees it."""

    buffers: Sequence[KeyBuffer] | None = None  # of each layer, where the batch goes on with earlier tokens
    slopes: Tensor | None = None  # ALiBi's <float32 or wider>[H], where positions are these
    biases: dict[tuple[tuple[int, ...], tuple[int, ...]], Tensor] = field(default_factory=dict)

    def alibi(self, windows: tuple[int, ...], dilations: tuple[int, ...]) -> Tensor | None:
        """ALiBi's biases <float32 or wider>[1, H, 1, R], made once for all layers of these windows and dilations."""
        if self.slopes is None:
            return None
        if (windows, dilations) not in self.biases:
            self.biases[windows, dilations] = alibi_bias(self.slopes, windows, dilations)
        return self.biases[windows, dilations]


class CausalWindowAttention(SelfAttention[CausalWindowContext]):
    """Each token sees itself and the tokens d, 2d, …, w·d before it, each head with a dilation of its own.

    Args:
        config: sizes and the kind of positions.
        layer: the number of its layer from 0, which decides its window and dilations.
    """

    def __init__(self, config: CausalWindowConfig, layer: int) -> None:
        super().__init__(config)
        self.layer, self.window = layer, config.attention_window[layer]
        self.dilations = config.dilations[layer]
        self.relative = RelativeSinusoids(config) if config.positions == "relative_sinusoidal" else None

    def attend(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor, context: CausalWindowContext) -> Tensor:
        buffers = context.buffers
        window = self.window if buffers is not None else min(self.window, q.shape[2] - 1)
        windows = (window,) * self.heads
        bias = context.alibi(windows, self.dilations)
        if self.relative is not None:
            q, bias = self.relative(q, window + 1, self.dilations)
        if buffers is not None:
            return buffers[self.layer].attend(q, k, v, bias)
        return causal_window_attention(q, k, v, None, windows, self.dilations, bias, self.dropout_p())

    def buffer(self) -> KeyBuffer:
        """An empty one for tokens that are read one after another."""
        return KeyBuffer((self.window,) * self.heads, self.dilations)
