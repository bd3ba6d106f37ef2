"""A trained classifier over a split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.problem_type import MULTI_LABEL, REGRESSION
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
    """The labels' probabilities, or the score, of every text of a split, in its order, with a progress bar.

    Args:
        model, task: from :func:`fairseq_littlebird.pipelines.loading.load_trained`.
        split: the split's name.
        max_tokens: tokens encoded together.
        workers: processes that load data.
    Raises:
        UserError: the split is missing or truncated.
    """
    dataset = task.load_dataset(split)
    path = Path(task.cfg.data) / "id" / split
    ids = MappedItems(path) if path.parent.is_dir() else None  # fairseq-preprocess knows none: items are counted
    max_batch = max(max_tokens, int(dataset.sizes[0].max(initial=1)))
    outputs = torch.zeros(len(dataset), task.cfg.num_classes, dtype=torch.double)
    with tqdm(total=len(dataset), desc="classifying", unit=" texts", disable=not len(dataset)) as progress:
        for batch in batches(model, dataset, max_batch, workers):
            predicted = class_outputs(model, task, batch["net_input"])
            outputs[batch["id"].cpu()] = predicted.cpu()
            progress.update(len(predicted))
    for index, own in enumerate(outputs):
        name = str(index) if ids is None else ids[index].tobytes().decode()
        yield classification_of(task, name, own.tolist())


def class_outputs(model: EncoderModel, task: LittleBirdSentencePredictionTask, net_input: Any) -> Tensor:
    """<float64>[B, K]: probabilities of the labels, or scores within the range of the training's.

    Args:
        model, task: see :func:`classifications`.
        net_input: of a batch.
    """
    logits, _ = model(**net_input, features_only=True, classification_head_name=task.cfg.classification_head_name)
    logits = logits.double()
    if task.cfg.problem_type == REGRESSION:
        if task.score_range is None:
            return logits
        low, high = task.score_range
        return low + logits.clamp(0, 1) * (high - low)
    return logits.sigmoid() if task.cfg.problem_type == MULTI_LABEL else logits.softmax(-1)


def classification_of(task: LittleBirdSentencePredictionTask, name: str, outputs: list[float]) -> Classification:
    """A text's outputs under the labels' names.

    Raises:
        UserError: regression with several numbers a text, which fairseq's own folders may have.
    """
    if task.cfg.problem_type == REGRESSION:
        if len(outputs) != 1:
            raise UserError(
                f"the checkpoint gives {len(outputs)} numbers a text", remedy="train it with --num-classes 1"
            )
        return Classification(name, {}, REGRESSION, outputs[0])
    return Classification(name, dict(zip(task.labels, outputs, strict=True)), task.cfg.problem_type)
