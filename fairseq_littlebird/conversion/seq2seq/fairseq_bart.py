"""fairseq checkpoints of BART."""

from __future__ import annotations

import re
from pathlib import Path
from reprlib import repr as short
from typing import Any

from fairseq_littlebird.checkpoints.tensors import load_tensors
from fairseq_littlebird.conversion.fairseq_checkpoint import model_settings, source_dictionary
from fairseq_littlebird.conversion.fairseq_roberta import split_in_proj
from fairseq_littlebird.conversion.parameters import POSITIONS, TOKENS
from fairseq_littlebird.conversion.seq2seq.adapters import DECODER_POSITIONS, FAIRSEQ_BART
from fairseq_littlebird.conversion.seq2seq.source import DecoderSizes, Seq2SeqSource, check_sides, split_sides
from fairseq_littlebird.conversion.source import Source, float32, parameters, sizes
from fairseq_littlebird.errors import UserError

# the only values that the models here have
ONLY = {
    "activation_fn": "gelu",
    "encoder_normalize_before": False,
    "decoder_normalize_before": False,
    "encoder_learned_pos": True,
    "decoder_learned_pos": True,
    "layernorm_embedding": True,
    "no_scale_embedding": True,
}


def is_bart(path: Path) -> bool:
    """Whether a checkpoint has the parameters of BART."""
    model = load_tensors(path, mapped=True).get("model")
    return isinstance(model, dict) and any(key.endswith(".encoder_attn.q_proj.weight") for key in model)


def read_bart(path: Path) -> Seq2SeqSource:
    """Reads a checkpoint.

    Raises:
        UserError: a setting that the models here lack, missing or unexpected keys.
    """
    content, where = load_tensors(path), str(path)
    settings = model_settings(content, path)
    if str(settings.get("_name", "")).startswith(("led", "bigbird", "littlebird")):
        raise UserError(
            "this is an encoder–decoder of this plugin already",
            where,
            "train on with fairseq-train --finetune-from-model",
        )
    for name, wanted in ONLY.items():
        if (value := settings.get(name, wanted)) != wanted:
            raise UserError(f"{name} is {short(value)}", where, f"this takes models with {name} {wanted!r}")
    dictionary = source_dictionary(content, path)
    weights = float32(split_in_proj(parameters(content["model"], where), where))
    state, dropped = FAIRSEQ_BART.to_ours(weights, where)
    config, decoder = _sizes(state, settings, where)
    check_sides(state, config, decoder, FAIRSEQ_BART, where)
    of_encoder, of_decoder = split_sides(state)
    notes = [f"Position rows 0 to {FAIRSEQ_BART.offset - 1} are never used: dropped."]
    folder, own = dictionary.where.parent, dictionary.content
    source = Source(FAIRSEQ_BART.title, path, config, of_encoder, folder, own, len(weights), dropped, notes, model="")
    return Seq2SeqSource(source, of_decoder, decoder)


def _sizes(state: dict[str, Any], settings: dict[str, Any], where: str) -> tuple[Any, DecoderSizes]:
    """Sizes as the weights show them; the numbers of heads are those that they do not show."""
    heads = settings.get("encoder_attention_heads"), settings.get("decoder_attention_heads")
    if not all(isinstance(count, int) for count in heads):
        raise UserError("the checkpoint does not say its numbers of attention heads", where, "save it again")
    keys = (TOKENS, POSITIONS, DECODER_POSITIONS, "encoder.layers.0.ffn.fc1.weight", "decoder.layers.0.fc1.weight")
    for key in keys:
        if key not in state or state[key].dim() != 2:
            raise UserError(f"no {key} in it", where, "give a checkpoint of fairseq's BART")
    tokens, positions, decoder_positions, fc1, decoder_fc1 = (state[key] for key in keys)
    config = sizes(
        where,
        state,
        vocab_size=len(tokens),
        layers=_layers(state, "encoder"),
        embed_dim=tokens.shape[1],
        ffn_embed_dim=len(fc1),
        heads=heads[0],
        max_positions=len(positions),
        layer_norm_eps=1e-5,
        activation="gelu",
    )
    own = DecoderSizes(_layers(state, "decoder"), len(decoder_fc1), int(heads[1] or 0), len(decoder_positions))
    return config, own


def _layers(state: dict[str, Any], side: str) -> int:
    numbers = [int(match[1]) for key in state if (match := re.match(rf"{side}\.layers\.(\d+)\.", key))]
    return max(numbers) + 1
