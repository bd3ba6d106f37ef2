"""Batches that hold every item."""

from __future__ import annotations

from typing import Any

import numpy as np
from fairseq.data import FairseqDataset

from fairseq_littlebird.errors import UserError


class EveryItemBatched(FairseqDataset):
    """A dataset whose batches have no fixed sizes; ``sizes`` int[items] is what a subclass has to have.

    fairseq loses the last items where ``--required-batch-size-multiple`` is larger than ``--batch-size``, and wants
    the multiple for kernels that nothing here has.
    """

    sizes: np.ndarray
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
    ) -> Any:
        largest = int(self.num_tokens_vec(indices).max(initial=0))
        if max_tokens is not None and largest > max_tokens:
            raise UserError(f"an item has {largest:,} tokens", f"--max-tokens {max_tokens}", self.smaller_items)
        return FairseqDataset.batch_by_size(self, indices, max_tokens, max_sentences, 1)
