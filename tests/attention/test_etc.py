"""ETC's attention against the dense reference, and that against the definition one pair of tokens at a time."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairseq_littlebird.attention.etc import dense_etc_attention, etc_attention
from fairseq_littlebird.attention.etc.labels import owners, without_tokens

NAMES = ("q", "k", "v", "relative")


def make_inputs(
    B=2, H=2, L=7, D=4, G=3, k=2, seed=0, left=None, right=None, owner=None, dtype=torch.float64, structured=False
):
    """Random arguments by name, without the radius; tokens belong to whom they like.

    ``left`` and ``right`` are tokens of padding on either side of each row. Global token 1 has no tokens. With
    ``structured`` a token belongs to two global ones, or to one or none, and may mention what another stands for.
    """
    rng = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)

    if owner is None:
        owner = torch.randint(0, G, (B, L), generator=rng)
        owner = torch.where(owner == 1, 0, owner)
    index, zeros = torch.arange(L), (0,) * B
    padding = torch.stack([(index < a) | (index >= L - z) for a, z in zip(left or zeros, right or zeros, strict=True)])
    inputs = {
        "q": random(B, H, G + L, D),
        "k": random(B, H, G + L, D),
        "v": random(B, H, G + L, D),
        "relative": random(H, 2, 2 * k + (5 if structured else 3), D),
        "owner": owner,
        "padding_mask": torch.cat([without_tokens(owner, padding, G), padding], dim=1),
    }
    if structured:
        further = torch.randint(-1, G, (2, B, L), generator=rng)
        inputs["owner"] = torch.stack([owner, further[0]], dim=2)
        inputs["mentions"] = further[1]
        inputs["groups"] = torch.randint(0, 2, (B, G), generator=rng)
        inputs["focused"] = torch.randint(0, 2, (B, G), generator=rng).bool()
    return inputs


def gradients(function, inputs, **options):
    """The result, and the gradient of every differentiable input for one random gradient of it."""
    leaves = {name: inputs[name].detach().clone().requires_grad_() for name in NAMES}
    result = function(**(inputs | leaves), **options)
    upstream = torch.randn(result.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    result.backward(upstream.to(result.dtype))
    return {"result": result.detach()} | {name: leaf.grad for name, leaf in leaves.items()}


def literal_attention(q, k, v, relative, owner, padding_mask, radius, mentions=None, groups=None, focused=None):
    """The definition in plain Python numbers, each of the four pieces by itself."""
    (B, H, N, D), L, clip = q.shape, owner.shape[1], (relative.shape[2] - (3 if groups is None else 5)) // 2
    G, result = N - L, torch.zeros_like(q)
    owner = owner if owner.dim() == 3 else owner[:, :, None]

    def link(n, of_long, of_global):
        if mentions is not None and mentions[n, of_long] == of_global:
            return 2 * clip + 3
        return 2 * clip + (2 if of_global in owner[n, of_long].tolist() else 1)

    for n in range(B):
        for h in range(H):
            for i in range(N):
                if padding_mask[n, i]:
                    continue
                scores = {}
                for j in range(N):
                    if padding_mask[n, j]:
                        continue
                    if i < G and j < G:
                        table, label = 0, max(-clip, min(clip, j - i)) + clip
                        if groups is not None and groups[n, i] != groups[n, j]:
                            label = 2 * clip + 4
                    elif i < G:
                        table, label = 0, link(n, j - G, i)
                        if focused is not None and focused[n, i] and label == 2 * clip + 1:
                            continue
                    elif j < G:
                        table, label = 1, link(n, i - G, j)
                    else:
                        if abs(i - j) > radius:
                            continue
                        table, label = 1, max(-clip, min(clip, j - i)) + clip
                    scores[j] = float(q[n, h, i] @ (k[n, h, j] + relative[h, table, label])) / math.sqrt(D)
                total = sum(math.exp(score) for score in scores.values())
                for j, score in scores.items():
                    result[n, h, i] += math.exp(score) / total * v[n, h, j]
    return result


@pytest.mark.parametrize("function", [dense_etc_attention, etc_attention])
@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("structured", [False, True])
def test_the_definition_one_pair_at_a_time(function, k, structured):
    inputs = make_inputs(L=9, G=4, k=k, left=(0, 1), right=(0, 3), structured=structured)
    expected = literal_attention(**inputs, radius=3)
    torch.testing.assert_close(function(**inputs, radius=3), expected)
    assert inputs["padding_mask"][:, 1].all() and not inputs["padding_mask"][:, 0].any()


@settings(max_examples=100)
@given(
    L=st.one_of(st.sampled_from([1, 31, 32, 33]), st.integers(1, 70)),
    r=st.sampled_from([1, 2, 3, 7, 16, 100]),
    G=st.sampled_from([1, 2, 5, 9]),
    k=st.sampled_from([1, 3, 12]),
    pads=st.tuples(st.integers(0, 70), st.integers(0, 70)),
    structured=st.booleans(),
    seed=st.integers(0, 2**16),
)
@example(L=1, r=1, G=1, k=12, pads=(0, 0), structured=False, seed=0)
@example(L=13, r=100, G=5, k=3, pads=(13, 5), structured=True, seed=1)  # a row of padding alone
@example(L=64, r=16, G=9, k=12, pads=(3, 40), structured=True, seed=2)
@example(L=33, r=3, G=2, k=12, pads=(1, 0), structured=False, seed=3)  # clipped further than the window
def test_equals_the_reference_with_all_gradients(L, r, G, k, pads, structured, seed):
    left, right = (min(pads[0], L), 0), (0, min(pads[1], L))
    inputs = make_inputs(L=L, G=G, k=k, left=left, right=right, structured=structured, seed=seed)
    actual, expected = (gradients(f, inputs, radius=r) for f in (etc_attention, dense_etc_attention))
    for name, wanted in expected.items():
        torch.testing.assert_close(actual[name], wanted, rtol=1e-9, atol=1e-10, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_other_precisions(dtype, tolerance):
    inputs = make_inputs(L=41, G=5, k=3, left=(0, 4), right=(3, 0), dtype=dtype)
    wide = {name: t.double() if t.is_floating_point() else t for name, t in inputs.items()}
    actual, expected = gradients(etc_attention, inputs, radius=6), gradients(dense_etc_attention, wide, radius=6)
    for name, wanted in expected.items():
        assert actual[name].dtype == dtype
        assert (actual[name].double() - wanted).norm() <= tolerance * wanted.norm(), name


@pytest.mark.parametrize("function", [dense_etc_attention, etc_attention])
def test_gradcheck(function):
    """Derivatives against differences of the function itself."""
    inputs = make_inputs(1, 1, 5, 2, 3, 1, right=(1,))
    leaves = [inputs[name].requires_grad_() for name in NAMES]
    rest = {name: inputs[name] for name in ("owner", "padding_mask")}
    assert torch.autograd.gradcheck(lambda *t: function(*t, **rest, radius=2), leaves)


@pytest.mark.parametrize("function", [dense_etc_attention, etc_attention])
def test_without_links_and_groups_structured_input_is_the_plain_one(function):
    """Labels of mentions and other groups count where they occur alone."""
    inputs = make_inputs(L=11, G=4, k=2, right=(0, 3))
    relative = torch.cat([inputs["relative"], torch.full_like(inputs["relative"][:, :, :2], 9.0)], dim=2)
    nothing = torch.full_like(inputs["owner"], -1)
    structure = {"mentions": nothing, "groups": torch.zeros_like(inputs["owner"][:, :4])}
    owner = torch.stack([inputs["owner"], nothing], dim=2)
    told = function(**inputs | {"relative": relative, "owner": owner} | structure, radius=3)
    torch.testing.assert_close(told, function(**inputs, radius=3))
    inputs_of_one_mention = structure | {"mentions": nothing.index_fill(1, torch.tensor([2]), 3)}
    other = function(**inputs | {"relative": relative, "owner": owner} | inputs_of_one_mention, radius=3)
    differs = (other - told).abs().amax(dim=(1, 3)) > 1e-9
    assert differs[0].nonzero().flatten().tolist() == [3, 4 + 2]  # the global token, and the one that mentions it


@pytest.mark.parametrize("function", [dense_etc_attention, etc_attention])
def test_what_stands_at_padding_or_at_an_empty_global_token_never_matters(function):
    inputs = make_inputs(3, L=30, G=5, left=(0, 3, 30), right=(9, 2, 0), dtype=torch.float32)
    gone = inputs["padding_mask"][:, None, :, None]
    noisy = inputs | {name: torch.where(gone, 1e4 * torch.randn(()), inputs[name]) for name in ("q", "k", "v")}
    noisy["owner"] = torch.where(inputs["padding_mask"][:, 5:], 4, inputs["owner"])
    before, after = (gradients(function, x, radius=4) for x in (inputs, noisy))
    assert torch.equal(before["result"], after["result"])
    assert (before["result"].masked_select(gone) == 0).all() and before["result"][2].eq(0).all()
    for name in ("q", "k", "v"):
        assert before[name].isfinite().all() and (before[name].masked_select(gone) == 0).all()
    torch.testing.assert_close(before["relative"], after["relative"])


@settings(max_examples=25)
@given(n=st.integers(1, 30), more=st.integers(0, 30), r=st.sampled_from([1, 4, 16]), G=st.sampled_from([1, 4]))
def test_batch_composition_never_matters(n, more, r, G):
    """A row alone, and the same row in company that makes it longer."""
    inputs = make_inputs(3, L=n + more, G=G, right=(more, 0, 0))
    alone = {name: t[:1, :, : G + n] for name, t in inputs.items() if name in ("q", "k", "v")}
    alone |= {"relative": inputs["relative"], "owner": inputs["owner"][:1, :n]}
    alone["padding_mask"] = inputs["padding_mask"][:1, : G + n]
    together = etc_attention(**inputs, radius=r)[:1, :, : G + n]
    torch.testing.assert_close(etc_attention(**alone, radius=r), together)


def test_nothing_is_quadratic_in_the_length(largest_tensor):
    largest = {}
    for L in (2048, 4096):
        inputs = make_inputs(1, 1, L, 4, G=8, right=(5,), dtype=torch.float32)
        with largest_tensor() as mode:
            gradients(etc_attention, inputs, radius=32, dropout_p=0.1)
        largest[L] = mode.numel
    assert largest[4096] <= 2.1 * largest[2048] and largest[4096] < 4096 * 4096 / 8
    inputs = make_inputs(1, 1, 256, 4)
    with largest_tensor() as mode:  # the recorder does see a quadratic path
        gradients(dense_etc_attention, inputs, radius=32)
    assert mode.numel >= 256 * 256


def test_each_probability_is_kept_and_scaled_or_zero():
    """The matrix that v is multiplied by is visible with v = 1 (the identity) and G + L = D."""
    G, L, p = 4, 28, 0.25
    inputs = make_inputs(2, 2, L, G + L, G)
    inputs["v"] = torch.eye(G + L, dtype=torch.float64).expand(2, 2, -1, -1)
    plain = etc_attention(**inputs, radius=6)
    torch.manual_seed(0)
    dropped = etc_attention(**inputs, radius=6, dropout_p=p)
    torch.manual_seed(0)
    assert torch.equal(etc_attention(**inputs, radius=6, dropout_p=p), dropped)
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], plain[kept] / (1 - p), rtol=1e-3, atol=0.0)
    for rows in (slice(0, G), slice(G, None)):
        visible = plain[:, :, rows] > 0
        assert abs(float((visible & ~kept[:, :, rows]).sum() / visible.sum()) - p) < 0.05


def padding(L, *lengths):
    return torch.arange(L) >= torch.tensor(lengths)[:, None]


def test_even_runs_over_each_rows_own_length():
    owner = owners(padding(10, 10, 7, 2, 0), 4)
    assert owner[0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert owner[1, :7].tolist() == [0, 0, 1, 1, 2, 2, 3]
    assert owner[2, :2].tolist() == [0, 1]
    assert owner.min() >= 0 and owner.max() < 4
    empty = without_tokens(owner, padding(10, 10, 7, 2, 0), 4)
    assert empty.tolist() == [[False] * 4, [False] * 4, [False, False, True, True], [True] * 4]


def test_runs_begin_behind_padding_on_the_left():
    left = torch.tensor([[True] * 3 + [False] * 5])
    assert owners(left, 3)[0, 3:].tolist() == [0, 0, 1, 1, 2]


def test_segments_have_a_global_token_each_and_the_rest_the_first():
    segments = torch.tensor([[[3, 4], [5, 5], [7, 9]], [[2, 6], [0, 0], [0, 0]]])
    owner = owners(padding(11, 11, 8), 6, segments)
    assert owner[0].tolist() == [0, 0, 0, 1, 1, 2, 0, 3, 3, 3, 0]
    assert owner[1, :8].tolist() == [0, 0, 1, 1, 1, 1, 1, 0]
    assert without_tokens(owner, padding(11, 11, 8), 6).sum(1).tolist() == [2, 4]


def test_a_row_without_segments_has_even_runs():
    segments = torch.tensor([[[1, 3]], [[0, 0]]])
    mask = padding(6, 6, 5)
    owner = owners(mask, 2, segments)
    assert owner[0].tolist() == [0, 1, 1, 1, 0, 0]
    assert owner[1, :5].tolist() == [0, 0, 0, 1, 1]
    assert torch.equal(owners(mask, 2, segments[:, :0]), owners(mask, 2))


@pytest.mark.parametrize(
    ("G", "expected"),
    [(9, [1, 2, 3, 4, 5, 6, 7]), (8, [1, 2, 3, 4, 5, 6, 7]), (7, [1, 1, 2, 3, 4, 5, 6]), (4, [1, 1, 1, 2, 2, 3, 3]),
     (2, [1] * 7)],
)  # fmt: skip
def test_neighbouring_segments_share_global_tokens_where_there_are_too_many(G, expected):
    segments = torch.tensor([[[1 + m, 1 + m] for m in range(7)] + [[0, 0]]])
    assert owners(padding(9, 8), G, segments)[0, :8].tolist() == [0, *expected]


def test_of_nested_segments_the_inner_one_counts():
    segments = torch.tensor([[[1, 8], [2, 3], [5, 6]]])
    assert owners(padding(10, 10), 4, segments)[0].tolist() == [0, 1, 2, 2, 1, 3, 3, 1, 1, 0]
