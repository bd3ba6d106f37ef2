"""USWAttn, one query block after another: time and memory linear in L, nothing of size [L, W] anywhere.

The keys that query blocks need stay in a small ring, see :class:`KeyRing`. Of small models several sequences are
computed together, see :func:`spans`. The backward pass goes through the blocks in the same order and computes the
probabilities again.
:func:`distance_features` makes once a batch what all layers' biases are made of.

Legend: B batch, L tokens, S pack size, H heads, D head width, b block size; of a span n tokens of its longest sequence,
G sequences, J segments of each, N = G · J · H; m ≤ b queries of a block, W its keys.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fairseq_littlebird.attention.common.dropout import keep_mask, random_seed
from fairseq_littlebird.attention.common.masked_softmax import MASKED
from fairseq_littlebird.attention.littlebird.bialibi import BiALiBi
from fairseq_littlebird.attention.littlebird.distance_features import DistanceFeatures, distance_features
from fairseq_littlebird.attention.littlebird.key_ring import GradientRing, KeyRing, of_block, query_blocks
from fairseq_littlebird.attention.littlebird.spans import Span, clear_ends, spans, window_size

INPUTS = (  # of the operators
    "Tensor q, Tensor k, Tensor v, Tensor pack_k, Tensor pack_v, Tensor coefficients, Tensor features, "
    "Tensor masked, Tensor? padding_mask, int block_size, float dropout_p, Tensor seed"
)


def blockwise_unpack_window_attention(
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
    features: DistanceFeatures | None = None,
) -> Tensor:
    """Arguments as :func:`dense_unpack_window_attention`; returns its result alone, <float>[B, H, L, D].

    Scores and bias are float32 (float64 for float64 inputs) whatever the inputs are. The result of padded
    queries is undefined, though finite, and no gradient comes from there.

    Args:
        features: :func:`distance_features` of these positions, where the caller has them already.
    """
    wide = torch.promote_types(q.dtype, torch.float32)
    if features is None:
        features = distance_features(q, positions, padding_mask, block_size, pack_k.shape[2])
    if slopes is None:
        coefficients = torch.zeros(q.shape[1], 3, dtype=wide, device=q.device)
    else:
        alpha, beta, gamma = slopes.coefficients()
        coefficients = -torch.stack([beta, gamma, alpha], dim=1).to(wide)
    seed = random_seed() if dropout_p else torch.zeros((), dtype=torch.int64)
    k, v, pack_k, pack_v = (t.to(q.dtype) for t in (k, v, pack_k, pack_v))  # autocast may leave them apart
    tensors = q, k, v, pack_k, pack_v, coefficients, *features, padding_mask
    with torch.autocast(q.device.type, enabled=False):
        result: Tensor = _attend(*tensors, block_size, dropout_p, seed)
    return result


def factor_dtype(x: Tensor, wide: torch.dtype) -> torch.dtype:
    """Of products whose results are rounded to the type of ``x`` anyway; scores stay in the wide one.

    bfloat16 where the processor multiplies it faster than float32.
    """
    fast = x.dtype == torch.bfloat16 and x.device.type == "cpu" and torch.cpu._is_avx512_bf16_supported()
    return x.dtype if fast else wide


class _Steps:
    """What the forward and the backward pass of one span have in common.

    Args:
        x: <float>[G, H, n, D], to look like the queries.
        keys: K of its segments.
        coefficients: <float32 or wider>[H, 3].
        features: of the span's sequences, or of all.
        span: which sequences and segments.
        padded: whether there is padding among the keys.
    """

    def __init__(
        self, x: Tensor, keys: KeyRing, coefficients: Tensor, features: DistanceFeatures, span: Span, padded: bool
    ) -> None:
        self.keys, self.span, self.coefficients, self.features = keys, span, coefficients, features
        self.padded, self.scale = padded, x.shape[3] ** -0.5
        self.wide, self.factor = coefficients.dtype, factor_dtype(x, coefficients.dtype)
        self.tokens = x.shape[2]
        self.buffers: dict[str, Tensor] = {}

    def buffer(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """Memory that every step uses again."""
        if name not in self.buffers or self.buffers[name].numel() < math.prod(shape):
            self.buffers[name] = self.keys.flat.new_empty(shape, dtype=dtype)
        return self.buffers[name].flatten()[: math.prod(shape)].view(shape)

    def width(self, block: int) -> int:
        """W of a block: the first two have the global one among their three."""
        return self.keys.ends if self.keys.has_global and block < 2 else self.keys.flat.shape[1]

    def scores(self, name: str, block: int, m: int) -> Tensor:
        """Memory for scores <float32 or wider>[N, m, W]."""
        return self.buffer(name, len(self.keys.flat), m, self.width(block))

    def view(self, x: Tensor, block: int, m: int) -> Tensor:
        """The queries of one step, <any>[G, J, H, m, D] of [G, H, n, D]."""
        return of_block(x, self.keys.b, block, self.span, m, slice(0, self.span.segments))

    def queries(self, x: Tensor, block: int, m: int, dtype: torch.dtype | None = None) -> Tensor:
        """The same as <float32 or wider>[N, m, D], or of the type given."""
        return self.view(x, block, m).to(dtype or self.wide).reshape(-1, m, x.shape[3])

    def as_factor(self, scores: Tensor, scale: float = 1.0) -> Tensor:
        """Probabilities or their gradients [N, m, W] as products take them, scaled."""
        if self.factor != scores.dtype:
            return torch.mul(scores, scale, out=self.buffer("factor", *scores.shape, dtype=self.factor))
        return scores if scale == 1.0 else scores.mul_(scale)

    def write(self, to: Tensor, block: int, factors: tuple[Tensor, Tensor]) -> None:
        """The product of [N, m, W] and [N, W, D] to the queries of one step of ``to`` [G, H, n, D]."""
        (N, m, _), D = factors[0].shape, to.shape[3]
        view, product = self.view(to, block, m), self.buffer("product", N, m, D, dtype=self.factor)
        view.copy_(torch.bmm(*factors, out=product).view(view.shape))

    def distances(self, block: int, m: int) -> Tensor:
        """<float32 or wider>[G or 1, J, 3, m·W]."""
        x, each = self.features.distances, self.keys.b * self.keys.flat.shape[1]
        (R, F, _), (of_sequence, of_feature, _) = x.shape, x.stride()
        size = R, self.span.segments, F, m * self.width(block)
        start = x.storage_offset() + block * each
        return x.as_strided(size, (of_sequence, self.span.blocks * each, of_feature, 1), start)

    def probabilities(self, q: Tensor, distances: Tensor, block: int, m: int) -> Tensor:
        """σ(q Kᵀ / √d - [D_P; D]) of one step, <float32 or wider>[N, m, W]; q [N, m, D]."""
        scores = self.scores("probabilities", block, m)
        self.bias(distances, block, scores)
        scores.baddbmm_(q, self.keys.first(scores.shape[2]).transpose(1, 2), alpha=self.scale)
        if self.keys.S == 0 and self.padded:  # a query may see nothing: 0, not a mean of what is masked
            blind = scores.amax(dim=2, keepdim=True) <= MASKED / 2
            return torch.softmax(scores, dim=2, out=scores).masked_fill_(blind, 0.0)
        return torch.softmax(scores, dim=2, out=scores)

    def bias(self, distances: Tensor, block: int, out: Tensor) -> None:
        """To ``out`` [N, m, W] of distances [G or 1, J, 3, m·W]."""
        (R, J, _, _), (H, _) = distances.shape, self.coefficients.shape
        factors = self.coefficients.expand(R * J, -1, -1), distances.flatten(0, 1)
        if len(out) == R * J * H:
            torch.bmm(*factors, out=out.view(R * J, H, -1))
        else:
            out.view(-1, J, H, distances.shape[3]).copy_(torch.bmm(*factors).view(1, J, H, -1))
        if self.padded or self.reaches_an_end(block):
            masked = self.features.masked[:, block :: self.span.blocks][:, :J, : out.shape[2]]  # [G or 1, J, W]
            of_heads = out.view(-1, J, H, *out.shape[1:])
            of_heads.add_(masked[:, :, None, None])

    def reaches_an_end(self, block: int) -> bool:
        """Whether a segment has slots that hold no key of this step."""
        last = block + (self.span.segments - 1) * self.span.blocks
        return block < 2 or (last + 2) * self.keys.b > self.tokens

    def add_gradient(self, ds: Tensor, distances: Tensor, to: Tensor) -> None:
        """Adds the coefficients' to ``to`` [3, H], of the scores' [N, m, W] and distances [G or 1, J, 3, m·W]."""
        (R, J, _, _), H = distances.shape, to.shape[1]
        of_heads = ds.view(-1, J, H, distances.shape[3])
        if len(of_heads) > R:
            of_heads = of_heads.sum(dim=0, keepdim=True)
        to.add_(torch.bmm(distances.flatten(0, 1), of_heads.flatten(0, 1).transpose(1, 2)).sum(dim=0))


class _Inputs(NamedTuple):
    """Of the operators, as ``INPUTS``."""

    q: Tensor  # <float>[B, H, L, D]
    k: Tensor
    v: Tensor
    pack_k: Tensor  # <float>[B, H, S, D]
    pack_v: Tensor
    coefficients: Tensor  # <float32 or wider>[H, 3]
    features: Tensor  # the two of :class:`DistanceFeatures`
    masked: Tensor
    padding_mask: Tensor | None  # <bool>[B, L]
    block_size: int
    dropout_p: float
    seed: Tensor

    @property
    def vectors(self) -> tuple[Tensor, ...]:
        return self[:5]

    @property
    def wide(self) -> torch.dtype:
        return self.coefficients.dtype

    @property
    def widest(self) -> int:
        """W of the blocks that have the global one beside their three."""
        return window_size(self.q.shape[2], self.block_size, self.pack_k.shape[2])

    def generator(self) -> torch.Generator:
        """Of the dropout masks, which are the same in the backward pass."""
        return torch.Generator(self.q.device).manual_seed(int(self.seed))

    def spans(self) -> Iterator[Span]:
        return spans(self.padding_mask, self.q.shape, self.block_size, self.widest)

    def steps(self, of_q: Tensor, keys: KeyRing, span: Span) -> _Steps:
        features = DistanceFeatures(span.of(self.features), span.of(self.masked))
        return _Steps(of_q, keys, self.coefficients, features, span, self.padding_mask is not None)


@torch.library.custom_op("fairseq_littlebird::blockwise_attention", mutates_args=(), schema=f"({INPUTS}) -> Tensor")
def _attend(*inputs: Any) -> Tensor:
    given = _Inputs(*inputs)
    b, widest, wide, dropout_p = given.block_size, given.widest, given.wide, given.dropout_p
    result, generator = torch.zeros_like(given.q), given.generator()
    for span in given.spans():
        n = span.n
        of_q, of_k, of_v, of_pack_k, of_pack_v, of_result = map(span.of, (*given.vectors, result))
        keys = KeyRing(of_k[:, :, :n], of_pack_k, span, b, widest, wide)
        values = KeyRing(of_v[:, :, :n], of_pack_v, span, b, widest, factor_dtype(of_q, wide))
        steps = given.steps(of_q, keys, span)
        for block, m in query_blocks(n, b, span):
            keys.enter(block)
            values.enter(block)
            p = steps.probabilities(steps.queries(of_q, block, m), steps.distances(block, m), block, m)
            if dropout_p:
                p.mul_(keep_mask(p, dropout_p, generator))
            steps.write(of_result, block, (steps.as_factor(p), values.first(p.shape[2])))
        span.write_back(result, of_result)
    return clear_ends(result, given.padding_mask)


@_attend.register_fake
def _(q: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(q)


@torch.library.custom_op(
    "fairseq_littlebird::blockwise_attention_backward",
    mutates_args=(),
    schema=f"(Tensor grad, {INPUTS}) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _attend_backward(grad: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
    given = _Inputs(*inputs)
    b, widest, wide, dropout_p = given.block_size, given.widest, given.wide, given.dropout_p
    scale, factor, generator = grad.shape[3] ** -0.5, factor_dtype(given.q, wide), given.generator()
    results = [torch.zeros_like(t) for t in given.vectors]
    dcoefficients = torch.zeros_like(given.coefficients.t())
    if given.padding_mask is not None:
        grad = clear_ends(grad.clone(memory_format=torch.contiguous_format), given.padding_mask)
    for span in given.spans():
        n = span.n
        of_grad, of_q, of_k, of_v, of_pack_k, of_pack_v = map(span.of, (grad, *given.vectors))
        of_dq, of_dk, of_dv, of_dpack_k, of_dpack_v = parts = [span.of(t) for t in results]
        keys = KeyRing(of_k[:, :, :n], of_pack_k, span, b, widest, wide)
        values = KeyRing(of_v[:, :, :n], of_pack_v, span, b, widest, wide)
        factors = keys if factor == wide else KeyRing(of_k[:, :, :n], of_pack_k, span, b, widest, factor)
        dkeys = GradientRing(of_dk[:, :, :n], of_dpack_k, span, b, widest, wide)
        dvalues = GradientRing(of_dv[:, :, :n], of_dpack_v, span, b, widest, wide)
        steps = given.steps(of_q, keys, span)
        for block, m in query_blocks(n, b, span):
            for ring in {keys, values, factors}:
                ring.enter(block)
            q_block, grad_block, distances = (
                steps.queries(of_q, block, m),
                steps.queries(of_grad, block, m),
                steps.distances(block, m),
            )
            p = steps.probabilities(q_block, distances, block, m)
            W = p.shape[2]
            dp = torch.bmm(grad_block, values.first(W).transpose(1, 2), out=steps.scores("gradients", block, m))
            dropped = p
            if dropout_p:
                keep = keep_mask(p, dropout_p, generator)
                dropped, dp = p * keep, dp.mul_(keep)
            dvalues.add(steps.as_factor(dropped), grad_block.to(steps.factor))
            # not grad · result: a rounded result, times distances, would drown the slopes' gradients
            ds = torch.ops.aten._softmax_backward_data.out(dp, p, 2, wide, grad_input=dp)
            steps.add_gradient(ds, distances, to=dcoefficients)
            ds = steps.as_factor(ds, scale)
            dkeys.add(ds, q_block.to(steps.factor))
            steps.write(of_dq, block, (ds, factors.first(W)))
            for ring in (dkeys, dvalues):
                ring.leave(block, last=block == span.first + span.blocks - 1)
        for whole, part in zip(results, parts, strict=True):
            span.write_back(whole, part)
    return *results, dcoefficients.t().contiguous()


@_attend_backward.register_fake
def _(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, pack_k: Tensor, pack_v: Tensor, coefficients: Tensor, *_: Any
) -> tuple[Tensor, ...]:
    return tuple(map(torch.empty_like, (q, k, v, pack_k, pack_v, coefficients)))


def _save(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.block_size, ctx.dropout_p, seed = inputs
    ctx.save_for_backward(*tensors, seed)


def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    *tensors, seed = ctx.saved_tensors
    with torch.autocast(grad.device.type, enabled=False):
        gradients = _attend_backward(grad, *tensors, ctx.block_size, ctx.dropout_p, seed)
    return *gradients, None, None, None, None, None, None


_attend.register_autograd(_gradients, setup_context=_save)
