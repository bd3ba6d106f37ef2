"""Kernels held to the float64 oracle, for device_kernels.py: result and every gradient, over sizes and kinds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fairseq_littlebird.attention import BiALiBi, dense_unpack_window_attention, unpack_window_attention

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
TOLERANCES = {"float32": 1e-4, "bfloat16": 2e-2, "float16": 2e-2}
SIZES = [  # L, b, S, D
    (1, 64, 64, 64),
    (63, 32, 0, 64),
    (65, 64, 1, 64),
    (70, 16, 3, 40),
    (90, 64, 16, 96),
    (111, 32, 32, 32),
    (300, 128, 128, 128),
    (515, 64, 64, 80),
    (1000, 64, 64, 64),
]
KINDS = ("padding", "plain", "no slopes", "all padding", "one projection")
NAMES = ("q", "k", "v", "pack_k", "pack_v")
BACKWARDS = ("separate", "fused")  # of triton


class Notes:
    """The file of findings."""

    def __init__(self, path: Path, step: str) -> None:
        self.path, self.step = path, step

    def add(self, **finding: Any) -> None:
        line = json.dumps({"step": self.step} | finding)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)


def take_backward(way: str) -> None:
    """Which of its backward passes ``triton`` runs from now on."""
    from fairseq_littlebird.attention.littlebird import triton as fused

    fused.BACKWARD = way


def arguments(size: tuple[int, ...], dtype: torch.dtype, device: str, kind: str) -> dict[str, Any]:
    """Tensors as a layer makes them, [B, L, H, D] in memory; ``kind`` says what is particular about them."""
    (L, _, S, D), B, H = size, 2, 4
    rng = torch.Generator().manual_seed(L)
    sizes = {"q": L, "k": L, "v": L, "pack_k": S, "pack_v": S}
    given: dict[str, Any] = {
        n: torch.randn(B, length, H, D, generator=rng).to(device, dtype).transpose(1, 2) for n, length in sizes.items()
    }
    if kind == "one projection":  # strides of a projection that makes q, k and v at once
        joined = torch.stack([given[n].transpose(1, 2) for n in ("q", "k", "v")], dim=2)
        given |= {n: joined[:, :, i].transpose(1, 2) for i, n in enumerate(("q", "k", "v"))}
    slopes = BiALiBi(H).to(device)
    slopes.alpha.data.fill_(0.3)
    given |= {"slopes": None if kind == "no slopes" else slopes, "positions": None, "padding_mask": None}
    if kind in ("padding", "all padding"):
        index = torch.arange(L)
        padding = torch.stack([(index < L // 7 * row) | (index >= L - L // 5 * (1 - row)) for row in range(B)])
        padding[0] |= kind == "all padding"
        positions = torch.randint(1, 4, (B, L), generator=rng).cumsum(1)
        given |= {"positions": positions.to(device), "padding_mask": padding.to(device)}
    return given


def values(function: Callable[..., Tensor], given: dict[str, Any], upstream: Tensor, b: int) -> list[Tensor]:
    """The result and every gradient, padded queries left out."""
    leaves = [given[n].detach().requires_grad_() for n in NAMES]
    slopes = given["slopes"]
    learned = [*leaves, *(slopes.parameters() if slopes is not None else ())]
    result = function(**given | dict(zip(NAMES, leaves, strict=True)), block_size=b)
    if given["padding_mask"] is not None:
        result = result.masked_fill(given["padding_mask"][:, None, :, None], 0.0)
    return [result.detach(), *torch.autograd.grad(result, learned, upstream, allow_unused=True)]


def errors(backend: str, size: tuple[int, ...], dtype: torch.dtype, device: str, kind: str) -> dict[str, float]:
    """Relative distances from the oracle: of the result, and the largest of the inputs' and the slopes' gradients."""
    b, given = size[1], arguments(size, dtype, device, kind)
    upstream = torch.randn_like(given["q"])
    actual = values(lambda **a: unpack_window_attention(**a, backend=backend), given, upstream, b)
    wide = given | {n: given[n].double() for n in NAMES}
    if given["slopes"] is not None:
        wide["slopes"] = BiALiBi(given["q"].shape[1]).to(device).double()
        wide["slopes"].load_state_dict(given["slopes"].state_dict())
    expected = values(lambda **a: dense_unpack_window_attention(**a)[0], wide, upstream.double(), b)
    far = [
        float((got.double() - wanted).norm() / (wanted.norm() + 0.1))
        for got, wanted in zip(actual, expected, strict=True)
        if wanted is not None
    ]
    again = values(lambda **a: unpack_window_attention(**a, backend=backend), given, upstream, b)
    same = all(torch.equal(one, other) for one, other in zip(actual, again, strict=True) if one is not None)
    slopes = {"slopes": max(far[6:])} if far[6:] else {}
    return {"result": far[0], "inputs": max(far[1:6])} | slopes | {"repeats": float(same)}


def dropout_errors(size: tuple[int, ...], dtype: torch.dtype, device: str) -> dict[str, float]:
    """What share of the weights was dropped where v is the identity, and how far a mean over draws is from none."""
    b, p = size[1], 0.25
    given = arguments(size, dtype, device, "plain")
    given |= {n: torch.ones_like(given[n]) for n in ("v", "pack_v")}
    with torch.no_grad():
        draws = [
            unpack_window_attention(**given, block_size=b, dropout_p=p, backend="triton").float() for _ in range(8)
        ]
    mean = torch.stack(draws).mean()  # a row of weights sums to 1, and to 1 in the mean where some are dropped
    return {"mean": float((mean - 1).abs()), "repeats": float(not torch.equal(draws[0], draws[1]))}


def check(notes: Notes, backend: str, dtype: str, device: str, longest: int) -> bool:
    """Whether all kinds and sizes up to a length are within tolerance."""
    good = True
    for size in (size for size in SIZES if size[0] <= longest):
        for kind in KINDS if backend == "triton" else KINDS[:2]:
            for way in BACKWARDS if backend == "triton" else ("",):
                where = {"backend": backend, "dtype": dtype, "L, b, S, D": size, "kind": kind}
                where |= {"backward": way} if way else {}
                try:
                    if way:
                        take_backward(way)
                    torch.compiler.reset()  # past a few shapes dynamo falls back to eager, with all scores in memory
                    far = errors(backend, size, DTYPES[dtype], device, kind)
                except Exception as error:
                    notes.add(**where, failed=describe(error))
                    good = False
                    continue
                # the rounded result enters the slopes' gradients of FlexAttention, times distances
                names = ("result", "inputs") if backend == "flex" else ("result", "inputs", "slopes")
                off = max(far[n] for n in names if n in far) > TOLERANCES[dtype] or not far["repeats"]
                good &= not off
                notes.add(**where, **far, off=off)
    if backend == "triton":
        far = dropout_errors((63, 32, 0, 64), DTYPES[dtype], device)
        off = far["mean"] > 0.05 or not far["repeats"]
        good &= not off
        notes.add(backend=backend, dtype=dtype, kind="dropout", **far, off=off)
    return good


def describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:500]
