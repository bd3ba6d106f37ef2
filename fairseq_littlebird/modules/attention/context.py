"""What the layers of an encoder share of a batch.

Legend: B batch, L tokens.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from fairseq_littlebird.modules.unpadding import PaddedRows, UnpaddedRows


class Layout(NamedTuple):
    """What all layers share of a batch."""

    positions: Tensor | None = None  # <integer>[B, L]; None for 0 … L-1
    padding_mask: Tensor | None = None  # <bool>[B, L], True = padding
    features: Tensor | None = None  # see unpack_window_attention
    rows: PaddedRows | UnpaddedRows = PaddedRows()  # which rows of X are computed with
