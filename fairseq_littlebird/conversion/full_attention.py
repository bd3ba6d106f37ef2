"""Our own encoder with full attention, or BigBird-ITC's, whose parameters are the same."""

from __future__ import annotations

from fairseq_littlebird.conversion.adapter import Adapter
from fairseq_littlebird.conversion.parameters import CONTEXT, encoder_shapes, head_shapes
from fairseq_littlebird.modules.config import EncoderConfig


def full_attention(config: EncoderConfig) -> Adapter:
    """For an encoder of these sizes: every key leads to itself, heads of other tasks stay behind."""
    left_out = dict.fromkeys((CONTEXT, "span_head.{key}", "classification_heads.{key}"))
    return Adapter(
        "full-attention encoder",
        encoder={key: key for key in encoder_shapes(config)} | left_out,
        lm_head={key: key for key in head_shapes(config)},
    )
