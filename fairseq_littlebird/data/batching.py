"""Batches that hold every item, and little padding."""

from __future__ import annotations

import math

import numpy as np
from fairseq.data import FairseqDataset

from fairseq_littlebird.errors import UserError

PADDING = 0.1
"""The share of a batch by tokens that may be padding."""


class EveryItemBatched(FairseqDataset):
    """A dataset whose batches have no fixed sizes; ``sizes`` int[items] is what a subclass has to have.

    An item may be several sequences: ``sequences`` is how many, int or int[items], and its size that of the longest.

    fairseq loses the last items where ``--required-batch-size-multiple`` is larger than ``--batch-size``, and wants
    the multiple for kernels that nothing here has.
    """

    sizes: np.ndarray
    sequences: int | np.ndarray = 1
    smaller_items = "raise it, or shorten the items"

    def size(self, index: int) -> int:
        return int(self.sizes[index])

    def num_tokens(self, index: int) -> int:
        return int(self.sizes[index])

    def num_tokens_vec(self, indices: np.ndarray) -> np.ndarray:
        return self.sizes[indices]

    def get_batch_shapes(self) -> None:
        return None

    def batch_by_size(
        self,
        indices: np.ndarray,
        max_tokens: int | None = None,
        max_sentences: int | None = None,
        required_batch_size_multiple: int = 1,
    ) -> list[np.ndarray]:
        """``indices``, sorted by length, in batches of up to ``max_sentences`` items and ``max_tokens`` with padding.

        A batch by tokens ends where more than a tenth of it would be padding, too.
        """
        largest = int(self.num_tokens_vec(indices).max(initial=0))
        if max_tokens is not None and largest > max_tokens:
            raise UserError(f"an item has {largest:,} tokens", f"--max-tokens {max_tokens}", self.smaller_items)
        most_items, most_tokens = max_sentences or len(indices), max_tokens or math.inf
        least = 0.0 if max_tokens is None else 1 - PADDING
        every = np.broadcast_to(self.sequences, len(self.sizes))[indices].tolist(), self.sizes[indices].tolist()
        cuts, items, sequences, longest, tokens = [], 0, 0, 0, 0
        for place, (count, length) in enumerate(zip(*every, strict=True)):
            longest = max(longest, length)
            padded = (sequences + count) * longest
            full = items == most_items or padded > most_tokens or tokens + count * length < least * padded
            if items and full:
                cuts.append(place)
                items, sequences, longest, tokens = 0, 0, length, 0
            items, sequences, tokens = items + 1, sequences + count, tokens + count * length
        return np.split(indices, cuts) if len(indices) else []
