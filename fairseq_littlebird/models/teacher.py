"""The frozen teacher of a distillation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from fairseq import checkpoint_utils
from fairseq.data import Dictionary
from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_REGISTRY
from torch import Tensor, nn

from fairseq_littlebird.checkpoints.dictionary import check_trained_dictionary, trained_dictionary
from fairseq_littlebird.errors import UserError, fault_line, first_line
from fairseq_littlebird.heads.span_selection import SPAN_HEADS
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.models.full_attention import FullAttentionModel
from fairseq_littlebird.modules.config import EncoderConfig

PRECISIONS = ("auto", "float32", "float16", "bfloat16")
CONVERT = "write one with littlebird-warm-start --to full"
OTHER_HEADS = ("classification_heads.", "segment_head.", "answer_type_head.")


class Teacher:
    """A model that answers and never learns.

    It is no module, so that whoever holds one neither saves it, nor synchronises it, nor hands it to an optimizer.

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
                f"a sequence of {length} tokens, but the teacher knows {known} positions",
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
        dictionary: the words the student reads.
        precision: one of ``PRECISIONS``.
    Raises:
        UserError: no such file, damaged, of another model, or of other words.
    """
    if not Path(path).is_file():
        raise UserError("no such checkpoint", path, "give the teacher's file with --teacher-path")
    return Teacher(load_encoder(path, dictionary, (FullAttentionModel,), "the teacher", CONVERT), precision, path)


def load_encoder(
    path: str, dictionary: Dictionary, kinds: Sequence[type[EncoderModel]], title: str, remedy: str
) -> EncoderModel:
    """The model of a checkpoint, whatever task it was trained for, with its heads for words and for spans.

    Args:
        path: a checkpoint of fairseq-train or of littlebird-warm-start.
        dictionary: the words that it is to read.
        kinds: the models that will do.
        title: what messages call it.
        remedy: how to make one, for messages.
    Raises:
        UserError: no such file, damaged, of another model, or of other words.
    """
    if not Path(path).is_file():
        raise UserError("no such checkpoint", path, remedy)
    try:
        state = checkpoint_utils.load_checkpoint_to_cpu(path)
    except Exception as error:  # torch and fairseq raise every kind of error on a damaged file
        line = fault_line(error)
        if line is None:
            raise
        raise UserError(line) from error
    cfg = (state.get("cfg") or {}).get("model") or {}
    name = cfg.get("_name", "another model")
    kind: Any = {**MODEL_REGISTRY, **ARCH_MODEL_REGISTRY}.get(name)
    if kind not in kinds:
        raise UserError(f"a checkpoint of {name}, not of {' or '.join(kind.title for kind in kinds)}", path, remedy)
    here = "the dictionary of the data"
    try:
        trained = trained_dictionary(state, Path(path))
    except UserError as error:
        raise UserError(str(error), path) from error
    check_trained_dictionary(trained, dictionary.symbols, here, path, f"binarize the text with the dict.txt of {title}")
    weights = {k: t for k, t in state["model"].items() if not k.startswith(OTHER_HEADS)}
    words = weights.get("encoder.embeddings.words.weight")
    if words is not None and len(words) != len(dictionary):
        raise UserError(
            f"{title} has {len(words)} words, the dictionary {len(dictionary)}",
            path,
            f"binarize the text with the dict.txt of {title}",
        )
    if "attention_backend" in cfg:
        cfg["attention_backend"] = "auto"  # the machine that trained may have had another
    with torch.device("meta"):  # the checkpoint's own tensors become the weights
        model = kind.build_model(cfg, _Words(dictionary))
        model.span_head = span_head({k for k in weights if k.startswith("span_head.")}, model.cfg.encoder_embed_dim)
    if not any(key.startswith("lm_head.") for key in weights):
        model.lm_head = None
    try:
        nn.Module.load_state_dict(model, weights, assign=True)
    except RuntimeError as error:
        raise UserError(f"the weights do not fit the model they came with ({first_line(error)})", path) from error
    return model


def span_head(keys: set[str], embed_dim: int) -> nn.Module | None:
    """The kind of span head that has these keys; None for none."""
    for kind in SPAN_HEADS.values():
        head = kind(embed_dim)
        if {f"span_head.{key}" for key in head.state_dict()} == keys:
            return head
    return None


class _Words:
    """As much of a task as building a model takes."""

    def __init__(self, dictionary: Dictionary) -> None:
        self.source_dictionary = dictionary
