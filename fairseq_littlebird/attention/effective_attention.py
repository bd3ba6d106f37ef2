"""Attention probabilities over the tokens, by which a teacher and its student can be compared.

The effective attention of a LittleBird query reaches every token, through its window or through a pack vector:
    A = A_window + A_unpack · A_pack,   [A_unpack, A_window] = σ(Q(X) [K(C_P); K(X)]ᵀ / √d - [D_P; D])

Queries are asked for by a slice; nothing of size [L, L] is made for the others. What stands at padded queries
is undefined.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size, r queries asked for.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.attention.common.masked_softmax import MASKED
from fairseq_littlebird.attention.common.patterns import block_window_pattern, sliding_window_pattern
from fairseq_littlebird.attention.internals import FullAttentionInternals, LittleBirdInternals
from fairseq_littlebird.attention.littlebird.bialibi import distances

ALL = slice(None)


def full_attention_probabilities(
    internals: FullAttentionInternals,
    padding_mask: Tensor | None = None,
    queries: slice = ALL,
    window: int | None = None,
) -> Tensor:
    """σ(Q Kᵀ / √d) over the unpadded tokens, those of the layer's own window if it has one.

    Args:
        internals: of a full-attention layer.
        padding_mask: <bool>[B, L], True = padding, or None.
        queries: those asked for.
        window: a block size, to restrict the queries to LittleBird's window of such blocks and normalise again;
            an unpadded query sees itself, so something always remains.
    Returns:
        <float32 or wider>[B, H, r, L], a distribution for each query.
    """
    L, device = internals.k.shape[2], internals.k.device
    masked = None if window is None else ~block_window_pattern(L, window, device, queries)
    if internals.window:
        outside = ~sliding_window_pattern(L, internals.window, device=device, queries=queries)
        masked = outside if masked is None else masked | outside
    if padding_mask is not None:
        masked = padding_mask[:, None] if masked is None else masked | padding_mask[:, None]
    distance = None if masked is None else -MASKED * masked.view(-1, 1, *masked.shape[-2:])
    return _softmax(internals.q[:, :, queries], internals.k, distance)


def pack_attention_probabilities(internals: LittleBirdInternals, padding_mask: Tensor | None = None) -> Tensor:
    """A_pack = σ(Q(P) K(X)ᵀ / √d) over the unpadded tokens, <float32 or wider>[B, H, S, L]."""
    return full_attention_probabilities(FullAttentionInternals(internals.pack_q, internals.pack_x_k), padding_mask)


def effective_attention(
    internals: LittleBirdInternals,
    positions: Tensor | None,
    padding_mask: Tensor | None,
    block_size: int,
    window: bool = True,
    queries: slice = ALL,
    pack: Tensor | None = None,
) -> Tensor:
    """A_window + A_unpack · A_pack; the window alone without a pack stream, the product alone without a window.

    Args:
        internals: of a LittleBird layer.
        positions: <integer>[B, L], non-decreasing, or None for 0 … L-1.
        padding_mask: <bool>[B, L], True = padding, or None.
        block_size: b.
        window: whether the layer has a window.
        queries: those asked for.
        pack: A_pack where it is known already; chunks of queries share it.
    Returns:
        <float32 or wider>[B, H, r, L], a distribution for each query.
    """
    pack = pack_attention_probabilities(internals, padding_mask) if pack is None else pack
    a_unpack, a_window = unpack_window_probabilities(internals, positions, padding_mask, block_size, window, queries)
    with torch.autocast(internals.q.device.type, enabled=False):
        through = a_unpack @ pack
        return through if a_window is None else a_window + through


def unpack_window_probabilities(
    internals: LittleBirdInternals,
    positions: Tensor | None,
    padding_mask: Tensor | None,
    block_size: int,
    window: bool = True,
    queries: slice = ALL,
) -> tuple[Tensor, Tensor | None]:
    """[A_unpack, A_window], one softmax; arguments as :func:`effective_attention`'.

    Returns:
        A_unpack <float32 or wider>[B, H, r, S] and A_window [B, H, r, L], None without a window.
    """
    q, sizes = internals.q[:, :, queries], [internals.pack_k.shape[2], internals.k.shape[2]]
    with torch.autocast(q.device.type, enabled=False):
        if not window:
            return _softmax(q, internals.pack_k), None
        distance = _distances(internals, positions, padding_mask, block_size, queries)
        keys = torch.cat([internals.pack_k, internals.k], dim=2)
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


def _distances(
    internals: LittleBirdInternals,
    positions: Tensor | None,
    padding_mask: Tensor | None,
    block_size: int,
    queries: slice,
) -> Tensor:
    """[D_P; D], with keys out of reach -MASKED away: <float32 or wider>[1 or B, H, r, S + L].

    Linear in the slopes: one product of (α, β, γ, -MASKED) with features that all heads share.
    """
    (_, H, L, _), S, device = internals.k.shape, internals.pack_k.shape[2], internals.k.device
    wide = torch.promote_types(internals.q.dtype, torch.float32)
    index = torch.arange(L, device=device)
    positions = index[None] if positions is None else positions
    first = (index[queries, None] == 0) ^ (index == 0)  # [r, L]
    left, right = distances(positions[:, queries], positions, wide)  # [1 or B, r, L]
    masked = ~block_window_pattern(L, block_size, device, queries)
    if padding_mask is not None:
        masked = masked | padding_mask[:, None]
    of_tokens = torch.stack(torch.broadcast_tensors(first, left * ~first, right * ~first, masked), dim=1)
    b = float(block_size)
    of_pack = torch.tensor([0, b / 2, b / 2, 0], dtype=wide, device=device)
    features = torch.cat([of_pack[None, :, None, None].expand(*of_tokens.shape[:3], S), of_tokens], dim=3)
    slopes = internals.q.new_zeros(3, H) if internals.slopes is None else internals.slopes
    coefficients = torch.cat([slopes.to(wide), slopes.new_full((1, H), -MASKED, dtype=wide)])
    return (coefficients.T @ features.flatten(2)).unflatten(2, features.shape[2:])
