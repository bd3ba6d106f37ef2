"""The Triton kernels against the float64 oracle, in Triton's interpreter: ``test_triton.py`` runs this file.

The interpreter must be chosen before Triton is imported, so these tests need a process of their own.
"""

from __future__ import annotations

import pytest
import torch

from fairseq_littlebird.attention import dense_unpack_window_attention, unpack_window_attention
from fairseq_littlebird.attention.littlebird import triton as fused
from fairseq_littlebird.attention.littlebird.kernels import backward as backward_module
from fairseq_littlebird.attention.littlebird.kernels import launch
from fairseq_littlebird.attention.littlebird.kernels import places as place_module
from fairseq_littlebird.modules.config import LittleBirdConfig
from fairseq_littlebird.modules.littlebird_encoder import LittleBirdEncoder

assert fused.INTERPRETED, "run with TRITON_INTERPRET=1"

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-4, torch.bfloat16: 2e-2, torch.float16: 2e-2}
NAMES = ("q", "k", "v", "pack_k", "pack_v")
# H, L, b, S, D, padding left and right of each row, largest gap between positions
CASES = {
    "one token": (2, 1, 64, 0, 8, None, 0),
    "one token, packed keys": (2, 1, 16, 64, 16, None, 0),
    "nothing but padding in a row": (1, 1, 64, 64, 8, ((1, 0), (0, 0)), 0),
    "less than a block": (1, 63, 64, 32, 32, ((5, 0), (9, 20)), 256),
    "one block": (1, 64, 64, 1, 8, ((0, 0), (1, 40)), 256),
    "a block and a token": (2, 65, 64, 64, 8, ((0, 64), (0, 0)), 1),
    "two blocks": (1, 111, 64, 0, 8, ((111, 7), (0, 0)), 256),
    "equal positions": (1, 111, 32, 32, 8, ((3, 30), (20, 2)), -3),
    "whole blocks of padding": (1, 84, 16, 3, 8, ((40, 0), (20, 54)), 0),
    "padding within": (1, 70, 32, 128, 12, ((0, 33), (36, 0)), 9),
    "large blocks": (1, 200, 128, 5, 8, ((0, 60), (45, 10)), 0),
    "far saturated keys": (1, 140, 64, 32, 8, ((0, 0), (0, 11)), 256),
}
SHORT = ("one token", "less than a block", "two blocks", "equal positions", "far saturated keys")
# what differs for the fused kernel, where no wider case holds it
FUSED = [
    ("one token", torch.float64),
    ("nothing but padding in a row", torch.float64),
    ("one block", torch.float64),
    ("a block and a token", torch.float64),
    ("two blocks", torch.float64),
    ("equal positions", torch.float64),
    ("whole blocks of padding", torch.float64),
    ("padding within", torch.float64),
    ("two blocks", torch.float32),
    ("less than a block", torch.float16),
    ("equal positions", torch.bfloat16),
    ("far saturated keys", torch.bfloat16),
]


@pytest.fixture(params=["separate", "fused"])
def backward(request, monkeypatch):
    """Gradients by either way."""
    monkeypatch.setattr(fused, "BACKWARD", request.param)


BACKWARDS = pytest.mark.usefixtures("backward")


def case(tools, name, dtype=torch.float64):
    H, L, b, S, D, padding, gap = CASES[name]
    left, right = padding or (None, None)
    return tools.make_inputs(2, H, L, D, S, len(name), left, right, gap, dtype), b


def small(tools, dtype=torch.float32, H=1, L=20):
    """Blocks of 16 with packed keys, padding and gaps: all kinds of keys in few tiles."""
    return tools.make_inputs(2, H, L, 8, 5, left=(0, 2), right=(3, 0), max_gap=3, dtype=dtype), 16


def oracle(padding_mask, **arguments):
    """Its result with 0 in the rows of padded queries, so that they have no gradient either."""
    result, _ = dense_unpack_window_attention(padding_mask=padding_mask, **arguments)
    return result if padding_mask is None else result.masked_fill(padding_mask[:, None, :, None], 0.0)


def run(tools, inputs, dtype=torch.float64, **options):
    return tools.gradients(unpack_window_attention, inputs, dtype, backend="triton", **options)


def compare(tools, inputs, b, dtype=torch.float64):
    actual = run(tools, inputs, dtype, block_size=b)
    assert actual["result"].dtype == dtype
    expected = tools.gradients(oracle, tools.in_float64(inputs), dtype, block_size=b)
    reach = inputs["q"].shape[2] if inputs["positions"] is None else int(inputs["positions"].max())
    unavoidable = {}
    if dtype == torch.float32:
        # scores of thousands are rounded by any arithmetic: the dense path's own error is no fault of ours
        same = tools.gradients(oracle, inputs, dtype, block_size=b)
        unavoidable = {name: 2 * float((same[name].double() - wanted).norm()) for name, wanted in expected.items()}
    tools.assert_close(actual, expected, TOLERANCES[dtype], reach, unavoidable)


@pytest.mark.parametrize("name", CASES)
def test_float64_equals_the_oracle(tools, name):
    compare(tools, *case(tools, name))


@pytest.mark.parametrize("backward", ["fused"], indirect=True)
@pytest.mark.parametrize(("name", "dtype"), FUSED)
def test_the_fused_kernel_equals_the_oracle(tools, backward, name, dtype):
    compare(tools, *case(tools, name, dtype), dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", SHORT)
def test_narrow_types_stay_within_their_tolerance(tools, name, dtype):
    compare(tools, *case(tools, name, dtype), dtype)


@pytest.mark.parametrize("slope", [8.0, 100.0])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gaps_of_100_000_positions_and_large_slopes(tools, dtype, slope):
    inputs = tools.make_inputs(2, 2, 40, 8, 3, left=(0, 0), right=(33, 0), dtype=dtype)
    inputs["positions"] = torch.arange(40) + 100_000 * (torch.arange(40) // 7).expand(2, 40)
    for parameter in inputs["slopes"].parameters():
        parameter.data = torch.tensor([slope, slope / 2])
    compare(tools, inputs, 16, dtype)


@pytest.mark.parametrize(("D", "b"), [(16, 64), (24, 16), (64, 32), (96, 64), (128, 128)])
def test_head_widths(tools, D, b):
    compare(tools, tools.make_inputs(1, 1, 70, D, 3, max_gap=4, dtype=torch.float32), b, torch.float32)


@BACKWARDS
def test_without_slopes(tools):
    inputs, b = small(tools, torch.float64, L=35)
    plain = inputs | {"slopes": None}
    leaves = [plain[n].requires_grad_() for n in NAMES]
    upstream = torch.randn_like(plain["q"])
    actual = unpack_window_attention(**plain, block_size=b, backend="triton")
    expected = oracle(**plain, block_size=b)
    torch.testing.assert_close(actual, expected)
    for one, other in zip(
        torch.autograd.grad(actual, leaves, upstream), torch.autograd.grad(expected, leaves, upstream), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("backward", ["fused"], indirect=True)
@pytest.mark.parametrize(("D", "b"), [(24, 16), (128, 128)])
def test_head_widths_of_the_fused_kernel(tools, backward, D, b):
    """The second in several tiles of a block."""
    compare(tools, tools.make_inputs(1, 1, 134, D, 3, max_gap=4, dtype=torch.float32), b, torch.float32)


@BACKWARDS
def test_many_chunks_of_queries_are_summed(tools, monkeypatch):
    monkeypatch.setattr(launch, "CHUNKS", (32,))
    for name in ("equal positions", "whole blocks of padding"):
        compare(tools, *case(tools, name))


@BACKWARDS
def test_rows_without_a_key_are_zero_with_finite_gradients(tools):
    inputs = tools.make_inputs(2, 1, 20, 8, 0, left=(20, 2), right=(0, 1))
    values = run(tools, inputs, block_size=16)
    assert (values["result"][0] == 0).all() and (values["result"][1, :, 2:19] != 0).all()
    assert all(t.isfinite().all() for t in values.values())
    assert all((values[name][0] == 0).all() for name in ("q", "k", "v"))


def test_padding_content_never_matters(tools):
    inputs, b = case(tools, "whole blocks of padding", torch.float32)
    padding = inputs["padding_mask"][:, None, :, None]
    noisy = {n: torch.where(padding, torch.randn_like(inputs[n]) * 1e4, inputs[n]) for n in ("q", "k", "v")}
    noisy["positions"] = torch.arange(padding.shape[2]).repeat(2, 1).masked_fill(inputs["padding_mask"], 10**6)
    values, others = (run(tools, x, torch.float32, block_size=b) for x in (inputs, inputs | noisy))
    for name, value in values.items():
        assert torch.equal(value, others[name]), name


@pytest.mark.parametrize("name", ["whole blocks of padding", "two blocks"])
def test_what_is_no_number_never_leaves_padding(tools, monkeypatch, name):
    """Neither in the inputs nor in the upstream gradient: a probability of 0 times it would be no number."""
    inputs, b = case(tools, name, torch.float32)
    padding = inputs["padding_mask"][:, None, :, None]
    leaves = [inputs[n].requires_grad_() for n in NAMES] + list(inputs["slopes"].parameters())
    upstream = torch.randn(inputs["q"].shape).masked_fill(padding, 0.0)

    def values(fill):
        spoilt = inputs | {n: inputs[n].masked_fill(padding, fill) for n in ("q", "k", "v")}
        result = unpack_window_attention(**spoilt, block_size=b, backend="triton")
        upstreams = upstream.masked_fill(padding, fill)
        found = [result]
        for way in fused.BACKWARDS:
            monkeypatch.setattr(fused, "BACKWARD", way)
            found += torch.autograd.grad(result, leaves, upstreams, retain_graph=True)
        return found

    expected = values(0.0)
    for fill in (float("nan"), float("inf")):
        assert all(torch.equal(one, other) for one, other in zip(expected, values(fill), strict=True))


def test_tensors_laid_out_otherwise(tools, monkeypatch):
    """Views as a layer makes them, mixed strides, and the expanded gradient of a sum."""
    inputs, b = small(tools, H=2)
    layers = inputs | {n: inputs[n].transpose(1, 2).contiguous().transpose(1, 2) for n in NAMES}
    joined = torch.stack([layers[n].transpose(1, 2) for n in ("q", "k", "v")], dim=2)  # [B, L, 3, H, D]
    fused_projections = layers | {n: joined[:, :, i].transpose(1, 2) for i, n in enumerate(("q", "k", "v"))}
    columns = inputs | {n: inputs[n].transpose(2, 3).contiguous().transpose(2, 3) for n in NAMES}
    results = []
    for views in (inputs, layers, fused_projections, columns):
        leaves = [views[n].detach().requires_grad_() for n in NAMES]
        arguments = views | dict(zip(NAMES, leaves, strict=True))
        result = unpack_window_attention(**arguments, block_size=b, backend="triton")
        assert result.transpose(1, 2).is_contiguous()  # merging heads is free
        results.append([result])
        for way in fused.BACKWARDS:
            monkeypatch.setattr(fused, "BACKWARD", way)
            results[-1] += torch.autograd.grad(result.sum(), leaves, retain_graph=True)
    for others in results[1:]:
        assert all(torch.equal(a, z) for a, z in zip(results[0], others, strict=True))


@BACKWARDS
def test_gradients_are_deterministic(tools):
    inputs, b = small(tools, torch.bfloat16)
    once, again = (run(tools, inputs, torch.bfloat16, block_size=b) for _ in range(2))
    assert all(torch.equal(once[name], again[name]) for name in once)


@pytest.fixture
def launches(monkeypatch):
    """What is launched: each kernel's name, grid, and what it is compiled for."""
    made = []

    class Recorded:
        def __init__(self, kernel):
            self.kernel = kernel

        def __getitem__(self, grid):
            def launch(*arguments, **constants):
                types = tuple(getattr(a, "dtype", type(a)) for a in arguments)
                made.append((self.kernel.fn.__name__, grid, (types, tuple(constants.items()))))
                return self.kernel[grid](*arguments, **constants)

            return launch

    names = ("queries_backward_kernel", "keys_backward_kernel", "delta_kernel", "fused_backward_kernel")
    for module, name in ((fused, "forward_kernel"), *((backward_module, name) for name in names)):
        monkeypatch.setattr(module, name, Recorded(getattr(module, name)))
    return made


@BACKWARDS
def test_more_rows_than_a_second_dimension_of_a_grid_holds(tools, launches):
    """65,535 is its end: what is counted is the first dimension alone."""
    inputs, b = small(tools)
    run(tools, inputs, torch.float32, block_size=b)
    assert len(launches) >= 3 and all(len(grid) == 1 for _, grid, _ in launches)


def test_warm_up_compiles_all_that_training_and_validation_run(launches):
    sizes = dict(vocab_size=50, layers=1, embed_dim=8, ffn_embed_dim=16, heads=1, pack_size=4, block_size=16)
    encoder = LittleBirdEncoder(LittleBirdConfig(**sizes, attention_backend="triton", attention_dropout=0.1))
    fused.warm_up(1, 8, 4, 16, torch.float32, "cpu", dropout_p=0.1)
    warm = {(name, kind) for name, _, kind in launches}
    launches.clear()
    for shape, padding in (((1, 33), 0), ((2, 21), 7)):
        tokens = torch.randint(4, 50, shape)
        tokens[0, shape[1] - padding :] = 1
        encoder.train()(tokens).sum().backward()
        with torch.no_grad():
            encoder.eval()(tokens)
    assert launches and {(name, kind) for name, _, kind in launches} <= warm


def test_mixed_types_follow_the_queries(tools):
    inputs, b = small(tools)
    mixed = inputs | {n: inputs[n].half() for n in ("q", "k", "v")}
    values = run(tools, mixed, torch.float16, block_size=b)
    assert values["result"].dtype == torch.float16 and values["pack_k"].dtype == torch.float32


class TestDropout:
    """The matrix that v is multiplied by is visible where [pack_v; v] is the identity: D = S + L."""

    S, L, b, p = 8, 40, 16, 0.25

    def inputs(self, tools):
        return tools.make_inputs(2, 2, self.L, self.S + self.L, self.S, left=(0, 3), right=(5, 0), max_gap=2)

    def matrix(self, tools, seed, p=p):
        inputs = self.inputs(tools)
        identity = torch.eye(self.S + self.L, dtype=torch.float64).expand(2, 2, -1, -1)
        values = {"pack_v": identity[:, :, : self.S], "v": identity[:, :, self.S :]}
        torch.manual_seed(seed)
        return unpack_window_attention(**inputs | values, block_size=self.b, dropout_p=p, backend="triton")

    @pytest.fixture(scope="class")
    def plain(self, tools):
        """Without dropout."""
        return self.matrix(tools, 0, p=0.0)

    @pytest.fixture(scope="class")
    def dropped(self, tools):
        """By seed 0."""
        return self.matrix(tools, 0)

    def test_each_probability_is_kept_and_scaled_or_zero(self, plain, dropped):
        kept, visible = dropped != 0, plain > 0
        torch.testing.assert_close(dropped[kept], plain[kept] / (1 - self.p))
        lost = visible & ~kept
        assert abs(float(lost.sum() / visible.sum()) - self.p) < 0.02
        for axis in range(3):  # rows, heads and queries do not share a pattern
            assert not torch.equal(lost & visible.roll(1, axis), lost.roll(1, axis) & visible)

    def test_probabilities_are_dropped_independently(self, plain, dropped):
        visible, lost = plain > 0, dropped == 0
        for axis in range(4):
            pairs = visible & visible.roll(1, axis)
            both = float((lost & lost.roll(1, axis) & pairs).sum() / pairs.sum())
            assert abs(both - self.p**2) < 0.02

    @pytest.mark.parametrize("slots_apart", [0, 1])
    def test_queries_with_half_a_word_in_common_drop_otherwise(self, tools, plain, monkeypatch, slots_apart):
        """Of 786,432 queries hundreds share 32 bits, or have 32 bits whose streams are a few slots apart."""
        visible = plain > 0
        factors = torch.randint(2**30, (2, 2, self.L))
        golden = torch.arange(2 * 2 * self.L).view(2, 2, self.L) * 0x9E3779B9 * slots_apart
        draw = torch.randint  # of the inputs, from a generator of their own
        words = factors << 32 | (golden + 7) % 2**32
        monkeypatch.setattr(torch, "randint", lambda *a, **o: draw(*a, **o) if "generator" in o else words)
        lost, visible = ((t & visible).flatten(0, 2) for t in (self.matrix(tools, 0) == 0, visible))
        both = visible & visible.roll((1, -slots_apart), (0, 1))
        differ = float((lost != lost.roll((1, -slots_apart), (0, 1)))[both].float().mean())
        assert differ == pytest.approx(2 * self.p * (1 - self.p), abs=0.03)  # of independent ones

    def test_seed_decides(self, tools, dropped):
        assert torch.equal(self.matrix(tools, 0), dropped)
        assert not torch.equal(self.matrix(tools, 1), dropped)

    @BACKWARDS
    def test_gradients_belong_to_the_same_draw(self, tools, dropped):
        """All gradients against dense attention that drops what this seed dropped."""
        keep = (dropped != 0).double() / (1 - self.p)

        def dense_with_this_draw(**arguments):
            _, probabilities = dense_unpack_window_attention(**arguments, block_size=self.b)
            values = torch.cat([arguments["pack_v"], arguments["v"]], dim=2)
            return ((probabilities * keep) @ values).masked_fill(arguments["padding_mask"][:, None, :, None], 0.0)

        inputs = self.inputs(tools)
        torch.manual_seed(0)
        actual = run(tools, inputs, block_size=self.b, dropout_p=self.p)
        tools.assert_close(actual, tools.gradients(dense_with_this_draw, inputs), 1e-10)


def operands(tools, dropout_p, dtype=torch.float32):
    inputs, b = small(tools, dtype)
    slopes = torch.stack(inputs["slopes"].coefficients()).detach().requires_grad_()
    where, extent = fused.places(inputs["q"], inputs["positions"], inputs["padding_mask"])
    words = torch.randint(2**62, inputs["q"].shape[:3]) if dropout_p else None
    tensors = [inputs[n].requires_grad_() for n in NAMES]
    return *tensors, slopes, where, extent, words, b, dropout_p, True


@pytest.mark.parametrize("dropout_p", [0.0, 0.2])
def test_the_operator_is_what_it_claims(tools, dropout_p):
    """Schema, fake tensors, autograd registration and tracing with dynamic shapes."""
    torch.library.opcheck(fused._forward, operands(tools, dropout_p))


def test_the_backward_operator_is_what_it_claims(tools):
    given = [t.detach() if isinstance(t, torch.Tensor) else t for t in operands(tools, 0.2)]
    result, *kept = fused._forward(*given)
    torch.library.opcheck(fused._backward, (torch.ones_like(result), result, *kept, *given[:-1]))


def test_compiles_without_a_graph_break(tools):
    inputs, b = small(tools)
    expected = run(tools, inputs, torch.float32, block_size=b, dropout_p=0.0)
    torch.compiler.reset()
    compiled = torch.compile(unpack_window_attention, backend="aot_eager", fullgraph=True)
    actual = tools.gradients(compiled, inputs, torch.float32, block_size=b, backend="triton")
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, msg=name)


def test_nothing_is_of_length_by_keys(tools, largest_tensor):
    L, S, b = 256, 16, 64
    inputs = tools.make_inputs(1, 1, L, 8, S, left=(0,), right=(5,), max_gap=9, dtype=torch.float32)
    with largest_tensor() as mode:
        run(tools, inputs, torch.float32, block_size=b, dropout_p=0.1)
    assert mode.numel <= L * (S + 4 * b) / 8


def test_inside_an_encoder(monkeypatch):
    made = []
    monkeypatch.setattr(place_module, "places", lambda *a: made.append(fused.places(*a)) or made[-1])
    sizes = dict(vocab_size=50, layers=2, embed_dim=16, ffn_embed_dim=32, heads=2, pack_size=4, block_size=16)
    tokens = torch.randint(4, 50, (2, 37))
    tokens[0, 30:] = 1
    states = []
    for backend in ("triton", "blockwise"):
        torch.manual_seed(0)
        encoder = LittleBirdEncoder(LittleBirdConfig(**sizes, attention_backend=backend)).eval()
        states.append(encoder(tokens)[tokens != 1])
    torch.testing.assert_close(*states, rtol=1e-4, atol=1e-5)
    assert len(made) == 1  # for both layers


def test_auto_leaves_the_interpreter_alone(tools, monkeypatch):
    monkeypatch.setattr(fused, "triton_unpack_window_attention", None)
    assert unpack_window_attention(**tools.make_inputs(), block_size=16).isfinite().all()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"block_size": 48}, "needs a block size of 16, 32, 64, 128, not 48"),
        ({"dropout_p": 1.0}, "needs dropout of at least 0 and below 1, not 1.0"),
    ],
)
def test_sizes_it_cannot_take_are_named(tools, changes, says):
    with pytest.raises(ValueError, match=f"^attention backend 'triton' {says}$"):
        unpack_window_attention(**tools.make_inputs(), **{"block_size": 16} | changes, backend="triton")
    with pytest.raises(ValueError, match="^attention backend 'triton' needs heads of width 128 at most, not 136$"):
        unpack_window_attention(**tools.make_inputs(L=3, D=136), block_size=16, backend="triton")
