"""What the encoders here call their parameters, and the shapes that a configuration gives these.

Legend: V vocabulary, P positions, E width of the token embeddings, C hidden width, F width of the feed-forward network.
"""

from __future__ import annotations

from fairseq_littlebird.modules.config import EncoderConfig

TOKENS = "encoder.embeddings.tokens.weight"
POSITIONS = "encoder.embeddings.positions.weight"
TOKEN_TYPES = "encoder.embeddings.types.weight"
"""Folded into the positions when a source is read; no encoder here has it."""
CONTEXT = "encoder.embeddings.context"
"""Token type 1 less token type 0."""
LM_HEAD = "lm_head."
SPAN_HEAD = "span_head."
QA = f"{SPAN_HEAD}both"
"""Start and end of an answer as one linear layer with two outputs; our span heads have two layers."""
QKV = "attention.qkv"
"""Queries, keys and values as one linear layer, in this order; ours are three."""
GLOBAL = ("global_q", "global_k", "global_v")
"""Longformer's projections of global tokens, beside q, k and v."""


def encoder_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """Every key of a full-attention encoder and its shape."""
    V, P, C, F = config.vocab_size, config.max_positions, config.embed_dim, config.ffn_embed_dim
    E, form = config.word_embed_dim or C, config.form
    shapes: dict[str, tuple[int, ...]] = {TOKENS: (V, E)}
    if config.has_positions:
        shapes[POSITIONS] = P, E

    def add(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"] = shape
        if form.bias:
            shapes[f"{name}.bias"] = shape[:1]

    add("encoder.embeddings.norm", E)
    if E != C:
        add("encoder.embeddings.projection", C, E)
    for n in range(config.layers):
        for name in ("q", "k", "v", "out"):
            add(f"encoder.layers.{n}.attention.{name}", C, C)
        if n > 0 or form.first_norm:
            add(f"encoder.layers.{n}.attention_norm", C)
        add(f"encoder.layers.{n}.ffn.fc1", 2 * F if form.gated else F, C)
        add(f"encoder.layers.{n}.ffn.fc2", C, F)
        add(f"encoder.layers.{n}.ffn_norm", C)
    if form.norm_order == "pre":
        add("encoder.final_norm", C)
    return shapes


def head_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """Every key of the masked-language-model head and its shape."""
    V, C = config.vocab_size, config.embed_dim
    E = config.word_embed_dim or C
    shapes: dict[str, tuple[int, ...]] = {
        "lm_head.dense.weight": (E, C),
        "lm_head.dense.bias": (E,),
        "lm_head.norm.weight": (E,),
        "lm_head.norm.bias": (E,),
        "lm_head.bias": (V,),
    }
    free = () if config.form.bias else ("lm_head.dense.bias", "lm_head.norm.bias")
    return {key: shape for key, shape in shapes.items() if key not in free}


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
