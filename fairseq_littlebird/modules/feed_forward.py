"""The position-wise feed-forward network, by itself and between its norms.

Legend: N tokens, C hidden width, F inner width, c tokens of a piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_littlebird.attention.common.dropout import dropout, keep_mask, random_seed
from fairseq_littlebird.exporting import is_exporting
from fairseq_littlebird.layer_norm import HALF
from fairseq_littlebird.modules.config.encoder import EncoderConfig

CHUNK_SIZE = 1024  # tokens whose inner states are made at a time


class FeedForward(nn.Module):
    """FFN(A) = W₂ φ(W₁ A): <float>[..., embed_dim] to the same shape.

    Gated: W₂ (φ(U) ⊙ G), [U ; G] = W₁ A (Shazeer, 2020; ModernBERT).

    Args:
        embed_dim, ffn_embed_dim: C and F.
        activation_dropout: of what W₂ multiplies.
        activation: φ, one of ``ACTIVATIONS``: ``gelu``; ``gelu_tanh``, its approximation; or ``relu``.
        bias: whether the linear layers have biases.
        gated: whether half of the inner layer is multiplied with φ of the other.
    """

    def __init__(
        self,
        embed_dim: int,
        ffn_embed_dim: int,
        activation_dropout: float = 0.0,
        activation: str = "gelu",
        bias: bool = True,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.gated = gated
        self.fc1 = nn.Linear(embed_dim, 2 * ffn_embed_dim if gated else ffn_embed_dim, bias)
        self.fc2 = nn.Linear(ffn_embed_dim, embed_dim, bias)
        self.activation_dropout = activation_dropout
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        inner = self.fc1(x)
        if self.gated:
            inner, gate = inner.chunk(2, dim=-1)
            inner = activate(inner, self.activation) * gate
        else:
            inner = activate(inner, self.activation)
        return self.fc2(dropout(inner, self.activation_dropout, self.training))


def feed_forward(config: EncoderConfig) -> FeedForward:
    """The network of a layer, as the layers' form has it."""
    sizes = config.embed_dim, config.ffn_embed_dim, config.activation_dropout, config.activation
    return FeedForward(*sizes, config.form.bias, config.form.gated)


def activate(x: Tensor, activation: str) -> Tensor:
    """φ, one of ``ACTIVATIONS``, of <float>[...]."""
    if activation == "relu":
        return F.relu(x)
    return F.gelu(x, approximate="tanh" if activation == "gelu_tanh" else "none")


def normed_feed_forward(
    r: Tensor,
    attention_norm: nn.Module,
    ffn: FeedForward,
    ffn_norm: nn.LayerNorm,
    dropout_p: float,
) -> Tensor:
    """A = LayerNorm(r), X' = LayerNorm(FFN(A) + A): the second half of a layer (section 3.3).

    On a CPU some tokens after others, so that what lies between stays in cache, and keeping only r, W₁ A and
    FFN(A) + A for the backward pass.

    Args:
        r: <float>[..., C], the attention's output and what it is added to.
        attention_norm, ffn, ffn_norm: the layer's.
        dropout_p: dropout of FFN(A); 0 outside training.
    Returns:
        X' <float>[..., C].
    """
    inner_dropout = ffn.training and ffn.activation_dropout > 0
    plain = type(ffn.fc1) is nn.Linear and not ffn.gated and ffn.activation == "gelu"  # not quantized
    biased = ffn.fc1.bias is not None and ffn_norm.bias is not None
    elsewhere = r.device.type != "cpu" or is_exporting() or torch.is_autocast_enabled("cpu")
    if elsewhere or inner_dropout or not (plain and biased and isinstance(attention_norm, nn.LayerNorm)):

        def half(piece: Tensor) -> Tensor:
            a = attention_norm(piece)
            result: Tensor = ffn_norm(dropout(ffn(a), dropout_p) + a)
            return result

        return _in_pieces(half, r)
    modules = (attention_norm, ffn.fc1, ffn.fc2, ffn_norm)
    parameters = [p for module in modules for p in (module.weight, module.bias)]
    keep = torch.is_grad_enabled() and (r.requires_grad or any(p.requires_grad for p in parameters))
    seed = random_seed() if dropout_p else torch.zeros((), dtype=torch.int64)
    result, _, _ = _forward(r.flatten(0, -2), parameters, attention_norm.eps, ffn_norm.eps, dropout_p, seed, keep)
    return result.view(r.shape)


def feed_forward_of_normed(a: Tensor, ffn: FeedForward, ffn_norm: nn.LayerNorm, dropout_p: float) -> Tensor:
    """X' = FFN(LayerNorm(A)) + A, the second half of a layer with norms before the sub-layers.

    On a CPU some tokens after others, so that what lies between stays in cache.

    Args:
        a: <float>[..., C].
        ffn, ffn_norm: the layer's.
        dropout_p: dropout of the network's output; 0 outside training.
    Returns:
        X' <float>[..., C].
    """

    def half(piece: Tensor) -> Tensor:
        return dropout(ffn(ffn_norm(piece)), dropout_p) + piece

    return _in_pieces(half, a)


def _in_pieces(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``function`` of each token of <float>[..., C], in its shape; on a CPU some tokens after others."""
    whole = x.device.type != "cpu" or is_exporting() or torch.compiler.is_compiling()
    if whole or x.numel() <= CHUNK_SIZE * x.shape[-1]:
        return function(x)
    return torch.cat([function(piece) for piece in x.flatten(0, -2).split(CHUNK_SIZE)]).view(x.shape)


def _norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """LayerNorm, and the means and inverse deviations that its derivative takes."""
    return torch.ops.aten.native_layer_norm(x, x.shape[-1:], weight, bias, eps)  # type: ignore[no-any-return]


def _norm_gradients(
    grad: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of x <float>[N, C], and of weight and bias [C], which in half precision are summed, and returned, in float32."""
    half = x.dtype in HALF
    dx, dweight, dbias = torch.ops.aten.native_layer_norm_backward(
        grad, x, x.shape[1:], mean, rstd, weight, bias, [True, not half, not half]
    )
    if half:
        dweight = (grad * ((x - mean) * rstd)).sum(dim=0, dtype=torch.float32)
        dbias = grad.sum(dim=0, dtype=torch.float32)
    return dx, dweight, dbias


def _gelu(x: Tensor, out: Tensor) -> Tensor:
    return torch.ops.aten.gelu.out(x, out=out)  # type: ignore[no-any-return]


@torch.library.custom_op(
    "fairseq_littlebird::feed_forward",
    mutates_args=(),
    schema="(Tensor r, Tensor[] parameters, float eps, float ffn_eps, float dropout_p, Tensor seed, bool keep) "
    "-> (Tensor, Tensor, Tensor)",
)
def _forward(
    r: Tensor, parameters: list[Tensor], eps: float, ffn_eps: float, dropout_p: float, seed: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """X' [N, C]; where ``keep``, W₁ A [N, F] and FFN(A) + A [N, C], otherwise two empty tensors."""
    norm_weight, norm_bias, w1, b1, w2, b2, ffn_norm_weight, ffn_norm_bias = parameters
    N, C = r.shape
    result = torch.empty_like(r)
    hidden, sums = r.new_empty(N if keep else 0, len(w1)), r.new_empty(N if keep else 0, C)
    # used again for each piece
    inner, outer = r.new_empty(min(N, CHUNK_SIZE), len(w1)), r.new_empty(min(N, CHUNK_SIZE), C)
    generator = torch.Generator(r.device).manual_seed(int(seed))
    for start in range(0, N, CHUNK_SIZE):
        piece = slice(start, start + CHUNK_SIZE)
        a, _, _ = _norm(r[piece], norm_weight, norm_bias, eps)
        h, y = (hidden[piece] if keep else inner[: len(a)]), (sums[piece] if keep else outer[: len(a)])
        torch.addmm(b1, a, w1.t(), out=h)
        torch.addmm(b2, _gelu(h, out=inner[: len(a)]), w2.t(), out=y)
        if dropout_p:
            y.mul_(keep_mask(y, dropout_p, generator))
        y.add_(a)
        result[piece] = _norm(y, ffn_norm_weight, ffn_norm_bias, ffn_eps)[0]
    return result, hidden, sums


@_forward.register_fake
def _(
    r: Tensor, parameters: list[Tensor], eps: float, ffn_eps: float, dropout_p: float, seed: Tensor, keep: bool
) -> tuple[Tensor, Tensor, Tensor]:
    N, C = r.shape
    rows = N if keep else 0
    return torch.empty_like(r), r.new_empty(rows, parameters[2].shape[0]), r.new_empty(rows, C)


@torch.library.custom_op(
    "fairseq_littlebird::feed_forward_backward",
    mutates_args=(),
    schema="(Tensor grad, Tensor r, Tensor hidden, Tensor sums, Tensor[] parameters, float eps, float ffn_eps, "
    "float dropout_p, Tensor seed) -> Tensor[]",
)
def _backward(
    grad: Tensor,
    r: Tensor,
    hidden: Tensor,
    sums: Tensor,
    parameters: list[Tensor],
    eps: float,
    ffn_eps: float,
    dropout_p: float,
    seed: Tensor,
) -> list[Tensor]:
    """The gradients of r and of the parameters."""
    norm_weight, norm_bias, w1, _, w2, _, ffn_norm_weight, ffn_norm_bias = parameters
    dr, wide = torch.empty_like(r), torch.float32 if r.dtype in HALF else r.dtype  # of sums over all pieces
    # of no tokens, as of a batch of padding alone, there is no first piece to overwrite them
    matrix = torch.empty_like if len(r) else torch.zeros_like
    gradients = [matrix(p) if p.dim() > 1 else torch.zeros_like(p, dtype=wide) for p in parameters]
    dnorm_weight, dnorm_bias, dw1, db1, dw2, db2, dffn_norm_weight, dffn_norm_bias = gradients
    generator = torch.Generator(r.device).manual_seed(int(seed))
    gelu, dgelu = r.new_empty(2, min(len(r), CHUNK_SIZE), len(w1)).unbind(0)  # used again for each piece
    for start in range(0, len(r), CHUNK_SIZE):
        piece, beta = slice(start, start + CHUNK_SIZE), int(start > 0)  # the first piece overwrites what is not yet set
        a, mean, rstd = _norm(r[piece], norm_weight, norm_bias, eps)
        _, ffn_mean, ffn_rstd = _norm(sums[piece], ffn_norm_weight, ffn_norm_bias, ffn_eps)
        dsum, dweight, dbias = _norm_gradients(
            grad[piece], sums[piece], ffn_mean, ffn_rstd, ffn_norm_weight, ffn_norm_bias
        )
        dffn_norm_weight.add_(dweight)
        dffn_norm_bias.add_(dbias)
        dy = dsum
        if dropout_p:
            dy = dsum * keep_mask(dsum, dropout_p, generator)
        h = hidden[piece]
        dw2.addmm_(dy.t(), _gelu(h, out=gelu[: len(h)]), beta=beta)
        db2.add_(dy.sum(dim=0, dtype=wide))
        dh = torch.mm(dy, w2, out=dgelu[: len(h)])
        torch.ops.aten.gelu_backward.grad_input(dh, h, grad_input=dh)
        dw1.addmm_(dh.t(), a, beta=beta)
        db1.add_(dh.sum(dim=0, dtype=wide))
        da = dsum.addmm_(dh, w1)
        dr[piece], dweight, dbias = _norm_gradients(da, r[piece], mean, rstd, norm_weight, norm_bias)
        dnorm_weight.add_(dweight)
        dnorm_bias.add_(dbias)
    return [dr, *(gradient.to(p.dtype) for gradient, p in zip(gradients, parameters, strict=True))]


@_backward.register_fake
def _(grad: Tensor, r: Tensor, hidden: Tensor, sums: Tensor, parameters: list[Tensor], *_: Any) -> list[Tensor]:
    return [torch.empty_like(t) for t in (r, *parameters)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    r, parameters, *ctx.settings, seed, _ = inputs
    ctx.save_for_backward(r, output[1], output[2], seed, *parameters)


def _gradients(ctx: Any, grad: Tensor, *_: Any) -> tuple[Any, ...]:
    r, hidden, sums, seed, *parameters = ctx.saved_tensors
    dr, *gradients = _backward(grad.contiguous(), r, hidden, sums, parameters, *ctx.settings, seed)
    return dr, gradients, None, None, None, None, None


_forward.register_autograd(_gradients, setup_context=_save)
