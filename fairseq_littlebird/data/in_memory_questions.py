"""Questions in memory, as :class:`PreparedQuestions` has them on disk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairseq_littlebird.data.encoded_document import DocumentEncoder, EncodedDocument, EncodedQuestion, cut
from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.window import NOT_CONTEXT, Window, WindowFormat, assemble


class InMemoryQuestions:
    """Questions without answers, tokenized; a document that comes more than once is tokenized once.

    Args:
        examples: the questions.
        encode: tokenizes them.
        form: of the windows of the model's data set.
        max_tokens: the most tokens in a window.
        stride: context tokens from one window's start to the next one's.
        gap: virtual paddings between paragraphs, in positions.
    """

    def __init__(
        self,
        examples: Sequence[QAExample],
        encode: DocumentEncoder,
        form: WindowFormat,
        max_tokens: int,
        stride: int,
        gap: int,
    ) -> None:
        self.gap = gap
        self._form = form
        by_document: dict[str, list[int]] = {}
        for index, example in enumerate(examples):
            by_document.setdefault(example.document, []).append(index)
        encoded: list[tuple[EncodedDocument, EncodedQuestion] | None] = [None] * len(examples)
        for indices in by_document.values():
            document = encode([examples[i] for i in indices])
            for index, question in zip(indices, document.questions, strict=True):
                encoded[index] = document, question
        self._encoded = [pair for pair in encoded if pair is not None]
        ranges = [cut(len(d.tokens), len(q.tokens), max_tokens, stride)[0] for d, q in self._encoded]
        self._windows = np.concatenate(
            [np.zeros((0, 3), np.int32), *(np.insert(own, 0, i, axis=1) for i, own in enumerate(ranges))]
        )

    def __len__(self) -> int:
        return len(self._encoded)

    @property
    def num_windows(self) -> int:
        """Windows of all questions; those of a question are consecutive."""
        return len(self._windows)

    @property
    def window_sizes(self) -> np.ndarray:
        """int32[num_windows], tokens of each window."""
        questions = np.array([len(question.tokens) for _, question in self._encoded], np.int32)
        examples, starts, stops = self._windows.T
        return questions[examples] + (stops - starts) + np.int32(NOT_CONTEXT)

    def window_examples(self) -> np.ndarray:
        """int32[num_windows], ascending: the question that each window belongs to."""
        return self._windows[:, 0]

    def window_answered(self, first: int, stop: int) -> np.ndarray:
        """bool[stop - first]: none of these windows is known to hold an answer."""
        return np.zeros(stop - first, dtype=bool)

    def example(self, index: int) -> tuple[QAExample, range]:
        """A question and the indices of its windows; none where it is too long or the document empty."""
        first, stop = np.searchsorted(self.window_examples(), [index, index + 1]).tolist()
        return self._encoded[index][1].example, range(first, stop)

    def window(self, index: int) -> Window:
        """A window, in arrays of its own."""
        example, start, stop = self._windows[index].tolist()
        document, question = self._encoded[example]
        return assemble(
            example,
            start,
            question.tokens,
            document.tokens[start:stop],
            document.offsets[start:stop].astype(np.int64),
            self._form,
            question.spans,
            question.segments,
            question.answer_type,
            self.gap,
        )
