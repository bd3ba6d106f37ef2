"""The ETC encoder: embeddings, then layers that hand on global and long tokens.

Legend: B batch, L long tokens X, G global tokens Y, C hidden width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fairseq_littlebird.attention.etc.labels import owners, without_tokens
from fairseq_littlebird.attention.internals import FullAttentionInternals
from fairseq_littlebird.modules.attention.etc import ETCAttention, ETCContext
from fairseq_littlebird.modules.config.etc import ETCConfig
from fairseq_littlebird.modules.encoder import OneStreamEncoder
from fairseq_littlebird.modules.encoder_layer import encoder_layers
from fairseq_littlebird.modules.left_padding import refuse_left_padding
from fairseq_littlebird.modules.token_annotations import TokenAnnotations
from fairseq_littlebird.modules.unpadding import unpadding_of


class ETCEncoder(OneStreamEncoder[ETCContext, FullAttentionInternals]):
    """Token ids to hidden states, in time and memory linear in L; any L ≥ 1 (Ainslie et al., 2020, section 3).

    The layers hand on [Y ; X]. Every global token starts as ``global_embedding``: its place shows through the labels
    of relative positions alone, of other global tokens by distance, of long ones by whether they belong to it. No
    position is absolute: position ids are not read. Segments, where the task has them, have a global token each; see
    :func:`owners`. Of structured input the task says which global tokens there are: each kind has an embedding of its
    own, and labels tell what a long token belongs to and what it mentions. Kinds may be focused: they see the global
    tokens, and of the long ones those that belong to them or mention them.

    Args:
        config: sizes.
    """

    config: ETCConfig

    def __init__(self, config: ETCConfig) -> None:
        super().__init__(config, encoder_layers(config, lambda _: ETCAttention(config)))
        self.global_embedding = nn.Parameter(torch.empty(config.global_kinds, config.embed_dim))
        nn.init.normal_(self.global_embedding)  # as large as the normed embeddings it stands beside

    def attention_context(
        self, x: Tensor, positions: Tensor | None, padding_mask: Tensor, annotations: TokenAnnotations
    ) -> ETCContext:
        unpadded, L = annotations.unpadded, padding_mask.shape[1]
        is_told = unpadded is not None and not torch.compiler.is_compiling()
        if not is_told:
            refuse_left_padding(padding_mask)
        structure = annotations.structure if self.config.is_structured else None
        if structure is not None:
            focused = structure.kinds >= self.config.global_kinds - self.config.focused_kinds
            padding_mask = torch.cat([structure.kinds < 0, padding_mask], dim=1)
            index = beside_globals(unpadded, padding_mask, L) if is_told else None  # type: ignore[arg-type]
            return ETCContext(
                padding_mask,
                unpadding_of(padding_mask, index),
                owner=structure.owners,
                mentions=structure.mentions,
                groups=structure.groups,
                kinds=structure.kinds,
                focused=focused if self.config.focused_kinds else None,
            )
        G = self.config.global_tokens
        owner = owners(padding_mask, G, annotations.segments)
        padding_mask = torch.cat([without_tokens(owner, padding_mask, G), padding_mask], dim=1)
        index = beside_globals(unpadded, padding_mask, L) if is_told else None  # type: ignore[arg-type]
        return ETCContext(padding_mask, unpadding_of(padding_mask, index), owner=owner)

    def initial_state(self, x: Tensor, context: ETCContext) -> Tensor:
        of_kind = self.global_embedding.to(x.dtype)
        if context.kinds is None:
            y = of_kind[:1].expand(len(x), context.global_tokens, -1)
        else:
            y = of_kind[context.kinds.clamp(min=0)]
        return context.unpad(torch.cat([y, x], dim=1))

    def hidden_states(self, state: Tensor, context: ETCContext) -> Tensor:
        return context.pad(state)[:, context.global_tokens :]

    def global_hidden_states(self, state: Tensor, context: ETCContext) -> Tensor:
        return context.pad(state)[:, : context.global_tokens]


def beside_globals(unpadded: Tensor, padding_mask: Tensor, L: int) -> Tensor:
    """Which of [Y ; X] are worth computing: all global tokens, as only a device knows the empty ones, and what is told.

    Args:
        unpadded: <int64>[N] of the [B · L] long tokens.
        padding_mask: <bool>[B, G + L], for its sizes.
        L: long tokens.
    Returns:
        <int64>[B · G + N] of the [B · (G + L)].
    """
    B, width = padding_mask.shape
    first = torch.arange(B, device=unpadded.device) * width
    of_globals = first[:, None] + torch.arange(width - L, device=unpadded.device)
    sequence = unpadded.div(L, rounding_mode="floor")
    return torch.cat([of_globals.flatten(), unpadded + (sequence + 1) * (width - L)])
