"""The YAML files of configs/ through fairseq-hydra-train."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
import torch
import yaml
from fairseq.models import ARCH_CONFIG_REGISTRY

from fairseq_littlebird.models.littlebird import LittleBirdModelConfig

PACKAGE = Path(__file__).parents[2] / "fairseq_littlebird"
CONFIGS = PACKAGE.parent / "configs"
RUNS = {
    "masked_lm": ("text", ["task.tokens_per_sample=128"]),
    "littlebird_masked_lm": ("text", ["task.tokens_per_sample=128"]),
    "distillation": ("text", ["task.tokens_per_sample=128"]),
    "recurring_span_selection": ("text", ["task.tokens_per_sample=128"]),
    "longer_inputs": ("text", ["task.tokens_per_sample=128"]),
    "question_answering": ("questions", ["task.span_head=qass"]),
    "sentence_prediction": ("classes", ["dataset.required_batch_size_multiple=1"]),
    "littlebird_sentence_prediction": ("classes", ["task.num_classes=2"]),
}
SMALL = ["model.encoder_layers=2", "model.encoder_embed_dim=32", "model.encoder_ffn_embed_dim=48",
         "model.encoder_attention_heads=2", "model.pack_size=8", "model.block_size=16"]  # fmt: skip


def hydra(fairseq, name, folder, *more, status=0):
    data, own = RUNS[name]
    arguments = ["--config-dir", CONFIGS, "--config-name", name, "model=littlebird_tiny", "machine=cpu"]
    arguments += [f"task.data={data}", f"common.user_dir={PACKAGE}", f"checkpoint.save_dir={folder}"]
    arguments += ["dataset.batch_size=4", "optimization.update_freq=[1]", "common.log_interval=1"]
    return fairseq("hydra-train", *arguments, *SMALL, *own, *more, status=status)


def test_every_file_is_tried():
    assert {file.stem for file in CONFIGS.glob("*.yaml")} == RUNS.keys()


@pytest.mark.parametrize("name", RUNS)
def test_trains(fairseq, logged, words, teacher, tmp_path, name):
    start = [f"checkpoint.finetune_from_model={words}"] if not RUNS[name][0].startswith("text") else []
    if name == "distillation":
        start = [f"criterion.teacher_path={teacher('littlebird_masked_lm')}"]
    done = hydra(fairseq, name, tmp_path / "out", "optimization.max_update=2", *start)
    assert [int(r["num_updates"]) for r in logged(done, "train_inner")] == [1, 2]
    state = torch.load(tmp_path / "out" / "checkpoint_last.pt", weights_only=True)
    sizes = state["cfg"]["model"]
    assert (sizes["_name"], sizes["encoder_layers"], sizes["block_size"]) == ("littlebird", 2, 16)
    assert state["model"]["encoder.pack"].shape == (8, 32)
    assert state["cfg"]["task"].get("padding_insertion", False) == (name not in ("masked_lm", "sentence_prediction"))
    metric = state["cfg"]["checkpoint"]["best_checkpoint_metric"]
    assert f"valid_{metric}" in logged(done, "valid")[-1]


def test_resumes(fairseq, logged, tmp_path):
    hydra(fairseq, "recurring_span_selection", tmp_path, "optimization.max_update=1")
    done = hydra(fairseq, "recurring_span_selection", tmp_path, "optimization.max_update=3")
    assert [int(r["num_updates"]) for r in logged(done, "train_inner")] == [2, 3]


def test_odd_sizes_are_one_line(fairseq, tmp_path):
    done = hydra(fairseq, "recurring_span_selection", tmp_path, "model.pack_size=-3", status=None)
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("fairseq-hydra-train: ") and "pack size -3 is negative" in last


@pytest.mark.parametrize("name", ["littlebird_tiny", "littlebird_base", "littlebird_large"])
def test_sizes_equal_the_architectures(name):
    """Named architectures do not work in Hydra, so the sizes stand in both places."""
    sizes = yaml.safe_load((CONFIGS / "model" / f"{name}.yaml").read_text())
    assert sizes.pop("_name") == "littlebird"
    args = Namespace()
    ARCH_CONFIG_REGISTRY[name](args)
    architecture = vars(LittleBirdModelConfig(**vars(args)))
    assert {key: architecture[key] for key in sizes} == sizes
    assert {key for key, value in vars(args).items() if value is not None} <= sizes.keys()


def test_machines_hold_nothing_but_machines():
    for file in (CONFIGS / "machine").glob("*.yaml"):
        assert set(yaml.safe_load(file.read_text())) <= {"common", "dataset", "distributed_training"}


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_file_itself_comes_first(file):
    """Otherwise its own model section would hide the group's."""
    content = yaml.safe_load(file.read_text())
    assert content["defaults"] == ["_self_", {"model": "littlebird_base"}, {"machine": "gpu"}]
