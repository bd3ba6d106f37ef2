"""Loading a trained reader or classifier and running it over a split; what ``littlebird-predict`` does."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from fairseq import checkpoint_utils, utils
from torch.utils.data import DataLoader
from tqdm import tqdm

from fairseq_littlebird.attention import BiALiBi
from fairseq_littlebird.checkpoints.dictionary import TrainedDictionary, carrying, trained_dictionary
from fairseq_littlebird.checkpoints.tensors import find_checkpoint
from fairseq_littlebird.data.answer_lengths import reachable
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.data.question_answering_dataset import QuestionAnsweringDataset
from fairseq_littlebird.data.shards import folder_of
from fairseq_littlebird.errors import UserError, fault_line, first_line
from fairseq_littlebird.inference.answering import decode_windows, merge_batch
from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.tasks.explanation import check_explained, explain
from fairseq_littlebird.tasks.littlebird_sentence_prediction import LittleBirdSentencePredictionTask
from fairseq_littlebird.tasks.question_answering import QuestionAnsweringTask
from fairseq_littlebird.text.window import Window

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.qint8,  # weights; activations by the range of each batch
}
LOADED = 16
"""So many times the tokens encoded together are loaded together, for windows to meet others of their length."""
TASKS = {
    "question_answering": QuestionAnsweringTask,
    "littlebird_sentence_prediction": LittleBirdSentencePredictionTask,
}


def load_trained(
    checkpoint: str | Path, data: str | Path, device: str | None = None, precision: str = "float32"
) -> tuple[EncoderModel, Any]:
    """A reader or classifier, as :func:`load_model` gives it.

    Raises:
        UserError: as there; no such folder, or a checkpoint of another task than one of ``TASKS``.
    """
    if not folder_of(str(data)).is_dir():
        raise UserError("no such folder", str(data), "give one that littlebird-prepare wrote")
    model, task = load_model(checkpoint, data, device, precision)
    if not isinstance(task, tuple(TASKS.values())):
        raise UserError(f"not a checkpoint of --task {' or '.join(TASKS)}", str(checkpoint), "fine-tune it first")
    return model, task


def load_model(
    checkpoint: str | Path,
    data: str | Path,
    device: str | None = None,
    precision: str = "float32",
    own_files: bool = False,
) -> tuple[EncoderModel, Any]:
    """A model in evaluation mode on its device, and its task set to the folder ``data``.

    Args:
        checkpoint: of fairseq-train, or a folder with one.
        data: a folder as the task needs it.
        device: None takes the accelerator if there is one.
        precision: of ``PRECISIONS``, see :func:`set_precision`.
        own_files: the folder's dictionary is the checkpoint's own, as :func:`model_folder` has found it.
    Raises:
        UserError: the checkpoint is damaged, lacks a head that the folder needs, or its dictionary or labels are not
            the folder's; no such device or precision.
    """
    path = find_checkpoint(checkpoint)
    where = str(path)
    place = _device(device, precision)  # before what takes time
    try:
        state = checkpoint_utils.load_checkpoint_to_cpu(where, {"data": str(data)})
        trained = TrainedDictionary.of(Path(data)) if own_files else trained_dictionary(state, path)
        models, _, task = checkpoint_utils.load_model_ensemble_and_task([where], state=carrying(state, trained))
    except UserError as error:
        raise UserError(str(error), where) from error
    except Exception as error:  # torch and fairseq raise every kind of error on a damaged file
        line = fault_line(error)
        if line is None:
            raise
        raise UserError(line, "" if where in line else where) from error
    set_precision(models[0], PRECISIONS[precision])
    return models[0].to(place).eval(), task


def _device(device: str | None, precision: str) -> str:
    """The device to run on, which is there and has the precision."""
    if precision not in PRECISIONS:
        raise UserError(f"no precision {precision!r}", remedy=f"choose {', '.join(PRECISIONS)}")
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError) as error:  # as the backend has it
        raise UserError(
            f"no device {place!r} ({first_line(error)})", remedy="choose cpu, or one that is here"
        ) from error
    if precision == "int8" and place != "cpu":
        raise UserError("int8 runs on a CPU alone", place, "choose cpu, or half precision")
    return place


def set_precision(model: EncoderModel, dtype: torch.dtype) -> None:
    """The encoder's weights and activations as ``dtype``; its slopes, and the heads with what they read, as float32.

    int8 is of the linear layers alone, quantized dynamically.
    """
    if dtype == torch.float32:
        return
    if dtype == torch.qint8:
        with (
            warnings.catch_warnings()
        ):  # torch wants its users to move to another package, which has no CPU kernels yet
            warnings.simplefilter("ignore")
            torch.ao.quantization.quantize_dynamic(model.encoder, {torch.nn.Linear}, dtype, inplace=True)
        return
    for module in model.encoder.modules():
        if not isinstance(module, BiALiBi):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.to(dtype)
    model.encoder.register_forward_hook(lambda _, inputs, hidden: hidden.float())


@torch.inference_mode()
def predictions(
    model: EncoderModel,
    task: QuestionAnsweringTask,
    dataset: QuestionAnsweringDataset,
    max_tokens: int = 32768,
    max_answer_length: int | None = None,
    n_best: int = 20,
    workers: int = 0,
    quiet: bool = False,
    explained: bool = False,
) -> Iterator[Prediction]:
    """Predictions for every question of a dataset, those without a window included, with a progress bar.

    Args:
        model, task: from :func:`load_trained`.
        dataset: of the task, not for training.
        max_tokens: tokens encoded together.
        max_answer_length: in tokens; None takes that of the model's training.
        n_best: candidates a question.
        workers: processes that load data.
        quiet: show no bar.
        explained: with where the attention of each best candidate goes.
    Raises:
        UserError: that is not known of the model.
    """
    if explained:
        check_explained(model)
    limit = max_answer_length or task.max_answer_length
    if limit < 1:
        raise UserError(f"answers of {limit} tokens", remedy="give a positive number as max_answer_length")
    max_batch = max(LOADED * max_tokens, int(dataset.sizes.max(initial=1)))
    total = dataset.prepared.num_windows
    with tqdm(total=total, desc="answering", unit=" windows", disable=quiet or not total) as progress:
        for batch in batches(model, dataset, max_batch, workers):
            del batch["net_input"]["starts"]  # ends are scored given the best starts alone
            rows, spans, judged = [], [], []
            for part, extra, decoded in decode_windows(
                model,
                batch["net_input"],
                batch["selectable"],
                limit,
                n_best,
                max_tokens,
                task.data_set.segments,
            ):
                rows.append(part)
                spans.append(decoded)
                judged.append(extra["judgements"])
                progress.update(len(part))
            merged = merge_batch(batch["examples"], batch["windows"], rows, spans, n_best, judged, task.data_set)
            for example, prediction, windows in zip(batch["examples"], merged, batch["windows"], strict=True):
                best = prediction.candidates[0] if explained and prediction.candidates else None
                yield replace(
                    prediction,
                    explanation=None if best is None else explain(model, example.document, windows[best.window], best),
                    windows=tuple(part_read(window) for window in windows),
                    reachable=reachable(example, windows, limit, task.data_set),
                )


def part_read(window: Window) -> tuple[int, int]:
    """The first character of a window's part of the document, and the one after its last."""
    return int(window.offsets[:, 0].min(initial=0)), int(window.offsets[:, 1].max(initial=0))


@torch.inference_mode()
def classifications(
    model: EncoderModel,
    task: LittleBirdSentencePredictionTask,
    split: str,
    max_tokens: int = 32768,
    workers: int = 0,
) -> Iterator[Classification]:
    """What the classifier says of every text of a split, in its order, with a progress bar.

    Args:
        model, task: from :func:`load_trained`.
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
            rows = logits.sigmoid() if task.cfg.multi_label else logits.softmax(-1)
            probabilities[batch["id"].cpu()] = rows.cpu()
            progress.update(len(rows))
    for index, row in enumerate(probabilities):
        name = str(index) if ids is None else ids[index].tobytes().decode()
        yield Classification(name, dict(zip(task.labels, row.tolist(), strict=True)), task.cfg.multi_label)


def batches(model: EncoderModel, dataset: Any, max_tokens: int, workers: int) -> Iterator[Any]:
    """The batches of a dataset by length, on the model's device.

    Args:
        model: from :func:`load_trained`.
        dataset: one of fairseq's.
        max_tokens: of a batch.
        workers: processes that load data.
    """
    device = next(model.parameters()).device
    sampler = dataset.batch_by_size(dataset.ordered_indices(), max_tokens=max_tokens, required_batch_size_multiple=1)
    for batch in DataLoader(dataset, batch_sampler=sampler, collate_fn=dataset.collater, num_workers=workers):
        yield utils.move_to_cuda(batch, device) if device.type == "cuda" else batch
