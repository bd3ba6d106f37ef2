"""Where an answer's attention goes: by way, by packed row, and along the document.

Legend: B = 1 window, L tokens, n of them context, S pack size.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from torch import Tensor

from fairseq_littlebird.text.window import Window

OWN, SINKS, GLOBAL, WINDOW, PACKED, ELSEWHERE = "own", "sinks", "global", "window", "packed", "elsewhere"
SENTENCE_END = re.compile(r"(?:[.?!؟…][\"'”’»)\]]*\s|[。！？]|\n)\s*")
LONGEST = 64
"""Tokens of a passage after which it ends at the next space."""


class LayerShares(Protocol):
    """Means over the heads and the answer's tokens; together they sum to 1."""

    @property
    def tokens(self) -> Tensor: ...  # <float>[1, L], of what goes to each token directly

    @property
    def packed(self) -> Tensor: ...  # <float>[1, S], of what goes to each packed row

    @property
    def reached(self) -> Tensor: ...  # <float>[1, S, L], the same by the tokens that the packed row attends to


@dataclass(frozen=True)
class Passage:
    """Part of a document, in characters, and the share of the attention that goes there.

    Args:
        text: the part.
        start: its first character.
        end: the character after its last.
        weight: the share, 0 to 1.
        packed: what of it goes through the pack vectors.
    """

    text: str
    start: int
    end: int
    weight: float
    packed: float


@dataclass(frozen=True)
class PackedRow:
    """A row of the pack, the share of the attention that goes through it, and where it leads most.

    Args:
        index: of the row, from 0.
        weight: the share, 0 to 1.
        passages: where it leads, the largest share first; ``weight`` is what goes there through this row.
    """

    index: int
    weight: float
    passages: tuple[Passage, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where the attention of an answer's tokens goes in the window that gave it, as a mean over heads and layers.

    Of LittleBird, ``shares`` has ``own``, the answer's own tokens; ``sinks``, ``<s>``, ``[QUESTION]`` and ``</s>``;
    ``global``, other tokens of the first block, where the question stands; ``window``, other tokens of the answer's
    block and the blocks beside it; and ``packed``, what goes through the pack vectors. Of full attention it has
    ``own``, ``sinks`` and ``elsewhere``. They sum to 1.

    Args:
        answer: the answer; its weight is what goes to it.
        window: the index of its window among the question's.
        shares: mean over the layers.
        layers: the shares of each.
        passages: of the document, the largest share first, no two overlapping.
        rows: the pack vectors with the largest shares, the largest first.
        offsets: int64[n, 2], the [start, end) character of each context token.
        weights: float32[n], what goes to each of them.
        packed: float32[n], what of it goes through the pack vectors.
    """

    answer: Passage
    window: int
    shares: dict[str, float]
    layers: tuple[dict[str, float], ...]
    passages: tuple[Passage, ...]
    rows: tuple[PackedRow, ...]
    offsets: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    packed: np.ndarray = field(repr=False)


def answer_tokens(window: Window, start: int, end: int) -> tuple[int, int]:
    """First and last index in ``window.tokens`` of what overlaps the document's characters start … end - 1."""
    first, stop = window.offsets.T
    inside = (first < end) & (stop > start)
    if not inside.any():  # an answer without characters, such as a separator of paragraphs
        inside = (first >= start) & (stop <= end)
    return tuple((np.flatnonzero(inside)[[0, -1]] + window.context_start).tolist())


def explanation(
    document: str,
    window: Window,
    number: int,
    answer: tuple[int, int],
    layers: Sequence[LayerShares],
    block_size: int | None,
    passages: int = 8,
    rows: int = 4,
) -> Explanation:
    """
    Args:
        document: the whole document.
        window: that gave the answer.
        number: its index among the question's.
        answer: first character, and the one after the last.
        layers: of the model, from the answer's tokens.
        block_size: b; None of full attention.
        passages: as many at most.
        rows: pack vectors at most.
    """
    first, last = answer_tokens(window, *answer)
    kinds = _kinds(window, first, last, block_size)
    shares = [_by_kind(layer, kinds) for layer in layers]
    context = slice(window.context_start, window.context_start + len(window.offsets))
    direct = np.mean([layer.tokens[0, context].float().cpu().numpy() for layer in layers], axis=0)
    through = np.mean([layer.packed[0].float().cpu().numpy() for layer in layers], axis=0)
    reached = sum(layer.reached[0, :, context].float().cpu() for layer in layers)
    by_row = reached.numpy() / len(layers)  # type: ignore[union-attr]
    packed = by_row.sum(axis=0)
    cuts = _cuts(document, window.offsets)
    best_rows = np.argsort(-through, kind="stable")[:rows].tolist()
    inside = slice(first - window.context_start, last - window.context_start + 1)
    return Explanation(
        Passage(document[slice(*answer)], *answer, float((direct + packed)[inside].sum()), float(packed[inside].sum())),
        number,
        {kind: sum(layer[kind] for layer in shares) / len(shares) for kind in shares[0]},
        tuple(shares),
        _passages(document, window.offsets, cuts, direct + packed, packed, passages),
        tuple(
            PackedRow(
                row,
                float(through[row]),
                _passages(document, window.offsets, cuts, by_row[row], by_row[row], 3),
            )
            for row in best_rows
        ),
        window.offsets,
        direct + packed,
        packed,
    )


def _kinds(window: Window, first: int, last: int, block_size: int | None) -> dict[str, np.ndarray]:
    """Which tokens are of which kind: bool[L] each, every token of one."""
    L = len(window.tokens)
    own = np.zeros(L, bool)
    own[first : last + 1] = True
    sinks = np.isin(window.tokens, window.tokens[[0, 1, -1]]) & ~own
    rest = ~own & ~sinks
    if block_size is None:
        return {OWN: own, SINKS: sinks, ELSEWHERE: rest}
    beginning = np.arange(L) < block_size
    return {OWN: own, SINKS: sinks, GLOBAL: rest & beginning, WINDOW: rest & ~beginning}


def _by_kind(layer: LayerShares, kinds: dict[str, np.ndarray]) -> dict[str, float]:
    tokens = layer.tokens[0].double().cpu().numpy()
    shares = {kind: float(tokens[members].sum()) for kind, members in kinds.items()}
    if ELSEWHERE not in kinds:
        shares[PACKED] = float(layer.packed.double().sum())
    return shares


def _cuts(document: str, offsets: np.ndarray) -> np.ndarray:
    """Indices of the tokens that begin a passage: int64[p]; a sentence, or what of it is not too long."""
    if not len(offsets):
        return np.zeros(0, np.int64)
    first, stop = int(offsets[0, 0]), int(offsets[:, 1].max())
    ends = np.array([match.end() for match in SENTENCE_END.finditer(document, first, stop)], dtype=np.int64)
    sentence = np.searchsorted(ends, offsets[:, 0], side="right")
    cuts, begun = [0], 0
    for token, start in enumerate(offsets[:, 0].tolist()):
        new = sentence[token] != sentence[token - 1]
        long = token - begun >= LONGEST and (document[start - 1 : start].isspace() or token - begun >= 2 * LONGEST)
        if token and (new or long):
            cuts.append(token)
            begun = token
    return np.array(cuts)


def _passages(
    document: str, offsets: np.ndarray, cuts: np.ndarray, weights: np.ndarray, packed: np.ndarray, most: int
) -> tuple[Passage, ...]:
    """The passages with the largest shares of float[n] weights, the largest first."""
    written = offsets[:, 1] > offsets[:, 0]  # a separator of paragraphs is a token of no characters
    totals, through = (np.add.reduceat(np.where(written, part, 0), cuts) for part in (weights, packed))
    stops = [*cuts[1:].tolist(), len(offsets)]
    found = []
    for n in np.argsort(-totals, kind="stable")[:most].tolist():
        part = offsets[cuts[n] : stops[n]][written[cuts[n] : stops[n]]]
        if len(part):
            start, end = int(part[:, 0].min()), int(part[:, 1].max())
            found.append(Passage(document[start:end], start, end, float(totals[n]), float(through[n])))
    return tuple(found)
