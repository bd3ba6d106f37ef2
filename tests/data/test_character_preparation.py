"""littlebird-prepare characters: no character is lost, and what is wrong is named with its place."""

from __future__ import annotations

import gzip
import json
import random

import pytest
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDataset

from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.data import character_preparation
from fairseq_littlebird.data.folder_kind import CHARACTERS, LINES, check_kind
from fairseq_littlebird.data.token_stream import TokenStream
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers import load_tokenizer

TEXT = "Ein Bär,\r\nzwei\tBären \n\n▁ 漢字 👩🏽\x00 ﬁn\u2028"


def text_of(folder, split):
    """What the data set of a split spells."""
    symbols = Dictionary.load(str(folder / "dict.txt")).symbols
    stream = TokenStream.of_split(folder, split)
    return load_tokenizer(folder).decode(symbols[token] for token in stream.read(0, len(stream)))


@pytest.mark.parametrize("more", [[], ["--bytes"], ["--workers", "2"], ["--bytes", "--workers", "2"]], ids=" ".join)
def test_every_character_comes_back(tmp_path, monkeypatch, more):
    """Items and chunks much shorter than the text, which end inside of lines and characters."""
    monkeypatch.setattr(character_preparation, "CHUNK", 7)
    monkeypatch.setattr(character_preparation, "ITEM", 5)
    (tmp_path / "a").write_bytes(TEXT.encode())
    (tmp_path / "b.gz").write_bytes(gzip.compress(TEXT[:9].encode()))
    (tmp_path / "c").write_bytes(TEXT[3:20].encode())
    files = ["--input", f"{tmp_path}/a", f"{tmp_path}/b.gz", "--valid", f"{tmp_path}/c"]
    prepare(["characters", *files, "--destdir", f"{tmp_path}/out", *more])
    whole = TEXT + TEXT[:9]
    assert text_of(tmp_path / "out", "train") == whole and text_of(tmp_path / "out", "valid") == TEXT[3:20]
    said = json.loads((tmp_path / "out" / "prepared.json").read_text("utf-8"))
    assert said["unit"] == ("bytes" if "--bytes" in more else "characters")
    length = len(whole.encode() if "--bytes" in more else whole)
    assert said["splits"]["train"] == {"tokens": length, "characters": len(whole), "bytes": len(whole.encode())}


def test_fairseq_reads_it(tmp_path):
    (tmp_path / "a").write_text("aab\na", "utf-8")
    prepare(["characters", "--input", f"{tmp_path}/a", "--destdir", f"{tmp_path}/out"])
    assert (tmp_path / "out" / "dict.txt").read_text("utf-8") == "a 3\n<U+000A> 1\nb 1\n"
    items = MMapIndexedDataset(str(tmp_path / "out" / "train"))
    assert [item.tolist() for item in items] == [[4, 4, 6, 5, 4]]


def test_the_dictionary_of_an_earlier_folder(tmp_path):
    (tmp_path / "a").write_text("some text\n", "utf-8")
    (tmp_path / "b").write_text("met\n", "utf-8")
    prepare(["characters", "--input", f"{tmp_path}/a", "--destdir", f"{tmp_path}/one"])
    given = ["--dict", f"{tmp_path}/one/dict.txt", "--destdir", f"{tmp_path}/two"]
    prepare(["characters", "--test", f"{tmp_path}/b", *given])
    for name in ("dict.txt", "characters.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert text_of(tmp_path / "two", "test") == "met\n"


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("chunk", [3, 1000])
def test_an_unknown_character_is_named_with_its_place(tmp_path, monkeypatch, capsys, chunk, workers):
    monkeypatch.setattr(character_preparation, "CHUNK", chunk)
    rng = random.Random(chunk)
    (tmp_path / "train").write_text("ab\n", "utf-8")
    text = "".join(rng.choice("ab\n") for _ in range(40))
    at = rng.randrange(20, 40)
    (tmp_path / "valid").write_text(f"{text[:at]}Z{text[at:]}Q", "utf-8")
    files = ["--input", f"{tmp_path}/train", "--valid", f"{tmp_path}/valid", "--workers", workers]
    with pytest.raises(SystemExit, match="2"):
        prepare(["characters", *files, "--destdir", f"{tmp_path}/out"])
    line, column = text[:at].count("\n") + 1, at - text[:at].rfind("\n")
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"valid, line {line}, column {column}: the character 'Z' (U+005A) is not in the dictionary; " in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("", "no input files; give --input, --valid or --test files"),
        ("--valid {0}/text", "nothing says which characters there are; give --input, or the --dict of a model"),
        ("--input {0}/empty", "empty: no text in this file; leave the file out"),
        ("--input {0}/none", "none: No such file or directory"),
        ("--input {0}/binary", "binary, line 1: not UTF-8 text"),
        ("--test {0}/text --dict {0}/bytes.txt", "bytes.txt: a dictionary of bytes; add --bytes"),
        ("--test {0}/text --dict {0}/words.txt", "words.txt: not a dictionary of characters"),
        ("--test {0}/text --dict {0}/words.txt --bytes", "words.txt: not a dictionary of all bytes"),
        ("--input {0}/text --workers 0", "expected a positive whole number, got '0'"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, arguments, message):
    from fairseq_littlebird.text.tokenizers import ByteTokenizer

    (tmp_path / "text").write_text("text", "utf-8")
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"a\xe9b")
    (tmp_path / "words.txt").write_text("a 1\nword 1\nother 1\n", "utf-8")
    (tmp_path / "bytes.txt").write_text("".join(f"{s} 1\n" for s in ByteTokenizer().symbols()), "utf-8")
    with pytest.raises(SystemExit, match="2"):
        prepare(["characters", *arguments.format(tmp_path).split(), "--destdir", f"{tmp_path}/out"])
    said = capsys.readouterr().err
    assert "Traceback" not in said and message in said.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_another_task_refuses_the_folder(tmp_path):
    (tmp_path / "a").write_text("text", "utf-8")
    prepare(["characters", "--input", f"{tmp_path}/a", "--destdir", f"{tmp_path}/out"])
    check_kind(f"{tmp_path}/out", "littlebird_language_modeling", CHARACTERS)
    message = "out: this folder was prepared for character-level language models; --task masked_lm expects one of fair"
    with pytest.raises(UserError, match=message):
        check_kind(f"{tmp_path}/out", "masked_lm", LINES)


def test_real_characters(data_dir, tmp_path):
    files = [data_dir / "char_lm" / f"text8_like.{split}.txt" for split in ("train", "valid", "test")]
    arguments = zip(("--input", "--valid", "--test"), map(str, files), strict=True)
    prepare(["characters", *(word for pair in arguments for word in pair), "--destdir", f"{tmp_path}/out"])
    assert len(load_tokenizer(tmp_path / "out").symbols()) == 27
    for split, file in zip(("valid", "test"), files[1:], strict=True):
        assert text_of(tmp_path / "out", split) == file.read_text("utf-8")
    assert len(TokenStream.of_split(tmp_path / "out", "train")) == len(files[0].read_text("utf-8"))


def test_real_bytes(data_dir, tmp_path):
    files = sorted((data_dir / "text_en" / "litbank").glob("*_the_*.txt"))[:3]
    prepare(["characters", "--bytes", "--input", *map(str, files), "--destdir", f"{tmp_path}/out"])
    text = b"".join(file.read_bytes() for file in files).decode()
    assert text_of(tmp_path / "out", "train") == text
    said = json.loads((tmp_path / "out" / "prepared.json").read_text("utf-8"))["splits"]["train"]
    assert said == {"tokens": len(text.encode()), "characters": len(text), "bytes": len(text.encode())}
