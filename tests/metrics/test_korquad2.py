"""KorQuAD 2 scores.

What vectors/korquad2.json holds of invented answers was printed by the official evaluate-2.0.py of
korquad/korquad.github.io, its ``texts`` by the normalize_answer in it, with BeautifulSoup 4.15.0 and no parser
installed beside Python's own.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import korquad2
from fairseq_littlebird.metrics.json_files import read_json

VECTORS = json.loads((Path(__file__).parent / "vectors" / "korquad2.json").read_text("utf-8"))


def korquad_file(*texts):
    """A gold file with questions q0, q1, ... of these answers, one a page."""
    return {"data": [{"qas": [{"id": f"q{i}", "answer": {"text": text}}]} for i, text in enumerate(texts)]}


@pytest.mark.parametrize("case", VECTORS["cases"])
def test_equals_the_official_script(case):
    scores = korquad2.evaluate(case["gold"], case["predictions"])
    assert json.dumps(scores) == json.dumps(case["printed"])


@pytest.mark.parametrize(("html", "expected"), VECTORS["texts"])
def test_normalize_equals_the_official_script(html, expected):
    assert korquad2.normalize(html) == expected


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<b>가</b> <i>나", "가 나"),
        ("<table><tr><td>1<td><table><tr><td>2</table></table>", "12"),
        ("가<!-- 나 --><!DOCTYPE html><?pi?>다", "가다"),
        ("<style>a</style><ruby>漢<rp>(</rp><rt>한</rt></ruby>", "漢"),
        ("<rt>a<b>b</rt>c", "c"),  # an end tag closes what is open within
        ("<b><rt>a</b>b", "b"),
        ("<rt>a</b>b</rt>c", "c"),  # but nothing where its element is not open
        ("<rt/>a<template/>b", "ab"),
        ("<br>a</br>b<rt>c</br>d", "ab"),
        ("&lt;b&gt; &amp;lt;", "<b> &lt;"),
        ("&NotEqualTilde;&copy;", "\u2242\u0338\u00a9"),
        ("&foo; &foo bar", "&foo &foo bar"),
        ("&#44032;&#xAC00;&#x0000AC00;", "가가가"),
        ("&#128;&#x9f;&#129;", "\u20ac\u0178\x81"),  # Windows-1252, where it has the character
        ("&#0;&#xD800;&#x110000;&#99999999999;", "\ufffd" * 4),
        ("", ""),
    ],
)
def test_html_text(html, text):
    assert korquad2.html_text(html) == text


@pytest.mark.parametrize(
    ("prediction", "gold", "exact", "f1"),
    [
        ("<a>신중현</a>", "신중현", 1.0, 1.0),
        ("《봄 날》", "봄<br/>날.", 1.0, 1.0),  # spaces do not count, unlike in KorQuAD 1
        ("서울은", "서울", 0.0, 0.8),
        ("울서", "서울", 0.0, 1.0),  # order does not count for F1
        ("<td>", "서울", 0.0, 0.0),
        ("<td>", "", 1.0, 0.0),  # without a common character the official script gives F1 0
    ],
)
def test_pair(prediction, gold, exact, f1):
    assert korquad2.exact_match(prediction, gold) == exact
    assert korquad2.f1(prediction, gold) == pytest.approx(f1, abs=1e-15)
    scores = korquad2.evaluate(korquad_file(gold), {"q0": prediction})
    assert scores == {"exact_match": 100 * exact, "f1": 100 * korquad2.f1(prediction, gold)}


@given(st.text(), st.text(alphabet="<>/&#;!?-[x0 a가br\"'="))
def test_any_text_is_read_or_refused(text, markup):
    for html in (text, markup):
        try:
            assert " " not in korquad2.normalize(html)
        except ValueError:
            assert "<![" in html


def test_missing_answers_score_0():
    gold = korquad_file("가", "나다", "라", "마")
    assert korquad2.evaluate(gold, {"q0": "가", "q1": "나", "other": "x"}) == {
        "exact_match": 25.0,
        "f1": 100 * (1 + 2 / 3) / 4,
    }


@pytest.mark.parametrize("name", ["korquad2.1_dev_00.json", "korquad2.1_train_00.json"])
def test_gold_answers_of_real_records_score_100(data_dir, name):
    path = str(data_dir / "korquad2" / name)
    gold = korquad2.read_gold(path)
    assert gold == {"data": read_json(path)["data"]}
    predictions = {key: f"<div>{texts[0]}</div>" for key, texts in korquad2.answers(gold).items()}
    assert korquad2.evaluate(gold, predictions) == {"exact_match": 100.0, "f1": 100.0}


def test_a_folder_is_read_as_one_file(data_dir):
    gold = korquad2.read_gold(str(data_dir / "korquad2"))
    assert len(gold["data"]) == 2
    predictions = {key: texts[0] for key, texts in korquad2.answers(gold).items()}
    assert korquad2.evaluate(gold, predictions) == {"exact_match": 100.0, "f1": 100.0}


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ([], "gold: .*'data'"),
        ({"data": []}, "gold: no question"),
        ({"data": [{"paragraphs": []}]}, "gold, page 1: .*'qas'"),
        ({"data": [{"qas": [{"answer": {"text": "x"}}]}]}, "gold, page 1: .*'id'"),
        ({"data": [{"qas": [{"id": "q", "answers": [{"text": "x"}]}]}]}, "gold, question q: .*'answer'.*'text'"),
        ({"data": korquad_file("가")["data"] * 2}, "gold, page 2, question q0: "),
    ],
)
def test_what_cannot_be_scored_is_said(gold, message):
    with pytest.raises(UserError, match=message):
        korquad2.evaluate(gold, {})


def test_html_that_cannot_be_read_is_said(monkeypatch):
    def refuse(parser, html):
        raise AssertionError("unknown status keyword 'x'")

    monkeypatch.setattr(korquad2._TextParser, "feed", refuse)  # which HTML it is depends on Python's version
    with pytest.raises(UserError, match="question q0: .*HTML.*'x'"):
        korquad2.evaluate(korquad_file("가"), {})
