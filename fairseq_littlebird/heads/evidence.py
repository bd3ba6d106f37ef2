"""Scores of segments: sentences as evidence, paragraphs as long answers (appendix A.2), candidates.

Legend: B batch, L tokens, M segments, G global tokens, C hidden width.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_littlebird.heads.span_selection import take


class SegmentHead(nn.Module):
    """A double layer over [h_first ; h_last] of each segment: w · gelu(W_f h_first + W_l h_last)."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.from_first = nn.Linear(embed_dim, embed_dim)
        self.from_last = nn.Linear(embed_dim, embed_dim, bias=False)
        self.score = nn.Linear(embed_dim, 1)

    def forward(self, hidden: Tensor, segments: Tensor) -> Tensor:
        """
        Args:
            hidden: <float>[B, L, C].
            segments: <int64>[B, M, 2], first and last token, inclusive.
        Returns:
            logits <float>[B, M].
        """
        first, last = (take(hidden, ends) for ends in segments.unbind(dim=-1))  # [B, M, C]
        return self.score(F.gelu(self.from_first(first) + self.from_last(last))).squeeze(-1)


class GlobalSegmentHead(nn.Module):
    """A linear layer over the output of each segment's global token (Zaheer et al., 2020, appendix E.2)."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.score = nn.Linear(embed_dim, 1)

    def forward(self, global_states: Tensor, segments: Tensor) -> Tensor:
        """
        Args:
            global_states: <float>[B, G, C].
            segments: <int64>[B, M], the global token of each segment; what comes of -1, for none, means nothing.
        Returns:
            logits <float>[B, M].
        """
        return self.score(take(global_states, segments.clamp(min=0))).squeeze(-1)
