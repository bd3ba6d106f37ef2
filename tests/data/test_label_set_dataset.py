"""Sets of labels as vectors."""

from __future__ import annotations

import pytest
import torch
from fairseq.data import ListDataset

from fairseq_littlebird.data.label_set_dataset import LabelSetDataset
from fairseq_littlebird.errors import UserError


def test_vectors():
    numbers = [torch.tensor([2, 0]), torch.tensor([], dtype=torch.int32), torch.tensor([1], dtype=torch.int32)]
    labels = LabelSetDataset(ListDataset(numbers, [2, 0, 1]), 3)
    batch = labels.collater([labels[n] for n in range(3)])
    assert batch.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]] and batch.dtype == torch.float32


def test_a_number_beyond_the_classes():
    labels = LabelSetDataset(ListDataset([torch.tensor([3])], [1]), 3)
    with pytest.raises(UserError, match="label 3 of text 0.*--num-classes"):
        labels[0]
