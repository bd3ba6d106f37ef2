"""A piece of a document, with its question, as the model reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fairseq_littlebird.text.answer_spec import CANDIDATES, Segments
from fairseq_littlebird.text.example import NULL_TYPE
from fairseq_littlebird.text.tokenizers import QUESTION

SYMBOLS = ("<s>", QUESTION, "</s>")
GAP = 32  # positions between paragraphs (appendix A.2)
NOT_CONTEXT = 4  # <s>, [QUESTION] and two </s>


@dataclass(frozen=True)
class Window:
    """One model input.

    Args:
        tokens: int64[L], ``<s> [QUESTION] question </s> context </s>``.
        context_start: index in ``tokens`` of the first context token.
        offsets: int64[n, 2], [start, end) character in the document of each context token.
        spans: first and last index in ``tokens``, inclusive, of each answer that lies wholly in here.
        example: index of the example that the window belongs to.
        positions: int64[L], position ids with the gaps between paragraphs, or None for 0 ... L-1.
        segments: int64[m, 2], first and last index in ``tokens``, inclusive, of each segment wholly in here.
        segment_ids: int64[m], their indices among the example's segments.
        gold_segments: bool[m].
        answer_type: the example's answer type, an index of its data set's types; -1 where it has none.
    """

    tokens: np.ndarray
    context_start: int
    offsets: np.ndarray
    spans: list[tuple[int, int]]
    example: int
    positions: np.ndarray | None = None
    segments: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    segment_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    gold_segments: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    answer_type: int = -1


@dataclass(frozen=True)
class WindowFormat:
    """What the windows of a data set have in common.

    Args:
        symbols: the ids of ``SYMBOLS``.
        answer_types: of the data set.
        segments: what its segments are, see ``AnswerSpec``.
    """

    symbols: Mapping[str, int]
    answer_types: Sequence[str] = ()
    segments: Segments = ""


def assemble(
    example: int,
    start: int,
    question: np.ndarray,
    context: np.ndarray,
    offsets: np.ndarray,
    form: WindowFormat,
    spans: np.ndarray,
    segments: np.ndarray,
    answer_type: int = -1,
    gap: int = GAP,
) -> Window:
    """The window of a part of a document.

    Args:
        example: index of the question among all.
        start: index of the part's first token in the document.
        question: integer[q], token ids.
        context: integer[n], token ids of the part.
        offsets: int64[n, 2], [start, end) characters of each.
        form: of the data set's windows.
        spans: integer[a, 2], first and last token of each answer in the document, inclusive.
        segments: integer[m, 3], first and last token of each segment, and whether it is gold.
        answer_type: an index of ``form.answer_types``; -1 for none.
        gap: virtual paddings between paragraphs, in positions.
    """
    bos, mark, eos = (form.symbols[symbol] for symbol in SYMBOLS)
    here = np.array([[start, start + len(context)]])
    context_start = len(question) + 3
    inside = spans[holds(here, spans)[0]] + (context_start - start)
    tokens = np.concatenate([[bos, mark], question, [eos], context, [eos]], dtype=np.int64)
    separators = np.flatnonzero(context == eos)
    if form.segments == CANDIDATES and len(segments):  # candidates are not paragraphs
        separators = separators[separators + start > segments[:, 1].max()][1:]
    gaps = separators + context_start
    kept = np.flatnonzero(holds(here, segments[:, :2])[0])
    answered = len(inside) or segments[kept, 2].any()
    if answer_type >= 0 and not answered and NULL_TYPE in form.answer_types:
        answer_type = form.answer_types.index(NULL_TYPE)
    return Window(
        tokens=tokens,
        context_start=context_start,
        offsets=offsets,
        spans=list(dict.fromkeys((first, last) for first, last in inside.tolist())),
        example=example,
        positions=after_gaps(len(tokens), gaps, gap) if len(gaps) and gap else None,
        segments=segments[kept, :2].astype(np.int64) + (context_start - start),
        segment_ids=kept,
        gold_segments=segments[kept, 2].astype(bool),
        answer_type=answer_type,
    )


def after_gaps(length: int, gaps: np.ndarray, gap: int = GAP) -> np.ndarray:
    """Position ids int64[length] with ``gap`` positions skipped after each of the tokens ``gaps``."""
    before = np.zeros(length + 1, dtype=np.int64)
    before[gaps + 1] = gap
    return np.arange(length) + before[:length].cumsum()


def holds(windows: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Which windows hold which answers wholly.

    Args:
        windows: integer[w, 2], first context token and the one after the last.
        spans: integer[s, 2], first and last token, inclusive.

    Returns:
        bool[w, s]
    """
    return (windows[:, :1] <= spans[:, 0]) & (spans[:, 1] < windows[:, 1:])
