"""Reviews become a classification data set whose test sets differ in length alone."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.text.tokenizers import load_tokenizer

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("neg", "pos")


@pytest.fixture(scope="module")
def run(forks):
    def run(*arguments, status=0, **how):
        done = forks.run([sys.executable, ROOT / "scripts" / "movie_reviews.py", *arguments], **how)
        assert done.returncode == status, done.stderr
        return done

    return run


def items(out, split):
    """Token ids without </s>, and classes."""
    texts, labels = MappedItems(out / "input0" / split), MappedItems(out / "label" / split)
    dictionary = load_dictionary(out / "input0")
    assert len(texts) == len(labels)
    assert all(texts[n][-1] == labels[n][-1] == dictionary.eos() for n in range(len(texts)))
    label = [int(labels[n][0]) - dictionary.nspecial for n in range(len(labels))]
    assert all(len(labels[n]) == 2 for n in range(len(labels)))
    return [tuple(np.asarray(texts[n])[:-1].tolist()) for n in range(len(texts))], label


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """Twenty short reviews of each class; every word tells its review."""
    folder = tmp_path_factory.mktemp("reviews")
    for label in CLASSES:
        (folder / label).mkdir()
        for n in range(20):
            (folder / label / f"{n}.txt").write_text(" ".join([f"{label}{chr(97 + n)}"] * (3 + n)) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """WordPiece, a word a token."""
    folder = tmp_path_factory.mktemp("tokenizer")
    words = [f"{label}{chr(97 + n)}" for label in CLASSES for n in range(20)]
    (folder / "vocab.txt").write_text("\n".join(["[UNK]", *words]) + "\n", "utf-8")
    (folder / "dict.txt").write_text("".join(f"{word} 1\n" for word in words), "utf-8")
    return folder


def test_splits_lengths_and_labels(run, reviews, tokenizer, tmp_path):
    out = tmp_path / "out"
    arguments = ["--data", reviews, "--tokenizer", tokenizer, "--train-length", 10, "--lengths", "10,25,60"]
    run(*arguments, "--out", out, "--valid-share", 0.2, "--test-share", 0.4)
    dictionary = load_dictionary(out / "input0")

    def names(tokens):
        return [dictionary[token] for token in tokens]

    seen = {}
    for split, count in {"train": 16, "valid": 8, "test10": 16, "test25": 16, "test60": 16}.items():
        texts, labels = items(out, split)
        assert len(texts) == count and sum(labels) == count // 2
        assert all(name.startswith(CLASSES[label]) for t, label in zip(texts, labels, strict=True) for name in names(t))
        seen[split] = {name for t in texts for name in names(t)}
        if split in ("train", "valid"):  # one review an item, at most 10 tokens with <s> and </s>
            assert all(len(set(t)) == 1 and len(t) == min(8, 3 + ord(names(t)[0][-1]) - 97) for t in texts)
        else:
            assert {len(t) for t in texts} == {int(split[4:]) - 2}
            assert len({t[0] for t in texts}) == count  # a review of its own begins each item
    assert not seen["train"] & seen["valid"] and not (seen["train"] | seen["valid"]) & seen["test60"]
    assert len(seen["train"] | seen["valid"] | seen["test60"]) == 40
    for shorter, longer in (("test10", "test25"), ("test25", "test60")):
        pairs = zip(items(out, shorter)[0], items(out, longer)[0], strict=True)
        assert all(long[: len(short)] == short for short, long in pairs)
    for tokens in items(out, "test60")[0]:  # no review twice in an item
        changes = [b for a, b in zip((0, *tokens), tokens, strict=False) if a != b]
        assert len(changes) == len(set(changes)) > 2


def test_the_seed_decides(run, reviews, tokenizer, tmp_path):
    texts = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        arguments = ["--data", reviews, "--tokenizer", tokenizer, "--lengths", "40", "--seed", seed]
        run(*arguments, "--out", tmp_path / name, new_interpreter=name == "b")  # whose strings hash otherwise
        texts[name] = [items(tmp_path / name, split)[0] for split in ("train", "test40")]
    assert texts["a"] == texts["b"] != texts["c"]


def test_bad_input_is_one_line(run, reviews, tokenizer, tmp_path):
    cases = {
        "neg/": ["--data", tmp_path],
        "--items": ["--data", reviews, "--items", "4000"],
        "No such file": ["--data", tmp_path / "none.zip"],
    }
    for says, arguments in cases.items():
        done = run(*arguments, "--tokenizer", tokenizer, "--out", tmp_path / "out", status=2)
        lines = [line for line in done.stderr.splitlines() if "INFO" not in line]
        assert len(lines) == 1 and says in lines[0]
    assert not (tmp_path / "out").exists()


def test_real_reviews_train_and_validate(run, forks, data_dir, tiny, commands, tmp_path):
    """As the help says it, on texts cut to 64 tokens."""
    source, out = data_dir / "classification" / "movie_reviews.zip", tmp_path / "out"
    arguments = ["--data", source, "--tokenizer", tiny / "tokenizer", "--train-length", 64, "--lengths", "64,256"]
    run(*arguments, "--items", 40, "--out", out)
    tokenizer, dictionary = load_tokenizer(tiny / "tokenizer"), load_dictionary(tiny / "tokenizer")
    begins = {}
    with zipfile.ZipFile(source) as archive:
        for name in archive.namelist():
            if name.endswith(".txt"):
                symbols = tokenizer.tokenize(archive.read(name)[:1000].decode("utf-8", "replace"))[:62]
                label = CLASSES.index(Path(name).parent.name)
                begins.setdefault(tuple(map(dictionary.index, symbols)), set()).add(label)
    sets = {split: items(out, split) for split in ("train", "valid", "test64")}
    assert [len(sets[split][0]) for split in sets] == [1200, 200, 40]
    for texts, labels in sets.values():
        assert all(label in begins[text] for text, label in zip(texts, labels, strict=True) if len(text) == 62)
    assert sum(map(len, begins.values())) < 1.01 * len(begins)

    def fairseq(command, *more):
        task = """--task littlebird_sentence_prediction --num-classes 2 --criterion sentence_prediction --cpu
            --batch-size 16 --num-workers 0""".split()
        words = [commands / f"fairseq-{command}", out, "--user-dir", ROOT / "fairseq_littlebird", *task, *more]
        done = forks.run(words)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    sizes = """--arch littlebird_tiny --encoder-layers 1 --encoder-embed-dim 32 --encoder-ffn-embed-dim 32
        --encoder-attention-heads 2 --pack-size 8 --block-size 16 --optimizer adam --max-update 2""".split()
    saved = ["--save-dir", tmp_path / "saved", "--no-epoch-checkpoints"]
    fairseq("train", "--padding-insertion", *sizes, *saved)
    path = ["--path", tmp_path / "saved" / "checkpoint_last.pt", "--log-format", "simple"]
    log = fairseq("validate", *path, "--valid-subset", "test64,test256")
    for split in ("test64", "test256"):
        [accuracy] = re.findall(rf"valid on '{split}' subset.* accuracy ([0-9.]+)", log)
        assert 0 <= float(accuracy) <= 100 and float(accuracy) % 2.5 == 0  # of 40 items
