"""Which documents the beams of a search read.

Legend: B documents, k beams of each.
"""

from __future__ import annotations

import torch
from torch import Tensor


def documents_of(new_order: Tensor, documents: int, beams: int) -> tuple[Tensor | None, int]:
    """What an order of beams means for what is kept once a document.

    Args:
        new_order: <int64>[B' · k], rows to go on with. Before the search these are documents, each named k times in
            succession; then they are beams, of which document n has k · n … k · n + k - 1.
        documents: B.
        beams: k, or 0 before the search.
    Returns:
        the documents to go on with <int64>[B'], or None for all in their order; and k, 0 if there is no search.
    """
    count = new_order.numel()
    if beams:
        kept = new_order.view(-1, beams)[:, 0] // beams
        every = torch.arange(documents, device=kept.device)
        return (None if len(kept) == documents and torch.equal(kept, every) else kept), beams
    if count > documents and count % documents == 0:
        k = count // documents
        if torch.equal(new_order, torch.arange(documents, device=new_order.device).repeat_interleave(k)):
            return None, k
    return new_order, 0
