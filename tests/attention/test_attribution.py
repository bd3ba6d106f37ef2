"""Where the attention of some queries goes, against the oracle's probabilities."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_littlebird.attention import dense_unpack_window_attention
from fairseq_littlebird.attention.attribution import CHUNK_SIZE, full_attention_attribution, littlebird_attribution
from fairseq_littlebird.attention.effective_attention import (
    effective_attention,
    full_attention_probabilities,
    pack_attention_probabilities,
)
from fairseq_littlebird.attention.internals import FullAttentionInternals, LittleBirdInternals

CLOSE = {"rtol": 1e-9, "atol": 1e-12}


def internals_of(inputs):
    rng = torch.Generator().manual_seed(0)
    pack_q, pack_x_k = (torch.randn(t.shape, generator=rng, dtype=t.dtype) for t in (inputs["pack_k"], inputs["k"]))
    slopes = torch.stack(inputs["slopes"].coefficients())
    return LittleBirdInternals(inputs["q"], inputs["k"], pack_q, pack_x_k, inputs["pack_k"], slopes)


@settings(max_examples=40)
@given(data=st.data())
def test_equals_the_oracle(tools, data):
    L, b, S = data.draw(st.integers(1, 3 * CHUNK_SIZE)), data.draw(st.integers(1, 9)), data.draw(st.integers(0, 3))
    window = S == 0 or data.draw(st.booleans())
    inputs = tools.make_inputs(L=L, S=S, seed=data.draw(st.integers(0, 99)), max_gap=data.draw(st.sampled_from([0, 9])))
    first = data.draw(st.integers(0, L - 1))
    stop = data.draw(st.integers(first + 1, L))
    internals, positions = internals_of(inputs), inputs["positions"]
    found = littlebird_attribution(internals, positions, None, b, window, first, stop)

    torch.testing.assert_close(found.tokens.sum(1) + found.pack.sum(1), torch.ones(2).double(), **CLOSE)
    torch.testing.assert_close(found.through_pack.sum(2), found.pack, **CLOSE)
    composed = effective_attention(internals, positions, None, b, window, slice(first, stop))
    torch.testing.assert_close(found.tokens + found.through_pack.sum(1), composed.mean(dim=(1, 2)), **CLOSE)
    if window:
        _, probabilities = dense_unpack_window_attention(**inputs, block_size=b)
        wanted = probabilities[:, :, first:stop].mean(dim=(1, 2))
        torch.testing.assert_close(torch.cat([found.pack, found.tokens], dim=1), wanted, **CLOSE)
        # each pack vector by itself, head by head and query by query
        a_pack, wanted = pack_attention_probabilities(internals), torch.zeros_like(found.through_pack)
        for h in range(a_pack.shape[1]):
            for i in range(first, stop):
                wanted += probabilities[:, h, i, :S, None] * a_pack[:, h]
        torch.testing.assert_close(found.through_pack, wanted / (a_pack.shape[1] * (stop - first)), **CLOSE)
    else:
        assert (found.tokens == 0).all()


def test_full_attention(tools):
    inputs = tools.make_inputs(L=3 * CHUNK_SIZE + 1)
    internals = FullAttentionInternals(inputs["q"], inputs["k"])
    found = full_attention_attribution(internals, None, 2, 2 + CHUNK_SIZE + 5)
    torch.testing.assert_close(
        found.tokens,
        full_attention_probabilities(internals, queries=slice(2, 7 + CHUNK_SIZE)).mean(dim=(1, 2)),
        **CLOSE,
    )
    assert found.pack.shape == (2, 0) and found.through_pack.shape == (2, 0, 3 * CHUNK_SIZE + 1)


def test_nothing_is_quadratic(tools, largest_tensor):
    inputs = tools.make_inputs(B=1, H=2, L=900, S=3)
    internals = internals_of(inputs)
    with largest_tensor() as largest:
        littlebird_attribution(internals, None, None, 8, True, 100, 800)
    assert largest.numel <= CHUNK_SIZE * 4 * (900 + 3)
