"""Language models through fairseq's own commands: training, resuming, other windows, scores and generation."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch

LITTLEBIRD = "--arch littlebird_lm_tiny --block-size 16".split()
TASK = "text --task language_modeling --tokens-per-sample 64".split()


@pytest.fixture(scope="module")
def printed(language_model):
    """What the training printed."""
    return SimpleNamespace(stdout=(language_model / "printed").read_text("utf-8"))


def test_learns(printed, logged):
    losses = [float(r["loss"]) for r in logged(printed, "train_inner")]
    assert losses[-1] < losses[0] - 0.5
    assert float(logged(printed, "valid")[-1]["valid_loss"]) < losses[0] - 0.5


def test_littlebird_learns(train_language_model, logged, tmp_path):
    slopes = ["--optimizer", "littlebird_adam", "--slopes-lr-scale", 10]
    done = train_language_model(tmp_path, 6, *LITTLEBIRD, *slopes)
    losses = [float(r["loss"]) for r in logged(done, "train_inner")]
    assert losses[-1] < losses[0] - 0.3
    weights = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)["model"]
    assert weights["decoder.transformer.layers.0.attention.slopes.alpha"].abs().max() > 1e-3


def test_a_checkpoint_holds_plain_values(language_model):
    state = torch.load(language_model / "checkpoint_last.pt", weights_only=True)
    assert state["cfg"]["model"]["_name"] == "longformer_lm_tiny"
    assert all(name.startswith("decoder.transformer.") for name in state["model"])


def test_goes_on_with_other_windows(train_language_model, logged, language_model, printed, tmp_path):
    """Longer texts and windows have the same parameters; the loss goes on from where it was."""
    more = ["--finetune-from-model", language_model / "checkpoint_last.pt", "--attention-window", "64-128"]
    done = train_language_model(tmp_path, 1, *more, "--tokens-per-sample", 128, "--batch-size", 4)
    first, before = (float(logged(d, "train_inner")[n]["loss"]) for d, n in ((done, 0), (printed, -1)))
    assert abs(first - before) < 0.5


@pytest.mark.parametrize("more", [(), ("--context-window", "24")])
def test_is_scored_by_fairseq(fairseq, language_model, more):
    path = language_model / "checkpoint_last.pt"
    done = fairseq("eval-lm", *TASK, "--path", path, "--gen-subset", "valid", "--batch-size", 4, "--cpu", *more)
    assert float(re.search(r"Loss \(base 2\): ([\d.]+)", done.stdout + done.stderr)[1]) < 8


@pytest.mark.parametrize("how", ["--beam 3", "--beam 2 --nbest 2 --sampling --sampling-topk 5"])
def test_goes_on_with_a_beginning(fairseq, language_model, tmp_path, tiny, how):
    """Of one line: fairseq's task breaks several by a mode that fails with numpy 2."""
    beginning = " ".join((tiny / "symbols.valid").read_text("utf-8").split()[:20])
    (tmp_path / "line").write_text(beginning + "\n", "utf-8")
    words = "--only-source --srcdict text/dict.txt --testpref".split()
    fairseq("preprocess", *words, tmp_path / "line", "--destdir", tmp_path / "data")
    own = [*TASK[1:], "--path", language_model / "checkpoint_last.pt", "--cpu", *how.split(), "--max-len-b", 60]
    own += ["--gen-subset", "test", "--required-batch-size-multiple", 1]
    done = fairseq("generate", tmp_path / "data", *own)
    found = re.findall(r"^H-0\t\S+\t(.*)$", done.stdout, re.MULTILINE)
    assert len(found) == (2 if "nbest" in how else 1) and all(text.startswith(beginning) for text in found)


def test_the_checkpoint_of_an_encoder_is_one_line(train_language_model, span_model, tmp_path):
    done = train_language_model(tmp_path, 1, "--finetune-from-model", span_model, status=2)
    assert "Traceback" not in done.stderr
    assert "Cannot load model parameters from checkpoint" in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "options, message",
    [
        ("--attention-window 5", "attention window 5 is not an even number of at least 2"),
        ("--attention-window 4,4,4", "3 attention windows do not fit 2 layers"),
        ("--output-dictionary-size 50", "leave out --output-dictionary-size"),
        ("--arch littlebird_lm_tiny --pack-size 8", "(LittleBird's paper, Limitations); leave the pack size at 0"),
        ("--arch littlebird_lm_tiny --attention-window 8", "unrecognized arguments: --attention-window 8"),
    ],
)
def test_bad_options_are_one_line(train_language_model, tmp_path, options, message):
    done = train_language_model(tmp_path, 1, *options.split(), status=2)
    assert "Traceback" not in done.stderr and message in done.stderr.strip().splitlines()[-1]
