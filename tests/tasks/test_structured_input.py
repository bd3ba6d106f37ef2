"""Structured input of every data set's own files: what global tokens stand for, through training to predictions."""

from __future__ import annotations

import json
import re

import pytest
import torch

from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.data.question_answering_dataset import QuestionAnsweringDataset
from fairseq_littlebird.data.structured_input import StructuredInput
from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.text.global_tokens import CANDIDATE, PARAGRAPH, QUESTION, SENTENCE

NAMES = ("hotpotqa", "natural_questions", "triviaqa", "wikihop")
ETC = """--arch bigbird_etc_tiny --structured-input --encoder-layers 2 --encoder-embed-dim 32
    --encoder-ffn-embed-dim 48 --encoder-attention-heads 2"""
TRAINING = """--task question_answering --criterion question_answering --span-head independent --cpu --optimizer adam
    --lr 1e-3 --batch-size 2 --max-update 2 --no-epoch-checkpoints --disable-validation --log-format json
    --log-interval 1 --num-workers 0""".split()


@pytest.fixture(scope="module")
def items(prepared):
    """``items(name)``: windows of the first questions, with their global tokens and their document."""

    def items(name, in_text=False, count=10):
        spec = DATASETS[name]
        structured = StructuredInput(spec.global_input, spec.segments, in_text)
        questions = PreparedQuestions(prepared(name), "test")
        data = QuestionAnsweringDataset(questions, 1, False, segments_and_types=True, structured=structured)
        found = [data[index] for index in range(min(count, len(data)))]
        return data, [
            (window, one, item["example"])
            for item in found
            for window, one in zip(item["windows"], item["globals"], strict=True)
        ]

    return items


def text(window, example, first, last):
    start = window.context_start
    return example.document[window.offsets[first - start, 0] : window.offsets[last - start, 1]]


@pytest.mark.parametrize("name", NAMES)
def test_global_tokens_stand_for_what_the_records_have(items, gold, name):
    """Sentences, paragraphs and candidates of the official file, from the tokens that belong to a global token."""
    _, windows = items(name)
    kinds = DATASETS[name].global_input.kinds
    for window, found, _ in windows:
        assert {part.kind for part in found.parts[1:]} <= set(kinds) and found.dropped == 0
        assert len(found.parts) <= DATASETS[name].global_input.maximum
        questions = [part.first for part in found.parts if part.kind == QUESTION]
        assert questions == list(range(2, window.context_start - 1))
        for g, part in enumerate(found.parts[1:], start=1):
            own = (found.owners == g).any(axis=1).nonzero()[0]
            whole = list(range(part.first, part.last + 1))
            if part.kind == SENTENCE:  # a token may end one sentence and begin the next, whose it is then
                assert own.tolist() in (whole, whole[:-1])
            elif name != "natural_questions":  # whose paragraphs may be three deep
                assert own.tolist() == whole
        for m, g in enumerate(found.segments.tolist()):
            assert (found.parts[g].first, found.parts[g].last) == tuple(window.segments[m].tolist())
    record = json.loads(gold["hotpotqa"].read_text("utf-8"))[0] if name == "hotpotqa" else None
    if record:
        window, found, example = windows[0]
        paragraphs = [text(window, example, p.first, p.last) for p in found.parts if p.kind == PARAGRAPH]
        sentences = [text(window, example, p.first, p.last) for p in found.parts if p.kind == SENTENCE]
        assert paragraphs == [f"{title}\n{''.join(own)}".strip() for title, own in record["context"]]
        assert sentences == [s.strip() for _, own in record["context"] for s in own if s.strip()]


def test_candidates_are_linked_to_their_mentions(items, gold):
    _, windows = items("wikihop")
    records = json.loads(gold["wikihop"].read_text("utf-8"))
    for (window, found, example), record in zip(windows, records, strict=True):
        candidates = {g: part for g, part in enumerate(found.parts) if part.kind == CANDIDATE}
        assert [text(window, example, p.first, p.last) for p in candidates.values()] == record["candidates"]
        linked = 0
        for (g, _), candidate in zip(candidates.items(), record["candidates"], strict=True):
            where = (found.mentions == g).nonzero()[0]
            for run in [run for run in _runs(where.tolist()) if len(run)]:
                said = text(window, example, run[0], run[-1]).strip().casefold()
                assert candidate.casefold() in re.sub(r"\s+", " ", said)
                linked += 1
        assert linked > 5


def _runs(indices):
    runs = [[]]
    for i in indices:
        if runs[-1] and i != runs[-1][-1] + 1:
            runs.append([])
        runs[-1].append(i)
    return runs


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_has_them_for_either_model(items, name):
    data, windows = items(name, count=2)
    net_input = data.collater([data[0]])["net_input"]
    B, L = net_input["src_tokens"].shape
    G = max(len(found.parts) for _, found, _ in windows[:B])
    assert net_input["global_kinds"].shape == net_input["global_groups"].shape == (B, G)
    assert net_input["global_owners"].shape == (B, L, 2) and net_input["global_mentions"].shape == (B, L)
    assert net_input["segment_globals"].shape == net_input["segments"].shape[:2]
    data, _ = items(name, in_text=True, count=1)
    batch = data.collater([data[0]])
    chosen, start = batch["net_input"]["global_tokens"], int(batch["net_input"]["context_starts"][0])
    assert chosen.shape == batch["net_input"]["src_tokens"].shape
    assert chosen[0, 2 : start - 1].all() and bool(chosen[:, start:].any()) == (name in ("hotpotqa", "wikihop"))


@pytest.fixture(scope="module")
def few(gold, data_dir, prepared, tmp_path_factory):
    """``few(name)``: the first records of a data set's sample, prepared as train and test."""
    made = {}

    def few(name):
        if name not in made:
            folder, text = tmp_path_factory.mktemp(name), gold[name].read_text("utf-8")
            records = text.splitlines()[:1] if name == "natural_questions" else [json.dumps(json.loads(text)[:3])]
            (folder / "few.json").write_text("\n".join(records), "utf-8")
            words = prepared(name) / "dict.txt"  # with HTML tags
            own = ["--train", f"{folder}/few.json", "--test", f"{folder}/few.json", "--dict", f"{words}"]
            own += ["--tokenizer", f"{data_dir}/vocab/gpt2_bpe", "--destdir", f"{folder}/out", "--max-tokens", "2048"]
            prepare(["qa", "--dataset", name, *own, "--stride", "1024"])
            made[name] = folder / "out"
        return made[name]

    return few


@pytest.mark.parametrize("name", ["hotpotqa", "natural_questions", "wikihop"])
def test_trained_and_asked(fairseq, logged, few, tmp_path, name):
    more = ["--max-global-tokens", "30"] if name == "hotpotqa" else []
    validated = [*(word for word in TRAINING if word != "--disable-validation"), "--valid-subset", "test"]
    done = fairseq("train", few(name), *validated, *ETC.split(), *more, "--save-dir", tmp_path)
    log, valid = logged(done, "train_inner"), logged(done, "test")[-1]
    assert float(valid["test_loss"]) > 0 and 0 <= float(valid["test_evidence_accuracy"]) <= 100
    assert len(log) == 2 and all(float(record["loss"]) > 0 for record in log)
    assert ("dropped_global_tokens" in log[-1]) == bool(more)
    state = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    assert state["model"]["encoder.global_embedding"].shape == (5, 32)
    assert state["model"]["encoder.layers.0.attention.relative"].shape == (2, 2, 29, 16)
    assert state["model"]["segment_head.score.weight"].shape == (1, 32)
    if name == "wikihop":  # spans have no part in it
        assert float(log[-1]["start_loss"]) == 0 < float(log[-1]["loss"])
    path, out = f"{tmp_path}/checkpoint_last.pt", tmp_path / "out"
    predict([f"{few(name)}", "--path", path, "--output", f"{out}", "--device", "cpu"])
    assert json.loads((out / "predictions.json").read_text("utf-8"))


def test_noisy_answers_train_with_a_global_token_a_sentence(fairseq, logged, prepared, tmp_path):
    own = [*TRAINING, *ETC.split(), "--windows-per-question", "1", "--save-dir", tmp_path]
    done = fairseq("train", prepared("triviaqa", 512), *own)
    assert float(logged(done, "train_inner")[-1]["loss"]) > 0


def test_a_model_of_even_global_tokens_starts_one_of_structured_input(fairseq, few, tmp_path):
    even = [word for word in ETC.split() if word != "--structured-input"]
    folder = few("wikihop")
    fairseq("train", folder, *TRAINING, *even, "--save-dir", tmp_path / "even")
    start = ["--finetune-from-model", tmp_path / "even" / "checkpoint_last.pt", "--lr", "0"]
    fairseq("train", folder, *TRAINING, *ETC.split(), *start, "--save-dir", tmp_path / "structured")
    theirs, ours = (
        torch.load(tmp_path / name / "checkpoint_last.pt", weights_only=True)["model"]
        for name in ("even", "structured")
    )
    key = "encoder.layers.0.attention.relative"
    assert torch.equal(ours["encoder.global_embedding"], theirs["encoder.global_embedding"].expand(5, -1))
    assert torch.equal(ours[key][:, :, :27], theirs[key])
    assert torch.equal(ours[key][:, :, 27], theirs[key][:, :, 26])  # a mention starts as belonging
    assert torch.equal(ours[key][:, :, 28], theirs[key][:, :, 25])


def test_too_few_global_tokens_are_one_line(fairseq, few, tmp_path):
    options = [*TRAINING, *ETC.split(), "--max-global-tokens", "1", "--save-dir", tmp_path]
    done = fairseq("train", few("wikihop"), *options, status=2)
    assert done.stderr.strip().splitlines()[-1].endswith("--max-global-tokens 1; give at least 2, or leave it out")


def test_longformer_trains_and_answers_with_the_same_tokens(fairseq, logged, few, tmp_path):
    own = "--arch longformer_tiny --structured-input --encoder-layers 1 --max-positions 4096".split()
    done = fairseq("train", few("hotpotqa"), *TRAINING, *own, "--save-dir", tmp_path)
    assert len(logged(done, "train_inner")) == 2
    path = f"{tmp_path}/checkpoint_last.pt"
    predict([f"{few('hotpotqa')}", "--path", path, "--output", f"{tmp_path}/out", "--device", "cpu"])
    assert len(json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))["sp"]) == 3
