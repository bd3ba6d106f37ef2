"""Text files become pretraining text."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "text_corpus.py"


@pytest.fixture(scope="module")
def run(forks):
    def run(*arguments, status=0, **how):
        done = forks.run([sys.executable, SCRIPT, *arguments], **how)
        assert done.returncode == status, done.stderr
        return done

    return run


def documents(out, name):
    text = (out / f"{name}.txt").read_text("utf-8")
    return [document.strip("\n").split("\n") for document in text.split("\n\n")]


@pytest.fixture
def texts(tmp_path):
    """A folder of wrapped texts and a zip of speeches with a paragraph a line."""
    folder = tmp_path / "novels"
    folder.mkdir()
    for n in range(8):
        wrapped = f"CHAPTER {n}\n\n\nIt was the best of  times,\nit was the worst\n  of times {n}.\n \n\nThe end.\n"
        (folder / f"{n}.txt").write_text(wrapped, "utf-8")
    with zipfile.ZipFile(tmp_path / "speeches.zip", "w") as archive:
        archive.writestr("notes.md", "no text")
        for n in range(4):
            archive.writestr(f"speeches/{n}.txt", f"Speech {n}\n{'My fellow citizens. ' * 20}\n\nApplause.\n")
    return folder, tmp_path / "speeches.zip"


def test_paragraphs_and_documents(run, texts, tmp_path):
    out = tmp_path / "out"
    run("--input", *texts, "--out", out, "--valid-share", 0.3)
    parts = {name: documents(out, name) for name in ("train", "valid")}
    everything = sorted(parts["train"] + parts["valid"])
    novels = [
        [f"CHAPTER {n}", f"It was the best of times, it was the worst of times {n}.", "The end."] for n in range(8)
    ]
    speeches = [[f"Speech {n}", ("My fellow citizens. " * 20).strip(), "Applause."] for n in range(4)]
    assert everything == sorted(novels + speeches)
    for kind in ("CHAPTER", "Speech"):  # each kind in each part, in about its share
        held = sum(document[0].startswith(kind) for document in parts["valid"])
        assert held == {"CHAPTER": 2, "Speech": 1}[kind]


def test_the_seed_decides(run, texts, tmp_path):
    valid = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2), ("d", 3)):
        options = ["--out", tmp_path / name, "--valid-share", 0.3, "--seed", seed]
        run("--input", *texts, *options, new_interpreter=name == "b")  # whose strings hash otherwise
        valid[name] = (tmp_path / name / "valid.txt").read_text("utf-8")
    assert valid["a"] == valid["b"]
    assert len({valid["a"], valid["c"], valid["d"]}) > 1


def test_an_old_encoding_is_read_and_told(run, texts, tmp_path):
    (texts[0] / "8.txt").write_bytes("Café — naïve".encode("cp1252"))
    done = run("--input", texts[0], "--out", tmp_path / "out")
    assert "8.txt: not UTF-8" in done.stderr
    out = tmp_path / "out"
    assert "Café — naïve" in "".join((out / f"{name}.txt").read_text("utf-8") for name in ("train", "valid"))


def test_bad_input_is_one_line(run, texts, tmp_path):
    (tmp_path / "broken.zip").write_bytes(texts[1].read_bytes()[:100])
    (tmp_path / "empty").mkdir()
    cases = {
        "broken.zip": ["--input", tmp_path / "broken.zip"],
        "no .txt file": ["--input", tmp_path / "empty"],
        "No such file": ["--input", tmp_path / "none.txt"],
        "valid.txt": ["--input", texts[0] / "0.txt"],
    }
    for says, arguments in cases.items():
        done = run(*arguments, "--out", tmp_path / "out", status=2)
        lines = [line for line in done.stderr.splitlines() if "INFO" not in line]
        assert len(lines) == 1 and says in lines[0]
    assert not (tmp_path / "out").exists()


def test_real_texts(run, data_dir, tmp_path):
    folder = data_dir / "text_en"
    out = tmp_path / "out"
    run("--input", folder / "litbank", folder / "state_union.zip", "--out", out)
    train, valid = documents(out, "train"), documents(out, "valid")
    with zipfile.ZipFile(folder / "state_union.zip") as archive:
        speeches = sum(name.endswith(".txt") for name in archive.namelist())
    assert len(train) + len(valid) == speeches + len(list((folder / "litbank").glob("*.txt")))
    sizes = [sum(len(line) for document in part for line in document) for part in (train, valid)]
    assert 0.03 < sizes[1] / sum(sizes) <= 0.05
    words = sum(len(file.read_text("utf-8").split()) for file in (folder / "litbank").glob("*.txt"))
    with zipfile.ZipFile(folder / "state_union.zip") as archive:
        words += sum(len(archive.read(name).decode("cp1252", "replace").split()) for name in archive.namelist())
    assert sum(len(line.split()) for document in train + valid for line in document) == pytest.approx(words, rel=1e-3)
    # a paragraph ends as sentences do, wrapped lines anywhere
    comma = [line.endswith((",", " the", " of", " and")) for document in train for line in document]
    assert sum(comma) < 0.02 * len(comma)
