"""The model that a warm start writes, as fairseq knows it: options, architecture, command line, checkpoint."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from fairseq.dataclass.configs import FairseqConfig
from fairseq.models import (
    ARCH_CONFIG_REGISTRY,
    ARCH_MODEL_NAME_REGISTRY,
    MODEL_DATACLASS_REGISTRY,
    MODEL_REGISTRY,
)
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import OmegaConf

from fairseq_littlebird.checkpoints.dictionary import SPECIAL
from fairseq_littlebird.conversion.fairseq_checkpoint import ROTARY
from fairseq_littlebird.conversion.key_map import State
from fairseq_littlebird.conversion.parameters import CONTEXT
from fairseq_littlebird.conversion.report import QUESTIONS, TEXT
from fairseq_littlebird.conversion.source import Source
from fairseq_littlebird.conversion.targets import TARGETS, WITHOUT_POSITIONS, Target, flag
from fairseq_littlebird.data.model_folder import read_files
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.config import EncoderConfig, LayerForm
from fairseq_littlebird.modules.size_names import FAIRSEQ, FORM

WIDTHS = ("embed_dim", "ffn_embed_dim", "heads", "word_embed_dim")
"""Those that an architecture has to have as the source."""
SIZES = ("layers", *WIDTHS, "layer_norm_eps", "activation")
"""Those that the weights fix, by the names of EncoderConfig."""
SWITCHES = ("no_window", "context_type", *FORM.values())
"""Options without a value."""


def check_target(source: Source, to: str) -> None:
    """Raises UserError where a source cannot become the target.

    Args:
        source: what was read.
        to: one of ``TARGETS``.
    """
    config = source.config
    if (not config.has_positions or config.form != LayerForm()) and to not in WITHOUT_POSITIONS:
        raise UserError(
            f"{source.kind} cannot become {to}",
            str(source.path),
            f"write --to {' or '.join(WITHOUT_POSITIONS)}: the others have learned positions and BERT's layers",
        )


def model_options(
    source: Source, to: str, arch: str | None, layers: Sequence[int], given: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """Every option of the model, and its architecture's name.

    Args:
        source: what was read.
        to: one of ``TARGETS``.
        arch: the architecture; None takes one of the source's size.
        layers: the source's layers to keep.
        given: options of the user.
    Raises:
        UserError: an architecture of another model, or of other sizes than the source's.
    """
    config, target = source.config, TARGETS[to]
    own: dict[str, Any] = {FAIRSEQ["layers"]: len(layers)} | {FAIRSEQ[name]: getattr(config, name) for name in WIDTHS}
    if to in WITHOUT_POSITIONS:
        own |= {option: getattr(config, name) for name, option in FORM.items()}
    name = arch or _default_architecture(source, to)
    model = architecture_options(name, target.model)
    if arch:
        differ = [
            f"{option.replace('encoder_', '').replace('_', ' ')} {model[option]} against the source's {value}"
            for option, value in own.items()
            if model[option] != value
        ]
        if differ:
            raise UserError(f"{arch} has {', '.join(differ)}", str(source.path), "leave out --arch, or name another")
    model |= own | {"layer_norm_eps": config.layer_norm_eps, "activation": config.activation}
    model["context_type"] = CONTEXT in source.state
    if to in ("littlebird", "full", "bigbird_etc") or source.model == target.model:
        model["max_positions"] = config.max_positions
    if source.model == target.model:
        model |= _source_options(source, layers)
    model |= {option: given[option] for option in target.options if option in given}
    if model.get("positions") == "learned" and not config.has_positions:
        raise UserError("its rotary positions cannot become learned ones", str(source.path), "leave out --positions")
    if given.get("max_positions") and model.get("positions", "learned") != "learned":
        raise UserError("--max-positions without learned positions", remedy="add --positions learned")
    return model, name


def _source_options(source: Source, layers: Sequence[int]) -> dict[str, Any]:
    """The options that the source fixes, as the command line has them."""
    options = dict(source.options)
    if "attention_window" in options:
        windows = [str(options["attention_window"][n]) for n in layers]
        options["attention_window"] = windows[0] if len({*windows}) == 1 else ",".join(windows)
    return options


def _default_architecture(source: Source, to: str) -> str:
    config = source.config
    size = "large" if (config.layers, config.embed_dim) in ((24, 1024), (28, 1024)) else "base"
    if config.normalize_before and not config.has_positions:
        return f"{'modernbert_full' if to == 'full' else f'{to}_modernbert'}_{size}"
    full = "bert_full" if config.layer_norm_eps < 1e-6 else "roberta_full"
    return f"{full if to == 'full' else to}_{size}"


def architecture_options(arch: str, model: str) -> dict[str, Any]:
    """Every option of the model with the value that the architecture gives it."""
    known = sorted(name for name, of in ARCH_MODEL_NAME_REGISTRY.items() if of == model and name != model)
    if arch not in known:
        raise UserError(f"{arch!r} is not an architecture of {model}", "--arch", f"choose one of {', '.join(known)}")
    chosen = argparse.Namespace()
    ARCH_CONFIG_REGISTRY[arch](chosen)
    defaults = {key: value for key, value in vars(MODEL_DATACLASS_REGISTRY[model]()).items() if key != "_name"}
    return {key: str(value) if isinstance(value, str) else value for key, value in (defaults | vars(chosen)).items()}


def build_encoder(target: Target, model: dict[str, Any], vocabulary: int) -> tuple[str, EncoderConfig]:
    """What the model calls itself, and the sizes of its encoder.

    Args:
        target: what is written.
        model: its options.
        vocabulary: how many tokens the dictionary has.
    Raises:
        UserError: options that do not fit together.
    """
    kind = MODEL_REGISTRY[target.model]
    try:
        with torch.device("meta"):
            return kind.title, kind.build_encoder(kind.config_class(**model), vocabulary, SPECIAL.index("<pad>")).config
    except ValueError as error:
        raise UserError(str(error), "options", "choose sizes that fit together") from error


def model_arguments(arch: str, model: dict[str, Any], target: Target, config: EncoderConfig) -> str:
    """What fairseq-train needs to build the model."""
    names = [FAIRSEQ[name] for name in SIZES if name != "word_embed_dim" or model[name]]
    names += [name for name in target.options if name not in ("no_window", "max_positions")]
    names += [name for name in ROTARY if model.get("positions") == "rotary"]
    names += ["max_positions"] if config.has_positions or model.get("positions") == "rotary" else []
    arguments = ["--arch", arch]
    for name in names:
        arguments += [flag(name), str(model[name])]
    return " ".join(arguments + [flag(name) for name in SWITCHES if model.get(name)])


def new_checkpoint(
    state: State, model: dict[str, Any], target: Target, span_head: str, folder: Path, data: Path
) -> dict[str, Any]:
    """As fairseq's own before the first update.

    Args:
        state: the parameters.
        model: the model's options.
        target: what is written.
        span_head: the kind of the question-answering head, or nothing.
        folder: where the dictionary and the tokenizer lie that the checkpoint carries.
        data: where they will lie.
    """
    named = {"_name": target.model, **model}
    if span_head:
        task, name = {"_name": QUESTIONS, "span_head": span_head}, "QuestionAnsweringCriterion"
        return untrained_checkpoint(state, named, task, (QUESTIONS, name), folder, data)
    return untrained_checkpoint(state, named, {"_name": TEXT}, ("masked_lm", "MaskedLmLoss"), folder, data)


def untrained_checkpoint(
    state: State,
    model: Mapping[str, Any],
    task: Mapping[str, Any],
    criterion: tuple[str, str],
    folder: Path,
    data: Path,
) -> dict[str, Any]:
    """As fairseq's own before the first update.

    Args:
        state: the parameters.
        model: the model's options, its name among them.
        task: the task's options that are not its defaults, its name among them.
        criterion: its name, and that of its class.
        folder, data: see :func:`new_checkpoint`.
    """
    cfg = _plain(FairseqConfig())
    cfg["model"] = dict(model)
    cfg["task"] = _plain(TASK_DATACLASS_REGISTRY[task["_name"]]) | {"data": str(data)} | dict(task)
    cfg["criterion"] = {"_name": criterion[0]}
    history: dict[str, Any] = {
        "criterion_name": criterion[1],
        "optimizer_name": "FairseqAdam",
        "lr_scheduler_state": {},
        "num_updates": 0,
    }
    return {
        "args": None,
        "cfg": cfg,
        "model": state,
        "criterion": None,
        "optimizer_history": [history],
        "task_state": {"files": read_files(folder)},
        "extra_state": {"train_iterator": {"epoch": 1, "iterations_in_epoch": 0, "shuffle": True}},
        "last_optimizer_state": None,
    }


def _plain(config: Any) -> dict[str, Any]:
    return dict(OmegaConf.to_container(OmegaConf.structured(config), enum_to_str=True))  # type: ignore[arg-type]
