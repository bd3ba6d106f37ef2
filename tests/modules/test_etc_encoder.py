"""The ETC encoder as a whole: its layers, lengths, segments, padding."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_littlebird.attention.etc import dense_etc_attention
from fairseq_littlebird.modules.config import ETCConfig, FullAttentionConfig
from fairseq_littlebird.modules.etc_encoder import ETCEncoder
from fairseq_littlebird.modules.full_attention_encoder import FullAttentionEncoder
from fairseq_littlebird.modules.token_annotations import GlobalStructure, TokenAnnotations

SMALL = ETCConfig(
    vocab_size=30, layers=2, embed_dim=16, ffn_embed_dim=24, heads=2, global_tokens=5, local_radius=3, max_distance=2,
    dropout=0.0, attention_dropout=0.0,
)  # fmt: skip
PAD = SMALL.padding_idx


def build(seed: int = 0, **changes) -> ETCEncoder:
    """A small float64 encoder in evaluation mode; the same seed gives the same parameters."""
    torch.manual_seed(seed)
    encoder = ETCEncoder(replace(SMALL, **changes)).double().eval()
    for parameter in encoder.parameters():  # weights large enough that everything has a say
        parameter.data += 0.2 * torch.randn_like(parameter)
    return encoder


def text(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(4, SMALL.vocab_size, shape, generator=torch.Generator().manual_seed(seed))


def test_keys_are_those_of_full_attention_and_a_few():
    etc = ETCEncoder(SMALL).state_dict()
    full = FullAttentionEncoder(FullAttentionConfig(30, layers=2, embed_dim=16, ffn_embed_dim=24, heads=2)).state_dict()
    del full["embeddings.positions.weight"]
    own = {"global_embedding": (1, 16), **{f"layers.{n}.attention.relative": (2, 2, 7, 8) for n in range(2)}}
    assert {name: t.shape for name, t in etc.items()} == {name: t.shape for name, t in full.items()} | own


def test_new_tables_are_small_and_new_global_tokens_as_large_as_words():
    encoder = ETCEncoder(replace(SMALL, embed_dim=256, heads=4))
    for layer in encoder.layers:
        assert 0.018 < layer.attention.relative.std() < 0.022 and layer.attention.relative.mean().abs() < 0.002
    assert 0.8 < encoder.global_embedding.std() < 1.2
    assert 0.8 < encoder.eval().embeddings(text(2, 9)).std() < 1.2


def structure_of(B=1, L=17, G=6, seed=0) -> GlobalStructure:
    """Two kinds of links and mentions at random; the last global token of all but the first sequence is not there."""
    rng = torch.Generator().manual_seed(seed)
    kinds = torch.randint(0, 3, (B, G), generator=rng)
    kinds[1:, -1] = -1
    owners, mentions = (
        torch.randint(-1, G - 1, (B, L, 2), generator=rng),
        torch.randint(-1, G - 1, (B, L), generator=rng),
    )
    return GlobalStructure(kinds, torch.randint(0, 3, (B, G), generator=rng), owners, mentions)


@pytest.mark.parametrize("focused", [0, 2])
def test_a_layer_of_structured_input_equals_the_equations(focused):
    """Global tokens by kind, as many as the batch needs; labels of links, mentions and groups."""
    encoder, tokens, structure = build(global_kinds=3, focused_kinds=focused), text(1, 17), structure_of()
    states, found, annotations = [], [], TokenAnnotations(structure=structure)
    encoder(tokens, states=states, annotations=annotations, global_states=found)
    context = encoder.attention_context(states[0], None, tokens.eq(PAD), annotations)
    G, z = 6, torch.cat([encoder.global_embedding[structure.kinds], states[0]], dim=1)
    assert encoder.layers[0].attention.relative.shape == (2, 2, 9, 8)
    for n, layer in enumerate(encoder.layers):
        own = layer.attention
        q, k, v = (project(z).unflatten(2, (2, 8)).transpose(1, 2) for project in (own.q, own.k, own.v))
        links = {"mentions": structure.mentions, "groups": structure.groups}
        links |= {"focused": structure.kinds >= 1} if focused else {}
        attended = dense_etc_attention(q, k, v, own.relative, structure.owners, context.padding_mask, 3, **links)
        a = layer.attention_norm(own.out(attended.transpose(1, 2).flatten(2)) + z)
        z = layer.ffn_norm(layer.ffn(a) + a)
        torch.testing.assert_close(states[n + 1], z[:, G:])
    torch.testing.assert_close(found[0], z[:, :G])


def test_global_tokens_of_a_longer_row_and_padding_never_matter_to_structured_input():
    encoder, structure = build(global_kinds=3), structure_of(B=2)
    tokens = text(2, 17)
    tokens[1, 9:] = PAD
    together, of_globals = encoder_of_structure(encoder, tokens, structure)
    alone = GlobalStructure(*(t[1:, :5] if t.shape[1] == 6 else t[1:, :9] for t in structure))
    by_itself, own_globals = encoder_of_structure(encoder, tokens[1:, :9], alone)
    torch.testing.assert_close(together[1:, :9], by_itself)
    torch.testing.assert_close(of_globals[1:, :5], own_globals)


def encoder_of_structure(encoder, tokens, structure):
    found: list[torch.Tensor] = []
    hidden = encoder(tokens, annotations=TokenAnnotations(structure=structure), global_states=found)
    return hidden, found[0]


def test_what_a_structure_says_matters():
    encoder, tokens, structure = build(global_kinds=3), text(1, 17), structure_of()
    plain = encoder_of_structure(encoder, tokens, structure)[0]
    for name, change in (("kinds", 2), ("groups", 7), ("mentions", 5)):
        part = getattr(structure, name).clone()
        part[0, 1] = change
        assert not torch.allclose(plain, encoder_of_structure(encoder, tokens, structure._replace(**{name: part}))[0])
    owners = structure.owners.clone()
    owners[0, 1] = torch.tensor([5, -1])
    assert not torch.allclose(plain, encoder_of_structure(encoder, tokens, structure._replace(owners=owners))[0])
    swapped = structure._replace(owners=structure.owners.flip(2))  # the order of what a token belongs to says nothing
    torch.testing.assert_close(plain, encoder_of_structure(encoder, tokens, swapped)[0])


def test_a_model_of_structured_input_reads_plain_text_as_one_without_it():
    encoder, plain, tokens = build(global_kinds=3), build(), text(2, 13)
    state = {k: v.clone() for k, v in encoder.state_dict().items()}
    state["global_embedding"] = state["global_embedding"][:1]
    state |= {k: v[:, :, :-2] for k, v in state.items() if k.endswith("relative")}
    plain.load_state_dict(state)
    torch.testing.assert_close(encoder(tokens), plain(tokens))
    structured = TokenAnnotations(structure=structure_of(2, 13))
    torch.testing.assert_close(plain(tokens, annotations=structured), plain(tokens))


def test_a_layer_equals_the_equations():
    """Both streams, from the reference and the layer's own weights."""
    encoder, tokens = build(), text(1, 17)
    segments = torch.tensor([[[2, 5], [6, 6], [9, 15]]])
    states, internals = [], []
    encoder(tokens, states=states, internals=internals, annotations=TokenAnnotations(segments=segments))
    context = encoder.attention_context(states[0], None, tokens.eq(PAD), TokenAnnotations(segments=segments))
    G, z = 5, torch.cat([encoder.global_embedding.expand(1, 5, -1), states[0]], dim=1)
    for n, layer in enumerate(encoder.layers):
        own = layer.attention
        q, k, v = (project(z).unflatten(2, (2, 8)).transpose(1, 2) for project in (own.q, own.k, own.v))
        torch.testing.assert_close(internals[n].q, q[:, :, G:])
        torch.testing.assert_close(internals[n].k, k[:, :, G:])
        attended = dense_etc_attention(q, k, v, own.relative, context.owner, context.padding_mask, 3)
        a = layer.attention_norm(own.out(attended.transpose(1, 2).flatten(2)) + z)
        z = layer.ffn_norm(layer.ffn(a) + a)
        torch.testing.assert_close(states[n + 1], z[:, G:])
    assert len(states) == 3 and len(internals) == 2


@settings(max_examples=30)
@given(n=st.integers(1, 24), more=st.integers(0, 24), G=st.sampled_from([2, 5, 40]), cut=st.booleans())
def test_batch_composition_and_padding_never_matter(n, more, G, cut):
    """A row alone equals the row in a batch that pads it on the right, and pads its segments too."""
    encoder = build(global_tokens=G)
    row = text(1, n, seed=n)
    together = torch.full((3, n + more), PAD)
    together[0, :n], together[1], together[2, 0] = row[0], text(n + more, seed=2), 5
    own = torch.tensor([[[m, m + 1] for m in range(1, n - 1, 2)]]).view(1, -1, 2) if cut else None
    of_all = None
    if own is not None:
        of_all = torch.zeros(3, own.shape[1] + 2, 2, dtype=torch.long)
        of_all[0, : own.shape[1]] = own[0]
        of_all[1, :2] = torch.tensor([0, n + more - 1])
    result = encoder(together, annotations=TokenAnnotations(segments=of_all))
    assert result.shape == (3, n + more, 16)
    torch.testing.assert_close(result[0, :n], encoder(row, annotations=TokenAnnotations(segments=own))[0])


@pytest.mark.parametrize("segments", [None, torch.tensor([[[0, 1], [3, 3], [4, 5], [6, 6], [8, 8]]])])
def test_global_tokens_without_tokens_take_no_part(segments):
    """No parameter knows how many there are: with more than a row needs, nothing changes."""
    tokens = text(1, 9)
    told = TokenAnnotations(segments=segments)
    needed, spare = (build(global_tokens=G)(tokens, annotations=told) for G in (9, 40))
    torch.testing.assert_close(needed, spare)
    assert not torch.allclose(needed, build(global_tokens=4)(tokens, annotations=told))


def test_a_row_of_padding_alone_is_finite_and_teaches_nothing():
    encoder, tokens = build(), text(2, 9)
    tokens[1] = PAD
    encoder(tokens)[0].sin().sum().backward()
    together = {name: p.grad.clone() for name, p in encoder.named_parameters()}
    encoder.zero_grad()
    encoder(tokens[:1]).sin().sum().backward()
    assert encoder(tokens).isfinite().all()
    for name, p in encoder.named_parameters():
        torch.testing.assert_close(together[name], p.grad)


def test_a_distant_token_is_seen_through_the_global_ones():
    """After one layer only by those within the radius; after two by all, in time linear in the length."""
    tokens = text(1, 30)
    other = tokens.clone()
    other[0, 20] = (tokens[0, 20] - 3) % 26 + 4
    states, changed = [], []
    encoder = build()
    encoder(tokens, states=states)
    encoder(other, states=changed)
    differs = [(one != two).any(dim=2)[0] for one, two in zip(states, changed, strict=True)]
    assert differs[0].nonzero().flatten().tolist() == [20]
    assert differs[1].nonzero().flatten().tolist() == list(range(17, 24))
    assert differs[2].all()


def test_segments_matter():
    encoder, tokens = build(), text(1, 12)
    results = [
        encoder(tokens, annotations=TokenAnnotations(segments=s))
        for s in (None, torch.tensor([[[2, 4]]]), torch.tensor([[[2, 5]]]))
    ]
    assert not any(torch.allclose(results[a], results[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_order_matters_and_position_ids_do_not():
    """Relative positions by tokens: turned around, a text means something else."""
    encoder, tokens = build(), text(1, 10)
    assert not torch.allclose(encoder(tokens), encoder(tokens.flip(1)).flip(1))
    assert torch.equal(encoder(tokens), encoder(tokens, torch.arange(10)[None] * 7))


def test_every_parameter_learns():
    """A parameter that the loss never reaches breaks DistributedDataParallel."""
    encoder = build().train()
    encoder(text(2, 13)).sin().sum().backward()
    assert [name for name, p in encoder.named_parameters() if p.grad is None] == []
    assert all(layer.attention.relative.grad[:, 1].ne(0).all(dim=2).all() for layer in encoder.layers)
    assert encoder.layers[0].attention.relative.grad[:, 0].ne(0).all(dim=2).all()
    assert encoder.global_embedding.grad.ne(0).all()


def test_memory_is_linear_in_the_length(largest_tensor):
    largest = []
    for length in (1024, 2048):
        encoder = build(layers=1, local_radius=16, dropout=0.1).float().train()
        with largest_tensor() as mode:
            encoder(text(1, length)).sum().backward()
        largest.append(mode.numel)
    assert largest[1] <= 2.1 * largest[0] and largest[1] < 2048 * 2048 / 8


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"heads": 3}, "3 attention heads do not divide a width of 16"),
        ({"global_tokens": 1}, "1 global tokens are less than 2"),
        ({"local_radius": 0}, "local radius 0 is not positive"),
        ({"max_distance": 0}, "largest distance 0 is not positive"),
    ],
)
def test_sizes_that_do_not_fit_are_named(changes, says):
    with pytest.raises(ValueError, match=says) as caught:
        replace(SMALL, **changes)
    assert "\n" not in str(caught.value)
