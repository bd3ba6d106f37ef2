"""The encoders that LittleBird is compared with: sizes, shapes, and the fair BigBird's answers."""

from __future__ import annotations

import dataclasses
import sys
from importlib.util import find_spec

import pytest
import torch
from helpers.processes import ROOT, environment_with

from fairseq_littlebird.benchmarks.encoder import ENCODERS, encoder_peak, encoder_run, littlebird, time_encoders
from fairseq_littlebird.benchmarks.peers import PEERS, bigbird, bigbird_fair, remark
from fairseq_littlebird.benchmarks.workload import MODES, PAD, SIZES, Workload
from fairseq_littlebird.errors import UserError

pytestmark = pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not installed")


def test_a_library_that_cannot_be_loaded_is_one_line(forks, commands, tmp_path):
    """As fairseq's torchaudio beside another torch."""
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio" / "__init__.py").write_text("raise OSError('Could not load this library: x.so')\n")
    (tmp_path / "torchaudio-2.0.dist-info").mkdir()
    (tmp_path / "torchaudio-2.0.dist-info" / "METADATA").write_text("Name: torchaudio\nVersion: 2.0\n")
    options = "encoder --peers bigbird --size tiny --layers 1 --lengths 64 --modes forward --runs 1 --no-memory".split()
    done = forks.run(
        [commands / "littlebird-benchmark", *options],
        tmp_path,
        environment_with({"PYTHONPATH": f"{tmp_path}:{ROOT}"}),
        new_interpreter=True,
    )
    assert done.returncode == 2 and "x.so" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    assert "pip uninstall torchaudio" in done.stderr


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("padding", [0.0, 0.4])
def test_hidden_states_of_every_token(workload, name, padding):
    workload = dataclasses.replace(workload, padding=padding)
    tokens = workload.tokens()
    encoder = ENCODERS[name](workload).eval()
    with torch.no_grad():
        states = encoder(tokens, tokens.eq(PAD) if padding else None)
    assert states.shape == (2, 100, 32)
    assert states[tokens != PAD].isfinite().all()


@pytest.mark.parametrize("name", ENCODERS)
def test_padding_changes_nothing(workload, name):
    tokens = dataclasses.replace(workload, padding=0.4).tokens()
    encoder = ENCODERS[name](workload).eval()
    other = tokens.masked_fill(tokens == PAD, 7)
    with torch.no_grad():
        states = [encoder(t, tokens.eq(PAD)) for t in (tokens, other)]
    torch.testing.assert_close(states[0][tokens != PAD], states[1][tokens != PAD])


@pytest.mark.parametrize("name", PEERS)
def test_layers_of_the_same_size(name):
    sizes = SIZES["base"]
    with torch.device("meta"):
        one, two = (PEERS[name](Workload(sizes, layers, 1024)) for layers in (1, 2))
    added = sum(p.numel() for p in two.parameters()) - sum(p.numel() for p in one.parameters())
    matrices = 4 * 768**2 + 2 * 768 * 3072
    extra = 3 * 768**2 if name == "longformer" else 0  # projections of their own for global attention
    assert added == pytest.approx(matrices + extra, rel=0.003)


@pytest.mark.parametrize("name, projections", [("littlebird", 7), ("modernbert", 4), ("full", 4)])
def test_layers_of_modernberts_size(name, projections):
    """Its own beside ours in its form; BERT's have feed-forward networks of as many weights."""
    sizes = SIZES["modernbert_base"]
    with torch.device("meta"):
        one, two = (ENCODERS[name](Workload(sizes, layers, 1024)) for layers in (2, 3))
    added = sum(p.numel() for p in two.parameters()) - sum(p.numel() for p in one.parameters())
    assert added == pytest.approx(projections * 768**2 + 3 * 768 * 1152, rel=0.003)
    if name == "littlebird":
        assert not [key for key, _ in two.named_parameters() if key.endswith("bias")]


@pytest.mark.parametrize("train", [False, True])
def test_the_fair_bigbird_answers_as_shipped(train):
    workload = Workload(dataclasses.replace(SIZES["tiny"], heads=2), 2, length=300, batch=2, padding=0.2)
    shipped = bigbird(workload, block_size=16, hidden_act="gelu").train(train)
    fair = bigbird_fair(workload, block_size=16).train(train)
    fair.load_state_dict(shipped.state_dict())
    tokens = workload.tokens()
    shapes = []
    states = []
    for encoder in (shipped, fair):
        attention = encoder.get_submodule("model.encoder.layer.0.attention.self")
        attention.register_forward_hook(lambda _, __, outputs: shapes.append(outputs[1]))
        states.append(encoder(tokens, tokens.eq(PAD)))
        states[-1].square().sum().backward()
        assert not remark(encoder)
    assert states[0].equal(states[1])
    for one, other in zip(shipped.parameters(), fair.parameters(), strict=True):
        assert (one.grad is None and other.grad is None) or one.grad.equal(other.grad)
    assert shapes[0].shape == shapes[1].shape == (2, 2, 304, 304)
    assert [probabilities.device.type for probabilities in shapes] == ["cpu", "meta"]


def test_bigbird_says_where_it_falls_back(workload):
    for length, falls in ((704, True), (705, False)):
        one = dataclasses.replace(workload, length=length, batch=1)
        encoder = bigbird(one).eval()
        with torch.no_grad():
            encoder(one.tokens(), None)
        assert bool(remark(encoder)) == falls


@pytest.mark.parametrize("mode", MODES)
def test_a_run_leaves_gradients_only_where_it_should(workload, mode):
    encoder = littlebird(workload)
    run = encoder_run(encoder, dataclasses.replace(workload, mode=mode, dropout=0.1))
    run()
    assert encoder.training == (mode == MODES[1])
    gradients = [p.grad for p in encoder.parameters()]
    if mode == MODES[0]:
        assert gradients == [None] * len(gradients)
    else:
        assert any(g.any() for g in gradients)


def test_times_and_remarks_of_all(workload):
    times, remarks = time_encoders(workload, list(ENCODERS), 2)
    assert list(times) == [*ENCODERS, "floor"]
    assert all(0 < t.fastest <= t.median <= t.slowest for t in times.values())
    assert {name for name, text in remarks.items() if text} == {"bigbird", "bigbird-fair"}


def test_memory_grows_with_the_layers_of_a_training_pass(workload):
    workload = dataclasses.replace(workload, length=2048, mode=MODES[1], sizes=SIZES["tiny"])
    one, two = (encoder_peak(dataclasses.replace(workload, layers=layers), "full") for layers in (4, 8))
    states = 2 * 2048 * 64 * 4  # of one layer
    assert two - one > 4 * 4 * states


def test_without_transformers_one_line_says_so(workload, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match="peers need transformers; pip install"):
        PEERS["full"](workload)
