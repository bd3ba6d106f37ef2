"""The form of a layer: BERT's, or another."""

from __future__ import annotations

from typing import NamedTuple


class LayerForm(NamedTuple):
    """Of what modules a layer is made; the defaults are BERT's."""

    norm_order: str = "post"  # see EncoderLayer
    gated: bool = False  # whether the feed-forward network is
    bias: bool = True  # of linear layers and of norms
    first_norm: bool = True  # whether the first layer's attention has one, with norms before the sub-layers
