"""FlexAttention against the float64 oracle, in torch's unfused reference: its kernels need a device."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import flex_attention as torch_flex

from fairseq_littlebird.attention import dense_unpack_window_attention, unpack_window_attention
from fairseq_littlebird.attention.littlebird import flex as backend

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
# L, b, S, padding left and right of each row, largest gap between positions
CASES = [
    (1, 64, 0, None, 0),
    (63, 64, 32, ((5, 0), (9, 20)), 256),
    (65, 16, 0, ((65, 3), (0, 0)), 1),
    (111, 32, 32, ((3, 30), (20, 2)), -3),
    (150, 64, 1, None, 0),
    (50, 7, 3, ((0, 0), (1, 40)), 0),
]


def flex(**arguments):
    return unpack_window_attention(**arguments, backend="flex")


@pytest.mark.parametrize(("L", "b", "S", "padding", "gap"), CASES)
def test_result_equals_the_oracle(tools, L, b, S, padding, gap):
    inputs = tools.make_inputs(2, 2, L, 8, S, L, *(padding or (None, None)), gap)
    expected, _ = dense_unpack_window_attention(**inputs, block_size=b)
    with torch.no_grad():
        torch.testing.assert_close(flex(**inputs, block_size=b), expected)


@pytest.mark.parametrize(("L", "b", "S", "padding", "gap"), CASES)
def test_gradients_reach_the_slopes(tools, monkeypatch, L, b, S, padding, gap):
    """torch refuses gradients on CPU before its reference, which has them, is asked."""
    monkeypatch.setattr(torch_flex, "_validate_device", lambda *tensors: None)
    monkeypatch.setattr(backend, "has_gradients", lambda device: True)
    inputs = tools.make_inputs(2, 2, L, 8, S, L, *(padding or (None, None)), gap)
    expected = tools.gradients(dense_unpack_window_attention, inputs, block_size=b)
    tools.assert_close(tools.gradients(flex, inputs, block_size=b), expected, 1e-9, reach=float(L * 256))


def test_without_slopes(tools):
    inputs = tools.make_inputs(L=20) | {"slopes": None}
    expected, _ = dense_unpack_window_attention(**inputs, block_size=4)
    torch.testing.assert_close(flex(**inputs, block_size=4), expected)


def test_what_it_lacks_is_refused(tools):
    inputs = tools.make_inputs()
    with pytest.raises(ValueError, match="^attention backend 'flex' has no dropout$"):
        flex(**inputs, block_size=4, dropout_p=0.1)
    inputs["v"].requires_grad_()
    with pytest.raises(ValueError, match="^attention backend 'flex' has no gradients on cpu$"):
        flex(**inputs, block_size=4)
