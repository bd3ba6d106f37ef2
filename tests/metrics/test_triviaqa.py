"""TriviaQA scores.

The figures in vectors/triviaqa.json and of the real records were printed by evaluation/triviaqa_evaluation.py of
mandarjoshi90/triviaqa (of 5 May 2017). The vectors' records are invented.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import triviaqa

VECTORS = json.loads((Path(__file__).parent / "vectors" / "triviaqa.json").read_text(encoding="utf-8"))
FILES = ("wikipedia-dev", "wikipedia-train", "web-dev", "web-train")


def question(identifier, *aliases, human=None, verified=True, **pages):
    """A question; of each document, ``EntityPages`` or ``SearchResults``, its name and whether it is verified."""
    answer = {"NormalizedAliases": list(aliases), **({} if human is None else {"HumanAnswers": human})}
    for name, documents in pages.items():
        pages[name] = [{"Filename": file, "DocPartOfVerifiedEval": flag} for file, flag in documents.items()]
    return {"QuestionId": identifier, "Answer": answer, "QuestionPartOfVerifiedEval": verified, **pages}


def trivia_file(*questions, domain="Wikipedia", verified=False):
    return {"Version": 1.0, "Domain": domain, "VerifiedEval": verified, "Data": list(questions)}


@pytest.fixture(scope="module")
def real_file(data_dir):
    """Reads one of the sample's question files."""

    def read(name):
        with tarfile.open(data_dir / "triviaqa" / "triviaqa-sample.tgz") as archive:
            return json.load(archive.extractfile(f"qa/{name}.json"))

    return read


@pytest.mark.parametrize("vector", VECTORS)
def test_equals_the_official_script(vector):
    scores = triviaqa.evaluate(vector["gold"], vector["predictions"])
    assert list(scores.items()) == list(vector["scores"].items())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Cat", "cat"),
        ("rock_and_roll", "rock and roll"),
        ("The-end", "end"),  # the hyphen becomes a space first, so this is an article
        ("U.S.", "u s"),
        ("1,905", "1 905"),
        ("o'clock o\u2019clock o\u00b4clock o`clock", "o clock o clock o clock o clock"),
        ("\u201cquoted\u201d", "\u201cquoted\u201d"),  # double typographic quotes stay
        ("\uff08full\uff0c", "\uff08full\uff0c"),  # so does full-width punctuation
        ("A\u0301 la", "\u0301 la"),  # a combining mark ends a word, so here is an article
        ("ΟΔΟΣ_Α", "οδος α"),
        ("no\u00a0break\u3000space", "no break space"),
        ("the", ""),
    ],
)
def test_normalize(text, expected):
    assert triviaqa.normalize(text) == expected


@given(st.text())
def test_normalize_twice_is_once(text):
    assert triviaqa.normalize(triviaqa.normalize(text)) == triviaqa.normalize(text)


@given(st.text(), st.text())
def test_pair_properties(prediction, gold):
    assert triviaqa.f1(prediction, gold) == triviaqa.f1(gold, prediction)
    assert 0.0 <= triviaqa.f1(prediction, gold) <= 1.0
    if triviaqa.normalize(prediction):
        assert triviaqa.exact_match(prediction, prediction) == triviaqa.f1(prediction, prediction) == 1.0


def test_takes_the_best_answer_and_counts_missing_ones():
    gold = trivia_file(
        question("q0", "red", "blue sky"),
        question("q1", "one two three", human=["The One-Two"]),
        question("q2", "four"),
        question("q3", "the"),
    )
    predictions = {"q0": "a Blue_Sky!", "q1": "two", "q3": "", "other": "x"}
    # exact: q0 and q3 (both empty once normalized); F1: 1 + 2/3 + 0 + 0
    assert list(triviaqa.evaluate(gold, predictions).items()) == [
        ("exact_match", 50.0),
        ("f1", 100 * (1 + 2 / 3) / 4),
        ("common", 3),
        ("denominator", 4),
        ("pred_len", 4),
        ("gold_len", 4),
    ]


DOCUMENTS = {"EntityPages": {"Oslo.txt": True, "Lima.txt": False}, "SearchResults": {"0/0_1.txt": True}}


@pytest.mark.parametrize(
    ("domain", "verified", "keys"),
    [
        ("Wikipedia", False, ["q0", "q1"]),
        ("Wikipedia", True, ["q0"]),
        ("Web", False, ["q0--Oslo.txt", "q0--Lima.txt", "q0--0/0_1.txt", "q1--Oslo.txt"]),
        ("Web", True, ["q0--Oslo.txt", "q0--0/0_1.txt"]),
    ],
)
def test_keys_follow_from_the_file(domain, verified, keys):
    unverified = question("q1", "x", verified=False, EntityPages={"Oslo.txt": True})
    gold = trivia_file(question("q0", "x", **DOCUMENTS), unverified, domain=domain, verified=verified)
    assert list(triviaqa.answers(gold)) == keys


def test_a_document_listed_twice_counts_once():
    gold = trivia_file(question("q0", "x", EntityPages={"A": True}, SearchResults={"A": True}), domain="Web")
    assert triviaqa.evaluate(gold, {"q0--A": "x"})["denominator"] == 1


@pytest.mark.parametrize("name", FILES)
def test_gold_as_prediction(real_file, name):
    gold = real_file(name)
    best = {key: texts[0] for key, texts in triviaqa.answers(gold).items()}
    scores = triviaqa.evaluate(gold, best)
    assert (scores["exact_match"], scores["f1"]) == (100.0, 100.0)
    assert scores["common"] == scores["denominator"] == len(best)


@pytest.mark.parametrize(
    ("name", "exact_match", "f1", "count"),
    [
        ("wikipedia-dev", 50.0, 83.33333333333333, 2),
        ("wikipedia-train", 75.0, 95.0, 4),
        ("web-dev", 40.0, 73.33333333333333, 5),
        ("web-train", 42.857142857142854, 61.904761904761905, 7),
    ],
)
def test_real_records_equal_the_official_script(real_file, derived, name, exact_match, f1, count):
    gold = real_file(name)
    context = "Sunset Boulevard, the " * 9
    predictions = derived((key, texts, context) for key, texts in triviaqa.answers(gold).items())
    counts = dict.fromkeys(("common", "denominator", "pred_len", "gold_len"), count)
    assert triviaqa.evaluate(gold, predictions) == {"exact_match": exact_match, "f1": f1, **counts}


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ([], "gold: .*'Data'"),
        (trivia_file(), "gold: no question"),
        (trivia_file(question("q0", "x", verified=False), verified=True), "gold: no question"),
        (trivia_file({"id": "q0"}), "gold, record 1: .*'QuestionId'"),
        (trivia_file({"QuestionId": "q0"}), "gold, question q0: .*'Answer'"),
        (trivia_file({"QuestionId": "q0", "Answer": {}}), "gold, question q0: .*'NormalizedAliases'"),
        (trivia_file(question("q0", "x", human="y")), "gold, question q0: .*'HumanAnswers'"),
        (trivia_file(question("q0", None)), "gold, question q0: .*'NormalizedAliases'"),
        (trivia_file(question("q0")), "gold, question q0: "),
        (trivia_file(question("q0", "x"), question("q0", "y")), "gold, question q0: "),
        (trivia_file(question("q0", "x"), domain=None), "gold, question q0: .*'Domain'"),
        (
            trivia_file(question("q0", "x", EntityPages={"A": False}), domain="Web", verified=True),
            "gold, question q0: .*verified",
        ),
        (
            trivia_file({**question("q0", "x"), "SearchResults": [{"Url": "u"}]}, domain="Web"),
            "gold, question q0: .*'Filename'",
        ),
        (
            trivia_file({**question("q0", "x"), "EntityPages": "A"}, domain="Web"),
            "gold, question q0: .*'EntityPages'",
        ),
    ],
)
def test_what_cannot_be_scored_is_said(gold, message):
    with pytest.raises(UserError, match=message):
        triviaqa.evaluate(gold, {})
