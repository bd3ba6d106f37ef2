"""Attention as modules that own their projections, one a family; each calls a function of ``attention``."""

from fairseq_littlebird.modules.attention.bigbird import BigBirdAttention, BigBirdContext
from fairseq_littlebird.modules.attention.causal_littlebird import (
    CausalLittleBirdAttention,
    CausalLittleBirdContext,
)
from fairseq_littlebird.modules.attention.causal_window import CausalWindowAttention, CausalWindowContext
from fairseq_littlebird.modules.attention.context import AttentionContext
from fairseq_littlebird.modules.attention.etc import ETCAttention, ETCContext
from fairseq_littlebird.modules.attention.full import FullAttention, FullAttentionContext
from fairseq_littlebird.modules.attention.littlebird import LittleBirdContext, PackAttention, UnpackWindowAttention
from fairseq_littlebird.modules.attention.longformer import LongformerAttention, LongformerContext
from fairseq_littlebird.modules.attention.relative_sinusoids import RelativeSinusoids
from fairseq_littlebird.modules.attention.self_attention import SelfAttention

__all__ = [
    "AttentionContext",
    "BigBirdAttention",
    "BigBirdContext",
    "CausalLittleBirdAttention",
    "CausalLittleBirdContext",
    "CausalWindowAttention",
    "CausalWindowContext",
    "ETCAttention",
    "ETCContext",
    "FullAttention",
    "FullAttentionContext",
    "LittleBirdContext",
    "LongformerAttention",
    "LongformerContext",
    "PackAttention",
    "RelativeSinusoids",
    "SelfAttention",
    "UnpackWindowAttention",
]
