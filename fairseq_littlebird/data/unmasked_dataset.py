"""The tokens that stood in a text before some of them were masked."""

from __future__ import annotations

from typing import Any

import torch
from fairseq.data import BaseWrapperDataset
from torch import Tensor


class UnmaskedDataset(BaseWrapperDataset):
    """What masked language modelling reads, without the masks.

    Args:
        masked: items are tokens <int64>[L], some of them masked or replaced.
        target: items are the tokens <int64>[L] to predict, padding elsewhere.
        pad_id: id of <pad>.
    """

    def __init__(self, masked: Any, target: Any, pad_id: int) -> None:
        super().__init__(masked)
        self.target, self.pad_id = target, pad_id

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self.target.set_epoch(epoch)

    def __getitem__(self, index: int) -> Tensor:
        target = self.target[index]
        return torch.where(target == self.pad_id, self.dataset[index], target)
