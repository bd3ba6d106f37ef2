"""Summarization as a user runs it: prepared, trained, resumed, generated from and scored."""

from __future__ import annotations

import gzip
import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.processes import COMMANDS, PACKAGE, environment_with
from helpers.rouge_score import RougeScorer
from helpers.summaries import SIZES, TASK, TRAINING, prepared, records, write
from helpers.training import TASKS

from fairseq_littlebird import LittleBird
from fairseq_littlebird.cli.evaluate import main as evaluate
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.errors import UserError


def losses(found):
    return {int(record["num_updates"]): record["loss"] for record in found}


@pytest.mark.parametrize("model", SIZES)
def test_an_interrupted_run_equals_an_uninterrupted_one(
    train_summarizer, logged, summary_data, summarizers, model, tmp_path
):
    folder, straight = summarizers[model]
    wanted = losses(logged(straight, "train_inner"))
    assert sorted(wanted) == [1, 2, 3, 4, 5, 6] and len(set(wanted.values())) > 1
    train_summarizer(summary_data, tmp_path, model, 3)
    second = train_summarizer(summary_data, tmp_path, model, 6)
    assert losses(logged(second, "train_inner")) == {n: wanted[n] for n in (4, 5, 6)}
    one, other = (torch.load(path / "checkpoint_last.pt", weights_only=True)["model"] for path in (folder, tmp_path))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("model", SIZES)
def test_a_killed_run_goes_on(train_summarizer, logged, tiny, summary_data, summarizers, forks, model, tmp_path):
    """From the checkpoint of the last even update, with its dropout, its epoch and its padding insertion."""
    folder, straight = summarizers[model]
    own = [summary_data, *TASK, "--cpu", *TRAINING, *SIZES[model].split(), "--save-interval-updates", 2]
    words = [COMMANDS / "fairseq-train", *own, "--save-dir", tmp_path, "--max-update", 1000, "--user-dir", PACKAGE]
    log = tmp_path / "log"
    log.touch()
    run = forks.start([*map(str, words)], log, log, tiny, environment_with())
    try:
        while '"num_updates": "3"' not in log.read_text():
            assert run.poll() is None, log.read_text()[-4000:]
            time.sleep(0.02)
    finally:
        run.kill()
        run.wait()
    second = train_summarizer(summary_data, tmp_path, model, 6, "--save-interval-updates", 2)
    wanted, found = losses(logged(straight, "train_inner")), losses(logged(second, "train_inner"))
    assert found == {n: wanted[n] for n in found} and 6 in found and 1 not in found
    one, other = (torch.load(path / "checkpoint_last.pt", weights_only=True)["model"] for path in (folder, tmp_path))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("model", SIZES)
def test_validation_reports_the_rouge_of_what_the_model_writes(logged, summary_data, summarizers, model, tmp_path):
    folder, done = summarizers[model]
    told = logged(done, "valid")[-1]
    summarizer = LittleBird.from_pretrained(folder / "checkpoint_last.pt")
    texts = MappedItems(summary_data / "valid.text")
    gold = [json.loads(line)["summary"] for line in (summary_data / "valid.gold.jsonl").read_text().splitlines()]
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    scores = []
    for n in range(6):
        written = summarizer.summarize(texts[n].tobytes().decode(), beam=1, max_length=20).text
        scores.append(scorer.score(gold[n], written))
    for kind in ("rouge1", "rouge2", "rougeL"):
        mean = 100 * sum(score[kind].fmeasure for score in scores) / 6
        assert float(told[f"valid_{kind}"]) == pytest.approx(mean, abs=0.006)


def test_two_workers_validate_as_one(launch, launch_pair, summary_data, monkeypatch, tmp_path):
    """Also where one has none of the documents whose summaries are written, or no batch left."""
    monkeypatch.setitem(TASKS, "summarization", " ".join([f"{summary_data}", *TASK, "--eval-rouge-max-length 20"]))
    own = [*SIZES["littlebird"].split(), *"--lr 0 --no-save --batch-size 2 --eval-rouge 3".split()]
    one = launch("summarization", tmp_path / "one", 1, *own, workers=1)
    for run in (one, *launch_pair("summarization", tmp_path / "two", 1, *own)):
        run.wait(timeout=300)
        assert run.returncode == 0, run.log.read_text()[-4000:]
    told = [re.findall(r"\| valid \| (\{.*\})", path.read_text()) for path in sorted(tmp_path.glob("log*"))]
    first, second = (json.loads(line[0]) for line in told if line)
    for name in ("valid_loss", "valid_rouge1", "valid_rouge2", "valid_rougeL"):
        assert first[name] == second[name], name


def test_batches_begin_with_s_and_are_padded_on_the_right(summary_data, summarizers):
    summarizer = LittleBird.from_pretrained(summarizers["littlebird"][0])
    task = summarizer.task
    task.cfg.data = str(summary_data)
    dataset = task.load_dataset("train", training=True)
    batch = dataset.collater([dataset[n] for n in (0, 1, 2)])
    tokens, lengths = batch["net_input"]["src_tokens"], batch["net_input"]["src_lengths"]
    symbols = task.dictionary
    assert (tokens[:, 0] == symbols.bos()).all()
    for row, length, index in zip(tokens, lengths, batch["id"], strict=True):
        assert row[length - 1] == symbols.eos() and (row[length:] == symbols.pad()).all()
        assert (row[:length] == dataset[int(index)]["source"]).all()
    assert (batch["net_input"]["prev_output_tokens"][:, 0] == symbols.eos()).all()
    before, target = batch["net_input"]["prev_output_tokens"][:, 1:], batch["target"][:, :-1]
    assert (before == target.masked_fill(target == symbols.eos(), symbols.pad())).all()
    positions = batch["net_input"]["positions"]
    assert positions.shape == tokens.shape and (positions.diff() >= 0).all()
    dataset.set_epoch(2)
    assert any((dataset[n]["positions"] != positions[i, : len(dataset[n]["positions"])].numpy()).any()
               for i, n in enumerate(batch["id"].tolist()))  # fmt: skip


def test_generate_and_interactive(fairseq, summary_data, summarizers, summary_files, tmp_path):
    checkpoint = summarizers["littlebird"][0] / "checkpoint_last.pt"
    common = [summary_data, "--task", "summarization", "--path", checkpoint, "--cpu", "--beam", 3]
    common += ["--no-repeat-ngram-size", 2, "--min-len", 8, "--max-len-b", 12]
    common += ["--length-penalty-kind", "gnmt", "--lenpen", 0.8]
    done = fairseq("generate", *common, "--gen-subset", "test")
    found = dict(re.findall(r"^D-(\d+)\t\S+\t(.*)$", done.stdout, re.M))
    output = tmp_path / "out"
    options = "--beam 3 --no-repeat-ngram-size 2 --min-length 8 --max-length 12 --length-penalty-kind gnmt".split()
    options += ["--length-penalty", "0.8"]
    predict([f"{summary_data}", "--path", f"{checkpoint}", "--output", f"{output}", *options])
    ours = [json.loads(line) for line in (output / "predictions.jsonl").read_text("utf-8").splitlines()]
    assert [record["id"] for record in ours] == [f"test {n}" for n in range(5)]
    assert [record["summary"] for record in ours] == [found[str(n)] for n in range(5)]
    for symbols in re.findall(r"^H-\d+\t\S+\t(.*)$", done.stdout, re.M):
        pairs = list(zip(symbols.split(), symbols.split()[1:], strict=False))
        assert len(pairs) >= 7 and len(set(pairs)) == len(pairs)
    documents = [json.loads(line)["document"] for line in summary_files["test"].read_text("utf-8").splitlines()]
    (tmp_path / "input").write_text("".join(f"{line}\n" for line in documents), "utf-8")
    done = fairseq("interactive", *common, "--input", tmp_path / "input", "--buffer-size", 5, "--batch-size", 5)
    assert dict(re.findall(r"^D-(\d+)\t\S+\t(.*)$", done.stdout, re.M)) == found


def test_predictions_are_scored_and_shown(summary_data, summarizers, tmp_path, capsys):
    output = tmp_path / "out"
    options = ["--beam", "2", "--max-length", "10", "--html"]
    predict([f"{summary_data}", "--path", f"{summarizers['led'][0]}", "--output", f"{output}", *options])
    assert "tokens (" in capsys.readouterr().out
    paths = ["--gold", f"{summary_data}/test.gold.jsonl", "--predictions", f"{output}/predictions.jsonl"]
    evaluate(["--dataset", "rouge", *paths, "--json"])
    assert json.loads(capsys.readouterr().out)["missing"] == 0
    page = next((output / "html").glob("test_0*.html")).read_text("utf-8")
    shares = [float(share) for share in re.findall(r'<a href="#s\d+">([\d.]+) %</a>', page)]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(100, abs=0.5)
    text = MappedItems(summary_data / "test.text")[0].tobytes().decode()
    shown = re.search(r'<div id="document"[^>]*>(.*?)</div>', page, re.S)[1]
    assert re.sub(r"<[^>]*>", "", shown) == text
    assert "<script" not in page


def test_a_program_gets_the_same_alone_and_together(summarizers, summary_files):
    documents = [json.loads(line)["document"] for line in summary_files["test"].read_text("utf-8").splitlines()]
    for model in SIZES:
        summarizer = LittleBird.from_pretrained(summarizers[model][0])
        together = summarizer.summarize(documents, beam=3, max_length=12, progress=False)
        alone = [summarizer.summarize(document, beam=3, max_length=12) for document in documents]
        assert [s.text for s in together] == [s.text for s in alone]
        assert np.allclose([s.score for s in together], [s.score for s in alone], atol=1e-5)


def test_a_model_begins_with_what_it_was_trained_with(train_summarizer, summary_data, tmp_path):
    train_summarizer(summary_data, tmp_path, "led", 1, "--decoder-start", "<s>", "--disable-validation")
    task = LittleBird.from_pretrained(tmp_path).task
    assert task.decoder_start == task.dictionary.bos()
    done = train_summarizer(summary_data, tmp_path, "led", 1, "--decoder-start", "<x>", status=2)
    assert "no '<x>' for --decoder-start" in done.stderr


def test_folders_joined_by_colons_are_taken_in_turn(
    train_summarizer, logged, tiny, summary_data, summary_files, tmp_path
):
    other = prepared(tiny, tmp_path / "other", "--train", summary_files["valid"])
    done = train_summarizer(f"{summary_data}:{other}", tmp_path / "run", "led", 6, "--batch-size", 20)
    epochs = {int(r["num_updates"]): int(r["epoch"]) for r in logged(done, "train_inner")}
    assert epochs == {1: 1, 2: 1, 3: 1, 4: 2, 5: 3, 6: 3}


LONG = {"id": "long", "document": "stone " * 200, "summary": "tower " * 40}


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ([], "1 documents of more than 128 tokens"),
        (["--truncate-source"], "1 summaries of more than 24 tokens"),
        (["--truncate-source", "--truncate-target"], ""),
    ],
)
def test_what_is_longer_than_the_model_is_told_or_cut(train_summarizer, tiny, summary_files, tmp_path, more, line):
    lines = [*records("long", 3), LONG]
    data = prepared(tiny, tmp_path / "data", "--train", write(tmp_path / "long.jsonl", lines))
    done = train_summarizer(data, tmp_path / "run", "led", 1, "--disable-validation", *more, status=2 if line else 0)
    assert line in done.stderr
    if not line:
        assert '"train_bsz": "4"' in done.stdout


def test_an_encoder_alone_is_refused(train_summarizer, fairseq, summary_data, span_model, tmp_path, capsys):
    own = [*TASK, "--cpu", *TRAINING]
    done = fairseq("train", summary_data, *own, "--arch", "littlebird_tiny", "--save-dir", tmp_path, status=2)
    assert "--arch littlebird_tiny is an encoder alone" in done.stderr
    with pytest.raises(SystemExit):
        predict([f"{summary_data}", "--path", f"{span_model}", "--output", f"{tmp_path}/out"])
    assert "an encoder alone, which writes no summaries" in capsys.readouterr().err


def test_data_of_another_task_are_refused(tiny, summarizers, tmp_path, capsys):
    with pytest.raises(SystemExit):
        predict([f"{tiny}/questions", "--path", f"{summarizers['led'][0]}", "--output", f"{tmp_path}/out"])
    assert "a summarizer, but the folder is of another task" in capsys.readouterr().err


@pytest.mark.parametrize("options", [{"beam": 0}, {"no_repeat_ngram_size": -1}, {"max_length": 24}, {"beams": 2}])
def test_options_that_make_no_sense_are_told(summarizers, options):
    summarizer = LittleBird.from_pretrained(summarizers["led"][0])
    with pytest.raises(UserError):
        summarizer.summarize("stone bridge", **options)
    with pytest.raises(UserError, match="an empty document"):
        summarizer.summarize(" ")
    with pytest.raises(UserError, match="more than 128 tokens"):
        summarizer.summarize("stone " * 200)
    assert summarizer.summarize("stone " * 200, beam=1, truncate=True).tokens > 0


def test_the_folder_is_the_same_for_any_number_of_workers_and_any_packing(tiny, summary_files, summary_data, tmp_path):
    packed = tmp_path / "train.jsonl"
    packed.write_bytes(gzip.compress(summary_files["train"].read_bytes()))
    splits = ["--train", packed, "--valid", summary_files["valid"], "--test", summary_files["test"], "--workers", 2]
    other = prepared(tiny, tmp_path / "other", *splits)
    for path in sorted(summary_data.iterdir()):
        assert path.read_bytes() == (other / path.name).read_bytes(), path.name


def test_tables_and_parallel_text_give_the_same_tokens(tiny, summary_files, summary_data, tmp_path):
    lines = [json.loads(line) for line in summary_files["train"].read_text("utf-8").splitlines()]
    table = "".join(f'"{r["id"]}","{r["document"]}","{r["summary"][0]}"\n' for r in lines)
    (tmp_path / "train.csv").write_text("id,article,highlights\n" + table, "utf-8")
    for name, key in (("in", "document"), ("out", "summary")):
        texts = [r[key] if isinstance(r[key], str) else r[key][0] for r in lines]
        (tmp_path / name).write_text("".join(f"{text}\n" for text in texts), "utf-8")
    table = prepared(tiny, tmp_path / "table", "--train", tmp_path / "train.csv")
    parallel = prepared(tiny, tmp_path / "parallel", "--parallel", "--train", tmp_path / "in", tmp_path / "out")
    for part in ("document", "summary", "text"):
        for folder in (table, parallel):
            assert (folder / f"train.{part}.bin").read_bytes() == (summary_data / f"train.{part}.bin").read_bytes()


def test_truncation_is_counted(tiny, summary_files, tmp_path, capsys):
    lines = [{"id": 1, "document": "stone " * 60, "summary": "tower " * 30}, *records("some", 2)]
    path = write(tmp_path / "long.jsonl", lines)
    folder = prepared(tiny, tmp_path / "out", "--train", path, "--max-tokens", 50, "--max-summary-tokens", 20)
    settings = json.loads((folder / "prepared.json").read_text("utf-8"))["splits"]["train"]
    documents, summaries = MappedItems(folder / "train.document"), MappedItems(folder / "train.summary")
    assert settings["documents_cut"] >= 1 and len(documents[0]) == 50 and settings["summaries_cut"] == 1
    assert len(summaries[0]) == 20 and documents[0][0] == 0 and documents[0][-1] == summaries[0][-1] == 2
    assert settings["document_tokens"] == documents.sizes.sum()
    assert "1 cut, which lost" in capsys.readouterr().out


GOOD = {"id": "a", "document": "stone", "summary": "tower"}


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ([GOOD, {"id": "b", "document": " ", "summary": "x"}], "line 2: an empty document (id b)"),
        ([GOOD, {"id": "b", "document": "x", "summary": []}], "line 2: an empty summary (id b)"),
        ([{"id": "a", "summary": "x"}], "no 'document' here"),
        ([{"id": "a", "document": "x"}], "line 1: no summary"),
        ([{"id": "a", "document": "x", "summary": 3}], "found 3"),
        ([GOOD, GOOD], "line 2: the id 'a' comes twice"),
    ],
)
def test_bad_records_are_one_line_and_leave_nothing(tiny, tmp_path, capsys, lines, line):
    path = write(tmp_path / "bad.jsonl", lines)
    with pytest.raises(SystemExit) as ended:
        prepared(tiny, tmp_path / "out", "--train", path)
    error = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code == 2 and line in error and error.startswith("littlebird-prepare")
    assert not (tmp_path / "out").exists() and [p.name for p in tmp_path.iterdir()] == ["bad.jsonl"]
    if "empty" in line:
        folder = prepared(tiny, tmp_path / "out", "--train", path, "--skip-empty")
        assert len(MappedItems(folder / "train.document")) == 1
        assert "1 empty ones left out, the first: " in capsys.readouterr().out


def test_broken_gzip_and_files_of_different_lengths_are_one_line(tiny, summary_files, tmp_path, capsys):
    (tmp_path / "broken.gz").write_bytes(gzip.compress(summary_files["train"].read_bytes())[:300])
    (tmp_path / "in").write_text("a\nb\n")
    (tmp_path / "out").write_text("a\n")
    for words, line in (
        (["--train", tmp_path / "broken.gz"], "damaged gzip file"),
        (["--parallel", "--train", tmp_path / "in", tmp_path / "out"], "1 lines, fewer than"),
        (["--parallel", "--train", tmp_path / "in"], "names 1 files"),
    ):
        with pytest.raises(SystemExit):
            prepared(tiny, tmp_path / "folder", *words)
        assert line in capsys.readouterr().err
        assert not Path(tmp_path / "folder").exists()


def test_documents_without_summaries_are_summarized(tiny, summarizers, tmp_path, capsys):
    path = write(tmp_path / "test.jsonl", [{"id": "x", "document": "stone bridge."}])
    folder = prepared(tiny, tmp_path / "data", "--test", path)
    assert "test: without summaries" in capsys.readouterr().out
    predict([f"{folder}", "--path", f"{summarizers['led'][0]}", "--output", f"{tmp_path}/out", "--beam", "1"])
    assert json.loads((tmp_path / "out" / "predictions.jsonl").read_text("utf-8"))["id"] == "x"
