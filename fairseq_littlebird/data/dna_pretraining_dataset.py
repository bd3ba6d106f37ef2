"""Pairs of DNA sequences with masked tokens, drawn again every epoch, in the data workers (BigBird, section F.1).

Legend: B pairs, L tokens of the longest, N masked tokens of the batch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from fairseq.data import Dictionary

from fairseq_littlebird.data.batch import PairBatch, indices_not_equal, pad
from fairseq_littlebird.data.batching import EveryItemBatched
from fairseq_littlebird.data.dna_chunks import DnaChunks
from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertion
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.dna.vocabulary import base_counts
from fairseq_littlebird.text.masking import Masking

SPECIAL = 3
"""<s>, and </s> behind both sequences."""
TRIES = 50
"""Random chunks that are looked at before the first one that may be taken at all is."""


class Pair(NamedTuple):
    """Two sequences; ``ends`` says which of their tokens end a sentence, and ``is_next`` whether B follows A."""

    a: np.ndarray
    b: np.ndarray
    a_ends: np.ndarray
    b_ends: np.ndarray
    is_next: bool


class DnaPretrainingDataset(EveryItemBatched):
    """``<s> A </s> B </s>``: of every two items in an epoch B is in one what follows A, in the other a random sequence.

    A chunk is cut in two at the end of a sentence, or anywhere if it has one alone. A random B lies elsewhere in the
    genome than the chunk, on either strand, and is no longer than the sequence whose place it takes. What is drawn
    depends on seed, epoch and index alone.

    Args:
        chunks: of a split.
        dictionary: of the tokens.
        masking: which tokens are masked.
        seed: random seed.
        padding_insertion: gaps after sentences, whose boundary is [no, yes]; or None.
    Raises:
        UserError: all chunks lie in one place, so that there is no random sequence.
    """

    def __init__(
        self,
        chunks: DnaChunks,
        dictionary: Dictionary,
        masking: Masking,
        seed: int = 1,
        padding_insertion: PaddingInsertion | None = None,
    ) -> None:
        self.chunks, self.masking, self.seed = chunks, masking, seed
        self.padding_insertion = padding_insertion
        self.sizes = chunks.sizes + SPECIAL
        self.bos, self.eos, self.pad_id = dictionary.bos(), dictionary.eos(), dictionary.pad()
        self.bases = base_counts(dictionary.symbols)
        self.epoch = 1
        if len(chunks) and self._elsewhere(0, 1, np.random.default_rng(0)) is None:
            raise UserError("all sequences lie in one place: there is no random one", remedy="give more DNA")

    def __len__(self) -> int:
        return len(self.chunks)

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self.epoch = epoch

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return True  # pairs and masks change, sizes do not

    def ordered_indices(self) -> np.ndarray:
        """Shuffled, then by length, so that a batch's pairs are about equally long."""
        shuffled = np.random.permutation(len(self))
        return shuffled[np.argsort(self.sizes[shuffled], kind="stable")]

    def pair(self, index: int) -> Pair:
        """The two sequences of an item in this epoch, without masks."""
        rng = np.random.default_rng([self.seed, self.epoch, index])
        tokens, ends = self.chunks[index]
        cuts = np.flatnonzero(ends[:-1]) + 1
        cut = int(rng.choice(cuts if len(cuts) else np.arange(1, len(tokens))))
        is_next = self._is_next(index)
        other = None if is_next else self._elsewhere(index, len(tokens) - cut, rng)
        if other is None:
            return Pair(tokens[:cut], tokens[cut:], ends[:cut], ends[cut:], True)
        theirs, their_ends = self.chunks[other]
        most = len(tokens) - cut
        starts = np.append(0, np.flatnonzero(their_ends) + 1)
        start = int(rng.choice(starts[starts <= max(0, len(theirs) - most)]))
        b = slice(start, start + most)
        return Pair(tokens[:cut], theirs[b], ends[:cut], their_ends[b], False)

    def _is_next(self, index: int) -> bool:
        """One of items 0 and 1, one of 2 and 3, …: which one is drawn."""
        first = np.random.default_rng([self.seed, self.epoch, index // 2, 2]).random() < 0.5
        return bool(first) == (index % 2 == 0)

    def _elsewhere(self, index: int, length: int, rng: np.random.Generator) -> int | None:
        """A random chunk that has no base of this one, if possible of so many tokens; None where all have some."""
        own, found = self.chunks.place(index), None
        for other in rng.integers(len(self.chunks), size=TRIES).tolist():
            if not own.overlaps(self.chunks.place(other)):
                found = other
                if self.chunks.sizes[other] >= length:
                    return found
        if found is None:
            start = int(rng.integers(len(self.chunks)))
            order = (n % len(self.chunks) for n in range(start, start + len(self.chunks)))
            found = next((other for other in order if not own.overlaps(self.chunks.place(other))), None)
        return found

    def __getitem__(self, index: int) -> dict[str, Any]:
        pair = self.pair(index)
        tokens = np.concatenate([[self.bos], pair.a, [self.eos], pair.b, [self.eos]])
        context_start = len(pair.a) + 2
        maskable = np.ones(len(tokens), dtype=bool)
        maskable[[0, context_start - 1, -1]] = False
        # a stream of its own: pairs of the same item are drawn from (seed, epoch, index), gaps with 1, halves with 2
        masked, predicted = self.masking(tokens, maskable, np.random.default_rng([self.seed, self.epoch, index, 3]))
        positions = None
        if self.padding_insertion is not None:
            ends = np.concatenate([[False], pair.a_ends, [True], pair.b_ends, [False]]).astype(np.int64)
            positions = self.padding_insertion.positions(ends, self.epoch, index)
        return {
            "id": index,
            "tokens": masked,
            "target": np.where(predicted, tokens, self.pad_id),
            "context_start": context_start,
            "is_next": pair.is_next,
            "bases": int(self.bases[tokens[predicted]].sum()),
            "positions": positions,
        }

    def collater(self, samples: list[dict[str, Any]]) -> PairBatch:
        if not samples:
            return PairBatch()
        src_tokens = pad([sample["tokens"] for sample in samples], self.pad_id)
        target = pad([sample["target"] for sample in samples], self.pad_id)
        lengths = [len(sample["tokens"]) for sample in samples]
        batch = PairBatch(
            id=torch.tensor([sample["id"] for sample in samples]),
            nsentences=len(samples),
            ntokens=sum(lengths),
            net_input={
                "src_tokens": src_tokens,
                "src_lengths": torch.tensor(lengths),
                "context_starts": torch.tensor([sample["context_start"] for sample in samples]),
            },
            target=target,
            is_next=torch.tensor([int(sample["is_next"]) for sample in samples]),
            unpadded=indices_not_equal(src_tokens, self.pad_id),
            lengths=lengths,
            masked=indices_not_equal(target, self.pad_id),
            bases=sum(sample["bases"] for sample in samples),
        )
        if self.padding_insertion is not None:
            batch["net_input"]["positions"] = pad([sample["positions"] for sample in samples], 0, last=True)
        return batch
