"""The model of a checkpoint without its task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from fairseq import checkpoint_utils
from fairseq.data import Dictionary
from fairseq.models import ARCH_MODEL_REGISTRY, MODEL_REGISTRY
from torch import nn

from fairseq_littlebird.checkpoints.dictionary import check_trained_dictionary, trained_dictionary
from fairseq_littlebird.checkpoints.older_versions import refuse_older
from fairseq_littlebird.conversion.parameters import LM_HEAD, SPAN_HEAD, TOKENS
from fairseq_littlebird.errors import UserError, fault_line
from fairseq_littlebird.heads.span_selection import SPAN_HEADS
from fairseq_littlebird.models.encoder_model import EncoderModel

OTHER_HEADS = ("classification_heads.", "segment_head.", "answer_type_head.", "next_sentence_head.")


def load_encoder(
    path: str, dictionary: Dictionary, kinds: Sequence[type[EncoderModel]], title: str, remedy: str
) -> EncoderModel:
    """The model of a checkpoint, whatever task it was trained for, with its heads for masked tokens and for spans.

    Args:
        path: a checkpoint of fairseq-train or of littlebird-warm-start.
        dictionary: the vocabulary that it is to read.
        kinds: the models that will do.
        title: what messages call it.
        remedy: how to make one, for messages.
    Raises:
        UserError: no such file, damaged, of another model, or of another vocabulary.
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
    refuse_older(state["model"], path)
    weights = {k: t for k, t in state["model"].items() if not k.startswith(OTHER_HEADS)}
    table = weights.get(TOKENS)
    if table is not None and len(table) != len(dictionary):
        raise UserError(
            f"{title} has {len(table)} tokens, the dictionary {len(dictionary)}",
            path,
            f"binarize the text with the dict.txt of {title}",
        )
    with torch.device("meta"):  # the checkpoint's own tensors become the weights
        model = kind.build_model(cfg, _Vocabulary(dictionary))
        model.span_head = span_head({k for k in weights if k.startswith(SPAN_HEAD)}, model.cfg.encoder_embed_dim)
    if not any(key.startswith(LM_HEAD) for key in weights):
        model.lm_head = None
    try:
        nn.Module.load_state_dict(model, weights, assign=True)
    except RuntimeError as error:
        what = str(error).splitlines()[-1].strip()  # the first line names no parameter
        raise UserError(f"the weights do not fit the model they came with ({what})", path) from error
    return model


def span_head(keys: set[str], embed_dim: int) -> nn.Module | None:
    """The kind of span head that has these keys; None for none."""
    for kind in SPAN_HEADS.values():
        head = kind(embed_dim)
        if {f"{SPAN_HEAD}{key}" for key in head.state_dict()} == keys:
            return head
    return None


class _Vocabulary:
    """As much of a task as building a model takes."""

    def __init__(self, dictionary: Dictionary) -> None:
        self.source_dictionary = dictionary
