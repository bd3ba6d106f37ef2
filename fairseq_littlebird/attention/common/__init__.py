"""What the attention of several families shares."""

from fairseq_littlebird.attention.common.masked_softmax import MASKED, masked_attention, masked_softmax
from fairseq_littlebird.attention.common.patterns import (
    bigbird_pattern,
    block_window_pattern,
    causal_window_pattern,
    sliding_window_pattern,
)

__all__ = [
    "MASKED",
    "bigbird_pattern",
    "block_window_pattern",
    "causal_window_pattern",
    "masked_attention",
    "masked_softmax",
    "sliding_window_pattern",
]
