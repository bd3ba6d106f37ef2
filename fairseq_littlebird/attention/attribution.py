"""Where the attention of some tokens goes: directly to tokens, and through the pack vectors to others.

Means over the heads and over the queries asked for, so that what a LittleBird layer does with a question's answer is
    t = mean A_window <float>[L],   u = mean A_unpack <float>[S],   R = mean diag(A_unpack) · A_pack <float>[S, L]
with Σ t + Σ u = 1, and Σ_L R = u.

Legend: B batch, L tokens, S pack size, H heads, r queries.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from fairseq_littlebird.attention.effective_attention import (
    full_attention_probabilities,
    pack_attention_probabilities,
    unpack_window_probabilities,
)
from fairseq_littlebird.attention.internals import FullAttentionInternals, LittleBirdInternals

CHUNK_SIZE = 32  # queries at once


class AttentionAttribution(NamedTuple):
    """Of a layer."""

    tokens: Tensor  # <float32 or wider>[B, L], t
    pack: Tensor  # <float32 or wider>[B, S], u
    through_pack: Tensor  # <float32 or wider>[B, S, L], R


def littlebird_attribution(
    internals: LittleBirdInternals,
    positions: Tensor | None,
    padding_mask: Tensor | None,
    block_size: int,
    window: bool,
    first: int,
    stop: int,
) -> AttentionAttribution:
    """Of the queries first … stop - 1 of a LittleBird layer; other arguments as :func:`effective_attention`'s."""
    a_pack = pack_attention_probabilities(internals, padding_mask)  # [B, H, S, L]
    tokens, unpack = a_pack.new_zeros(a_pack.shape[0], a_pack.shape[3]), a_pack.new_zeros(a_pack.shape[:3])
    for start in range(first, stop, CHUNK_SIZE):
        queries = slice(start, min(start + CHUNK_SIZE, stop))
        where = positions, padding_mask, block_size, window
        a_unpack, a_window = unpack_window_probabilities(internals, *where, queries)
        unpack += a_unpack.sum(dim=2)
        if a_window is not None:
            tokens += a_window.mean(dim=1).sum(dim=1)
    r, H = stop - first, a_pack.shape[1]
    through_pack = torch.einsum("bhs,bhsl->bsl", unpack / (r * H), a_pack)
    return AttentionAttribution(tokens / r, unpack.mean(dim=1) / r, through_pack)


def full_attention_attribution(
    internals: FullAttentionInternals, padding_mask: Tensor | None, first: int, stop: int
) -> AttentionAttribution:
    """The same of a full-attention layer, S = 0."""
    B, _, L, _ = internals.k.shape
    tokens = torch.zeros(B, L, dtype=torch.promote_types(internals.k.dtype, torch.float32), device=internals.k.device)
    for start in range(first, stop, CHUNK_SIZE):
        queries = slice(start, min(start + CHUNK_SIZE, stop))
        tokens += full_attention_probabilities(internals, padding_mask, queries).mean(dim=1).sum(dim=1)
    return AttentionAttribution(tokens / (stop - first), tokens.new_zeros(B, 0), tokens.new_zeros(B, 0, L))
