"""Prepared questions as batches: in training one window of each question, at evaluation all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fairseq_littlebird.data.batch import SpanBatch, add_judgements, span_batch
from fairseq_littlebird.data.batching import EveryItemBatched
from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertion
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.text.window import Window

NULL = 0  # the span of "not in this window" is [CLS]
QUESTION_INDEX = 1  # a window is [CLS] [QUESTION] question [SEP] context [SEP]


class QuestionAnsweringDataset(EveryItemBatched):
    """One item a question.

    In training each epoch draws one of a question's windows: one without an answer with probability
    ``unanswered``, else one with an answer; a question with windows of one kind alone gives that kind.

    Args:
        prepared: the split.
        pad_id: id of <pad>.
        training: draw windows; otherwise an item has all its windows, and the batch the examples themselves.
        unanswered: see above.
        seed: of the drawing.
        padding_insertion: of the training split, or None.
    """

    def __init__(
        self,
        prepared: PreparedQuestions,
        pad_id: int,
        training: bool,
        unanswered: float = 0.0,
        seed: int = 1,
        padding_insertion: PaddingInsertion | None = None,
    ) -> None:
        super().__init__()
        self.prepared, self.pad_id, self.training = prepared, pad_id, training
        self.unanswered, self.seed, self.padding_insertion = unanswered, seed, padding_insertion
        self.epoch = 1
        owner = prepared.window_examples()
        self.first_window = np.searchsorted(owner, np.arange(len(prepared) + 1))
        # a question's size is its longest window's; questions without one have size 0
        self.sizes = np.zeros(len(prepared), dtype=np.int32)
        np.maximum.at(self.sizes, owner, prepared.window_sizes)

    def __len__(self) -> int:
        return len(self.prepared)

    def ordered_indices(self) -> np.ndarray:
        """Shuffled, then by length; in training without the questions that have no window."""
        order = np.random.permutation(len(self)) if self.training else np.arange(len(self))
        order = order[np.argsort(self.sizes[order], kind="stable")]
        return order[self.sizes[order] > 0] if self.training else order

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return True  # other windows, the same sizes

    def __getitem__(self, index: int) -> dict[str, Any]:
        first, stop = int(self.first_window[index]), int(self.first_window[index + 1])
        if not self.training:
            example, _ = self.prepared.example(index)
            return {"id": index, "example": example, "windows": [self.prepared.window(w) for w in range(first, stop)]}
        rng = np.random.default_rng([self.seed, self.epoch, index])
        answered = self.prepared.window_answered(first, stop)
        kind = answered if rng.random() >= self.unanswered else ~answered
        choice = np.flatnonzero(kind if kind.any() else ~kind)
        window = self.prepared.window(first + int(rng.choice(choice)))
        positions = window.positions
        if self.padding_insertion is not None:
            inserted = self.padding_insertion.positions(window.tokens, self.epoch, index)
            # gaps of both kinds add up
            positions = inserted if positions is None else inserted + positions - np.arange(len(positions))
        gold = window.spans[int(rng.integers(len(window.spans)))] if window.spans else (NULL, NULL)
        return {"id": index, "windows": [window], "positions": positions, "gold": gold}

    def collater(self, samples: list[dict[str, Any]]) -> SpanBatch:
        if not samples:
            return SpanBatch()
        windows: list[Window] = [window for s in samples for window in s["windows"]]
        gold = [s["gold"] for s in samples] if self.training else [(w.spans or [(NULL, NULL)])[0] for w in windows]
        batch = span_batch(
            tokens=[w.tokens for w in windows],
            positions=together(
                [s["positions"] for s in samples] if self.training else [w.positions for w in windows], windows
            ),
            questions=[np.array([QUESTION_INDEX])] * len(windows),
            starts=[np.array([start]) for start, _ in gold],
            ends=[np.array([end]) for _, end in gold],
            selectable=[selectable(w) for w in windows],
            pad_id=self.pad_id,
        )
        if any(len(w.segments) or w.answer_type >= 0 for w in windows):
            add_judgements(batch, windows)
        batch["id"] = torch.tensor([s["id"] for s in samples])
        batch["nsentences"] = len(samples)
        if not self.training:
            batch["examples"] = [s["example"] for s in samples]
            batch["windows"] = [s["windows"] for s in samples]
        return batch


def together(positions: list[np.ndarray | None], windows: list[Window]) -> list[np.ndarray] | None:
    """Position ids of all windows if any has some of its own."""
    if all(p is None for p in positions):
        return None
    return [np.arange(len(w.tokens)) if p is None else p for p, w in zip(positions, windows, strict=True)]


def selectable(window: Window) -> np.ndarray:
    """The tokens that may be an answer, and [CLS] for none: <bool>[L]."""
    allowed = np.zeros(len(window.tokens), dtype=bool)
    allowed[window.context_start : window.context_start + len(window.offsets)] = True
    allowed[NULL] = True
    return allowed
