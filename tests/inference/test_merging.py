"""Windows made by hand, merged."""

from __future__ import annotations

import math

import numpy as np
import torch

from fairseq_littlebird.inference.merging import merge_windows
from fairseq_littlebird.inference.several_documents import best_answers, joint_null_odds, joint_null_probability
from fairseq_littlebird.inference.span_decoding import DecodedSpans
from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.window import Window

DOCUMENT = "Ann met Bob in Rome."
WORDS = [(0, 3), (4, 7), (8, 11), (12, 14), (15, 19), (19, 20)]
EXAMPLE = QAExample("q1", "who?", DOCUMENT)
CONTEXT = 3  # [CLS] [QUESTION] [SEP] before the context


def window(first: int, stop: int) -> Window:
    """Words first … stop - 1 of the document."""
    tokens = np.arange(CONTEXT + stop - first + 1)
    return Window(tokens, CONTEXT, np.array(WORDS[first:stop]).reshape(-1, 2), [], 0)


def spans(*rows: list[tuple[int, int, float]], null: list[float], normalisers: list[float]) -> DecodedSpans:
    """Per window (start, end, exp(score)), in tokens of the window's context; nothing is a logarithm."""
    n = max(map(len, rows))
    filled = [row + [(0, 0, 0.0)] * (n - len(row)) for row in rows]
    return DecodedSpans(
        torch.tensor([[CONTEXT + s for s, _, _ in row] for row in filled]),
        torch.tensor([[CONTEXT + e for _, e, _ in row] for row in filled]),
        torch.tensor([[math.log(p) if p else -math.inf for _, _, p in row] for row in filled]),
        torch.tensor(null).log(),
        torch.tensor(normalisers).log(),
    )


def test_a_span_in_two_windows_is_there_once_with_its_best_score():
    windows = [window(0, 4), window(2, 6)]
    decoded = spans([(2, 2, 0.5), (0, 0, 0.1)], [(0, 0, 0.7), (2, 2, 0.2)], null=[0.3, 0.05], normalisers=[1, 1])
    prediction = merge_windows(EXAMPLE, windows, decoded)
    got = [(c.text, c.start, c.end, round(c.probability, 4), c.window) for c in prediction.candidates]
    assert got == [("Bob", 8, 11, 0.35, 1), ("Rome", 15, 19, 0.1, 1), ("Ann", 0, 3, 0.05, 0)]
    assert prediction.id == "q1"
    assert all(c.text == DOCUMENT[c.start : c.end] for c in prediction.candidates)
    # a start at either [CLS], against the best span
    assert math.isclose(prediction.null_odds, math.log(0.35 / 0.7), rel_tol=1e-5)


def test_a_window_without_the_answer_cannot_outbid_the_right_one():
    """However sure the one is of what it has, and the other unsure: scores decide."""
    windows = [window(0, 4), window(2, 6)]
    decoded = spans([(0, 0, 0.9)], [(2, 2, 1.2), (3, 3, 1.1)], null=[0.05, 0.1], normalisers=[1, 3])
    prediction = merge_windows(EXAMPLE, windows, decoded)
    assert [(c.text, round(c.probability, 4)) for c in prediction.candidates] == [
        ("Rome", 0.3), (".", 0.275), ("Ann", 0.225)
    ]  # fmt: skip


def test_a_constant_added_to_all_scores_of_a_question_changes_nothing():
    windows = [window(0, 4), window(2, 6)]
    decoded = spans([(2, 2, 0.5)], [(2, 2, 0.2)], null=[0.3, 0.05], normalisers=[1, 1])
    moved = DecodedSpans(*decoded[:2], *(part + 70 for part in decoded[2:]))
    one, other = (merge_windows(EXAMPLE, windows, d) for d in (decoded, moved))
    assert [c.text for c in one.candidates] == [c.text for c in other.candidates]
    for a, b in zip(one.candidates, other.candidates, strict=True):
        assert math.isclose(a.probability, b.probability, rel_tol=1e-4)
    assert math.isclose(one.null_odds, other.null_odds, rel_tol=1e-4)


def test_a_span_of_several_words_keeps_what_stands_between():
    prediction = merge_windows(EXAMPLE, [window(1, 5)], spans([(1, 3, 0.9)], null=[0.1], normalisers=[1]))
    assert prediction.candidates[0].text == "Bob in Rome"


def test_the_threshold_decides_between_an_answer_and_none():
    prediction = merge_windows(EXAMPLE, [window(0, 4)], spans([(0, 0, 0.2)], null=[0.8], normalisers=[1]))
    assert math.isclose(prediction.null_odds, math.log(4), rel_tol=1e-5)
    assert prediction.text() == "Ann"
    assert prediction.text(null_threshold=0.0) == ""
    assert prediction.text(null_threshold=2.0) == "Ann"


def test_at_most_n_best_and_ties_by_place():
    rows = [(i, i, 0.1) for i in (3, 1, 0, 2)]
    prediction = merge_windows(EXAMPLE, [window(0, 4)], spans(rows, null=[0.5], normalisers=[1]), n_best=3)
    assert [c.text for c in prediction.candidates] == ["Ann", "met", "Bob"]


def test_spans_without_text_are_no_answers():
    parted = Window(np.arange(7), CONTEXT, np.array([(0, 3), (3, 3), (4, 7)]), [], 0)
    decoded = spans([(1, 1, 0.6), (0, 1, 0.3)], null=[0.1], normalisers=[1])
    prediction = merge_windows(EXAMPLE, [parted], decoded)
    assert [c.text for c in prediction.candidates] == ["Ann"]
    assert math.isclose(prediction.null_odds, math.log(0.1 / 0.3), rel_tol=1e-5)


def test_white_space_at_the_ends_is_no_part_of_an_answer():
    """ModernBERT and Gemma have tokens of runs of spaces and of ends of lines."""
    document = "Ann   met\n\nBob"
    parted = Window(np.arange(9), CONTEXT, np.array([(0, 3), (3, 6), (6, 9), (9, 11), (11, 14)]), [], 0)
    decoded = spans([(1, 1, 0.4), (1, 3, 0.3), (2, 2, 0.2), (0, 3, 0.1)], null=[0.1], normalisers=[1])
    prediction = merge_windows(QAExample("q1", "who?", document), [parted], decoded)
    got = [(c.text, c.start, c.end, round(c.probability, 4)) for c in prediction.candidates]
    assert got == [("met", 6, 9, 0.3), ("Ann   met", 0, 9, 0.1)]


def test_no_span_and_no_window():
    empty = merge_windows(EXAMPLE, [window(0, 4)], spans([(0, 0, 0.0)], null=[1.0], normalisers=[1]))
    assert empty.candidates == () and empty.text() == "" and empty.null_odds == 1e9
    none = DecodedSpans(
        *(torch.zeros(0, 1, dtype=torch.long) for _ in range(2)), torch.zeros(0, 1), torch.zeros(0), torch.zeros(0)
    )
    nothing = merge_windows(EXAMPLE, [], none)
    assert nothing.text() == "" and nothing.null_odds > 0 and math.isfinite(nothing.null_odds)


def test_a_model_that_always_answers_has_no_odds_of_none():
    prediction = merge_windows(EXAMPLE, [window(0, 4)], spans([(0, 0, 0.5)], null=[0.0], normalisers=[1]))
    assert prediction.text(null_threshold=-1e6) == "Ann" and prediction.null_odds == -1e9


def test_candidates_of_too_many_words_are_left_out():
    decoded = spans([(0, 2, 0.6), (0, 0, 0.3)], null=[0.1], normalisers=[1])
    prediction = merge_windows(EXAMPLE, [window(0, 6)], decoded, max_answer_words=2)
    assert [c.text for c in prediction.candidates] == ["Ann"] and prediction.document == DOCUMENT


def test_windows_of_two_documents_are_ranked_as_those_of_one():
    windows = [window(0, 3), window(3, 6)]
    rows, null, normalisers = [[(2, 2, 0.5), (0, 0, 0.1)], [(1, 1, 0.7), (0, 0, 0.2)]], [0.3, 0.05], [1.0, 1.5]
    together = merge_windows(EXAMPLE, windows, spans(*rows, null=null, normalisers=normalisers))
    apart = [
        merge_windows(EXAMPLE, [w], spans(row, null=[n], normalisers=[normaliser]))
        for w, row, n, normaliser in zip(windows, rows, null, normalisers, strict=True)
    ]
    found = best_answers(apart, top_k=3)
    assert [(a.candidate.text, a.document) for a in found] == [
        (c.text, c.window) for c in together.candidates[:3]
    ] == [("Rome", 1), ("Bob", 0), ("in", 1)]  # fmt: skip
    np.testing.assert_allclose([a.probability for a in found], [c.probability for c in together.candidates[:3]])
    assert math.isclose(joint_null_odds(apart), together.null_odds, rel_tol=1e-5)
    assert math.isclose(joint_null_probability(apart), (0.3 + 0.05) / (1.0 + 1.5), rel_tol=1e-5)


def test_documents_without_a_candidate():
    empty = merge_windows(EXAMPLE, [], no_spans())
    assert best_answers([empty, empty], top_k=3) == [] and joint_null_odds([empty]) == 1e9
    assert joint_null_probability([empty]) == 1.0
    full = merge_windows(EXAMPLE, [window(0, 3)], spans([(0, 0, 0.5)], null=[0.1], normalisers=[1.0]))
    (answer,) = best_answers([empty, full], top_k=3)
    assert answer.document == 1 and math.isclose(answer.probability, 0.5, rel_tol=1e-6)
    assert math.isclose(joint_null_odds([empty, full]), math.log(0.1 / 0.5), rel_tol=1e-5)


def no_spans() -> DecodedSpans:
    """Of a question without a window."""
    none = torch.zeros(0, 1, dtype=torch.long)
    return DecodedSpans(none, none, torch.zeros(0, 1), torch.zeros(0), torch.zeros(0))
