"""LittleBird's attention for language models: the window and the global block, without what is to the right.

There is no pack: the paper finds that causal masking does not apply to pack and unpack attention (Limitations).
"""

from fairseq_littlebird.attention.causal_littlebird.blockwise import causal_block_window_attention
from fairseq_littlebird.attention.causal_littlebird.dense import dense_causal_block_window_attention
from fairseq_littlebird.attention.causal_littlebird.slopes import CausalBiALiBi
from fairseq_littlebird.attention.causal_littlebird.token_buffer import TokenBuffer

__all__ = [
    "CausalBiALiBi",
    "TokenBuffer",
    "causal_block_window_attention",
    "dense_causal_block_window_attention",
]
