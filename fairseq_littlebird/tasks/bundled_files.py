"""Checkpoints that carry the dictionary and the tokenizer which they were trained with, and what they start."""

# no postponed annotations: fairseq reads the types of the fields
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import torch
from fairseq import utils
from fairseq.data import Dictionary
from fairseq.dataclass import FairseqDataclass
from omegaconf import II

from fairseq_littlebird.checkpoints.dictionary import (
    TrainedDictionary,
    bundled_file,
    check_trained_dictionary,
)
from fairseq_littlebird.data.model_folder import read_files
from fairseq_littlebird.data.shards import folder_of
from fairseq_littlebird.models.start import check_start, sibling, start_of
from fairseq_littlebird.processor import warn_if_slow


@dataclass
class BundledFilesConfig(FairseqDataclass):
    """A mixin: fairseq's own options that say which checkpoint a training goes on from."""

    save_dir: str = II("checkpoint.save_dir")
    restore_file: str = II("checkpoint.restore_file")
    continue_once: Optional[str] = II("checkpoint.continue_once")  # noqa: UP045
    finetune_from_model: Optional[str] = II("checkpoint.finetune_from_model")  # noqa: UP045
    checkpoint_suffix: str = II("checkpoint.checkpoint_suffix")


class BundledFiles:
    """A mixin for a task whose ``cfg.data`` is a folder, or several joined by colons.

    fairseq shows a task the state that it had in a checkpoint where a model is loaded, and not where it is trained on:
    there the file is looked at before the model is built.
    """

    cfg: Any
    dictionary: Dictionary
    part = ""
    """The subfolder with the dictionary and the tokenizer."""

    @property
    def folder(self) -> Path:
        """Where the dictionary and the tokenizer are."""
        return folder_of(self.cfg.data) / self.part

    def state_dict(self) -> dict[str, Any]:
        state: dict[str, Any] = super().state_dict()  # type: ignore[misc]
        return state | {"files": read_files(self.folder)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Raises UserError where a checkpoint's dictionary is not the folder's, or it is damaged."""
        file = bundled_file({"task_state": state_dict}, "dict.txt")
        bundled = None if file is None else TrainedDictionary(file, Path("the checkpoint"))
        check_trained_dictionary(bundled, self.dictionary.symbols, str(self.folder / "dict.txt"))
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "files"})  # type: ignore[misc]

    @property
    def use(self) -> str:
        """What the heads of a model that is not to be trained are needed for."""
        return f"--task {self.cfg._name}"

    def build_model(self, cfg: Any, from_checkpoint: bool = False) -> Any:
        """Raises UserError as :meth:`check_start`, where a model is trained."""
        return self.built(super().build_model, cfg, from_checkpoint)  # type: ignore[misc]

    def built(self, build: Callable[..., Any], cfg: Any, from_checkpoint: bool) -> Any:
        """The model that ``build`` makes, which knows whether its heads may be new."""
        common = sibling(cfg, "common")
        if not from_checkpoint:
            self.check_start()
            _without_tpu(common)
        model = build(cfg, from_checkpoint)
        model.used_for = self.use if from_checkpoint else ""
        if not from_checkpoint:
            _check_training(model, common)
        return model

    def check_start(self) -> None:
        """Raises UserError where the checkpoint that fairseq will go on from has another dictionary than the folder."""
        checkpoint = start_of(self.cfg)
        if checkpoint is not None:
            check_start(checkpoint, self.dictionary.symbols, str(self.folder / "dict.txt"))


def _without_tpu(common: Any) -> None:
    """Lets --bf16 mean bfloat16 on the device that there is: fairseq takes it for a TPU, with torch_xla or without.

    Args:
        common: as below.
    """
    if common is not None and common.tpu and utils.xm is None:
        common.tpu = False


def _check_training(model: Any, common: Any) -> None:
    """Raises UserError where the model cannot be trained as fairseq's trainer will: before it has read any data.

    Logs a warning where it can, but slowly.

    Args:
        model: the built one.
        common: fairseq's ``CommonConfig``; None where no trainer's options are known.
    """
    if common is None:
        return
    device = torch.device("cuda" if torch.cuda.is_available() and not common.cpu else "cpu")
    dtype = torch.float16 if common.fp16 else torch.bfloat16 if common.bf16 else torch.float32
    warn_if_slow(dtype, device)
    if hasattr(model, "check_training"):
        model.check_training(device, dtype)
