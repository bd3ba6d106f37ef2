"""ETC's attention in time and memory linear in L: blocks of as many queries as the window's radius against their own,
the left and the right block of keys, and the global ones.

Legend: B batch, L long tokens, G global tokens, H heads, D head width, k clipping distance, r radius, n blocks,
R labels (2k + 3, or 2k + 5 of structured input).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.common.blocks import neighbours, split_blocks
from fairseq_littlebird.attention.common.dropout import dropout
from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import MASKED
from fairseq_littlebird.attention.etc.labels import belongs, distance_limit


def etc_attention(
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
    """Arguments and result as :func:`dense_etc_attention`'s. Scores are float32, or float64 for float64 inputs."""
    check_length(owner.shape[1])
    L = owner.shape[1]
    G, k_max = q.shape[2] - L, distance_limit(relative, groups is not None)
    links = Links(belongs(owner, G), None if mentions is None else belongs(mentions, G))
    unseen = padding_mask[:, None]  # by global tokens, [B, 1 or G, G + L]
    if focused is not None:
        apart_from = focused[:, :, None] & ~links.linked().transpose(1, 2)  # [B, G, L]
        unseen = unseen | F.pad(apart_from, (G, 0))
    apart = None if groups is None else (groups[:, :, None] != groups[:, None, :])[:, None]  # [B, 1, G, G]
    q = q * q.shape[3] ** -0.5  # before its products: float16 ends at 65,504
    k, v, relative = (t.to(q.dtype) for t in (k, v, relative))  # autocast may leave them apart
    with torch.autocast(q.device.type, enabled=False):
        of_globals = _globals(q[:, :, :G], k, v, relative[:, 0], k_max, links, apart, unseen, dropout_p)
        # a longer radius shows no more than all
        of_long = _long(q[:, :, G:], k, v, relative[:, 1], k_max, links, padding_mask, min(radius, L), dropout_p)
    return torch.cat([of_globals, of_long], dim=2).masked_fill(padding_mask[:, None, :, None], 0.0)


class Links(NamedTuple):
    """Which long tokens are linked to which global ones, and how."""

    own: Tensor  # <bool>[B, L, G], the long token belongs to the global one
    mentioned: Tensor | None  # <bool>[B, L, G], it mentions what the global one stands for

    def linked(self) -> Tensor:
        """Whether they are in any way, <bool>[B, L, G]."""
        return self.own if self.mentioned is None else self.own | self.mentioned

    def transposed(self) -> Links:
        """<bool>[B, G, L] both."""
        return Links(*(None if x is None else x.transpose(1, 2) for x in self))  # type: ignore[arg-type]


def _globals(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    k_max: int,
    links: Links,
    apart: Tensor | None,
    unseen: Tensor,
    dropout_p: float,
) -> Tensor:
    """Attn(Y, [Y ; X]) <float>[B, H, G, D], of q / √d [B, H, G, D]; k and v [B, H, G + L, D], a [H, R, D]."""
    G, wide = q.shape[2], torch.promote_types(q.dtype, torch.float32)
    of_label = (q @ a.transpose(1, 2)).to(wide)  # [B, H, G, R]
    of_distance, of_link = of_label[..., : 2 * k_max + 1], of_label[..., 2 * k_max + 1 :]
    among = by_distance(of_distance, G)[..., G : 2 * G]
    if apart is not None:
        among = torch.where(apart, of_link[..., 3:4], among)
    across = by_link(of_link, links.transposed())  # [B, H, G, L]
    scores = (q @ k.transpose(2, 3)).to(wide) + torch.cat([among, across], dim=3)
    p = scores.masked_fill(unseen[:, None], MASKED).softmax(dim=3)
    return dropout(p, dropout_p).to(q.dtype) @ v


def _long(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    k_max: int,
    links: Links,
    padding_mask: Tensor,
    r: int,
    dropout_p: float,
) -> Tensor:
    """Attn(X, [window of X ; Y]) <float>[B, H, L, D], of q / √d [B, H, L, D]; k and v as above, a [H, R, D]."""
    L, wide = q.shape[2], torch.promote_types(q.dtype, torch.float32)
    G = k.shape[2] - L
    of_label = (q @ a.transpose(1, 2)).to(wide)  # [B, H, L, R]
    of_distance, of_link = of_label[..., : 2 * k_max + 1], of_label[..., 2 * k_max + 1 :]
    near = (split_blocks(q, r) @ windows(k[:, :, G:], r).transpose(3, 4)).to(wide)  # [B, H, n, r, 3r]
    near = near + by_distance(split_blocks(of_distance, r), r)
    across = (q @ k[:, :, :G].transpose(2, 3)).to(wide) + by_link(of_link, links)  # [B, H, L, G]
    unseen = windows(padding_mask[:, None, G:, None], r, True).transpose(3, 4)  # [B, 1, n, 1, 3r]
    empty = padding_mask[:, None, None, None, :G].expand(-1, -1, unseen.shape[2], -1, -1)
    scores = torch.cat([near, split_blocks(across, r)], dim=4)
    p = scores.masked_fill(torch.cat([unseen, empty], dim=4), MASKED).softmax(dim=4)
    of_window, of_globals = dropout(p, dropout_p).to(q.dtype).split([3 * r, G], dim=4)
    result = (of_window @ windows(v[:, :, G:], r)).flatten(2, 3) + of_globals.flatten(2, 3) @ v[:, :, :G]
    return result[:, :, :L]


def by_link(of_link: Tensor, links: Links) -> Tensor:
    """What a query's labels after those of distance say of keys of the other kind.

    Args:
        of_link: <float>[B, H, queries, 2 or 4].
        links: <bool>[B, queries, keys].
    Returns:
        <float>[B, H, queries, keys].
    """
    found = torch.where(links.own[:, None], of_link[..., 1:2], of_link[..., :1])
    return found if links.mentioned is None else torch.where(links.mentioned[:, None], of_link[..., 2:3], found)


def by_distance(of_label: Tensor, r: int) -> Tensor:
    """What a query's labels of distance say of the keys in its window; MASKED where a key is more than r away.

    Row i tells of the distances -r … r, and they begin at column i. Written 3r + 1 columns wide and read as if 3r,
    each row lies one column further than the row before: this needs neither a gather nor, for its gradient, a scatter.

    Args:
        of_label: a block's queries, <float>[…, r, 2k + 1].
        r: radius and size of a block.
    Returns:
        for the left, own and right block <float>[…, r, 3r].
    """
    k = of_label.shape[-1] // 2
    clipped = max(0, r - k)  # distances on each side that share the outermost label
    middle = of_label[..., max(0, k - r) : k + min(k, r) + 1]
    left, right = (end.expand(*end.shape[:-1], clipped) for end in (middle[..., :1], middle[..., -1:]))
    skewed = F.pad(torch.cat([left, middle, right], dim=-1), (0, r), value=MASKED)  # [..., r, 3r + 1]
    return skewed.flatten(-2)[..., : 3 * r * r].unflatten(-1, (r, 3 * r))


def windows(x: Tensor, r: int, fill: float = 0.0) -> Tensor:
    """Left, own and right block of each block: [B, H, L, D] to [B, H, n, 3r, D], ``fill`` past the ends."""
    return torch.cat(neighbours(split_blocks(x, r, fill=fill), fill=fill), dim=3)
