"""Files of questions and of labelled texts: no change to them ends in a traceback, or moves an answer."""

from __future__ import annotations

import json
from unicodedata import normalize

import pytest

from fairseq_littlebird.data.label_survey import _read_labels
from fairseq_littlebird.datasets.question_files import read_questions
from fairseq_littlebird.formats import json_stream
from fairseq_littlebird.text import lines as symbol_lines
from fairseq_littlebird.text.answers import locate
from fairseq_littlebird.text.labelled_texts import read_labelled
from fairseq_littlebird.text.training import _sentences

CONTEXT = "Zoe\u0301 met 😀 Ann Lee.\r\nAnn sang; 1 < 2 & 3."
SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "T",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        {"id": "a", "question": "Who?", "answers": [{"text": "Ann Lee", "answer_start": 11}]},
                        {"id": "b", "question": "?", "answers": [], "is_impossible": True},
                    ],
                },
                {
                    "context": "Ann",
                    "qas": [{"id": "c", "question": "?", "answers": [{"text": "Ann", "answer_start": 0}]}],
                },
            ],
        }
    ],
}
MRQA = [
    {"header": {"dataset": "X"}},
    {
        "context": CONTEXT,
        "qas": [
            {
                "qid": "a",
                "question": "Who?",
                "answers": ["Ann Lee"],
                "detected_answers": [{"text": "ann lee", "char_spans": [[11, 17]]}],
            }
        ],
    },
    {"context": "x", "qas": [{"id": "b", "question": "?", "answers": ["y"]}]},
]
HOTPOTQA = [
    {
        "_id": "a",
        "question": "Who?",
        "answer": "Ann Lee",
        "supporting_facts": [["One", 1], ["Two", 0]],
        "context": [["One", ["It rained. ", "Ann Lee sang."]], ["Two", ["ann, LEE! "]]],
    },
    {"_id": "b", "question": "?", "answer": "yes", "context": [["One", ["A."]]]},
]
WIKIHOP = [
    {
        "id": "a",
        "query": "country_of_origin ann",
        "answer": "peru",
        "candidates": ["peru", "chile"],
        "supports": ["Ann is from Peru.", "Or from Chile."],
    }
]
TOKENS = ["<P>", "Ann", "sang", ".", "</P>", "<Table>", "<Tr>", "<Td>", "1", "</Td>", "</Tr>", "</Table>"]
ANNOTATION = {
    "long_answer": {"start_token": 0, "end_token": 5, "candidate_index": 0},
    "short_answers": [{"start_token": 1, "end_token": 2}],
    "yes_no_answer": "NONE",
}
NATURAL_QUESTIONS = [
    {
        "example_id": 7,
        "question_text": "who",
        "document_title": "T",
        "document_tokens": [{"token": token, "html_token": token[0] == "<"} for token in TOKENS],
        "long_answer_candidates": [{"start_token": 0, "end_token": 5}, {"start_token": 5, "end_token": 12}],
        "annotations": [ANNOTATION, ANNOTATION | {"short_answers": []}],
    },
    {
        "example_id": "8",
        "question_text": "who",
        "document_text": " ".join(TOKENS),
        "long_answer_candidates": [{"start_token": 0, "end_token": 5}],
        "annotations": [ANNOTATION | {"yes_no_answer": "YES"}],
    },
]
PAGE = (
    "<html><head>x</head><h1 id='a'>Ann &amp; Bo</h1><nav role=search>no</nav>\n<p>sang &#9; it<script>'</p>'</script>"
)
KORQUAD2 = {
    "data": [
        {
            "title": "T",
            "raw_html": PAGE,
            "qas": [
                {
                    "id": "a",
                    "question": "Who?",
                    "answer": {"text": "Ann & Bo", "html_answer_text": "Ann &amp; Bo", "html_answer_start": 31},
                }
            ],
        }
    ]
}
TRIVIAQA = {
    "Data": [
        {
            "QuestionId": "a",
            "Question": "Who?",
            "Answer": {"Value": "Ann Lee", "Aliases": ["Ann"], "NormalizedAliases": ["ann lee"]},
            "EntityPages": [{"Filename": "One.txt"}, {"Filename": "Two.txt"}],
        },
        {
            "QuestionId": "b",
            "Question": "?",
            "Answer": {"Value": "x"},
            "SearchResults": [{"Filename": "0/1.txt"}],
        },
    ]
}
LABELLED = [
    {"id": "a", "text": "one", "label": "pos"},
    {"id": 7, "text": "one", "text2": "two", "labels": ["neg", 1]},
    {"text": "three"},
]


def sane(example, computed):
    """Places lie in the document, and an answer's is where its text is; ``computed`` ones as they come."""
    document = example.document
    for text in (example.id, example.question, document, example.title, example.answer_type):
        text.encode()
    for answer in example.answers:
        place = locate(document, answer)
        if place is not None:
            found, text = (normalize("NFC", t) for t in (document[place.start : place.stop], answer.text))
            assert found == text
        if computed and answer.start >= 0:
            assert document[answer.start : answer.start + len(answer.text)] == answer.text
    end = 0
    for piece in example.pieces or ():
        assert end <= piece.start <= piece.stop <= len(document)
        end = piece.stop
    for segment in example.segments:
        assert 0 <= segment.start <= segment.stop <= len(document)
        segment.name.encode()
    assert 0 <= example.fixed_pieces <= len(example.pieces or ())


def clean(text):
    return "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in text)


def squad_places(content):
    """(id, document, answers) as the file has them."""
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                answers = () if question.get("is_impossible") else question.get("answers") or ()
                if isinstance(answers, dict) or question.get("is_impossible") not in (None, True, False):
                    return  # read leniently, as are answers of another type below
                yield question["id"], paragraph["context"], answers


def korquad2_places(content):
    for page in content["data"]:
        for question in page["qas"]:
            answer = question.get("answer")
            places = (
                [{"text": answer["html_answer_text"], "answer_start": answer["html_answer_start"]}] if answer else []
            )
            yield question["id"], page["raw_html"], places


def one_file(dataset, name, computed=True, places=None, join=False):
    def read(folder):
        examples = list(read_questions(dataset, folder / name, join))
        for example in examples:
            sane(example, computed)
        text = "" if places is None else (folder / name).read_text("utf-8-sig")
        if text.count('"data"') == 1:  # a stream has all of equal keys, json.loads the last
            for example, (identity, document, answers) in zip(
                examples, places(json.loads(text, strict=False)), strict=False
            ):
                if type(identity) is str:
                    assert example.id == clean(identity)
                assert example.document == clean(document)
                wanted = [(a.get("text"), a.get("answer_start")) for a in answers if isinstance(a, dict)]
                if all(type(t) is str and t.strip() and type(s) is int and s >= 0 for t, s in wanted):
                    assert [(a.text, a.start) for a in example.answers] == [(clean(t), start) for t, start in wanted]

    return read


@pytest.mark.parametrize("chunk", [5, 1 << 20])
def test_squad(hostile, monkeypatch, chunk):
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    hostile.run({"x.json": hostile.Json(SQUAD)}, read=one_file("squad", "x.json", False, squad_places))


def test_squad_joined(hostile):
    hostile.run({"x.json": hostile.Json(SQUAD)}, read=one_file("squad", "x.json", False, join=True))


def test_mrqa(hostile):
    hostile.run({"x.jsonl": hostile.JsonLines(MRQA)}, read=one_file("mrqa", "x.jsonl", False))


def test_hotpotqa(hostile):
    hostile.run({"x.json": hostile.Json(HOTPOTQA)}, read=one_file("hotpotqa", "x.json"))


def test_wikihop(hostile):
    hostile.run({"x.json": hostile.Json(WIKIHOP)}, read=one_file("wikihop", "x.json"))


def test_natural_questions(hostile):
    files = {"x.jsonl": hostile.JsonLines(NATURAL_QUESTIONS)}
    hostile.run(files, read=one_file("natural_questions", "x.jsonl"))


def test_korquad2(hostile):
    files = {"x.json": hostile.Json(KORQUAD2)}
    hostile.run(files, read=one_file("korquad2", "x.json", False, korquad2_places))


def test_triviaqa(hostile):
    evidence = {
        "evidence/wikipedia/One.txt": hostile.Bytes(b"Ann Lee\n\nsang. ANN;lee\n"),
        "evidence/wikipedia/Two.txt": hostile.Bytes("\ufeffAnn\r\n".encode()),
        "evidence/web/0/1.txt": hostile.Bytes(b"x"),
    }
    questions = {"qa/x.json": hostile.Json(TRIVIAQA)}
    read = one_file("triviaqa", "qa/x.json")
    hostile.run(questions | evidence, {**questions, **evidence}, read=read)


def test_gzipped(hostile):
    import gzip

    content = gzip.compress("".join(json.dumps(line) + "\n" for line in MRQA).encode(), mtime=0)
    hostile.run({"x.jsonl.gz": hostile.Bytes(content)}, read=one_file("mrqa", "x.jsonl.gz", False))


def test_labelled(hostile):
    def read(folder):
        for text in read_labelled(folder / "x.jsonl"):
            (text.id + text.text + (text.second or "") + "".join(text.labels or ())).encode()

    hostile.run({"x.jsonl": hostile.JsonLines(LABELLED)}, read=read)


def test_labelled_folder(hostile):
    def read(folder):
        for text in read_labelled(folder / "x"):
            (text.id + text.text).encode()

    files = {"x/pos/1.txt": hostile.Bytes("Zoe\u0301 sang.\r\n".encode()), "x/neg/2.txt": hostile.Bytes(b"")}
    hostile.run(files, read=read)


def test_labels(hostile):
    hostile.run({"labels": hostile.Lines("pos\nneg\n7")}, read=lambda folder: _read_labels(folder / "labels"))


def test_text(hostile, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")

    class Words:
        def tokenize(self, text):
            return text.split()

    def read(folder):
        symbol_lines.write_symbol_lines([folder / "x.txt"], Words(), folder / "symbols")
        assert all(0 < len(sentence) <= 1000 for sentence in _sentences([folder / "x.txt"]))

    hostile.run({"x.txt": hostile.Lines("One. Two\n\nZoe\u0301 😀\n" + "long " * 300)}, read=read)
