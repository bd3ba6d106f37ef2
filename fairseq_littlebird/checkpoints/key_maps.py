"""What each format calls a parameter, as dictionaries.

A source's key leads to ours, which is that of the full-attention encoder; ``None`` drops it on purpose. ``{n}`` stands
for a layer's number and ``{key}`` for whatever follows. Several keys that lead to one parameter must hold equal values,
so weights that are tied here must be tied there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.config import EncoderConfig

KeyMap = Mapping[str, "str | None"]

WORDS = "encoder.embeddings.words.weight"
POSITIONS = "encoder.embeddings.positions.weight"
TOKEN_TYPES = "encoder.embeddings.types.weight"
"""Folded into the positions when a source is read; no encoder here has it."""
CONTEXT = "encoder.embeddings.context"
"""What token-type row 1 has more than row 0."""
HEAD = "lm_head."
SPAN_HEAD = "span_head."
QA = f"{SPAN_HEAD}both"
"""Start and end of an answer as one linear layer with two outputs; our span heads have two layers."""
GLOBAL = ("global_q", "global_k", "global_v")
"""Longformer's projections of global tokens, beside q, k and v."""


OLDER = re.compile(r"encoder\.layers\.\d+\.q\.")
"""In older versions a layer's projections were its own, not its attention's."""


def refuse_older(state: Iterable[str], where: str) -> None:
    """Raises UserError for the keys of a checkpoint whose layers' parameters have the names of an older version."""
    if any(OLDER.match(key) for key in state):
        raise UserError(
            "written by an older version, whose parameters have other names",
            where,
            "train it again, or start again from its source with littlebird-warm-start",
        )


def linear(source: str, target: str) -> dict[str, str | None]:
    """Weight and bias of a linear layer or a layer norm."""
    return {f"{source}.{name}": f"{target}.{name}" for name in ("weight", "bias")}


HUGGING_FACE_ENCODER: KeyMap = {
    "embeddings.word_embeddings.weight": WORDS,
    "embeddings.position_embeddings.weight": POSITIONS,
    "embeddings.token_type_embeddings.weight": TOKEN_TYPES,
    "embeddings.position_ids": None,
    "embeddings.token_type_ids": None,
    **linear("embeddings.LayerNorm", "encoder.embeddings.norm"),
    **linear("embeddings_project", "encoder.embeddings.projection"),
    **linear("encoder.layer.{n}.attention.self.query", "encoder.layers.{n}.attention.q"),
    **linear("encoder.layer.{n}.attention.self.key", "encoder.layers.{n}.attention.k"),
    **linear("encoder.layer.{n}.attention.self.value", "encoder.layers.{n}.attention.v"),
    **linear("encoder.layer.{n}.attention.output.dense", "encoder.layers.{n}.attention.out"),
    **linear("encoder.layer.{n}.attention.output.LayerNorm", "encoder.layers.{n}.attention_norm"),
    **linear("encoder.layer.{n}.intermediate.dense", "encoder.layers.{n}.ffn.fc1"),
    **linear("encoder.layer.{n}.output.dense", "encoder.layers.{n}.ffn.fc2"),
    **linear("encoder.layer.{n}.output.LayerNorm", "encoder.layers.{n}.ffn_norm"),
    "pooler.{key}": None,
    **linear("qa_outputs", QA),
}

ROBERTA_HEAD: KeyMap = {
    **linear("lm_head.dense", "lm_head.dense"),
    **linear("lm_head.layer_norm", "lm_head.norm"),
    "lm_head.bias": "lm_head.bias",
    "lm_head.decoder.bias": "lm_head.bias",
    "lm_head.decoder.weight": WORDS,
}

BERT_HEAD: KeyMap = {
    **linear("cls.predictions.transform.dense", "lm_head.dense"),
    **linear("cls.predictions.transform.LayerNorm", "lm_head.norm"),
    "cls.predictions.bias": "lm_head.bias",
    "cls.predictions.decoder.bias": "lm_head.bias",
    "cls.predictions.decoder.weight": WORDS,
    "cls.seq_relationship.{key}": None,
}

HUGGING_FACE: Mapping[str, KeyMap] = {
    "bert": {**HUGGING_FACE_ENCODER, **BERT_HEAD},
    "roberta": {**HUGGING_FACE_ENCODER, **ROBERTA_HEAD},
    "xlm-roberta": {**HUGGING_FACE_ENCODER, **ROBERTA_HEAD},
    "electra": {
        **HUGGING_FACE_ENCODER,
        **linear("generator_predictions.dense", "lm_head.dense"),
        **linear("generator_predictions.LayerNorm", "lm_head.norm"),
        "generator_lm_head.bias": "lm_head.bias",
        "generator_lm_head.weight": WORDS,
        "discriminator_predictions.{key}": None,
    },
    "big_bird": {
        **HUGGING_FACE_ENCODER,
        **BERT_HEAD,
        **linear("qa_classifier.intermediate.dense", "span_head.fc1"),
        **linear("qa_classifier.output.dense", "span_head.fc2"),
        **linear("qa_classifier.output.LayerNorm", "span_head.norm"),
        **linear("qa_classifier.qa_outputs", QA),
    },
    "longformer": {
        **HUGGING_FACE_ENCODER,
        **ROBERTA_HEAD,
        **linear("encoder.layer.{n}.attention.self.query_global", "encoder.layers.{n}.attention.global_q"),
        **linear("encoder.layer.{n}.attention.self.key_global", "encoder.layers.{n}.attention.global_k"),
        **linear("encoder.layer.{n}.attention.self.value_global", "encoder.layers.{n}.attention.global_v"),
    },
}
"""By ``model_type``, without the prefix that the base model's keys have under a head."""

FAIRSEQ_ROBERTA: KeyMap = {
    "sentence_encoder.embed_tokens.weight": WORDS,
    "sentence_encoder.embed_positions.weight": POSITIONS,
    "sentence_encoder.embed_positions._float_tensor": None,
    "sentence_encoder.version": None,
    **linear("sentence_encoder.emb_layer_norm", "encoder.embeddings.norm"),
    **linear("sentence_encoder.layernorm_embedding", "encoder.embeddings.norm"),
    **linear("sentence_encoder.layers.{n}.self_attn.q_proj", "encoder.layers.{n}.attention.q"),
    **linear("sentence_encoder.layers.{n}.self_attn.k_proj", "encoder.layers.{n}.attention.k"),
    **linear("sentence_encoder.layers.{n}.self_attn.v_proj", "encoder.layers.{n}.attention.v"),
    **linear("sentence_encoder.layers.{n}.self_attn.out_proj", "encoder.layers.{n}.attention.out"),
    **linear("sentence_encoder.layers.{n}.self_attn_layer_norm", "encoder.layers.{n}.attention_norm"),
    **linear("sentence_encoder.layers.{n}.fc1", "encoder.layers.{n}.ffn.fc1"),
    **linear("sentence_encoder.layers.{n}.fc2", "encoder.layers.{n}.ffn.fc2"),
    **linear("sentence_encoder.layers.{n}.final_layer_norm", "encoder.layers.{n}.ffn_norm"),
    **linear("lm_head.dense", "lm_head.dense"),
    **linear("lm_head.layer_norm", "lm_head.norm"),
    "lm_head.bias": "lm_head.bias",
    "lm_head.weight": WORDS,
}
"""Without the prefix ``encoder.`` or ``decoder.``, and with q, k and v apart."""


def full_attention_map(config: EncoderConfig) -> dict[str, str | None]:
    """Our own full-attention encoder, trained on: every key leads to itself, heads of other tasks stay behind."""
    own: dict[str, str | None] = {key: key for key in [*encoder_shapes(config), *head_shapes(config)]}
    return own | {CONTEXT: None, "span_head.{key}": None, "classification_heads.{key}": None}


def encoder_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """Every key of a full-attention encoder and its shape."""
    V, P, C, F = config.vocab_size, config.max_positions, config.embed_dim, config.ffn_embed_dim
    E = config.word_embed_dim or C
    shapes: dict[str, tuple[int, ...]] = {WORDS: (V, E), POSITIONS: (P, E)}

    def add(name: str, *shape: int) -> None:
        shapes.update({f"{name}.weight": shape, f"{name}.bias": shape[:1]})

    add("encoder.embeddings.norm", E)
    if E != C:
        add("encoder.embeddings.projection", C, E)
    for n in range(config.layers):
        for name in ("q", "k", "v", "out"):
            add(f"encoder.layers.{n}.attention.{name}", C, C)
        add(f"encoder.layers.{n}.attention_norm", C)
        add(f"encoder.layers.{n}.ffn.fc1", F, C)
        add(f"encoder.layers.{n}.ffn.fc2", C, F)
        add(f"encoder.layers.{n}.ffn_norm", C)
    return shapes


def head_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """Every key of the masked-language-model head and its shape."""
    V, C = config.vocab_size, config.embed_dim
    E = config.word_embed_dim or C
    return {
        "lm_head.dense.weight": (E, C),
        "lm_head.dense.bias": (E,),
        "lm_head.norm.weight": (E,),
        "lm_head.norm.bias": (E,),
        "lm_head.bias": (V,),
    }


def apply_key_map(state: Mapping[str, Tensor], key_map: KeyMap, where: str) -> tuple[dict[str, Tensor], list[str]]:
    """The parameters under our names, and the keys that were dropped.

    Args:
        state: a source's parameters.
        key_map: see above.
        where: the source's path, for messages.
    Raises:
        UserError: a key that the map does not know; two keys of one parameter with different values.
    """
    patterns = [(_pattern(source), target) for source, target in key_map.items()]
    ours: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    dropped, unexpected = [], []
    for key, value in state.items():
        matches = [(match, target) for pattern, target in patterns if (match := pattern.fullmatch(key))]
        if not matches:
            unexpected.append(key)
            continue
        match, target = matches[0]
        if target is None:
            dropped.append(key)
            continue
        name = target.replace("{n}", match.groupdict().get("n", ""))
        if name in ours and not torch.equal(ours[name], value):
            raise UserError(
                f"{origin[name]} and {key} differ; they are one parameter in LittleBird (untied weights)",
                where,
                "take a source that ties them",
            )
        ours[name], origin[name] = value, key
    if unexpected:
        raise UserError(
            f"{len(unexpected)} unexpected keys: {', '.join(sorted(unexpected))}",
            where,
            "save the encoder, alone or with its head for words or for questions, apart from other heads and adapters",
        )
    return ours, dropped


def rename(state: Mapping[str, Tensor], name: Callable[[str], str], where: str) -> dict[str, Tensor]:
    """Parameters under the names that a key map knows.

    Raises:
        UserError: two keys become one.
    """
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        if name(key) in renamed:
            raise UserError(f"{key} stands twice, with a prefix and without", where, "save the model again")
        renamed[name(key)] = value
    return renamed


def global_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """Every key of Longformer's projections of global tokens and its shape."""
    C = config.embed_dim
    names = [f"encoder.layers.{n}.attention.{name}" for n in range(config.layers) for name in GLOBAL]
    return {f"{name}.weight": (C, C) for name in names} | {f"{name}.bias": (C,) for name in names}


def span_head_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """Every key of a question-answering head as sources have it and its shape; most have ``QA`` alone."""
    C, F = config.embed_dim, config.ffn_embed_dim
    widths = {QA: (2, C), "span_head.fc1": (F, C), "span_head.fc2": (C, F)}
    shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": shape for name, shape in widths.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in widths.items()}
    return shapes | {"span_head.norm.weight": (C,), "span_head.norm.bias": (C,)}


def source_shapes(state: Mapping[str, Tensor], config: EncoderConfig, key_map: KeyMap) -> dict[str, tuple[int, ...]]:
    """Every key that a source of this format has to have and its shape; a head is there whole or not at all."""
    shapes, known = encoder_shapes(config), {*key_map.values()}
    if any(key.startswith(HEAD) for key in state):
        shapes |= head_shapes(config)
    if any(key.startswith(SPAN_HEAD) for key in state):
        shapes |= {key: shape for key, shape in span_head_shapes(config).items() if key in known}
    if "encoder.layers.{n}.attention.global_q.weight" in known:
        shapes |= global_shapes(config)
    return shapes


def check_keys(state: Mapping[str, Tensor], config: EncoderConfig, key_map: KeyMap, where: str) -> None:
    """Holds a source to its contract: every parameter there, with the shape that the sizes give it.

    Raises:
        UserError: missing keys, keys of layers or projections that the sizes do not have, or other shapes; lists them.
    """
    shapes = source_shapes(state, config, key_map)
    missing = [_source_key(key, key_map) for key in shapes if key not in state]
    if missing:
        raise UserError(f"{len(missing)} missing keys: {', '.join(missing)}", where, "save the whole model again")
    beyond = sorted(_source_key(key, key_map) for key in state if key not in shapes and key != TOKEN_TYPES)
    if beyond:
        raise UserError(
            f"{len(beyond)} keys that the configuration's sizes have no place for: {', '.join(beyond)}",
            where,
            "give the configuration that the weights were trained with",
        )
    wrong = [
        f"{_source_key(key, key_map)} is {list(state[key].shape)} instead of {list(shape)}"
        for key, shape in shapes.items()
        if tuple(state[key].shape) != shape
    ]
    if wrong:
        raise UserError(
            f"{len(wrong)} keys of another shape than the configuration says: {', '.join(wrong)}",
            where,
            "give the configuration and the vocabulary that the weights were trained with",
        )


def _pattern(source: str) -> re.Pattern[str]:
    return re.compile(re.escape(source).replace(r"\{n\}", r"(?P<n>\d+)").replace(r"\{key\}", ".+"))


def _source_key(key: str, key_map: KeyMap) -> str:
    """How the source spells one of our keys."""
    for source, target in key_map.items():
        if target is not None and (match := _pattern(target).fullmatch(key)):
            return source.replace("{n}", match.groupdict().get("n", ""))
    return key
