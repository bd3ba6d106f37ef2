"""The answers of a question from the spans of its windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from fairseq_littlebird.inference.evidence import Explanation
from fairseq_littlebird.inference.span_decoding import DecodedSpans
from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.window import Window


@dataclass(frozen=True)
class Candidate:
    """An answer. ``start`` and ``end`` are character offsets in the document, the end exclusive."""

    text: str
    start: int
    end: int
    probability: float  # of this span in its window, or among all windows if they share a normaliser
    window: int  # the window's index among the question's


@dataclass(frozen=True)
class Prediction:
    """What a model says to one question.

    Args:
        id: the question's.
        candidates: best first, no span twice.
        null_odds: log probability of "no answer" minus that of the best candidate; positive where no answer is
            the likelier.
        segments: the probability of each of the example's segments.
        answer_type: the name of the kind of answer, in data sets that have some.
        segment_names: of those segments.
        type_probability: of that kind of answer, in the window that decided on it.
        document: what ``start`` and ``end`` of the candidates count in.
        question, title: the question's, and its document's.
        explanation: where the attention of the best candidate goes, where that was asked for.
        windows: the first character of each window's part of the document, and the one after its last.
        reachable: whether a gold answer could have been predicted; None where no gold answer is a span.
    """

    id: str
    candidates: tuple[Candidate, ...]
    null_odds: float
    segments: tuple[float, ...] = ()
    answer_type: str = ""
    segment_names: tuple[str, ...] = ()
    type_probability: float = 0.0
    document: str = field(default="", repr=False)
    question: str = field(default="", repr=False)
    title: str = field(default="", repr=False)
    explanation: Explanation | None = field(default=None, repr=False)
    windows: tuple[tuple[int, int], ...] = field(default=(), repr=False)
    reachable: bool | None = None

    def text(self, null_threshold: float | None = None) -> str:
        """The best answer; empty if there is none, or if ``null_odds`` is above the threshold."""
        if not self.candidates or (null_threshold is not None and self.null_odds > null_threshold):
            return ""
        return self.candidates[0].text


def without_overlaps(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The candidates that share no character with a better one; they come best first."""
    kept: list[Candidate] = []
    for candidate in candidates:
        if all(candidate.end <= better.start or better.end <= candidate.start for better in kept):
            kept.append(candidate)
    return tuple(kept)


def merge_windows(
    example: QAExample,
    windows: Sequence[Window],
    spans: DecodedSpans,
    n_best: int = 20,
    shared: bool = False,
    longest_words: int | None = None,
) -> Prediction:
    """Ranks the spans of all windows by their probability within their own window, or among all windows.

    A window that lacks the answer gives its probability to "no answer", so windows compare. The document answers
    the question if any window does: its null score is the smallest of its windows'.

    Args:
        example: the question.
        windows: its windows, in order.
        spans: their decoded spans, one row a window.
        n_best: candidates kept.
        shared: the windows share one normaliser, as in training with noisy answers.
        longest_words: words of a candidate at most; None for any number.
    """
    best: dict[tuple[int, int], tuple[float, int]] = {}
    shares = (
        spans.log_normaliser.log_softmax(dim=0) if shared else spans.log_normaliser.new_zeros(len(windows))
    ).tolist()
    for w, window in enumerate(windows):
        rows = zip(*(t[w].tolist() for t in spans[:3]), strict=True)
        for first, last, log_probability in rows:
            if log_probability == -math.inf:
                continue
            characters = (
                int(window.offsets[first - window.context_start, 0]),
                int(window.offsets[last - window.context_start, 1]),
            )
            if characters[0] == characters[1]:  # a token without text, such as a separator of paragraphs
                continue
            if longest_words is not None and len(example.document[slice(*characters)].split()) > longest_words:
                continue
            if log_probability + shares[w] > best.get(characters, (-math.inf, 0))[0]:
                best[characters] = (log_probability + shares[w], w)
    # equal probabilities: the earlier span, whatever the order of the windows
    ranked = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))[:n_best]
    candidates = tuple(
        Candidate(example.document[start:end], start, end, math.exp(log_probability), w)
        for (start, end), (log_probability, w) in ranked
    )
    null = min(spans.null_log_probability.tolist(), default=0.0)
    best_log = ranked[0][1][0] if ranked else -math.inf
    names = tuple(segment.name for segment in example.segments)
    odds = max(-1e9, min(1e9, null - best_log))
    return Prediction(
        example.id,
        candidates,
        odds,
        segment_names=names,
        document=example.document,
        question=example.question,
        title=example.title,
    )
