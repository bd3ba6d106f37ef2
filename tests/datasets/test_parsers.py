from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from fairseq_littlebird.datasets.question_files import read_questions
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats import json_stream
from fairseq_littlebird.text.answers import locate
from fairseq_littlebird.text.example import Answer
from fairseq_littlebird.text.paragraphs import PARAGRAPH_BREAK


def squad_file(tmp_path: Path, *articles, **top) -> Path:
    path = tmp_path / "squad.json"
    path.write_text(json.dumps({"version": 1.1, "data": list(articles), **top}), encoding="utf-8")
    return path


def paragraph(context: str, *questions) -> dict:
    return {"context": context, "qas": list(questions)}


def question(identity="q", text="who?", *answers, **more) -> dict:
    return {
        "id": identity,
        "question": text,
        "answers": [{"text": t, "answer_start": s} for t, s in answers],
        **more,
    }


def test_squad_records(tmp_path):
    context = "Tabs\tand\r\nlines \u2028 é 👩\u200d👩"
    path = squad_file(
        tmp_path,
        {"title": "T", "paragraphs": [paragraph(context, question("a", "q?", ("é", 18)), question("b"))]},
        {"paragraphs": [paragraph("x", question("c", "?", ("x", 0), is_impossible=True))]},
    )
    first, second, third = read_questions("squad", path)
    assert (first.id, first.question, first.title, first.document) == ("a", "q?", "T", context)
    assert first.answers == (Answer("é", 18),) and context[18] == "é"
    assert second.document is first.document and second.answers == ()
    assert third.answers == () and third.title == ""


@pytest.mark.parametrize("chunk", [1, 2, 7, 100, 1 << 20])
def test_streaming_equals_parsing_the_whole_file(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    articles = [
        {
            "title": f'"{i}" \\ é',
            "paragraphs": [paragraph(f"c{i} {{[,]}} \\u" * 9, question(f"{i}", "?", ("c", 0)))],
        }
        for i in range(5)
    ]
    path = tmp_path / "squad.json"
    path.write_text("\ufeff" + json.dumps({"a": [1, {"data": 2}], "data": articles, "version": 12.5}, indent=3))
    examples = list(read_questions("squad", path))
    assert [(e.id, e.title, e.document) for e in examples] == [
        (str(i), a["title"], a["paragraphs"][0]["context"]) for i, a in enumerate(articles)
    ]


def test_reading_is_lazy(tmp_path):
    path = tmp_path / "squad.json"
    article = json.dumps({"paragraphs": [paragraph("context " * 1000, question())]})
    path.write_text('{"data": [' + article + ", " + ", ".join([article] * 500) + ", broken")
    examples = read_questions("squad", path)
    assert next(examples).id == "q"
    with pytest.raises(UserError, match="not valid JSON"):
        list(examples)


def test_joined_articles_shift_their_answers(tmp_path):
    path = squad_file(
        tmp_path,
        {
            "paragraphs": [
                paragraph("one gold", question("a", "?", ("gold", 4))),
                paragraph("", question("b")),
                paragraph("two gold", question("c", "?", ("gold", 4), ("two", 0), ("gold", 3))),
                paragraph("three", question("d", "?", ("three", 40), ("two", 0))),
            ]
        },
        {"paragraphs": [paragraph("other", question("e", "?", ("other", 0)))]},
    )
    examples = {example.id: example for example in read_questions("squad", path, join_articles=True)}
    document = PARAGRAPH_BREAK.join(["one gold", "", "two gold", "three"])
    assert all(examples[i].document == document for i in "abcd")
    assert examples["a"].document is examples["d"].document
    assert examples["e"].document == "other"
    shift = document.index("two")
    assert places(examples["a"]) == [(4, 8)]
    assert places(examples["c"]) == [(shift + 4, shift + 8), (shift, shift + 3), (shift + 4, shift + 8)]
    # what its own paragraph does not hold is not looked for in the others
    last = document.index("three")
    assert places(examples["d"]) == [(last, last + 5), None]


def places(example) -> list:
    found = [locate(example.document, answer) for answer in example.answers]
    return [place and (place.start, place.stop) for place in found]


def test_lone_surrogates_become_one_character(tmp_path):
    path = tmp_path / "squad.json"
    path.write_text(r'{"data": [{"paragraphs": [{"context": "a\ud800b \ud83d\ude00", "qas": []}]}]}')
    assert list(read_questions("squad", path)) == []
    path.write_text(
        r'{"data": [{"paragraphs": [{"context": "a\ud800b \ud83d\ude00", "qas":'
        r' [{"id": "\udfff", "question": "?", "answers": [{"text": "\ud800b", "answer_start": 1}]}]}]}]}'
    )
    (example,) = read_questions("squad", path)
    assert example.document == "a\ufffdb 😀" and example.answers == (Answer("\ufffdb", 1),)
    example.id.encode()


BROKEN_SQUAD = [
    ("", "an empty file"),
    ("hello", "neither JSON nor a table"),
    ("PAR1\x15", "a Parquet file"),
    ("{}", "no 'paragraphs'"),
    ('{"data": {}}', "no 'paragraphs'"),
    ('{"data": [1]}', "article 1: "),
    ('{"data": [{}]}', "no 'paragraphs'"),
    ('{"data": []} {}', "after the end"),
    ('{"data": [', "line 1"),
    ('{"data": [{"paragraphs": []}', "line 1"),
    ('\n{"data": [{"paragraphs": [{"context": "a", }', "line 2: not valid JSON"),
    ('{"data": [{"paragraphs": [{"context": 1, "qas": []}]}]}', "'context' is int, not str"),
    ('{"data": [{"paragraphs": [{"context": null, "qas": []}]}]}', "paragraph 1: no context"),
    (
        "query,doc,reply\nWho?,Bob.,Bob\n",
        "query, doc, reply; ",
    ),
    (
        "Question,Context\nWho?,Bob.\n",
        "Question, Context; ",
    ),
    (
        "A mill, built in 1802.\nIt burned, twice, in May.\n",
        "A mill, built in 1802.; ",
    ),
    ("question,context,answer\nWho?,Bob., who sat,Bob\n", "row 1: 4 cells under 3 names"),
    ("1,Who?,Bob.,Bob\n", "1, Who?, Bob., Bob; "),
    (
        f"1,Who?,{'Bob ' * 20},Bob\n2,Who?,Eve.,Eve\n",
        f"1, Who?, {'Bob ' * 10}…, Bob; ",
    ),
    ('{"data": [{"paragraphs": [{"context": "c"}]}]}', "'qas'"),
    ('{"data": ' + "[" * 100_000, "nested too deeply"),
    ('[{"_id": "a", "question": "?", "context": [["t", ["s"]]]}]', "this is HotpotQA's JSON"),
    ('{"header": {}}\n', "this is MRQA's JSON lines"),
    (
        "question,context,answers\nWho?,Bob.,\"{'text': array(['Bob'], dtype=object), "
        "'answer_start': array([0], dtype=int32)}\"\n",
        "numpy array",
    ),
]


def test_a_broken_line_says_all_that_is_wrong(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"question": "?", "context": "c", "answers": []}\n{"question" "?"}\n')
    with pytest.raises(UserError, match=r"line 2.*not valid JSON \(Expecting ':' delimiter\)"):
        list(read_questions("squad", path))


@pytest.mark.parametrize(("content", "message"), BROKEN_SQUAD)
def test_other_files_are_named(tmp_path, content, message):
    path = tmp_path / "squad.json"
    path.write_text(content)
    with pytest.raises(UserError) as error:
        list(read_questions("squad", path))
    assert message in str(error.value) and str(path) in str(error.value)
    assert re.search("give |write |quote cells ", str(error.value))


@pytest.mark.parametrize("start", ["x", 3.5, True, [3], "1e999", {}])
def test_an_offset_that_is_no_whole_number_names_its_question(tmp_path, start):
    path = squad_file(tmp_path, {"paragraphs": [paragraph("c", question("q7", "?", ("c", start)))]})
    with pytest.raises(UserError, match=r"question 1 \(id q7\).*'answer_start'"):
        list(read_questions("squad", path))


def test_files_that_cannot_be_read_are_named(tmp_path):
    for name, content, message in (
        ("latin.json", '{"data": "é"}'.encode("latin-1"), "not UTF-8"),
        ("half.json.gz", gzip.compress(b'{"data": []}' * 99, mtime=0)[:-9], "gzip"),
        ("utf16.json", '{"data": []}'.encode("utf-16"), "not UTF-8 text but UTF-16"),
        ("utf16le.json", '{"data": []}'.encode("utf-16-le"), "not UTF-8 text but UTF-16"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(UserError, match=message) as error:
            list(read_questions("squad", path))
        assert str(path) in str(error.value)
    with pytest.raises(UserError, match="No such file"):
        list(read_questions("mrqa", tmp_path / "none.jsonl"))
    with pytest.raises(UserError, match="directory"):
        list(read_questions("mrqa", tmp_path))


def mrqa_lines(*records) -> str:
    return "".join(json.dumps(record) + "\n" for record in ({"header": {"dataset": "X"}}, *records))


def mrqa_record(context, *detected, **more) -> dict:
    return {
        "id": "",
        "context": context,
        "qas": [{"qid": "a", "question": "?", "detected_answers": list(detected)} | more],
    }


def test_mrqa_records(tmp_path):
    record = mrqa_record(
        "The  Cat\u2028sat, the cat",
        {"text": "The Cat", "char_spans": [[0, 7], [14, 20]], "token_spans": [[0, 1]]},
        {"text": "dog", "char_spans": [[0, 2]]},
    )
    for path in (tmp_path / "x.jsonl", tmp_path / "x.jsonl.gz"):
        data = mrqa_lines(record).encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
        (example,) = read_questions("mrqa", path)
        assert example.answers == (Answer("The  Cat", 0), Answer("the cat", 14), Answer("dog", 0))
        assert example.document == record["context"]


def test_mrqa_answers_without_a_place(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(mrqa_lines(mrqa_record("c", answers=["gold"])))
    (example,) = read_questions("mrqa", path)
    assert example.answers == (Answer("gold", -1),)
    with pytest.raises(UserError, match="no articles"):
        list(read_questions("mrqa", path, join_articles=True))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: not valid JSON"),
        ("[1]", "an object"),
        ('{"context": "c"}', "'qas'"),
        ('{"context": "c", "qas": [{"question": "?"}]}', "'id'"),
        (
            '{"context": "c", "qas": [{"qid": "a", "question": "?", "detected_answers": '
            '[{"text": "c", "char_spans": [[0.0, 1]]}]}]}',
            "line 2, question 1 (id a): another JSON format (a char_spans",
        ),
    ],
)
def test_other_json_lines_are_named(tmp_path, line, message):
    path = tmp_path / "x.jsonl"
    path.write_text(mrqa_lines() + line + "\n")
    with pytest.raises(UserError) as error:
        list(read_questions("mrqa", path))
    assert message in str(error.value) and str(path) in str(error.value)


REAL = [
    ("squad", "squad/train.json"),
    ("squad", "squad/dev.json"),
    ("squad", "squad/train_xquad_en.json"),
    ("squad", "policyqa/dev.json"),
    ("korquad1", "korquad1/KorQuAD_v1.0_dev.json"),
]


@pytest.mark.parametrize(("dataset", "name"), REAL)
def test_real_squad_files(data_dir, dataset, name):
    path = data_dir / name
    expected = [
        (q["id"], p["context"], q["question"], tuple((a["text"], a["answer_start"]) for a in q["answers"]))
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]
        for p in article["paragraphs"]
        for q in p["qas"]
        if not q.get("is_impossible")
    ]
    examples = [e for e in read_questions(dataset, path) if e.answers]
    assert expected == [(e.id, e.document, e.question, tuple((a.text, a.start) for a in e.answers)) for e in examples]
    joined = {e.id: e for e in read_questions(dataset, path, join_articles=True)}
    for example in examples:
        long = joined[example.id]
        assert example.document in long.document
        for short_answer, answer in zip(example.answers, long.answers, strict=True):
            if example.document.startswith(short_answer.text, short_answer.start):
                assert long.document.startswith(answer.text, answer.start)


def test_real_mrqa_file(data_dir):
    examples = list(read_questions("mrqa", data_dir / "mrqa" / "NewsQA_sample.jsonl"))
    assert examples
    for example in examples:
        assert all(example.document.startswith(a.text, a.start) for a in example.answers)
