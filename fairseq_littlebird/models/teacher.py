"""The frozen teacher of a distillation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from fairseq.data import Dictionary
from torch import Tensor

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.models.full_attention import FullAttentionModel
from fairseq_littlebird.models.loading import load_encoder
from fairseq_littlebird.modules.config import EncoderConfig

PRECISIONS = ("auto", "float32", "float16", "bfloat16")
CONVERT = "write one with littlebird-warm-start --to full"


class Teacher:
    """A model that answers and never learns.

    It is not a module, so that a module that holds it neither saves nor synchronises it, nor gives it to an optimizer.

    Args:
        model: the model.
        precision: one of ``PRECISIONS``; ``auto`` is half precision on accelerators.
        path: where it comes from, for messages.
    """

    def __init__(self, model: EncoderModel, precision: str = "auto", path: str = "") -> None:
        self.model = model.eval().requires_grad_(False)
        self.precision, self.path = precision, path
        self.device: torch.device | None = None

    @property
    def config(self) -> EncoderConfig:
        return self.model.encoder.config

    # inference tensors could not be kept for the student's backward pass
    @torch.no_grad()
    def __call__(self, src_tokens: Tensor, **inputs: Any) -> tuple[Tensor, dict[str, Any]]:
        """As the model's ``forward``, on the tokens' device and without position ids.

        Raises:
            UserError: more tokens than the model knows positions.
        """
        length, known = src_tokens.shape[1], self.config.max_positions
        if length > known:
            raise UserError(
                f"a sequence of {length} tokens, but the teacher reads {known} positions",
                self.path,
                f"lower --tokens-per-sample by {length - known}",
            )
        if self.device != src_tokens.device:
            self.device = src_tokens.device
            self.model.to(self.device, self.dtype(self.device))
        inputs.pop("positions", None)  # gaps mean nothing to absolute positions
        with torch.autocast(src_tokens.device.type, enabled=False):
            return self.model(src_tokens, **inputs)

    def dtype(self, device: torch.device) -> torch.dtype:
        """What it computes in on a device."""
        if self.precision != "auto":
            dtype: torch.dtype = getattr(torch, self.precision)
            return dtype
        if device.type == "cpu":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def load_teacher(path: str, dictionary: Dictionary, precision: str = "auto") -> Teacher:
    """The full-attention model of a checkpoint, with the heads that the checkpoint has.

    Args:
        path: a checkpoint of fairseq-train or of littlebird-warm-start.
        dictionary: the vocabulary of the student.
        precision: one of ``PRECISIONS``.
    Raises:
        UserError: no such file, damaged, of another model, or of another vocabulary.
    """
    if not Path(path).is_file():
        raise UserError("no such checkpoint", path, "give the teacher's file with --teacher-path")
    return Teacher(load_encoder(path, dictionary, (FullAttentionModel,), "the teacher", CONVERT), precision, path)
