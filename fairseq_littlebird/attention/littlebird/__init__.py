"""LittleBird's attention (section 3): pack attention, and unpack and sliding-window attention, a file a backend."""

from fairseq_littlebird.attention.littlebird.absorbed_pack import absorbed_pack_attention
from fairseq_littlebird.attention.littlebird.backends import (
    BACKENDS,
    BackendError,
    backend_fault,
    unpack_window_attention,
    window_features,
)
from fairseq_littlebird.attention.littlebird.bialibi import BiALiBi
from fairseq_littlebird.attention.littlebird.dense import dense_unpack_window_attention
from fairseq_littlebird.attention.littlebird.distance_features import DistanceFeatures
from fairseq_littlebird.attention.littlebird.pack import pack_attention
from fairseq_littlebird.attention.littlebird.token_places import TokenPlaces

__all__ = [
    "BACKENDS",
    "BackendError",
    "BiALiBi",
    "DistanceFeatures",
    "TokenPlaces",
    "absorbed_pack_attention",
    "backend_fault",
    "dense_unpack_window_attention",
    "pack_attention",
    "unpack_window_attention",
    "window_features",
]
