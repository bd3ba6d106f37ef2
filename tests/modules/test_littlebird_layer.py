"""One layer against section 3.3 written out."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fairseq_littlebird.attention.common.patterns import block_window_pattern
from fairseq_littlebird.modules.attention.littlebird import LittleBirdContext
from fairseq_littlebird.modules.config import LittleBirdConfig
from fairseq_littlebird.modules.littlebird_layer import LittleBirdLayer, Streams

MODERN = {"normalize_before": True, "gated_feed_forward": True, "bias_free": True}


@pytest.mark.parametrize(("modern", "first"), [(False, False), (True, True), (True, False)])
def test_equals_the_equations(modern, first):
    """C_P = Attn(P, X); P' = LN(C_P + P); C_X from C_P before its norm; A = LN(C_X + X); X' = LN(FFN(A) + A).

    In ModernBERT's form attention reads LN(P) and LN(X), A = C_X + X, X' = FFN(LN(A)) + A, P' = C_P + P.
    """
    torch.manual_seed(0)
    H, D, S, b, L = 2, 4, 3, 2, 7
    C = H * D
    layer = LittleBirdLayer(
        LittleBirdConfig(
            9, layers=2, embed_dim=C, ffn_embed_dim=12, heads=H, pack_size=S, block_size=b, **(MODERN if modern else {})
        ),
        first=first,
    )
    layer = layer.double().eval()
    x_in, p_in = torch.randn(1, L, C, dtype=torch.float64), torch.randn(1, S, C, dtype=torch.float64)
    x, p = x_in, p_in
    if modern:
        assert (layer.pack_norm is None) == first and not [n for n, _ in layer.named_parameters() if n.endswith("bias")]
        x, p = (x, p) if first else (layer.attention_norm(x), layer.pack_norm(p))

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
    a = layer.attention.out(c_x) + x_in[0]
    if modern:
        inner, gate = layer.ffn.fc1(layer.ffn_norm(a)).chunk(2, dim=-1)
        expected, expected_p = layer.ffn.fc2(F.gelu(inner) * gate) + a, c_p + p_in[0]
    else:
        a = layer.attention_norm(a)
        expected = layer.ffn_norm(layer.ffn.fc2(F.gelu(layer.ffn.fc1(a))) + a)
        expected_p = layer.pack_norm(c_p + p_in[0])

    (got_x, got_p), _ = layer(Streams(x_in, p_in), LittleBirdContext())
    torch.testing.assert_close(got_x[0], expected)
    torch.testing.assert_close(got_p[0], expected_p)
