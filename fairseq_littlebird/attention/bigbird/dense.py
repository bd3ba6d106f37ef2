"""BigBird's attention as one masked dense softmax: the oracle. Quadratic in L.

Legend: B batch, L tokens, H heads, D head width, b block size, n blocks, R random blocks.
"""

from __future__ import annotations

from torch import Tensor

from fairseq_littlebird.attention.bigbird.global_blocks import second_global_block
from fairseq_littlebird.attention.bigbird.key_blocks import last_blocks
from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import masked_attention
from fairseq_littlebird.attention.common.patterns import bigbird_pattern


def dense_bigbird_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    padding_mask: Tensor | None,
    block_size: int,
    random_blocks: Tensor,
    dropout_p: float = 0.0,
    global_blocks: str = "first_last",
) -> tuple[Tensor, Tensor]:
    """σ(Q Kᵀ / √d + log c) V, c how often a key is seen.

    Args:
        q, k, v: <float>[B, H, L, D].
        padding_mask: <bool>[B, L], True = padding, or None.
        block_size: b.
        random_blocks: <int64>[B or 1, H, n, R], -1 for none; 1 where all sequences have as many blocks.
        dropout_p: dropout of the attention probabilities.
        global_blocks: one of ``GLOBAL_BLOCKS``.
    Returns:
        result <float>[B, H, L, D] and probabilities before dropout <float32 or wider>[B, H, L, L]; a query that sees
        nothing is 0 in both, and what stands at padded queries is undefined.
    """
    check_length(q.shape[2])
    L = q.shape[2]
    last = last_blocks(padding_mask, L, block_size, q.device)
    count = bigbird_pattern(L, block_size, random_blocks, second_global_block(global_blocks, last))
    visible = count > 0
    if padding_mask is not None:
        visible = visible & ~padding_mask[:, None, None, :]
    return masked_attention(q, k, v, visible, dropout_p, bias=count.clamp(min=1).log())
