"""What is wrong with a summarizer's input is told in one line, by each command and in a program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.summaries import write

from fairseq_littlebird import LittleBird
from fairseq_littlebird.cli.predict import main as predict
from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.errors import UserError

LONG = "stone " * 200


def one_line(done: Any, told: str) -> None:
    """The last line of errors, and no traceback before it."""
    assert told in done.stderr.splitlines()[-1], done.stderr[-3000:]
    assert "Traceback" not in done.stderr and "\nD-" not in done.stdout


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--beam", 0], "a beam of 0"),
        (["--beam", -3], "a beam of -3"),
        (["--no-repeat-ngram-size", -1], "a no-repeat n-gram size of -1"),
        (["--lenpen", "nan"], "a length penalty of nan"),
    ],
)
def test_options_of_fairseqs_commands(
    fairseq: Callable[..., Any], summary_data: Path, summarizers: Any, tmp_path: Path, more: list[Any], told: str
) -> None:
    common = [summary_data, "--task", "summarization", "--path", summarizers["led"][0] / "checkpoint_last.pt", "--cpu"]
    (tmp_path / "input").write_text("stone bridge\n")
    one_line(fairseq("generate", *common, "--gen-subset", "test", *more, status=2), told)
    one_line(fairseq("interactive", *common, "--input", tmp_path / "input", *more, status=2), told)


def test_documents_given_to_interactive(
    fairseq: Callable[..., Any], summary_data: Path, summarizers: Any, tmp_path: Path
) -> None:
    """One of more tokens than LED's positions, which --truncate-source cuts; and an empty line."""
    common = [summary_data, "--task", "summarization", "--path", summarizers["led"][0] / "checkpoint_last.pt", "--cpu"]
    common += ["--beam", 1, "--max-len-b", 5, "--input", tmp_path / "input"]
    (tmp_path / "input").write_text(f"{LONG}\n")
    one_line(fairseq("interactive", *common, status=2), "1 documents of more than 128 tokens")
    assert "\nD-0" in fairseq("interactive", *common, "--truncate-source").stdout
    (tmp_path / "input").write_text("stone bridge\n\n")
    one_line(fairseq("interactive", *common, "--buffer-size", 2, status=2), "an empty document")


def test_an_encoder_alone_given_to_fairseqs_commands(
    fairseq: Callable[..., Any], tiny: Path, summary_data: Path, span_model: Path, tmp_path: Path
) -> None:
    common = [summary_data, "--task", "summarization", "--path", span_model, "--cpu"]
    (tmp_path / "input").write_text("stone bridge\n")
    for name, more in (("generate", ["--gen-subset", "test"]), ("interactive", ["--input", tmp_path / "input"])):
        one_line(fairseq(name, *common, *more, status=2), "is an encoder alone")
    model = LittleBird.from_pretrained(span_model, tokenizer=tiny / "tokenizer")
    with pytest.raises(UserError, match="writes no summaries"):
        model.summarize("stone bridge")


def test_a_prompt_longer_than_the_decoder(
    fairseq: Callable[..., Any], tiny: Path, summarizers: Any, tmp_path: Path
) -> None:
    """--prefix-size takes the beginning of the gold summary for it."""
    path = write(tmp_path / "a.jsonl", [{"id": "a", "document": "stone", "summary": "tower " * 60}])
    words = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt", "--destdir", f"{tmp_path}/d"]
    prepare(["summarization", "--test", f"{path}", *words])
    common = [tmp_path / "d", "--task", "summarization", "--path", summarizers["led"][0] / "checkpoint_last.pt"]
    done = fairseq("generate", *common, "--cpu", "--gen-subset", "test", "--prefix-size", 50, status=2)
    one_line(done, "1 summaries of more than 24 tokens")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--beam", "0"], "--beam: expected a positive"),
        (["--no-repeat-ngram-size", "-1"], "--no-repeat-ngram-size: expected"),
        (["--max-length", "24"], "the model writes at most 23"),
        (["--length-penalty", "inf"], "a length penalty of inf"),
    ],
)
def test_options_of_predict(
    summary_data: Path,
    summarizers: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    told: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        predict([f"{summary_data}", "--path", f"{summarizers['led'][0]}", "--output", f"{tmp_path}/out", *options])
    assert ended.value.code == 2 and told in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_long_document_given_to_predict(
    tiny: Path, summarizers: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.jsonl", [{"id": "a", "document": LONG}])
    words = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tiny}/tokenizer/dict.txt", "--destdir", f"{tmp_path}/d"]
    prepare(["summarization", "--test", f"{path}", *words])
    own = [f"{tmp_path}/d", "--path", f"{summarizers['led'][0]}", "--output", f"{tmp_path}/out", "--beam", "1"]
    with pytest.raises(SystemExit) as ended:
        predict(own)
    assert ended.value.code == 2 and "1 documents of more than 128 tokens" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
    predict([*own, "--truncate"])
    assert (tmp_path / "out" / "predictions.jsonl").exists()
