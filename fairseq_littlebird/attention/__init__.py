"""Attention as functions on tensors, a folder a family: the linear path beside its dense oracle. Needs torch alone."""

from fairseq_littlebird.attention.bigbird import bigbird_attention, dense_bigbird_attention
from fairseq_littlebird.attention.causal_littlebird import (
    CausalBiALiBi,
    TokenBuffer,
    causal_block_window_attention,
    dense_causal_block_window_attention,
)
from fairseq_littlebird.attention.causal_window import (
    KeyBuffer,
    alibi_bias,
    causal_window_attention,
    dense_causal_window_attention,
)
from fairseq_littlebird.attention.etc import dense_etc_attention, etc_attention
from fairseq_littlebird.attention.littlebird import (
    BACKENDS,
    BackendError,
    BiALiBi,
    absorbed_pack_attention,
    backend_fault,
    dense_unpack_window_attention,
    pack_attention,
    unpack_window_attention,
    window_features,
)
from fairseq_littlebird.attention.longformer import dense_longformer_attention, longformer_attention

__all__ = [
    "BACKENDS",
    "BackendError",
    "BiALiBi",
    "CausalBiALiBi",
    "KeyBuffer",
    "TokenBuffer",
    "absorbed_pack_attention",
    "alibi_bias",
    "backend_fault",
    "bigbird_attention",
    "causal_block_window_attention",
    "causal_window_attention",
    "dense_bigbird_attention",
    "dense_causal_block_window_attention",
    "dense_causal_window_attention",
    "dense_etc_attention",
    "dense_longformer_attention",
    "dense_unpack_window_attention",
    "etc_attention",
    "longformer_attention",
    "pack_attention",
    "unpack_window_attention",
    "window_features",
]
