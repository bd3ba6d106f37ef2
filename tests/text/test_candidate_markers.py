"""Candidates between symbols of their own."""

from __future__ import annotations

import json

import pytest

from fairseq_littlebird.cli.prepare import main as prepare
from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.text.candidate_markers import MARKERS, with_candidate_markers
from fairseq_littlebird.text.example import Piece, QAExample

RECORD = {
    "id": "WH_1",
    "query": "country stone_bridge",
    "answer": "norway",
    "candidates": ["norway", "new zealand"],
    "supports": ["The stone bridge stands in Norway.", "It is old."],
}


def test_pieces_of_the_candidates_alone_change():
    pieces = (Piece(0, 2), Piece(2, 4, symbol="</s>"), Piece(4, 6), Piece(6, 8, symbol="</s>"), Piece(8, 9))
    marked = with_candidate_markers(QAExample("1", "q", "aa..bb..c", pieces=pieces, fixed_pieces=3))
    assert [(p.start, p.stop, p.symbol) for p in marked.pieces] == [
        (0, 0, "[ans]"), (0, 2, ""), (2, 3, "[/ans]"), (3, 4, "[ans]"), (4, 6, ""), (6, 7, "[/ans]"), (7, 8, "</s>"),
        (8, 9, ""),
    ]  # fmt: skip
    assert marked.fixed_pieces == 7
    alone = with_candidate_markers(QAExample("1", "q", "aa", pieces=pieces[:1], fixed_pieces=1))
    assert [p.symbol for p in alone.pieces] == ["[ans]", "", "[/ans]"] and alone.fixed_pieces == 3
    plain = QAExample("1", "q", "aa", pieces=pieces[:1])
    assert with_candidate_markers(plain) is plain


@pytest.fixture
def arguments(tiny, tmp_path):
    (tmp_path / "wikihop.json").write_text(json.dumps([RECORD]), "utf-8")
    words = (tiny / "tokenizer" / "dict.txt").read_text("utf-8")
    (tmp_path / "dict.txt").write_text(words + "".join(f"{symbol} 0\n" for symbol in MARKERS), "utf-8")
    own = ["--tokenizer", f"{tiny}/tokenizer", "--dict", f"{tmp_path}/dict.txt", "--destdir", f"{tmp_path}/out"]
    return ["qa", "--dataset", "wikihop", "--train", f"{tmp_path}/wikihop.json", *own]


def test_a_prepared_question(arguments, tmp_path):
    """Candidates keep their places, and the text between the markers is what it was."""
    prepare([*arguments, "--max-tokens", "200", "--stride", "100", "--candidate-markers"])
    questions, symbols = PreparedQuestions(tmp_path / "out", "train"), load_dictionary(tmp_path / "out")
    (example, _), window = questions.example(0), questions.window(0)
    names = [symbols[int(token)] for token in window.tokens]
    assert names[:3] == ["<s>", "[QUESTION]", "[q]"]
    assert [name for name in names if name.startswith("[") or name == "</s>"] == (
        ["[QUESTION]", "[q]", "[/q]", "</s>", "[ans]", "[/ans]", "[ans]", "[/ans]", "</s>", "</s>", "</s>"]
    )
    start = window.context_start
    for (first, last), wanted in zip(window.segments.tolist(), RECORD["candidates"], strict=True):
        assert example.document[window.offsets[first - start, 0] : window.offsets[last - start, 1]] == wanted
        assert (
            "[ans]" in names[first - 2 : first] and names[last + 1] == "[/ans]"
        )  # a word may begin with an empty token
    assert window.spans == [tuple(window.segments[0].tolist())]
    assert json.loads((tmp_path / "out" / "prepared.json").read_text("utf-8"))["candidate_markers"] is True


def test_candidates_are_never_cut(arguments, tmp_path):
    prepare([*arguments, "--max-tokens", "60", "--stride", "10", "--candidate-markers"])
    questions, symbols = PreparedQuestions(tmp_path / "out", "train"), load_dictionary(tmp_path / "out")
    window = questions.window(0)
    assert len(window.segments) == 2 and len(window.tokens) <= 60
    assert sum(symbols[int(token)] == "[/ans]" for token in window.tokens) == 2


def test_a_dictionary_without_them_is_told(arguments, tiny, capsys):
    at = arguments.index("--dict") + 1
    arguments[at] = f"{tiny}/tokenizer/dict.txt"
    with pytest.raises(SystemExit) as caught:
        prepare([*arguments, "--candidate-markers"])
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert caught.value.code == 2 and "the dictionary lacks [/ans], [/q], [ans], [q]" in line
    assert "littlebird-warm-start --add-token" in line


def test_other_data_sets_have_no_candidates(arguments, tiny, tmp_path, capsys):
    context = [{"context": "Oslo is old.", "qas": [{"id": "1", "question": "What?", "answers": []}]}]
    (tmp_path / "squad.json").write_text(json.dumps({"data": [{"paragraphs": context}]}), "utf-8")
    arguments[2], arguments[4] = "squad", f"{tmp_path}/squad.json"
    with pytest.raises(SystemExit) as caught:
        prepare([*arguments, "--candidate-markers"])
    assert caught.value.code == 2
    assert "--candidate-markers: SQuAD has no candidates; leave it out" in capsys.readouterr().err
