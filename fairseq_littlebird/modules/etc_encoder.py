"""The ETC encoder: embeddings, then layers that hand on global and long tokens.

Legend: B batch, L long tokens X, G global tokens Y, C hidden width, M segments.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fairseq_littlebird.attention.etc.labels import owners, without_tokens
from fairseq_littlebird.attention.internals import FullRouting
from fairseq_littlebird.modules.attention.etc import ETCLayer, ETCLayout
from fairseq_littlebird.modules.config import ETCConfig
from fairseq_littlebird.modules.encoder import TransformerEncoder
from fairseq_littlebird.modules.left_padding import refuse_left_padding
from fairseq_littlebird.modules.unpadding import rows_of


class ETCEncoder(TransformerEncoder):
    """Token ids to hidden states, in time and memory linear in L; any L ≥ 1 (Ainslie et al., 2020, section 3).

    Every global token starts as ``global_embedding``: its place shows through the labels of relative positions alone,
    of other global tokens by distance, of long ones by whether they belong to it. No position is absolute.

    Args:
        config: sizes.
    """

    layer_class = ETCLayer
    config: ETCConfig

    def __init__(self, config: ETCConfig) -> None:
        super().__init__(config)
        self.global_embedding = nn.Parameter(torch.empty(1, config.embed_dim))
        nn.init.normal_(self.global_embedding)  # as large as the normed word embeddings it stands beside

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor | None = None,
        padding_mask: Tensor | None = None,
        states: list[Tensor] | None = None,
        routing: list[FullRouting] | None = None,
        context_starts: Tensor | None = None,
        **roles: Any,
    ) -> Tensor:
        """Arguments and result as :meth:`TransformerEncoder.forward`'s, all of long tokens; positions are not read."""
        if padding_mask is None:
            padding_mask = tokens.eq(self.config.padding_idx)
        x, G = self.embeddings(tokens, context_starts=context_starts), self.config.global_tokens
        y = self.global_embedding.to(x.dtype).expand(len(x), G, -1)
        both: list[Tensor] = []
        decided: list[FullRouting] = []
        lists = None if states is None else both, None if routing is None else decided
        z = self.transform(torch.cat([y, x], dim=1), self.layout(padding_mask, **roles), *lists)
        if states is not None:
            states.extend(state[:, G:] for state in both)
        if routing is not None:
            routing.extend(FullRouting(q[:, :, G:], k[:, :, G:]) for q, k in decided)
        return z[:, G:]

    def layout(self, padding_mask: Tensor, segments: Tensor | None = None) -> Any:
        """What the layers share of a batch.

        Args:
            padding_mask: <bool>[B, L], True = padding.
            segments: first and last token of sentences or paragraphs <int64>[B, M, 2], 0 where there is none; or None:
                see :func:`owners`.
        """
        refuse_left_padding(padding_mask)
        G = self.config.global_tokens
        owner = owners(padding_mask, G, segments)
        padding_mask = torch.cat([without_tokens(owner, padding_mask, G), padding_mask], dim=1)
        return ETCLayout(owner, padding_mask, rows_of(padding_mask))
