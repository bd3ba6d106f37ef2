"""Longformer through the real command line, a task of each kind of global tokens."""

from __future__ import annotations

import pytest
from fairseq import checkpoint_utils

from fairseq_littlebird.models.longformer import LongformerModel

SIZES = """--arch longformer_tiny --encoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48
    --encoder-attention-heads 2 --attention-window 16,32 --attention-dilation 1,2""".split()
TRAINING = """--cpu --optimizer adam --lr 1e-3 --batch-size 16 --no-epoch-checkpoints --log-format json
    --log-interval 1 --num-workers 1 --max-update 2""".split()
TASKS = {
    "masked_lm": "text --task masked_lm --criterion masked_lm --tokens-per-sample 128",
    "recurring_span_selection": "text --task recurring_span_selection --criterion recurring_span_selection "
    "--tokens-per-sample 128 --sample-break-mode complete --shorten-method truncate",
    "question_answering": "questions --task question_answering --criterion question_answering --span-head independent",
}


@pytest.mark.parametrize("task", TASKS)
def test_trained_and_loaded(fairseq, logged, tiny, task, tmp_path):
    data, *options = TASKS[task].split()
    done = fairseq("train", data, *options, *SIZES, *TRAINING, "--save-dir", tmp_path)
    assert len(logged(done, "train_inner")) == 2
    assert float(logged(done, "valid")[-1]["valid_loss"]) > 0
    (model,), _, _ = checkpoint_utils.load_model_ensemble_and_task(
        [str(tmp_path / "checkpoint_last.pt")], arg_overrides={"data": str(tiny / data)}
    )
    assert isinstance(model, LongformerModel)
    assert model.encoder.config.attention_window == (16, 32) and model.encoder.config.dilations == ((1, 2),) * 2
