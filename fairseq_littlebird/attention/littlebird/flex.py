"""USWAttn by torch's FlexAttention: the second, simpler backend of accelerators.

It has no dropout, no gradients on CPU, and in half precision its gradients of β and γ are rough: they carry the
rounding of the result, times distances. Compiled on CUDA; elsewhere torch's unfused reference, quadratic in L.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from fairseq_littlebird.attention.littlebird.backends import BackendError
from fairseq_littlebird.attention.littlebird.bialibi import BiALiBi


def flex_unpack_window_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    pack_k: Tensor,
    pack_v: Tensor,
    slopes: BiALiBi | None,
    positions: Tensor | None,
    padding_mask: Tensor | None,
    block_size: int,
    dropout_p: float = 0.0,
) -> Tensor:
    """Arguments as :func:`dense_unpack_window_attention`; returns its result alone, <float>[B, H, L, D].

    Raises:
        BackendError: dropout, or gradients on a device where they do not exist.
    """
    if dropout_p:
        raise BackendError("attention backend 'flex' has no dropout")
    wanted = torch.is_grad_enabled() and any(t.requires_grad for t in (q, k, v, pack_k, pack_v))
    if wanted and not has_gradients(q.device):
        raise BackendError(f"attention backend 'flex' has no gradients on {q.device.type}")
    B, _, L, _ = q.shape
    S = pack_k.shape[2]
    place = (torch.arange(L, device=q.device)[None] if positions is None else positions).expand(B, L)
    if slopes is not None:
        alpha, beta, gamma = slopes.coefficients()
        pack_distance = slopes.pack_distance(block_size)

    def score_mod(score: Tensor, batch: Tensor, head: Tensor, query: Tensor, slot: Tensor) -> Tensor:
        token = (slot - S).clamp(min=0)
        if slopes is not None:
            offset = (place[batch, query] - place[batch, token]).to(alpha.dtype)
            linear = torch.where(offset > 0, beta[head], -gamma[head]) * offset
            distance = torch.where((query == 0) ^ (token == 0), alpha[head], linear)
            score = score - torch.where(slot < S, pack_distance[head], distance)
        if padding_mask is not None:
            score = torch.where((slot >= S) & padding_mask[batch, token], float("-inf"), score)
        return score

    mask = _reach(L, S, block_size, q.device)
    keys, values = torch.cat([pack_k, k], dim=2), torch.cat([pack_v, v], dim=2)
    attend = _compiled() if q.is_cuda and not torch.compiler.is_compiling() else flex_attention
    return attend(q, keys, values, score_mod, mask)


def has_gradients(device: torch.device) -> bool:
    """Whether torch has a backward pass of FlexAttention there."""
    return device.type == "cuda"


@lru_cache(maxsize=64)
def _reach(length: int, pack_size: int, block_size: int, device: torch.device) -> BlockMask:
    """What queries [L] see of keys [S + L], the same for every sequence."""

    def visible(batch: Tensor, head: Tensor, query: Tensor, slot: Tensor) -> Tensor:
        block = (slot - pack_size) // block_size
        return (slot < pack_size) | (block == 0) | ((query // block_size - block).abs() <= 1)

    return create_block_mask(visible, None, None, length, pack_size + length, device)


@lru_cache(maxsize=1)
def _compiled() -> Any:
    return torch.compile(flex_attention)
