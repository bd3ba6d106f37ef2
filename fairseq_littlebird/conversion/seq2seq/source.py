"""A pretrained encoder–decoder as read from any format, and the parameters it must have.

Legend: V vocabulary, P positions, C hidden width, F width of the feed-forward network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from fairseq_littlebird.conversion.key_map import State, check_shapes
from fairseq_littlebird.conversion.parameters import encoder_shapes, global_shapes
from fairseq_littlebird.conversion.seq2seq.adapters import (
    DECODER_EMBEDDING_NORM,
    DECODER_NORM,
    DECODER_POSITIONS,
    EMBEDDING_NORM,
    ENCODER_NORM,
    Seq2SeqAdapter,
)
from fairseq_littlebird.conversion.source import Source
from fairseq_littlebird.modules.config import FullAttentionConfig


@dataclass(frozen=True)
class DecoderSizes:
    """What may differ from the encoder's."""

    layers: int
    ffn_embed_dim: int
    heads: int
    max_positions: int


@dataclass(frozen=True)
class Seq2SeqSource:
    """An encoder, and a decoder unless there is none.

    Args:
        encoder: its part, with both sides' token embeddings; ``model`` names the encoder–decoder.
        decoder: parameters under our names; empty for an encoder alone.
        sizes: the decoder's; None for an encoder alone.
        norm_order: of the layers.
        special_ids: the source's ids of fairseq's special tokens, where the configuration says them.
        start: the token that its decoder starts with.
    """

    encoder: Source
    decoder: State
    sizes: DecoderSizes | None = None
    norm_order: str = "post"
    special_ids: Mapping[str, int] | None = None
    start: str = "</s>"


def split_sides(state: State) -> tuple[State, State]:
    """The encoder's parameters, token embeddings among them, and the decoder's."""
    decoder = {key: value for key, value in state.items() if key.startswith("decoder.")}
    return {key: value for key, value in state.items() if key not in decoder}, decoder


def seq2seq_shapes(
    config: FullAttentionConfig, sizes: DecoderSizes, norm_order: str, attention_bias: bool, with_global: bool
) -> dict[str, tuple[int, ...]]:
    """Every key of an encoder–decoder and its shape, as :class:`Seq2SeqAdapter` gives it.

    Args:
        config: the encoder's sizes.
        sizes: the decoder's.
        norm_order, attention_bias: of the layers.
        with_global: whether the encoder has Longformer's projections of global tokens.
    """
    C, F = config.embed_dim, sizes.ffn_embed_dim
    shapes = encoder_shapes(config) | (global_shapes(config) if with_global else {})

    def add(name: str, *shape: int, bias: bool = True) -> None:
        shapes.update({f"{name}.weight": shape} | ({f"{name}.bias": shape[:1]} if bias else {}))

    shapes[DECODER_POSITIONS] = sizes.max_positions, C
    for n in range(sizes.layers):
        layer = f"decoder.layers.{n}"
        for attention in ("self_attn", "encoder_attn"):
            for name in ("q", "k", "v", "out"):
                add(f"{layer}.{attention}.{name}_proj", C, C, bias=attention_bias)
            add(f"{layer}.{attention}_layer_norm", C)
        add(f"{layer}.fc1", F, C)
        add(f"{layer}.fc2", C, F)
        add(f"{layer}.final_layer_norm", C)
    if norm_order == "pre":
        add(ENCODER_NORM, C)
        add(DECODER_NORM, C)
        shapes = {key: shape for key, shape in shapes.items() if not key.startswith(EMBEDDING_NORM)}
    else:
        add(DECODER_EMBEDDING_NORM, C)
    if attention_bias:
        return shapes
    return {key: shape for key, shape in shapes.items() if ".attention." not in key or key.endswith("weight")}


def check_sides(
    state: Mapping[str, Tensor],
    config: FullAttentionConfig,
    sizes: DecoderSizes,
    adapter: Seq2SeqAdapter,
    where: str,
    attention_bias: bool = True,
) -> None:
    """Holds a source to its contract; raises as :func:`check_keys`."""
    with_global = adapter.model == "led"
    shapes = seq2seq_shapes(config, sizes, adapter.norm_order, attention_bias, with_global)
    check_shapes(state, shapes, adapter.key_map, where)
