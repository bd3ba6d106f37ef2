"""Natural Questions scores.

The figures in vectors/natural_questions.json, of invented examples, were printed by the official nq_eval.py of
google-research-datasets/natural-questions.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import natural_questions as nq
from fairseq_littlebird.metrics.json_files import read_json_lines

VECTORS = json.loads((Path(__file__).parent / "vectors" / "natural_questions.json").read_text("utf-8"))
NULL = {"start_byte": -1, "end_byte": -1, "start_token": -1, "end_token": -1}


def span(start, end, **others):
    """A span in bytes and tokens, ten bytes a token."""
    return {"start_byte": 10 * start, "end_byte": 10 * end, "start_token": start, "end_token": end, **others}


def annotation(long=NULL, short=(), yes_no="NONE"):
    return {"long_answer": long, "short_answers": list(short), "yes_no_answer": yes_no}


def example(*annotations, identifier=1):
    return {"example_id": identifier, "annotations": list(annotations)}


def prediction(long=NULL, short=(), yes_no="NONE", score=1.0):
    return {**annotation(long, short, yes_no), "long_answer_score": score, "short_answers_score": score}


def f1(annotations, predicted, kind):
    return nq.evaluate([example(*annotations)], {1: predicted})[f"{kind}-best-threshold-f1"]


def by_id(predictions):
    return {record["example_id"]: record for record in predictions}


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: f"{len(case['gold'])} examples")
def test_equals_the_official_script(case):
    scores = nq.evaluate(case["gold"], by_id(case["predictions"]))
    assert json.dumps(scores) == json.dumps(case["printed"])  # 0 and 0.0 are printed apart


def test_files_are_read_as_one_file_a_folder_or_a_pattern(tmp_path):
    case = VECTORS[-1]
    predictions = tmp_path / "predictions.json"
    predictions.write_text(json.dumps({"predictions": case["predictions"]}), "utf-8")
    lines = [json.dumps({**record, "document_html": "<p>"}) + "\n" for record in case["gold"]]
    whole, shards = tmp_path / "dev.jsonl", tmp_path / "shards"
    whole.write_text("".join(lines), "utf-8")
    shards.mkdir()
    for number, part in enumerate((lines[:5], lines[5:])):
        (shards / f"nq-dev-{number:02}.jsonl.gz").write_bytes(gzip.compress("".join(part).encode()))
    for path in (whole, shards, shards / "nq-dev-*.gz"):
        gold = nq.read_gold(str(path))
        assert gold == case["gold"]  # without the page
        assert nq.evaluate(gold, nq.read_predictions(str(predictions))) == case["printed"]


def test_an_answer_needs_two_annotators():
    one, two = annotation(span(0, 5), [span(1, 2)]), annotation(span(6, 9), yes_no="YES")
    given = prediction(span(0, 5), [span(1, 2)])
    for kind in ("long", "short"):
        assert f1([one] + [annotation()] * 4, given, kind) == 0.0
        assert f1([one, two] + [annotation()] * 3, given, kind) == 1.0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (prediction(short=[span(1, 2), span(3, 4)]), 1.0),
        (prediction(short=[span(3, 4), span(1, 2), span(1, 2), NULL]), 1.0),  # a set, without null spans
        (prediction(short=[span(1, 2)]), 0.0),  # part of it is not enough
        (prediction(short=[span(1, 2), span(3, 4), span(5, 6)]), 0.0),
        (prediction(short=[span(1, 3), span(3, 4)]), 0.0),
        (prediction(yes_no="yes"), 1.0),
        (prediction(yes_no="no"), 0.0),
        (prediction(short=[NULL], yes_no="Yes"), 1.0),
        (prediction(), 0.0),
        ({"long_answer_score": 0, "short_answers_score": 0}, 0.0),
    ],
)
def test_short_answers_match_as_a_set(given, expected):
    golds = [annotation(short=[span(1, 2), span(3, 4)]), annotation(yes_no="YES"), annotation()]
    assert f1(golds, given, "short") == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (span(2, 7), 1.0),
        ({"start_byte": 20, "end_byte": 70}, 1.0),
        ({"start_token": 2, "end_token": 7}, 1.0),
        (span(2, 7, start_token=3), 1.0),  # bytes are enough
        (span(2, 7, start_byte=21), 1.0),  # and so are tokens
        (span(2, 7, start_byte=21, start_token=3), 0.0),
        ({"start_byte": 2, "end_byte": 7}, 0.0),
        ({"start_token": 2, "end_token": 8}, 0.0),
    ],
)
def test_spans_match_in_bytes_or_in_tokens(given, expected):
    assert f1([annotation(span(2, 7))] * 2, prediction(given), "long") == expected


def test_the_best_threshold_leaves_out_wrong_answers_of_lower_scores():
    gold = [example(*[annotation(span(0, 5))] * 2, identifier=i) for i in range(4)]
    right, wrong = prediction(span(0, 5)), prediction(span(1, 5))
    given = {
        i: {**p, "long_answer_score": s} for i, (p, s) in enumerate([(right, 9), (right, 7), (wrong, 7), (wrong, 1)])
    }
    assert list(nq.evaluate(gold, given).items())[:10] == [
        ("long-best-threshold-f1", 2 * (2 / 3) * 0.5 / (2 / 3 + 0.5)),
        ("long-best-threshold-precision", 2 / 3),  # answers of one score stand or fall together
        ("long-best-threshold-recall", 0.5),
        ("long-best-threshold", 7),
        ("long-recall-at-precision>=0.5", 0.5),
        ("long-precision-at-precision>=0.5", 2 / 3),
        ("long-recall-at-precision>=0.75", 0.25),
        ("long-precision-at-precision>=0.75", 1.0),
        ("long-recall-at-precision>=0.9", 0.25),
        ("long-precision-at-precision>=0.9", 1.0),
    ]


def simplified(record):
    """The record without bytes, as the data set's own simplification makes it."""
    record = json.loads(json.dumps(record))
    for item in record["annotations"]:
        for place in (item["long_answer"], *item["short_answers"]):
            del place["start_byte"], place["end_byte"]
    return record


def test_the_simplified_format_has_tokens_only():
    gold = [simplified(example(*[annotation(span(2, 7), [span(3, 4)])] * 2))]
    scores = nq.evaluate(gold, {1: prediction(span(2, 7), [span(3, 4)])})
    assert scores["long-best-threshold-f1"] == scores["short-best-threshold-f1"] == 1.0
    bytes_only = {"start_byte": 20, "end_byte": 70}
    with pytest.raises(UserError, match="bytes.*tokens.*start_token"):
        nq.evaluate(gold, {1: prediction(bytes_only)})


def test_gold_answers_of_real_records_score_1(data_dir):
    """TyDi QA's annotations are of the same kind, with a candidate's number for the long answer."""
    gold, predictions = [], {}
    for record in read_json_lines(str(data_dir / "tydiqa" / "tiny_dev.jsonl")):
        annotations = []
        for item in record["annotations"]:
            number, short = item["passage_answer"]["candidate_index"], item["minimal_answer"]
            place = record["passage_answer_candidates"][number] if number >= 0 else None
            annotations.append(
                annotation(
                    NULL if place is None else bytes_of(place),
                    [] if short["plaintext_start_byte"] < 0 else [bytes_of(short)],
                    item["yes_no_answer"],
                )
            )
        gold.append({"example_id": record["example_id"], "annotations": annotations})
        answered = [a.long for a in nq.answers(gold[-1:])[record["example_id"]] if not a.long.is_null()]
        shorts = [a for a in nq.answers(gold[-1:])[record["example_id"]] if a.has_short()]
        predictions[record["example_id"]] = prediction(
            answered[0]._asdict() if len(answered) > 1 else NULL,
            [place._asdict() for place in shorts[0].short] if len(shorts) > 1 else [],
            shorts[0].yes_no if len(shorts) > 1 else "NONE",
        )
    scores = nq.evaluate(gold, predictions)
    for kind in ("long", "short"):
        assert [scores[f"{kind}-best-threshold-{name}"] for name in ("f1", "precision", "recall")] == [1.0, 1.0, 1.0]


def bytes_of(place):
    return {"start_byte": place["plaintext_start_byte"], "end_byte": place["plaintext_end_byte"]}


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ([], "gold: no example"),
        ([{"example_id": None, "annotations": []}], "gold, record 1: .*'example_id'"),
        ([{"example_id": 1}], "gold, example 1: .*'annotations'"),
        ([example()], "gold, example 1: .*annotation"),
        ([example(annotation())] * 2, "gold, record 2, example 1: "),
        ([example({"long_answer": NULL})], "gold, example 1: .*'short_answers'"),
        ([example(annotation({"start": 1}))], "gold, example 1: no span in"),
        ([example(annotation({"start_byte": 1, "end_byte": 2.5}))], "example 1: .*integer"),
        ([example(annotation(span(3, 3)))], "example 1: .*30 to 30"),
        ([example(annotation(span(3, 4, end_token=-1)))], "example 1: .*3 to -1"),
        ([example(annotation(yes_no="MAYBE"))], 'example 1: yes_no_answer is "MAYBE"'),
    ],
)
def test_gold_that_cannot_be_scored_is_said(gold, message):
    with pytest.raises(UserError, match=message):
        nq.answers(gold)


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ({}, "2 of 2 examples, first 1"),
        ({1: prediction(), 3: prediction()}, "1 of 2 examples, first 2 .* 1 .*first 3"),
        ({"3": prediction(), 2: prediction()}, 'first 1 .* 1 .*first "3"'),
        ({1: annotation(), 2: prediction()}, "example 1: .*'long_answer_score'"),
        ({1: prediction(score=float("nan")), 2: prediction()}, "example 1: no number"),
        ({1: prediction(), 2: prediction(short=[span(1, 2)], yes_no="NO")}, "example 2: .*short answers and yes"),
        ({1: prediction(None), 2: prediction()}, "example 1: no span in null"),
        ({1: prediction(), 2: {**prediction(), "short_answers": "x"}}, "example 2: no list of objects"),
    ],
)
def test_predictions_that_cannot_be_scored_are_said(predictions, message):
    gold = [example(annotation(), annotation(), identifier=i) for i in (1, 2)]
    with pytest.raises(UserError, match=message):
        nq.evaluate(gold, predictions)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "p.json: .*'predictions'"),
        ({"predictions": [{}]}, "p.json, prediction 1: .*'example_id'"),
        ({"predictions": [{"example_id": 5}] * 2}, "p.json, prediction 2, example 5: "),
    ],
)
def test_prediction_files_of_another_format_are_said(tmp_path, content, message):
    path = tmp_path / "p.json"
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(UserError, match=message):
        nq.read_predictions(str(path))


def test_gold_files_of_another_format_are_said(tmp_path):
    def message(path):
        with pytest.raises(UserError) as caught:
            nq.read_gold(str(path))
        return str(caught.value)

    assert ".jsonl.gz" in message(tmp_path)
    assert "no file matches this pattern" in message(tmp_path / "*.gz")
    path = tmp_path / "nq.jsonl.gz"
    good = json.dumps(example(annotation())).encode()
    path.write_bytes(gzip.compress(good + b"\n\n[1]\n"))
    assert message(path).startswith(f"{path}, line 3: ")
    path.write_bytes(gzip.compress(good + b'\n{"example_id": 2}'))
    assert message(path).startswith(f"{path}, record 2: ")
    path.write_bytes(gzip.compress(good + b"\n" + b"\xff"))
    assert message(path).startswith(f"{path}, line 2: not UTF-8")
    path.write_bytes(gzip.compress(good * 50)[:-12])
    assert message(path).startswith(f"{path}: damaged gzip file")
    with pytest.raises(UserError, match="No such file"):
        nq.read_gold(str(tmp_path / "absent.jsonl"))
