"""ETC's attention as one masked dense softmax a query: the oracle. Quadratic in L.

Legend: B batch, L long tokens, G global tokens, S links of a long token, H heads, D head width, k clipping distance.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import masked_attention
from fairseq_littlebird.attention.common.patterns import sliding_window_pattern
from fairseq_littlebird.attention.etc.labels import belongs, distance_limit, relative_labels


def dense_etc_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    relative: Tensor,
    owner: Tensor,
    padding_mask: Tensor,
    radius: int,
    dropout_p: float = 0.0,
    mentions: Tensor | None = None,
    groups: Tensor | None = None,
    focused: Tensor | None = None,
) -> Tensor:
    """σ(q · (k + a) / √d) V over [Y ; X], a the vector of the query's and the key's label.

    A global token sees all, or of long ones those alone that are linked to it where it is focused; a long one the
    global ones and the long ones at most ``radius`` away.

    Args:
        q, k, v: <float>[B, H, G + L, D], of the global tokens, then of the long ones.
        relative: a for each label, see :func:`relative_labels`, <float>[H, 2, 2k + 3, D], of structured input
            [H, 2, 2k + 5, D]; first of global queries, then of long ones.
        owner: the global token that each long one belongs to, <int64>[B, L], or those that it does, [B, L, S]; -1 for
            none.
        padding_mask: <bool>[B, G + L], True = padding, or a global token that none belongs to.
        radius: of the window.
        dropout_p: dropout of the attention probabilities.
        mentions: of structured input, the global token of what each long one mentions, <int64>[B, L], -1 for none.
        groups: of structured input, the group of each global token, <int64>[B, G].
        focused: of structured input, the global tokens that see no other long ones than those linked to them,
            <bool>[B, G].
    Returns:
        <float>[B, H, G + L, D], 0 at padding.
    """
    check_length(owner.shape[1])
    (_, H, N, D), L = q.shape, owner.shape[1]
    G, a = N - L, relative.to(q.dtype).transpose(2, 3)
    label = relative_labels(owner, G, distance_limit(relative, groups is not None), mentions, groups)
    of_label = torch.cat([q[:, :, :G] @ a[:, 0], q[:, :, G:] @ a[:, 1]], dim=2)  # [B, H, G + L, labels]
    bias = of_label.gather(3, label[:, None].expand(-1, H, -1, -1)) * D**-0.5
    visible = F.pad(sliding_window_pattern(L, 2 * radius, device=owner.device), (G, 0, G, 0), value=True)
    visible = visible & ~padding_mask[:, None, :] & ~padding_mask[:, :, None]
    if focused is not None:
        linked = belongs(owner, G) if mentions is None else belongs(owner, G) | belongs(mentions, G)
        visible[:, :G, G:] &= linked.transpose(1, 2) | ~focused[:, :, None]
    return masked_attention(q, k, v, visible[:, None], dropout_p, bias)[0]
