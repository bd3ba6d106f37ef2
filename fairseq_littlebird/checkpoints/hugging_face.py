"""Hugging Face folders: config.json, and weights in safetensors or PyTorch files, whole or in shards."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from reprlib import repr as short
from typing import Any

from torch import Tensor

from fairseq_littlebird.checkpoints.key_maps import HUGGING_FACE, QA, SPAN_HEAD, apply_key_map, check_keys, rename
from fairseq_littlebird.checkpoints.source import Source, float32, fold_positions, parameters, sizes
from fairseq_littlebird.checkpoints.tensors import load_tensors
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.config import EncoderConfig
from fairseq_littlebird.modules.size_names import HUGGING_FACE as HUGGING_FACE_NAMES

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""The first of these that is there holds the weights."""

PREFIX = {
    "bert": "bert.",
    "roberta": "roberta.",
    "xlm-roberta": "roberta.",
    "electra": "electra.",
    "big_bird": "bert.",
    "longformer": "longformer.",
}
NUMBERS = ("vocab_size", "layers", "embed_dim", "ffn_embed_dim", "heads", "max_positions")
"""The sizes that every configuration has to give."""
COUNT_ON = ("roberta", "xlm-roberta", "longformer")
"""Position rows count on from the padding's number."""
ACTIVATIONS = {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"}
ONE_ACTIVATION = ("bert", "big_bird")
"""The word head has the layers' activation; elsewhere it has gelu, and so must the layers."""
TYPED = ("bert", "electra", "big_bird")
"""Question and context have token types of their own."""
# the only values that the encoders here have
ONLY = {
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "rescale_embeddings": (False, None),
    "use_bias": (True, None),
}


def read_hugging_face(folder: Path) -> Source:
    """Reads BERT, RoBERTa, XLM-R, ELECTRA, BigBird or Longformer, with a head for words, for questions, or with none.

    Raises:
        UserError: another model type, a setting that the encoders here lack, missing or unexpected keys.
    """
    config = _config(folder)
    kind = config["model_type"]
    prefix, key_map = PREFIX[kind], HUGGING_FACE[kind]
    weights = rename(read_weights(folder), lambda key: _modern(key.removeprefix(prefix)), str(folder))
    state, dropped = apply_key_map(float32(weights), key_map, str(folder))
    where = str(folder / "config.json")
    offset = _number(config, "pad_token_id", where) + 1 if kind in COUNT_ON else 0
    values: dict[str, Any] = {name: _number(config, HUGGING_FACE_NAMES[name], where) for name in NUMBERS}
    C, width = values["embed_dim"], HUGGING_FACE_NAMES["word_embed_dim"]
    E = _number(config, width, where) if config.get(width) else C
    values |= {
        "word_embed_dim": 0 if E == C else E,
        "layer_norm_eps": config.get(HUGGING_FACE_NAMES["layer_norm_eps"], 1e-12),
        "activation": ACTIVATIONS[config[HUGGING_FACE_NAMES["activation"]]],
    }
    check_keys(state, sizes(where, state, **values), key_map, str(folder))
    if not 0 <= offset < values["max_positions"]:
        raise UserError(f"pad_token_id is {offset - 1}", where, "copy config.json again")
    own = sizes(where, state, **values | {"max_positions": values["max_positions"] - offset})
    notes: list[str] = []
    span_head = _split_span_head(state, own, kind, where)
    fold_positions(state, offset, notes, context=bool(span_head) and kind in TYPED)
    model, options = _model(config, own.layers, where)
    return Source(
        f"Hugging Face {kind}",
        folder,
        own,
        state,
        folder,
        None,
        len(weights),
        dropped,
        notes,
        model=model,
        options=options,
        span_head=span_head,
    )


def _model(config: dict[str, Any], layers: int, where: str) -> tuple[str, dict[str, Any]]:
    """What the source is here, and the options that it fixes.

    Raises:
        UserError: a setting of another kind, or windows for another number of layers.
    """
    kind = config["model_type"]
    if kind == "big_bird":
        options: dict[str, Any] = {
            "block_size": _number(config, "block_size", where),
            "random_blocks": _number(config, "num_random_blocks", where),
            "random_attention": "first_block",  # what transformers computes outside training
        }
        return "bigbird_itc", options
    if kind == "longformer":
        windows = config.get("attention_window")
        windows = windows if isinstance(windows, list) else [windows] * layers
        if len(windows) != layers or not all(isinstance(window, int) for window in windows):
            raise UserError(
                f"attention_window is {short(config.get('attention_window'))}",
                where,
                f"give one number, or {layers}",
            )
        return "longformer", {"attention_window": windows}
    return "full_attention", {}


def _split_span_head(state: dict[str, Tensor], config: EncoderConfig, kind: str, where: str) -> str:
    """Start and end of an answer as layers of their own; the kind of head that they make, or nothing.

    Args:
        state: changed in place.
        config: the encoder's sizes.
        kind: the source's model type.
        where: the source's path, for messages.
    Raises:
        UserError: BigBird's head, in other than its released sizes.
    """
    if f"{QA}.weight" not in state:
        return ""
    for part in ("weight", "bias"):
        start, end = state.pop(f"{QA}.{part}").split(1)
        state |= {f"{SPAN_HEAD}start.{part}": start.clone(), f"{SPAN_HEAD}end.{part}": end.clone()}
    if kind != "big_bird":
        return "independent"
    own = config.ffn_embed_dim, config.layer_norm_eps, config.activation
    if own != (4 * config.embed_dim, 1e-12, "gelu_tanh"):
        raise UserError(
            "its head for questions is not of the released checkpoints' kind: four times as wide inside, "
            "layer_norm_eps 1e-12, hidden_act gelu_new",
            where,
            "save the encoder without it",
        )
    return "bigbird"


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All weights of a folder.

    Raises:
        UserError: there are none, a shard is missing, or a file cannot be read.
    """
    for name in WEIGHTS:
        if (folder / name).exists():
            break
    else:
        raise UserError("no weights", str(folder), f"it needs one of {', '.join(WEIGHTS)}")
    if not name.endswith(".index.json"):
        return _read_file(folder / name)
    index = _json(folder / name).get("weight_map")
    if not isinstance(index, dict):
        raise UserError("no weight_map", str(folder / name), "copy the index again")
    for shard in index.values():
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise UserError(f"{short(shard)} is no file's name", str(folder / name), "copy the index again")
    absent = sorted(shard for shard in {*index.values()} if not os.path.isfile(folder / shard))
    if absent:
        raise UserError(f"missing shards: {', '.join(absent)}", str(folder), "copy them beside the index")
    weights: dict[str, Tensor] = {}
    for shard in sorted({*index.values()}):
        weights |= _read_file(folder / shard)
    missing = sorted(index.keys() - weights.keys())
    if missing:
        raise UserError(f"shards lack keys of the index: {', '.join(missing)}", str(folder), "copy the shards again")
    return weights


def _read_file(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        return parameters(load_tensors(path), str(path))
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"not a readable safetensors file ({error})", str(path), "copy it again") from error


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    config = _json(path)
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in HUGGING_FACE:
        raise UserError(f"model type {short(kind)}", str(path), f"LittleBird starts from {', '.join(HUGGING_FACE)}")
    config.setdefault("hidden_act", "gelu_new" if kind == "big_bird" else "gelu")
    for name, allowed in _only(kind).items():
        if (value := config.get(name, allowed[0])) not in allowed:
            remedy = f"this takes encoders with {name} {allowed[0]!r}"
            if name == "attention_type":
                remedy = "write 'block_sparse': the weights are the same, and --to full attends to all"
            raise UserError(f"{name} is {short(value)}", str(path), remedy)
    return config


def _only(kind: str) -> dict[str, tuple[Any, ...]]:
    """The values of a setting that the encoders here have, by the setting's name."""
    activations = tuple(ACTIVATIONS) if kind in ONE_ACTIVATION else ("gelu",)
    return ONLY | {"hidden_act": activations, "attention_type": ("block_sparse",)}


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON ({error})", str(path), "copy it again") from error
    if not isinstance(content, dict):
        raise UserError("not a JSON object", str(path), "copy it again")
    return content


def _number(config: dict[str, Any], name: str, where: str) -> int:
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{name} is {short(value)}, not a whole number", where, "copy config.json again")
    return value


def _modern(key: str) -> str:
    """Old BERT files call a layer norm's weight gamma and its bias beta."""
    return re.sub(r"LayerNorm\.(gamma|beta)$", lambda m: "LayerNorm." + {"gamma": "weight", "beta": "bias"}[m[1]], key)
