"""Files of questions and of labelled texts as annotation tools and data set hubs write them; all content invented."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest

from fairseq_littlebird.datasets.question_files import open_questions, read_questions
from fairseq_littlebird.datasets.squad_gold import read_squad_gold
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats import json_stream, records
from fairseq_littlebird.formats.opening import kept, open_text
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.metrics import squad
from fairseq_littlebird.metrics.json_files import read_json
from fairseq_littlebird.text.answers import locate
from fairseq_littlebird.text.labelled_texts import read_labelled

CONTEXT = "The old mill of Delft was built by Ada Noor in 1802.\r\nIt burned twice. Ada Noor lived there."
START = CONTEXT.index("Ada Noor")
ANSWER = {"text": "Ada Noor", "answer_start": START}
ASKED = {"question": "Who built it?", "context": CONTEXT}
NOT_ASKED = {"question": "Who sold it?", "context": CONTEXT}


def paragraphs(*questions):
    return {"data": [{"paragraphs": [{"context": CONTEXT, "qas": list(questions)}]}]}


def question(number, **more):
    return {"id": number, "question": (NOT_ASKED if number == 2 else ASKED)["question"], **more}


HUB = [
    {"id": "1", **ASKED, "answers": {"text": ["Ada Noor"], "answer_start": [START]}},
    {"id": "2", **NOT_ASKED, "answers": {"text": [], "answer_start": []}},
]
TABLE = (
    "id\tquestion\tcontext\tanswer\tanswer_start\n"
    f'1\tWho built it?\t"{CONTEXT}"\tAda Noor\t{START}\n2\tWho sold it?\t"{CONTEXT}"\t\t\n'
)
SPAN = {"start": START, "end": START + 8, "text": "Ada Noor", "labels": ["answer"]}
QUESTIONS = {
    "Haystack": paragraphs(
        question(1, answers=[ANSWER | {"answer_id": 3}], is_impossible=False),
        question(2, answers=[{"text": "", "answer_start": 0, "answer_category": "NOT_GIVEN"}], is_impossible=False),
    ),
    "lenient scalars": paragraphs(
        question(1.0, answers=[{"text": "Ada Noor", "answer_start": f"{START}"}], is_impossible=0),
        question("2", answers=[], is_impossible="True"),
    ),
    "a dict of lists": paragraphs(question("1", answers=HUB[0]["answers"]), question("2", answers=HUB[1]["answers"])),
    "a list of paragraphs": [
        {"context": CONTEXT, "qas": [question("1", answers=[ANSWER]), question("2", answers=[], is_impossible=True)]}
    ],
    "rows in lines": "".join(json.dumps(row) + "\n" for row in HUB),
    "rows in a list": HUB,
    "rows under data": {"data": HUB, "version": "0.1"},
    "rows of a server": {"features": [], "rows": [{"row_idx": i, "row": row} for i, row in enumerate(HUB)]},
    "columns": {name: [row[name] for row in HUB] for name in HUB[0]},
    "pandas": {name: {str(i): row[name] for i, row in enumerate(HUB)} for name in HUB[0]},
    "objects over several lines": "\n".join(json.dumps(row, indent=1) for row in HUB),
    "a single answer": [{"id": 1, **ASKED, "answer": ANSWER}, {"id": 2, **NOT_ASKED, "answer": ""}],
    "a table": TABLE,
    "Label Studio": [
        {
            "id": 1,
            "data": {"text": CONTEXT, "question": "Who built it?"},
            "annotations": [{"result": [{"value": SPAN}]}],
        },
        {"id": 2, "data": {"text": CONTEXT, "question": "Who sold it?"}, "annotations": [{"result": []}]},
    ],
    "doccano": [
        {"id": 1, "text": CONTEXT, "question": "Who built it?", "label": [[START, START + 8, "answer"]]},
        {"id": 2, "text": CONTEXT, "meta": {"question": "Who sold it?"}, "annotations": []},
    ],
}


def written(path, content):
    path.write_bytes((content if isinstance(content, str) else json.dumps(content)).encode())
    return path


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_and_gold_answers(tmp_path, name):
    path = written(tmp_path / "x", QUESTIONS[name])
    with open_questions("auto", path) as file:
        assert file.spec.name == "squad"
    first, second = read_questions("auto", path)
    assert (first.id, first.question, first.document) == ("1", "Who built it?", CONTEXT)
    assert [locate(CONTEXT, answer)[:2] for answer in first.answers] == [(START, START + 8)]
    assert (second.id, second.answers, second.labelled) == ("2", (), True)
    assert second.document is first.document
    scores = squad.evaluate(read_squad_gold(str(path)), {"1": "Ada Noor", "2": ""})
    assert (scores["exact"], scores["HasAns_total"], scores["NoAns_total"]) == (100.0, 1, 1)


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("name", ["id", "qid", "question_id", "_id"])
def test_a_row_without_an_id_is_called_by_its_file_and_number(tmp_path, name, delimiter):
    rows = [(name, "passage", "question", "answer_text", "start"), ("", CONTEXT, "Who?", "Ada Noor", str(START))]
    rows += [("", CONTEXT, "Who sold it?", "", ""), ("7", CONTEXT, "And?", "Ada Noor", str(START))]
    path = tmp_path / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    examples = list(read_questions("squad", path))
    assert [(e.id, bool(e.answers)) for e in examples] == [("rows.csv:1", True), ("rows.csv:2", False), ("7", True)]


def as_table(rows):
    return "".join(",".join(f'"{cell}"' for cell in row) + "\n" for row in rows)


UNKNOWN = {
    "lines": '{"titel": "T", "absaetze": []}',
    "a list": [["a", "b"]],
    "a misspelt member": {"data": [{"title": "T", "paragraph": []}]},
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_auto_refuses_what_it_does_not_know(tmp_path, name):
    found = {"lines": "titel, absaetze", "a list": "no named members", "a misspelt member": "title, paragraph"}[name]
    message = rf"x: format not recognised \(the first record has {found}\); known are SQuAD's JSON.*--user-dir$"
    with pytest.raises(UserError, match=message):
        list(read_questions("auto", written(tmp_path / "x", UNKNOWN[name])))


def test_korquad1_is_known_by_its_version(tmp_path):
    content = paragraphs(question("1", answers=[ANSWER]))
    path = written(tmp_path / "x", {"version": "KorQuAD_v1.0_dev", **content})
    with open_questions("auto", path) as file:
        assert file.spec.name == "korquad1"
    assert len(list(read_questions("squad", path))) == 1  # who names it may score it so
    with pytest.raises(UserError, match="this is KorQuAD 1, as the version at its end says; give --dataset korquad1"):
        list(read_questions("auto", written(tmp_path / "y", {**content, "version": "KorQuAD_v1.0_dev"})))


@pytest.mark.parametrize("dataset", ["hotpotqa", "korquad2", "mrqa", "natural_questions", "triviaqa", "wikihop"])
@pytest.mark.parametrize(("name", "title"), [("Haystack", "SQuAD's JSON"), ("a table", "rows of questions")])
def test_squads_formats_are_told_to_other_data_sets(tmp_path, dataset, name, title):
    with pytest.raises(UserError, match=f"this is {title}; give --dataset squad, or auto"):
        list(read_questions(dataset, written(tmp_path / "x", QUESTIONS[name])))


def test_what_a_table_may_have_is_not_lenient(tmp_path):
    """Its cells are text; a start may be missing, and an empty answer says that there is none."""
    rows = [("id", "question", "context", "answer", "answer_start", "is_impossible", "title")]
    rows += [("1", "Who?", "By Ada Noor.", "Ada Noor", "3", "false", "7"), ("2", "Who?", "By Ada.", "Ada", "", "0", "")]
    rows += [("3", "Who?", "By Ada.", "", "", "true", ""), ("4", "Who?", "By Ada.", "Ada", "3.0", "", "")]
    log = ReadingLog()
    examples = list(read_questions("squad", written(tmp_path / "x", as_table(rows)), log=log))
    starts = [[None if a.unplaced else a.start for a in e.answers] for e in examples]
    assert starts == [[3], [None], [], [3]]
    assert not log.notes


def test_lenient_values_are_noted(tmp_path):
    log = ReadingLog()
    list(read_questions("squad", written(tmp_path / "x", QUESTIONS["lenient scalars"]), log=log))
    assert {what: note.count for what, note in log.notes.items()} == {
        "'answer_start' is text, taken as a whole number": 1,
        "'is_impossible' is a number, taken as true or false": 1,
        "'is_impossible' is text, taken as true or false": 1,
    }
    title = paragraphs() | {}
    title["data"][0]["title"] = float("nan")
    list(read_questions("squad", written(tmp_path / "x", title), log=log))
    assert "'title' is NaN, taken as missing" in log.notes


@pytest.mark.parametrize("given", ["answer", "Answers", "anwsers"])
def test_misspelt_answers_are_an_error(tmp_path, given):
    path = written(tmp_path / "x", paragraphs(question("1", **{given: [ANSWER]})))
    with pytest.raises(UserError, match=f"no 'answers' here, but '{given}'"):
        list(read_questions("squad", path))


def test_questions_without_answers_are_told_apart_from_unanswerable_ones(tmp_path):
    content = paragraphs(question("1"), question("2", is_impossible=True))
    assert [e.labelled for e in read_questions("squad", written(tmp_path / "x", content))] == [False, True]


def test_answers_beside_is_impossible_are_left_out_and_noted(tmp_path):
    for content in (
        paragraphs(question("1", answers=[ANSWER], is_impossible=True)),
        [{"id": 1, **ASKED, "answers": [ANSWER], "is_impossible": True}],
    ):
        log = ReadingLog()
        path = written(tmp_path / "x", content)
        [example] = read_questions("squad", path, log=log)
        assert (example.answers, example.labelled) == ((), True)
        assert log.notes["answers with is_impossible true, taken as unanswerable"].count == 1
        assert squad.evaluate(read_squad_gold(str(path)), {"1": ""})["exact"] == 100.0


@pytest.mark.parametrize("answer", ["[1]", "{}", "['a']"])
def test_an_answer_in_brackets_is_a_text(tmp_path, answer):
    row = {"id": 1, "context": f"x = {answer} it is.", "question": "What is x?", "answer": answer, "answer_start": 4}
    [example] = read_questions("squad", written(tmp_path / "x", [row]))
    assert [(a.text, a.start) for a in example.answers] == [(answer, 4)]


def test_cells_that_hold_answers_as_text(tmp_path):
    def read(cell):
        rows = "id,question,context,answers\n1,Who?,Ada Noor sat.," + '"' + cell.replace('"', '""') + '"\n'
        [example] = read_questions("squad", written(tmp_path / "x", rows))
        return [(answer.text, answer.start) for answer in example.answers]

    assert read("{'text': ['Ada Noor'], 'answer_start': [0]}") == [("Ada Noor", 0)]
    assert read('{"text": ["Ada"], "answer_start": [0]}') == [("Ada", 0)]
    assert read("['Ada', 'Ada Noor']") == [("Ada", 0), ("Ada Noor", 0)]
    assert read("[7]") == [("[7]", 0)]
    with pytest.raises(UserError, match="row 1 .*numpy array"):
        read("{'text': array(['Ada Noor'], dtype=object), 'answer_start': array([0], dtype=int32)}")


def test_free_text_in_label_studio_is_no_answer(tmp_path):
    task = {"id": 1, "data": {"text": CONTEXT, "question": "Who?"}}
    task["annotations"] = [{"result": [{"type": "textarea", "value": {"text": ["Ada Noor"]}}]}]
    with pytest.raises(UserError, match="record 1: .*free text"):
        list(read_questions("squad", written(tmp_path / "x", [task])))


def test_a_region_of_html_in_label_studio_is_no_answer(tmp_path):
    value = {
        "start": "/p[1]/text()[1]",
        "end": "/p[1]/text()[1]",
        "startOffset": 3,
        "endOffset": 11,
        "globalOffsets": {"start": 3, "end": 11},
        "text": "Ada Noor",
        "hypertextlabels": ["answer"],
    }
    task = {"id": 1, "data": {"text": "<p>By Ada Noor.</p>", "question": "Who?"}}
    task["annotations"] = [{"result": [{"type": "hypertextlabels", "value": value}]}]
    with pytest.raises(UserError, match="record 1: .*HTML"):
        list(read_questions("squad", written(tmp_path / "x", [task])))


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n3,Who sold it?,It was not sold.,\n"])
@pytest.mark.parametrize("closed", [True, False])
def test_a_quote_that_is_not_closed_names_its_row(tmp_path, end, closed):
    row = '2,Who built it?,"The old, old mill\nof Ada Noor.",Ada' + (' ""Noor""' if closed else ' ""Noor')
    row = row.replace("Ada ", '"Ada ') + ('"' if closed else "")
    path = written(tmp_path / "x.csv", f'id,question,context,answer\n1,Who?,"Ada, Noor.",Ada\n\n{row}{end}')
    if closed:
        examples = list(read_questions("squad", path))
        assert [example.id for example in examples[:2]] == ["1", "2"]
        assert examples[1].answers[0].text == 'Ada "Noor"'
        return
    message = r"x\.csv, row 3: .*quote"
    with pytest.raises(UserError, match=message):
        list(read_questions("squad", path))
    with pytest.raises(UserError, match=message):
        read_squad_gold(str(path))


def test_a_quote_that_is_not_closed_in_the_first_row(tmp_path):
    path = written(tmp_path / "x.csv", 'question,"context\nWho?,Ada Noor sat.\n')
    with pytest.raises(UserError, match="x.csv: "):
        list(read_questions("squad", path))


@pytest.mark.parametrize("rows", ['"I liked it, all of it.",1\n', "It was long,0\nI liked it.,1\n"])
def test_a_table_of_texts_without_names(tmp_path, rows):
    first = "I liked it, all of it., 1" if rows.startswith('"') else "It was long, 0"
    with pytest.raises(UserError, match=f"{first}; .*text"):
        list(read_labelled(written(tmp_path / "x.csv", rows)))


def test_a_binary_file_is_named(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1\x15\x04\x15\xff\xfe\x80")
    with pytest.raises(UserError, match="a Parquet file"):
        list(read_questions("squad", tmp_path / "x.parquet"))


def test_bad_records_are_skipped_and_named(tmp_path):
    content = paragraphs(question("1", answers=[ANSWER]), {"id": "3"})
    content["data"][0]["paragraphs"].append({"context": None, "qas": []})
    path = written(tmp_path / "x", content)
    log = ReadingLog(skip_bad=True)
    assert [example.id for example in read_questions("squad", path, log=log)] == ["1"]
    assert ["(id 3)" in log.skipped[0], "paragraph 2" in log.skipped[1], len(log.skipped)] == [True, True, 2]
    with pytest.raises(UserError, match=" --skip-bad$"):
        list(read_questions("squad", path, log=ReadingLog(option="--skip-bad")))


@pytest.mark.parametrize("name", ["SQuAD", "rows"])
def test_skipping_is_not_offered_where_all_is_of_another_format(tmp_path, name):
    content = {
        "SQuAD": {"data": [{"paragraphs": [{"kontext": "", "qas": []}]}]},
        "rows": [{"question": "?", "text": 1}],
    }
    path = written(tmp_path / "x", content[name])
    with pytest.raises(UserError, match="another JSON format") as error:
        list(read_questions("squad", path, log=ReadingLog(option="--skip-bad")))
    assert "--skip-bad" not in str(error.value)


@pytest.mark.parametrize("packed", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_an_archive_is_named(tmp_path, packed):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x.json"), io.BytesIO())
    path = tmp_path / "x.tgz"
    path.write_bytes(packed(buffer.getvalue()))
    with pytest.raises(UserError, match="x.tgz: a tar archive.*; unpack it and name the files"):
        list(read_questions("squad", path))


def zipped(data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.json", data)
        archive.writestr("__MACOSX/._x.json", b"junk")
    return buffer.getvalue()


PACKED = {"plain": bytes, "gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zip": zipped}


@pytest.mark.parametrize("kind", PACKED)
def test_packed_files_are_known_by_content(tmp_path, monkeypatch, kind):
    data = PACKED[kind](("\ufeff" + json.dumps(HUB)).encode())
    path = tmp_path / "X.DATA"
    path.write_bytes(data)
    assert len(list(read_questions("squad", path))) == 2 and read_json(str(path)) == HUB
    with os.fdopen(os.open(path, os.O_RDONLY), "rb") as file:
        monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": file}))
        assert len(list(read_questions("squad", "-"))) == 2
    if kind != "plain":
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(UserError, match=f"X.DATA: damaged {kind} file"), open_text(path) as stream:
            stream.read()


def test_a_pipe_is_read_once(tmp_path):
    """A zip, whose directory is at its end, and a file that is needed twice."""
    for data in (zipped(json.dumps(HUB)), json.dumps(HUB).encode()):
        reading, writing = os.pipe()
        os.write(writing, data)
        os.close(writing)
        with kept([Path(f"/dev/fd/{reading}")]) as (copy,):
            os.close(reading)
            assert [len(list(read_questions("squad", copy))) for _ in "12"] == [2, 2]


def test_pipes_of_one_name_are_kept_apart(tmp_path):
    pipes = [tmp_path / folder / "pipe" for folder in "ab"]
    for pipe in pipes:
        pipe.parent.mkdir()
        os.mkfifo(pipe)
        threading.Thread(target=pipe.write_text, args=(pipe.parent.name,), daemon=True).start()
    with kept(pipes) as copies:
        assert [(copy.name, copy.read_text()) for copy in copies] == [("pipe", "a"), ("pipe", "b")]


def test_line_ends_inside_strings_are_kept_by_all(tmp_path):
    raw = json.dumps(paragraphs(question("1", answers=[ANSWER]))).replace("\\r\\n", "\r\n")
    path = written(tmp_path / "x", raw)
    (example,) = read_questions("squad", path)
    assert example.document == CONTEXT
    assert read_squad_gold(str(path))["data"][0]["paragraphs"][0]["context"] == CONTEXT
    assert read_json(str(path))["data"][0]["paragraphs"][0]["context"] == CONTEXT


@pytest.mark.parametrize("title", [{"title": "T"}, {}])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("chunk", [3, 1000])
def test_long_articles_are_read_by_paragraph(tmp_path, monkeypatch, chunk, first, title):
    asked = [{"context": f"c{i}", "qas": [question(f"{i}", answers=[])]} for i in range(9)]
    article = {**title, "paragraphs": asked} if first else {"paragraphs": asked, **title}
    empty = article | {"paragraphs": [], "note": "n" * 99}
    path = written(tmp_path / "x", {"data": [article, empty], "version": 2})
    whole = list(read_questions("squad", path))
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    monkeypatch.setattr(records, "LONG", 50)
    assert list(read_questions("squad", path)) == whole and {e.title for e in whole} == {title.get("title", "")}
    joined = list(read_questions("squad", path, join_articles=True))
    assert joined[0].document == "\n\n".join(f"c{i}" for i in range(9))


@pytest.mark.parametrize("number", ["1.5", "-20.25E+2", "7e-3", "2e3", "0.125", "12"])
def test_a_number_is_read_whole_wherever_a_chunk_ends(tmp_path, monkeypatch, number):
    path = written(tmp_path / "x", f'{{"version": {number}, "data": [{number}, [{number}], {number}]}}')
    for chunk in range(12, 60):
        monkeypatch.setattr(json_stream, "_CHUNK", chunk)
        with records.open_records(path, "") as found:
            assert [record for _, record in found] == [float(number), [float(number)], float(number)]
            assert found.top == {"version": float(number)}


TEXTS = {
    "hub": ('{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n', [("1",), ("0",)], ["single_label"] * 2),
    "floats": ([{"text": "a", "label": 1.0}, {"text": "b", "label": 2.5}], [("1",), ("2.5",)], ["single_label"] * 2),
    "truths": (
        [{"text": "a", "label": True}, {"text": "b", "label": False}],
        [("true",), ("false",)],
        ["single_label"] * 2,
    ),
    "doccano": (
        [{"data": "a", "label": ["x"]}, {"data": "b", "label": ["x", "y"]}],
        [("x",), ("x", "y")],
        [None, "multi_label"],
    ),
    "table": ('text,label\na,x\n"b",\n', [("x",), None], ["single_label"] * 2),
    "Label Studio": (
        [{"data": {"text": t}, "annotations": [{"result": [{"value": {"choices": ["x"]}}]}]} for t in "ab"],
        [("x",), ("x",)],
        [None, None],
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_labelled_texts(tmp_path, name):
    content, labels, kinds = TEXTS[name]
    texts = list(read_labelled(written(tmp_path / "x", content)))
    assert [text.text for text in texts] == ["a", "b"]
    assert [text.labels for text in texts] == labels and [text.problem_type for text in texts] == kinds


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    "content, line",
    [
        (b"one\ntwo\nthr\xe9e\nfour\n", 3),
        (b"\xff", 1),
        (b"a\n" * 99_999 + "é".encode()[:1], 100_000),  # the last character is cut, far from the first bytes read
        (b"x" * (2**16 - 1) + "é\n".encode() + b"\x80", 2),  # a character across two pieces that are read
    ],
)
def test_text_of_another_encoding_is_named_with_its_line(tmp_path, pack, content, line):
    file = tmp_path / "text"
    file.write_bytes(pack(content))
    with pytest.raises(UserError) as error, open_text(file) as text:
        text.read()
    assert str(error.value) == f"{file}, line {line}: not UTF-8 text; convert the file to UTF-8"
