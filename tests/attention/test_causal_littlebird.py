"""LittleBird's causal attention: the definition, the dense references, the blocks with every gradient, the ring."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairseq_littlebird.attention.causal_littlebird import (
    CausalBiALiBi,
    TokenBuffer,
    causal_block_window_attention,
    dense_causal_block_window_attention,
)
from fairseq_littlebird.attention.common.patterns import causal_block_window_pattern

TOLERANCES = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 2e-2}
PATHS = causal_block_window_attention, dense_causal_block_window_attention
TENSORS = ("q", "k", "v")


def make_inputs(L=9, b=4, padding="none", seed=0, B=2, H=2, D=4, dtype=torch.float64):
    """Random tensors by name, slopes of both signs, and a padding mask."""
    rng = torch.Generator().manual_seed(seed)
    slopes = CausalBiALiBi(H)
    for slope in slopes.parameters():
        slope.data = torch.randn(H, generator=rng) * 0.3
    index, lengths = torch.arange(L), torch.randint(1, L + 1, (B, 1), generator=rng)
    masks = {
        "none": None,
        "right": index >= lengths,
        "left": index < L - lengths,  # blocks without a token
        "anywhere": torch.rand(B, L, generator=rng) < 0.3,
        "all of a row": (index >= lengths) | (torch.arange(B) == 0)[:, None],
    }
    made = {name: torch.randn(B, H, L, D, generator=rng, dtype=torch.float64).to(dtype) for name in TENSORS}
    wide = torch.promote_types(dtype, torch.float32)
    return made | {"slopes": slopes.to(wide), "padding_mask": masks[padding], "block_size": b}


def gradients(function, inputs, **options):
    """The result, and the gradient of every tensor for one random gradient of it."""
    leaves = {name: inputs[name].detach().clone().requires_grad_() for name in TENSORS}
    result = function(**inputs | leaves, **options)
    leaves |= dict(inputs["slopes"].named_parameters())
    inputs["slopes"].zero_grad()
    upstream = torch.randn(result.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    result.backward(upstream.to(result.dtype))
    found = {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad.clone() for name, leaf in leaves.items()}
    return {"result": result.detach()} | found


def in_float64(inputs):
    slopes = CausalBiALiBi(len(inputs["slopes"].alpha)).double()
    slopes.load_state_dict(inputs["slopes"].state_dict())
    return inputs | {name: inputs[name].double() for name in TENSORS} | {"slopes": slopes}


def literal_attention(inputs):
    """The definition, one pair of tokens at a time."""
    q, k, v, b = (inputs[name] for name in ("q", "k", "v", "block_size"))
    alpha, beta = (slope.tolist() for slope in inputs["slopes"].coefficients())
    (B, H, L, D), result = q.shape, torch.zeros_like(q)
    hidden = torch.zeros(B, L, dtype=torch.bool) if inputs["padding_mask"] is None else inputs["padding_mask"]
    for n in range(B):
        for h in range(H):
            for i in range(L):
                scores, values = [], []
                for j in range(i + 1):
                    if hidden[n, j] or j // b not in (0, i // b - 1, i // b):
                        continue
                    distance = 0.0 if i == j else alpha[h] if j == 0 else beta[h] * (i - j)
                    scores.append(float(q[n, h, i] @ k[n, h, j]) / math.sqrt(D) - distance)
                    values.append(v[n, h, j])
                if scores:
                    result[n, h, i] = torch.tensor(scores, dtype=q.dtype).softmax(0) @ torch.stack(values)
    return result.detach()


def test_the_pattern():
    rows = ["".join("x" if seen else "." for seen in row) for row in causal_block_window_pattern(8, 2).tolist()]
    assert rows == ["x.......", "xx......", "xxx.....", "xxxx....", "xxxxx...", "xxxxxx..", "xx..xxx.", "xx..xxxx"]


@pytest.mark.parametrize("function", PATHS)
@pytest.mark.parametrize("L, b", [(1, 4), (4, 4), (11, 2), (13, 4)])
@pytest.mark.parametrize("padding", ["none", "anywhere", "left"])
def test_equals_the_definition(function, L, b, padding):
    inputs = make_inputs(L, b, padding)
    torch.testing.assert_close(function(**inputs), literal_attention(inputs))


@settings(max_examples=30)
@given(
    L=st.one_of(st.sampled_from([1, 2, 8, 16, 17, 24, 63, 64, 111]), st.integers(1, 130)),
    b=st.sampled_from([1, 2, 8, 16, 64]),
    padding=st.sampled_from(["none", "right", "left", "anywhere", "all of a row"]),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from(list(TOLERANCES)),
)
@example(1, 8, "none", 0, torch.float64)
@example(63, 8, "none", 0, torch.float32)
@example(111, 16, "anywhere", 0, torch.float64)
@example(111, 8, "right", 0, torch.bfloat16)
@example(111, 8, "left", 0, torch.float64)
def test_blocks_equal_the_reference_with_every_gradient(L, b, padding, seed, dtype):
    inputs = make_inputs(L, b, padding, seed, dtype=dtype)
    actual = gradients(causal_block_window_attention, inputs)
    assert actual["result"].dtype == dtype
    for name, wanted in gradients(dense_causal_block_window_attention, in_float64(inputs)).items():
        terms = 0.1 + (1e-2 * L if name in ("alpha", "beta") else 0.0)  # what cancels
        error = float((actual[name].double() - wanted).norm())
        assert error <= TOLERANCES[dtype] * (float(wanted.norm()) + terms), f"{name}: off by {error}"


@pytest.mark.parametrize("j", [0, 5, 8, 20, 37])
def test_what_is_before_a_token_stays_bit_for_bit(j):
    """It reaches the rest of its block and the next; block 0 reaches all."""
    inputs = make_inputs(61, 8, B=1)
    before = causal_block_window_attention(**inputs)
    changed = inputs | {name: inputs[name].clone() for name in ("k", "v")}
    for name in ("k", "v"):
        changed[name][:, :, j] += 1.0
    after = causal_block_window_attention(**changed)
    found = (before != after)[0].any(dim=2).any(dim=0).nonzero().flatten().tolist()
    assert found == list(range(j, (60 if j < 8 else min(60, (j // 8 + 2) * 8 - 1)) + 1))


def test_probabilities_are_dropped_and_scaled_or_kept():
    """The matrix that v is multiplied by is visible with v = 1 (the identity) and L = D."""
    inputs = make_inputs(24, 8, D=24) | {"v": torch.eye(24).double().expand(2, 2, 24, 24)}
    with torch.no_grad():
        plain = causal_block_window_attention(**inputs)
        torch.manual_seed(5)
        dropped = causal_block_window_attention(**inputs, dropout_p=0.25)
    kept, visible = dropped != 0, plain > 0
    torch.testing.assert_close(dropped[kept], plain[kept] / 0.75)
    assert abs(float((visible & ~kept).sum() / visible.sum()) - 0.25) < 0.05


def test_nothing_is_quadratic_in_the_length(largest_tensor):
    largest = {}
    for L in (1024, 2048):
        inputs = make_inputs(L, 32, B=1, dtype=torch.float32)
        with largest_tensor() as mode:
            gradients(causal_block_window_attention, inputs, dropout_p=0.1)
        largest[L] = mode.numel
    assert largest[2048] <= 2.1 * largest[1024]
    assert largest[2048] < 2048 * 2048 / 8


class TestTokenBuffer:
    @staticmethod
    def extend(buffer, inputs, tokens):
        """Attention of some tokens after those in the buffer."""
        q, k, v = (inputs[name][:, :, tokens] for name in TENSORS)
        pieces = buffer.pieces(q.shape[2])
        parts = [buffer.attend(q[:, :, piece], k[:, :, piece], v[:, :, piece], inputs["slopes"]) for piece in pieces]
        return torch.cat(parts, dim=2).detach()

    @settings(max_examples=20)
    @given(
        L=st.integers(1, 80),
        b=st.sampled_from([1, 2, 8, 16]),
        seed=st.integers(0, 2**16),
        pieces=st.lists(st.sampled_from([1, 1, 1, 2, 7, 40]), min_size=1, max_size=9),
    )
    @example(70, 8, 0, [1])
    @example(70, 8, 0, [40, 1, 7])
    @example(80, 8, 0, [24, 40, 1])
    @example(80, 8, 0, [24, 40, 16])
    @example(80, 2, 0, [40, 40])
    def test_any_pieces_equal_the_whole(self, L, b, seed, pieces):
        inputs, buffer, parts, start, turn = make_inputs(L, b, seed=seed), TokenBuffer(b), [], 0, 0
        while start < L:
            stop = min(L, start + pieces[turn % len(pieces)])
            parts.append(self.extend(buffer, inputs, slice(start, stop)))
            start, turn = stop, turn + 1
        wanted = dense_causal_block_window_attention(**inputs).detach()
        torch.testing.assert_close(torch.cat(parts, dim=2), wanted)

    def test_memory_is_that_of_three_blocks(self):
        inputs, buffer, sizes = make_inputs(100, 8), TokenBuffer(8), set()
        for i in range(100):
            self.extend(buffer, inputs, slice(i, i + 1))
            sizes.add((buffer.k.numel(), buffer.v.numel()))
        assert sizes == {(2 * 2 * 24 * 4, 2 * 2 * 24 * 4)}

    def test_sequences_go_on_in_another_order(self):
        inputs, buffer, order = make_inputs(40, 8), TokenBuffer(8), torch.tensor([1, 0, 1])
        self.extend(buffer, inputs, slice(0, 30))
        buffer.reorder(order)
        other = inputs | {name: inputs[name][order] for name in TENSORS}
        last = self.extend(buffer, other, slice(30, 40))
        torch.testing.assert_close(last, dense_causal_block_window_attention(**inputs)[order, :, 30:].detach())
