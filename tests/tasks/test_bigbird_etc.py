"""BigBird-ETC through the real command line; on questions with a global token a sentence."""

from __future__ import annotations

import json
import random

import pytest
import torch

from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.prepare import main as prepare

COMMON = """--arch bigbird_etc_tiny --encoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48
    --encoder-attention-heads 2 --cpu --optimizer adam --lr 1e-3 --batch-size 8 --no-epoch-checkpoints
    --log-format json --log-interval 1 --num-workers 1 --max-update 2""".split()
TASKS = {
    "masked_lm": "text --task masked_lm --criterion masked_lm --tokens-per-sample 128",
    "recurring_span_selection": "text --task recurring_span_selection --criterion recurring_span_selection "
    "--tokens-per-sample 128 --sample-break-mode complete --shorten-method truncate",
    "question_answering": "sentences --task question_answering --criterion question_answering --span-head independent",
}


@pytest.fixture(scope="module")
def sentences(tiny, tmp_path_factory):
    """Questions of HotpotQA's kind, prepared in windows of 128 tokens."""
    rng, folder = random.Random(0), tmp_path_factory.mktemp("hotpotqa")
    towns = ("Oslo", "Porto", "Lima", "Quito")
    for split, count in (("train", 24), ("valid", 8)):
        records = [
            {
                "_id": f"{split}-{n}",
                "question": f"Who founded the school of {towns[n % 4]}?",
                "answer": "Greta Holm" if n % 2 else "yes",
                "type": "bridge",
                "level": "easy",
                "supporting_facts": [[towns[n % 4], 0]],
                "context": [
                    [town, [f"Greta Holm founded the school of {town}.", *[" It is old."] * rng.randint(0, 3)]]
                    for town in towns
                ],
            }
            for n in range(count)
        ]
        (folder / f"{split}.json").write_text(json.dumps(records), "utf-8")
    own = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt", "--destdir", f"{folder}/out"]
    files = ["--train", f"{folder}/train.json", "--valid", f"{folder}/valid.json"]
    prepare(["qa", "--dataset", "hotpotqa", *files, *own, "--max-tokens", "128", "--stride", "64"])
    return folder / "out"


@pytest.mark.parametrize("task", TASKS)
def test_trains(fairseq, logged, sentences, tmp_path, task):
    data, *options = TASKS[task].split()
    data = sentences if data == "sentences" else data
    done = fairseq("train", data, *options, *COMMON, "--save-dir", tmp_path)
    assert [int(r["num_updates"]) for r in logged(done, "train_inner")] == [1, 2]
    assert float(logged(done, "valid")[-1]["valid_loss"]) > 0
    state = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    assert (state["cfg"]["model"]["global_tokens"], state["cfg"]["model"]["local_radius"]) == (8, 16)
    assert state["model"]["encoder.layers.1.attention.relative"].shape == (2, 2, 27, 16)
    if task == "question_answering":
        assert "segment_head.score.weight" in state["model"]
        path, out = f"{tmp_path}/checkpoint_last.pt", tmp_path / "out"
        predict([f"{sentences}", "--gen-subset", "valid", "--path", path, "--output", f"{out}", "--device", "cpu"])
        assert len(json.loads((out / "predictions.json").read_text("utf-8"))["answer"]) == 8
