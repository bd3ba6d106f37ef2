"""What the layers of an encoder share of a batch.

Legend: B batch, L tokens, N unpadded tokens of the whole batch, C hidden width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fairseq_littlebird.modules.left_padding import refuse_left_padding
from fairseq_littlebird.modules.token_annotations import NO_ANNOTATIONS, TokenAnnotations
from fairseq_littlebird.modules.unpadding import NoUnpadding, Unpadding, unpadding_of


@dataclass(frozen=True)
class AttentionContext:
    """What full attention needs of a batch; a family that needs more has a subclass.

    Hidden states go from layer to layer as [B, L, C], or without padding as [N, C].
    """

    padding_mask: Tensor | None = None  # <bool>[B, L], True = padding
    unpadding: Unpadding | NoUnpadding = NoUnpadding()

    def pad(self, x: Tensor) -> Tensor:
        """Hidden states as layers hand them on to <float>[B, L, C]."""
        return self.unpadding.pad(x)

    def unpad(self, x: Tensor) -> Tensor:
        """<float>[B, L, C] to hidden states as layers hand them on."""
        return self.unpadding.unpad(x)


def checked_padding(
    padding_mask: Tensor, annotations: TokenAnnotations = NO_ANNOTATIONS
) -> tuple[Tensor | None, Unpadding | NoUnpadding]:
    """The first two fields of a context: no mask where nothing is padded.

    Raises ValueError where a sequence starts with padding.

    Args:
        padding_mask: <bool>[B, L], True = padding.
        annotations: whose ``unpadded`` tells what is not padding; a batch that comes with it, or is not to be counted,
            is padded on the right, and its device is not asked.
    """
    unpadded = annotations.unpadded
    if unpadded is None and not annotations.is_counted:
        return padding_mask, NoUnpadding()
    if unpadded is not None and not torch.compiler.is_compiling():
        if len(unpadded) == padding_mask.numel():
            return None, NoUnpadding()
        return padding_mask, unpadding_of(padding_mask, unpadded)
    if not torch.compiler.is_compiling() and not padding_mask.any():
        return None, NoUnpadding()
    refuse_left_padding(padding_mask)
    return padding_mask, unpadding_of(padding_mask)
