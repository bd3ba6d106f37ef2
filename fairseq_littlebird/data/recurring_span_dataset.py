"""Recurring span selection over any dataset of tokens: questions drawn again every epoch, in the data workers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from fairseq.data import BaseWrapperDataset

from fairseq_littlebird.data.batch import SpanBatch, span_batch
from fairseq_littlebird.data.batching import EveryItemBatched
from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertion
from fairseq_littlebird.text.recurring_spans import (
    RecurringSpanQuestions,
    question_cap,
    recurring_spans,
    select_questions,
)
from fairseq_littlebird.text.vocabulary import Vocabulary


class RecurringSpanDataset(EveryItemBatched, BaseWrapperDataset):
    """Chunks of text with recurring spans masked by [QUESTION] (section 4.1, appendix A.1).

    Args:
        dataset: items are tokens <int64>[L], special tokens included.
        vocabulary: word boundaries and kinds of the tokens.
        question_id, pad_id: ids of [QUESTION] and <pad>.
        max_span_length: tokens of a span at most.
        max_questions: a chunk; 0 takes 30, 120, 240 at 512, 2K, 4K tokens.
        free_end: spans may end inside a word (for languages with particles).
        seed: of the choice of questions.
        padding_insertion: of the training split, or None.
    """

    def __init__(
        self,
        dataset: Any,
        vocabulary: Vocabulary,
        question_id: int,
        pad_id: int,
        max_span_length: int = 10,
        max_questions: int = 0,
        free_end: bool = False,
        seed: int = 1,
        padding_insertion: PaddingInsertion | None = None,
    ) -> None:
        super().__init__(dataset)
        self.vocabulary = vocabulary
        self.question_id, self.pad_id = question_id, pad_id
        self.max_span_length, self.max_questions = max_span_length, max_questions
        self.free_end, self.seed = free_end, seed
        self.padding_insertion = padding_insertion
        self.epoch = 1

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self.epoch = epoch

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return True  # questions change, sizes do not

    def ordered_indices(self) -> np.ndarray:
        """Shuffled, then by length, so that a batch's chunks are about equally long."""
        shuffled = np.random.permutation(len(self))
        return shuffled[np.argsort(self.sizes[shuffled], kind="stable")]

    def __getitem__(self, index: int) -> dict[str, Any]:
        tokens = np.asarray(self.dataset[index])
        clusters = recurring_spans(tokens, self.vocabulary, self.max_span_length, self.free_end)
        rng = np.random.default_rng([self.seed, self.epoch, index])
        cap = self.max_questions or question_cap(len(tokens))
        chosen = select_questions(tokens, clusters, self.question_id, self.pad_id, cap, rng)
        positions = None
        if self.padding_insertion is not None:  # boundaries of the text, masked or not
            positions = self.padding_insertion.positions(tokens, self.epoch, index)
        return {"id": index, "chosen": chosen, "positions": positions}

    def collater(self, samples: list[dict[str, Any]]) -> SpanBatch:
        if not samples:
            return SpanBatch()
        chosen: list[RecurringSpanQuestions] = [s["chosen"] for s in samples]
        batch = span_batch(
            tokens=[c.tokens for c in chosen],
            positions=None if self.padding_insertion is None else [s["positions"] for s in samples],
            questions=[c.questions for c in chosen],
            starts=[c.starts for c in chosen],
            ends=[c.ends for c in chosen],
            selectable=[c.tokens != self.pad_id for c in chosen],
            pad_id=self.pad_id,
        )
        batch["id"] = torch.tensor([s["id"] for s in samples])
        return batch
