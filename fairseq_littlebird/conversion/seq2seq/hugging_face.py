"""Hugging Face folders of BART, LED, Pegasus and BigBird-Pegasus."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as short
from typing import Any

import torch

from fairseq_littlebird.conversion.hugging_face import read_json, read_weights
from fairseq_littlebird.conversion.hugging_face_adapter import ACTIVATIONS, whole_number
from fairseq_littlebird.conversion.seq2seq.adapters import HUGGING_FACE, Seq2SeqAdapter
from fairseq_littlebird.conversion.seq2seq.source import DecoderSizes, Seq2SeqSource, check_sides, split_sides
from fairseq_littlebird.conversion.source import Source, float32, sizes
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.sinusoids import sinusoids

EPS = 1e-5  # no configuration of these families names another
# the only values that the models here have
ONLY: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "bart": {"scale_embedding": (False, None), "normalize_before": (False,), "add_final_layer_norm": (False,)},
    "led": {},
    "pegasus": {"scale_embedding": (True,)},
    "bigbird_pegasus": {"scale_embedding": (True,), "use_bias": (False,)},
}
DEFAULT_ACTIVATIONS = {"bart": "gelu", "led": "gelu", "pegasus": "gelu", "bigbird_pegasus": "gelu_new"}
SPECIAL_DEFAULTS = {"pegasus": (0, 0, 1), "bigbird_pegasus": (2, 0, 1)}
"""Of Pegasus: ids of the token that a decoder starts with, of padding, and of the end."""


def is_seq2seq(folder: Path) -> bool:
    """Whether a folder's configuration is of one of these families."""
    return (folder / "config.json").exists() and read_json(folder / "config.json").get("model_type") in HUGGING_FACE


def read_seq2seq(folder: Path) -> Seq2SeqSource:
    """Reads one of ``HUGGING_FACE``, with or without its language-model head, which is tied.

    Raises:
        UserError: a setting that the models here lack, missing or unexpected keys, weights that are not tied.
    """
    where = str(folder / "config.json")
    config = read_json(folder / "config.json")
    kind = config["model_type"]
    adapter = HUGGING_FACE[kind]
    for name, allowed in ONLY[kind].items():
        if (value := config.get(name, allowed[0])) not in allowed:
            raise UserError(f"{name} is {short(value)}", where, f"this takes models with {name} {allowed[0]!r}")
    weights = float32(read_weights(folder))
    encoder_positions, decoder_positions = _position_counts(config, kind, where)
    if kind == "pegasus":  # sinusoids, which some releases do not save
        width = whole_number(config, "d_model", where)
        for side in ("encoder", "decoder"):
            key = f"model.{side}.embed_positions.weight"
            weights.setdefault(key, sinusoids(torch.arange(encoder_positions)[None], width)[0])
    state, dropped = adapter.to_ours(weights, str(folder))
    activation = config.get("activation_function", DEFAULT_ACTIVATIONS[kind])
    known = ACTIVATIONS | {"relu": "relu"}
    if activation not in known:
        raise UserError(f"activation_function is {short(activation)}", where, f"this takes {', '.join(known)}")
    own = sizes(
        where,
        state,
        vocab_size=whole_number(config, "vocab_size", where),
        layers=whole_number(config, "encoder_layers", where),
        embed_dim=whole_number(config, "d_model", where),
        ffn_embed_dim=whole_number(config, "encoder_ffn_dim", where),
        heads=whole_number(config, "encoder_attention_heads", where),
        max_positions=encoder_positions,
        layer_norm_eps=EPS,
        activation=known[activation],
    )
    decoder = DecoderSizes(
        layers=whole_number(config, "decoder_layers", where),
        ffn_embed_dim=whole_number(config, "decoder_ffn_dim", where),
        heads=whole_number(config, "decoder_attention_heads", where),
        max_positions=decoder_positions,
    )
    if decoder.heads < 1 or own.embed_dim % decoder.heads:
        raise UserError(f"{decoder.heads} decoder heads do not divide the width", where, "copy config.json again")
    check_sides(state, own, decoder, adapter, str(folder), attention_bias=kind != "bigbird_pegasus")
    of_encoder, of_decoder = split_sides(state)
    notes = [f"Position rows 0 to {adapter.offset - 1} are never used: dropped."] if adapter.offset else []
    source = Source(
        adapter.title,
        folder,
        own,
        of_encoder,
        folder,
        None,
        len(weights),
        dropped,
        notes,
        model=adapter.model,
        options=_options(config, adapter, own.layers, where),
    )
    ids = _special_ids(config, kind, where)
    start = "<s>" if kind in SPECIAL_DEFAULTS else "</s>"
    return Seq2SeqSource(source, of_decoder, decoder, adapter.norm_order, ids, start)


def _position_counts(config: Mapping[str, Any], kind: str, where: str) -> tuple[int, int]:
    """Positions of the encoder and of the decoder."""
    if kind == "led":
        return (
            whole_number(config, "max_encoder_position_embeddings", where),
            whole_number(config, "max_decoder_position_embeddings", where),
        )
    count = whole_number(config, "max_position_embeddings", where)
    return count, count


def _options(config: Mapping[str, Any], adapter: Seq2SeqAdapter, layers: int, where: str) -> dict[str, Any]:
    """The options of the model here that the configuration fixes."""
    if adapter.model == "led":
        windows = config.get("attention_window", 512)
        windows = windows if isinstance(windows, list) else [windows] * layers
        if len(windows) != layers or not all(isinstance(window, int) for window in windows):
            raise UserError(f"attention_window is {short(windows)}", where, f"give one number, or {layers}")
        return {"attention_window": windows}
    if adapter.model == "bigbird_pegasus":
        return {
            "block_size": whole_number({"block_size": 64} | dict(config), "block_size", where),
            "random_blocks": whole_number({"num_random_blocks": 3} | dict(config), "num_random_blocks", where),
            "random_attention": "first_block",  # what transformers computes outside training
        }
    return {}


def _special_ids(config: Mapping[str, Any], kind: str, where: str) -> dict[str, int] | None:
    """Pegasus' ids of fairseq's special tokens: <s> is what its decoder starts with."""
    if kind not in SPECIAL_DEFAULTS:
        return None
    names = ("decoder_start_token_id", "pad_token_id", "eos_token_id")
    defaults = dict(zip(names, SPECIAL_DEFAULTS[kind], strict=True))
    ids = [whole_number(defaults | dict(config), name, where) for name in names]
    for name, number in zip(names, ids, strict=True):
        if not 0 <= number < whole_number(config, "vocab_size", where):
            raise UserError(f"{name} is {number}", where, "copy config.json again")
    return dict(zip(("<s>", "<pad>", "</s>"), ids, strict=True))
