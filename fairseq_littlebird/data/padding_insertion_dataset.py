"""Position ids with padding insertion, beside any dataset of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from fairseq.data import BaseWrapperDataset
from torch import Tensor

from fairseq_littlebird.data.batch import pad
from fairseq_littlebird.text.padding_insertion import insert_padding


@dataclass(frozen=True)
class PaddingInsertion:
    """How gaps are drawn; the same for one example in one epoch, whoever loads it.

    Args:
        boundary: <bool>[V], the tokens a gap may follow.
        probability: of a gap at each of them.
        min_gap, max_gap: positions, inclusive.
        seed: of the generator.
    """

    boundary: np.ndarray
    probability: float = 0.2
    min_gap: int = 0
    max_gap: int = 256
    seed: int = 1

    def gaps(self, tokens: np.ndarray, epoch: int, index: int) -> np.ndarray:
        """How much later than without gaps each of ``tokens`` <int>[L] stands: <int64>[L]."""
        return self.positions(tokens, epoch, index) - np.arange(len(tokens))

    def positions(self, tokens: np.ndarray, epoch: int, index: int) -> np.ndarray:
        """Position ids <int64>[L] of ``tokens`` <int>[L] (section 3.4)."""
        # a stream of its own: the question or window of the same item is drawn from (seed, epoch, index)
        rng = np.random.default_rng([self.seed, epoch, index, 1])
        return insert_padding(tokens, self.boundary, self.probability, self.min_gap, self.max_gap, rng=rng)


class PaddingInsertionDataset(BaseWrapperDataset):
    """The position ids of each item of a token dataset, drawn again every epoch.

    Args:
        dataset: items are tokens <int64>[L].
        padding_insertion: how.
    """

    def __init__(self, dataset: Any, padding_insertion: PaddingInsertion) -> None:
        super().__init__(dataset)
        self.padding_insertion = padding_insertion
        self.epoch = 1

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self.epoch = epoch

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return True  # gaps change, sizes do not

    def __getitem__(self, index: int) -> np.ndarray:
        return self.padding_insertion.positions(np.asarray(self.dataset[index]), self.epoch, index)

    def collater(self, samples: list[np.ndarray]) -> Tensor:
        """Position ids <int64>[B, L]."""
        return pad(samples, 0, last=True)
