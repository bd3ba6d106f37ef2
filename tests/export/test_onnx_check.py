"""What a graph is compared with before it is written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.export import onnx


class Model(nn.Module):
    """Logits of two tokens, the second of which the dictionary lacks."""

    def forward(self, input_ids, attention_mask, return_dict):
        return (torch.stack([input_ids.float(), torch.full(input_ids.shape, onnx.UNLIKELY)], dim=2),)


def check(monkeypatch, tmp_path, difference):
    """With a graph that adds ``difference`` [2] to the logits, in the first comparison alone."""

    class Session:
        def __init__(self, path):
            self.rest = [np.array(difference, np.float32)]

        def run(self, outputs, inputs):
            (logits,) = Model()(*map(torch.from_numpy, inputs.values()), return_dict=False)
            return [logits.numpy() + (self.rest.pop() if self.rest else 0)]

    monkeypatch.setattr(pytest.importorskip("onnxruntime"), "InferenceSession", Session)
    monkeypatch.setattr(onnx, "_inputs", lambda model, B, L: (torch.arange(B * L).view(B, L), torch.ones(B, L).long()))
    return onnx._check(onnx._Graph(Model(), ["input_ids", "attention_mask"]), tmp_path / "model.onnx")


@pytest.mark.parametrize(("wrong", "shown"), [(float("nan"), "nan"), (0.5, "5.0e-01")])
def test_a_graph_that_computes_something_else_is_refused(monkeypatch, tmp_path, wrong, shown):
    with pytest.raises(UserError, match=f"the graph differs from the model by {shown}"):
        check(monkeypatch, tmp_path, (wrong, 0.0))


def test_tokens_that_the_dictionary_lacks_do_not_count(monkeypatch, tmp_path):
    assert check(monkeypatch, tmp_path, (0.0, 1e-3)) == 0.0
