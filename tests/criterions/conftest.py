"""Small batches, and a model whose logits are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITING = {
    "_local_scalar_dense", "item", "is_nonzero", "nonzero", "nonzero_numpy", "argwhere", "masked_select", "equal",
    "allclose", "bincount", "_unique", "_unique2", "unique_dim", "unique_consecutive", "repeat_interleave",
}  # fmt: skip
DRAWN = {"randint", "rand", "randperm"}  # scalars of the host's own generator are no device's


class KnownModel:
    """Gives logits that put all weight on given spans; stands in for LittleBirdModel."""

    training = False

    def __init__(self, starts: list[int], ends: list[int], confidence: float = 20.0) -> None:
        self.spans, self.confidence = (torch.tensor(starts), torch.tensor(ends)), confidence
        self.span_head = self

    def __call__(self, src_tokens: Any, questions: Any, starts: Any, **unused: Any) -> Any:
        rows = src_tokens[:, 0]  # a test puts the row's number there
        hidden = (
            torch.nn.functional.one_hot(rows, len(self.spans[0])).float()[:, None].repeat(1, src_tokens.shape[1], 1)
        )
        extra = {
            "start_logits": self.start_logits(hidden, questions),
            "end_logits": self.end_logits(hidden, questions, starts),
        }
        return hidden, extra

    def start_logits(self, hidden: Any, questions: Any) -> torch.Tensor:
        return self.logits(hidden, questions, self.spans[0])

    def end_logits(self, hidden: Any, questions: Any, starts: Any) -> torch.Tensor:
        return self.logits(hidden, questions, self.spans[1])

    def logits(self, hidden: Any, questions: Any, at: torch.Tensor) -> torch.Tensor:
        place = at[hidden[:, 0].argmax(-1)]
        one_hot = torch.nn.functional.one_hot(place, hidden.shape[1]).float() * self.confidence
        return one_hot[:, None].expand(-1, questions.shape[1], -1)


@pytest.fixture(scope="session")
def known_model() -> type[KnownModel]:
    return KnownModel


@pytest.fixture(scope="session")
def rows() -> Any:
    """``rows(n, L)``: arguments of span_batch for n rows of L tokens, the row's number first."""

    def rows(n: int, L: int) -> SimpleNamespace:
        tokens = [np.array([row, *range(4, 3 + L)]) for row in range(n)]
        return SimpleNamespace(tokens=tokens, selectable=[np.ones(L, dtype=bool)] * n)

    return rows


class Waits(TorchDispatchMode):
    """The operators of a computation whose result's size or value a host must wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.of_host: dict[int, torch.Tensor] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.split("::")[1]
        result = func(*args, **kwargs or {})
        if name in DRAWN and isinstance(result, torch.Tensor) and result.dim() == 0:
            self.of_host[result.data_ptr()] = result  # kept, so that no other number gets its place
        masks = [t for t in (args[1] if name in ("index", "index_put", "index_put_") else ()) if t is not None]
        waits = name in WAITING and args[0].data_ptr() not in self.of_host
        if waits or any(t.dtype == torch.bool for t in masks):
            self.found.append(name)
        return result


@pytest.fixture(scope="session")
def waits() -> type[Waits]:
    return Waits
