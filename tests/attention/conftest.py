"""What the attention tests compare with, and how."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from fairseq_littlebird.attention import BiALiBi


def literal_attention(
    q: Tensor, k: Tensor, v: Tensor, pack_k: Tensor, pack_v: Tensor, slopes: Any, positions: Any, padding: Any, b: int
) -> tuple[Tensor, Tensor]:
    """The definition, one pair of tokens at a time, in plain Python numbers.

    Same arguments and results as ``dense_unpack_window_attention``.
    """
    (B, H, L, D), S = q.shape, pack_k.shape[2]
    result, probabilities = (
        torch.zeros(B, H, L, D, dtype=torch.float64),
        torch.zeros(B, H, L, S + L, dtype=torch.float64),
    )
    for n in range(B):
        p = list(range(L)) if positions is None else positions[n].tolist()
        for h in range(H):
            alpha, beta, gamma = (s[h].item() for s in (slopes.alpha, slopes.beta, slopes.gamma))
            for i in range(L):
                scores = {}
                for s in range(S):
                    scores[s] = float(q[n, h, i] @ pack_k[n, h, s]) / math.sqrt(D) - (beta + gamma) / 2 * b
                for j in range(L):
                    own, other = i // b, j // b
                    if other not in {0, own - 1, own, own + 1} or (padding is not None and padding[n, j]):
                        continue
                    if i == j:
                        distance = 0.0
                    elif i == 0 or j == 0:
                        distance = alpha
                    elif j < i:
                        distance = beta * (p[i] - p[j])
                    else:
                        distance = gamma * (p[j] - p[i])
                    scores[S + j] = float(q[n, h, i] @ k[n, h, j]) / math.sqrt(D) - distance
                if not scores:
                    continue
                largest = max(scores.values())
                total = sum(math.exp(score - largest) for score in scores.values())
                for key, score in scores.items():
                    weight = math.exp(score - largest) / total
                    probabilities[n, h, i, key] = weight
                    result[n, h, i] += weight * (pack_v[n, h, key] if key < S else v[n, h, key - S])
    return result, probabilities


def make_inputs(
    B: int = 2,
    H: int = 2,
    L: int = 7,
    D: int = 4,
    S: int = 3,
    seed: int = 0,
    left: tuple[int, ...] | None = None,
    right: tuple[int, ...] | None = None,
    max_gap: int = 0,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Any]:
    """Random arguments of ``unpack_window_attention`` by name, without the block size.

    Args:
        left, right: tokens of padding on either side of each row, None for no padding mask at all.
        max_gap: largest step between position ids beyond 1; 0 gives None, negative allows equal ids.
    """
    rng = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)

    slopes = BiALiBi(H)
    for slope in slopes.parameters():  # both signs
        slope.data = torch.randn(H, generator=rng) * 0.3
    slopes = slopes.to(dtype if dtype == torch.float64 else torch.float32)
    q, k, v = random(B, H, L, D), random(B, H, L, D), random(B, H, L, D)
    pack_k, pack_v = random(B, H, S, D), random(B, H, S, D)
    padding = None
    if left is not None and right is not None:
        index = torch.arange(L)
        padding = torch.stack([(index < a) | (index >= L - z) for a, z in zip(left, right, strict=True)])
    positions = None
    if max_gap:
        steps = torch.randint(0 if max_gap < 0 else 1, abs(max_gap) + 2, (B, L), generator=rng)
        steps[:, 0] = 0
        positions = steps.cumsum(1)
    return {
        "q": q,
        "k": k,
        "v": v,
        "pack_k": pack_k,
        "pack_v": pack_v,
        "slopes": slopes,
        "positions": positions,
        "padding_mask": padding,
    }


def gradients(
    function: Any, inputs: dict[str, Any], dtype: torch.dtype = torch.float64, **options: Any
) -> dict[str, Tensor]:
    """The result but at padding, and the gradient of every differentiable input for one random gradient of it.

    ``dtype`` is what that gradient is rounded to, so that all computations start from the same numbers.
    """
    names = ("q", "k", "v", "pack_k", "pack_v")
    leaves = {name: inputs[name].detach().clone().requires_grad_() for name in names}
    leaves |= {name: p for name, p in inputs["slopes"].named_parameters()}
    for leaf in leaves.values():
        leaf.grad = None
    arguments = inputs | {name: leaves[name] for name in names}
    result = function(**arguments, **options)
    result = result[0] if isinstance(result, tuple) else result
    rng = torch.Generator().manual_seed(1)
    upstream = torch.randn(result.shape, generator=rng, dtype=torch.float64)
    if inputs["padding_mask"] is not None:  # what stands there is undefined, and no loss reads it
        real = ~inputs["padding_mask"][:, None, :, None]
        result, upstream = result.masked_fill(~real, 0.0), upstream * real
    result.backward(upstream.to(dtype).to(result.dtype))
    out = {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad.clone() for name, leaf in leaves.items()}
    return {"result": result.detach()} | out


def in_float64(inputs: dict[str, Any]) -> dict[str, Any]:
    """The same numbers, wider."""
    slopes = BiALiBi(len(inputs["slopes"].alpha)).double()
    slopes.load_state_dict(inputs["slopes"].state_dict())
    wide = {n: t.double() for n, t in inputs.items() if isinstance(t, Tensor) and t.is_floating_point()}
    return inputs | wide | {"slopes": slopes}


def assert_close(
    actual: dict[str, Tensor],
    expected: dict[str, Tensor],
    relative: float,
    reach: float = 0.0,
    unavoidable: dict[str, float] | None = None,
) -> None:
    """‖actual - expected‖ ≤ relative · (‖expected‖ + what its terms cancel), tensor by tensor.

    Gradients may vanish in exact arithmetic; their terms are of order 1, those of a slope of its distances.

    Args:
        reach: the largest distance between two position ids.
        unavoidable: errors that are allowed on top.
    """
    assert actual.keys() == expected.keys()
    for name, wanted in expected.items():
        got = actual[name].double()
        assert got.isfinite().all(), name
        terms = 0.1 + (1e-3 * reach if name in ("beta", "gamma") else 0.0)
        error, norm = float((got - wanted).norm()), float(wanted.norm())
        allowed = relative * (norm + terms) + (unavoidable or {}).get(name, 0.0)
        assert error <= allowed, f"{name}: off by {error}, its norm is {norm}"


@pytest.fixture(scope="session")
def tools() -> Any:
    """The functions of this file by name (test files cannot import from it)."""
    from types import SimpleNamespace

    return SimpleNamespace(
        literal_attention=literal_attention,
        make_inputs=make_inputs,
        gradients=gradients,
        in_float64=in_float64,
        assert_close=assert_close,
    )
