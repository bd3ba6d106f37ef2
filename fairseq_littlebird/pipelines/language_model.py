"""A trained language model, and the tokenizer of the text that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fairseq.tasks import TASK_REGISTRY
from fairseq.tasks.language_modeling import LanguageModelingTask

from fairseq_littlebird.checkpoints.dictionary import check_trained_dictionary, members, trained_dictionary
from fairseq_littlebird.checkpoints.tensors import find_checkpoint, load_tensors
from fairseq_littlebird.data.character_metadata import is_characters
from fairseq_littlebird.data.model_folder import model_tokenizer, write_own_files
from fairseq_littlebird.data.shards import folder_of
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.pipelines.loading import load_model
from fairseq_littlebird.tasks.littlebird_language_modeling import (
    EOS,
    NONE,
    LittleBirdLanguageModelingConfig,
    LittleBirdLanguageModelingTask,
)
from fairseq_littlebird.text.tokenizers import FILES, Tokenizer, load_tokenizer

TASK = "littlebird_language_modeling"


def load_language_model(
    checkpoint: str | Path, data: str, device: str | None = None, precision: str = "float32"
) -> tuple[Any, LittleBirdLanguageModelingTask]:
    """A language model in evaluation mode, and the task set to ``data`` whichever one of the two it was trained with.

    Args:
        checkpoint: of fairseq-train, or a folder with one; also one of fairseq's own models.
        data: a folder as the task needs it.
        device, precision: see :func:`load_model`.
    Raises:
        UserError: a checkpoint of another task, one whose texts begin otherwise, and as :func:`load_model`.
    """
    if not folder_of(data).is_dir():
        raise UserError("no such folder", data, "give one of littlebird-prepare characters or fairseq-preprocess")
    path = find_checkpoint(checkpoint)
    content = load_tensors(path, mapped=True)
    settings = _task_settings(content, path)
    own = {name: settings[name] for name in ("tokens_per_sample", "max_target_positions") if settings.get(name)}
    lines = settings.get("sample_break_mode") == EOS and not is_characters(folder_of(data))
    cfg = LittleBirdLanguageModelingConfig(data=data, sample_break_mode=EOS if lines else NONE, **own)  # type: ignore[arg-type]
    cfg._name = TASK
    task = LittleBirdLanguageModelingTask.setup_task(cfg)
    trained, here = trained_dictionary(content, path), folder_of(data) / "dict.txt"
    if trained is not None and trained.where.resolve() != here.resolve():
        check_trained_dictionary(trained, task.dictionary.symbols, str(here), str(path))
    return load_model(path, data, device, precision, task=task)


def _task_settings(content: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """What a checkpoint keeps of its task. Raises UserError where it is another than one of the two."""
    try:
        settings = members(members(content, "cfg"), "task")
        older = members(content, "args")
    except UserError as error:
        raise UserError(str(error), str(path)) from error
    settings = settings or {**older, "_name": older.get("task")}
    name = str(settings.get("_name"))
    if not issubclass(TASK_REGISTRY.get(name, object), LanguageModelingTask):
        remedy = f"give a language model, trained with --task {TASK} or language_modeling"
        raise UserError(f"a checkpoint of --task {name}", str(path), remedy)
    for option in ("add_bos_token", "self_target", "past_target"):
        if settings.get(option):
            what = f"trained with --{option.replace('_', '-')}"
            raise UserError(what, str(path), "score it with fairseq-eval-lm")
    return settings


def text_tokenizer(data: str, checkpoint: str | Path, tokenizer: str | Path | None = None) -> Tokenizer | None:
    """What spells the tokens of a folder: the given one, else the folder's, else the checkpoint's; None without any.

    Args:
        data: the folder.
        checkpoint: see :func:`load_language_model`.
        tokenizer: file or folder.
    Raises:
        UserError: it is damaged, or of another vocabulary.
    """
    folder, path = folder_of(data), find_checkpoint(checkpoint)
    if tokenizer is not None:
        return model_tokenizer(folder, tokenizer, str(folder), "give the one of the text")
    if _has_tokenizer(folder):
        return load_tokenizer(folder, folder / "dict.txt")
    with TemporaryDirectory() as temporary:
        own = Path(temporary)
        write_own_files(own, load_tensors(path, mapped=True), path, folder)
        return load_tokenizer(own, own / "dict.txt") if _has_tokenizer(own) else None


def _has_tokenizer(folder: Path) -> bool:
    names = {path.name for path in folder.iterdir()}
    return bool(names & ({*FILES} - {"dict.txt"})) or any(name.endswith(".model") for name in names)
