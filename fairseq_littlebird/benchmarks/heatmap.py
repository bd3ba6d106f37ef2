"""Mean attention by query and key position, of a teacher and of its students: figure 4.

A student's probabilities are those that distillation compares, A_window + A_unpack · A_pack, over all tokens.

Legend: L tokens of a sequence, H heads, r query positions at once, N bins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fairseq_littlebird.attention.attribution import littlebird_attribution
from fairseq_littlebird.attention.effective_attention import (
    effective_attention,
    full_attention_probabilities,
    pack_attention_probabilities,
)
from fairseq_littlebird.benchmarks.plot import load_matplotlib, save
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.models.full_attention import FullAttentionModel
from fairseq_littlebird.models.littlebird import LittleBirdModel
from fairseq_littlebird.models.loading import load_encoder
from fairseq_littlebird.modules.config import EncoderConfig, LittleBirdConfig

ELEMENTS = 2**24  # of a chunk of query positions, all heads together
MEAN = -1
"""The number of a head that stands for the mean over all of them."""


class Heatmaps(NamedTuple):
    """Of a model. An entry is the mean probability in its bin, over 1 / L: 1 where attention is even."""

    title: str
    length: int  # L
    values: Tensor  # <float32>[layers, H, N, N], queries by keys
    pack: Tensor  # <float32>[layers], the share that goes through the pack vectors


def load(path: str, data: Path, length: int) -> EncoderModel:
    """The model of a checkpoint, to be run over so many tokens of ``data``'s text.

    Raises:
        UserError: see :func:`load_encoder`; or the model knows fewer positions.
    """
    kinds = (FullAttentionModel, LittleBirdModel)
    model = load_encoder(path, load_dictionary(data), kinds, "the model", "write one with littlebird-warm-start").eval()
    if length > model.max_positions():
        remedy = "lower --teacher-length or --student-length"
        raise UserError(f"{length} tokens, but {model.max_positions()} positions", path, remedy)
    return model


def same_sizes(models: Sequence[EncoderModel], paths: Sequence[str]) -> tuple[int, int]:
    """Layers and heads, the same of all models.

    Raises:
        UserError: they are not.
    """
    sizes = [(model.encoder.config.layers, model.encoder.config.heads) for model in models]
    for path, size in zip(paths, sizes, strict=True):
        if size != sizes[0]:
            what = "{} layers of {} heads".format(*size)
            what += f", but {paths[0]} has {sizes[0][0]} of {sizes[0][1]}"
            raise UserError(what, path, "give models with equal numbers of layers and heads")
    return sizes[0]


def sequences(data: Path, split: str, length: int, count: int) -> Iterator[Tensor]:
    """``<s>`` and the next ``length - 1`` tokens of the split, ``count`` times: <int64>[1, L].

    Raises:
        UserError: there is no such split, or too little text.
    """
    items, bos = MappedItems(data / split), load_dictionary(data).bos()
    if int(items.sizes.sum()) < count * (length - 1):
        raise UserError(
            f"{int(items.sizes.sum()):,} tokens are less than {count} times {length - 1:,}",
            str(data / split),
            "lower --sequences or the lengths, or binarize more text",
        )
    kept, index = np.zeros(0, np.int64), 0
    for _ in range(count):
        parts = [kept]
        while sum(map(len, parts)) < length - 1:
            parts.append(items[index].astype(np.int64))
            index += 1
        joined = np.concatenate(parts)
        kept = joined[length - 1 :]
        yield torch.from_numpy(np.concatenate([[bos], joined[: length - 1]]))[None]


@torch.inference_mode()
def heatmaps(
    model: EncoderModel, texts: Iterable[Tensor], bins: int, title: str, done: Callable[[], object] = lambda: None
) -> Heatmaps:
    """The mean over all sequences.

    Args:
        model: of full attention or LittleBird, in evaluation mode.
        texts: <int64>[1, L] each, without padding.
        bins: N at most; each has several positions where L is more.
        title: of the figure's panels.
        done: called after each sequence.
    """
    total, pack, count = torch.zeros(()), torch.zeros(()), 0
    for tokens in texts:
        L = tokens.shape[1]
        pool = mean_bins(L, min(bins, L))
        _, extra = model(tokens, features_only=True, return_attention_internals=True)
        config, layers = model.encoder.config, extra["attention_internals"]
        total = total + torch.stack([_binned(_probabilities(config, of_layer), L, pool) for of_layer in layers])
        pack = pack + torch.stack([_pack_share(config, of_layer) for of_layer in layers])
        count += 1
        done()
    return Heatmaps(title, L, total / count * L, pack / count)


def mean_bins(length: int, bins: int) -> Tensor:
    """What takes the mean of neighbouring positions: <float32>[N, L], each row with sum 1."""
    member = torch.arange(length) * bins // length == torch.arange(bins)[:, None]
    return member / member.sum(dim=1, keepdim=True)


def _probabilities(config: EncoderConfig, internals: Any) -> Callable[[slice], Tensor]:
    """A slice of the queries to their probabilities <float>[1, H, r, L]."""
    if not isinstance(config, LittleBirdConfig):
        return lambda queries: full_attention_probabilities(internals, queries=queries)
    sizes, pack = (config.block_size, config.window), pack_attention_probabilities(internals)
    return lambda queries: effective_attention(internals, None, None, *sizes, queries, pack)


def _pack_share(config: EncoderConfig, internals: Any) -> Tensor:
    """The share of a layer's attention that goes through the pack vectors, a mean over all queries: a scalar."""
    if not isinstance(config, LittleBirdConfig):
        return torch.zeros(())
    sizes = config.block_size, config.window
    return littlebird_attribution(internals, None, None, *sizes, 0, internals.k.shape[2]).pack.float().sum()


def _binned(probabilities: Callable[[slice], Tensor], length: int, pool: Tensor) -> Tensor:
    """The probabilities of a layer, a chunk of query positions at a time: <float32>[H, N, N]."""
    total: Any = 0
    heads = probabilities(slice(0, 1)).shape[1]
    step = max(1, ELEMENTS // (heads * length))
    for start in range(0, length, step):
        chunk = slice(start, start + step)
        total = total + pool[:, chunk] @ (probabilities(chunk)[0].float() @ pool.T)
    return total


def draw(maps: Sequence[Heatmaps], heads: Sequence[tuple[int, int]], path: Path, columns: int = 2) -> None:
    """A panel a model for each (layer, head), the models side by side; the head ``MEAN`` is the mean over all.

    Queries go right, keys go down; one logarithmic scale for all, in multiples of even attention.

    Raises:
        UserError: without matplotlib, or of a kind it does not draw.
    """
    pyplot = load_matplotlib()
    from matplotlib.colors import LogNorm

    columns = min(columns, len(heads))
    rows, M = -(-len(heads) // columns), len(maps)
    figure, axes = pyplot.subplots(
        rows, columns * M, squeeze=False, figsize=(1.6 * columns * M + 0.8, 1.9 * rows), layout="constrained"
    )
    image = None
    for place, (layer, head) in enumerate(heads):
        for m, of_model in enumerate(maps):
            axis = axes[place // columns, place % columns * M + m]
            values = of_model.values[layer]
            shown = values.mean(dim=0) if head == MEAN else values[head]
            norm, extent = LogNorm(0.05, 50, clip=True), (0, of_model.length, of_model.length, 0)
            image = axis.imshow(shown.T.numpy(), norm=norm, extent=extent, interpolation="nearest", cmap="magma")
            name = "all heads" if head == MEAN else f"head {head}"
            axis.set_title(f"{of_model.title}\nlayer {layer}, {name}", fontsize=7)
            axis.set_xticks([0, of_model.length])
            axis.set_yticks([0, of_model.length])
            axis.tick_params(labelsize=6)
    for axis in axes.flat[len(heads) * M :]:
        axis.axis("off")
    figure.supxlabel("query", fontsize=8)
    figure.supylabel("key", fontsize=8)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.01, format="{x:g}")
    bar.set_label("mean attention, in multiples of even attention", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    save(figure, path, dpi=100)


def chosen(names: Sequence[str], layers: int, heads: int) -> list[tuple[int, int]]:
    """(layer, head) of each panel: ``mean`` is the mean over the heads of every layer, ``all`` every head, ``3.7`` one.

    Raises:
        UserError: a name that is none of these, or of a head that is not there.
    """
    panels: list[tuple[int, int]] = []
    for name in names:
        if name == "mean":
            panels += [(layer, MEAN) for layer in range(layers)]
        elif name == "all":
            panels += [(layer, head) for layer in range(layers) for head in (MEAN, *range(heads))]
        else:
            layer, _, head = name.partition(".")
            there = layer.isdecimal() and head.isdecimal() and int(layer) < layers and int(head) < heads
            if not there:
                raise UserError(
                    f"no head {name!r}",
                    "--heads",
                    f"give mean, all, or LAYER.HEAD from 0.0 to {layers - 1}.{heads - 1}",
                )
            panels.append((int(layer), int(head)))
    return panels
