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
    causal_pack_attention,
    causal_unpack_window_attention,
    dense_causal_pack_attention,
    dense_causal_unpack_window_attention,
)
from fairseq_littlebird.attention.common.patterns import causal_block_window_pattern

TOLERANCES = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 2e-2}
PATHS = causal_pack_attention, causal_unpack_window_attention
ORACLES = dense_causal_pack_attention, dense_causal_unpack_window_attention
TENSORS = ("q", "k", "v", "pack_q", "packing_k", "packing_v")


def make_inputs(L=9, b=4, S=3, padding="none", seed=0, B=2, H=2, D=4, dtype=torch.float64):
    """Random tensors by name, slopes of both signs, and a padding mask."""
    rng = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(shape, generator=rng, dtype=torch.float64).to(dtype)

    slopes = CausalBiALiBi(H)
    for slope in slopes.parameters():
        slope.data = torch.randn(H, generator=rng) * 0.3
    index, lengths = torch.arange(L), torch.randint(1, L + 1, (B, 1), generator=rng)
    masks = {
        "none": None,
        "right": index >= lengths,
        "left": index < L - lengths,  # blocks, and packs, without a token
        "anywhere": torch.rand(B, L, generator=rng) < 0.3,
        "all of a row": (index >= lengths) | (torch.arange(B) == 0)[:, None],
    }
    made = {name: random(B, H, L, D) for name in TENSORS} | {"pack_q": random(H, S, D)}
    wide = torch.promote_types(dtype, torch.float32)
    return made | {"slopes": slopes.to(wide), "padding_mask": masks[padding], "b": b, "S": S}


def attend(functions, inputs, dropout_p=0.0):
    """Pack, then unpack and window attention; what stands between them is no more than two functions of C_P."""
    pack, unpack = functions
    at, b = (inputs["padding_mask"], inputs["b"]), inputs["b"]
    pack_k = pack_v = None
    if inputs["S"]:
        c_p = pack(inputs["pack_q"], inputs["packing_k"], inputs["packing_v"], *at, dropout_p)
        pack_k, pack_v = 1.3 * c_p, c_p.sin()
    q, k, v, slopes = (inputs[name] for name in ("q", "k", "v", "slopes"))
    return unpack(q, k, v, pack_k, pack_v, slopes, inputs["padding_mask"], b, dropout_p)


def gradients(functions, inputs, **options):
    """The result, and the gradient of every tensor for one random gradient of it."""
    leaves = {name: inputs[name].detach().clone().requires_grad_() for name in TENSORS[: 6 if inputs["S"] else 3]}
    leaves |= dict(inputs["slopes"].named_parameters())
    for leaf in leaves.values():
        leaf.grad = None
    result = attend(functions, inputs | leaves, **options)
    upstream = torch.randn(result.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    result.backward(upstream.to(result.dtype))
    found = {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad.clone() for name, leaf in leaves.items()}
    return {"result": result.detach()} | found


def in_float64(inputs):
    slopes = CausalBiALiBi(len(inputs["slopes"].alpha)).double()
    slopes.load_state_dict(inputs["slopes"].state_dict())
    return inputs | {name: inputs[name].double() for name in TENSORS} | {"slopes": slopes}


def literal_attention(inputs):
    """The definition, one pair of tokens at a time; C_P of a block by a softmax of its own over the blocks before."""
    q, k, v, b, S = (inputs[name] for name in ("q", "k", "v", "b", "S"))
    alpha, beta = (slope.tolist() for slope in inputs["slopes"].coefficients())
    (B, H, L, D), result = q.shape, torch.zeros_like(q)
    hidden = torch.zeros(B, L, dtype=torch.bool) if inputs["padding_mask"] is None else inputs["padding_mask"]
    for n in range(B):
        for h in range(H):
            for i in range(L):
                block, scores, values = i // b, [], []
                read = [j for j in range(block * b) if not hidden[n, j]]
                for s in range(S if read else 0):
                    exponents = inputs["packing_k"][n, h, read] @ inputs["pack_q"][h, s] / math.sqrt(D)
                    c_p = exponents.softmax(0) @ inputs["packing_v"][n, h, read]
                    scores.append(float(q[n, h, i] @ (1.3 * c_p)) / math.sqrt(D) - beta[h] * b)
                    values.append(c_p.sin())
                for j in range(i + 1):
                    if hidden[n, j] or j // b not in (0, block - 1, block):
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


@pytest.mark.parametrize("functions", [PATHS, ORACLES])
@pytest.mark.parametrize("L, b, S", [(1, 4, 2), (4, 4, 2), (11, 2, 3), (13, 4, 0)])
@pytest.mark.parametrize("padding", ["none", "anywhere", "left"])
def test_equals_the_definition(functions, L, b, S, padding):
    inputs = make_inputs(L, b, S, padding)
    torch.testing.assert_close(attend(functions, inputs), literal_attention(inputs))


@settings(max_examples=40)
@given(
    L=st.one_of(st.sampled_from([1, 2, 8, 16, 17, 24, 63, 64, 111]), st.integers(1, 130)),
    b=st.sampled_from([1, 2, 8, 16, 64]),
    S=st.sampled_from([0, 0, 1, 5]),
    padding=st.sampled_from(["none", "right", "left", "anywhere", "all of a row"]),
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from(list(TOLERANCES)),
)
@example(1, 8, 0, "none", 0, torch.float64)
@example(1, 8, 3, "none", 0, torch.float64)
@example(63, 8, 0, "none", 0, torch.float64)
@example(63, 8, 5, "none", 0, torch.float32)
@example(111, 16, 5, "anywhere", 0, torch.float64)
@example(111, 8, 0, "right", 0, torch.bfloat16)
@example(111, 8, 5, "left", 0, torch.float64)
def test_blocks_equal_the_reference_with_every_gradient(L, b, S, padding, seed, dtype):
    inputs = make_inputs(L, b, S, padding, seed, dtype=dtype)
    actual = gradients(PATHS, inputs)
    assert actual["result"].dtype == dtype
    for name, wanted in gradients(ORACLES, in_float64(inputs)).items():
        terms = 0.1 + (1e-2 * L if name in ("alpha", "beta") else 0.0)  # what cancels
        error = float((actual[name].double() - wanted).norm())
        assert error <= TOLERANCES[dtype] * (float(wanted.norm()) + terms), f"{name}: off by {error}"


@pytest.mark.parametrize("S", [0, 3])
@pytest.mark.parametrize("j", [0, 5, 8, 20, 37])
def test_what_is_before_a_token_stays_bit_for_bit(S, j):
    """Without a pack it reaches the rest of its block and the next; block 0 reaches all, and with a pack all do."""
    inputs = make_inputs(61, 8, S, B=1)
    before = attend(PATHS, inputs)
    changed = inputs | {name: inputs[name].clone() for name in ("k", "v", "packing_k", "packing_v")}
    for name in ("k", "v", "packing_k", "packing_v"):
        changed[name][:, :, j] += 1.0
    after = attend(PATHS, changed)
    found = (before != after)[0].any(dim=2).any(dim=0).nonzero().flatten().tolist()
    last = 60 if S or j < 8 else min(60, (j // 8 + 2) * 8 - 1)
    assert found == list(range(j, last + 1))


def test_a_pack_far_from_zero_is_as_exact():
    """Later blocks outweigh earlier ones by far more than a float can hold, and the other way round."""
    inputs = make_inputs(64, 8, 4)
    rising = torch.linspace(-1, 1, 64).double()[:, None] * 400
    for k in (inputs["packing_k"] * 0.1 + rising, inputs["packing_k"] * 0.1 - rising):
        arguments = inputs["pack_q"].abs(), k, inputs["packing_v"], None, 8
        torch.testing.assert_close(causal_pack_attention(*arguments), dense_causal_pack_attention(*arguments))


def test_probabilities_are_dropped_and_scaled_or_kept():
    """The matrix that v is multiplied by is visible with v = 1 (the identity) and L = D."""
    inputs = make_inputs(24, 8, 0, D=24) | {"v": torch.eye(24).double().expand(2, 2, 24, 24)}
    with torch.no_grad():
        plain = attend(PATHS, inputs)
        torch.manual_seed(5)
        dropped = attend(PATHS, inputs, dropout_p=0.25)
    kept, visible = dropped != 0, plain > 0
    torch.testing.assert_close(dropped[kept], plain[kept] / 0.75)
    assert abs(float((visible & ~kept).sum() / visible.sum()) - 0.25) < 0.05


@pytest.mark.parametrize("S", [0, 8])
def test_nothing_is_quadratic_in_the_length(largest_tensor, S):
    largest = {}
    for L in (1024, 2048):
        inputs = make_inputs(L, 32, S, B=1, dtype=torch.float32)
        with largest_tensor() as mode:
            gradients(PATHS, inputs, dropout_p=0.1)
        largest[L] = mode.numel
    assert largest[2048] <= 2.1 * largest[1024]
    assert largest[2048] < 2048 * 2048 / 8


class TestTokenBuffer:
    """With or without a pack, which the module unpacks at each block's start."""

    @staticmethod
    def extend(buffer, inputs, tokens):
        """Attention of some tokens after those in the buffer."""
        q, k, v, packing_k, packing_v = (inputs[n][:, :, tokens] for n in ("q", "k", "v", "packing_k", "packing_v"))
        parts = []
        for piece in buffer.pieces(q.shape[2]):
            c_p, before, arguments = None, buffer.pack.value, (packing_k[:, :, piece], packing_v[:, :, piece])
            if inputs["S"] and piece.stop - piece.start > buffer.block_size:
                c_p = buffer.pack.add_blocks(inputs["pack_q"], *arguments, buffer.block_size)
            elif inputs["S"]:
                c_p = before[:, :, None] if before is not None and buffer.count % buffer.block_size == 0 else None
                buffer.pack.add(inputs["pack_q"], *arguments)
            if c_p is not None:
                buffer.pack_k, buffer.pack_v = 1.3 * c_p, c_p.sin()
            parts.append(buffer.attend(q[:, :, piece], k[:, :, piece], v[:, :, piece], inputs["slopes"]))
        return torch.cat(parts, dim=2).detach()

    @settings(max_examples=20)
    @given(
        L=st.integers(1, 80),
        b=st.sampled_from([1, 2, 8, 16]),
        S=st.sampled_from([0, 3]),
        seed=st.integers(0, 2**16),
        pieces=st.lists(st.sampled_from([1, 1, 1, 2, 7, 40]), min_size=1, max_size=9),
    )
    @example(70, 8, 3, 0, [1])
    @example(70, 8, 0, 0, [40, 1, 7])
    @example(80, 8, 3, 0, [24, 40, 1])
    @example(80, 8, 0, 0, [24, 40, 16])
    @example(80, 2, 3, 0, [40, 40])
    def test_any_pieces_equal_the_whole(self, L, b, S, seed, pieces):
        inputs, buffer, parts, start, turn = make_inputs(L, b, S, seed=seed), TokenBuffer(b), [], 0, 0
        while start < L:
            stop = min(L, start + pieces[turn % len(pieces)])
            parts.append(self.extend(buffer, inputs, slice(start, stop)))
            start, turn = stop, turn + 1
        torch.testing.assert_close(torch.cat(parts, dim=2), attend(ORACLES, inputs).detach())

    def test_memory_is_that_of_three_blocks_and_the_pack(self):
        inputs, buffer, sizes = make_inputs(100, 8, 3), TokenBuffer(8), set()
        for i in range(100):
            self.extend(buffer, inputs, slice(i, i + 1))
            sizes.add((buffer.k.numel(), buffer.v.numel(), buffer.pack.value.numel(), buffer.pack.total.numel()))
        assert sizes == {(2 * 2 * 24 * 4, 2 * 2 * 24 * 4, 2 * 2 * 3 * 4, 2 * 2 * 3)}

    @pytest.mark.parametrize("S", [0, 3])
    def test_sequences_go_on_in_another_order(self, S):
        inputs, buffer, order = make_inputs(40, 8, S), TokenBuffer(8), torch.tensor([1, 0, 1])
        self.extend(buffer, inputs, slice(0, 30))
        buffer.reorder(order)
        other = inputs | {name: inputs[name][order] for name in TENSORS if name != "pack_q"}
        last = self.extend(buffer, other, slice(30, 40))
        torch.testing.assert_close(last, attend(ORACLES, inputs)[order, :, 30:].detach())
