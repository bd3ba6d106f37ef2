"""Pretraining on DNA by the real command line: every architecture, resumed, and what bad input says."""

from __future__ import annotations

import json
import math
import shutil

import pytest
import torch
import torch.nn.functional as F
from fairseq import options, tasks, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from helpers.training import SIZES, TRAINING

from fairseq_littlebird.errors import UserError

PRETRAINING = "--task dna_pretraining --criterion masked_lm_nsp --tokens-per-sample 96 --context-type".split()
SMALL = "--encoder-layers 2 --encoder-embed-dim 32 --encoder-ffn-embed-dim 48 --encoder-attention-heads 2".split()
ARCHITECTURES = {
    "littlebird_tiny": "--pack-size 8 --block-size 16 --padding-insertion",
    "bigbird_itc_tiny": "--block-size 4",
    "bigbird_etc_tiny": "--global-tokens 6 --local-radius 8",
    "longformer_tiny": "--attention-window 12",
    "roberta_full_tiny": "--max-positions 160",
    "bert_full_tiny": "--max-positions 160",
}


@pytest.fixture
def parts(dna):
    """``parts(architecture, *more)``: task, model, criterion and a batch, as fairseq-train makes them."""

    def parts(architecture, *more, split="train"):
        words = [str(dna / "data"), *PRETRAINING, "--arch", architecture, *SMALL, *ARCHITECTURES[architecture].split()]
        words += [
            "--dropout",
            "0",
            "--attention-dropout",
            "0",
            "--optimizer",
            "adam",
            "--batch-size",
            "3",
            "--cpu",
            *more,
        ]
        cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), words))
        utils.set_torch_seed(1)
        task = tasks.setup_task(cfg.task)
        model, criterion = task.build_model(cfg.model), task.build_criterion(cfg.criterion)
        task.load_dataset(split, training=split == "train")
        batch = next(task.get_batch_iterator(task.dataset(split), max_sentences=3).next_epoch_itr(shuffle=False))
        return task, model, criterion, batch

    return parts


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_gradient_for_every_parameter_and_the_loss_by_hand(parts, architecture):
    task, model, criterion, batch = parts(architecture, "--nsp-weight", "0.5")
    loss, masked, log = criterion(model.train(), batch)
    loss.backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert batch["net_input"]["src_tokens"].shape[0] == 3
    with torch.no_grad():
        logits, extra = model(**batch["net_input"])
    token_loss = sum(
        -logits[row, at].log_softmax(-1)[wanted]
        for row, targets in enumerate(batch["target"].tolist())
        for at, wanted in enumerate(targets)
        if wanted != task.dictionary.pad()
    )
    nsp = F.cross_entropy(extra["next_sentence_logits"], batch["is_next"])
    torch.testing.assert_close(loss.detach(), token_loss + masked * 0.5 * nsp, rtol=1e-4, atol=1e-4)
    assert log["bases"] == sum(len(task.dictionary[t]) for t in batch["target"].flatten() if t != task.dictionary.pad())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_evaluation_takes_pairs_apart(parts, architecture):
    _, model, _, batch = parts(architecture, split="valid")
    model.eval()
    inputs = batch["net_input"]
    assert "positions" not in inputs
    together, extra = model(**inputs, features_only=True)
    length = int(inputs["src_lengths"][-1])
    own = {"src_tokens": inputs["src_tokens"][-1:, :length], "context_starts": inputs["context_starts"][-1:]}
    alone, extra_alone = model(**own, features_only=True)
    torch.testing.assert_close(together[-1:, :length], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        extra["next_sentence_logits"][-1:], extra_alone["next_sentence_logits"], rtol=1e-4, atol=1e-5
    )
    # segments are told apart
    model.encoder.embeddings.context.data += 1.0
    assert not torch.allclose(model(**own, features_only=True)[0], alone)


def test_the_first_token_alone_is_global_in_longformer(parts):
    from fairseq_littlebird.models.longformer import global_tokens
    from fairseq_littlebird.modules.token_annotations import TokenAnnotations

    _, _, _, batch = parts("longformer_tiny")
    tokens, starts = (batch["net_input"][name] for name in ("src_tokens", "context_starts"))
    found = global_tokens(tokens, TokenAnnotations(context_starts=starts, is_classification=True))
    assert found.sum(1).tolist() == [1] * 3 and found[:, 0].all()


def train(fairseq, dna, save_dir, updates, *more, status=0, data=None):
    own = [data or dna / "data", *PRETRAINING, *SIZES, *TRAINING, "--padding-insertion", "--save-dir", save_dir]
    return fairseq("train", *own, "--max-update", updates, "--lr", "5e-3", "--batch-size", 40, *more, status=status)


@pytest.fixture(scope="module")
def pretrained(fairseq, dna, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    return folder, train(fairseq, dna, folder, 24)


@pytest.mark.slow
def test_bits_a_token_and_a_base_fall(pretrained, logged, dna):
    _, done = pretrained
    first, last = logged(done, "train_inner")[0], logged(done, "valid")[-1]
    vocabulary = len((dna / "data" / "dict.txt").read_text().splitlines())
    assert float(first["bits_per_token"]) == pytest.approx(math.log2(vocabulary), abs=1.5)
    for kind in ("bits_per_token", "bits_per_base"):
        assert float(last[f"valid_{kind}"]) < float(first[kind])
    valid = {key: float(last[f"valid_{key}"]) for key in ("loss", "bits_per_token", "nsp_loss", "nsp_accuracy")}
    assert valid["loss"] == pytest.approx(valid["bits_per_token"] + valid["nsp_loss"], abs=0.01)
    assert 0 <= valid["nsp_accuracy"] <= 100 and float(last["valid_bits_per_base"]) < 2.2


@pytest.mark.slow
def test_an_interrupted_run_equals_an_uninterrupted_one(fairseq, dna, pretrained, logged, tmp_path):
    """Over the end of an epoch: pairs, masks and gaps are those of (seed, epoch, index)."""
    losses = {r["num_updates"]: r["loss"] for r in logged(pretrained[1], "train_inner")}
    assert max(int(r["epoch"]) for r in logged(pretrained[1], "train_inner")) > 1
    train(fairseq, dna, tmp_path, 3)
    second = train(fairseq, dna, tmp_path, 24, "--num-workers", 0)
    assert [losses[r["num_updates"]] == r["loss"] for r in logged(second, "train_inner")] == [True] * 21


@pytest.mark.slow
def test_it_starts_other_tasks(fairseq, dna, pretrained, tmp_path):
    """The LM head goes on in masked language modelling, which reads the same folder."""
    own = [dna / "data", "--task", "littlebird_masked_lm", "--criterion", "masked_lm", "--tokens-per-sample", 64]
    own += [*SIZES, *TRAINING, "--context-type", "--finetune-from-model", pretrained[0] / "checkpoint_last.pt"]
    done = fairseq("train", *own, "--max-update", 1, "--save-dir", tmp_path)
    assert "newly initialised" not in done.stdout
    state = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)["model"]
    assert not [name for name in state if name.startswith("next_sentence_head.")]


def line_of(done):
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.slow
def test_bad_input_is_one_line(fairseq, dna, tiny, tmp_path):
    done = train(fairseq, dna, tmp_path, 1, data=tiny / "questions", status=2)
    assert "prepared for question answering; --task dna_pretraining expects one of littlebird-prepare dna" in line_of(
        done
    )
    done = train(fairseq, dna, tmp_path, 1, data=tiny / "text", status=2)
    assert line_of(done).endswith("text: not of DNA; make one: littlebird-prepare dna")
    done = train(fairseq, dna, tmp_path, 1, "--mask-prob", 0, status=2)
    assert "--mask-prob" in line_of(done)
    own = [dna / "data", "--task", "dna_pretraining", *SIZES, *TRAINING, "--save-dir", tmp_path]
    assert line_of(fairseq("train", *own, status=2)).endswith("give --criterion masked_lm_nsp")
    own = [tiny / "text", "--task", "littlebird_masked_lm", "--criterion", "masked_lm_nsp", *SIZES, *TRAINING]
    assert line_of(fairseq("train", *own, status=2)).endswith("take dna_pretraining")
    shutil.copytree(dna / "data", tmp_path / "older")
    settings = json.loads((tmp_path / "older" / "prepared.json").read_text())
    (tmp_path / "older" / "prepared.json").write_text(json.dumps(settings | {"version": 0}))
    assert "of another version" in line_of(train(fairseq, dna, tmp_path, 1, data=tmp_path / "older", status=2))


def test_a_folder_of_dna_is_no_text_for_recurring_spans(fairseq, dna, tmp_path):
    own = [dna / "data", "--task", "recurring_span_selection", "--criterion", "recurring_span_selection", *SIZES]
    assert "prepared for pretraining on DNA" in line_of(fairseq("train", *own, *TRAINING, status=2))


def test_other_models_have_no_gaps(parts):
    with pytest.raises(UserError, match="--padding-insertion"):
        parts("longformer_tiny", "--padding-insertion")
