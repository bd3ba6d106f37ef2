"""Pack attention without keys and values of its own for every token.

C_P = σ(Q(P) K(X)ᵀ / √d) V(X), and K(X) = X W_Kᵀ + k, V(X) = X W_Vᵀ + v. So the projections can be drawn to the other
side, where there are only S · H queries: for each head
    Q(P) K(X)ᵀ = (Q(P) W_K) Xᵀ + a constant of the query, which the softmax cancels,
    σ(…) V(X)  = (σ(…) X) W_Vᵀ + v.
What is left is an attention of S · H queries of full width over X itself, read in pieces with a running softmax: as
many operations as the two projections where S · H is the width. What it keeps for the backward pass is X, which others
keep as well, and of short inputs the scores.

Legend: B batch, L tokens, S pack size, H heads, D head width, C = H · D, M = S · H queries, c tokens of a piece.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from fairseq_littlebird.attention.common.dropout import keep_mask, random_seed
from fairseq_littlebird.attention.common.length import check_length
from fairseq_littlebird.attention.common.masked_softmax import MASKED

CHUNK_SIZE = 1024  # tokens
MAX_KEPT_SCORES = 2048  # tokens up to which the scores are kept for the backward pass; of more they are made again


def absorbed_pack_attention(
    pack_q: Tensor,
    x: Tensor,
    key_weight: Tensor,
    key_bias: Tensor | None,
    value_weight: Tensor,
    value_bias: Tensor | None,
    padding_mask: Tensor | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """C_P as :func:`pack_attention` gives it for k = x key_weightᵀ + key_bias, v = x value_weightᵀ + value_bias.

    Args:
        pack_q: <float>[B, H, S, D].
        x: <float>[B, L, C].
        key_weight, value_weight: <float>[C, C].
        key_bias, value_bias: <float>[C], or None.
        padding_mask: <bool>[B, L], True = padding, or None.
        dropout_p: dropout of the attention probabilities.
    Returns:
        <float>[B, H, S, D]; 0 for a sequence without any unpadded token.
    """
    check_length(x.shape[1])
    B, H, S, D = pack_q.shape
    queries = torch.einsum("bhsd,hdc->bhsc", pack_q, key_weight.view(H, D, -1)).flatten(1, 2)  # [B, M, C]
    seed = random_seed() if dropout_p else torch.zeros((), dtype=torch.int64)
    with_scores = torch.is_grad_enabled() and (queries.requires_grad or x.requires_grad)
    with_scores = with_scores and x.shape[1] <= MAX_KEPT_SCORES
    mixed, kept, _, _ = _mix(queries, x, padding_mask, D**-0.5, dropout_p, seed, with_scores)
    c_p = torch.einsum("bhsc,hdc->bhsd", mixed.unflatten(1, (H, S)), value_weight.view(H, D, -1))
    if value_bias is not None:
        c_p = c_p + kept.view(B, H, S, 1) * value_bias.view(1, H, 1, D)
    if key_bias is not None:
        c_p = c_p + 0.0 * key_bias.sum()  # a gradient, if only of 0: data-parallel training waits for one
    return c_p


class _Piece:
    """Some tokens of one sequence.

    Args:
        x: <float>[n, C], the sequence.
        padding: <bool>[n] or None.
        tokens: which ones.
    """

    def __init__(self, x: Tensor, padding: Tensor | None, tokens: slice) -> None:
        self.x, self.tokens = x[tokens], tokens
        self.padding = None if padding is None else padding[tokens]

    def scores(self, queries: Tensor, scale: float, out: Tensor) -> Tensor:
        """<float>[M, c], written to ``out``."""
        torch.mm(queries, self.x.t(), out=out).mul_(scale)
        return out if self.padding is None else out.masked_fill_(self.padding, MASKED)


def _pieces(x: Tensor, padding_mask: Tensor | None, sequence: int) -> Iterator[_Piece]:
    """One sequence in pieces, without those that are padding alone."""
    padding = None if padding_mask is None or not padding_mask[sequence].any() else padding_mask[sequence]
    for start in range(0, x.shape[1], CHUNK_SIZE):
        tokens = slice(start, min(start + CHUNK_SIZE, x.shape[1]))
        if padding is None or not padding[tokens].all():
            yield _Piece(x[sequence], padding, tokens)


@torch.library.custom_op(
    "fairseq_littlebird::absorbed_pack_attention",
    mutates_args=(),
    schema="(Tensor queries, Tensor x, Tensor? padding_mask, float scale, float dropout_p, Tensor seed, "
    "bool with_scores) -> (Tensor, Tensor, Tensor, Tensor)",
)
def _mix(
    queries: Tensor,
    x: Tensor,
    padding_mask: Tensor | None,
    scale: float,
    dropout_p: float,
    seed: Tensor,
    with_scores: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """σ(queries · xᵀ · scale) x [B, M, C]; what dropout left of each query's sum [B, M, 1]; log Σ exp [B, M, 1].

    And the scores [B, M, L], or nothing; where a piece is padding alone they are not set.
    """
    mixed, (B, M, _) = torch.zeros_like(queries), queries.shape
    kept, logsumexp = queries.new_zeros(B, M, 1), queries.new_full((B, M, 1), MASKED)
    scores = queries.new_empty(B if with_scores else 0, M, x.shape[1])
    buffer = queries.new_empty(M, min(CHUNK_SIZE, x.shape[1]))  # used again for each piece
    generator = torch.Generator(x.device).manual_seed(int(seed))
    for sequence in range(B):
        total = queries.new_zeros(M, 1)
        for piece in _pieces(x, padding_mask, sequence):
            p = buffer[:, : len(piece.x)]
            s = piece.scores(queries[sequence], scale, out=scores[sequence][:, piece.tokens] if with_scores else p)
            largest = torch.maximum(logsumexp[sequence], s.amax(dim=1, keepdim=True))
            torch.sub(s, largest, out=p).exp_()
            before = (logsumexp[sequence] - largest).exp_()
            total.mul_(before).add_(p.sum(dim=1, keepdim=True))
            if dropout_p:
                p.mul_(keep_mask(p, dropout_p, generator))
            kept[sequence].mul_(before).add_(p.sum(dim=1, keepdim=True))
            mixed[sequence].mul_(before).addmm_(p, piece.x)
            logsumexp[sequence] = largest
        total.clamp_(min=1.0)  # a sequence of padding alone; any other has a term of 1
        mixed[sequence].div_(total)
        kept[sequence].div_(total)
        logsumexp[sequence] += total.log()
    return mixed, kept, logsumexp, scores


@_mix.register_fake
def _(queries: Tensor, x: Tensor, *settings: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    B, M, _ = queries.shape
    sums = queries.new_empty(B, M, 1)
    scores = queries.new_empty(B if settings[-1] else 0, M, x.shape[1])
    return torch.empty_like(queries), sums, torch.empty_like(sums), scores


@torch.library.custom_op(
    "fairseq_littlebird::absorbed_pack_attention_backward",
    mutates_args=(),
    schema="(Tensor grad_mixed, Tensor grad_kept, Tensor mixed, Tensor kept, Tensor logsumexp, Tensor scores, "
    "Tensor queries, Tensor x, Tensor? padding_mask, float scale, float dropout_p, Tensor seed) -> (Tensor, Tensor)",
)
def _mix_backward(
    grad_mixed: Tensor,
    grad_kept: Tensor,
    mixed: Tensor,
    kept: Tensor,
    logsumexp: Tensor,
    scores: Tensor,
    queries: Tensor,
    x: Tensor,
    padding_mask: Tensor | None,
    scale: float,
    dropout_p: float,
    seed: Tensor,
) -> tuple[Tensor, Tensor]:
    dqueries, dx = torch.zeros_like(queries), torch.zeros_like(x)
    delta = (grad_mixed * mixed).sum(dim=2, keepdim=True) + grad_kept * kept
    buffer = queries.new_empty(queries.shape[1], min(CHUNK_SIZE, x.shape[1]))  # used again for each piece
    generator = torch.Generator(x.device).manual_seed(int(seed))  # the same masks, drawn in the same order
    for sequence in range(len(queries)):
        for piece in _pieces(x, padding_mask, sequence):
            p = buffer[:, : len(piece.x)]
            s = scores[sequence][:, piece.tokens] if len(scores) else piece.scores(queries[sequence], scale, out=p)
            torch.sub(s, logsumexp[sequence], out=p).exp_()
            dp = torch.mm(grad_mixed[sequence], piece.x.t()).add_(grad_kept[sequence])
            dropped = p
            if dropout_p:
                keep = keep_mask(p, dropout_p, generator)
                dropped, dp = p * keep, dp.mul_(keep)
            torch.mm(dropped.t(), grad_mixed[sequence], out=dx[sequence, piece.tokens])
            ds = dp.sub_(delta[sequence]).mul_(p).mul_(scale)
            dx[sequence, piece.tokens].addmm_(ds.t(), queries[sequence])
            dqueries[sequence].addmm_(ds, piece.x)
    return dqueries, dx


@_mix_backward.register_fake
def _(*tensors: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(tensors[6]), torch.empty_like(tensors[7])


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    queries, x, padding_mask, ctx.scale, ctx.dropout_p, seed, _ = inputs
    ctx.save_for_backward(*output, queries, x, padding_mask, seed)


def _gradients(ctx: Any, grad_mixed: Tensor, grad_kept: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    *tensors, seed = ctx.saved_tensors
    gradients = _mix_backward(grad_mixed.contiguous(), grad_kept, *tensors, ctx.scale, ctx.dropout_p, seed)
    return *gradients, None, None, None, None, None


_mix.register_autograd(_gradients, setup_context=_save)
