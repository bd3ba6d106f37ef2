"""Summarizers in other precisions: trained by fairseq's options, and generating with littlebird-predict's."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.processes import PACKAGE
from helpers.summaries import SIZES, TASK, TRAINING

from fairseq_littlebird import LittleBird
from fairseq_littlebird.cli.predict import main as predict

OTHER = {"bigbird_roberta": "--block-size 4", "bigbird_pegasus": "--block-size 4"}
STOCK = """--arch transformer --encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 16 --decoder-embed-dim 16
    --encoder-ffn-embed-dim 24 --decoder-ffn-embed-dim 24 --encoder-attention-heads 2 --decoder-attention-heads 2
    --share-all-embeddings --max-source-positions 128 --max-target-positions 24""".split()


@pytest.mark.parametrize("precision", ["bf16", "fp16", "amp"])
@pytest.mark.parametrize("model", [*SIZES, *OTHER])
def test_losses_and_parameters_are_finite(
    forks: Any, summary_data: Path, model: str, precision: str, tmp_path: Path
) -> None:
    """Over an epoch whose batches are padded, with validation's beam search."""
    own = SIZES.get(model) or SIZES["led"].replace("--arch led_tiny", f"--arch {model}_tiny {OTHER[model]}")
    own = own.replace("--attention-window 16", "") if model in OTHER else own
    script = Path(__file__).with_name("in_precision.py")
    words = [sys.executable, script, precision, summary_data, *TASK, *TRAINING, "--clip-norm", "1", *own.split()]
    done = forks.run([*words, "--max-update", "8", "--save-dir", tmp_path, "--user-dir", PACKAGE], cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    losses = [float(record["loss"]) for record in logged(done, "train_inner")]
    valid = logged(done, "valid")[-1]
    assert len(losses) >= 4 and all(map(math.isfinite, losses)), losses
    assert math.isfinite(float(valid["valid_loss"])) and 0 <= float(valid["valid_rouge1"]) <= 100
    state = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)["model"]
    assert all(torch.isfinite(tensor).all() for tensor in state.values())


def logged(done: Any, kind: str) -> list[dict[str, Any]]:
    """What in_precision.py logged under a name."""
    lines = (line.split(f"| {kind} | ", 1)[1] for line in done.stdout.splitlines() if f"| {kind} | {{" in line)
    return [json.loads(line) for line in lines]


def predicted(data: Path, checkpoint: Path, output: Path, precision: str) -> list[dict[str, Any]]:
    options = ["--precision", precision, "--device", "cpu", "--beam", "3", "--max-length", "10"]
    predict([f"{data}", "--path", f"{checkpoint}", "--output", f"{output}", *options])
    return [json.loads(line) for line in (output / "predictions.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "int8"])
@pytest.mark.parametrize("model", SIZES)
def test_summaries_are_written_in_any_precision(
    summary_data: Path, summarizers: Any, model: str, precision: str, tmp_path: Path
) -> None:
    checkpoint = summarizers[model][0] / "checkpoint_last.pt"
    wanted = predicted(summary_data, checkpoint, tmp_path / "float32", "float32")
    found = predicted(summary_data, checkpoint, tmp_path / precision, precision)
    assert len(found) == 5
    for one, other in zip(found, wanted, strict=True):
        assert one["id"] == other["id"] and math.isfinite(one["score"])
        assert one["score"] == pytest.approx(other["score"], rel=0.1)
    assert [one["score"] for one in found] != [other["score"] for other in wanted]  # it was of that precision
    summarizer = LittleBird.from_pretrained(checkpoint, precision=precision, device="cpu")
    alone = summarizer.summarize("stone bridge glass tower river port night train.", beam=2, max_length=8)
    assert math.isfinite(alone.score)


def test_fairseqs_own_models_have_no_int8(
    fairseq: Callable[..., Any], summary_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor have their attentions anything to quantize; half precision they have, with their sinusoids."""
    own = [summary_data, *TASK, "--cpu", *TRAINING, *STOCK, "--disable-validation", "--max-update", 1]
    fairseq("train", *own, "--save-dir", tmp_path)
    checkpoint = tmp_path / "checkpoint_last.pt"
    for precision in ("bfloat16", "float16"):
        found = predicted(summary_data, checkpoint, tmp_path / precision, precision)
        assert all(math.isfinite(record["score"]) for record in found)
    with pytest.raises(SystemExit) as ended:
        predicted(summary_data, checkpoint, tmp_path / "int8", "int8")
    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert lines[-1].endswith("checkpoint_last.pt: int8 is for models of this package; choose float32 or bfloat16")
    assert not (tmp_path / "int8").exists()
