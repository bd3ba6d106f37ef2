"""Gold and prediction files: ``littlebird-evaluate`` scores them, or refuses them in one line."""

from __future__ import annotations

import contextlib
import io
import json

import pytest

from fairseq_littlebird.cli.evaluate import main
from fairseq_littlebird.errors import UserError

SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "paragraphs": [
                {
                    "qas": [
                        {"id": "a", "answers": [{"text": "Ann Lee"}, {"text": "Ann"}], "is_impossible": False},
                        {"id": "b", "answers": [], "is_impossible": True},
                    ]
                }
            ]
        }
    ],
}
OLD = {"version": "1.1", "data": [{"paragraphs": [{"qas": [{"id": "a", "answers": [{"text": "Ann Lee"}]}]}]}]}
SPAN = {"start_byte": 0, "end_byte": 9, "start_token": 0, "end_token": 5}
ANNOTATION = {"long_answer": SPAN | {"candidate_index": 0}, "short_answers": [SPAN], "yes_no_answer": "NONE"}
PREDICTION = {"example_id": 7, "long_answer_score": 0.5, "short_answers_score": 2} | ANNOTATION
TRIVIAQA = {
    "Domain": "Web",
    "VerifiedEval": False,
    "Data": [
        {
            "QuestionId": "a",
            "Answer": {"NormalizedAliases": ["ann lee"], "HumanAnswers": ["Ann"]},
            "SearchResults": [{"Filename": "x.txt"}],
        }
    ],
}
PAGES = {"data": [{"qas": [{"id": "a", "answer": {"text": "<b>Ann &amp; &#65;</b><![CDATA[x]]><script>y"}}]}]}
FACTS = {"answer": {"a": "the Ann"}, "sp": {"a": [["One", 1], ["Two", 0]]}}
HOTPOTQA = [{"_id": "a", "answer": "Ann", "supporting_facts": [["One", 1]]}]
PROBABILITIES = {"a": {"label": "pos", "probabilities": {"pos": 0.5, "neg": 0.1}}}
SETS = {"a": ["pos", 1], "b": []}
SCORES = {"a": {"pos": 0.5, "1": 1}, "b": {"pos": 0, "1": 0.5}}
# data set -> its gold and its predictions, several pairs of some
FILES = {
    "squad": [(SQUAD, {"a": "the Ann", "b": ""}), (OLD, {"a": "Lee"})],
    "korquad1": [(OLD, {"a": "‘Ann’ Lee"})],
    "mrqa": [([{"header": {}}, {"qas": [{"qid": "a", "answers": ["Ann", "Lee"]}]}], {"a": "Ann"})],
    "hotpotqa": [(HOTPOTQA, FACTS)],
    "triviaqa": [(TRIVIAQA, {"a--x.txt": "ann"})],
    "wikihop": [([{"id": "a", "answer": "peru", "candidates": ["peru", "chile"]}], {"a": "peru"})],
    "natural_questions": [([{"example_id": 7, "annotations": [ANNOTATION] * 3}], {"predictions": [PREDICTION]})],
    "korquad2": [(PAGES, {"a": "<td>Ann &amp A<td/></b>"})],
    "classification": [({"a": "pos"}, PROBABILITIES), ({"a": 1}, {"a": 1}), (SETS, SETS), (SETS, SCORES)],
}
LINES = ("mrqa", "natural_questions")


def evaluate(*arguments):
    """Raises the UserError of the one line that it ends with."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([*map(str, arguments), "--json"])
        except SystemExit as error:
            status = error.code
    lines = err.getvalue().splitlines()
    assert all(line.startswith("littlebird-evaluate: ") for line in lines), lines
    if status:
        assert (status, len(lines), out.getvalue()) == (2, 1, "")
        raise UserError(lines[0])
    assert all(line.startswith("littlebird-evaluate: warning: ") for line in lines), lines
    scores = json.loads(out.getvalue())
    assert scores and all(isinstance(score, (int, float)) for score in scores.values())


@pytest.mark.parametrize("dataset", FILES)
def test_scores(hostile, dataset):
    def read(folder):
        evaluate("--dataset", dataset, "--gold", folder / "gold", "--predictions", folder / "predictions")

    kind = hostile.JsonLines if dataset in LINES else hostile.Json
    folders = [{"gold": kind(gold), "predictions": hostile.Json(given)} for gold, given in FILES[dataset]]
    hostile.run(*folders, read=read)


def test_null_odds(hostile):
    gold, predictions = FILES["squad"][0]
    files = {"odds": {"a": 0.5, "b": 3}, "gold": gold, "predictions": predictions}

    def read(folder):
        files = "--gold", folder / "gold", "--predictions", folder / "predictions", "--null-odds", folder / "odds"
        evaluate("--dataset", "squad", *files)

    hostile.run({name: hostile.Json(content) for name, content in files.items()}, read=read, changed=1)
