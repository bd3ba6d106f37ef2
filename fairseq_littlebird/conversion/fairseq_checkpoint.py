"""fairseq checkpoints of RoBERTa, of every age, and of our own full-attention encoder."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from reprlib import repr as short
from typing import Any

from torch import Tensor

from fairseq_littlebird.checkpoints.dictionary import (
    SPECIAL,
    TrainedDictionary,
    check_symbols,
    completed,
    dictionary_folders,
    dictionary_symbols,
    trained_dictionary,
)
from fairseq_littlebird.checkpoints.older_versions import refuse_older
from fairseq_littlebird.checkpoints.tensors import load_tensors
from fairseq_littlebird.conversion.fairseq_roberta import FAIRSEQ_ROBERTA
from fairseq_littlebird.conversion.folding import fold_positions
from fairseq_littlebird.conversion.full_attention import full_attention
from fairseq_littlebird.conversion.key_map import check_keys
from fairseq_littlebird.conversion.parameters import POSITIONS, TOKENS
from fairseq_littlebird.conversion.source import Source, float32, parameters, sizes
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.config import FullAttentionConfig
from fairseq_littlebird.modules.config.windows import repeated_windows
from fairseq_littlebird.modules.size_names import FORM

PADDING = SPECIAL.index("<pad>")
OTHERS = {
    "encoder.pack": "LittleBird",
    ".slopes.": "LittleBird",
    ".global_q.": "Longformer",
    "encoder.global_embedding": "BigBird-ETC",
}
"""What only the parameters of some models of the plugin are called; such a model is not a source."""
BIGBIRD = ("block_size", "random_blocks", "random_attention", "random_seed")
"""Options that shape its attention, ``global_blocks`` beside them; its parameters are those of full attention."""


ROTARY = ("positions", "rope_theta", "local_rope_theta", "attention_window")
"""Options of an encoder with full attention beyond its sizes."""


def read_fairseq(path: Path) -> Source:
    """Reads RoBERTa (or XLM-R), or an encoder with full attention or BigBird-ITC's that was trained here.

    Raises:
        UserError: another model, a setting that the encoders here lack, missing or unexpected keys.
    """
    content = load_tensors(path)
    settings = model_settings(content, path)
    if not isinstance(content.get("model"), dict) or not content["model"]:
        raise UserError("no model in this checkpoint", str(path), "give a checkpoint that fairseq wrote")
    weights = parameters(content["model"], str(path))
    dictionary = source_dictionary(content, path)
    for own, title in OTHERS.items():
        if any(own in key for key in weights):
            raise UserError(
                f"this is a {title} model already", str(path), "train on with fairseq-train --finetune-from-model"
            )
    refuse_older(weights, str(path))
    if TOKENS in weights:
        return _full_attention(path, float32(weights), settings, dictionary)
    return _roberta(path, float32(weights), settings, dictionary)


def _full_attention(
    path: Path, weights: dict[str, Tensor], settings: dict[str, Any], dictionary: TrainedDictionary
) -> Source:
    config = _formed(path, _sizes(path, weights, settings, positions=_position_count(weights)), settings)
    own = dictionary.content
    if config.vocab_size == len(dictionary.symbols):  # with what this plugin's tasks append
        own = completed(own, str(dictionary.where))
    adapter = full_attention(config)
    state, dropped = adapter.to_ours(weights, str(path))
    check_keys(state, config, adapter.key_map, str(path))
    folder = dictionary.where.parent
    source = Source(adapter.title, path, config, state, folder, own, len(weights), dropped)
    if config.attention_window:
        return replace(source, options={name: getattr(config, name) for name in ROTARY})
    if not str(settings.get("_name")).startswith("bigbird_itc"):
        return source
    missing = [name for name in BIGBIRD if name not in settings]
    if missing:
        raise UserError(f"the checkpoint does not say its {', '.join(missing)}", str(path), "save it again")
    options = {n: settings[n] for n in BIGBIRD} | {"global_blocks": settings.get("global_blocks", "first_last")}
    return replace(source, kind="BigBird-ITC", model="bigbird_itc", options=options)


def _formed(path: Path, config: FullAttentionConfig, settings: dict[str, Any]) -> FullAttentionConfig:
    """With the form of its layers and its kind of positions, which checkpoints of before have no settings of."""
    own: dict[str, Any] = {name: bool(settings.get(option, False)) for name, option in FORM.items()}
    try:
        if settings.get("positions") == "rotary":
            own |= {name: float(settings[name]) for name in ("rope_theta", "local_rope_theta")}
            own |= {"positions": "rotary", "max_positions": int(settings["max_positions"])}
        if "rope_theta" in settings:
            own["attention_window"] = repeated_windows(settings["attention_window"], config.layers)
        return replace(config, **own)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"settings that do not fit together ({error})", str(path), "save it again") from error


def _roberta(path: Path, weights: dict[str, Tensor], settings: dict[str, Any], dictionary: TrainedDictionary) -> Source:
    for name, wanted in (("activation_fn", "gelu"), ("encoder_normalize_before", False)):
        value = settings.get(name, wanted)
        if type(value) is not type(wanted) or value != wanted:
            raise UserError(
                f"{name} is {short(value)}", str(path), f"LittleBird starts from encoders with {name} {wanted!r}"
            )
    state, dropped = FAIRSEQ_ROBERTA.to_ours(weights, str(path))
    offset = PADDING + 1
    count = _position_count(state)
    check_keys(state, _sizes(path, state, settings, positions=count), FAIRSEQ_ROBERTA.key_map, str(path))
    notes: list[str] = []
    fold_positions(state, offset, notes)
    config = _sizes(path, state, settings, positions=count - offset)
    folder = dictionary.where.parent
    return Source(FAIRSEQ_ROBERTA.title, path, config, state, folder, dictionary.content, len(weights), dropped, notes)


def _position_count(state: dict[str, Tensor]) -> int:
    """Position embeddings; 0 where there is no table."""
    table = state.get(POSITIONS)
    return 0 if table is None or not table.dim() else len(table)


def _sizes(path: Path, state: dict[str, Tensor], settings: dict[str, Any], positions: int) -> FullAttentionConfig:
    """Sizes as the weights show them; the number of heads is the one that they do not show."""
    heads = settings.get("encoder_attention_heads")
    if not isinstance(heads, int):
        raise UserError("the checkpoint does not say its number of attention heads", str(path), "save it again")
    layers = {int(match[1]) for key in state if (match := re.match(r"encoder\.layers\.(\d+)\.", key))}
    q, fc2 = "encoder.layers.0.attention.q.weight", "encoder.layers.0.ffn.fc2.weight"
    for key in (TOKENS, q, fc2):
        if key not in state or state[key].dim() != 2:
            raise UserError("neither RoBERTa nor a full-attention encoder", str(path), "give a checkpoint of one")
    V, E = state[TOKENS].shape
    C = len(state[q])
    return sizes(
        str(path),
        state,
        vocab_size=V,
        layers=max(layers) + 1,
        embed_dim=C,
        ffn_embed_dim=state[fc2].shape[1],
        heads=heads,
        max_positions=positions,
        word_embed_dim=0 if E == C else E,
        layer_norm_eps=settings.get("layer_norm_eps", 1e-5),
        activation=str(settings.get("activation", "gelu")),
    )


def model_settings(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """The model's settings."""
    if content.get("args") is not None:
        return _plain(content["args"], path)
    cfg = content.get("cfg")
    if not isinstance(cfg, dict) or cfg.get("model") is None:
        raise UserError("neither args nor cfg in this checkpoint", str(path), "give a checkpoint that fairseq wrote")
    return _plain(cfg["model"], path)


def _plain(settings: Any, path: Path) -> dict[str, Any]:
    if not isinstance(settings, (dict, argparse.Namespace)):
        raise UserError("settings of another kind in this checkpoint", str(path), "give one that fairseq wrote")
    return settings if isinstance(settings, dict) else vars(settings)


def source_dictionary(content: dict[str, Any], path: Path) -> TrainedDictionary:
    """The dictionary that the checkpoint carries, or the dict.txt beside it or of the data it was trained on.

    Raises:
        UserError: none of these; or the one beside it is another than it carries.
    """
    try:
        dictionary = trained_dictionary(content, path)
        folders = dictionary_folders(content, path)
    except UserError as error:
        raise UserError(str(error), str(path)) from error
    if dictionary is None:
        names = " or ".join(str(folder) for folder in folders)
        raise UserError(f"no dict.txt in {names}", str(path), "copy the model's dict.txt into the same folder")
    beside = path.parent / "dict.txt"
    if beside.is_file() and dictionary.where != beside:
        ours = dictionary_symbols(beside.read_bytes(), str(beside))
        check_symbols(dictionary.symbols, ours, str(beside), str(path), "remove the file, or copy the right one there")
    return dictionary
