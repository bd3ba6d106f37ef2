"""The encoder as a whole: sizes, lengths, backends, ablations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_littlebird.modules.config import LittleBirdConfig
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder

SMALL = LittleBirdConfig(
    vocab_size=30, layers=3, embed_dim=16, ffn_embed_dim=24, heads=2, pack_size=3, block_size=4,
    dropout=0.0, attention_dropout=0.0,
)  # fmt: skip
PAD = SMALL.padding_idx


def build(seed: int = 0, **changes) -> LittleBirdEncoder:
    """A small float64 encoder in evaluation mode; the same seed gives the same parameters."""
    torch.manual_seed(seed)
    encoder = LittleBirdEncoder(replace(SMALL, **changes)).double().eval()
    for parameter in encoder.parameters():  # weights large enough that everything has a say
        parameter.data += 0.2 * torch.randn_like(parameter)
    return encoder


def text(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(4, SMALL.vocab_size, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("vocab_size", "large", "millions"), [(50_265, False, 145), (35_000, False, 133), (35_000, True, 414)]
)
def test_parameter_totals_of_the_paper(vocab_size, large, millions):
    """Tables 10 and 11: encoder and embeddings, within 0.5 %."""
    sizes = dict(layers=24, embed_dim=1024, ffn_embed_dim=4096, heads=16) if large else {}
    with torch.device("meta"):
        encoder = LittleBirdEncoder(LittleBirdConfig(vocab_size, **sizes))
    total = sum(p.numel() for p in encoder.parameters())
    assert abs(total / 1e6 - millions) <= 0.005 * millions


def test_seven_projections_and_three_norms_a_layer():
    layer = dict(build().layers[0].named_parameters())
    C, F, H = SMALL.embed_dim, SMALL.ffn_embed_dim, SMALL.heads
    square = [name for name, p in layer.items() if p.shape == (C, C)]
    assert len(square) == 7 and not any("out" in name for name in square if "pack" in name)
    norms = [m for m in build().layers[0].modules() if isinstance(m, torch.nn.LayerNorm)]
    assert len(norms) == 3
    assert sum(p.numel() for p in layer.values()) == 7 * (C * C + C) + 2 * C * F + F + C + 3 * 2 * C + 3 * H


@settings(max_examples=40)
@given(
    L=st.integers(1, 40),
    S=st.sampled_from([0, 1, 5]),
    b=st.sampled_from([1, 4, 16, 64]),
    pads=st.tuples(st.integers(0, 10), st.integers(0, 10)),
    gap=st.sampled_from([0, 50]),
    window=st.booleans(),
    positions=st.sampled_from(["bialibi", "none", "learned"]),
    backend=st.sampled_from(["blockwise", "unfolded"]),
)
def test_backends_agree_at_any_length(L, S, b, pads, gap, window, positions, backend):
    changes = dict(pack_size=S, block_size=b, positions=positions, window=window or S == 0, max_positions=4096)
    tokens = text(2, L)
    tokens[0, 1 : 1 + pads[0]], tokens[1, L - min(pads[1], L) :] = PAD, PAD
    ids = None
    if gap:
        ids = torch.randint(1, gap, (2, L), generator=torch.Generator().manual_seed(L)).cumsum(1)
    blockwise, dense = [], []
    build(**changes, attention_backend=backend)(tokens, ids, states=blockwise)
    build(**changes, attention_backend="dense")(tokens, ids, states=dense)
    assert len(blockwise) == len(dense) == SMALL.layers + 1
    for one, other in zip(blockwise, dense, strict=True):
        assert one.shape == (2, L, SMALL.embed_dim) and one.isfinite().all()
        torch.testing.assert_close(one[tokens != PAD], other[tokens != PAD])


@settings(max_examples=30)
@given(n=st.integers(1, 24), more=st.integers(0, 24), S=st.sampled_from([0, 3]), side=st.booleans())
def test_batch_composition_and_padding_never_matter(n, more, S, side):
    """A row alone equals the row in a batch that pads it on the right."""
    encoder = build(pack_size=S)
    row = text(1, n, seed=n)
    together = torch.full((3, n + more), PAD)
    together[0, :n], together[1], together[2, 0] = row[0], text(n + more, seed=2), 5
    torch.testing.assert_close(encoder(together)[0, :n], encoder(row)[0])


@settings(max_examples=25)
@given(
    gaps=st.lists(st.integers(0, 5), max_size=8), S=st.sampled_from([0, 3]), backend=st.sampled_from(["auto", "dense"])
)
def test_gaps_in_position_ids_equal_padding_put_there(gaps, S, backend):
    """Section 3.4 for a whole encoder, in one block."""
    L, length = len(gaps) + 1, len(gaps) + 1 + sum(gaps)
    encoder = build(pack_size=S, block_size=length, attention_backend=backend)
    places = torch.tensor([0, *gaps]).cumsum(0) + torch.arange(L)
    tokens = text(1, L)
    inserted = torch.full((1, length), PAD)
    inserted[:, places] = tokens
    torch.testing.assert_close(encoder(tokens, places[None]), encoder(inserted)[:, places])


def test_position_ids_matter_only_where_there_are_positions():
    tokens, ids = text(1, 9), torch.arange(9)[None] * 3
    assert not torch.allclose(build()(tokens), build()(tokens, ids))
    assert torch.equal(build(positions="none")(tokens), build(positions="none")(tokens, ids))
    assert torch.equal(build()(tokens), build()(tokens, torch.arange(9)[None]))


def test_learned_positions_end_with_their_table():
    encoder = build(positions="learned", max_positions=8)
    encoder(text(1, 8))
    with pytest.raises(ValueError, match="position 8 is past the 8 learned ones"):
        encoder(text(1, 9))


def test_window_off_leaves_the_pack_vectors_alone():
    """Without the window a token's new value depends on its neighbours through the pack only: order is lost."""
    encoder = build(window=False)
    tokens = text(1, 10)
    turned = tokens.flip(1)
    torch.testing.assert_close(encoder(tokens), encoder(turned).flip(1))
    assert not torch.allclose(build()(tokens), build()(turned).flip(1))


def test_state_knows_no_sequence_length():
    encoder = build()
    encoder(text(1, 5))
    before = {name: t.shape for name, t in encoder.state_dict().items()}
    encoder(text(2, 97))
    assert {name: t.shape for name, t in encoder.state_dict().items()} == before
    assert not list(encoder.buffers())
    sizes = {n for t in encoder.state_dict().values() for n in t.shape}
    c = SMALL
    assert sizes <= {c.vocab_size, c.embed_dim, c.ffn_embed_dim, c.heads, c.pack_size}


@pytest.mark.parametrize(
    "changes", [{"heads": 1}, {"heads": 16}, {"pack_size": 7}, {"block_size": 5}, {"block_size": 1}]
)
def test_odd_sizes_that_work(changes):
    out = build(**changes)(text(2, 11))
    assert out.shape == (2, 11, 16) and out.isfinite().all()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"heads": 3}, "3 attention heads do not divide a width of 16"),
        ({"heads": 0}, "0 attention heads"),
        ({"heads": -2}, "-2 attention heads"),
        ({"pack_size": -1}, "pack size -1 is negative"),
        ({"block_size": 0}, "block size 0 is not positive"),
        ({"positions": "sinus"}, "'sinus' is not one of bialibi, learned, none"),
        ({"window": False, "pack_size": 0}, "leaves nothing to attend to"),
    ],
)
def test_sizes_that_do_not_fit_are_named(changes, says):
    with pytest.raises(ValueError, match=says) as caught:
        replace(SMALL, **changes)
    assert "\n" not in str(caught.value)


def test_memory_is_linear_in_the_length(largest_tensor):
    largest = []
    for length in (2048, 4096):
        encoder = build(block_size=32, pack_size=8, layers=1, dropout=0.1).float().train()
        with largest_tensor() as mode:
            encoder(text(1, length)).sum().backward()
        largest.append(mode.numel)
    assert largest[1] <= 2.1 * largest[0] and largest[1] < 4096 * 4096 / 8
