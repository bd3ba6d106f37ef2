"""From a pretrained encoder–decoder, or an encoder alone, to the parameters of the encoder–decoders here.

Legend: V vocabulary, P positions, C hidden width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fairseq_littlebird.conversion import warm_start
from fairseq_littlebird.conversion.key_map import State
from fairseq_littlebird.conversion.parameters import CONTEXT, POSITIONS
from fairseq_littlebird.conversion.seq2seq.adapters import (
    DECODER_EMBEDDING_NORM,
    DECODER_POSITIONS,
    EMBEDDING_NORM,
)
from fairseq_littlebird.conversion.seq2seq.source import Seq2SeqSource
from fairseq_littlebird.conversion.targets import SEQ2SEQ, TARGETS
from fairseq_littlebird.conversion.vocabulary import VocabularyMap
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.config import EncoderConfig
from fairseq_littlebird.modules.sinusoids import sinusoids

NORM_ORDERS = {"bigbird_pegasus": "pre"}
"""Of the targets that do not have BART's."""
LAYER_PARTS = {
    "attention.q": "self_attn.q_proj",
    "attention.k": "self_attn.k_proj",
    "attention.v": "self_attn.v_proj",
    "attention.out": "self_attn.out_proj",
    "attention_norm": "self_attn_layer_norm",
    "ffn.fc1": "fc1",
    "ffn.fc2": "fc2",
    "ffn_norm": "final_layer_norm",
}
"""An encoder layer's modules, and what they are in a decoder layer."""


def seq2seq_state(
    source: Seq2SeqSource,
    to: str,
    vocabulary: VocabularyMap,
    config: EncoderConfig,
    positions: int,
    layers: Sequence[int],
    decoder_layers: Sequence[int],
    generator: torch.Generator,
) -> State:
    """Everything that the source has for the model; the rest is newly initialised.

    Args:
        source: what was read.
        to: one of ``TARGETS``.
        vocabulary: the dictionary.
        config: sizes of the encoder to be.
        positions: of the decoder to be.
        layers, decoder_layers: the source's layers to keep, in order; of an encoder alone the decoder's are its.
        generator: for the embeddings of new tokens.
    Returns:
        parameters of encoder and decoder; tied ones once.
    Raises:
        UserError: attention's biases where the model has none.
    """
    make = getattr(warm_start, TARGETS[to].state)
    state: State = make(source.encoder, vocabulary, config, layers, generator)
    state = {key: value for key, value in state.items() if key.startswith("encoder.") and key != CONTEXT}
    decoder = _decoder(source, decoder_layers) if source.sizes else encoder_as_decoder(source, decoder_layers)
    table = decoder[DECODER_POSITIONS]
    if not config.has_positions:  # their mean is part of the token embeddings now, which the decoder reads too
        table = table - source.encoder.state[POSITIONS].mean(0)
    decoder[DECODER_POSITIONS] = extended(table, positions)
    if config.has_positions:
        state[POSITIONS] = extended(source.encoder.state[POSITIONS], config.max_positions)
    state |= decoder
    return without_attention_biases(state, str(source.encoder.path)) if to == "bigbird_pegasus" else state


def extended(table: Tensor, count: int) -> Tensor:
    """<float>[P, C] as <float>[count, C]: repeated, as LED's are (section 7); sinusoids, as Pegasus', go on."""
    further = sinusoids(torch.arange(max(count, len(table)))[None], table.shape[1])[0]
    if torch.allclose(further[: len(table)], table, atol=1e-3):
        return torch.cat([table, further[len(table) :]])[:count].clone()
    return warm_start.tile(table, count)


def check_kind(source: Seq2SeqSource, to: str) -> None:
    """Raises UserError for a source whose layers the model ``to``, one of ``SEQ2SEQ``, does not have."""
    wanted, where = NORM_ORDERS.get(to, "post"), str(source.encoder.path)
    if to == "bigbird_roberta" and source.sizes is not None:
        raise UserError(
            f"{source.encoder.kind} has a decoder of its own, and {to} shares its encoder's",
            where,
            "start from BERT, RoBERTa or BigBird, or name another model with --to",
        )
    if source.norm_order != wanted:
        others = ", ".join(t for t in SEQ2SEQ if NORM_ORDERS.get(t, "post") == source.norm_order)
        raise UserError(
            f"{source.encoder.kind} has its norms {_places(source.norm_order)} attention and feed forward, "
            f"{to} {_places(wanted)} them",
            where,
            f"choose --to {others}",
        )


def _places(norm_order: str) -> str:
    return "before" if norm_order == "pre" else "after"


def _decoder(source: Seq2SeqSource, layers: Sequence[int]) -> State:
    """The source's own decoder, of these layers."""
    state = {key: value.clone() for key, value in source.decoder.items() if ".layers." not in key}
    for n, of in enumerate(layers):
        old = f"decoder.layers.{of}."
        for key, value in source.decoder.items():
            if key.startswith(old):
                state[f"decoder.layers.{n}.{key.removeprefix(old)}"] = value.clone()
    return state


def encoder_as_decoder(source: Seq2SeqSource, layers: Sequence[int]) -> State:
    """A decoder of the encoder's own modules, without cross-attention (E.5)."""
    theirs = source.encoder.state
    state = {DECODER_POSITIONS: theirs[POSITIONS].clone()}
    for part in ("weight", "bias"):
        state[f"{DECODER_EMBEDDING_NORM}.{part}"] = theirs[f"{EMBEDDING_NORM}.{part}"].clone()
        for n, of in enumerate(layers):
            for name, ours in LAYER_PARTS.items():
                value = theirs[f"encoder.layers.{of}.{name}.{part}"].clone()
                state[f"decoder.layers.{n}.{ours}.{part}"] = value
    return state


def without_attention_biases(state: State, where: str) -> State:
    """Pegasus' attention has biases that are 0 in what was released; BigBird-Pegasus has none."""
    for key, value in state.items():
        if _is_attention_bias(key) and value.any():
            raise UserError(
                f"{key} is not 0, and BigBird-Pegasus has no such biases",
                where,
                "start from a Pegasus without them, as it was released",
            )
    return {key: value for key, value in state.items() if not _is_attention_bias(key)}


def _is_attention_bias(key: str) -> bool:
    return key.endswith(".bias") and any(f".{name}." in key for name in ("attention", "self_attn", "encoder_attn"))
