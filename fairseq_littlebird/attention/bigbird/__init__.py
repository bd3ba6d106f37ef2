"""BigBird-ITC's attention (Zaheer et al., 2020, appendix D): global, window and random blocks in one softmax."""

from __future__ import annotations

from torch import Tensor

from fairseq_littlebird.attention.bigbird.blockwise import blockwise_bigbird_attention
from fairseq_littlebird.attention.bigbird.dense import dense_bigbird_attention
from fairseq_littlebird.attention.bigbird.gathered import gathered_bigbird_attention
from fairseq_littlebird.attention.bigbird.global_blocks import GLOBAL_BLOCKS
from fairseq_littlebird.attention.bigbird.key_blocks import last_blocks
from fairseq_littlebird.attention.bigbird.random_blocks import RANDOM_ATTENTION, random_blocks
from fairseq_littlebird.attention.common.length import check_length

__all__ = [
    "GLOBAL_BLOCKS",
    "RANDOM_ATTENTION",
    "bigbird_attention",
    "dense_bigbird_attention",
    "last_blocks",
    "random_blocks",
]


def bigbird_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    padding_mask: Tensor | None,
    block_size: int,
    random_blocks: Tensor,
    dropout_p: float = 0.0,
    global_blocks: str = "first_last",
) -> Tensor:
    """Arguments as :func:`dense_bigbird_attention`; returns its result alone, <float>[B, H, L, D].

    Of a sequence's blocks, counted up to its last unpadded token, the first and the last see every token and are seen
    by every token. Each other block sees itself, its left and its right neighbour, these two, and R random blocks of
    the rest, or all of the rest if there are no more: 5 + R blocks, 4 + R where a neighbour is the first or the last.
    Short sequences are thus seen in full, with no switch to another kind of attention. With R = 3:

        blocks                          1 … 7   8       9       10      11      12
        seen by blocks 1 and n-2        all     7       7       7       7       7
        seen by others between them     all     8       8       8       8       8

    With ``global_blocks="first_two"`` the second block has the part of the last.

    Any L ≥ 1; what stands at padded queries is undefined, though finite.
    """
    check_length(q.shape[2])
    attend = blockwise_bigbird_attention if q.device.type == "cpu" else gathered_bigbird_attention
    return attend(q, k, v, padding_mask, block_size, random_blocks, dropout_p, global_blocks)
