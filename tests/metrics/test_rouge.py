"""ROUGE against the package rouge-score, and its stemmer against NLTK's."""

from __future__ import annotations

import json

import pytest
from helpers.rouge_score import RougeScorer
from hypothesis import given
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer

from fairseq_littlebird.cli.evaluate import main as evaluate
from fairseq_littlebird.metrics.porter import IRREGULAR, stem
from fairseq_littlebird.metrics.rouge import KINDS, interval, rouge

ENDINGS = """al ance ence er ic able ible ant eed ied ies ed ing ational tional alli fulli logi ness ion tion sion ou
    ement ment ent ism ate iti ous ive ize ll e y s sses izer bli entli eli ousli ization alism aliti iviti biliti
    icate ative alize iciti ical ful""".split()
WORDS = st.builds("".join, st.tuples(st.text("aeioubcdlstzgnmrwxy7", max_size=6), st.sampled_from(["", *ENDINGS])))
SENTENCES = st.lists(st.lists(st.sampled_from("the dogs were running studies studied! it's 3.5 é".split()), max_size=7))


@pytest.fixture(scope="module")
def scorers():
    return {stemmer: RougeScorer([*KINDS], use_stemmer=stemmer) for stemmer in (False, True)}


@given(WORDS)
def test_stems_are_those_of_nltk(word):
    assert stem(word) == PorterStemmer().stem(word)


@pytest.mark.parametrize("word", [*IRREGULAR, "dies", "died", "spied", "flies", "y", "by", "say", "yoyo", "geologi"])
def test_stems_of_single_words_are_those_of_nltk(word):
    assert stem(word) == PorterStemmer().stem(word)


@pytest.mark.parametrize("stemmer", [False, True])
@given(gold=SENTENCES, predicted=SENTENCES)
def test_scores_are_those_of_the_package(scorers, stemmer, gold, predicted):
    texts = ["\n".join(" ".join(words) for words in lines) for lines in (gold, predicted)]
    theirs = scorers[stemmer].score(*texts)
    ours = rouge(*texts, stemmer)
    assert {kind: tuple(score) for kind, score in ours.items()} == {kind: tuple(theirs[kind]) for kind in KINDS}


def test_an_interval_is_of_the_means_of_samples_with_replacement():
    low, high = interval([0.0, 100.0] * 200)
    error = 100 * (0.25 / 400) ** 0.5
    assert low == pytest.approx(50 - 1.96 * error, abs=0.5) and high == pytest.approx(50 + 1.96 * error, abs=0.5)
    assert interval([7.0] * 5) == (7.0, 7.0)
    assert interval([1.0, 5.0, 2.0]) == interval([1.0, 5.0, 2.0])


GOLD = {"a": ["The cats sat.", "A dog ran."], "b": "Nothing happened at all."}


@pytest.fixture
def files(tmp_path):
    """Writes records as JSON lines, and gives the arguments of littlebird-evaluate."""

    def write(predictions, gold=None):
        gold = [{"id": k, "summary": v} for k, v in GOLD.items()] if gold is None else gold
        for name, records in (("gold", gold), ("predictions", predictions)):
            (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records), "utf-8")
        paths = [f"{tmp_path}/gold.jsonl", f"{tmp_path}/predictions.jsonl"]
        return ["--dataset", "rouge", "--gold", paths[0], "--predictions", paths[1]]

    return write


def test_the_command_gives_the_mean_of_all_gold_summaries(files, scorers, capsys):
    arguments = files([{"id": "a", "summary": "A cat sat.\nA dog ran off.", "score": -1.0}])
    evaluate([*arguments, "--stemmer", "--json"])
    captured = capsys.readouterr()
    scores = json.loads(captured.out)
    theirs = scorers[True].score("\n".join(GOLD["a"]), "A cat sat.\nA dog ran off.")
    for kind in KINDS:
        assert scores[kind] == pytest.approx(100 * theirs[kind].fmeasure / 2, abs=1e-12)
        assert scores[f"{kind}_interval"][0] <= scores[kind] <= scores[f"{kind}_interval"][1]
    assert scores["summaries"] == 2 and scores["missing"] == 1
    assert "score 0: 1, first b" in captured.err


def test_sentences_of_one_line_are_found_if_asked_for(files, capsys):
    gold = [{"id": "a", "summary": ["Cats and dogs ran.", "Nothing happened."]}]
    flat = [{"id": "a", "summary": "Dogs ran. Cats slept."}]  # both sides of "and", in another order
    evaluate([*files(flat, gold), "--json"])
    captured = capsys.readouterr()
    whole = json.loads(captured.out)["rougeLsum"]
    assert "give --split-sentences" in captured.err
    evaluate([*files(flat, gold), "--json", "--split-sentences"])
    captured = capsys.readouterr()
    assert captured.err == "" and json.loads(captured.out)["rougeLsum"] > whole


@pytest.mark.parametrize(
    ("predictions", "line"),
    [
        ([{"id": "a", "summary": "x"}, {"id": "a", "summary": "y"}], "line 2: the id 'a' comes twice"),
        ([{"id": "a"}], "line 1: no summary (id a)"),
        ([{"summary": "x"}], "no 'id' here"),
        ([{"id": "z", "summary": "x"}], "no summary for any id of"),
        ([{"id": "a", "summary": 3}], "expected a summary's text or a list of its sentences, found 3"),
    ],
)
def test_wrong_predictions_are_one_line(files, capsys, predictions, line):
    with pytest.raises(SystemExit) as ended:
        evaluate(files(predictions))
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert line in error and error.count("\n") == 1
