"""Causal sliding windows (Beltagy et al., 2020, sections 3.1 and 4): each head its own window and dilation."""

from fairseq_littlebird.attention.causal_window.alibi import alibi_bias
from fairseq_littlebird.attention.causal_window.backends import causal_window_attention
from fairseq_littlebird.attention.causal_window.dense import dense_causal_window_attention
from fairseq_littlebird.attention.causal_window.key_buffer import KeyBuffer

__all__ = ["KeyBuffer", "alibi_bias", "causal_window_attention", "dense_causal_window_attention"]
