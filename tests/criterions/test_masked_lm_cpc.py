"""Contrastive predictive coding beside masked language modelling, as fairseq-train runs it."""

from __future__ import annotations

import random

import pytest
import torch

MODEL = """--arch bigbird_etc_tiny --structured-input --encoder-layers 2 --encoder-embed-dim 32
    --encoder-ffn-embed-dim 64 --encoder-attention-heads 2 --local-radius 16 --global-tokens 16 --dropout 0
    --attention-dropout 0""".split()
TASK = """--task littlebird_masked_lm --criterion masked_lm_cpc --tokens-per-sample 64 --cpu --optimizer adam
    --no-epoch-checkpoints --log-format json --num-workers 0""".split()


@pytest.fixture(scope="module")
def stories(fairseq, tmp_path_factory):
    """Texts whose sentences have a subject in common, which no other text has: a sentence tells of the next one."""
    rng, folder = random.Random(0), tmp_path_factory.mktemp("stories")
    verbs, places = ("saw", "met", "left", "found"), ("here", "there", "today", "again")
    for split, count in (("train", 240), ("valid", 40)):
        lines = []
        for _ in range(count):
            one, two = rng.sample(range(40), 2)
            lines += [f"n{one} {rng.choice(verbs)} n{two} {rng.choice(places)} ." for _ in range(6)] + [""]
        (folder / f"{split}.txt").write_text("\n".join(lines), "utf-8")
    own = ["--only-source", "--trainpref", folder / "train.txt", "--validpref", folder / "valid.txt"]
    fairseq("preprocess", *own, "--destdir", folder / "data", "--workers", "1")
    return folder / "data"


def test_the_contrastive_accuracy_rises_above_chance(fairseq, logged, stories, tmp_path):
    options = [*TASK, *MODEL, "--batch-size", "16", "--lr", "3e-3", "--max-update", "60", "--log-interval", "10"]
    options += ["--sample-break-mode", "complete_doc", "--cpc-probability", "0.3", "--cpc-weight", "1"]
    done = fairseq("train", stories, *options, "--save-dir", tmp_path)
    valid = logged(done, "valid")[-1]
    accuracy, chance = float(valid["valid_cpc_accuracy"]), float(valid["valid_cpc_chance"])
    assert 0 < chance < 12 and accuracy > 4 * chance
    first, last = (float(logged(done, "train_inner")[n]["cpc_loss"]) for n in (0, -1))
    assert last < first - 1
    assert torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)["cfg"]["criterion"]["cpc_weight"] == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--arch", "bigbird_etc_tiny"], "needs global tokens of sentences; take --arch bigbird_etc_base --structured"),
        (["--arch", "littlebird_tiny"], "contrastive predictive coding needs global tokens of sentences"),
        ([*MODEL, "--cpc-weight", "-1"], "--cpc-weight -1.0; give a number from 0"),
        ([*MODEL, "--cpc-probability", "0"], "--cpc-probability 0.0; give a number above 0, up to 1"),
        ([*MODEL, "--cpc-sentence-ends", "@"], "no token consists of '@' alone; choose others"),
        ([*MODEL, "--task", "masked_lm"], "take littlebird_masked_lm"),
    ],
)
def test_what_does_not_fit_is_one_line(fairseq, stories, tmp_path, options, says):
    own = [*TASK, "--batch-size", "4", "--lr", "1e-3", "--max-update", "1", "--save-dir", tmp_path, *options]
    done = fairseq("train", stories, *own, status=2)
    assert says in done.stderr.strip().splitlines()[-1]
