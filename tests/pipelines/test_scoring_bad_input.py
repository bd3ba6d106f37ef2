"""What littlebird-score refuses, in one line and with exit status 2."""

from __future__ import annotations

import pytest
from helpers.language_models import as_fairseqs, bare

from fairseq_littlebird.cli.score import main as score


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            "--length 64 --stride 65",
            "--stride 65 is over --length 64: tokens between two windows",
        ),
        ("--stride 0", "expected a positive whole number, got '0'"),
        ("--length -5", "expected a positive whole number, got '-5'"),
        ("--max-tokens 0", "expected a positive whole number, got '0'"),
        ("--split other", "data/other: no such split; name one of test, train, valid"),
        ("--path nowhere", "nowhere: no such checkpoint or folder"),
        ("--path {encoder}", "a checkpoint of --task recurring_span_selection; give a language model"),
        ("--path {damaged}", "not a readable PyTorch file"),
        ("--tokenizer {damaged}", "not a tokenizer file"),
        ("--device moon", "unknown device 'moon'"),
    ],
)
def test_bad_input_is_one_line(characters, character_model, span_model, tmp_path, capsys, arguments, message):
    (tmp_path / "damaged.pt").write_bytes(b"damaged")
    words = arguments.format(encoder=span_model, damaged=tmp_path / "damaged.pt").split()
    with pytest.raises(SystemExit, match="2"):
        score([f"{characters}/data", "--path", f"{character_model}", *words])
    said = capsys.readouterr()
    assert "Traceback" not in said.err and message in said.err.splitlines()[-1] and not said.out


def test_no_data_is_one_line(character_model, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        score([f"{tmp_path}/none", "--path", f"{character_model}"])
    assert "none: no such folder" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("own", [True, False], ids=["carried", "beside the data"])
def test_data_of_another_dictionary_is_one_line(characters, character_model, changed, tmp_path, capsys, own):
    path = character_model if own else changed(as_fairseqs(characters / "data"))
    data = bare(characters, tmp_path / "bare")
    first, second, *lines = (data / "dict.txt").read_text("utf-8").splitlines(keepends=True)
    (data / "dict.txt").write_text("".join([second, first, *lines]), "utf-8")
    with pytest.raises(SystemExit, match="2"):
        score([f"{data}", "--path", f"{path}"])
    said = capsys.readouterr().err.splitlines()[-1]
    assert "dictionary" in said and "differs from" in said and "id 4 is" in said


def test_options_that_change_what_a_text_begins_with_are_one_line(characters, changed, capsys):
    path = changed(lambda content: content["cfg"]["task"].update(add_bos_token=True))
    with pytest.raises(SystemExit, match="2"):
        score([f"{characters}/data", "--path", f"{path}"])
    said = capsys.readouterr().err.splitlines()[-1]
    assert "trained with --add-bos-token; score it with fairseq-eval-lm" in said
