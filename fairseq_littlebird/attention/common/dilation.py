"""Dilated windows: a head of dilation d is d sequences without dilation, token i belongs to sequence i mod d.

Legend: B batch, L tokens, H heads, d dilation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from torch import Tensor

from fairseq_littlebird.attention.common.blocks import split_blocks

SettingT = TypeVar("SettingT")


def runs(settings: Sequence[SettingT]) -> Iterator[tuple[slice, SettingT]]:
    """Successive heads of one setting, such as a dilation, which can be computed together."""
    start = 0
    for setting, run in groupby(settings):
        stop = start + len(list(run))
        yield slice(start, stop), setting
        start = stop


def split_residues(x: Tensor, d: int, fill: float = 0.0) -> Tensor:
    """[B, L, …] to [B·d, ⌈L/d⌉, …]: the tokens i, i + d, i + 2d, … of each sequence, ``fill`` past the end."""
    return split_blocks(x, d, dim=1, fill=fill).transpose(1, 2).flatten(0, 1)


def join_residues(x: Tensor, d: int, length: int) -> Tensor:
    """[B·d, ⌈L/d⌉, …] back to [B, L, …], L being ``length``."""
    return x.unflatten(0, (-1, d)).transpose(1, 2).flatten(1, 2)[:, :length]
