"""The checkpoint that a training goes on from, whose dictionary has to be that of the data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError
from torch import Tensor

from fairseq_littlebird.checkpoints.dictionary import check_trained_dictionary, members, trained_dictionary
from fairseq_littlebird.checkpoints.older_versions import refuse_older
from fairseq_littlebird.checkpoints.tensors import load_tensors
from fairseq_littlebird.data.shards import folder_of
from fairseq_littlebird.errors import UserError


def start_of(cfg: Any) -> Path | None:
    """The checkpoint that fairseq's ``load_checkpoint`` will read; None where a training starts from nothing.

    Args:
        cfg: with the options of fairseq's ``CheckpointConfig`` that say so; None without any.
    """
    if cfg is None:
        return None
    try:
        suffix = cfg.checkpoint_suffix or ""
        last = Path(cfg.save_dir) / f"checkpoint_last{suffix}.pt"
        if cfg.restore_file != "checkpoint_last.pt":
            path = cfg.restore_file.replace(".pt", suffix + ".pt")
        else:
            path = last if last.exists() else cfg.continue_once or cfg.finetune_from_model
    except InterpolationKeyError:  # of a task's settings alone
        return None
    return Path(path) if path and Path(path).is_file() else None


def check_start(checkpoint: Path, symbols: Sequence[str], here: str) -> None:
    """Raises UserError where a checkpoint's dictionary differs from that of the data, or an older version wrote it.

    Args:
        checkpoint: its path.
        symbols: of the data's dictionary, in the order of their ids.
        here: its dict.txt.
    """
    content = load_tensors(checkpoint, mapped=True)
    try:
        trained = trained_dictionary(content, checkpoint)
    except UserError as error:
        raise UserError(str(error), str(checkpoint)) from error
    check_trained_dictionary(trained, symbols, here, str(checkpoint))
    weights = content.get("model")
    refuse_older(weights if isinstance(weights, dict) else (), str(checkpoint))


class Start(NamedTuple):
    """What a model of fairseq's own tasks is compared with as a checkpoint is loaded into it.

    fairseq shows these tasks and the model no more of a checkpoint than its tensors, so the file that the options name
    is looked at again.

    Args:
        checkpoint: its path.
        symbols: of the data's dictionary, in the order of their ids.
        here: its dict.txt.
    """

    checkpoint: Path
    symbols: list[str]
    here: str

    @classmethod
    def of(cls, cfg: Any, task: Any) -> Start | None:
        """None where there is no such checkpoint, or the task has looked at it itself, as this plugin's do.

        Args:
            cfg: the model's part of fairseq's configuration.
            task: the task.
        """
        if hasattr(task, "check_start") or not OmegaConf.is_config(cfg):
            return None
        settings = getattr(task, "cfg", None) or getattr(task, "args", None)  # the latter of fairseq's oldest tasks
        data = getattr(settings, "data", None)
        checkpoint = start_of(sibling(cfg, "checkpoint"))
        if checkpoint is None or not isinstance(data, str):
            return None
        folder = folder_of(data)
        if not (folder / "dict.txt").exists():
            folder /= "input0"  # of sentence_prediction
        return cls(checkpoint, task.source_dictionary.symbols, str(folder / "dict.txt"))

    def check(self, table: str, embeddings: Tensor) -> None:
        """Raises UserError as :func:`check_start`; not where another checkpoint than this one is loaded.

        The options are also those that a checkpoint was once trained with, when it is loaded to be used.

        Args:
            table: the parameter's name in the checkpoint.
            embeddings: <float>[V, C], what is loaded for it.
        """
        try:
            own = members(load_tensors(self.checkpoint, mapped=True), "model").get(table)
        except UserError:  # what fairseq could load is no damaged file
            return
        if isinstance(own, Tensor) and own.dtype == embeddings.dtype and torch.equal(own, embeddings.to("cpu")):
            check_start(self.checkpoint, self.symbols, self.here)


def sibling(part: Any, name: str) -> Any:
    """Another part of the configuration that ``part`` is one of; None where it is of none."""
    if not isinstance(part, DictConfig):
        return None
    try:
        return OmegaConf.create({"options": f"${{{name}}}"}, parent=part).options
    except InterpolationKeyError:
        return None
