"""Hugging Face folders: config.json, and weights in safetensors or PyTorch files, whole or in shards."""

from __future__ import annotations

import json
import os
from pathlib import Path
from reprlib import repr as short
from typing import Any

from torch import Tensor

from fairseq_littlebird.checkpoints.tensors import load_tensors
from fairseq_littlebird.conversion.adapters import HUGGING_FACE
from fairseq_littlebird.conversion.folding import fold_positions, split_projections, split_span_head
from fairseq_littlebird.conversion.hugging_face_adapter import ACTIVATIONS, whole_number
from fairseq_littlebird.conversion.key_map import check_keys
from fairseq_littlebird.conversion.parameters import QA
from fairseq_littlebird.conversion.source import Source, float32, parameters, sizes
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.size_names import HUGGING_FACE as NAMES

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
"""The first of these that is there holds the weights."""

NUMBERS = ("vocab_size", "layers", "embed_dim", "ffn_embed_dim", "heads", "max_positions")
"""The sizes that every configuration has to give."""
# the only values that the encoders here have
ONLY = {
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "rescale_embeddings": (False, None),
    "use_bias": (True, None),
    "attention_type": ("block_sparse",),
}


def read_hugging_face(folder: Path) -> Source:
    """Reads BERT, RoBERTa, XLM-R, ELECTRA, BigBird, Longformer or ModernBERT.

    With a language model head, a question-answering head, or no head.

    Raises:
        UserError: another model type, a setting that the encoders here lack, missing or unexpected keys.
    """
    config = _config(folder)
    adapter = HUGGING_FACE[config["model_type"]]
    weights = read_weights(folder)
    state, dropped = adapter.to_ours(float32(weights), str(folder))
    where = str(folder / "config.json")
    offset = whole_number(config, "pad_token_id", where) + 1 if adapter.positions_after_padding else 0
    values = _sizes(config, where)
    sizes(where, state, **values)  # more layers than parameters would make long lists of windows
    values |= adapter.sizes(config, where)
    there = sizes(where, state, **values)
    adapter.complete(state, there, config)
    check_keys(state, there, adapter.key_map, str(folder))
    if not 0 <= offset < values["max_positions"]:
        raise UserError(f"pad_token_id is {offset - 1}", where, "copy config.json again")
    own = sizes(where, state, **values | {"max_positions": values["max_positions"] - offset})
    notes: list[str] = []
    span_head = adapter.span_head_kind(own, where) if f"{QA}.weight" in state else ""
    split_span_head(state)
    split_projections(state)
    fold_positions(state, offset, notes, context=bool(span_head) and adapter.context_type)
    return Source(
        adapter.title,
        folder,
        own,
        state,
        folder,
        None,
        len(weights),
        dropped,
        notes,
        model=adapter.model,
        options=adapter.options(config, own.layers, where),
        span_head=span_head,
    )


def _sizes(config: dict[str, Any], where: str) -> dict[str, Any]:
    """By the names of EncoderConfig."""
    values: dict[str, Any] = {name: whole_number(config, NAMES[name], where) for name in NUMBERS}
    C, width = values["embed_dim"], NAMES["word_embed_dim"]
    E = whole_number(config, width, where) if config.get(width) else C
    return values | {
        "word_embed_dim": 0 if E == C else E,
        "layer_norm_eps": config.get(NAMES["layer_norm_eps"], 1e-12),
        "activation": ACTIVATIONS[config[NAMES["activation"]]],
    }


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
    index = read_json(folder / name).get("weight_map")
    if not isinstance(index, dict):
        raise UserError("no weight_map", str(folder / name), "copy the index again")
    for shard in index.values():
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise UserError(f"{short(shard)} is not a file name", str(folder / name), "copy the index again")
    absent = sorted(shard for shard in {*index.values()} if not os.path.isfile(folder / shard))
    if absent:
        raise UserError(f"missing shards: {', '.join(absent)}", str(folder), "copy them into the index's folder")
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
    config = read_json(path)
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in HUGGING_FACE:
        raise UserError(
            f"model type {short(kind)} is not supported", str(path), f"LittleBird starts from {', '.join(HUGGING_FACE)}"
        )
    config = HUGGING_FACE[kind].settings(config, str(path))
    activations = HUGGING_FACE[kind].activations
    config.setdefault("hidden_act", activations[0])
    for name, allowed in (ONLY | {"hidden_act": activations}).items():
        if (value := config.get(name, allowed[0])) not in allowed:
            remedy = f"this takes encoders with {name} {allowed[0]!r}"
            if name == "attention_type":
                remedy = "write 'block_sparse': the weights are the same, and --to full attends to all"
            raise UserError(f"{name} is {short(value)}", str(path), remedy)
    return config


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON ({error})", str(path), "copy it again") from error
    if not isinstance(content, dict):
        raise UserError("not a JSON object", str(path), "copy it again")
    return content
