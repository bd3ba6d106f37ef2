"""A document and its questions as token ids, and the windows that a model reads of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.answers import Place, locate, token_span
from fairseq_littlebird.text.candidate_markers import MARKERS
from fairseq_littlebird.text.example import Answer, QAExample, Segment
from fairseq_littlebird.text.paragraphs import SEPARATOR
from fairseq_littlebird.text.pieces import encode_pieces
from fairseq_littlebird.text.striding import cut_longest, windows
from fairseq_littlebird.text.tokenizers import Tokenizer
from fairseq_littlebird.text.window import NOT_CONTEXT
from fairseq_littlebird.text.window_ranges import fitting_stride


@dataclass
class EncodedQuestion:
    """A question's token ids int32[q], its answers in place, what was repaired, found without an offset, lost.

    ``spans``, int32[a, 2], are first and last token (inclusive, in the document) of each answer in place;
    ``snapped`` counts those that start or end inside a token. ``segments``, int32[m, 3], has those of each segment,
    and whether it is gold; both are -1 where the segment has no token. ``answer_type`` is an index, or -1.
    """

    example: QAExample
    tokens: np.ndarray
    answers: list[Answer]
    spans: np.ndarray
    repaired: list[tuple[Answer, Place]]
    found: list[tuple[Answer, Place]]
    lost: list[Answer]
    segments: np.ndarray
    answer_type: int
    snapped: int = 0

    @property
    def answered_by(self) -> np.ndarray:
        """int32[n, 2], first and last token of the answers in place; without an answer, of gold segments."""
        return self.spans if self.example.answers else self.segments[self.segments[:, 2] > 0, :2]


@dataclass
class EncodedDocument:
    """A document's token ids int32[n] and character offsets int32[n, 2], and its questions."""

    text: str
    tokens: np.ndarray
    offsets: np.ndarray
    questions: list[EncodedQuestion]


class DocumentEncoder:
    """Tokenizes a document once, and every question on it; runs in the worker processes."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        indices: dict[str, int],
        unknown: int,
        answer_types: Sequence[str],
        max_tokens: int,
        question_markers: Sequence[str] = (),
    ) -> None:
        """
        Args:
            tokenizer: of documents and questions.
            indices: the dictionary's.
            unknown: id of what is not in it.
            answer_types: of the data set.
            max_tokens: of a window.
            question_markers: symbols before and after each question; none for nothing.
        Raises:
            UserError: the dictionary lacks one of these symbols.
        """
        self._tokenizer = tokenizer
        self._indices = indices
        self._unknown = unknown
        self._answer_types = answer_types
        self._max_tokens = max_tokens
        self._question_markers = self._numbers(question_markers, MARKERS if question_markers else ())

    def __call__(self, examples: list[QAExample]) -> EncodedDocument:
        first = examples[0]
        if first.pieces is None:
            symbols, pairs = self._tokenizer.encode(first.document)
        else:  # perhaps none: a page may have nothing to read
            symbols, pairs = encode_pieces(self._tokenizer, first.document, first.pieces)
        tokens = self._numbers(symbols, {piece.symbol for piece in first.pieces or () if piece.symbol})
        offsets = np.fromiter(chain.from_iterable(pairs), np.int32, 2 * len(pairs)).reshape(-1, 2)
        if first.pieces and first.fixed_pieces:
            (example,) = examples
            stop = first.pieces[first.fixed_pieces - 1].stop
            separators = np.flatnonzero([symbol == SEPARATOR for symbol in symbols])
            kept = self._one_window(example.question, offsets, stop, separators)
            tokens, offsets = tokens[kept], offsets[kept]
        return EncodedDocument(first.document, tokens, offsets, [self._question(e, offsets) for e in examples])

    def _one_window(self, question: str, offsets: np.ndarray, stop: int, separators: np.ndarray) -> np.ndarray:
        """bool[n]: the tokens that stay where the document has to fit into one window; all before ``stop`` do."""
        # a separator belongs to what it ends; behind the last one there may be no token
        bounds = np.unique([0, *(separators + 1), len(offsets)])
        lengths = np.diff(bounds)
        fixed = int((offsets[bounds[:-1], 0] < stop).sum())
        room = self._max_tokens - NOT_CONTEXT - len(self._encode_question(question)) - int(lengths[:fixed].sum())
        keep = [*lengths[:fixed].tolist(), *cut_longest(lengths[fixed:].tolist(), room)]
        return np.arange(len(offsets)) - np.repeat(bounds[:-1], lengths) < np.repeat(keep, lengths)

    def _encode_question(self, text: str) -> np.ndarray:
        tokens = self._numbers(self._tokenizer.encode(text)[0])
        return np.insert(self._question_markers, 1, tokens) if len(self._question_markers) else tokens

    def _numbers(self, symbols: Sequence[str], known: Iterable[str] = ()) -> np.ndarray:
        """Token ids int32[n]; those of ``known`` must be in the dictionary."""
        missing = sorted(symbol for symbol in known if symbol not in self._indices)
        if missing:
            raise UserError(
                f"the dictionary lacks {', '.join(missing)}",
                remedy=f"start from a model of littlebird-warm-start {_option(missing)}, or append these symbols to "
                "dict.txt",
            )
        return np.fromiter(map(self._indices.get, symbols, repeat(self._unknown)), np.int32, len(symbols))

    def _question(self, example: QAExample, offsets: np.ndarray) -> EncodedQuestion:
        answer_type = self._answer_types.index(example.answer_type) if example.answer_type else -1
        segments = [self._segment(segment, example.document, offsets) for segment in example.segments]
        result = EncodedQuestion(
            example,
            self._encode_question(example.question),
            answers=[],
            spans=np.zeros(0),
            repaired=[],
            found=[],
            lost=[],
            segments=np.array(segments, dtype=np.int32).reshape(-1, 3),
            answer_type=answer_type,
        )
        spans = []
        for answer in dict.fromkeys(example.answers):
            place = locate(example.document, answer)
            span = token_span(offsets, example.document, place.start, place.stop) if place else None
            if place is None or span is None:
                result.lost.append(answer)
                continue
            text = example.document[place.start : place.stop]
            if answer.unplaced:
                result.found.append((answer, place))
            elif place.start != answer.start:
                result.repaired.append((answer, place))
            covered = example.document[offsets[span[0], 0] : offsets[span[1], 1]]
            result.snapped += covered.strip() != text.strip()
            result.answers.append(Answer(text, place.start))
            spans.append(span)
        result.spans = np.array(spans, dtype=np.int32).reshape(-1, 2)
        return result

    @staticmethod
    def _segment(segment: Segment, document: str, offsets: np.ndarray) -> tuple[int, int, bool]:
        first, last = token_span(offsets, document, segment.start, segment.stop) or (-1, -1)
        return first, last, segment.gold


def _option(symbols: Sequence[str]) -> str:
    """What gives a model these symbols."""
    of_markers = [symbol for symbol in symbols if symbol in MARKERS]
    return f"--add-token {' '.join(of_markers)}" if of_markers else "--html-tags"


def cut(context: int, question: int, max_tokens: int, stride: int) -> tuple[np.ndarray, bool]:
    """The windows of a question as context token ranges, int32[n, 2], and whether their stride had to be shorter.

    None where the question leaves less than an eighth of a window to the context.

    Args:
        context, question: their tokens.
        max_tokens: the most tokens in a window.
        stride: context tokens from one window's start to the next one's; at most half the room is taken where the
            question leaves less than this.
    """
    room = max_tokens - NOT_CONTEXT - question
    step = fitting_stride(room, max_tokens, stride)
    if not step:
        return np.zeros((0, 2), dtype=np.int32), False
    ranges = np.array(windows(context, room, step), dtype=np.int32).reshape(-1, 2)
    return ranges, step != stride and len(ranges) > 1
