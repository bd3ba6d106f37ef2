"""A trained classifier over a split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from tqdm import tqdm

from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.pipelines.batches import batches
from fairseq_littlebird.tasks.littlebird_sentence_prediction import LittleBirdSentencePredictionTask


@torch.inference_mode()
def classifications(
    model: EncoderModel,
    task: LittleBirdSentencePredictionTask,
    split: str,
    max_tokens: int = 32768,
    workers: int = 0,
) -> Iterator[Classification]:
    """The labels' probabilities of every text of a split, in its order, with a progress bar.

    Args:
        model, task: from :func:`fairseq_littlebird.pipelines.loading.load_trained`.
        split: the split's name.
        max_tokens: tokens encoded together.
        workers: processes that load data.
    Raises:
        UserError: the split is missing or truncated, or the checkpoint is of numbers instead of classes.
    """
    if task.cfg.regression_target:
        raise UserError("the checkpoint gives numbers, not labels", remedy="train one without --regression-target")
    dataset = task.load_dataset(split)
    path = Path(task.cfg.data) / "id" / split
    ids = MappedItems(path) if path.parent.is_dir() else None  # fairseq-preprocess knows none: items are counted
    max_batch = max(max_tokens, int(dataset.sizes[0].max(initial=1)))
    probabilities = torch.zeros(len(dataset), len(task.labels), dtype=torch.double)
    head = task.cfg.classification_head_name
    with tqdm(total=len(dataset), desc="classifying", unit=" texts", disable=not len(dataset)) as progress:
        for batch in batches(model, dataset, max_batch, workers):
            logits, _ = model(**batch["net_input"], features_only=True, classification_head_name=head)
            logits = logits.double()
            predicted = logits.sigmoid() if task.cfg.multi_label else logits.softmax(-1)
            probabilities[batch["id"].cpu()] = predicted.cpu()
            progress.update(len(predicted))
    for index, own in enumerate(probabilities):
        name = str(index) if ids is None else ids[index].tobytes().decode()
        yield Classification(name, dict(zip(task.labels, own.tolist(), strict=True)), task.cfg.multi_label)
