"""One layer against section 3.3 written out."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from fairseq_littlebird.attention.common.patterns import block_window_pattern
from fairseq_littlebird.modules.attention.littlebird import LittleBirdContext
from fairseq_littlebird.modules.config import LittleBirdConfig
from fairseq_littlebird.modules.littlebird_layer import LittleBirdLayer, Streams


def test_equals_the_equations():
    """C_P = Attn(P, X); P' = LN(C_P + P); C_X from C_P before its norm; A = LN(C_X + X); X' = LN(FFN(A) + A)."""
    torch.manual_seed(0)
    H, D, S, b, L = 2, 4, 3, 2, 7
    C = H * D
    layer = LittleBirdLayer(
        LittleBirdConfig(9, layers=1, embed_dim=C, ffn_embed_dim=12, heads=H, pack_size=S, block_size=b)
    )
    layer = layer.double().eval()
    x, p = torch.randn(1, L, C, dtype=torch.float64), torch.randn(1, S, C, dtype=torch.float64)

    c_p, c_x = torch.empty(S, C, dtype=torch.float64), torch.empty(L, C, dtype=torch.float64)
    for h in range(H):
        own = slice(h * D, (h + 1) * D)
        scores = layer.pack_attention.q(p[0])[:, own] @ layer.pack_attention.k(x[0])[:, own].T / D**0.5
        c_p[:, own] = scores.softmax(-1) @ layer.pack_attention.v(x[0])[:, own]
    distance = layer.attention.slopes(torch.arange(L)[None])[0].double()
    for h in range(H):
        own = slice(h * D, (h + 1) * D)
        keys = torch.cat([layer.attention.k(c_p)[:, own], layer.attention.k(x[0])[:, own]])
        values = torch.cat([layer.attention.v(c_p)[:, own], layer.attention.v(x[0])[:, own]])
        scores = layer.attention.q(x[0])[:, own] @ keys.T / D**0.5
        scores[:, :S] -= (layer.attention.slopes.beta[h] + layer.attention.slopes.gamma[h]) / 2 * b
        scores[:, S:] -= distance[h]
        scores[:, S:] = scores[:, S:].masked_fill(~block_window_pattern(L, b), float("-inf"))
        c_x[:, own] = scores.softmax(-1) @ values
    a = layer.attention_norm(layer.attention.out(c_x) + x[0])
    expected = layer.ffn_norm(layer.ffn.fc2(F.gelu(layer.ffn.fc1(a))) + a)

    (got_x, got_p), _ = layer(Streams(x, p), LittleBirdContext())
    torch.testing.assert_close(got_x[0], expected)
    torch.testing.assert_close(got_p[0], layer.pack_norm(c_p + p[0]))
