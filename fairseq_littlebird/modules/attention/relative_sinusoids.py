"""Positions of causal windows as Transformer-XL has them (Dai et al., 2019, section 3.3), without its memory.

Legend: B batch, L tokens, H heads, C hidden width, D head width, R distances, d dilation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fairseq_littlebird.modules.attention.heads import split_heads
from fairseq_littlebird.modules.config.encoder import EncoderConfig
from fairseq_littlebird.modules.sinusoids import sinusoids


class RelativeSinusoids(nn.Module):
    """The score of the key r·d back is (q + u) · k + (q + v) · W s(r·d), s being the sinusoids of a distance.

    ``content`` and ``position`` <float>[H, D] are u and v; they start at 0.

    Args:
        config: width and heads.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads, self.embed_dim = config.heads, config.embed_dim
        self.content, self.position = (
            nn.Parameter(torch.zeros(config.heads, config.embed_dim // config.heads)) for _ in range(2)
        )
        self.projection = nn.Linear(config.embed_dim, config.embed_dim, bias=False)

    def forward(self, q: Tensor, count: int, dilations: Sequence[int]) -> tuple[Tensor, Tensor]:
        """
        Args:
            q: <float>[B, H, L, D].
            count: R.
            dilations: d of each head.
        Returns:
            q + u in the shape of q; and what the scaled scores of the keys 0, d, …, (R - 1)·d back get,
            <float32 or wider>[B, H, L, R].
        """
        kinds, steps = sorted(set(dilations)), torch.arange(count, device=q.device)
        table = sinusoids(torch.stack([steps * d for d in kinds]), self.embed_dim)  # [kinds, R, C]
        keys = split_heads(self.projection(table.to(self.content.dtype)), self.heads)  # [kinds, H, R, D]
        heads = torch.arange(self.heads, device=q.device)
        keys = keys[[kinds.index(d) for d in dilations], heads]  # [H, R, D]
        wide = torch.promote_types(q.dtype, torch.float32)
        with torch.autocast(q.device.type, enabled=False):
            of_position = (q + self.position[:, None]).to(wide) @ keys.to(wide).transpose(1, 2) * q.shape[3] ** -0.5
        return (q + self.content[:, None]).to(q.dtype), of_position
