"""The answers of a question from the spans of its windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from fairseq_littlebird.inference.evidence import Explanation
from fairseq_littlebird.inference.span_decoding import DecodedSpans
from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.tokenizers.offsets import without_blanks
from fairseq_littlebird.text.window import Window


@dataclass(frozen=True)
class Candidate:
    """An answer. ``start`` and ``end`` are character offsets in the document, the end exclusive."""

    text: str
    start: int
    end: int
    probability: float  # of this span among those of all windows of the question
    window: int  # the window's index among the question's


@dataclass(frozen=True)
class Prediction:
    """What a model says to one question.

    Args:
        id: the question's.
        candidates: best first, no span twice.
        null_odds: log odds of "no answer" against the best candidate, see :func:`null_odds`; positive where no
            answer is the likelier.
        segments: the probability of each of the example's segments.
        answer_type: the name of the answer type, in data sets that have some.
        segment_names: of those segments.
        type_probability: of that answer type, in the window that decided on it.
        document: what ``start`` and ``end`` of the candidates count in.
        question, title: the question's, and its document's.
        explanation: where the attention of the best candidate goes, where that was asked for.
        windows: the first character of each window's part of the document, and the one after its last.
        reachable: whether a gold answer could have been predicted; None where no gold answer is a span.
        index: of the question in its file, which files of predictions are ordered by.
        log_normaliser: of the candidates' probabilities, on the scale that the windows of all documents share.
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
    index: int = 0
    log_normaliser: float = 0.0

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


def null_odds(spans: DecodedSpans, best: float) -> float:
    """Log odds of "no answer" against the best span, both on the scale that the windows share.

    "No answer" is a start at the [CLS] of any window.

    Args:
        spans: of a question's windows.
        best: score of its best span; -inf where there is none.
    Returns:
        at most 1e9, also where there is no span.
    """
    null = spans.null_score.logsumexp(dim=0).item() if len(spans.null_score) else 0.0
    return max(-1e9, min(1e9, null - best))


def merge_windows(
    example: QAExample,
    windows: Sequence[Window],
    spans: DecodedSpans,
    n_best: int = 20,
    max_answer_words: int | None = None,
) -> Prediction:
    """Ranks the spans of all windows by their scores, under one normaliser of starts.

    A probability within a window says nothing of the others: a window that lacks the answer has a best span, too, and
    may be the surer of it.

    Args:
        example: the question.
        windows: its windows, in order.
        spans: their decoded spans, one entry a window.
        n_best: candidates kept.
        max_answer_words: words of a candidate at most; None for any number.
    """
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for w, window in enumerate(windows):
        for first, last, score in zip(*(t[w].tolist() for t in spans[:3]), strict=True):
            if score == -math.inf:
                continue
            start, end = (window.offsets[t - window.context_start, side] for t, side in ((first, 0), (last, 1)))
            characters = without_blanks(example.document, int(start), int(end))
            if characters[0] == characters[1]:  # tokens without text, such as a separator of paragraphs
                continue
            if max_answer_words is not None and len(example.document[slice(*characters)].split()) > max_answer_words:
                continue
            if score > best.get(characters, (-math.inf, 0))[0]:
                best[characters] = (score, w)
    # equal scores: the earlier span, whatever the order of the windows
    ranked = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))[:n_best]
    normaliser = spans.log_normaliser.logsumexp(dim=0).item()
    candidates = tuple(
        Candidate(example.document[start:end], start, end, math.exp(score - normaliser), w)
        for (start, end), (score, w) in ranked
    )
    return Prediction(
        example.id,
        candidates,
        null_odds(spans, ranked[0][1][0] if ranked else -math.inf),
        segment_names=tuple(segment.name for segment in example.segments),
        document=example.document,
        question=example.question,
        title=example.title,
        log_normaliser=normaliser,
    )
