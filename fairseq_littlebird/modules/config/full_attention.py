"""What fixes the shape of a full-attention encoder."""

from __future__ import annotations

from dataclasses import dataclass

from fairseq_littlebird.modules.config.encoder import EncoderConfig


@dataclass(frozen=True)
class FullAttentionConfig(EncoderConfig):
    """BERT and RoBERTa: every token attends to every other, positions are learned."""
