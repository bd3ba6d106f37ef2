"""Every architecture under every task and criterion: a loss, a gradient for every parameter, the same figures again."""

from __future__ import annotations

import os

import pytest
import torch
from fairseq import options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf

from fairseq_littlebird.errors import UserError

SIZES = """--encoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48 --encoder-attention-heads 2
    --dropout 0 --attention-dropout 0""".split()
ARCHITECTURES = {
    "littlebird_tiny": "--pack-size 8 --block-size 16",
    "bigbird_itc_tiny": "--block-size 4",
    "bigbird_etc_tiny": "--global-tokens 6 --local-radius 8",
    "longformer_tiny": "--attention-window 12 --attention-dilation 1,2",
    "roberta_full_tiny": "--max-positions 160",
    "bert_full_tiny": "--max-positions 160",
    "littlebird_modernbert_tiny": "--pack-size 8 --block-size 16",
    "modernbert_full_tiny": "--attention-window 0,16",
}
TASKS = {
    "masked_lm": "text --task masked_lm --criterion masked_lm --tokens-per-sample 96",
    "littlebird_masked_lm": "text --task littlebird_masked_lm --criterion masked_lm --tokens-per-sample 96",
    "recurring_span_selection": "text --task recurring_span_selection --criterion recurring_span_selection "
    "--tokens-per-sample 96 --sample-break-mode complete --shorten-method truncate",
    "question_answering": "questions --task question_answering --criterion question_answering",
    "question_answering, independent": "questions --task question_answering --criterion question_answering "
    "--span-head independent",
    "sentence_prediction": "classes --task sentence_prediction --criterion sentence_prediction --num-classes 2 "
    "--init-token 0",
    "littlebird_sentence_prediction": "classes --task littlebird_sentence_prediction --criterion "
    "littlebird_classification --num-classes 2",
}


@pytest.fixture
def parts(tiny, monkeypatch):
    """``parts(task, architecture, *more)``: task, model, criterion and a batch, as fairseq-train makes them."""
    monkeypatch.chdir(tiny)

    def parts(task, architecture, *more, split="train"):
        words = [*TASKS[task].split(), "--arch", architecture, *SIZES, *ARCHITECTURES[architecture].split()]
        words += ["--optimizer", "adam", "--lr", "1e-3", "--batch-size", "3", "--cpu", *more]
        parsed = options.parse_args_and_arch(options.get_training_parser(), words)
        cfg = convert_namespace_to_omegaconf(parsed)
        utils.set_torch_seed(1)
        built = tasks.setup_task(cfg.task)
        model, criterion = built.build_model(cfg.model), built.build_criterion(cfg.criterion)
        built.load_dataset(split, training=split == "train")
        batch = next(built.get_batch_iterator(built.dataset(split), max_sentences=3).next_epoch_itr(shuffle=False))
        return built, model, criterion, batch

    return parts


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("task", TASKS)
def test_a_loss_and_a_gradient_for_every_parameter(parts, task, architecture):
    _, model, criterion, batch = parts(task, architecture)
    loss, _, _ = criterion(model.train(), batch)
    loss.backward()
    assert loss.isfinite()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    assert not without
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("task", ["littlebird_masked_lm", "recurring_span_selection", "question_answering"])
def test_evaluation_gives_the_same_twice_and_takes_sequences_apart(parts, task, architecture):
    _, model, criterion, batch = parts(task, architecture, split="valid")
    model.eval()
    with torch.no_grad():
        first, again = (criterion(model, batch)[0] for _ in range(2))
        tokens = batch["net_input"]["src_tokens"]
        more = {k: v for k, v in batch["net_input"].items() if k in ("questions", "context_starts")}
        together, _ = model(tokens, **more, features_only=True)
        length = int(tokens[0].ne(1).sum())
        alone, _ = model(tokens[:1, :length], **{k: v[:1] for k, v in more.items()}, features_only=True)
    assert torch.equal(first, again)
    torch.testing.assert_close(together[0, :length], alone[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", [a for a in ARCHITECTURES if "littlebird" not in a])
def test_padding_insertion_where_positions_have_no_gaps_is_one_line(parts, architecture):
    with pytest.raises(UserError, match="--padding-insertion"):
        parts("littlebird_masked_lm", architecture, "--padding-insertion")


def test_another_architectures_options_are_one_line(fairseq, tmp_path):
    own = [*TASKS["littlebird_masked_lm"].split(), "--arch", "longformer_tiny", "--pack-size", 8, "--batch-size", 2]
    done = fairseq("train", *own, "--optimizer", "adam", "--save-dir", tmp_path, status=2)
    assert "Traceback" not in done.stderr and not os.listdir(tmp_path)
    assert done.stderr.strip().splitlines()[-1] == "fairseq-train: error: unrecognized arguments: --pack-size 8"
