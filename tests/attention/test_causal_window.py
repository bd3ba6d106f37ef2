"""Causal windows: the definition, the dense reference, the blocks against it with every gradient, the ring of keys."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from fairseq_littlebird.attention.causal_window import (
    KeyBuffer,
    alibi_bias,
    blockwise,
    causal_window_attention,
    dense_causal_window_attention,
    fused,
)
from fairseq_littlebird.attention.causal_window.blockwise import blockwise_causal_window_attention
from fairseq_littlebird.attention.causal_window.unfolded import unfolded_causal_window_attention
from fairseq_littlebird.attention.common import window_blocks
from fairseq_littlebird.attention.common.blocks import MAX_BLOCK_SIZE

PATHS = [blockwise_causal_window_attention, unfolded_causal_window_attention]
FUNCTIONS = [*PATHS, dense_causal_window_attention]

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 2e-2}
SHAPES = {
    "L": st.one_of(st.sampled_from([1, 2, 31, 32, 33, 63, 64, 65, 111]), st.integers(1, 150)),
    "windows": st.sampled_from([(2, 2, 2), (4, 4, 4), (32, 32, 32), (50, 2, 50), (600, 600, 3), (1, 0, 7)]),
    "dilations": st.sampled_from([(1, 1, 1), (2, 2, 2), (1, 2, 3), (3, 1, 3), (1, 1, 7)]),
    "bias": st.sampled_from(["none", "alibi", "of distances", "of queries"]),
    "padding": st.sampled_from(["none", "right", "anywhere", "all of a row"]),
    "past": st.sampled_from([0, 0, 1, 40]),
    "seed": st.integers(0, 2**16),
}


def make_inputs(
    L=9, windows=(4, 4), dilations=(1, 2), bias="alibi", padding="right", past=0, seed=0, B=3, D=4, dtype=torch.float64
):
    """Random arguments of ``causal_window_attention`` by name: L queries after ``past`` tokens."""
    rng = torch.Generator().manual_seed(seed)
    H, R, K = len(windows), max(windows) + 1, past + L

    def random(*shape, of=dtype):
        return torch.randn(shape, generator=rng, dtype=torch.float64).to(of)

    wide = torch.promote_types(dtype, torch.float32)
    biases = {
        "none": lambda: None,
        "alibi": lambda: alibi_bias(random(H, of=wide).abs() * 0.1, windows, dilations),
        "of distances": lambda: random(1, H, 1, R, of=wide),
        "of queries": lambda: random(B, H, L, R + 2, of=wide),
    }
    index, lengths = torch.arange(K), torch.randint(1, K + 1, (B, 1), generator=rng)
    lengths[-1] = K
    mask = {
        "none": None,
        "right": index >= lengths,
        "anywhere": torch.rand(B, K, generator=rng) < 0.3,
        "all of a row": (index >= lengths) | (torch.arange(B) == 0)[:, None],
    }[padding]
    return {
        "q": random(B, H, L, D),
        "k": random(B, H, K, D),
        "v": random(B, H, K, D),
        "padding_mask": mask,
        "windows": windows,
        "dilations": dilations,
        "bias": biases[bias](),
    }


def gradients(function, inputs, bias_learns=True, **options):
    """The result, and the gradient of every tensor for one random gradient of it."""
    names = [name for name in ("q", "k", "v", "bias") if inputs[name] is not None and (bias_learns or name != "bias")]
    leaves = {name: inputs[name].detach().clone().requires_grad_() for name in names}
    result = function(**inputs | leaves, **options)
    upstream = torch.randn(result.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    result.backward(upstream.to(result.dtype))
    return {"result": result.detach()} | {name: leaf.grad for name, leaf in leaves.items()}


def compare(function, inputs, dtype, bias_learns):
    actual = gradients(function, inputs, bias_learns)
    assert actual["result"].dtype == dtype
    wide = inputs | {name: inputs[name].double() for name in ("q", "k", "v", "bias") if inputs[name] is not None}
    for name, wanted in gradients(dense_causal_window_attention, wide, bias_learns).items():
        error = float((actual[name].double() - wanted).norm())
        assert error <= TOLERANCES[dtype] * (float(wanted.norm()) + 0.1), f"{name}: off by {error}"


def literal_attention(q, k, v, padding_mask, windows, dilations, bias=None):
    """The definition, one pair of tokens at a time."""
    B, H, Q, D = q.shape
    past, result = k.shape[2] - Q, torch.zeros_like(q)
    for n in range(B):
        for h in range(H):
            for i in range(Q):
                scores = {}
                for r in range(windows[h] + 1):
                    j = past + i - r * dilations[h]
                    if j < 0 or (padding_mask is not None and padding_mask[n, j]):
                        continue
                    added = 0.0 if bias is None else bias.expand(B, H, Q, -1)[n, h, i, r]
                    scores[j] = float(q[n, h, i] @ k[n, h, j]) / math.sqrt(D) + float(added)
                total = sum(math.exp(score) for score in scores.values())
                for j, score in scores.items():
                    result[n, h, i] += math.exp(score) / total * v[n, h, j]
    return result


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("bias", ["none", "alibi", "of distances", "of queries"])
@pytest.mark.parametrize("padding", ["none", "anywhere"])
@pytest.mark.parametrize("past", [0, 3])
def test_equals_the_definition(function, bias, padding, past):
    inputs = make_inputs(13, (4, 3), (1, 2), bias, padding, past)
    torch.testing.assert_close(function(**inputs), literal_attention(**inputs))


@settings(max_examples=60)
@given(path=st.sampled_from(PATHS), **SHAPES, learns=st.booleans(), dtype=st.sampled_from(list(TOLERANCES)))
@example(PATHS[0], 63, (4, 4, 4), (1, 2, 3), "alibi", "none", 0, 0, True, torch.float64)
@example(PATHS[0], 111, (50, 2, 50), (1, 1, 7), "of queries", "anywhere", 40, 0, True, torch.float64)
@example(PATHS[0], 111, (32, 32, 32), (2, 2, 2), "of distances", "none", 0, 0, False, torch.float32)
@example(PATHS[0], 150, (600, 600, 3), (1, 2, 3), "alibi", "all of a row", 1, 0, True, torch.bfloat16)
@example(PATHS[1], 111, (50, 2, 50), (1, 1, 7), "of queries", "anywhere", 40, 0, True, torch.float64)
def test_blocks_equal_the_reference_with_every_gradient(
    path, L, windows, dilations, bias, padding, past, seed, learns, dtype
):
    compare(path, make_inputs(L, windows, dilations, bias, padding, past, seed, dtype=dtype), dtype, learns)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("bias", ["none", "alibi", "of queries"])
def test_blocks_of_their_largest_size_equal_the_reference(path, bias):
    """Some blocks past the first window, some in it."""
    inputs = make_inputs(3 * MAX_BLOCK_SIZE + 7, (MAX_BLOCK_SIZE + 9,) * 2, (1, 2), bias, "none", B=1)
    compare(path, inputs, torch.float64, bias_learns=False)


@pytest.mark.parametrize("together", [1, 32 * 64, 4 * 32 * 64, 10 * 32 * 64, 2**30])
@pytest.mark.parametrize("viewed", [0, 2**30])
@pytest.mark.parametrize("bias", ["alibi", "of queries"])
def test_however_many_blocks_are_computed_together(together, bias, viewed, monkeypatch):
    """Heads one by one, without a copy of their keys or with one, some of them, sequences one by one, all."""
    monkeypatch.setattr(window_blocks, "STEP_SIZE", together)
    monkeypatch.setattr(window_blocks, "MIN_VIEWED_STEP_SIZE", viewed)
    compare(PATHS[0], make_inputs(200, (32, 32, 4), (1, 1, 2), bias, "right"), torch.float64, bias_learns=True)


@pytest.mark.parametrize("bias", ["none", "alibi"])
@pytest.mark.parametrize("together", [1, 3 * 64 * 12, 2**21])
@pytest.mark.parametrize(
    "L, B, past", [(200, 1, 0), (200, 2, 40), (97, 5, 0), (64, 9, 0), (31, 2, 64), (130, 2, 7), (1, 3, 50)]
)
def test_the_fused_kernel_equals_the_reference(monkeypatch, L, B, past, together, bias):
    """However many blocks or sequences are computed together; of these arguments it takes all that it can."""
    monkeypatch.setattr(fused, "STEP_SIZE", together)
    monkeypatch.setattr(blockwise, "window_block_attention", None)
    inputs = make_inputs(L, (32, 32, 32), (1, 1, 1), bias, "none", past, B=B)
    compare(blockwise_causal_window_attention, inputs, torch.float64, bias_learns=False)


@pytest.mark.parametrize(
    "change",
    [{"bias": "of queries"}, {"padding": "right"}, {"dtype": torch.bfloat16}, {"learns": True}, {"dropout_p": 0.1}],
)
def test_the_fused_kernel_is_not_asked_for_what_it_cannot(monkeypatch, change):
    monkeypatch.setattr(blockwise, "fused_window_attention", None)
    given = {"bias": "alibi", "padding": "none", "learns": False, "dropout_p": 0.0} | change
    learns, dropout_p = given.pop("learns"), given.pop("dropout_p")
    gradients(PATHS[0], make_inputs(**given), learns, dropout_p=dropout_p)


def test_dropout_and_its_gradient_have_the_same_mask():
    inputs = make_inputs(100, (40, 8), (1, 1), "alibi", "none", B=1)

    def dropped(q, k, v, bias):
        torch.manual_seed(3)
        return blockwise_causal_window_attention(
            q, k, v, None, inputs["windows"], inputs["dilations"], bias, dropout_p=0.4
        )

    leaves = [inputs[name][..., -60:, :].clone().requires_grad_() for name in ("q", "k", "v")]
    assert torch.autograd.gradcheck(dropped, (*leaves, inputs["bias"].clone().requires_grad_()), fast_mode=True)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("bias", ["none", "alibi", "of queries"])
@pytest.mark.parametrize(
    "L, windows, dilations", [(63, (4, 4), (1, 1)), (111, (6, 20), (3, 2)), (300, (40, 2), (1, 7))]
)
def test_the_receptive_field_is_the_window_and_no_more(path, bias, L, windows, dilations):
    """What is before a token stays bit for bit as it was; it reaches w·d tokens on, and each of them is a multiple."""
    inputs = make_inputs(L, windows, dilations, bias, "none", B=1)
    before, j = path(**inputs), 17
    changed = inputs | {name: inputs[name].clone() for name in ("k", "v")}
    for name in ("k", "v"):
        changed[name][:, :, j] += 1.0
    after = path(**changed)
    for h, (w, d) in enumerate(zip(windows, dilations, strict=True)):
        found = (before != after)[0, h].any(dim=1).nonzero().flatten().tolist()
        assert found == [i for i in range(j, L) if i - j <= w * d and (i - j) % d == 0]


@pytest.mark.parametrize("path", PATHS)
def test_the_content_of_padding_never_matters(path):
    inputs = make_inputs(70, (6, 40), (1, 3), "alibi", "anywhere")
    other = inputs | {
        name: inputs[name].masked_fill(inputs["padding_mask"][:, None, :, None], 1e6) for name in ("k", "v")
    }
    assert torch.equal(path(**inputs), path(**other))


@pytest.mark.parametrize("path", PATHS)
def test_a_row_of_padding_is_zero_with_finite_gradients(path):
    values = gradients(path, make_inputs(40, padding="all of a row"))
    assert all(t.isfinite().all() for t in values.values())
    assert (values["result"][0] == 0).all() and values["result"][1].any()
    assert all((values[name][0] == 0).all() for name in ("q", "k", "v"))


@pytest.mark.parametrize("path", PATHS)
def test_dilations_equal_an_explicit_mask(path):
    inputs = make_inputs(50, (6, 3, 2), (1, 2, 5), "none", "none")
    distance = torch.arange(50)[:, None] - torch.arange(50)
    mask = torch.stack(
        [(distance % d == 0) & (distance >= 0) & (distance <= w * d) for w, d in ((6, 1), (3, 2), (2, 5))]
    )
    expected = F.scaled_dot_product_attention(inputs["q"], inputs["k"], inputs["v"], mask)
    torch.testing.assert_close(path(**inputs), expected)


@pytest.mark.parametrize("path", PATHS)
def test_padding_on_the_right_needs_no_mask(path):
    inputs = make_inputs(70, (6, 40), (1, 3), "alibi", "right")
    tokens = ~inputs["padding_mask"][:, None, :, None].expand_as(inputs["q"])
    masked, plain = path(**inputs), path(**inputs | {"padding_mask": None})
    torch.testing.assert_close(masked[tokens], plain[tokens])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_probability_is_dropped_and_scaled_or_kept(function):
    """The matrix that v is multiplied by is visible with v = 1 (the identity) and L = D."""
    inputs = make_inputs(24, (12, 4), (1, 2), "alibi", "none", D=24)
    inputs["v"] = torch.eye(24).double().expand(3, 2, 24, 24)
    plain = function(**inputs)
    torch.manual_seed(5)
    dropped = function(**inputs, dropout_p=0.25)
    kept, visible = dropped != 0, plain > 0
    torch.testing.assert_close(dropped[kept], plain[kept] / 0.75)
    assert abs(float((visible & ~kept).sum() / visible.sum()) - 0.25) < 0.05


class Operators(TorchDispatchMode):
    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("dropout_p", [0.0, 0.1])
@pytest.mark.parametrize("bias", ["none", "alibi", "of queries"])
def test_nothing_is_quadratic_in_the_length(largest_tensor, path, bias, dropout_p):
    largest, count = {}, {}
    for L in (1024, 2048):
        inputs = make_inputs(L, (32, 32), (1, 2), bias, "none", B=1, dtype=torch.float32)
        with largest_tensor() as mode:
            gradients(path, inputs, bias == "of queries", dropout_p=dropout_p)
        with Operators() as operators:
            path(**inputs)
        largest[L], count[L] = mode.numel, operators.count
    assert largest[2048] <= 2.1 * largest[1024]
    assert largest[2048] < 2048 * 2048 / 8
    assert count[2048] <= 2.1 * count[1024]


def test_a_cpu_goes_block_by_block_and_an_accelerator_unfolds():
    inputs = make_inputs(40)
    assert torch.equal(causal_window_attention(**inputs), blockwise_causal_window_attention(**inputs))
    meta = {name: t.to("meta") if torch.is_tensor(t) else t for name, t in inputs.items()}
    assert causal_window_attention(**meta | {"bias": None, "padding_mask": None}).shape == inputs["q"].shape


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"windows": (4,)}, "1 windows and 2 dilations do not fit 2 heads"),
        ({"dilations": (1, 1, 1)}, "2 windows and 3 dilations do not fit 2 heads"),
        ({"dilations": (1, 0)}, "are not positive"),
        ({"windows": (4, 8)}, "fits neither"),
    ],
)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_arguments_that_do_not_fit_are_refused(function, changes, message):
    with pytest.raises(ValueError, match=message):
        function(**make_inputs() | changes)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_more_queries_than_tokens_are_refused(function):
    inputs = make_inputs(padding="none")
    with pytest.raises(ValueError, match="9 queries are the last of 8 tokens"):
        function(**inputs | {name: inputs[name][:, :, 1:] for name in ("k", "v")})


class TestKeyBuffer:
    @settings(max_examples=30)
    @given(
        **{name: SHAPES[name] for name in ("L", "windows", "dilations", "seed")},
        bias=st.sampled_from(["none", "alibi", "of queries"]),
        pieces=st.lists(st.sampled_from([1, 1, 1, 2, 7, 40]), min_size=1, max_size=9),
    )
    @example(111, (4, 4, 4), (1, 2, 3), 0, "alibi", [1])
    @example(64, (32, 32, 32), (1, 1, 1), 0, "of queries", [1])
    @example(150, (50, 2, 50), (1, 1, 7), 0, "none", [40, 1, 1, 2, 7])
    def test_any_pieces_equal_the_whole(self, L, windows, dilations, seed, bias, pieces):
        inputs = make_inputs(L, windows, dilations, bias, "none", seed=seed)
        buffer, parts, start, turn = KeyBuffer(windows, dilations), [], 0, 0
        while start < L:
            piece = slice(start, start + pieces[turn % len(pieces)])
            of_piece = inputs["bias"][:, :, piece] if bias == "of queries" else inputs["bias"]
            parts.append(buffer.attend(*(inputs[name][:, :, piece] for name in ("q", "k", "v")), of_piece))
            start, turn = piece.stop, turn + 1
        torch.testing.assert_close(torch.cat(parts, dim=2), dense_causal_window_attention(**inputs))

    def test_memory_is_that_of_the_window(self):
        inputs, buffer, sizes = make_inputs(200, (10, 20), (3, 2), "none", "none"), KeyBuffer((10, 20), (3, 2)), []
        for i in range(200):
            buffer.attend(*(inputs[name][:, :, i : i + 1] for name in ("q", "k", "v")))
            sizes.append(buffer.k.shape[2])
        assert sizes[0] < 41 and set(sizes[40:]) == {20 * 2 + 1}

    def test_a_short_text_takes_no_more_than_it_needs(self):
        inputs, buffer = make_inputs(3, (400, 400), (1, 1), "none", "none"), KeyBuffer((400, 400), (1, 1))
        buffer.attend(*(inputs[name] for name in ("q", "k", "v")))
        assert buffer.k.shape[2] < 20

    def test_sequences_go_on_in_another_order(self):
        inputs = make_inputs(40, (4, 6), (3, 2), "none", "none")
        buffer, order = KeyBuffer((4, 6), (3, 2)), torch.tensor([2, 0, 2])
        buffer.attend(*(inputs[name][:, :, :39] for name in ("q", "k", "v")))
        buffer.reorder(order)
        last = buffer.attend(*(inputs[name][order, :, 39:] for name in ("q", "k", "v")))
        torch.testing.assert_close(last, dense_causal_window_attention(**inputs)[order, :, 39:])
