"""Which places of a padded batch hold something, counted where the batch is made: a device need not be asked.

Legend: B sequences, L tokens of the longest.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from fairseq.data import BaseWrapperDataset
from torch import Tensor

from fairseq_littlebird.data.batch import pad, places_but


class PlaceIndexDataset(BaseWrapperDataset):
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
        return places_but(pad([np.asarray(sample) for sample in samples], self.pad_id), self.pad_id)
