"""Indices of the tokens of a padded batch, found by the collater on the host: the device is not synchronised.

Legend: B sequences, L tokens of the longest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from fairseq.data import BaseWrapperDataset
from torch import Tensor

from fairseq_littlebird.data.batch import indices_not_equal, pad


class TokenIndexDataset(BaseWrapperDataset):
    """Where the items of a dataset of tokens are not padding.

    Args:
        dataset: items are tokens <int64>[L].
        pad_id: id of <pad>, which stands for no token within items too.
    """

    def __init__(self, dataset: Any, pad_id: int) -> None:
        super().__init__(dataset)
        self.pad_id = pad_id

    def collater(self, samples: list[Any]) -> Tensor:
        """<int64>[N] of the batch's [B · L]."""
        return indices_not_equal(pad([np.asarray(sample) for sample in samples], self.pad_id), self.pad_id)


class TokenLengthsDataset(TokenIndexDataset):
    """How many tokens its items have up to the last that is not padding; arguments as :class:`TokenIndexDataset`'s."""

    def collater(self, samples: list[Any]) -> list[int]:  # type: ignore[override]
        """One number a sequence."""
        unpadded = (np.flatnonzero(np.asarray(sample) != self.pad_id) for sample in samples)
        return [int(index[-1]) + 1 if len(index) else 0 for index in unpadded]
