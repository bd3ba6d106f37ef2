"""Zips of texts: they are read in memory, so nothing that they say can be written anywhere."""

from __future__ import annotations

import io
import os
import runpy
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats import zip_files
from fairseq_littlebird.formats.zip_files import zipped

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("reviews/neg/1.txt", "reviews/pos/2.txt")


def archive(*members, method=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as out:
        for name, content in members:
            out.writestr(name, content)
    return stream.getvalue()


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def test_zips(hostile):
    content = archive(*((name, f"{name} sang\n" * 9) for name in NAMES))

    def read(folder):
        for name, raw in zipped(folder / "x.zip", ".txt"):
            assert name.endswith(".txt") and len(raw) <= zip_files.LARGEST

    hostile.run({"x.zip": hostile.Bytes(content)}, read=read)


EVIL = [
    ("../evil.txt", "one two"),
    ("/tmp/evil.txt", "one two"),
    ("..\\evil.txt", "one two"),
    ("a/../../evil.txt", "x y"),
]


@pytest.mark.parametrize("script", ["text_corpus.py", "movie_reviews.py"])
def test_names_that_lead_out_of_the_folder(tmp_path, monkeypatch, script):
    """Their texts are read as any other's; beside the output nothing is written."""
    data = tmp_path / "in" / "x.zip"
    data.parent.mkdir()
    members = [(f"{place}/{label}/{n}.txt", f"{label} word {n}\n" * 3)
               for place in ("..", "/evil", "a/../../..") for label in ("neg", "pos") for n in range(4)]  # fmt: skip
    members += [*EVIL, (link("pos/link.txt"), "/etc/passwd"), ("pos/folder.txt/", "")]
    data.write_bytes(archive(*members))
    (data.parent / "vocab.txt").write_text("[UNK]\nneg\npos\nword\n")
    (data.parent / "dict.txt").write_text("neg 1\npos 1\nword 1\n")
    before = {file: file.stat().st_mtime_ns for file in data.parent.iterdir()}
    options = {
        "text_corpus.py": ["--input", data],
        "movie_reviews.py": ["--data", data, "--tokenizer", data.parent],
    }[script]
    words = [script, *options, "--out", tmp_path / "out" / "new"]
    monkeypatch.setattr(sys, "argv", [*map(str, words)])
    monkeypatch.chdir(data.parent)
    runpy.run_path(str(ROOT / "scripts" / script), run_name="__main__")
    assert {*tmp_path.iterdir()} == {tmp_path / "in", tmp_path / "out"}
    assert [*(tmp_path / "out").iterdir()] == [tmp_path / "out" / "new"]
    assert {file: file.stat().st_mtime_ns for file in data.parent.iterdir()} == before
    assert not any(file.is_symlink() for file in (tmp_path / "out").rglob("*"))
    assert not Path("/tmp/evil.txt").exists() and not Path("/evil").exists()
    texts = b"".join(file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file())
    assert b"root:" not in texts  # a link is the text of its target, never the target


def encrypted(content):
    """The first file's flag for a password set, in both its headers."""
    content = bytearray(content)
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    return bytes(content)


def declared(content, size):
    """Another size for the first file than it has, in both its headers."""
    content, at = bytearray(content), content.index(b"PK\1\2")
    content[22:26] = content[at + 24 : at + 28] = size.to_bytes(4, "little")
    return bytes(content)


BOMB = archive(("x.txt", b"\0" * (1 << 22)))
FAULTS = {
    "cut": (archive(("x.txt", "one"))[:-9], "not a whole zip"),
    "no zip": (b"PK\3\4 hello", "not a whole zip"),
    "a password": (encrypted(archive(("x.txt", "one"))), "encrypted"),
    "an unknown method": (archive(("x.txt", "one")).replace(b"\x08\x00", b"\x63\x00"), "not a plain zip"),
    "a bomb": (BOMB, "x.txt: 4194304 bytes in one file"),
    "a bomb that lies": (declared(BOMB, 9), "not a whole zip"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_zips_that_are_refused(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(zip_files, "LARGEST", 1 << 20)
    content, message = FAULTS[fault]
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        list(zipped(tmp_path / "x.zip", ".txt"))
    assert str(tmp_path / "x.zip") in str(error.value)
    assert os.listdir(tmp_path) == ["x.zip"]


def test_evidence_outside_its_folder(tmp_path):
    """A question of TriviaQA names its documents; none of them is read from elsewhere."""
    from fairseq_littlebird.datasets.question_files import read_questions

    (tmp_path / "evidence" / "wikipedia").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    for name in ("../../secret.txt", str(tmp_path / "secret.txt"), "a/../../../secret.txt"):
        page = f'{{"QuestionId": "a", "Question": "?", "EntityPages": [{{"Filename": "{name}"}}]}}'
        (tmp_path / "x.json").write_text(f'{{"Data": [{page}]}}')
        with pytest.raises(UserError, match="is not in evidence/"):
            list(read_questions("triviaqa", tmp_path / "x.json"))
