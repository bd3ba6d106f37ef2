"""Windows and shares without a model."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from fairseq_littlebird.inference.evidence import Explanation, explanation
from fairseq_littlebird.inference.merging import Candidate, Prediction
from fairseq_littlebird.text.window import Window

BOS, MARK, EOS, WORD = 0, 3, 2, 9


class Attribution(NamedTuple):
    tokens: Tensor
    pack: Tensor
    through_pack: Tensor


def window_of(document: str, first: int = 0, stop: int | None = None, question: int = 5) -> Window:
    """A token a word, of the words first … stop - 1."""
    offsets = np.array([match.span() for match in re.finditer(r"\S+", document)], dtype=np.int64).reshape(-1, 2)
    offsets = offsets[first:stop]
    tokens = [BOS, MARK, *[WORD] * question, EOS, *[WORD] * len(offsets), EOS]
    return Window(np.array(tokens), question + 3, offsets, [], 0)


def random_attribution(length: int, pack_size: int, seed: int) -> Attribution:
    """Of a layer: any numbers that sum to 1 as they have to."""
    rng = torch.Generator().manual_seed(seed)
    tokens, reached = (torch.rand(shape, generator=rng) ** 8 for shape in ((1, length), (1, pack_size, length)))
    total = tokens.sum() + reached.sum()
    return Attribution(tokens / total, reached.sum(dim=2) / total, reached / total)


@pytest.fixture(scope="session")
def make_window() -> Callable[..., Window]:
    return window_of


@pytest.fixture(scope="session")
def make_attribution() -> Callable[..., Attribution]:
    return random_attribution


@pytest.fixture(scope="session")
def explained() -> Callable[..., Prediction]:
    """``explained(document, answer)``: a prediction of that text, with an explanation from random attributions."""

    def explained(document: str, answer: str, name: str = "q1", words: tuple[int, Any] = (0, None), **more: Any) -> Any:
        start = document.index(answer)
        window = window_of(document, *words)
        layers = [random_attribution(len(window.tokens), 3, seed) for seed in range(2)]
        found: Explanation = explanation(document, window, 0, (start, start + len(answer)), layers, 8)
        candidates = (Candidate(answer, start, start + len(answer), 0.75, 0), Candidate(document[:9], 0, 9, 0.125, 0))
        texts = {"document": document, "question": "Who?", "explanation": found}
        return Prediction(name, candidates, -1.5, **texts | more)

    return explained
