"""The parser of Natural Questions: invented records in both formats, then real ones of a data set like it."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.datasets.natural_questions import (
    LONGEST_ANSWER,
    character_range,
    predicted_span,
    predicted_tokens,
    token_range,
    token_starts,
)
from fairseq_littlebird.datasets.question_files import read_questions
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import natural_questions as metric
from fairseq_littlebird.text.example import Answer
from fairseq_littlebird.text.pieces import encode_pieces

PAGE = (
    "<H1> Owls </H1> <H3> Diet </H3> <P> Owls eat mice , and voles . </P> "
    '<Table> <Tr> <Th colspan="2"> Name </Th> </Tr> <Tr> <Td> Snowy owl </Td> <Td> north </Td> </Tr> </Table> '
    "<Dl> <Dt> Hoot </Dt> <Dd> a cry </Dd> </Dl> <Ul> <Li> <P> One </P> </Li> <Li> two </Li> </Ul>"
)
TOKENS = [token.replace("_", " ") for token in PAGE.replace(" colspan", "_colspan").split(" ")]
NULL = {"start_token": -1, "end_token": -1, "start_byte": -1, "end_byte": -1}


def span(text):
    """The tokens of a part of the page, which stands there once, as the data set has them."""
    count = len(text.replace(" colspan", "").split(" "))
    (first,) = [i for i in range(len(TOKENS)) if " ".join(TOKENS[i : i + count]) == text]
    end = first + count
    return {"start_token": first, "end_token": end, "start_byte": 10 * first, "end_byte": 10 * end}


CANDIDATES = [
    "<P> Owls eat mice , and voles . </P>",
    re.search("<Table>.*</Table>", PAGE)[0],
    "<Tr> <Td> Snowy owl </Td> <Td> north </Td> </Tr>",
    "<Dd> a cry </Dd>",
    "<Li> <P> One </P> </Li>",
    "<P> One </P>",
]


def annotation(candidate=-1, short=(), yes_no="NONE"):
    long = (NULL if candidate < 0 else span(CANDIDATES[candidate])) | {"candidate_index": candidate}
    return {"long_answer": long, "short_answers": [span(text) for text in short], "yes_no_answer": yes_no}


def original(*annotations, **more):
    return {
        "example_id": -5655493461695504401,
        "question_text": "what do owls eat",
        "document_title": "Owl",
        "document_html": "<html>",
        "document_tokens": [{"token": token, "html_token": token.startswith("<"), "start_byte": 0} for token in TOKENS],
        "long_answer_candidates": [span(text) | {"top_level": i not in (2, 5)} for i, text in enumerate(CANDIDATES)],
        "annotations": list(annotations),
    } | more


def simplified(*annotations, **more):
    record = original(*annotations)
    del record["document_tokens"], record["document_html"]
    return record | {"document_text": " ".join(token.replace(" ", "_") for token in TOKENS)} | more


def examples(folder, *records):
    path = folder / "nq.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return list(read_questions("natural_questions", path))


def only(folder, record):
    (example,) = examples(folder, record)
    return example


def texts(example):
    return [(p.symbol or p.text or example.document[p.start : p.stop]) for p in example.pieces]


def gold_candidates(example):
    return [i for i, segment in enumerate(example.segments) if segment.gold]


BOTH = pytest.mark.parametrize("form", [original, simplified])


def test_a_page_is_the_same_in_both_formats(tmp_path):
    said = annotation(0, ["mice", "voles"])
    first, second = examples(tmp_path, original(said), simplified(said))
    assert first == second
    assert first.document == PAGE.replace(" colspan", "_colspan")  # as long as it was
    assert (first.id, first.title, first.question) == ("-5655493461695504401", "Owl", "what do owls eat")


@BOTH
def test_words_and_main_tags_are_read(tmp_path, form):
    example = only(tmp_path, form(annotation()))
    assert texts(example) == [
        *("<h1>", "Owls", " ", "Diet", "<p>", "Owls eat mice , and voles .", "<table>", "<tr>", "<th>", "Name"),
        *("<tr>", "<td>", "Snowy owl", "<td>", "north", " ", "Hoot", " ", "a cry"),
        *("<ul>", "<li>", "<p>", "One", "<li>", "two"),
    ]
    tags = {example.document[p.start : p.stop] for p in example.pieces if p.symbol}
    assert tags == {"<H1>", "<P>", "<Table>", "<Tr>", '<Th_colspan="2">', "<Td>", "<Ul>", "<Li>"}
    ends = [0, *(p.stop for p in example.pieces)]
    assert all(end <= p.start < p.stop for end, p in zip(ends, example.pieces, strict=False))


def test_words_that_look_like_tags_are_known_by_their_mark(tmp_path):
    words = ["<3>", "a", "<b>", "c", "<"]
    tokens = [{"token": word, "html_token": False} for word in words] + [{"token": "<!-- -->", "html_token": True}]
    record = {"document_tokens": tokens, "long_answer_candidates": []}
    assert texts(only(tmp_path, original(**record))) == ["<3> a <b> c <"]
    # the simplified format has no mark
    text = {"document_text": " ".join(words), "long_answer_candidates": []}
    assert texts(only(tmp_path, simplified(**text))) == ["<3> a", " ", "c <"]


@BOTH
def test_all_candidates_are_segments_also_those_in_another(tmp_path, form):
    example = only(tmp_path, form(annotation(2)))
    named = [json.loads(segment.name) for segment in example.segments]
    assert named == [[span(text)["start_token"], span(text)["end_token"]] for text in CANDIDATES]
    wanted = [text.replace(" colspan", "_colspan") for text in CANDIDATES]
    assert [example.document[s.start : s.stop] for s in example.segments] == wanted
    assert gold_candidates(example) == [2]  # not the table it is in


@BOTH
@pytest.mark.parametrize(
    ("said", "answer_type", "answers"),
    [
        (annotation(), "null", []),
        (annotation(0), "long", []),
        (annotation(0, ["mice", "voles"]), "short", ["mice", "voles"]),
        (annotation(0, yes_no="YES"), "yes", []),
        (annotation(1, yes_no="no"), "no", []),
        (annotation(1, ["Snowy owl </Td> <Td> north"]), "short", ["Snowy owl </Td> <Td> north"]),
    ],
)
def test_types_and_short_answers(tmp_path, form, said, answer_type, answers):
    example = only(tmp_path, form(said))
    assert answer_type in DATASETS["natural_questions"].answer_types
    assert (example.answer_type, [answer.text for answer in example.answers]) == (answer_type, answers)
    assert all(a.start >= 0 and example.document.startswith(a.text, a.start) for a in example.answers)
    candidate = said["long_answer"]["candidate_index"]
    assert gold_candidates(example) == ([candidate] if candidate >= 0 else [])


def test_long_short_answers_have_no_place(tmp_path):
    words = [f"w{i}" for i in range(60)]
    page = {"document_text": " ".join(words), "long_answer_candidates": [{"start_token": 0, "end_token": 60}]}
    long = {"candidate_index": 0}
    spans = [
        {"start_token": i, "end_token": i + length} for i, length in ((3, LONGEST_ANSWER + 1), (9, LONGEST_ANSWER))
    ]
    said = {"long_answer": long, "short_answers": spans, "yes_no_answer": "NONE"}
    example = only(tmp_path, simplified(said, **page))
    kept = " ".join(words[9 : 9 + LONGEST_ANSWER])
    assert example.answers == (Answer(kept, example.document.index(kept)),)
    example = only(tmp_path, simplified(said | {"short_answers": spans[:1]}, **page))
    assert example.answers == (Answer(" ".join(words[3 : 4 + LONGEST_ANSWER]), -1),)
    assert example.answer_type == "short" and example.segments[0].gold


SHORT, OTHER_SHORT = annotation(0, ["mice"]), annotation(0, ["voles"])
LONG, YES, NONE = annotation(1), annotation(3, yes_no="YES"), annotation()


@pytest.mark.parametrize(
    ("said", "answer_type", "answers", "candidates"),
    [
        ([NONE, NONE, SHORT, NONE, NONE], "null", [], []),  # one of five is none
        ([NONE, NONE, SHORT, NONE, LONG], "short", ["mice"], [0]),  # two of any kind are one; the earlier type
        ([NONE, LONG, SHORT, NONE, NONE], "long", [], [1]),
        ([LONG, OTHER_SHORT, SHORT, NONE, NONE], "short", ["voles"], [0]),  # most; then the first who gave it
        ([YES, LONG, YES, SHORT, LONG], "yes", [], [3]),
        ([NONE, YES], "null", [], []),
        ([YES, YES], "yes", [], [3]),
        ([YES], "yes", [], [3]),
    ],
)
def test_several_annotators(tmp_path, said, answer_type, answers, candidates):
    example = only(tmp_path, original(*said))
    assert (example.answer_type, [answer.text for answer in example.answers]) == (answer_type, answers)
    assert gold_candidates(example) == candidates


def test_null_is_what_the_metric_takes_for_no_answer(tmp_path):
    for said in ([NONE] * 4 + [SHORT], [NONE] * 3 + [SHORT, OTHER_SHORT], [YES] * 2 + [NONE] * 3, [LONG] + [NONE] * 4):
        (judged,) = metric.answers([original(*said)]).values()
        seen = sum(not answer.long.is_null() for answer in judged) >= metric.ANNOTATORS_THAT_AGREE
        assert (only(tmp_path, original(*said)).answer_type != "null") == seen


@BOTH
def test_records_without_annotations(tmp_path, form):
    record = form(example_id="test-1")
    del record["annotations"], record["document_title"]
    example = only(tmp_path, record)
    assert (example.id, example.answer_type, example.answers, example.title) == ("test-1", "", (), "")
    assert len(example.segments) == len(CANDIDATES) and not any(s.gold for s in example.segments)


def test_null_short_answers_are_none(tmp_path):
    said = annotation(0) | {"short_answers": [NULL]}
    assert only(tmp_path, original(said)).answer_type == "long"


def test_gzip_blank_lines_and_lone_surrogates(tmp_path):
    path = tmp_path / "nq-train-00.jsonl.gz"
    text = "a\ud800 b\u2028c d"
    record = simplified(document_text=text, long_answer_candidates=[{"start_token": 1, "end_token": 3}])
    path.write_bytes(gzip.compress(f"\n{json.dumps(record)}\n\n".encode()))
    (example,) = read_questions("natural_questions", path)
    assert example.document == "a\ufffd b\u2028c d"
    assert [example.document[s.start : s.stop] for s in example.segments] == ["b\u2028c d"]


def test_predictions_in_tokens_match_the_gold(tmp_path):
    record = original(annotation(2, ["north"]))
    example = only(tmp_path, record)
    (answer,) = example.answers
    prediction = {
        "long_answer": predicted_tokens(*json.loads(example.segments[2].name)),
        "short_answers": [predicted_span(example.document, answer.start, answer.start + len(answer.text))],
        "yes_no_answer": "NONE",
        "long_answer_score": 1.0,
        "short_answers_score": 1.0,
    }
    assert prediction["long_answer"] == span(CANDIDATES[2]) | {"start_byte": -1, "end_byte": -1}
    scores = metric.evaluate([record], {record["example_id"]: prediction})
    assert scores["long-best-threshold-f1"] == scores["short-best-threshold-f1"] == 0.0  # one annotator is none
    twice = record | {"annotations": record["annotations"] * 2}
    scores = metric.evaluate([twice], {record["example_id"]: prediction})
    assert scores["long-best-threshold-f1"] == scores["short-best-threshold-f1"] == 1.0


WORD = st.text(st.characters(exclude_characters=" ", exclude_categories=("Cs",)), min_size=1, max_size=4)


@given(st.lists(WORD, min_size=1, max_size=20), st.data())
def test_tokens_to_characters_and_back(tokens, data):
    document = " ".join(tokens)
    starts = token_starts(document)
    assert len(starts) == len(tokens) + 1
    first = data.draw(st.integers(0, len(tokens) - 1))
    end = data.draw(st.integers(first + 1, len(tokens)))
    start, stop = character_range(starts, first, end)
    assert document[start:stop] == " ".join(tokens[first:end])
    assert document.count(" ", 0, start) == first and document.count(" ", 0, stop) == end - 1
    assert token_range(starts, start, stop) == (first, end)
    # the spaces around belong to no token, and a part of a token is the token
    assert token_range(starts, max(0, start - 1), min(len(document), stop + 1)) == (first, end)
    inside = data.draw(st.integers(starts[first], starts[first + 1] - 2))
    assert token_range(starts, inside, stop) == (first, end)
    assert token_range(starts, inside, inside + 1) == (first, first + 1)


def test_a_space_alone_is_the_token_after_it():
    assert token_range(token_starts("a b c"), 1, 2) == (1, 2)
    assert token_range(token_starts("a b c"), 0, 2) == (0, 1)
    assert predicted_span("a b c", 2, 5) == {"start_token": 1, "end_token": 3, "start_byte": -1, "end_byte": -1}


def broken(**changes):
    return json.dumps(original(annotation(0)) | changes)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "an object was expected"),
        ('{"version": "v2.0", "data": []}', "'example_id'"),
        ('{"example_id": 7}', "'document_text'"),
        (broken(example_id=7, document_tokens=["a"]), "a document token"),
        (broken(document_tokens=[{"token": 1, "html_token": True}]), "a document token"),
        (broken(long_answer_candidates=None), "long_answer_candidates"),
        (broken(long_answer_candidates=[{"start_token": 0}]), "'end_token'"),
        (broken(long_answer_candidates=[{"start_token": 0, "end_token": 99}]), "0 to 99"),
        (broken(long_answer_candidates=[{"start_token": 3, "end_token": 3}]), "3 to 3"),
        (broken(long_answer_candidates=[]), "candidate 0 of 0"),
        (broken(question_text=3), "'question_text' is int, not str"),
        (broken(annotations=[{}]), "'long_answer'"),
        (broken(annotations=[annotation() | {"short_answers": [{"start_token": -1, "end_token": 2}]}]), "-1 to 2"),
        (broken(annotations=[annotation(yes_no="MAYBE")]), 'yes_no_answer is "MAYBE"'),
    ],
)
def test_other_lines_are_named(tmp_path, line, message):
    path = tmp_path / "nq.jsonl"
    path.write_text(json.dumps(original(annotation(0))) + "\n" + line + "\n")
    with pytest.raises(UserError) as error:
        list(read_questions("natural_questions", path))
    assert str(error.value).startswith(f"{path}, line 2") and message in str(error.value)
    assert "\n" not in str(error.value)


def test_pages_cannot_be_joined_and_half_files_are_named(tmp_path):
    path = tmp_path / "nq.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(original(annotation(0))).encode()))
    with pytest.raises(UserError, match="join-articles"):
        list(read_questions("natural_questions", path, join_articles=True))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match="nq.jsonl.gz: damaged gzip file"):
        list(read_questions("natural_questions", path))


def test_one_line_is_read_at_a_time(tmp_path):
    path = tmp_path / "nq.jsonl"
    path.write_text(json.dumps(original(annotation(0))) + "\n{")
    assert next(read_questions("natural_questions", path)).answer_type == "long"


class Letters:
    """Every character that is no space is a token."""

    def encode(self, text):
        places = [(i, i + 1) for i, character in enumerate(text) if not character.isspace()]
        return [text[start:stop] for start, stop in places], places


@BOTH
def test_what_is_read_stands_where_it_says(tmp_path, form):
    example = only(tmp_path, form(annotation()))
    symbols, offsets = encode_pieces(Letters(), example.document, example.pieces)
    for symbol, (start, stop) in zip(symbols, offsets, strict=True):
        assert example.document[start:stop].lower().startswith(symbol.lower().rstrip(">"))


def given_text(record, place):
    """The text of a place of a TyDi QA record, with single spaces."""
    text = record["document_plaintext"].encode()[place["plaintext_start_byte"] : place["plaintext_end_byte"]]
    return b" ".join(text.split()).decode()


def test_real_records(tmp_path, data_dir, in_simplified_format):
    with (data_dir / "tydiqa" / "tiny_dev.jsonl").open(encoding="utf-8") as stream:
        records = [json.loads(line) for line in stream]
    alone = [record | {"annotations": [said]} for record in records for said in record["annotations"]]
    found = examples(tmp_path, *map(in_simplified_format, records + alone))
    for example, record in zip(found, records + alone, strict=True):
        golds = [given_text(record, item["minimal_answer"]) for item in record["annotations"]]
        for answer in example.answers:
            assert answer.start >= 0 and example.document.startswith(answer.text, answer.start)
            assert any(gold and gold in answer.text for gold in golds)
            first, end = token_range(token_starts(example.document), answer.start, answer.start + len(answer.text))
            assert " ".join(example.document.split(" ")[first:end]) == answer.text
        for segment, place in zip(example.segments, record["passage_answer_candidates"], strict=True):
            assert given_text(record, place) in example.document[segment.start : segment.stop]
    assert Counter(example.answer_type for example in found[: len(records)]) == {"null": 8, "short": 2, "no": 1}
    alone_types = Counter(example.answer_type for example in found[len(records) :])
    assert alone_types == {"null": 23, "short": 6, "no": 3, "yes": 1}
