"""Rows of attention probabilities over the tokens: what a teacher and its student can be compared by.

A LittleBird row reaches every token, through its window or through a packed row:
    A = A_window + A_unpack · A_pack,   [A_unpack, A_window] = σ(Q(X) [K(C_P); K(X)]ᵀ / √d - [D_P; D])

Rows are asked for by a slice; nothing of size [L, L] is made for the others. What stands in rows of padded queries
is undefined.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size, r rows asked for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.attention.common.masked_softmax import MASKED
from fairseq_littlebird.attention.common.patterns import block_window_pattern
from fairseq_littlebird.attention.internals import FullRouting, LittleBirdRouting
from fairseq_littlebird.attention.littlebird.bialibi import distances

ALL = slice(None)


def full_rows(
    routing: FullRouting, padding_mask: Tensor | None = None, rows: slice = ALL, window: int | None = None
) -> Tensor:
    """σ(Q Kᵀ / √d) over the unpadded tokens.

    Args:
        routing: of a full-attention layer.
        padding_mask: <bool>[B, L], True = padding, or None.
        rows: the queries asked for.
        window: a block size, to restrict the rows to LittleBird's window of such blocks and normalise them again;
            an unpadded query sees itself, so something always remains.
    Returns:
        <float32 or wider>[B, H, r, L], each row a distribution.
    """
    L, device = routing.k.shape[2], routing.k.device
    masked = None if window is None else ~block_window_pattern(L, window, device, rows)
    if padding_mask is not None:
        masked = padding_mask[:, None] if masked is None else masked | padding_mask[:, None]
    distance = None if masked is None else -MASKED * masked.view(-1, 1, *masked.shape[-2:])
    return _softmax(routing.q[:, :, rows], routing.k, distance)


def packed_rows(routing: LittleBirdRouting, padding_mask: Tensor | None = None) -> Tensor:
    """A_pack = σ(Q(P) K(X)ᵀ / √d) over the unpadded tokens, <float32 or wider>[B, H, S, L]."""
    return full_rows(FullRouting(routing.pack_q, routing.pack_x_k), padding_mask)


def composed_rows(
    routing: LittleBirdRouting,
    positions: Tensor | None,
    padding_mask: Tensor | None,
    block_size: int,
    window: bool = True,
    rows: slice = ALL,
    packed: Tensor | None = None,
) -> Tensor:
    """A_window + A_unpack · A_pack; the window alone without a pack stream, the product alone without a window.

    Args:
        routing: of a LittleBird layer.
        positions: <integer>[B, L], non-decreasing, or None for 0 … L-1.
        padding_mask: <bool>[B, L], True = padding, or None.
        block_size: b.
        window: whether the layer has a window.
        rows: the queries asked for.
        packed: A_pack where it is known already; chunks of rows share it.
    Returns:
        <float32 or wider>[B, H, r, L], each row a distribution.
    """
    packed = packed_rows(routing, padding_mask) if packed is None else packed
    a_unpack, a_window = unpack_rows(routing, positions, padding_mask, block_size, window, rows)
    with torch.autocast(routing.q.device.type, enabled=False):
        through = a_unpack @ packed
        return through if a_window is None else a_window + through


def unpack_rows(
    routing: LittleBirdRouting,
    positions: Tensor | None,
    padding_mask: Tensor | None,
    block_size: int,
    window: bool = True,
    rows: slice = ALL,
) -> tuple[Tensor, Tensor | None]:
    """[A_unpack, A_window], one softmax; arguments as :func:`composed_rows`'.

    Returns:
        A_unpack <float32 or wider>[B, H, r, S] and A_window [B, H, r, L], None without a window.
    """
    q, sizes = routing.q[:, :, rows], [routing.pack_k.shape[2], routing.k.shape[2]]
    with torch.autocast(q.device.type, enabled=False):
        if not window:
            return _softmax(q, routing.pack_k), None
        distance = _distance_rows(routing, positions, padding_mask, block_size, rows)
        keys = torch.cat([routing.pack_k, routing.k], dim=2)
        a_unpack, a_window = _softmax(q, keys, distance).split(sizes, dim=3)
        return a_unpack, a_window


def _softmax(q: Tensor, k: Tensor, distance: Tensor | None = None) -> Tensor:
    """σ(q kᵀ / √d - distance) <float32 or wider>[B, H, r, K]; the distance broadcasts to it."""
    wide = torch.promote_types(q.dtype, torch.float32)
    with torch.autocast(q.device.type, enabled=False):
        scores = (q.to(wide) * q.shape[-1] ** -0.5) @ k.to(wide).transpose(2, 3)
        if distance is not None:
            scores -= distance
        return scores.softmax(dim=3)


def _distance_rows(
    routing: LittleBirdRouting, positions: Tensor | None, padding_mask: Tensor | None, block_size: int, rows: slice
) -> Tensor:
    """[D_P; D], with keys out of reach -MASKED away: <float32 or wider>[1 or B, H, r, S + L].

    Linear in the slopes: one product of (α, β, γ, -MASKED) with features that all heads share.
    """
    (_, H, L, _), S, device = routing.k.shape, routing.pack_k.shape[2], routing.k.device
    wide = torch.promote_types(routing.q.dtype, torch.float32)
    index = torch.arange(L, device=device)
    positions = index[None] if positions is None else positions
    first = (index[rows, None] == 0) ^ (index == 0)  # [r, L]
    left, right = distances(positions[:, rows], positions, wide)  # [1 or B, r, L]
    masked = ~block_window_pattern(L, block_size, device, rows)
    if padding_mask is not None:
        masked = masked | padding_mask[:, None]
    of_tokens = torch.stack(torch.broadcast_tensors(first, left * ~first, right * ~first, masked), dim=1)
    b = float(block_size)
    of_packed = torch.tensor([0, b / 2, b / 2, 0], dtype=wide, device=device)
    features = torch.cat([of_packed[None, :, None, None].expand(*of_tokens.shape[:3], S), of_tokens], dim=3)
    slopes = routing.q.new_zeros(3, H) if routing.slopes is None else routing.slopes
    coefficients = torch.cat([slopes.to(wide), slopes.new_full((1, H), -MASKED, dtype=wide)])
    return (coefficients.T @ features.flatten(2)).unflatten(2, features.shape[2:])
