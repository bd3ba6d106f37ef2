"""The families of encoder–decoders, one table each for both directions.

Positions are those of the format: BART's tables begin with two rows that no token has, see :func:`fold_tables`.

Legend: V vocabulary, C hidden width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fairseq_littlebird.conversion.adapter import Adapter
from fairseq_littlebird.conversion.key_map import KeyMap, State, linear
from fairseq_littlebird.conversion.parameters import POSITIONS, TOKENS
from fairseq_littlebird.errors import UserError

DECODER_POSITIONS = "decoder.embed_positions.weight"
LOGITS_BIAS = "final_logits_bias"
"""A constant of transformers' models, which is 0 in all that were trained."""
ENCODER_NORM, DECODER_NORM = "encoder.final_norm", "decoder.layer_norm"
EMBEDDING_NORM, DECODER_EMBEDDING_NORM = "encoder.embeddings.norm", "decoder.layernorm_embedding"


def _tables(model: str) -> KeyMap:
    """Embeddings and positions, under the format's prefix."""
    return {
        **{f"{model}{side}embed_tokens.weight": TOKENS for side in ("encoder.", "decoder.")},
        f"{model}encoder.embed_positions.weight": POSITIONS,
        f"{model}decoder.embed_positions.weight": DECODER_POSITIONS,
    }


def _encoder_layers(model: str, attention: Mapping[str, str]) -> KeyMap:
    """An encoder's layers; what each of its attention's projections is called in the format."""
    theirs, ours = f"{model}encoder.layers.{{n}}", "encoder.layers.{n}"
    key_map: dict[str, str | None] = {}
    for own, name in attention.items():
        key_map |= linear(f"{theirs}.self_attn.{name}", f"{ours}.attention.{own}")
    return {
        **key_map,
        **linear(f"{theirs}.self_attn_layer_norm", f"{ours}.attention_norm"),
        **linear(f"{theirs}.fc1", f"{ours}.ffn.fc1"),
        **linear(f"{theirs}.fc2", f"{ours}.ffn.fc2"),
        **linear(f"{theirs}.final_layer_norm", f"{ours}.ffn_norm"),
    }


def _decoder_layers(model: str) -> KeyMap:
    """A decoder's layers, whose names are fairseq's everywhere."""
    names = [f"{attention}.{n}_proj" for attention in ("self_attn", "encoder_attn") for n in ("q", "k", "v", "out")]
    names += ["self_attn_layer_norm", "encoder_attn_layer_norm", "fc1", "fc2", "final_layer_norm"]
    key_map: dict[str, str | None] = {}
    for name in names:
        key_map |= linear(f"{model}decoder.layers.{{n}}.{name}", f"decoder.layers.{{n}}.{name}")
    return key_map


def _heads(shared: str) -> KeyMap:
    return {shared: TOKENS, "lm_head.weight": TOKENS, LOGITS_BIAS: LOGITS_BIAS}


PROJECTIONS = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "out": "out_proj"}
LONGFORMER = "longformer_self_attn"
LED_PROJECTIONS = {
    **{own: f"{LONGFORMER}.{name}" for own, name in (("q", "query"), ("k", "key"), ("v", "value"))},
    **{
        own: f"{LONGFORMER}.{name}_global"
        for own, name in (("global_q", "query"), ("global_k", "key"), ("global_v", "value"))
    },
    "out": "output",
}
BIGBIRD_PROJECTIONS = {"q": "self.query", "k": "self.key", "v": "self.value", "out": "output"}
BART_NORMS = {"layernorm_embedding": (EMBEDDING_NORM, DECODER_EMBEDDING_NORM)}
PEGASUS_NORMS = {"layer_norm": (ENCODER_NORM, DECODER_NORM)}
BIGBIRD_PEGASUS_NORMS = {"layernorm_embedding": (ENCODER_NORM, DECODER_NORM)}  # which is its last


def _norms(model: str, names: Mapping[str, tuple[str, str]]) -> KeyMap:
    """The norms outside of layers: their name, and what they are in the encoder and in the decoder."""
    key_map: dict[str, str | None] = {}
    for name, (encoder, decoder) in names.items():
        key_map |= linear(f"{model}encoder.{name}", encoder) | linear(f"{model}decoder.{name}", decoder)
    return key_map


def _key_map(model: str, attention: Mapping[str, str], norms: Mapping[str, tuple[str, str]]) -> KeyMap:
    return {
        **_tables(model),
        **_norms(model, norms),
        **_encoder_layers(model, attention),
        **_decoder_layers(model),
    }


@dataclass(frozen=True)
class Seq2SeqAdapter(Adapter):
    """A family.

    Args:
        offset: rows of a table of positions before the first that a token has.
        norm_order: of its layers, see :class:`EncoderLayer`.
        model: what it is here, a name of fairseq's registry; nothing where only its parameters are.
    """

    offset: int = 0
    norm_order: str = "post"
    model: str = ""

    def table_key(self, key: str) -> str:
        """With the prefix of a model with a head, which a folder of the model alone lacks."""
        apart = key.startswith(("lm_head.", LOGITS_BIAS)) or key.startswith(self.prefix)
        return key if apart else self.prefix + key

    def to_ours(self, state: Mapping[str, Tensor], where: str) -> tuple[State, list[str]]:
        """See :class:`Adapter`; refuses a bias of the logits, which has no place here."""
        ours, dropped = super().to_ours(state, where)
        bias = ours.pop(LOGITS_BIAS, None)
        if bias is not None and bias.any():
            raise UserError(f"{LOGITS_BIAS} is not 0", where, "save a model whose logits have no bias")
        fold_tables(ours, self.offset)
        return ours, dropped

    def from_ours(self, state: Mapping[str, Tensor]) -> State:
        """See :class:`Adapter`; with all tied weights, and 0 for the logits' bias."""
        folded = dict(state)
        unfold_tables(folded, self.offset)
        theirs = super().from_ours(folded)
        if LOGITS_BIAS in self.encoder:
            theirs[LOGITS_BIAS] = torch.zeros(1, len(state[TOKENS]))
        return theirs


def fold_tables(state: State, offset: int) -> None:
    """Position rows of both sides from position 0 on; changes the state in place."""
    for key in (POSITIONS, DECODER_POSITIONS):
        if key in state:
            state[key] = state[key][offset:].clone()


def unfold_tables(state: State, offset: int) -> None:
    """The way back of :func:`fold_tables`; the rows that no token has are 0."""
    for key in (POSITIONS, DECODER_POSITIONS):
        if key in state:
            table = state[key]
            state[key] = torch.cat([table.new_zeros(offset, table.shape[1]), table])


BART = Seq2SeqAdapter(
    "Hugging Face bart",
    encoder={**_key_map("model.", PROJECTIONS, BART_NORMS), **_heads("model.shared.weight")},
    prefix="model.",
    offset=2,
)
LED = Seq2SeqAdapter(
    "Hugging Face led",
    encoder={**_key_map("led.", LED_PROJECTIONS, BART_NORMS), **_heads("led.shared.weight")},
    prefix="led.",
    model="led",
)
PEGASUS = Seq2SeqAdapter(
    "Hugging Face pegasus",
    encoder={**_key_map("model.", PROJECTIONS, PEGASUS_NORMS), **_heads("model.shared.weight")},
    prefix="model.",
    norm_order="pre",
)
BIGBIRD_PEGASUS = Seq2SeqAdapter(
    "Hugging Face bigbird_pegasus",
    encoder={**_key_map("model.", BIGBIRD_PROJECTIONS, BIGBIRD_PEGASUS_NORMS), **_heads("model.shared.weight")},
    prefix="model.",
    norm_order="pre",
    model="bigbird_pegasus",
)
FAIRSEQ_BART = Seq2SeqAdapter(
    "fairseq BART",
    encoder={
        **_key_map("", PROJECTIONS, BART_NORMS),
        "decoder.output_projection.weight": TOKENS,
        "encoder.version": None,
        "decoder.version": None,
        "encoder.embed_positions._float_tensor": None,
        "decoder.embed_positions._float_tensor": None,
        "classification_heads.{key}": None,
    },
    offset=2,
)
HUGGING_FACE: Mapping[str, Seq2SeqAdapter] = {
    "bart": BART,
    "led": LED,
    "pegasus": PEGASUS,
    "bigbird_pegasus": BIGBIRD_PEGASUS,
}
"""The families of transformers, by ``model_type``."""
