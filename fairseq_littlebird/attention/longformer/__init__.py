"""Longformer's attention (Beltagy et al., 2020): a sliding window, and global tokens with projections of their own."""

from fairseq_littlebird.attention.longformer.blockwise import blockwise_longformer_attention as longformer_attention
from fairseq_littlebird.attention.longformer.dense import dense_longformer_attention
from fairseq_littlebird.attention.longformer.global_tokens import global_index

__all__ = ["dense_longformer_attention", "global_index", "longformer_attention"]
