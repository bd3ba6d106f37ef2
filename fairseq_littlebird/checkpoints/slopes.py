"""BiALiBi's first slopes, read off the heads of the source.

A source's heads look left and right by their position embeddings alone where words are random. On each side a slope s
stands for weights e^(-s d) over distances d; the one that fits best, in the sense of the KL from the head's
attention, is the one with the same mean distance.

Legend: B batch, L tokens, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fairseq_littlebird.attention.composed import full_rows
from fairseq_littlebird.attention.routing import FullRouting
from fairseq_littlebird.checkpoints.source import Source
from fairseq_littlebird.modules.full_encoder import FullAttentionEncoder

SEQUENCES = 4  # two draws differ by a few hundredths
STEEPEST = 8.0  # e^(-8): nothing but the neighbour


@torch.no_grad()
def fitted_slopes(source: Source, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    """β and γ of every layer of the source.

    Args:
        source: what was read.
        generator: draws the words.
    Returns:
        (β <float>[H], γ <float>[H]) a layer.
    """
    encoder = FullAttentionEncoder(source.config).eval()
    encoder.load_state_dict(
        {key.removeprefix("encoder."): value for key, value in source.state.items() if key.startswith("encoder.")}
    )
    L = min(512, source.config.max_positions)
    tokens = torch.randint(source.config.vocab_size, (SEQUENCES, L), generator=generator)
    routing: list[FullRouting] = []
    encoder(tokens, padding_mask=torch.zeros_like(tokens, dtype=torch.bool), routing=routing)
    reach = max(1, 3 * L // 8)  # the farther, the more of what a packed row will have to carry counts too
    return [(slope(rows, reach, left=True), slope(rows, reach, left=False)) for rows in map(full_rows, routing)]


def slope(rows: Tensor, reach: int, left: bool) -> Tensor:
    """The slope of each head on one side.

    Args:
        rows: attention probabilities <float>[B, H, L, L].
        reach: the largest distance, R; queries nearer than that to an end do not count.
        left: the side.
    Returns:
        <float>[H]
    """
    L = rows.shape[-1]
    queries, distances = slice(reach, L - reach), range(1, reach + 1)
    keys = (slice(reach - d, L - reach - d) if left else slice(reach + d, L - reach + d) for d in distances)
    weights = torch.stack([rows[:, :, queries, k].diagonal(dim1=2, dim2=3).sum(dim=(0, 2)) for k in keys]).double()
    distance = torch.arange(1, reach + 1, dtype=weights.dtype)
    return slope_of_mean(distance @ weights / weights.sum(0), reach).to(rows.dtype)  # weights <float64>[R, H]


def slope_of_mean(mean: Tensor, reach: int) -> Tensor:
    """The s for which e^(-s d) over d = 1 … R has this mean distance, by bisection.

    Args:
        mean: <float>[H], between 1 and R.
        reach: R.
    Returns:
        <float>[H], within ±``STEEPEST``; negative where distance attracts.
    """
    distance = torch.arange(1, reach + 1, dtype=mean.dtype)
    low, high = torch.full_like(mean, -STEEPEST), torch.full_like(mean, STEEPEST)
    for _ in range(50):
        middle = (low + high) / 2
        near = (-middle[:, None] * distance).softmax(dim=1) @ distance < mean
        low, high = torch.where(near, low, middle), torch.where(near, middle, high)
    return (low + high) / 2
