"""Labelled texts become what fairseq's sentence_prediction reads."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fairseq.data import Dictionary, data_utils

from fairseq_littlebird.data import classification_writer
from fairseq_littlebird.data.classification_metadata import ClassificationMetadata, read_metadata
from fairseq_littlebird.data.classification_preparation import prepare_texts, summary_lines
from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.glue import GLUE_TASKS
from fairseq_littlebird.formats.texts import TextOptions
from fairseq_littlebird.text.tokenizers import load_tokenizer

WORDS = [f"w{chr(97 + n)}" for n in range(26)]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """WordPiece, a word a token."""
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "vocab.txt").write_text("\n".join(["[UNK]", *WORDS]) + "\n", "utf-8")
    (folder / "dict.txt").write_text("".join(f"{word} 1\n" for word in WORDS), "utf-8")
    return folder


@pytest.fixture
def prepare(tokenizer, tmp_path):
    """``prepare(train=[records], …)`` writes and prepares files; gives the folder and the summaries."""

    def prepare(name="out", **arguments):
        files = {}
        for split in ("test", "train", "valid"):  # in another order than fairseq's
            records = arguments.pop(split, None)
            if isinstance(records, Path):
                files[split] = [records]
            elif records is not None:
                files[split] = [tmp_path / f"{split}.jsonl"]
                files[split][0].write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
        own = load_tokenizer(tokenizer), tokenizer / "dict.txt", tmp_path / name
        return tmp_path / name, prepare_texts(files, *own, **arguments)

    return prepare


def items(folder, part, split):
    data = MappedItems(folder / part / split)
    return [np.asarray(data[n]).tolist() for n in range(len(data))]


def texts(folder, split, part="input0"):
    """The words of each item, which ends with </s>."""
    dictionary = Dictionary.load(str(folder / "input0" / "dict.txt"))
    found = items(folder, part, split)
    assert all(tokens[-1] == dictionary.eos() for tokens in found)
    return [" ".join(dictionary[token] for token in tokens[:-1]) for tokens in found]


def ids(folder, split):
    return [bytes(name).decode() for name in items(folder, "id", split)]


def test_one_label_a_text(prepare, tokenizer):
    out, summaries = prepare(
        train=[{"text": "wa wb\n\n wc", "label": 10}, {"text": "wd", "label": "other"}, {"text": "", "label": 9}],
        valid=[{"text": "we nonsense", "label": "9", "id": "ü"}],
    )
    assert texts(out, "train") == ["wa wb wc", "wd", ""] and texts(out, "valid") == ["we <unk>"]
    assert (ids(out, "train"), ids(out, "valid")) == ([f"train.jsonl:{n}" for n in (1, 2, 3)], ["ü"])
    assert read_metadata(out) == ClassificationMetadata(("9", "10", "other"))
    labels = Dictionary.load(str(out / "label" / "dict.txt"))
    assert labels.symbols[labels.nspecial :] == ["0", "1", "2"]
    numbers = [[labels[token] for token in item] for item in items(out, "label", "train")]
    assert numbers == [["1", "</s>"], ["2", "</s>"], ["0", "</s>"]]
    assert json.loads((out / "train.gold.json").read_text("utf-8")) == dict(
        zip(ids(out, "train"), ["10", "other", "9"], strict=True)
    )
    assert json.loads((out / "valid.gold.json").read_text("utf-8")) == {"ü": "9"}
    assert not (out / "input1").exists() and (out / "input0" / "vocab.txt").exists()
    assert (out / "input0" / "dict.txt").read_bytes() == (tokenizer / "dict.txt").read_bytes()
    loaded = data_utils.load_indexed_dataset(str(out / "input0" / "train"), labels)
    assert [len(loaded[n]) for n in range(3)] == [4, 2, 1]
    assert {key: summaries["train"][key] for key in ("texts", "tokens", "longest", "cut", "empty", "unknown")} == {
        "texts": 3, "tokens": 10, "longest": 5, "cut": 0, "empty": 1, "unknown": 0,
    }  # fmt: skip
    assert "25.000% unknown" in summary_lines("valid", summaries["valid"])[0]  # of four with <s> and </s>
    assert summary_lines("valid", summaries["valid"])[1].startswith("valid: 9 1, ")


def test_several_labels_and_pairs(prepare):
    records = [
        {"text": "wa wb", "text2": "wc", "labels": ["y", "x"]},
        {"text": "wd", "text2": "wh", "labels": []},
        {"text": "we", "text2": "wf wg", "labels": ["z"]},
    ]
    out, summaries = prepare(train=records, test=records[:2])
    assert read_metadata(out) == ClassificationMetadata(("x", "y", "z"), "multi_label")
    assert texts(out, "train", "input1") == ["wc", "wh", "wf wg"]
    first = Dictionary().nspecial
    assert items(out, "label", "train") == [[first + 1, first, 2], [2], [first + 2, 2]]
    assert json.loads((out / "test.gold.json").read_text()) == {"test.jsonl:1": ["y", "x"], "test.jsonl:2": []}
    assert summaries["train"]["labels"] == {"x": 1, "y": 1, "z": 1}


def test_long_texts_are_cut_and_counted(prepare):
    long = " ".join(WORDS)
    out, summaries = prepare(
        train=[{"text": long, "label": "a"}, {"text": "wa", "label": "b"}, {"text": "wa", "label": "b"}],
        max_tokens=16,
    )
    assert texts(out, "train")[0] == " ".join(WORDS[:14])
    assert (summaries["train"]["cut"], summaries["train"]["lost"], summaries["train"]["longest"]) == (1, 12, 16)
    pair = [{"text": "wa wb wc", "text2": long, "label": "a"}]
    out, _ = prepare("pairs", train=pair, max_tokens=16)
    assert texts(out, "train") == ["wa wb wc"]
    assert texts(out, "train", "input1") == [" ".join(WORDS[:9])]  # <s> three </s>, </s> nine </s>


def test_the_same_for_any_number_of_workers(prepare):
    records = [{"text": " ".join(WORDS[: n % 26]), "label": "ab"[n % 2]} for n in range(60)]
    one, two = (prepare(f"{workers}", train=records, workers=workers)[0] for workers in (1, 2))
    files = [file.relative_to(one) for file in sorted(one.rglob("*")) if file.is_file()]
    assert len(files) == 2 * 3 + 5  # and prepared.json, gold, two dict.txt, vocab.txt
    assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


def test_labels_from_elsewhere(prepare, tmp_path):
    trained, _ = prepare("trained", train=[{"text": "wa", "labels": ["b", "a"]}])
    out, _ = prepare("new", test=[{"text": "wb"}, {"text": "wc"}], labels=trained)
    assert read_metadata(out) == ClassificationMetadata(("a", "b"), "multi_label", frozenset({"test"}))
    assert not list((out / "label").glob("test*")) and not (out / "test.gold.json").exists()
    (tmp_path / "labels.txt").write_text("b\n\na\nunused\n")
    out, summaries = prepare("list", train=[{"text": "wa", "label": "a"}], labels=tmp_path / "labels.txt")
    assert read_metadata(out) == ClassificationMetadata(("b", "a", "unused"))
    assert summaries["train"]["labels"] == {"b": 0, "a": 1, "unused": 0}


A, B = {"text": "wa", "label": "a"}, {"text": "wb", "label": "b"}
FAULTS = {
    "valid.jsonl, line 2: the label 'b' is unknown in training": {"train": [A], "valid": [A, B]},
    "test.jsonl, line 1: one label here, lists": {"train": [A], "test": [{"text": "wa", "labels": ["a"]}]},
    "train.jsonl, line 2: no label": {"train": [A, {"text": "wa"}]},
    "line 2: a label here, none there": {"train": [A], "test": [{"text": "wa"}, A]},
    'line 2: "text2" here and none elsewhere': {"train": [A, {**A, "text2": "wb"}]},
    "line 2: the id '1' comes twice": {"train": [{**A, "id": 1}, {**B, "id": "1"}]},
    "train.jsonl: an empty file": {"train": []},
    "the labels are not known": {"test": [A]},
    "no label in the training split": {"train": [{"text": "wa", "labels": []}]},
    "no input files": {},
    "--max-tokens 5": {"train": [A], "max_tokens": 5},
}


@pytest.mark.parametrize("says", FAULTS)
def test_bad_input(prepare, tmp_path, says):
    with pytest.raises(UserError) as error:
        prepare(**FAULTS[says])
    assert says in str(error.value)
    assert not (tmp_path / "out").exists()


def test_bad_label_lists(prepare, tmp_path):
    for content, says in (("a\nb\na\n", "'a' comes twice"), ("\n", "no label in it"), ("b\n", "line 1: the label 'a'")):
        (tmp_path / "labels.txt").write_text(content)
        with pytest.raises(UserError, match=says):
            prepare(train=[A], labels=tmp_path / "labels.txt")
    with pytest.raises(UserError, match="no prepared.json"):
        prepare(train=[A], labels=tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [("{", "damaged"), ('{"version": 3}', "not of labelled"), ('{"dataset": "classification"}', "another version")],
)
def test_a_folder_that_is_another(tmp_path, content, says):
    assert read_metadata(tmp_path) is None
    (tmp_path / "prepared.json").write_text(content)
    with pytest.raises(UserError, match=says):
        read_metadata(tmp_path)


def table(tmp_path, name, content):
    (tmp_path / name).write_text(content, "utf-8")
    return tmp_path / name


def test_named_columns(prepare, tmp_path):
    """Columns and members of any name; of a table without a row of names by their numbers, with quotes as they are."""
    columns = {"text": "title", "text2": "body", "label": "class"}
    rows = table(tmp_path, "a.csv", 'title,text,class,body\n"wa, wb",no,x,wc\nwd,no,y,we\n')
    out, _ = prepare(train=rows, options=TextOptions(columns=columns))
    assert texts(out, "train")[1] == "wd"
    assert texts(out, "train", "input1") == ["wc", "we"] and read_metadata(out).labels == ("x", "y")
    members = [{"title": "wa", "body": "wb", "class": "x", "text": "no"}]
    out, _ = prepare("json", train=members, options=TextOptions(columns=columns))
    assert (texts(out, "train"), texts(out, "train", "input1")) == (["wa"], ["wb"])
    bare = table(tmp_path, "b.tsv", 'x\twa "wb\ny\twc"\n')
    own = TextOptions(columns={"label": "1", "text": "2"}, header=False, quotes=False)
    out, _ = prepare("bare", train=bare, options=own)
    assert json.loads((out / "train.gold.json").read_text()) == {"b.tsv:1": "x", "b.tsv:2": "y"}


SCORED = TextOptions(regression=True)
TABLE_FAULTS = {
    "a.csv, line 1: no column 'tilte', but 'title' (its columns: title, class)": (
        "title,class\nwa,x\n",
        TextOptions(columns={"text": "tilte", "label": "class"}),
    ),
    "a.csv, row 1: a row of names (text, label)": (
        "text,label\nwa,x\n",
        TextOptions(columns={"text": "1", "label": "2"}, header=False),
    ),
    "a.csv: its first row names the columns wa, x": ("wa,x\nwb,y\n", TextOptions()),
    "a.csv: --no-header without --columns": ("wa,x\nwb,y\n", TextOptions(header=False)),
    'a.csv, row 2: the score is "high"': ("text,score\nwa,1\nwb,high\n", SCORED),
    'a.csv, row 2: the score is "nan"': ("text,score\nwa,1\nwb,nan\n", SCORED),
    "a.csv, row 2: no score": ("text,score\nwa,1\nwb,\n", SCORED),
    "all scores are equal": ("text,score\nwa,1\nwb,1.0\n", SCORED),
    "a.csv, row 2: an empty text2": ("text,text2,label\nwa,wb,x\nwa,,x\n", TextOptions()),
    "a.csv, row 2: 3 cells under 2 names": ("text,label\nwa,x\nwa,wb,x\n", TextOptions()),
}


@pytest.mark.parametrize("says", TABLE_FAULTS)
def test_bad_tables(prepare, tmp_path, says):
    content, options = TABLE_FAULTS[says]
    with pytest.raises(UserError) as error:
        prepare(train=table(tmp_path, "a.csv", content), options=options)
    assert says in str(error.value)
    assert not (tmp_path / "out").exists()


def test_bad_rows_are_counted(prepare, tmp_path):
    rows = table(tmp_path, "a.csv", "text,text2,label\nwa,wb,x\nwa,x\nwa,,x\nwc,wd,y\n")
    out, summaries = prepare(train=rows, skip_bad=True)
    assert texts(out, "train") == ["wa", "wc"] and len(summaries["train"]["skipped"]) == 2
    assert "row 2: 2 cells" in summaries["train"]["skipped"][0]


def test_tables_of_other_columns(prepare, tokenizer, tmp_path):
    one, two = table(tmp_path, "a.csv", "text,label\nwa,x\n"), table(tmp_path, "b.csv", "text,labels\nwa,x\n")
    own = load_tokenizer(tokenizer), tokenizer / "dict.txt", tmp_path / "out"
    with pytest.raises(UserError, match=r"b.csv, line 1: other columns than .*a.csv: label, labels"):
        prepare_texts({"train": [one, two]}, *own)


def test_scores(prepare):
    records = [{"text": "wa", "score": 2}, {"text": "wb", "label": "4.5"}, {"text": "wc", "score": 3.0}]
    out, summaries = prepare(train=records, test=[{"text": "wd"}], options=SCORED)
    metadata = read_metadata(out)
    assert metadata == ClassificationMetadata((), "regression", frozenset({"test"}), (2.0, 4.5))
    assert metadata.outputs == ("score",)
    assert [float(line) for line in (out / "label" / "train.label").read_text().split()] == [0, 1, 0.4]
    gold = json.loads((out / "train.gold.json").read_text())
    assert list(gold.values()) == [2.0, 4.5, 3.0] and all(isinstance(score, float) for score in gold.values())
    assert not list((out / "label").glob("*.bin")) and summaries["train"]["labels"] == {}
    assert summary_lines("train", summaries["train"])
    again, _ = prepare("again", test=[{"text": "wa", "score": 9}], labels=out, options=SCORED)
    assert read_metadata(again).score_range == (2.0, 4.5)
    for name, arguments, says in (
        ("labels", {"test": [A], "labels": out}, "prepared with scores"),
        ("range", {"train": records, "options": SCORED, "score_range": (5.0, 1.0)}, "lowest score first"),
        (
            "other range",
            {"test": records, "options": SCORED, "labels": out, "score_range": (0.0, 5.0)},
            "scores from 2 to 4.5, not from 0 to 5; leave out --score-range",
        ),
        ("nothing", {"test": records, "options": SCORED}, "the range of the scores"),
    ):
        with pytest.raises(UserError, match=says):
            prepare(name, **arguments)


def test_glue(prepare, tmp_path):
    """STS-B's scores from 0 to 5, both MNLI sets, and labels in GLUE's order."""
    row = "{}\tmain\tMSRvid\t2012\t1\tnone\tnone\twa\twb\t{}\n"
    rows = table(tmp_path, "sts.tsv", row.format(0, 2.5) + row.format(3, 4))
    out, _ = prepare(train=rows, glue=GLUE_TASKS["STS-B"])
    assert read_metadata(out) == ClassificationMetadata((), "regression", frozenset(), (0.0, 5.0), "STS-B")
    assert (out / "label" / "train.label").read_text() == "0.5\n0.8\n" and ids(out, "train") == ["0", "3"]
    with pytest.raises(UserError, match="line 1: the score 6 is not from 0 to 5"):
        prepare("bad", train=table(tmp_path, "bad.tsv", row.format(0, 6)), glue=GLUE_TASKS["STS-B"])
    line = "index\tsentence1\tsentence2\tlabel\n0\twa\twb\tnot_entailment\n"
    out, _ = prepare("rte", train=table(tmp_path, "rte.tsv", line), glue=GLUE_TASKS["RTE"])
    assert read_metadata(out).labels == ("entailment", "not_entailment")


def test_parts_must_be_the_splits(tokenizer, tmp_path):
    (tmp_path / "input0").mkdir()
    with (
        classification_writer.SplitWriter(tmp_path, "train", ["input0"]) as writer,
        pytest.raises(ValueError, match="label"),
    ):
        writer.add([1], label=[0])


def test_real_reviews(data_dir, tokenizer, tmp_path):
    """A folder of 2,000 reviews, neg/ and pos/."""
    with zipfile.ZipFile(data_dir / "classification" / "movie_reviews.zip") as archive:
        archive.extractall(tmp_path, [name for name in archive.namelist() if name.endswith((".txt", "/"))])
    reviews, out = tmp_path / "movie_reviews", tmp_path / "out"
    own = load_tokenizer(tokenizer), tokenizer / "dict.txt", out
    summary = prepare_texts({"train": [reviews]}, *own, max_tokens=512, workers=2)["train"]
    assert (summary["texts"], summary["labels"], summary["longest"]) == (2000, {"neg": 1000, "pos": 1000}, 512)
    assert summary["cut"] > 1000 and summary["empty"] == 0
    names = ids(out, "train")
    assert names == sorted(file.relative_to(reviews).as_posix() for file in reviews.rglob("*.txt"))
    first = Dictionary().nspecial
    assert items(out, "label", "train") == [[first + name.startswith("pos/"), 2] for name in names]
    text = (reviews / names[0]).read_text("utf-8")
    assert len(items(out, "input0", "train")[0]) == min(len(load_tokenizer(tokenizer).tokenize(text)) + 1, 511)
