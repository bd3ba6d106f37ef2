"""Where an answer's attention goes: by destination, by pack vector, and along the document.

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

OWN, SINKS, GLOBAL, WINDOW, PACK, ELSEWHERE = "own", "sinks", "global", "window", "pack", "elsewhere"
SENTENCE_END = re.compile(r"(?:[.?!؟…][\"'”’»)\]]*\s|[。！？]|\n)\s*")
LONGEST = 64
"""Tokens of a passage after which it ends at the next space."""


class LayerAttribution(Protocol):
    """Means over the heads and the answer's tokens; together they sum to 1."""

    @property
    def tokens(self) -> Tensor: ...  # <float>[1, L], of what goes to each token directly

    @property
    def pack(self) -> Tensor: ...  # <float>[1, S], of what goes to each pack vector

    @property
    def through_pack(self) -> Tensor: ...  # <float>[1, S, L], the same by the tokens that the pack vector attends to


@dataclass(frozen=True)
class Passage:
    """Part of a document, in characters, and the share of the attention that goes there.

    Args:
        text: the part.
        start: its first character.
        end: the character after its last.
        weight: the share, 0 to 1.
        through_pack: what of it goes through the pack vectors.
    """

    text: str
    start: int
    end: int
    weight: float
    through_pack: float


@dataclass(frozen=True)
class PackVector:
    """A pack vector, the share of the attention that goes through it, and where it leads most.

    Args:
        index: from 0.
        weight: the share, 0 to 1.
        passages: where it leads, the largest share first; ``weight`` is what goes there through this vector.
    """

    index: int
    weight: float
    passages: tuple[Passage, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where the attention of an answer's tokens goes in the window that gave it, as a mean over heads and layers.

    Of LittleBird, ``attribution`` has ``own``, the answer's own tokens; ``sinks``, ``<s>``, ``[QUESTION]`` and
    ``</s>``; ``global``, other tokens of the first block, where the question stands; ``window``, other tokens of the
    answer's block and the blocks beside it; and ``pack``, what goes through the pack vectors. Of full attention it has
    ``own``, ``sinks`` and ``elsewhere``. They sum to 1.

    Args:
        answer: the answer; its weight is what goes to it.
        window: the index of its window among the question's.
        attribution: shares by destination, mean over the layers.
        layers: the same of each layer.
        passages: of the document, the largest share first, no two overlapping.
        pack_vectors: those with the largest shares, the largest first.
        offsets: int64[n, 2], the [start, end) character of each context token.
        weights: float32[n], what goes to each of them.
        through_pack: float32[n], what of it goes through the pack vectors.
    """

    answer: Passage
    window: int
    attribution: dict[str, float]
    layers: tuple[dict[str, float], ...]
    passages: tuple[Passage, ...]
    pack_vectors: tuple[PackVector, ...]
    offsets: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    through_pack: np.ndarray = field(repr=False)


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
    layers: Sequence[LayerAttribution],
    block_size: int | None,
    passages: int = 8,
    pack_vectors: int = 4,
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
        pack_vectors: as many at most.
    """
    first, last = answer_tokens(window, *answer)
    kinds = _kinds(window, first, last, block_size)
    attributions = [_by_kind(layer, kinds) for layer in layers]
    context = slice(window.context_start, window.context_start + len(window.offsets))
    direct = np.mean([layer.tokens[0, context].float().cpu().numpy() for layer in layers], axis=0)
    to_pack = np.mean([layer.pack[0].float().cpu().numpy() for layer in layers], axis=0)
    by_pack_and_token = sum(layer.through_pack[0, :, context].float().cpu() for layer in layers)
    by_vector = by_pack_and_token.numpy() / len(layers)  # type: ignore[union-attr]
    through_pack = by_vector.sum(axis=0)
    cuts = _cuts(document, window.offsets)
    largest = np.argsort(-to_pack, kind="stable")[:pack_vectors].tolist()
    inside = slice(first - window.context_start, last - window.context_start + 1)
    return Explanation(
        Passage(
            document[slice(*answer)],
            *answer,
            float((direct + through_pack)[inside].sum()),
            float(through_pack[inside].sum()),
        ),
        number,
        {kind: sum(layer[kind] for layer in attributions) / len(attributions) for kind in attributions[0]},
        tuple(attributions),
        _passages(document, window.offsets, cuts, direct + through_pack, through_pack, passages),
        tuple(
            PackVector(
                n,
                float(to_pack[n]),
                _passages(document, window.offsets, cuts, by_vector[n], by_vector[n], 3),
            )
            for n in largest
        ),
        window.offsets,
        direct + through_pack,
        through_pack,
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


def _by_kind(layer: LayerAttribution, kinds: dict[str, np.ndarray]) -> dict[str, float]:
    tokens = layer.tokens[0].double().cpu().numpy()
    shares = {kind: float(tokens[members].sum()) for kind, members in kinds.items()}
    if ELSEWHERE not in kinds:
        shares[PACK] = float(layer.pack.double().sum())
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
    document: str, offsets: np.ndarray, cuts: np.ndarray, weights: np.ndarray, through_pack: np.ndarray, most: int
) -> tuple[Passage, ...]:
    """The passages with the largest shares of float[n] weights, the largest first."""
    written = offsets[:, 1] > offsets[:, 0]  # a separator of paragraphs is a token of no characters
    totals, of_pack = (np.add.reduceat(np.where(written, part, 0), cuts) for part in (weights, through_pack))
    stops = [*cuts[1:].tolist(), len(offsets)]
    found = []
    for n in np.argsort(-totals, kind="stable")[:most].tolist():
        part = offsets[cuts[n] : stops[n]][written[cuts[n] : stops[n]]]
        if len(part):
            start, end = int(part[:, 0].min()), int(part[:, 1].max())
            found.append(Passage(document[start:end], start, end, float(totals[n]), float(of_pack[n])))
    return tuple(found)
