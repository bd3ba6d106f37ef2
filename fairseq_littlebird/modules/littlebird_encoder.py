"""The LittleBird encoder: embeddings, then layers that hand on X and P.

Legend: B batch, L tokens, S pack size, C hidden width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fairseq_littlebird.attention.internals import LittleBirdInternals
from fairseq_littlebird.attention.littlebird import DistanceFeatures, TokenPlaces, window_features
from fairseq_littlebird.modules.attention.context import checked_padding
from fairseq_littlebird.modules.attention.littlebird import LittleBirdContext, UnpackWindowAttention
from fairseq_littlebird.modules.config.littlebird import LittleBirdConfig
from fairseq_littlebird.modules.encoder import Encoder
from fairseq_littlebird.modules.littlebird_layer import LittleBirdLayer, Streams
from fairseq_littlebird.modules.token_annotations import TokenAnnotations


class LittleBirdEncoder(Encoder[LittleBirdContext, Streams, LittleBirdInternals]):
    """Token ids to hidden states, in time and memory linear in L; any L ≥ 1 (section 3).

    Position ids do not decrease along L; gaps in them are virtual padding (section 3.4).

    Args:
        config: sizes and switches.
        attention: what makes each layer's unpack and window attention.
    """

    config: LittleBirdConfig

    def __init__(
        self,
        config: LittleBirdConfig,
        attention: Callable[[LittleBirdConfig], UnpackWindowAttention] = UnpackWindowAttention,
    ) -> None:
        last, numbers = config.layers - 1, range(config.layers)
        layers = (LittleBirdLayer(config, number == last, attention, first=number == 0) for number in numbers)
        super().__init__(config, layers)
        self.backend = config.attention_backend
        self.pack = nn.Parameter(torch.empty(config.pack_size, config.embed_dim)) if config.pack_size else None
        if self.pack is not None:  # P of the first layer: learned (section 3.3)
            nn.init.normal_(self.pack)  # as large as the layer norms' outputs it stands beside

    def attention_context(
        self, x: Tensor, positions: Tensor | None, padding_mask: Tensor, annotations: TokenAnnotations
    ) -> LittleBirdContext:
        mask, unpadding = checked_padding(padding_mask, annotations)
        features = self.distance_features(x, positions, mask)
        return LittleBirdContext(mask, unpadding, positions=positions, distance_features=features)

    def distance_features(
        self, x: Tensor, positions: Tensor | None, padding_mask: Tensor | None
    ) -> DistanceFeatures | TokenPlaces | None:
        """What the layers share of the bias, or None where they have no use for it."""
        config = self.config
        if not config.window:
            return None
        return window_features(x, positions, padding_mask, config.block_size, config.pack_size, self.backend)

    def set_backend(self, backend: str) -> None:
        """Computes unpack and window attention another way; see :func:`unpack_window_attention`."""
        self.backend = backend
        for layer in self.layers:
            layer.attention.backend = backend  # type: ignore[union-attr]

    def initial_state(self, x: Tensor, context: LittleBirdContext) -> Streams:
        p = x.new_zeros(0, x.shape[-1]) if self.pack is None else self.pack.to(x.dtype)
        p = p.expand(x.shape[0], -1, -1)  # len() would be a number to torch.export
        return Streams(context.unpad(x), p)

    def hidden_states(self, state: Streams, context: LittleBirdContext) -> Tensor:
        return context.pad(state.x)
