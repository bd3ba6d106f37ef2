from __future__ import annotations

import json
import pickle
import pydoc_data.topics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairseq_littlebird.data.preparation import prepare_questions
from fairseq_littlebird.data.preparation_summary import summary_lines
from fairseq_littlebird.data.prepared import PARTS, PreparedQuestions
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics.squad import exact_match
from fairseq_littlebird.text.example import Answer
from fairseq_littlebird.text.tokenizers import UNKNOWN, dictionary_text, load_tokenizer
from fairseq_littlebird.text.training import train_sentencepiece

AWKWARD = [
    *(
        "\r\n",
        "\t",
        "  ",
        "\n\n",
        "\x00",
        "\x07",
        "\x1c",
        "\x85",
        "\xa0",
        "\xad",
        "\u2028",
        "\u200b",
        "\ufeff",
    ),
    *(
        "\u0301",
        "e\u0301",
        "한국어",
        "カ\u3099",
        "漢字",
        "👩\u200d👩\u200d👧",
        "🇰🇷",
        "❤\ufe0f",
        "ﬁne",
        "½",
        "¨",
        "Ǆ",
    ),
    *("▁", "Ġ", "##", "[QUESTION]", "[SEP]", "<s>", "<mask>", "The ", "statement ", "is ", "a ", "value. "),
]
contexts = st.lists(st.one_of(st.sampled_from(AWKWARD), st.text(max_size=4)), max_size=15).map("".join)
KINDS = ["unigram", "bpe", "no-fallback", "gpt2", "koelectra"]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "topics.txt"
    path.write_text("\n\n".join(list(pydoc_data.topics.topics.values())[:25]), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tokenizers(tmp_path_factory, corpus):
    """kind -> (tokenizer, dict.txt)."""
    made = {}

    def make(kind: str, data_dir: Path | None = None):
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            if kind in ("gpt2", "koelectra"):
                pytest.importorskip("tokenizers")
                name = "gpt2_bpe" if kind == "gpt2" else "koelectra_vocab.txt"
                tokenizer = load_tokenizer(data_dir / "vocab" / name)
            else:
                path = folder / "sentencepiece.model"
                model_type = "unigram" if kind == "no-fallback" else kind
                train_sentencepiece([corpus], 600, path, model_type, byte_fallback=kind != "no-fallback")
                tokenizer = load_tokenizer(path)
            (folder / "dict.txt").write_text(dictionary_text(tokenizer), encoding="utf-8")
            made[kind] = (tokenizer, folder / "dict.txt")
        return made[kind]

    return make


def write_squad(path: Path, *documents) -> Path:
    """``documents``: context, then (id, question, [(text, start)...]) each; ``None`` for unanswerable."""
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": identity,
                    "question": question,
                    "answers": [{"text": t, "answer_start": s} for t, s in answers],
                }
                for identity, question, answers in questions
            ],
        }
        for context, *questions in documents
    ]
    path.write_text(json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]}), encoding="utf-8")
    return path


def predictions(prepared: PreparedQuestions, index: int) -> set[str]:
    """The document's characters under each gold span of each window."""
    example, indices = prepared.example(index)
    texts = set()
    for window in map(prepared.window, indices):
        for first, last in window.spans:
            start = window.offsets[first - window.context_start, 0]
            end = window.offsets[last - window.context_start, 1]
            texts.add(example.document[start:end])
    return texts


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_gold_predictions_of_any_unicode_score_100(kind, tokenizers, request, tmp_path_factory, data):
    """Spans between token boundaries come back to the character; others within the tokens that they cut.

    A boundary is where a token that is not white space starts or ends. What no token covers, white space and
    characters that the normalizer deletes, may be missing at the ends of an arbitrary span, nowhere else.
    """
    real = request.getfixturevalue("data_dir") if kind in ("gpt2", "koelectra") else None
    tokenizer, dictionary = tokenizers(kind, real)
    documents, aligned, arbitrary = [], {}, {}
    for number, context in enumerate(data.draw(st.lists(contexts, min_size=1, max_size=8))):
        _, offsets = tokenizer.encode(context)
        solid = [(s, e) for s, e in offsets if context[s:e].strip() == context[s:e] != ""]
        questions = []
        if solid:
            i = data.draw(st.integers(0, len(solid) - 1))
            j = data.draw(st.integers(i, min(i + 8, len(solid) - 1)))
            start, end = solid[i][0], solid[j][1]
            aligned[f"aligned {number}"] = (context[start:end], start)
            questions.append((f"aligned {number}", "where is it?", [(context[start:end], start)]))
        if context:
            start = data.draw(st.integers(0, len(context) - 1))
            end = data.draw(st.integers(start + 1, min(start + 12, len(context))))
            arbitrary[f"arbitrary {number}"] = (context[start:end], start, offsets)
            questions.append((f"arbitrary {number}", "where\tis it?", [(context[start:end], start)]))
        documents.append((context, *questions))
    if not aligned and not arbitrary:
        return
    folder = tmp_path_factory.mktemp("property")
    join = data.draw(st.booleans())
    file = write_squad(folder / "squad.json", *documents)
    prepare_questions(
        "squad",
        {"valid": [file]},
        tokenizer,
        dictionary,
        folder / "out",
        max_tokens=64,
        stride=17,
        join_articles=join,
    )
    prepared = PreparedQuestions(folder / "out", "valid")
    for index in range(len(prepared)):
        example, _ = prepared.example(index)
        found = predictions(prepared, index)
        if example.id in aligned and not join:
            text, _ = aligned[example.id]
            assert found == {text}
            assert exact_match(found.pop(), text) == 1
        elif example.id in arbitrary and not join:
            text, start, offsets = arbitrary[example.id]
            assert_tightly_covered(example.document, start, start + len(text), offsets, found)
        elif example.id in aligned:
            text, _ = aligned[example.id]
            assert all(text in prediction for prediction in found)


def assert_tightly_covered(document, start, end, offsets, found) -> None:
    touched = [(s, e) for s, e in offsets if max(s, start) < min(e, end)]
    kept = {i for s, e in touched for i in range(s, e)}
    wanted = {i for i in range(start, end) if i in kept and not document[i].isspace()}
    if not wanted:
        return
    assert len(found) == 1
    (text,) = found
    low = min(s for s, e in touched)
    # the prediction is a stretch of the touched tokens that holds every wanted character
    places = [p for p in range(low, end) if document.startswith(text, p)]
    assert any(wanted <= set(range(p, p + len(text))) and p + len(text) <= max(e for _, e in touched) for p in places)


def test_windows_hold_the_question_and_every_context_token_once_an_offset(tmp_path, tokenizers):
    tokenizer, dictionary = tokenizers("unigram")
    context = "The value is 12.\r\n\tA statement \u200bends. " * 20
    file = write_squad(tmp_path / "f.json", (context, ("a", "What ends?", [("12", 13)]), ("b", "Why?", [])))
    prepare_questions("squad", {"train": [file]}, tokenizer, dictionary, tmp_path / "out", max_tokens=50, stride=9)
    symbols = Dictionary.load(str(tmp_path / "out" / "dict.txt"))
    prepared = PreparedQuestions(tmp_path / "out", "train")
    pieces, offsets = tokenizer.encode(context)
    ids = [symbols.index(piece) for piece in pieces]
    assert len(prepared) == 2 and prepared.num_windows == len(prepared.window_sizes)
    first_of_next = 0
    for index, question in enumerate(("What ends?", "Why?")):
        example, indices = prepared.example(index)
        assert example.document == context and example.question == question
        assert indices.start == first_of_next
        first_of_next = indices.stop
        asked = [symbols.index(piece) for piece in tokenizer.encode(question)[0]]
        for k, w in enumerate(indices):
            window = prepared.window(w)
            n = len(window.offsets)
            assert window.example == index and window.tokens.dtype == np.int64
            assert window.tokens.tolist() == [
                *(symbols.bos(), symbols.index("[QUESTION]"), *asked, symbols.eos()),
                *ids[k * 9 : k * 9 + n],
                symbols.eos(),
            ]
            assert window.context_start == len(asked) + 3
            assert window.offsets.tolist() == [list(pair) for pair in offsets[k * 9 : k * 9 + n]]
            assert len(window.tokens) == prepared.window_sizes[w] <= 50
        assert window.offsets[-1].tolist() == list(offsets[-1])
    assert symbols.index("[QUESTION]") == len(symbols) - 1
    windows = [prepared.window(w) for w in range(prepared.num_windows)]
    assert prepared.window_examples().tolist() == [window.example for window in windows]
    assert prepared.window_sizes.dtype == prepared.window_examples().dtype == np.int32
    answered = [bool(window.spans) for window in windows]
    assert 0 < sum(answered) < len(prepared.example(0)[1])
    middle = prepared.example(1)[1].start - 1
    for first, stop in ((0, len(windows)), (middle, middle + 3), (1, 2), (2, 2)):
        assert prepared.window_answered(first, stop).tolist() == answered[first:stop]


def test_the_files_are_fairseqs_own(tmp_path, tokenizers):
    tokenizer, dictionary = tokenizers("unigram")
    file = write_squad(tmp_path / "f.json", ("A value.", ("a", "What?", [("value", 2)])), ("é", ("b", "?", [])))
    prepare_questions("squad", {"test": [file]}, tokenizer, dictionary, tmp_path / "out")
    prepared = PreparedQuestions(tmp_path / "out", "test")
    stock = {name: MMapIndexedDataset(str(tmp_path / "out" / f"test.{name}")) for name in PARTS}
    symbols = Dictionary.load(str(tmp_path / "out" / "dict.txt"))
    assert [bytes(item.tolist()).decode() for item in stock["documents"]] == ["A value.", "é"]
    for text, tokens, offsets in zip(("A value.", "é"), stock["tokens"], stock["offsets"], strict=True):
        pieces, pairs = tokenizer.encode(text)
        assert tokens.tolist() == [symbols.index(piece) for piece in pieces]
        assert offsets.tolist() == [character for pair in pairs for character in pair]
    assert json.loads(bytes(stock["examples"][1].tolist())) == {
        **{"id": "b", "question": "?", "title": "t", "document": 1, "answers": [], "segments": [], "answer_type": ""},
    }
    asked = [symbols.index(piece) for piece in tokenizer.encode("What?")[0]]
    assert stock["questions"][0].tolist() == asked
    (span,) = prepared.window(0).spans
    shift = prepared.window(0).context_start
    assert stock["spans"][0].tolist() == [0, span[0] - shift, span[1] - shift]
    assert stock["spans"][1].tolist() == [1]
    assert [row.tolist() for row in stock["windows"]] == [
        [0, 0, len(stock["tokens"][0])],
        [1, 0, len(stock["tokens"][1])],
    ]
    assert prepared.settings["symbols"] == {"<s>": 0, "[QUESTION]": len(symbols) - 1, "</s>": 2}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_windows_hold_exactly_the_answers_that_lie_wholly_in_them(tokenizers, tmp_path_factory, data):
    """Against a search in the text: a window's spans are those of the answers that its context covers."""
    tokenizer, dictionary = tokenizers("unigram")
    words = [f"w{i}" for i in range(data.draw(st.integers(1, 60)))]
    context = " ".join(words)
    place = st.integers(0, len(words) - 1)
    questions = []
    for number in range(data.draw(st.integers(1, 4))):
        answers = []
        for first, more in data.draw(st.lists(st.tuples(place, st.integers(0, 12)), max_size=5)):
            text = " ".join(words[first : first + more + 1])
            answers.append((text, len(" ".join([*words[:first], ""]))))
        questions.append((f"{number}", "What " * data.draw(st.integers(0, 12)), answers))
    folder = tmp_path_factory.mktemp("inside")
    file = write_squad(folder / "f.json", (context, *questions))
    stride = data.draw(st.integers(1, 27))
    prepare_questions("squad", {"test": [file]}, tokenizer, dictionary, folder / "out", max_tokens=32, stride=stride)
    prepared = PreparedQuestions(folder / "out", "test")
    after = 0
    for index, (_, _, answers) in enumerate(questions):
        example, indices = prepared.example(index)
        assert (indices.start, example.id) == (after, questions[index][0])
        after = indices.stop
        for w in indices:
            window = prepared.window(w)
            low, high = window.offsets[0, 0], window.offsets[-1, 1]
            inside = {text for text, start in answers if low <= start and start + len(text) <= high}
            found = [
                window.offsets[[first - window.context_start, last - window.context_start]].ravel()
                for first, last in window.spans
            ]
            assert {context[span[0] : span[-1]].strip() for span in found} == inside
            assert len(found) == len(inside) and window.example == index
            assert prepared.window_answered(w, w + 1).tolist() == [bool(inside)]
    assert after == prepared.num_windows


def hard_cases(tmp_path) -> Path:
    far = "x" * 200
    return write_squad(
        tmp_path / "hard.json",
        ("the gold is here", ("good", "q", [("gold", 4), ("gold", 4)]), ("moved", "q", [("gold", 9)])),
        ("gold gold", ("twice", "q", [("gold", 2)]), ("half", "q", [("gold", 2), ("gold", 5)])),
        ("gold" + far, ("far", "q", [("gold", 150)]), ("outside", "q", [("silver", 0)])),
        ("", ("no context", "q", [])),
        ("\u200b \t", ("blank context", "q", [])),
        ("a gold one", ("no question", " ", [("gold", 2)]), ("negative", "q", [("gold", -3)])),
        ("a gold one", ("long", "word " * 60, [("gold", 2)]), ("null", "q", [])),
        ("gold " * 60, ("wide", "q", [("gold " * 50, 0)])),
    )


def test_every_example_is_counted(tmp_path, tokenizers):
    tokenizer, dictionary = tokenizers("unigram")
    file = hard_cases(tmp_path)
    out = tmp_path / "out"
    summaries = prepare_questions(
        "squad", {"train": [file], "valid": [file]}, tokenizer, dictionary, out, max_tokens=64, stride=32
    )
    train, valid = summaries["train"], summaries["valid"]
    dropped = {
        "answer not found": 1,
        "empty context": 2,
        "empty question": 1,
        "question leaves less than 8 tokens of context": 1,
        "answer in no window": 1,
    }
    assert train["dropped"] == dropped and valid["untrainable"] == dropped
    assert train["untrainable"] == valid["dropped"] == {}
    assert train["read"] == 13 == train["kept"] + sum(dropped.values())
    assert valid["kept"] == valid["read"] == 13
    assert (train["repaired"], train["nearest"], train["lost"], train["unanswerable"]) == (5, 2, 1, 1)
    prepared = PreparedQuestions(out, "train")
    kept = {"good", "moved", "twice", "half", "far", "negative", "null"}
    assert {prepared.example(i)[0].id for i in range(len(prepared))} == kept
    for i in range(len(prepared)):
        example, _ = prepared.example(i)
        assert predictions(prepared, i) == {answer.text for answer in example.answers}
        assert all(example.document.startswith(a.text, a.start) for a in example.answers)
    lines = "\n".join(line for split in summaries for line in summary_lines(split, summaries[split]))
    assert "6 dropped: 1 answer not found" in lines and "kept for scoring only: 6" in lines
    report = [json.loads(line) for line in (out / "report.jsonl").read_text("utf-8").splitlines()]
    assert {"split": "train", "id": "moved", "what": "answer moved to its text", "answer": "gold"} | {
        "start": 9,
        "repaired": 4,
    } in report
    assert {r["id"] for r in report if r["what"] == "answer not found"} == {"outside"}
    assert {r.get("id") for r in report if "nearest" in r["what"]} == {"twice", "half"}


def test_evaluation_keeps_every_question_and_its_gold_text(tmp_path, tokenizers):
    tokenizer, dictionary = tokenizers("unigram")
    out = tmp_path / "out"
    prepare_questions("squad", {"test": [hard_cases(tmp_path)]}, tokenizer, dictionary, out, max_tokens=64, stride=32)
    prepared = PreparedQuestions(out, "test")
    examples = {prepared.example(i)[0].id: (i, *prepared.example(i)) for i in range(len(prepared))}
    _, example, windows = examples["outside"]
    assert example.answers == (Answer("silver", -1),) and len(windows) > 0
    assert predictions(prepared, examples["outside"][0]) == set()
    assert len(examples["long"][2]) == len(examples["no context"][2]) == 0
    assert examples["long"][1].answers == (Answer("gold", 2),)
    assert examples["no context"][1].document == ""
    assert examples["blank context"][1].document == "\u200b \t"


def test_a_long_question_gets_a_shorter_stride_and_skips_nothing(tmp_path, tokenizers):
    tokenizer, dictionary = tokenizers("unigram")
    file = write_squad(tmp_path / "f.json", ("word " * 300, ("a", "value " * 30, []), ("b", "?", [])))
    out = tmp_path / "out"
    summary = prepare_questions("squad", {"train": [file]}, tokenizer, dictionary, out, max_tokens=100, stride=90)[
        "train"
    ]
    assert summary["short_stride"] == 1 and summary["kept"] == 2
    prepared = PreparedQuestions(out, "train")
    count = len(tokenizer.encode("word " * 300)[0])
    for i in range(2):
        seen = {tuple(pair) for w in prepared.example(i)[1] for pair in prepared.window(w).offsets.tolist()}
        assert len(seen) == count


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_result_is_the_same_for_any_number_of_workers(tmp_path, tokenizers):
    tokenizer, dictionary = tokenizers("bpe")
    documents = [
        (f"Document {i} has a value. " * (i % 7 + 1), (f"a{i}", "What?", [("value", 19)]), (f"b{i}", "?", []))
        for i in range(60)
    ]
    file = write_squad(tmp_path / "f.json", *documents)
    for workers in (1, 2, 5):
        prepare_questions(
            "squad",
            {"train": [file], "valid": [file]},
            tokenizer,
            dictionary,
            tmp_path / f"{workers}",
            workers=workers,
        )
    assert files_of(tmp_path / "1") == files_of(tmp_path / "2") == files_of(tmp_path / "5")


def test_a_set_goes_to_workers_and_carries_its_tokenizer(tmp_path, tokenizers):
    tokenizer, dictionary = tokenizers("unigram")
    file = write_squad(tmp_path / "f.json", ("A value.", ("a", "What?", [("value", 2)])))
    prepare_questions("squad", {"train": [file]}, tokenizer, dictionary, tmp_path / "out")
    prepared = PreparedQuestions(tmp_path / "out", "train")
    copy = pickle.loads(pickle.dumps(prepared))
    assert copy.example(0) == prepared.example(0)
    assert len(pickle.dumps(prepared)) < 1000
    assert load_tokenizer(tmp_path / "out").encode("A value") == tokenizer.encode("A value")
    for w in (1, -1):
        with pytest.raises(IndexError):
            prepared.window(w)


@pytest.mark.parametrize("part", sorted(PARTS))
@pytest.mark.parametrize("end", ["bin", "idx"])
@pytest.mark.parametrize("damage", ["truncated", "empty", "missing", "longer"])
def test_damaged_files_are_named(tmp_path, tokenizers, part, end, damage):
    tokenizer, dictionary = tokenizers("unigram")
    out = tmp_path / "out"
    file = write_squad(tmp_path / "f.json", ("A value.", ("a", "What?", [("value", 2)])))
    prepare_questions("squad", {"train": [file]}, tokenizer, dictionary, out)
    path = out / f"train.{part}.{end}"
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"truncated": content[:-1], "empty": b"", "longer": content + b"x"}[damage])
    with pytest.raises(UserError) as error:
        PreparedQuestions(out, "train")
    assert path.name in str(error.value)


@pytest.mark.parametrize("part", sorted(set(PARTS) - {"windows"}))
def test_files_of_two_folders_do_not_mix(tmp_path, tokenizers, part):
    tokenizer, dictionary = tokenizers("unigram")
    document = ("A value.", ("a", "What?", [("value", 2)]))
    for name, documents in (("one", [document]), ("two", [document, ("A name.", ("b", "What?", []))])):
        file = write_squad(tmp_path / f"{name}.json", *documents)
        prepare_questions("squad", {"train": [file]}, tokenizer, dictionary, tmp_path / name)
    for end in ("bin", "idx"):
        name = f"train.{part}.{end}"
        (tmp_path / "one" / name).write_bytes((tmp_path / "two" / name).read_bytes())
    with pytest.raises(UserError, match="files of different lengths .*prepare the folder again"):
        PreparedQuestions(tmp_path / "one", "train")


def test_folders_that_were_not_prepared_are_named(tmp_path, tokenizers):
    tokenizer, dictionary = tokenizers("unigram")
    with pytest.raises(UserError, match="not a prepared folder"):
        PreparedQuestions(tmp_path, "train")
    out = tmp_path / "out"
    file = write_squad(tmp_path / "f.json", ("A value.", ("a", "What?", [("value", 2)])))
    prepare_questions("squad", {"train": [file]}, tokenizer, dictionary, out)
    with pytest.raises(UserError, match="no split 'valid'"):
        PreparedQuestions(out, "valid")
    (out / "prepared.json").write_text('{"version": 99}')
    with pytest.raises(UserError, match="another version"):
        PreparedQuestions(out, "train")


def test_bad_input_leaves_a_good_folder_alone(tmp_path, tokenizers):
    tokenizer, dictionary = tokenizers("unigram")
    out = tmp_path / "out"
    good = write_squad(tmp_path / "good.json", ("A value.", ("a", "What?", [("value", 2)])))
    twice = write_squad(tmp_path / "twice.json", ("A value.", ("b", "?", []), ("b", "?", [])))
    empty = write_squad(tmp_path / "empty.json", ("A value.",))
    hopeless = write_squad(tmp_path / "hopeless.json", ("A value.", ("c", "?", [("gold", 0)])))

    def prepare(*files, **more):
        return prepare_questions("squad", {"train": list(files)}, tokenizer, dictionary, out, **more)

    prepare(good)
    before = files_of(out)
    other = tmp_path / "other.txt"
    other.write_text("x 1\ny 1\n")
    for files, more, message in [
        ([good], {}, "not empty"),
        ([twice], {"overwrite": True}, "'b' comes twice"),
        ([good, good], {"overwrite": True}, "'a' comes twice"),
        ([good, empty], {"overwrite": True}, "empty.json: no question"),
        ([hopeless], {"overwrite": True}, "1 answer not found"),
        ([good], {"overwrite": True, "stride": 508}, "stride"),
        ([good], {"overwrite": True, "stride": 0}, "stride"),
        ([good], {"overwrite": True, "max_tokens": 8, "stride": 2}, "max-tokens"),
        ([tmp_path / "none.json"], {"overwrite": True, "workers": 2}, "No such file"),
        ([], {"overwrite": True}, "no input"),
    ]:
        with pytest.raises(UserError, match=message):
            prepare(*files, **more)
        assert files_of(out) == before
    with pytest.raises(UserError, match="holds only 2"):
        prepare_questions("squad", {"train": [good]}, tokenizer, other, out, overwrite=True)
    assert files_of(out) == before
    (out / "precious.txt").write_text("mine")
    with pytest.raises(UserError, match="precious.txt"):
        prepare(good, overwrite=True)
    (out / "precious.txt").unlink()
    prepare(good, overwrite=True, max_tokens=100, stride=50)
    assert json.loads((out / "prepared.json").read_text())["max_tokens"] == 100
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_the_question_symbol_is_appended_where_the_dictionary_lacks_it(tmp_path, tokenizers):
    tokenizer, dictionary = tokenizers("unigram")
    lines = dictionary.read_text("utf-8").splitlines()[:-1]
    (tmp_path / "dict.txt").write_text("\n".join(lines), encoding="utf-8")
    file = write_squad(tmp_path / "f.json", ("A value.", ("a", "What?", [("value", 2)])))
    prepare_questions("squad", {"train": [file]}, tokenizer, tmp_path / "dict.txt", tmp_path / "out")
    assert (tmp_path / "out" / "dict.txt").read_text("utf-8").splitlines() == [*lines, "<mask> 0", "[QUESTION] 0"]


def test_answers_inside_a_token_grow_to_it_and_are_counted(tmp_path, tokenizers):
    tokenizer, dictionary = tokenizers("unigram")
    document = "The statement is a value"
    start, end = max(tokenizer.encode(document)[1], key=lambda offsets: offsets[1] - offsets[0])
    whole, inner = (document[start:end], start), (document[start + 1 : end], start + 1)
    file = write_squad(tmp_path / "f.json", (document, ("a", "?", [inner]), ("b", "?", [whole, inner])))
    summary = prepare_questions("squad", {"train": [file]}, tokenizer, dictionary, tmp_path / "out")["train"]
    prepared = PreparedQuestions(tmp_path / "out", "train")
    assert summary["snapped"] == 2 and end - start > 2
    assert predictions(prepared, 0) == predictions(prepared, 1) == {whole[0]}
    assert len(prepared.window(1).spans) == 1 and len(prepared.example(1)[0].answers) == 2


def test_unknown_text_is_counted(tmp_path, tokenizers):
    tokenizer, dictionary = tokenizers("no-fallback")
    file = write_squad(tmp_path / "f.json", ("漢 value", ("a", "?", [("漢", 0)])))
    summary = prepare_questions("squad", {"train": [file]}, tokenizer, dictionary, tmp_path / "out")["train"]
    symbols = tokenizer.encode("漢 value")[0]
    assert summary["unknown_share"] == symbols.count(UNKNOWN) / len(symbols) > 0


# ru_maxrss will not do: a child's starts at its parent's peak
PEAK = """
import re
def peak():  # KiB of this process so far
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read()).group(1))
"""


def test_opening_a_million_examples_reads_none_of_the_others(tmp_path):
    """Files of that many items, all zero but the last; neither opening nor reading that one reads the others."""
    count = 1_000_000
    out = tmp_path / "out"
    out.mkdir()
    symbols = {"<s>": 0, "[QUESTION]": 9, "</s>": 2}
    settings = {"version": 3, "dataset": "squad", "symbols": symbols, "answer_types": []}
    (out / "prepared.json").write_text(json.dumps(settings))
    record = {
        "id": "a",
        "question": "",
        "title": "",
        "document": count - 1,
        "answers": [],
        "segments": [],
        "answer_type": "",
    }
    last = {name: np.arange(12, dtype=dtype) for name, dtype in PARTS.items()}
    last["documents"] = np.frombuffer(b"a value", np.uint8)
    last["examples"] = np.frombuffer(json.dumps(record).encode(), np.uint8)
    last["offsets"] = np.arange(24, dtype=np.int32)
    last["segments"] = np.array([-1], dtype=np.int32)
    last["spans"] = np.array([count - 1, 2, 3, 2, 8], dtype=np.int32)
    last["windows"] = np.array([count - 1, 1, 5], dtype=np.int32)
    for part, dtype in PARTS.items():
        size = len(last[part])
        with MMapIndexedDataset.Index.writer(str(out / f"train.{part}.idx"), dtype) as index:
            index.write(np.full(count, size).tolist())
        with (out / f"train.{part}.bin").open("wb") as data:
            data.seek((count - 1) * last[part].nbytes)
            data.write(last[part].tobytes())
    code = f"""
from fairseq_littlebird.data.prepared import PreparedQuestions
{PEAK}
before = peak()
prepared = PreparedQuestions({str(out)!r}, "train")
window = prepared.window(999_999)
assert len(prepared) == 1_000_000 and window.spans == [(16, 17)]
assert window.tokens.tolist() == [0, 9, *range(12), 2, 1, 2, 3, 4, 2]
example, windows = prepared.example(999_999)
assert example.document == "a value" and windows == range(999_999, 1_000_000)
assert prepared.window_answered(999_999, 1_000_000).all()
assert peak() - before < 3_000, peak() - before  # KiB; the windows alone are 12 MB
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_memory_does_not_grow_with_the_number_of_documents(tmp_path, tokenizers):
    tokenizer, dictionary = tokenizers("unigram")
    text = " ".join(list(pydoc_data.topics.topics.values())[:4])[:40_000]
    for count in (10, 100):
        with (tmp_path / f"{count}").open("w") as sink:
            for i in range(count):
                span = {"text": text[:5], "char_spans": [[0, 4]]}
                record = {
                    "context": text,
                    "qas": [{"qid": f"{i}", "question": "?", "detected_answers": [span]}],
                }
                sink.write(json.dumps(record) + "\n")
    code = f"""
from fairseq_littlebird.data.preparation import prepare_questions
from fairseq_littlebird.text.tokenizers import load_tokenizer
{PEAK}
tokenizer = load_tokenizer({str(tokenizer.files["sentencepiece.model"])!r})
def peak_with(count):
    file = {str(tmp_path)!r} + "/" + count
    prepare_questions("mrqa", {{"train": [file]}}, tokenizer, {str(dictionary)!r}, file + ".out")
    return peak()
few = peak_with("10")
assert peak_with("100") - few < 20_000  # KiB; a hundred documents have 4 MB of text and 1.5 M offsets
"""
    subprocess.run([sys.executable, "-c", code], check=True)


REAL = [
    ("squad", "squad/train.json", "unigram", 0.02),
    ("squad", "squad/train_xquad_en.json", "gpt2", 0.02),
    ("squad", "policyqa/dev.json", "bpe", 0.02),
    ("korquad1", "korquad1/KorQuAD_v1.0_dev.json", "koelectra", 0.3),  # its pieces hold particles
    ("korquad1", "korquad1/KorQuAD_v1.0_dev.json", "unigram", 0.0),  # Hangul as bytes
    ("mrqa", "mrqa/NewsQA_sample.jsonl", "unigram", 0.0),
]


@pytest.mark.parametrize(("dataset", "name", "kind", "snapped"), REAL)
def test_gold_predictions_on_real_files_score_100(data_dir, tmp_path, tokenizers, dataset, name, kind, snapped):
    tokenizer, dictionary = tokenizers(kind, data_dir)
    out = tmp_path / "out"
    summary = prepare_questions(dataset, {"valid": [data_dir / name]}, tokenizer, dictionary, out)["valid"]
    assert summary["read"] == summary["kept"] > 0
    prepared = PreparedQuestions(out, "valid")
    assert summary["snapped"] <= snapped * summary["answers"]
    missed = 0
    for i in range(len(prepared)):
        golds = [answer.text for answer in prepared.example(i)[0].answers]
        found = predictions(prepared, i)
        missed += bool(found) and not any(exact_match(text, gold) for text in found for gold in golds)
    # only an answer that starts or ends inside a token can miss
    assert missed <= summary["snapped"]
