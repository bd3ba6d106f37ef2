"""The batches of a dataset as a trained model reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairseq import utils
from torch.utils.data import DataLoader

from fairseq_littlebird.models.encoder_model import EncoderModel


def batches(model: EncoderModel, dataset: Any, max_tokens: int, workers: int) -> Iterator[Any]:
    """The batches of a dataset by length, on the model's device.

    Args:
        model: in evaluation mode, on its device.
        dataset: one of fairseq's.
        max_tokens: of a batch.
        workers: processes that load data.
    """
    device = next(model.parameters()).device
    sampler = dataset.batch_by_size(dataset.ordered_indices(), max_tokens=max_tokens, required_batch_size_multiple=1)
    for batch in DataLoader(dataset, batch_sampler=sampler, collate_fn=dataset.collater, num_workers=workers):
        yield utils.move_to_cuda(batch, device) if device.type == "cuda" else batch
