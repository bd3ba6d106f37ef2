"""A trained model and its task from a checkpoint: on its device, in its precision."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from fairseq import checkpoint_utils
from fairseq.tasks import TASK_REGISTRY

from fairseq_littlebird.attention import BiALiBi, CausalBiALiBi
from fairseq_littlebird.checkpoints.dictionary import TrainedDictionary, carrying, members, trained_dictionary
from fairseq_littlebird.checkpoints.tensors import find_checkpoint, load_tensors
from fairseq_littlebird.data.shards import folder_of
from fairseq_littlebird.data.summarization_metadata import is_summarization
from fairseq_littlebird.errors import UserError, fault_line
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.models.language_model import LanguageModel
from fairseq_littlebird.models.seq2seq_model import Seq2SeqModel
from fairseq_littlebird.pipelines.device import check_device
from fairseq_littlebird.processor import warn_if_slow
from fairseq_littlebird.tasks.littlebird_sentence_prediction import LittleBirdSentencePredictionTask
from fairseq_littlebird.tasks.question_answering import QuestionAnsweringTask
from fairseq_littlebird.tasks.summarization import SummarizationTask

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.qint8,  # weights; activations by the range of each batch
}
TASKS = {
    "question_answering": QuestionAnsweringTask,
    "littlebird_sentence_prediction": LittleBirdSentencePredictionTask,
    "summarization": SummarizationTask,
}


def load_trained(
    checkpoint: str | Path, data: str | Path, device: str | None = None, precision: str = "float32"
) -> tuple[EncoderModel, Any]:
    """A question-answering model or classifier, as :func:`load_model` gives it.

    Raises:
        UserError: as there; no such folder, or a checkpoint of another task than one of ``TASKS``.
    """
    if not folder_of(str(data)).is_dir():
        raise UserError("no such folder", str(data), "give one that littlebird-prepare wrote")
    _device(device, precision)  # before what takes time
    check_task(find_checkpoint(checkpoint), is_summarization(folder_of(str(data))))
    return load_model(checkpoint, data, device, precision)


def load_ensemble(
    checkpoints: Sequence[str | Path], data: str | Path, device: str | None = None, precision: str = "float32"
) -> list[tuple[EncoderModel, Any]]:
    """One model and its task, or several classifiers with theirs, each as :func:`load_trained` gives it.

    Raises:
        UserError: as there; several checkpoints, one of which is no classifier.
    """
    loaded = []
    for checkpoint in checkpoints:
        loaded.append(load_trained(checkpoint, data, device, precision))
        if len(checkpoints) > 1 and not isinstance(loaded[-1][1], LittleBirdSentencePredictionTask):
            remedy = "give one checkpoint"
            raise UserError("several checkpoints, but only classifiers are averaged", str(checkpoint), remedy)
    return loaded


def check_task(checkpoint: Path, summarized: bool) -> None:
    """Raises UserError where a checkpoint is of none of ``TASKS``, or either it or the data are of summarization."""
    content = load_tensors(checkpoint, mapped=True)
    try:
        task = members(members(content, "cfg"), "task").get("_name")
        parameters = members(content, "model")
    except UserError as error:
        raise UserError(str(error), str(checkpoint)) from error
    if summarized and not any(str(name).startswith("decoder.") for name in parameters):
        remedy = "train an encoder–decoder, such as led_base, with --task summarization"
        raise UserError("an encoder alone, which writes no summaries", str(checkpoint), remedy)
    if not issubclass(TASK_REGISTRY.get(task, object), tuple(TASKS.values())):
        raise UserError(f"not a checkpoint of --task {' or '.join(TASKS)}", str(checkpoint), "fine-tune it first")
    if summarized != (task == "summarization"):
        what = f"a checkpoint of --task {task}" if summarized else "a summarizer, but the folder is of another task"
        remedy = "fine-tune it with --task summarization" if summarized else "prepare it with littlebird-prepare"
        raise UserError(what, str(checkpoint), f"{remedy}{'' if summarized else ' summarization'}")


def load_model(
    checkpoint: str | Path,
    data: str | Path,
    device: str | None = None,
    precision: str = "float32",
    own_files: bool = False,
    task: Any = None,
) -> tuple[EncoderModel, Any]:
    """A model in evaluation mode on its device, and its task set to the folder ``data``.

    Args:
        checkpoint: of fairseq-train, or a folder with one.
        data: a folder as the task needs it.
        device: None takes the accelerator if there is one.
        precision: of ``PRECISIONS``, see :func:`set_precision`.
        own_files: the folder's dictionary is the checkpoint's own, as :func:`model_folder` has found it.
        task: to load the model in; None for that of the checkpoint.
    Raises:
        UserError: the checkpoint is damaged, lacks a head that the folder needs, or its dictionary or labels are not
            the folder's; no such device or precision.
    """
    path = find_checkpoint(checkpoint)
    where = str(path)
    place = _device(device, precision)  # before what takes time
    warn_if_slow(PRECISIONS[precision], torch.device(place))
    try:
        state = checkpoint_utils.load_checkpoint_to_cpu(where, {"data": str(data)})
        trained = TrainedDictionary.of(Path(data)) if own_files else trained_dictionary(state, path)
        models, _, task = checkpoint_utils.load_model_ensemble_and_task(
            [where], task=task, state=carrying(state, trained)
        )
    except UserError as error:
        raise UserError(str(error), where) from error
    except Exception as error:  # torch and fairseq raise every kind of error on a damaged file
        line = fault_line(error)
        if line is None:
            raise
        raise UserError(line, "" if where in line else where) from error
    try:
        set_precision(models[0], PRECISIONS[precision])
    except UserError as error:
        raise UserError(str(error), where) from error
    return models[0].to(place).eval(), task


def _device(device: str | None, precision: str) -> str:
    """The device to run on, which is there and has the precision."""
    if precision not in PRECISIONS:
        raise UserError(f"no precision {precision!r}", remedy=f"choose {', '.join(PRECISIONS)}")
    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    check_device(place)
    if precision == "int8" and place != "cpu":
        raise UserError("int8 runs only on CPUs", place, "choose cpu, or half precision")
    return place


def set_precision(model: Any, dtype: torch.dtype) -> None:
    """The encoder's weights and activations as ``dtype``; its slopes, and the heads with what they read, as float32.

    Of an encoder–decoder both parts are, and its generator reads logits as float32; so do scores of a language model.
    int8 is of the linear layers alone, quantized dynamically.

    Raises:
        UserError: int8 for a model of fairseq's, whose attentions read the weights of their projections.
    """
    if dtype == torch.float32:
        return
    own = isinstance(model, (EncoderModel, Seq2SeqModel, LanguageModel))
    part = model.encoder if isinstance(model, EncoderModel) else model
    if dtype == torch.qint8:
        if not own:
            raise UserError("int8 is for models of this package", remedy="choose float32 or bfloat16")
        with (
            warnings.catch_warnings()
        ):  # torch wants its users to move to another package, which has no CPU kernels yet
            warnings.simplefilter("ignore")
            torch.ao.quantization.quantize_dynamic(part, {torch.nn.Linear}, dtype, inplace=True)
        return
    if not own:
        model.to(dtype)  # with its buffers, such as those of sinusoids
        return
    for module in part.modules():
        if not isinstance(module, (BiALiBi, CausalBiALiBi)):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.to(dtype)
    if part is not model:
        model.encoder.register_forward_hook(lambda _, inputs, hidden: hidden.float())
