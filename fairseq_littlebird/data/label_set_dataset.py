"""Sets of labels as vectors, beside any dataset of label numbers."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.data import BaseWrapperDataset
from torch import Tensor

from fairseq_littlebird.errors import UserError


class LabelSetDataset(BaseWrapperDataset):
    """Which labels each item has.

    Args:
        dataset: items are label numbers <int64>[n], n ≥ 0.
        num_classes: K.
    """

    def __init__(self, dataset: Any, num_classes: int) -> None:
        super().__init__(dataset)
        self.num_classes = num_classes

    def __getitem__(self, index: int) -> Tensor:
        """<float>[K], 1 where the item has the label; raises UserError where a number is not below K."""
        numbers = torch.as_tensor(self.dataset[index]).long()
        if len(numbers) and int(numbers.max()) >= self.num_classes:
            raise UserError(
                f"label {int(numbers.max())} of text {index}, but only {self.num_classes} classes",
                remedy="give as many as label/dict.txt has with --num-classes",
            )
        return torch.zeros(self.num_classes).index_fill_(0, numbers, 1.0)

    def collater(self, samples: list[Tensor]) -> Tensor:
        """<float>[B, K]."""
        return torch.stack(samples)
