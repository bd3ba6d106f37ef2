"""BigBird's attention: which blocks are seen, the paths in blocks against the oracle, and transformers' as it is."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairseq_littlebird.attention.bigbird import (
    GLOBAL_BLOCKS,
    bigbird_attention,
    dense_bigbird_attention,
    last_blocks,
    random_blocks,
)
from fairseq_littlebird.attention.bigbird.blockwise import _attend, blockwise_bigbird_attention
from fairseq_littlebird.attention.bigbird.gathered import gathered_bigbird_attention
from fairseq_littlebird.attention.bigbird.key_blocks import key_blocks
from fairseq_littlebird.attention.bigbird.random_blocks import hashed

PATHS = {"blockwise": blockwise_bigbird_attention, "gathered": gathered_bigbird_attention}


def tables(padding, L, b, R, H, kind="seeded", global_blocks="first_last"):
    """Random blocks of each row for its own number of blocks, [B or 1, H, n, R]."""
    rows = [
        random_blocks(kind, last + 1, R, H, 1, 0, global_blocks)[0]
        for last in last_blocks(padding, L, b, "cpu").tolist()
    ]
    width, n = max(t.shape[-1] for t in rows), -(-L // b)
    return torch.stack([F.pad(t, (0, width - t.shape[2], 0, n - t.shape[1]), value=-1) for t in rows])


def inputs(
    B=2, H=2, L=7, D=4, b=4, R=3, padding=None, kind="seeded", seed=0, dtype=torch.float64, global_blocks="first_last"
):
    rng = torch.Generator().manual_seed(seed)
    q, k, v = torch.randn(3, B, H, L, D, generator=rng, dtype=torch.float64).to(dtype).unbind(0)
    return {
        "q": q, "k": k, "v": v, "padding_mask": padding, "block_size": b,
        "random_blocks": tables(padding, L, b, R, H, kind, global_blocks), "global_blocks": global_blocks,
    }  # fmt: skip


def lengths(L, *rows):
    """The padding mask of rows so long."""
    return torch.arange(L) >= torch.tensor(rows)[:, None]


def gradients(function, given, dtype=torch.float64):
    """The result but at padding, and the gradients of q, k and v for one random gradient of it."""
    leaves = {name: given[name].detach().clone().requires_grad_() for name in "qkv"}
    result = function(**given | leaves)
    result = result[0] if isinstance(result, tuple) else result
    upstream = torch.randn(result.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert result.isfinite().all()
    if given["padding_mask"] is not None:
        real = ~given["padding_mask"][:, None, :, None]
        result, upstream = result * real, upstream * real
    result.backward(upstream.to(dtype).to(result.dtype))
    return {"result": result.detach()} | {name: leaf.grad for name, leaf in leaves.items()}


def test_a_layer_sees_at_each_number_of_blocks():
    """What is said at ``bigbird_attention``: all of a short sequence, then 5 + R blocks, 4 + R beside the ends."""
    for n in range(1, 13):
        seen = key_blocks(random_blocks("seeded", n, 3, 2, 1), torch.tensor([n - 1]))
        assert seen.shape[2] == max(0, n - 2)
        for head in seen[0].tolist():
            for row, blocks in enumerate(head, start=1):
                blocks = [block for block in blocks if block >= 0]
                assert len(set(blocks)) == len(blocks), "a block is seen twice"
                assert {0, row - 1, row, row + 1, n - 1} <= set(blocks) <= set(range(n))
                assert len(blocks) == min(n, 7 if row in (1, n - 2) else 8)


def test_the_first_two_blocks_are_global():
    """Blocks 2 … n-1 see both, their own, their neighbours and R others, each once; 0 and 1 see everything."""
    for n in range(1, 13):
        table = random_blocks("seeded", n, 3, 2, 1, 0, "first_two")
        seen = key_blocks(table, torch.tensor([n - 1]), "first_two")
        assert (table[:, :, :2] == -1).all() and seen.shape[2] == max(0, n - 2)
        for head in seen[0].tolist():
            for row, blocks in enumerate(head, start=2):
                blocks = [block for block in blocks if block >= 0]
                assert len(set(blocks)) == len(blocks), "a block is seen twice"
                assert {0, 1, row - 1, row, min(row + 1, n - 1)} <= set(blocks) <= set(range(n))
                assert len(blocks) == min(n, 8 - (row == 2) - (row == n - 1))
    q, k, v = torch.randn(3, 1, 2, 24, 4, dtype=torch.float64).unbind(0)
    table = random_blocks("seeded", 12, 0, 2, 1, 0, "first_two")
    _, p = dense_bigbird_attention(q, k, v, None, 2, table, global_blocks="first_two")
    assert (p[:, :, :4] > 0).all() and (p[:, :, :, :4] > 0).all()
    assert (p[0, 0, 12] > 0).nonzero().flatten().tolist() == [0, 1, 2, 3, 10, 11, 12, 13, 14, 15]


def test_the_first_block_stands_in_for_random_ones():
    for n in range(1, 15):
        table = random_blocks("first_block", n, 3, 2, 2)
        assert (table[:, :, [0, -1]] == -1).all()
        if n > 11:
            assert (table[:, :, 1:-1] == 0).all() and table.shape == (2, 2, n, 3)
        else:  # everything, once
            seen = key_blocks(table[0, None], torch.tensor([n - 1]))
            assert all(sorted(x for x in row if x >= 0) == list(range(n)) for head in seen[0].tolist() for row in head)


def test_random_blocks_are_uniform():
    """Of 20 blocks, row 5 draws from 14 (not 0, 4, 5, 6, 19): each is in 3/14 of the draws."""
    draws = [random_blocks("seeded", 20, 3, 40, 10, seed)[:, :, 5].flatten().tolist() for seed in range(5)]
    count = Counter(block for draw in draws for block in draw)
    allowed = set(range(1, 19)) - {4, 5, 6}
    expected = 5 * 40 * 10 * 3 / len(allowed)
    assert count.keys() == allowed
    assert sum((c - expected) ** 2 / expected for c in count.values()) < 40  # χ² of 14 degrees: 1 in 4,000


def test_random_blocks_differ_by_layer_head_seed_and_length():
    first = random_blocks("seeded", 40, 3, 2, 2)
    others = [first[0, 1], first[1, 0], random_blocks("seeded", 40, 3, 2, 2, 1)[0, 0]]
    others += [random_blocks("seeded", 41, 3, 2, 2)[0, 0, :40]]
    for other in others:
        assert (other[1:39] == first[0, 0, 1:39]).all(-1).float().mean() < 0.2


def test_random_blocks_depend_on_nothing_else():
    """Not on how many heads and layers there are, nor on any random state, which they leave alone."""
    before = torch.random.get_rng_state()
    small, large = (random_blocks.__wrapped__("seeded", 30, 3, n, n, 7) for n in (1, 4))
    assert torch.equal(small, large[:1, :1])
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    assert torch.equal(random_blocks.__wrapped__("seeded", 30, 3, 4, 4, 7), large)


def test_random_blocks_never_change():
    """On any machine, in any process: a checkpoint is trained with them. By hand, in Python's own integers."""

    def by_hand(*numbers):
        h = 0
        for number in numbers:
            h = (h * 0x9E3779B1 + number + 1) % 2**32
            h = (h ^ h >> 16) * 0x7FEB352D % 2**32
            h = (h ^ h >> 15) * 0x846CA68B % 2**32
            h ^= h >> 16
        return h

    row = torch.arange(4000)
    assert hashed(2**32 - 1, 3, row).tolist() == [by_hand(2**32 - 1, 3, i) for i in range(4000)]
    unseen = [1, 2, 3, 7, 8, 9, 10]  # of row 5 of 12
    chosen = []
    for n in range(3):
        chosen.append(unseen.pop(by_hand(0, 1, 2, 12, 5, n) % len(unseen)))
    assert random_blocks("seeded", 12, 3, 3, 2)[1, 2, 5].tolist() == sorted(chosen)


SHAPES = {
    "L": st.integers(1, 90),
    "b": st.sampled_from([1, 2, 3, 5, 8]),
    "R": st.sampled_from([0, 1, 3]),
    "kind": st.sampled_from(["seeded", "first_block"]),
    "padding": st.sampled_from(["none", "right", "left", "all of a row"]),
    "seed": st.integers(0, 2**16),
    "global_blocks": st.sampled_from(GLOBAL_BLOCKS),
}


def draw(L, b, R, kind, padding, seed, dtype=torch.float64, global_blocks="first_last"):
    rng, index = torch.Generator().manual_seed(seed), torch.arange(L)
    width = torch.randint(0, L, (3, 1), generator=rng)
    mask = {
        "none": None,
        "right": index >= L - width,
        "left": (index < width) | (index >= L - width // 2) & (index != width),
        "all of a row": index >= torch.cat([torch.zeros(1, 1), L - width[:2]]),
    }[padding]
    return inputs(3, 2, L, 4, b, R, mask, kind, seed, dtype, global_blocks)


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=100)
@given(**SHAPES)
@example(L=1, b=8, R=3, kind="seeded", padding="all of a row", seed=0, global_blocks="first_two")
@example(L=9, b=8, R=3, kind="seeded", padding="right", seed=1, global_blocks="first_two")
@example(L=17, b=8, R=3, kind="first_block", padding="none", seed=2, global_blocks="first_last")
@example(L=64, b=5, R=3, kind="first_block", padding="right", seed=3, global_blocks="first_two")
@example(L=64, b=8, R=3, kind="seeded", padding="none", seed=4, global_blocks="first_last")
@example(L=63, b=3, R=3, kind="seeded", padding="left", seed=5, global_blocks="first_last")
def test_float64_equals_the_oracle(path, L, b, R, kind, padding, seed, global_blocks):
    given = draw(L, b, R, kind, padding, seed, global_blocks=global_blocks)
    actual, expected = gradients(PATHS[path], given), gradients(dense_bigbird_attention, given)
    for name, wanted in expected.items():
        torch.testing.assert_close(actual[name], wanted, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("dtype", "relative"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("kind", ["seeded", "first_block"])
def test_other_types_are_near_the_oracle(path, dtype, relative, kind):
    given = draw(83, 5, 3, kind, "right", 6, dtype)
    actual = gradients(PATHS[path], given, dtype)
    wide = given | {name: given[name].double() for name in "qkv"}
    for name, wanted in gradients(dense_bigbird_attention, wide, dtype).items():
        assert actual[name].dtype == dtype
        assert (actual[name].double() - wanted).norm() <= relative * wanted.norm(), name


@pytest.mark.parametrize("pieces", [1, 2**19])
def test_pieces_change_nothing(monkeypatch, pieces):
    given = draw(83, 5, 3, "seeded", "right", 7)
    expected = gradients(dense_bigbird_attention, given)
    monkeypatch.setattr("fairseq_littlebird.attention.bigbird.blockwise.CHUNK_SIZE", pieces)
    for name, value in gradients(blockwise_bigbird_attention, given).items():
        torch.testing.assert_close(value, expected[name])


def test_gradcheck():
    given = inputs(1, 1, 19, 2, 2, 1)
    leaves = [given[name].requires_grad_() for name in "qkv"]
    rest = {name: value for name, value in given.items() if name not in "qkv"}
    assert torch.autograd.gradcheck(lambda q, k, v: bigbird_attention(q, k, v, **rest), leaves)


def test_the_operator_is_one():
    given = inputs(2, 2, 19, 4, 2, 3, lengths(19, 19, 8), global_blocks="first_two")
    last = last_blocks(given["padding_mask"], 19, 2, "cpu")
    seen = key_blocks(given["random_blocks"], last, "first_two")
    leaves = [given[name].requires_grad_() for name in "qkv"]
    for dropout_p in (0.0, 0.3):
        torch.library.opcheck(
            _attend, (*leaves, seen, last, given["padding_mask"], 2, dropout_p, torch.tensor(3), "first_two")
        )


@pytest.mark.parametrize("path", PATHS)
def test_padding_content_never_matters(path):
    padding = lengths(50, 50, 31, 6)
    padding[0, :3] = padding[1, 9] = True
    given = inputs(3, 2, 50, 8, 4, padding=padding, dtype=torch.float32)
    noise = {name: given[name] + 1e4 * torch.randn_like(given[name]) * padding[:, None, :, None] for name in "qkv"}
    results = [PATHS[path](**x)[(~padding)[:, None].expand(3, 2, 50)] for x in (given, given | noise)]
    assert torch.equal(*results)


@pytest.mark.parametrize("global_blocks", GLOBAL_BLOCKS)
@pytest.mark.parametrize("kind", ["seeded", "first_block"])
@pytest.mark.parametrize("path", PATHS)
def test_batch_composition_never_matters(path, kind, global_blocks):
    """A row alone, and in company that makes it longer: its random blocks and its last one are its own."""
    for n in (1, 2, 3, 4, 5, 8, 9, 15, 22, 34):
        given = inputs(2, 2, 47, 4, 2, padding=lengths(47, n, 47), kind=kind, global_blocks=global_blocks)
        alone = {name: given[name][:1, :, :n] for name in "qkv"}
        alone |= {"padding_mask": None, "block_size": 2, "random_blocks": tables(None, n, 2, 3, 2, kind, global_blocks)}
        alone |= {"global_blocks": global_blocks}
        torch.testing.assert_close(PATHS[path](**given)[:1, :, :n], PATHS[path](**alone))


@pytest.mark.parametrize("path", PATHS)
def test_a_row_that_sees_nothing_is_zero_with_finite_gradients(path):
    given = inputs(2, 1, 26, 4, 2, padding=lengths(26, 0, 26))
    values = gradients(PATHS[path], given)
    assert all(value.isfinite().all() for value in values.values())
    assert (PATHS[path](**given)[0] == 0).all()


def test_dropout_drops_probabilities():
    """The mean over many masks is the result without them, and a seed makes one mask, the backward pass's too."""
    given = inputs(1, 1, 33, 2, 2, 1)
    torch.manual_seed(0)
    plain, several = bigbird_attention(**given), [bigbird_attention(**given, dropout_p=0.4) for _ in range(600)]
    assert not torch.equal(several[0], several[1])
    assert (torch.stack(several).mean(0) - plain).abs().mean() < 0.05


def test_dropout_is_the_same_in_the_backward_pass():
    """Gradcheck with one seed for every call: a mask drawn anew would not agree with the differences."""
    given = inputs(1, 2, 19, 2, 2, 1)
    leaves = [given[name].requires_grad_() for name in "qkv"]

    def function(q, k, v):
        torch.manual_seed(3)
        return bigbird_attention(q, k, v, None, 2, given["random_blocks"], 0.4)

    assert not torch.allclose(function(*leaves), bigbird_attention(*leaves, None, 2, given["random_blocks"]))
    assert torch.autograd.gradcheck(function, leaves)


@pytest.mark.parametrize("path", PATHS)
def test_memory_is_linear(path, largest_tensor):
    largest = []
    for L in (2048, 4096):
        given = inputs(1, 1, L, 4, 16, dtype=torch.float32)
        leaves = {name: given[name].requires_grad_() for name in "qkv"}
        with largest_tensor() as mode:
            PATHS[path](**given | leaves).sum().backward()
        largest.append(mode.numel)
    assert largest[1] <= 2.1 * largest[0] and largest[1] <= 4096 * 8 * 16


def test_deterministic():
    given = draw(83, 5, 3, "seeded", "right", 8)
    first, second = (gradients(bigbird_attention, given) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def theirs():
    """transformers' block-sparse attention of two heads in float64, and a run of it: hidden and mask to the output."""
    from transformers import BigBirdConfig
    from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention, BigBirdModel

    def build(b):
        config = BigBirdConfig(hidden_size=8, num_attention_heads=2, block_size=b, num_random_blocks=3)
        torch.manual_seed(0)
        return BigBirdBlockSparseAttention(config, seed=5).double()

    def run(attention, x, padding):
        blocked, band, of_queries, of_keys = BigBirdModel.create_masks_for_block_sparse_attn(
            (~padding).double(), attention.block_size
        )
        return attention(x, band, of_queries, of_keys, blocked, blocked)[0]

    def operands(attention, x):
        projections = attention.query, attention.key, attention.value
        return (project(x).unflatten(-1, (2, -1)).transpose(1, 2) for project in projections)

    return build, run, operands


@pytest.mark.parametrize(("n", "b"), [(12, 4), (13, 2), (20, 3), (16, 64)])
def test_transformers_outside_training(theirs, n, b):
    """Above the length where it attends in full, ``first_block`` equals it, block 0 counted four times; padding that
    leaves the last block alive too."""
    build, run, operands = theirs
    attention, L = build(b).eval(), n * b
    x = torch.randn(2, L, 8, dtype=torch.float64)
    padding = lengths(L, L, L - b + 1)
    expected = run(attention, x, padding)
    given = {"padding_mask": padding, "block_size": b, "random_blocks": random_blocks("first_block", n, 3, 2, 1)}
    actual = bigbird_attention(*operands(attention, x), **given).transpose(1, 2).flatten(2)
    torch.testing.assert_close(actual[~padding], expected[~padding])
    counted_once = given | {"random_blocks": torch.full((1, 2, n, 3), -1)}
    other = bigbird_attention(*operands(attention, x), **counted_once).transpose(1, 2).flatten(2)
    assert not torch.allclose(other[0], expected[0])


@pytest.mark.parametrize(("n", "b"), [(12, 4), (20, 2), (16, 64)])
def test_transformers_in_training(theirs, n, b):
    """With its own random blocks: plans by length, and those of the paper's code at 1,024 tokens."""
    import numpy

    build, run, operands = theirs
    attention, L = build(b).train(), n * b
    drawn = []
    names = "_bigbird_block_rand_mask", "_bigbird_block_rand_mask_with_head"
    for name in names:
        original = getattr(attention, name)

        def record(*args, original=original, **options):
            drawn.append(original(*args, **options))
            return drawn[-1]

        setattr(attention, name, record)
    x = torch.randn(1, L, 8, dtype=torch.float64)
    expected = run(attention, x, torch.zeros(1, L, dtype=torch.bool))
    heads = drawn[0] if len(drawn) == 1 else drawn
    table = torch.as_tensor(numpy.stack([head[: n - 2] for head in heads])).long()[None]
    assert len(table.unique()) > 3
    table = F.pad(table, (0, 0, 1, 1), value=-1)
    given = {"padding_mask": None, "block_size": b, "random_blocks": table}
    for function in (bigbird_attention, lambda *args, **options: dense_bigbird_attention(*args, **options)[0]):
        actual = function(*operands(attention, x), **given).transpose(1, 2).flatten(2)
        torch.testing.assert_close(actual, expected)
