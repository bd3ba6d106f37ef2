"""From a pretrained encoder to the parameters of the models here (section 3.4, step 1).

Legend: V words, P positions, E width of the word embeddings, C hidden width, S pack size, N words.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from fairseq_littlebird.attention.littlebird.bialibi import alibi_slopes
from fairseq_littlebird.checkpoints.dictionary import MASK, QUESTION, SPECIAL
from fairseq_littlebird.conversion.key_map import State
from fairseq_littlebird.conversion.parameters import POSITIONS, WORDS
from fairseq_littlebird.conversion.source import Source
from fairseq_littlebird.conversion.vocabulary import Words
from fairseq_littlebird.modules.config import EncoderConfig, ETCConfig, LittleBirdConfig


def full_attention_state(
    source: Source, words: Words, config: EncoderConfig, layers: Sequence[int], generator: torch.Generator
) -> State:
    """The source itself, its words in the dictionary's order, its positions repeated to as many as there shall be.

    Where there shall be none, their mean joins the words: the embedding norm's input keeps its centre.

    Args:
        source: what was read.
        words: the dictionary.
        config: sizes and positions of the model to be.
        layers: the source's layers to keep, in order.
        generator: for the rows of new words.
    Returns:
        parameters of a full-attention or a BigBird-ITC model; with the heads that the source has.
    """
    state = {key: value.clone() for key, value in source.state.items() if ".layers." not in key}
    state[WORDS] = word_rows(state[WORDS], words, generator)
    positions = state.pop(POSITIONS)
    if config.has_positions:
        state[POSITIONS] = tile(positions, config.max_positions)
    else:
        state[WORDS] = state[WORDS] + positions.mean(0)
    if source.has_head:
        state["lm_head.bias"] = word_biases(state["lm_head.bias"], words)
    for n, of in enumerate(layers):
        old = f"encoder.layers.{of}."
        for key, value in source.state.items():
            if key.startswith(old) and ".global_" not in key:
                state[f"encoder.layers.{n}.{key.removeprefix(old)}"] = value.clone()
    return state


def longformer_state(
    source: Source, words: Words, config: EncoderConfig, layers: Sequence[int], generator: torch.Generator
) -> State:
    """With the projections of global tokens: the source's own, or those of all tokens.

    Args and returns: see :func:`full_attention_state`.
    """
    state = full_attention_state(source, words, config, layers, generator)
    for n, of in enumerate(layers):
        for name in ("q", "k", "v"):
            for part in ("weight", "bias"):
                local = source.state[f"encoder.layers.{of}.attention.{name}.{part}"]
                own = source.state.get(f"encoder.layers.{of}.attention.global_{name}.{part}", local)
                state[f"encoder.layers.{n}.attention.global_{name}.{part}"] = own.clone()
    return state


def bigbird_etc_state(
    source: Source, words: Words, config: ETCConfig, layers: Sequence[int], generator: torch.Generator
) -> State:
    """With small random vectors for relative positions, and global tokens that start as <s>.

    Args and returns: see :func:`full_attention_state`.
    """
    state = full_attention_state(source, words, config, layers, generator)
    shape = config.heads, 2, 2 * config.max_distance + 3, config.embed_dim // config.heads
    for n in range(len(layers)):
        state[f"encoder.layers.{n}.attention.relative"] = 0.02 * torch.randn(shape, generator=generator)
    state["encoder.global_embedding"] = as_read(state, torch.tensor([words.symbols.index("<s>")]), config)
    return state


def littlebird_state(
    source: Source,
    words: Words,
    config: LittleBirdConfig,
    layers: Sequence[int],
    generator: torch.Generator,
) -> State:
    """LittleBird's layers, with the source's attention as both pack and unpack attention.

    Args and returns: see :func:`full_attention_state`.
    """
    state = full_attention_state(source, words, config, layers, generator)
    alibi = torch.tensor(alibi_slopes(config.heads))
    for n in range(len(layers)):
        layer = f"encoder.layers.{n}."
        if config.pack_size:
            for name in ("q", "k", "v"):
                for part in ("weight", "bias"):
                    state[f"{layer}pack_attention.{name}.{part}"] = state[f"{layer}attention.{name}.{part}"].clone()
            if n < config.layers - 1:  # nobody reads the last layer's P'
                for part in ("weight", "bias"):
                    state[f"{layer}pack_norm.{part}"] = state[f"{layer}attention_norm.{part}"].clone()
        if config.positions == "bialibi" and config.window:
            initial = {"alpha": torch.zeros_like(alibi), "beta": alibi.clone(), "gamma": alibi.clone()}
            state |= {f"{layer}attention.slopes.{name}": value for name, value in initial.items()}
    if config.pack_size:
        state["encoder.pack"] = packed_rows(state, words, config, generator)
    return state


def spaced_layers(there: int, wanted: int) -> list[int]:
    """``wanted`` of ``there`` layers, evenly spaced, the last included."""
    return [(n + 1) * there // wanted - 1 for n in range(wanted)]


def word_rows(table: Tensor, words: Words, generator: torch.Generator) -> Tensor:
    """The word table in the dictionary's order.

    [QUESTION] starts as <mask>, as it too asks for what is missing; another new word as the mean row, with noise of
    the rows' own deviation.

    Args:
        table: <float>[rows, E].
        words: the dictionary.
        generator: for the noise.
    Returns:
        <float>[V, E]
    """
    mask = words.row(MASK)
    rows = table[torch.tensor([mask if row is None else row for row in words.rows])]
    others = torch.tensor([words.symbols.index(word) for word in words.new if word != QUESTION], dtype=torch.long)
    noise = torch.randn(len(others), table.shape[1], generator=generator)
    rows[others] = table.mean(0) + noise * table.std(0)
    return rows


def word_biases(bias: Tensor, words: Words) -> Tensor:
    """Output biases in the dictionary's order; a new word takes the lowest, so that nothing predicts it at once.

    Args:
        bias: <float>[rows].
        words: the dictionary.
    Returns:
        <float>[V]
    """
    lowest = int(bias.argmin())
    return bias[torch.tensor([lowest if row is None else row for row in words.rows])]


def tile(positions: Tensor, count: int) -> Tensor:
    """<float>[P, E], repeated to <float>[count, E]."""
    return positions[torch.arange(count) % len(positions)]


def packed_rows(state: State, words: Words, config: LittleBirdConfig, generator: torch.Generator) -> Tensor:
    """P of the first layer: S words as the first layer would read them, so that P looks like X.

    Returns:
        <float>[S, C]
    """
    ordinary = [
        n
        for n, (symbol, row) in enumerate(zip(words.symbols, words.rows, strict=True))
        if row is not None and symbol not in (*SPECIAL, MASK)
    ]
    chosen = torch.randint(len(ordinary), (config.pack_size,), generator=generator)
    return as_read(state, torch.tensor(ordinary)[chosen], config)


def as_read(state: State, words: Tensor, config: EncoderConfig) -> Tensor:
    """Words <int64>[N] as the first layer reads them, at no place in particular: <float>[N, C]."""
    x = state[WORDS][words]
    if config.has_positions:
        x = x + state[POSITIONS].mean(0)
    norm = "encoder.embeddings.norm."
    x = F.layer_norm(x, x.shape[1:], state[f"{norm}weight"], state[f"{norm}bias"], config.layer_norm_eps)
    projection = "encoder.embeddings.projection."
    if f"{projection}weight" in state:
        x = F.linear(x, state[f"{projection}weight"], state[f"{projection}bias"])
    return x
