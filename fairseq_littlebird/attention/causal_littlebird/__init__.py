"""LittleBird's attention for language models: nothing to the right is seen, each block has a pack of those before it.

The paper has neither: it finds that causal masking does not apply to pack and unpack attention (Limitations).
"""

from fairseq_littlebird.attention.causal_littlebird.blockwise import causal_unpack_window_attention
from fairseq_littlebird.attention.causal_littlebird.dense import dense_causal_unpack_window_attention
from fairseq_littlebird.attention.causal_littlebird.pack import causal_pack_attention, dense_causal_pack_attention
from fairseq_littlebird.attention.causal_littlebird.running_pack import RunningPack
from fairseq_littlebird.attention.causal_littlebird.slopes import CausalBiALiBi
from fairseq_littlebird.attention.causal_littlebird.token_buffer import TokenBuffer

__all__ = [
    "CausalBiALiBi",
    "RunningPack",
    "TokenBuffer",
    "causal_pack_attention",
    "causal_unpack_window_attention",
    "dense_causal_pack_attention",
    "dense_causal_unpack_window_attention",
]
