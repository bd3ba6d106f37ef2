"""From a pretrained encoder to the parameters of the models here (section 3.4, step 1).

Legend: V vocabulary, P positions, E width of the token embeddings, C hidden width, S pack size, N tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.common.alibi_slopes import alibi_slopes
from fairseq_littlebird.checkpoints.dictionary import MASK, QUESTION, SPECIAL
from fairseq_littlebird.conversion.key_map import State
from fairseq_littlebird.conversion.parameters import LM_HEAD, POSITIONS, TOKENS
from fairseq_littlebird.conversion.source import Source
from fairseq_littlebird.conversion.vocabulary import VocabularyMap
from fairseq_littlebird.modules.config import EncoderConfig, ETCConfig, LittleBirdConfig


def full_attention_state(
    source: Source, vocabulary: VocabularyMap, config: EncoderConfig, layers: Sequence[int], generator: torch.Generator
) -> State:
    """The source itself, its tokens in the dictionary's order, its positions repeated to as many as there shall be.

    Where there shall be none, their mean is added to the token embeddings, so that the mean of the embedding norm's
    input stays. Rotary positions leave no parameters behind.

    Args:
        source: what was read.
        vocabulary: the dictionary.
        config: sizes and positions of the model to be.
        layers: the source's layers to keep, in order.
        generator: for the embeddings of new tokens.
    Returns:
        parameters of a full-attention or a BigBird-ITC model; with the heads that the source has.
    """
    state = {key: value.clone() for key, value in source.state.items() if ".layers." not in key}
    state[TOKENS] = token_embeddings(state[TOKENS], vocabulary, generator)
    positions = state.pop(POSITIONS, None)
    if positions is not None and config.has_positions:
        state[POSITIONS] = tile(positions, config.max_positions)
    elif positions is not None:
        state[TOKENS] = state[TOKENS] + positions.mean(0)
    if source.has_head:
        state[f"{LM_HEAD}bias"] = token_biases(state[f"{LM_HEAD}bias"], vocabulary)
    for n, of in enumerate(layers):
        old = f"encoder.layers.{of}."
        for key, value in source.state.items():
            own = key.removeprefix(old)
            needed = n > 0 or config.form.first_norm or not own.startswith("attention_norm.")
            if key.startswith(old) and ".global_" not in key and needed:
                state[f"encoder.layers.{n}.{own}"] = value.clone()
    return state


def longformer_state(
    source: Source, vocabulary: VocabularyMap, config: EncoderConfig, layers: Sequence[int], generator: torch.Generator
) -> State:
    """With the projections of global tokens: the source's own, or those of all tokens.

    Args and returns: see :func:`full_attention_state`.
    """
    state = full_attention_state(source, vocabulary, config, layers, generator)
    for n, of in enumerate(layers):
        for name in ("q", "k", "v"):
            for part in ("weight", "bias"):
                local = source.state[f"encoder.layers.{of}.attention.{name}.{part}"]
                own = source.state.get(f"encoder.layers.{of}.attention.global_{name}.{part}", local)
                state[f"encoder.layers.{n}.attention.global_{name}.{part}"] = own.clone()
    return state


def bigbird_etc_state(
    source: Source, vocabulary: VocabularyMap, config: ETCConfig, layers: Sequence[int], generator: torch.Generator
) -> State:
    """With small random vectors for relative positions, and global tokens that start as <s>.

    Args and returns: see :func:`full_attention_state`.
    """
    state = full_attention_state(source, vocabulary, config, layers, generator)
    shape = config.heads, 2, 2 * config.max_distance + 3, config.embed_dim // config.heads
    for n in range(len(layers)):
        state[f"encoder.layers.{n}.attention.relative"] = 0.02 * torch.randn(shape, generator=generator)
    state["encoder.global_embedding"] = as_read(state, torch.tensor([vocabulary.symbols.index("<s>")]), config)
    return state


def littlebird_state(
    source: Source,
    vocabulary: VocabularyMap,
    config: LittleBirdConfig,
    layers: Sequence[int],
    generator: torch.Generator,
) -> State:
    """LittleBird's layers, with the source's attention as both pack and unpack attention.

    Args and returns: see :func:`full_attention_state`.
    """
    state = full_attention_state(source, vocabulary, config, layers, generator)
    alibi = torch.tensor(alibi_slopes(config.heads))
    for n in range(len(layers)):
        layer = f"encoder.layers.{n}."
        if config.pack_size:
            copied = {f"attention.{name}": f"pack_attention.{name}" for name in ("q", "k", "v")}
            if has_pack_norm(config, n):
                copied["attention_norm"] = "pack_norm"
            for there, here in copied.items():
                for part in ("weight", "bias"):
                    if f"{layer}{there}.{part}" in state:
                        state[f"{layer}{here}.{part}"] = state[f"{layer}{there}.{part}"].clone()
        if config.positions == "bialibi" and config.window:
            initial = {"alpha": torch.zeros_like(alibi), "beta": alibi.clone(), "gamma": alibi.clone()}
            state |= {f"{layer}attention.slopes.{name}": value for name, value in initial.items()}
    if config.pack_size:
        state["encoder.pack"] = initial_pack(state, vocabulary, config, generator)
    return state


def has_pack_norm(config: LittleBirdConfig, layer: int) -> bool:
    """Whether P is normed before a layer's attention; or after it, where the last layer's P' has no use."""
    return layer > 0 if config.form.norm_order == "pre" else layer < config.layers - 1


def spaced_layers(there: int, wanted: int) -> list[int]:
    """``wanted`` of ``there`` layers, evenly spaced, the last included."""
    return [(n + 1) * there // wanted - 1 for n in range(wanted)]


def token_embeddings(table: Tensor, vocabulary: VocabularyMap, generator: torch.Generator) -> Tensor:
    """The token embeddings in the dictionary's order.

    [QUESTION] starts as <mask>, as it too asks for what is missing; another new token as the mean embedding, with
    noise of the embeddings' own deviation.

    Args:
        table: <float>[N, E].
        vocabulary: the dictionary.
        generator: for the noise.
    Returns:
        <float>[V, E]
    """
    mask = vocabulary.source_id(MASK)
    rows = table[torch.tensor([mask if number is None else number for number in vocabulary.source_ids])]
    others = torch.tensor(
        [vocabulary.symbols.index(token) for token in vocabulary.new if token != QUESTION], dtype=torch.long
    )
    noise = torch.randn(len(others), table.shape[1], generator=generator)
    rows[others] = table.mean(0) + noise * table.std(0)
    return rows


def token_biases(bias: Tensor, vocabulary: VocabularyMap) -> Tensor:
    """Output biases in the dictionary's order; a new token takes the lowest, so that nothing predicts it at once.

    Args:
        bias: <float>[N].
        vocabulary: the dictionary.
    Returns:
        <float>[V]
    """
    lowest = int(bias.argmin())
    return bias[torch.tensor([lowest if number is None else number for number in vocabulary.source_ids])]


def tile(positions: Tensor, count: int) -> Tensor:
    """<float>[P, E], repeated to <float>[count, E]."""
    return positions[torch.arange(count) % len(positions)]


def initial_pack(
    state: State, vocabulary: VocabularyMap, config: LittleBirdConfig, generator: torch.Generator
) -> Tensor:
    """P of the first layer: S tokens as the first layer would read them, so that P looks like X.

    Returns:
        <float>[S, C]
    """
    ordinary = [
        n
        for n, (symbol, number) in enumerate(zip(vocabulary.symbols, vocabulary.source_ids, strict=True))
        if number is not None and symbol not in (*SPECIAL, MASK)
    ]
    chosen = torch.randint(len(ordinary), (config.pack_size,), generator=generator)
    return as_read(state, torch.tensor(ordinary)[chosen], config)


def as_read(state: State, tokens: Tensor, config: EncoderConfig) -> Tensor:
    """Tokens <int64>[N] as the first layer reads them, at no place in particular: <float>[N, C]."""
    x = state[TOKENS][tokens]
    if config.has_positions:
        x = x + state[POSITIONS].mean(0)
    norm = "encoder.embeddings.norm."
    x = F.layer_norm(x, x.shape[1:], state[f"{norm}weight"], state.get(f"{norm}bias"), config.layer_norm_eps)
    projection = "encoder.embeddings.projection."
    if f"{projection}weight" in state:
        x = F.linear(x, state[f"{projection}weight"], state.get(f"{projection}bias"))
    return x
