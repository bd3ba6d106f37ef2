"""Which long token belongs to which global token, and the labels of relative positions that follow (Ainslie et al.,
2020, section 3).

Legend: B batch, L long tokens, G global tokens, M segments, S links of a long token, k clipping distance.
"""

from __future__ import annotations

import torch
from torch import Tensor


def owners(padding_mask: Tensor, global_tokens: int, segments: Tensor | None = None) -> Tensor:
    """The global token of each long token; it depends on nothing but the token's own sequence.

    Segment m has global token 1 + m; where a sequence has more than G - 1 segments, neighbours share, as evenly as
    can be.
    Global token 0 has the tokens outside of any segment; a token inside of several belongs to the one listed last,
    which of nested ones is the inner. A sequence without segments is cut into runs of ⌈n / G⌉ of its n tokens.

    Args:
        padding_mask: <bool>[B, L], True = padding.
        global_tokens: G, at least 2 where there are segments.
        segments: <int64>[B, M, 2], first and last token; 0 for none; or None.
    Returns:
        <int64>[B, L], 0 … G-1; what stands at padding means nothing.
    """
    real = ~padding_mask
    run = ((real.sum(dim=1, keepdim=True) + global_tokens - 1) // global_tokens).clamp(min=1)
    even = (real.cumsum(dim=1) - 1).clamp(min=0) // run
    if segments is None or segments.shape[1] == 0:
        return even
    given = segments[:, :, 1] > 0  # [B, M]
    count = given.sum(dim=1, keepdim=True).clamp(min=1)
    globals_of_segments = 1 + (given.cumsum(dim=1) - 1) * count.clamp(max=global_tokens - 1) // count
    index = torch.arange(padding_mask.shape[1], device=segments.device)[:, None]
    first, last = segments[:, None].unbind(dim=3)  # [B, 1, M]
    inside = (first <= index) & (index <= last) & given[:, None]  # [B, L, M]
    of_segments = torch.where(inside, globals_of_segments[:, None].to(torch.int16), 0).amax(dim=2).long()
    return torch.where(given.any(dim=1, keepdim=True), of_segments, even)


def without_tokens(owner: Tensor, padding_mask: Tensor, global_tokens: int) -> Tensor:
    """The global tokens that no unpadded long token belongs to, which take no part: <bool>[B, G].

    Args:
        owner: <int64>[B, L].
        padding_mask: <bool>[B, L], True = padding.
        global_tokens: G.
    """
    counts = torch.zeros(len(owner), global_tokens, dtype=owner.dtype, device=owner.device)
    return counts.scatter_add(1, owner, (~padding_mask).long()) == 0


def distance_limit(relative: Tensor, structured: bool) -> int:
    """k of a table of vectors <float>[H, 2, labels, D], which has 2k + 3 labels, or 2k + 5 of structured input."""
    return (relative.shape[2] - (5 if structured else 3)) // 2


def relative_labels(
    owner: Tensor,
    global_tokens: int,
    max_distance: int,
    mentions: Tensor | None = None,
    groups: Tensor | None = None,
) -> Tensor:
    """The label of each query and key of [Y ; X], <int64>[B, G + L, G + L]; for the reference alone.

    0 … 2k for the clipped distance of two tokens of one kind; 2k + 1 where one is global and the other not, 2k + 2
    where moreover the long one belongs to the global one. Of structured input 2k + 3 where the long one mentions what
    the global one stands for, and 2k + 4 for two global tokens of different groups, whatever their distance.

    Args:
        owner: <int64>[B, L] or [B, L, S].
        global_tokens: G.
        max_distance: k.
        mentions: <int64>[B, L], or None.
        groups: <int64>[B, G], or None.
    """
    (B, L), G, k = owner.shape[:2], global_tokens, max_distance
    among_globals, among_long = (
        (index[None, :] - index[:, None]).clamp(-k, k).add(k).expand(B, -1, -1)
        for index in (torch.arange(G, device=owner.device), torch.arange(L, device=owner.device))
    )
    across = 2 * k + 1 + belongs(owner, G).long()  # [B, L, G]
    if mentions is not None:
        across = across.masked_fill(belongs(mentions, G), 2 * k + 3)
    if groups is not None:
        apart = groups[:, :, None] != groups[:, None, :]
        among_globals = among_globals.masked_fill(apart, 2 * k + 4)
    of_globals = torch.cat([among_globals, across.transpose(1, 2)], dim=2)
    return torch.cat([of_globals, torch.cat([across, among_long], dim=2)], dim=1)


def belongs(owner: Tensor, global_tokens: int) -> Tensor:
    """Whether each long token belongs to each global one: <int64>[B, L] or [B, L, S] to <bool>[B, L, G]."""
    found = owner.unsqueeze(-1) == torch.arange(global_tokens, device=owner.device)
    return found if owner.dim() == 2 else found.any(dim=2)
