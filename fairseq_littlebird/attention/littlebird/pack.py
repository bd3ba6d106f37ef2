"""Pack attention, C_P = Attn(P, X) (section 3.3; Ma et al., 2021): the whole sequence into S pack vectors."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import fused_masked_attention


def pack_attention(
    pack_q: Tensor, k: Tensor, v: Tensor, padding_mask: Tensor | None = None, dropout_p: float = 0.0
) -> Tensor:
    """Full softmax attention of the pack vectors over the unpadded tokens, without a positional bias.

    Args:
        pack_q: <float>[B, H, S, D], queries of P.
        k, v: <float>[B, H, L, D], keys and values of X.
        padding_mask: <bool>[B, L], True = padding, or None.
        dropout_p: dropout of the attention probabilities.
    Returns:
        C_P <float>[B, H, S, D]; 0 for a sequence without any unpadded token.
    """
    check_length(k.shape[2])
    if padding_mask is None:
        return F.scaled_dot_product_attention(pack_q, k, v, dropout_p=dropout_p)
    return fused_masked_attention(pack_q, k, v, ~padding_mask[:, None, None, :], dropout_p)
