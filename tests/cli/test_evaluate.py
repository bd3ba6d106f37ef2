"""littlebird-evaluate, through its arguments, files and exit status."""

from __future__ import annotations

import gzip
import json
import os
import sys
import threading
import unicodedata

import pytest

from fairseq_littlebird.cli.evaluate import CLASSIFICATION, main
from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.metrics import korquad1

SQUAD_1 = {
    "version": "1.1",
    "data": [
        {
            "title": "t",
            "paragraphs": [
                {
                    "context": "red blue",
                    "qas": [
                        {"id": "q0", "question": "?", "answers": [{"text": "red", "answer_start": 0}]},
                        {"id": "q1", "question": "?", "answers": [{"text": "blue", "answer_start": 4}]},
                    ],
                }
            ],
        }
    ],
}
SQUAD_2 = json.loads(json.dumps(SQUAD_1))
for _question in SQUAD_2["data"][0]["paragraphs"][0]["qas"]:
    _question["is_impossible"] = False
MRQA = [{"header": {}}, {"context": "red", "qas": [{"qid": "q0", "answers": ["red"]}]}]


@pytest.fixture
def write(tmp_path):
    """Writes a value as a file, JSON unless it is text or bytes, and gives its path."""

    def write(name, value):
        path = tmp_path / name
        if not isinstance(value, (str, bytes)):
            value = json.dumps(value, ensure_ascii=False)
        path.write_bytes(value.encode() if isinstance(value, str) else value)
        return str(path)

    return write


def evaluate(dataset, gold, predictions, *more):
    main(["--dataset", dataset, "--gold", gold, "--predictions", predictions, *more])


def test_json_has_the_official_keys_only(write, capsys):
    evaluate("squad", write("gold.json", SQUAD_1), write("p.json", {"q0": "The red", "q1": "x"}), "--json")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"exact_match": 50.0, "f1": 50.0}
    assert captured.err == ""


def test_table_has_the_same_digits_and_the_counts(write, capsys):
    predictions = {"q0": "red red blue", "later": "x"}
    evaluate("squad", write("gold.json", SQUAD_1), write("p.json", predictions))
    captured = capsys.readouterr()
    rows = dict(line.split() for line in captured.out.splitlines())
    assert rows == {"exact_match": "0.0", "f1": "25.0", "questions": "2", "missing": "1"}
    warnings = captured.err.splitlines()
    assert len(warnings) == 2
    assert "predictions of questions that" in warnings[0] and "1, first later" in warnings[0]
    assert "questions without a prediction" in warnings[1] and "1, first q1" in warnings[1]


def test_texts_with_labels_are_no_questions(write, capsys):
    gold = write("gold.json", {"a": "pos", "b": "neg"})
    evaluate("classification", gold, write("p.json", {"a": {"label": "pos", "probabilities": {"pos": 1, "neg": 0}}}))
    captured = capsys.readouterr()
    rows = dict(line.split() for line in captured.out.splitlines())
    assert (rows["accuracy"], rows["texts"], rows["missing"]) == ("0.5", "2", "1") and "questions" not in rows
    assert "texts without a prediction, which score 0: 1, first b" in captured.err


def test_null_odds_and_their_threshold(write, capsys):
    files = [write("gold.json", SQUAD_2), write("p.json", {"q0": "red", "q1": "green"})]
    odds = write("odds.json", {"q0": -2, "q1": 1.5})
    evaluate("squad", *files, "--json", "--null-odds", odds)
    captured = capsys.readouterr()
    assert captured.err.startswith("littlebird-evaluate: 1 of 2 answers") and captured.err.endswith(" 1.0\n")
    scores = json.loads(captured.out)
    assert list(scores)[-4:] == ["best_exact", "best_exact_thresh", "best_f1", "best_f1_thresh"]
    assert (scores["exact"], scores["best_exact"], scores["best_exact_thresh"]) == (50.0, 50.0, -2)
    evaluate("squad", *files, "--json", "--null-odds", odds, "--null-threshold", "-3")
    captured = capsys.readouterr()
    assert json.loads(captured.out)["exact"] == 0.0
    assert captured.err.startswith("littlebird-evaluate: 2 of 2 answers") and captured.err.endswith(" -3.0\n")
    evaluate("squad", *files, "--json", "--null-odds", odds, "--null-threshold", "1.5")
    assert capsys.readouterr().err == ""
    empty = write("empty.json", {"q0": "red", "q1": ""})
    evaluate("squad", files[0], empty, "--json", "--null-odds", odds)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_gold_lines_from_a_pipe(tmp_path, write, capsys, pack):
    os.mkfifo(tmp_path / "pipe")
    lines = pack("".join(json.dumps(record) + "\n" for record in MRQA).encode())
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(lines,))
    writer.start()
    evaluate("mrqa", str(tmp_path / "pipe"), write("p.json", {"q0": "red"}), "--json")
    writer.join()
    assert json.loads(capsys.readouterr().out) == {"exact_match": 100.0, "f1": 100.0}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_mrqa_lines_plain_or_gzipped(write, capsys, pack):
    lines = "\n".join(json.dumps(record) for record in MRQA) + "\n"
    evaluate("mrqa", write("gold.jsonl", pack(lines.encode())), write("p.json", {"q0": "red"}), "--json")
    assert json.loads(capsys.readouterr().out) == {"exact_match": 100.0, "f1": 100.0}


def test_line_separators_inside_a_string_do_not_part_records(write, capsys):
    record = {"context": "c", "qas": [{"qid": "q0", "answers": ["a\u2028b\x85c"]}]}
    gold = write("gold.jsonl", json.dumps(record, ensure_ascii=False) + "\r\n\r\n")
    evaluate("mrqa", gold, write("p.json", {"q0": "a b c"}), "--json")
    assert json.loads(capsys.readouterr().out)["exact_match"] == 100.0


def test_the_gold_alone(write, capsys):
    gold = write("gold.json", SQUAD_2)
    main(["--dataset", "auto", "--gold", gold])
    assert capsys.readouterr().out == f"{gold}: {len(SQUAD_2['data'][0]['paragraphs'][0]['qas'])} gold answers\n"
    main(["--dataset", "auto", "--gold", gold, "--json"])
    assert [*json.loads(capsys.readouterr().out)] == ["gold_answers"]


def test_korquad_file(data_dir, tmp_path, capsys):
    path = data_dir / "korquad1" / "KorQuAD_v1.0_dev.json"
    gold = json.loads(path.read_text(encoding="utf-8"))
    predictions = {key: texts[0].split()[0] for key, texts in korquad1.answers(gold).items()}
    (tmp_path / "p.json").write_text(json.dumps(predictions, ensure_ascii=False), encoding="utf-8")
    evaluate("korquad1", str(path), str(tmp_path / "p.json"), "--json")
    assert json.loads(capsys.readouterr().out) == korquad1.evaluate(gold, predictions)


HOTPOTQA = [{"_id": f"q{i}", "answer": "red", "supporting_facts": [["Oslo", i]]} for i in range(3)]
WIKIHOP = [{"id": "q0", "answer": "red", "candidates": ["red", "blue"]}]
TRIVIAQA = {
    "Domain": "Web",
    "VerifiedEval": False,
    "Data": [
        {
            "QuestionId": "q0",
            "Answer": {"NormalizedAliases": ["red"]},
            "SearchResults": [{"Filename": "0/a.txt"}, {"Filename": "0/b.txt"}],
        }
    ],
}


def test_hotpotqa_warns_of_answers_and_facts_apart(write, capsys):
    predictions = {"answer": {"q0": "red", "q1": "red", "x": ""}, "sp": {"q1": [["Oslo", 1]], "q2": []}}
    path = write("p.json", predictions)
    evaluate("hotpotqa", write("gold.json", HOTPOTQA), path)
    captured = capsys.readouterr()
    rows = dict(line.split() for line in captured.out.splitlines())
    assert len(rows) == 14
    assert (rows["em"], rows["sp_em"], rows["joint_em"]) == (str(2 / 3), str(1 / 3), str(1 / 3))
    assert (rows["questions"], rows["missing"]) == ("3", "2")
    unknown, missing, without_facts = captured.err.splitlines()
    assert f"{path}, answer: predictions of questions that" in unknown and "1, first x" in unknown
    assert f"{path}, answer: questions without a prediction" in missing and "1, first q2" in missing
    assert f"{path}, sp: questions without a prediction" in without_facts and "1, first q0" in without_facts


def test_triviaqa_on_the_web_has_a_key_for_each_document(write, capsys):
    predictions = write("p.json", {"q0--0/a.txt": "The Red!", "q0": "red"})
    evaluate("triviaqa", write("gold.json", TRIVIAQA), predictions, "--json")
    captured = capsys.readouterr()
    keys = ["exact_match", "f1", "common", "denominator", "pred_len", "gold_len"]
    assert json.loads(captured.out) == dict(zip(keys, (50.0, 50.0, 1, 2, 2, 2), strict=True))
    unknown, missing = captured.err.splitlines()
    assert "1, first q0" in unknown and "1, first q0--0/b.txt" in missing


def test_wikihop(write, capsys):
    evaluate("wikihop", write("gold.json", WIKIHOP), write("p.json", {"q0": "red"}), "--json")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ('{"accuracy": 100.0}\n', "")


GOOD = {"q0": "red", "q1": "blue"}
TWICE = {"data": SQUAD_1["data"] * 2}


@pytest.mark.parametrize(
    ("dataset", "gold", "predictions", "odds", "where", "what"),
    [
        ("squad", b"\xff\xfe{", GOOD, None, "gold", "UTF-16"),
        ("squad", "{", GOOD, None, "gold, line 1", "not valid JSON"),
        ("squad", "[" * 200_000, GOOD, None, "gold, line 1", "not valid JSON"),
        ("squad", b"\x1f\x8bxx", GOOD, None, "gold", "damaged gzip file"),
        ("squad", gzip.compress(b"{}" * 99, mtime=0)[:-12], GOOD, None, "gold", "damaged gzip file"),
        ("squad", "", GOOD, None, "gold", "an empty file"),
        ("squad", [1], GOOD, None, "gold, article 1", "object"),
        ("squad", {"data": [1]}, GOOD, None, "gold, article 1", "object"),
        ("squad", TWICE, GOOD, None, "gold, article 2, paragraph 1, question q0", "more than one"),
        ("squad", SQUAD_1, b"\x80", None, "predictions, line 1", "not UTF-8"),
        ("squad", SQUAD_1, "red", None, "predictions", "not JSON"),
        ("squad", SQUAD_1, ["red"], None, "predictions", "expected one JSON object"),
        ("squad", SQUAD_1, {"q0": ["red"]}, None, "predictions, question q0", "answer's text"),
        ("squad", SQUAD_1, {"q0": None}, None, "predictions, question q0", "found null"),
        (
            "squad",
            SQUAD_2,
            {"q0": "red"},
            None,
            "predictions",
            "1 of 2 questions, first q1",
        ),
        ("squad", SQUAD_2, GOOD, {"q0": "1"}, "odds, question q0", "expected a number"),
        ("squad", SQUAD_2, GOOD, '{"q0": NaN}', "odds, question q0", "expected a number"),
        ("squad", SQUAD_2, GOOD, {"q0": 1}, "odds", "1 of 2 questions, first q1"),
        ("squad", SQUAD_1, GOOD, {"q0": 1, "q1": 1}, "odds", "SQuAD 1.1"),
        ("korquad1", SQUAD_1, GOOD, {"q0": 1}, "", "--dataset korquad1"),
        ("mrqa", SQUAD_1, GOOD, None, "gold", "--dataset squad"),
        ("mrqa", json.dumps(SQUAD_1, indent=1), GOOD, None, "gold", "--dataset squad"),
        ("mrqa", "1\n", GOOD, None, "gold, line 1", "JSON object"),
        ("hotpotqa", SQUAD_1, {"answer": {}, "sp": {}}, None, "gold", "--dataset squad"),
        ("hotpotqa", HOTPOTQA, GOOD, None, "predictions", "no object under 'answer'"),
        ("hotpotqa", HOTPOTQA, {"answer": {}, "sp": {"q0": [1]}}, None, "predictions, sp, question q0", "found [1]"),
        ("triviaqa", SQUAD_1, GOOD, None, "gold", "--dataset squad"),
        ("triviaqa", TRIVIAQA, {"q0": None}, None, "predictions, question q0", "found null"),
        ("wikihop", SQUAD_1, GOOD, None, "gold", "--dataset squad"),
        ("wikihop", WIKIHOP * 2, GOOD, None, "gold, record 2, question q0", "more than one"),
    ],
)
def test_bad_input_is_one_line_and_status_2(write, capsys, dataset, gold, predictions, odds, where, what):
    more = [] if odds is None else ["--null-odds", write("odds", odds)]
    with pytest.raises(SystemExit) as stopped:
        evaluate(dataset, write("gold", gold), write("predictions", predictions), *more)
    captured = capsys.readouterr()
    assert stopped.value.code == 2
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert captured.err.startswith("littlebird-evaluate: ")
    assert f"{where}: " in captured.err and what in captured.err


NATURAL_QUESTIONS = {
    "example_id": 7,
    "annotations": [
        {"long_answer": {"start_token": 1, "end_token": 3}, "short_answers": [], "yes_no_answer": "NONE"},
        {"long_answer": {"start_token": 1, "end_token": 3}, "short_answers": [], "yes_no_answer": "NONE"},
    ],
}
KORQUAD_2 = {"data": [{"qas": [{"id": "q0", "answer": {"text": "red"}}]}]}


MRQA_FIRST = MRQA[1] | {"qas": [MRQA[1]["qas"][0] | {"detected_answers": []}]}


@pytest.mark.parametrize(
    ("dataset", "gold", "predictions"),
    [
        ("squad", SQUAD_1, {"q0": "red", "q1": "x"}),
        ("squad", [{"id": "q0", "question": "?", "context": "red", "answers": ["red"]}], {"q0": "red"}),
        ("mrqa", "\n".join(map(json.dumps, MRQA)), {"q0": "red"}),
        ("mrqa", json.dumps(MRQA_FIRST), {"q0": "red"}),
        ("hotpotqa", [HOTPOTQA[0] | {"question": "?", "context": []}], {"answer": {"q0": "red"}, "sp": {}}),
        ("triviaqa", TRIVIAQA | {"Data": [TRIVIAQA["Data"][0] | {"Question": "?"}]}, {"q0--0/a.txt": "red"}),
        ("classification", {"q0": "red", "q1": 1}, {"q0": "red"}),
        ("classification", {"q0": [], "q1": ["red"]}, {"q1": ["red"]}),
        ("wikihop", [WIKIHOP[0] | {"query": "?", "supports": []}], {"q0": "red"}),
        ("korquad2", {"data": [KORQUAD_2["data"][0] | {"raw_html": ""}]}, {"q0": "red"}),
        (
            "natural_questions",
            NATURAL_QUESTIONS | {"long_answer_candidates": []},
            {"predictions": [{"example_id": 7, "long_answer_score": 0, "short_answers_score": 0}]},
        ),
    ],
)
def test_the_data_set_told_by_the_gold(write, capsys, dataset, gold, predictions):
    files = [write("gold.json", gold), write("p.json", predictions)]
    evaluate(dataset, *files, "--json")
    named = capsys.readouterr()
    evaluate("auto", *files, "--json")
    told = capsys.readouterr()
    assert told.out == named.out
    assert told.err == f"littlebird-evaluate: --dataset auto: {dataset}\n{named.err}"


def test_the_data_set_told_by_a_folder(write, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    write("folder/gold.json", {"data": [KORQUAD_2["data"][0] | {"raw_html": ""}]})
    for gold in ("folder", "folder/*.json"):
        evaluate("auto", str(tmp_path / gold), write("p.json", {"q0": "red"}), "--json")
        assert json.loads(capsys.readouterr().out) == {"exact_match": 100.0, "f1": 100.0}


@pytest.mark.parametrize(
    ("dataset", "gold", "own"),
    [
        ("squad", SQUAD_1, "q0"),
        ("squad", SQUAD_2, "q0"),
        ("korquad1", SQUAD_1, "q0"),
        ("mrqa", "\n".join(map(json.dumps, MRQA)), "q0"),
        ("hotpotqa", HOTPOTQA, "q0"),
        ("triviaqa", TRIVIAQA, "q0--0/a.txt"),
        ("wikihop", WIKIHOP, "q0"),
        ("natural_questions", NATURAL_QUESTIONS, "7"),
        ("korquad2", KORQUAD_2, "q0"),
        ("classification", {"q0": "red"}, "q0"),
    ],
)
def test_predictions_of_other_questions_are_an_error(write, tmp_path, capsys, dataset, gold, own):
    def predictions(*names):
        if dataset == "natural_questions":
            record = {"long_answer_score": 0, "short_answers_score": 0}
            return {"predictions": [{"example_id": name, **record} for name in names]}
        one = dict.fromkeys(names, "red")
        return {"answer": one, "sp": {}} if dataset == "hotpotqa" else one

    files = [write("gold.json", gold), write("p.json", predictions("other"))]
    if dataset == "korquad2":
        (tmp_path / "folder").mkdir()
        files[0] = str(tmp_path / "folder")
        write("folder/gold.json", gold)
    for names, what in (
        (["other"], (files[0], "'other'", repr(own))),
        ([], ()),
    ):
        write("p.json", predictions(*names))
        with pytest.raises(SystemExit) as stopped:
            evaluate(dataset, *files)
        captured = capsys.readouterr()
        assert (stopped.value.code, captured.out, len(captured.err.splitlines())) == (2, "", 1)
        part = ", answer" if dataset == "hotpotqa" and names else ""
        assert captured.err.startswith(f"littlebird-evaluate: {files[1]}{part}: ")
        assert all(named in captured.err for named in what)
    if dataset != "natural_questions" and gold is not SQUAD_2:  # whose scripts want them all
        write("p.json", predictions("other", own))
        evaluate(dataset, *files, "--json")
        assert "predictions of " in capsys.readouterr().err


def test_facts_of_other_questions_are_an_error(write, capsys):
    predictions = write("p.json", {"answer": {"q0": "red"}, "sp": {"other": []}})
    with pytest.raises(SystemExit):
        evaluate("hotpotqa", write("gold.json", HOTPOTQA), predictions)
    assert f"{predictions}, sp: " in capsys.readouterr().err


@pytest.mark.parametrize("dataset", ["squad", "korquad1"])
def test_answers_in_another_unicode_normalisation_are_told(write, capsys, dataset):
    """Decomposed Hangul, as macOS writes it, is the same to the eye and wrong to the official scripts."""
    gold = json.loads(json.dumps(SQUAD_1))
    for question in gold["data"][0]["paragraphs"][0]["qas"]:
        question["answers"] = [{"text": "\uc218\ub3c4", "answer_start": 0}]
    predictions = {"q0": unicodedata.normalize("NFD", "\uc218\ub3c4"), "q1": "\uc218\ub3c4"}
    evaluate(dataset, write("gold.json", gold), write("p.json", predictions), "--json")
    captured = capsys.readouterr()
    assert json.loads(captured.out)["exact_match"] == 50.0
    (line,) = captured.err.splitlines()
    assert "Unicode normalisation" in line and line.endswith(": 1, first q0")


def test_standard_input_twice(capsys):
    with pytest.raises(SystemExit):
        evaluate("squad", "-", "-")
    assert capsys.readouterr().err.startswith("littlebird-evaluate: -: ")


def test_unreadable_file(write, tmp_path, capsys):
    for gold in (tmp_path, tmp_path / "absent.json"):
        with pytest.raises(SystemExit) as stopped:
            evaluate("squad", str(gold), write("p.json", GOOD))
        assert stopped.value.code == 2
        assert capsys.readouterr().err.startswith(f"littlebird-evaluate: {gold}: ")


def test_as_a_program(write, forks):
    arguments = [
        "--dataset",
        "squad",
        "--gold",
        write("g.json", SQUAD_1),
        "--predictions",
        write("p.json", GOOD),
    ]
    command = [sys.executable, "-m", "fairseq_littlebird.cli.evaluate"]
    done = forks.run([*command, *arguments])
    assert "exact_match  100.0" in done.stdout
    usage = forks.run([*command, "--help"]).stdout
    assert "--null-odds" in usage and ",".join([*DATASETS, CLASSIFICATION]) in usage


def test_without_predictions_the_gold_is_checked(write, capsys):
    gold = write("gold.json", SQUAD_2)
    main(["--dataset", "squad", "--gold", gold])
    assert capsys.readouterr().out.startswith(f"{gold}: ")
    for arguments, says in (
        (["--gold", write("bad.json", {"data": [{}]})], "bad.json"),
        (["--gold", gold, "--null-odds", write("odds.json", {})], "--predictions"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["--dataset", "squad", *arguments])
        assert stop.value.code == 2 and says in capsys.readouterr().err
