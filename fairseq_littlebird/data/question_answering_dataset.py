"""Prepared questions as batches: in training one window of each question or several, at evaluation all of them.

Several windows of a question share one normaliser of starts in training, as all do at evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from fairseq_littlebird.data.batch import SpanBatch, add_segments_and_types, pad, span_batch
from fairseq_littlebird.data.batching import EveryItemBatched
from fairseq_littlebird.data.in_memory_questions import InMemoryQuestions
from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertion
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.data.structured_input import StructuredInput
from fairseq_littlebird.text.window import Window

NULL = 0  # the span of "not in this window" is [CLS]
QUESTION_INDEX = 1  # a window is [CLS] [QUESTION] question [SEP] context [SEP]
NOISY_STARTS = 8  # of a window; the ends of so many are scored


class QuestionAnsweringDataset(EveryItemBatched):
    """One item a question.

    In training each epoch draws one of a question's windows: one without an answer with probability
    ``unanswered``, else one with an answer; a question with windows of one kind alone gives that kind. Or it draws
    several, one with an answer among them, and they share one normaliser: the answer is any of its places in them, or,
    where the question has none, any [CLS].

    Args:
        prepared: the split.
        pad_id: id of <pad>.
        training: draw windows; otherwise an item has all its windows, and the batch the examples themselves.
        unanswered: see above.
        seed: of the drawing.
        padding_insertion: of the training split, or None.
        segments_and_types: there are segments or answer types to predict, if not in each batch.
        noisy: the answers are all places where their text stands; a question without any has no loss.
        structured: which global tokens windows get; None where the model takes none from the data.
        windows_per_question: in training at most so many windows; 0 for all. None: one; all where answers are noisy.
    """

    smaller_items = "raise it, or draw fewer windows with --windows-per-question"

    def __init__(
        self,
        prepared: PreparedQuestions | InMemoryQuestions,
        pad_id: int,
        training: bool,
        unanswered: float = 0.0,
        seed: int = 1,
        padding_insertion: PaddingInsertion | None = None,
        segments_and_types: bool = False,
        noisy: bool = False,
        windows_per_question: int | None = None,
        structured: StructuredInput | None = None,
    ) -> None:
        super().__init__()
        self.prepared, self.pad_id, self.training = prepared, pad_id, training
        self.unanswered, self.seed, self.padding_insertion = unanswered, seed, padding_insertion
        self.segments_and_types, self.noisy, self.structured = segments_and_types, noisy, structured
        self.windows_per_question = (0 if noisy else 1) if windows_per_question is None else windows_per_question
        self.shared = noisy or self.windows_per_question != 1  # one normaliser for the windows of a question
        self.epoch = 1
        owner = prepared.window_examples()
        self.first_window = np.searchsorted(owner, np.arange(len(prepared) + 1))
        # a question's size is its longest window's; questions without one have size 0
        self.sizes = np.zeros(len(prepared), dtype=np.int32)
        np.maximum.at(self.sizes, owner, prepared.window_sizes)
        self.sequences: np.ndarray = np.diff(self.first_window)
        if training:
            self.sequences = np.minimum(self.sequences, self.windows_per_question or len(owner))

    def __len__(self) -> int:
        return len(self.prepared)

    def num_tokens(self, index: int) -> int:
        return int(self.num_tokens_vec(np.array([index]))[0])

    def num_tokens_vec(self, indices: np.ndarray) -> np.ndarray:
        """Tokens that are encoded together at least: at evaluation of one window."""
        sequences = self.sequences[indices] if self.training else 1
        return self.sizes[indices].astype(np.int64) * sequences

    def ordered_indices(self) -> np.ndarray:
        """Shuffled, then by length; the questions that have no window last, in training left out.

        A worker that has no batch left in training takes the first one of validation, which needs a window.
        """
        order = np.random.permutation(len(self)) if self.training else np.arange(len(self))
        order = order[np.argsort(self.sizes[order], kind="stable")]
        there = self.sizes[order] > 0
        return order[there] if self.training else np.concatenate([order[there], order[~there]])

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return True  # other windows, the same sizes

    def __getitem__(self, index: int) -> dict[str, Any]:
        first, stop = int(self.first_window[index]), int(self.first_window[index + 1])
        if not self.training:
            example, _ = self.prepared.example(index)
            windows = [self.prepared.window(w) for w in range(first, stop)]
            gold = self._gold(windows) if self.shared else [(w.spans or [(NULL, NULL)])[:1] for w in windows]
            return {"id": index, "example": example, "windows": windows, "gold": gold} | self._globals(index, windows)
        rng = np.random.default_rng([self.seed, self.epoch, index])
        if self.shared:
            drawn = self._draw_several(first, stop, rng)
            windows = [self.prepared.window(w) for w in drawn]
            gold = self._gold(windows, rng)
            streams = [len(self) + w for w in drawn]  # gaps of their own
        else:
            windows = [self.prepared.window(self._draw(first, stop, rng))]
            spans = windows[0].spans
            gold = [[spans[int(rng.integers(len(spans)))] if spans else (NULL, NULL)]]
            streams = [index]
        positions = [self._positions(w, stream) for w, stream in zip(windows, streams, strict=True)]
        return {"id": index, "windows": windows, "positions": positions, "gold": gold} | self._globals(index, windows)

    def _globals(self, index: int, windows: Sequence[Window]) -> dict[str, Any]:
        """The global tokens of a question's windows, where the model takes some."""
        if self.structured is None:
            return {}
        example, _ = self.prepared.example(index)
        return {"globals": [self.structured.of_window(window, example) for window in windows]}

    def _gold(self, windows: Sequence[Window], rng: np.random.Generator | None = None) -> list[list[tuple[int, int]]]:
        """The gold spans of each of a question's windows, which share one normaliser."""
        if not self.noisy and not any(w.spans for w in windows):
            return [[(NULL, NULL)] for _ in windows]
        return [some_spans(w.spans, rng) for w in windows]

    def _draw(self, first: int, stop: int, rng: np.random.Generator) -> int:
        answered = self.prepared.window_answered(first, stop)
        kind = answered if rng.random() >= self.unanswered else ~answered
        return first + int(rng.choice(np.flatnonzero(kind if kind.any() else ~kind)))

    def _draw_several(self, first: int, stop: int, rng: np.random.Generator) -> list[int]:
        count = min(self.windows_per_question or stop - first, stop - first)
        if count == stop - first:
            return list(range(first, stop))
        answered = self.prepared.window_answered(first, stop)
        order = rng.permutation(stop - first)
        certain = order[np.argmax(answered[order])]  # the first if none has an answer
        return sorted((first + np.append(certain, order[order != certain][: count - 1])).tolist())

    def _positions(self, window: Window, stream: int) -> np.ndarray | None:
        """Position ids int64[L] or None for 0 … L-1; gaps between paragraphs and inserted ones add up.

        Gaps are inserted into the context: no document is longer by its question.
        """
        if self.padding_insertion is None:
            return window.positions
        own = np.arange(len(window.tokens)) if window.positions is None else window.positions.copy()
        context = window.tokens[window.context_start :]
        own[window.context_start :] += self.padding_insertion.gaps(context, self.epoch, stream)
        return own

    def collater(self, samples: list[dict[str, Any]]) -> SpanBatch:
        if not samples:
            return SpanBatch()
        windows: list[Window] = [window for s in samples for window in s["windows"]]
        gold: list[list[tuple[int, int]]] = [spans for s in samples for spans in s["gold"]]
        positions = [p for s in samples for p in s["positions"]] if self.training else [w.positions for w in windows]
        batch = span_batch(
            tokens=[w.tokens for w in windows],
            positions=together(positions, windows),
            questions=[np.full(max(1, len(spans)), QUESTION_INDEX) for spans in gold],
            starts=[np.array([start for start, _ in spans], dtype=int) for spans in gold],
            ends=[np.array([end for _, end in spans], dtype=int) for spans in gold],
            selectable=[selectable(w, null=not self.noisy) for w in windows],
            pad_id=self.pad_id,
        )
        starts = [w.context_start for w in windows]
        batch["net_input"]["context_starts"], batch["last_context_start"] = torch.tensor(starts), max(starts, default=0)
        if self.segments_and_types:
            add_segments_and_types(batch, windows)
        if self.structured is not None:
            self.structured.add(batch, [found for s in samples for found in s["globals"]])
        if self.shared:
            owners = np.repeat(np.arange(len(samples)), [len(s["windows"]) for s in samples])
            batch["target"]["owners"] = torch.from_numpy(owners)
            batch["questions"] = sum(any(s["gold"]) for s in samples)
            batch["target"]["gold_starts"] = pad([gold_starts(*w) for w in zip(windows, gold, strict=True)], 0).bool()
        batch["id"] = torch.tensor([s["id"] for s in samples])
        batch["nsentences"] = len(samples)
        if not self.training:
            batch["examples"] = [s["example"] for s in samples]
            batch["windows"] = [s["windows"] for s in samples]
        return batch


def some_spans(spans: Sequence[tuple[int, int]], rng: np.random.Generator | None = None) -> list[tuple[int, int]]:
    """The spans of at most ``NOISY_STARTS`` starts: of those that ``rng`` draws, or of the first."""
    starts = np.array(list(dict.fromkeys(start for start, _ in spans)), dtype=int)
    kept = set((starts if rng is None else rng.permutation(starts))[:NOISY_STARTS].tolist())
    return [span for span in spans if span[0] in kept]


def gold_starts(window: Window, gold: Sequence[tuple[int, int]]) -> np.ndarray:
    """The tokens that start an answer, or [CLS] where that is gold: bool[L]."""
    there = np.zeros(len(window.tokens), dtype=bool)
    there[[start for start, _ in (*window.spans, *gold)]] = True
    return there


def together(positions: list[np.ndarray | None], windows: list[Window]) -> list[np.ndarray] | None:
    """Position ids of all windows if any has some of its own."""
    if all(p is None for p in positions):
        return None
    return [np.arange(len(w.tokens)) if p is None else p for p, w in zip(positions, windows, strict=True)]


def selectable(window: Window, null: bool = True) -> np.ndarray:
    """The tokens that may be an answer, and [CLS] for none if ``null``: <bool>[L]."""
    allowed = np.zeros(len(window.tokens), dtype=bool)
    allowed[window.context_start : window.context_start + len(window.offsets)] = True
    allowed[NULL] = null
    return allowed
