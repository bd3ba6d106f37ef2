"""The attention of the paper as functions on tensors; needs torch alone."""

from fairseq_littlebird.attention.absorbed_pack import absorbed_pack_attention
from fairseq_littlebird.attention.bialibi import BiALiBi
from fairseq_littlebird.attention.dense import dense_unpack_window_attention
from fairseq_littlebird.attention.pack import pack_attention
from fairseq_littlebird.attention.unpack_window import (
    BACKENDS,
    backend_fault,
    unpack_window_attention,
    window_features,
)

__all__ = [
    "BACKENDS",
    "BiALiBi",
    "absorbed_pack_attention",
    "backend_fault",
    "dense_unpack_window_attention",
    "pack_attention",
    "unpack_window_attention",
    "window_features",
]
