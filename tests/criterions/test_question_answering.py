"""The question-answering criterion: exact match and F1 of questions, not of windows."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fairseq.logging import metrics

from fairseq_littlebird.criterions.question_answering import (
    QuestionAnsweringCriterion,
    QuestionAnsweringCriterionConfig,
)
from fairseq_littlebird.data.batch import add_segments_and_types, span_batch
from fairseq_littlebird.datasets import DATASETS
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.example import Answer, QAExample, Segment
from fairseq_littlebird.text.window import Window

WORDS = "zero one two three four five six seven".split()
DOCUMENT = " ".join(WORDS)
OFFSETS = [(DOCUMENT.index(word), DOCUMENT.index(word) + len(word)) for word in WORDS]
CONTEXT, L = 3, 8  # [CLS] [QUESTION] [SEP], 4 context tokens, [SEP]


def window(row: int, first: int, spans=()):
    tokens = np.array([row, *range(5, 4 + L)])
    return Window(tokens, CONTEXT, np.array(OFFSETS[first : first + 4]), list(spans), 0)


def batch(examples, windows):
    """What the dataset's collater makes at evaluation."""
    every = [w for own in windows for w in own]
    gold = [(w.spans or [(0, 0)])[0] for w in every]
    selectable = [np.array([True, False, False, True, True, True, True, False])] * len(every)
    sample = span_batch(
        [w.tokens for w in every],
        None,
        [np.array([1])] * len(every),
        [np.array([s]) for s, _ in gold],
        [np.array([e]) for _, e in gold],
        selectable,
        pad_id=1,
    )
    return sample | {"nsentences": len(examples), "examples": examples, "windows": windows}


def criterion(dataset="squad", limit=30, **options):
    task = SimpleNamespace(dataset_spec=DATASETS[dataset], max_answer_length=limit)
    return QuestionAnsweringCriterion(QuestionAnsweringCriterionConfig(**options), task)


def example(id_, *answers):
    return QAExample(id_, "which?", DOCUMENT, tuple(Answer(a, DOCUMENT.index(a)) for a in answers))


def test_training_points_at_cls_where_there_is_no_answer(known_model, rows):
    own = rows(2, L)
    sample = span_batch(
        own.tokens, None, [np.array([1])] * 2, [np.array([0]), np.array([4])], [np.array([0]), np.array([5])],
        own.selectable, pad_id=1,
    )  # fmt: skip
    _, size, log = criterion()(known_model([0, 4], [0, 5]), sample)
    assert (size, log["exact"]) == (2, 2) and "qa_exact" not in log
    assert log["loss"] < 1e-5


def test_windows_that_share_a_normaliser_have_one_loss(known_model, rows):
    """Two windows of a question: with a gold start in the second alone, and with none, where either [CLS] is right."""
    own = rows(2, L)
    for starts, found, mass in (([[], [4]], [0, 4], 1 / 2), ([[], [4]], [4, 4], 1 / 2), ([[0], [0]], [0, 4], 1 / 2)):
        gold = [np.array(row, dtype=int) for row in starts]
        sample = span_batch(own.tokens, None, [np.array([1])] * 2, gold, gold, own.selectable, pad_id=1)
        golds = torch.zeros(2, L, dtype=torch.bool)
        for row, places in zip(golds, starts, strict=True):
            row[places] = True
        sample["target"] |= {"owners": torch.tensor([0, 0]), "gold_starts": golds}
        sample |= {"nsentences": 1, "questions": 1}
        loss, size, _ = criterion()(known_model(found, found), sample)
        assert size == 1 and float(loss) == pytest.approx(-math.log(mass), abs=1e-4)


def test_questions_count_once_whatever_their_windows(known_model):
    """Question a: right in its second window. b: unanswerable, and the model says so. c: half of the words.

    The [CLS] of a window without the answer scores as its answer does here: odds of 1 a window, for c of 2.
    """
    examples = [example("a", "five"), example("b"), example("c", "six seven")]
    windows = [
        [window(0, 0), window(1, 4, [(CONTEXT + 1, CONTEXT + 1)])],
        [window(2, 0)],
        [window(3, 0), window(4, 2), window(5, 4, [(CONTEXT + 2, CONTEXT + 3)])],
    ]
    model = known_model([0, CONTEXT + 1, 0, 0, 0, CONTEXT + 2], [0, CONTEXT + 1, 0, 0, 0, CONTEXT + 2])
    loss, size, log = criterion(null_threshold=1.0)(model, batch(examples, windows))
    assert (log["qa_count"], log["qa_exact"]) == (3, 2.0)
    assert log["qa_f1"] == pytest.approx(2 + 2 / 3)
    assert (size, log["exact"]) == (6, 5)
    assert {type(value) for value in log.values()} <= {int, float}
    with metrics.aggregate() as values:
        QuestionAnsweringCriterion.reduce_metrics([log, log | {"qa_exact": 0.0, "qa_f1": 0.0}])
    got = values.get_smoothed_values()
    assert got["exact_match"] == pytest.approx(100 * 2 / 6, abs=0.01)
    assert got["f1"] == pytest.approx(100 * (2 + 2 / 3) / 6, abs=0.01)


def test_without_a_threshold_every_question_is_answered(known_model):
    _, _, log = criterion()(known_model([0], [0]), batch([example("b")], [[window(0, 0)]]))
    assert log["qa_exact"] == 0.0


def test_an_answer_to_an_unanswerable_question_is_wrong(known_model):
    model = known_model([CONTEXT], [CONTEXT])
    _, _, log = criterion()(model, batch([example("b")], [[window(0, 0)]]))
    assert (log["qa_exact"], log["qa_f1"]) == (0.0, 0.0)


def test_the_best_of_several_golds(known_model):
    model = known_model([CONTEXT + 2], [CONTEXT + 2])
    _, _, log = criterion()(model, batch([example("a", "one two", "two")], [[window(0, 0, [(4, 5)])]]))
    assert log["qa_exact"] == log["qa_f1"] == 1.0


def test_korean_f1_counts_characters(known_model):
    model = known_model([CONTEXT + 2], [CONTEXT + 2])
    sample = batch([example("a", "two three")], [[window(0, 0, [(5, 6)])]])
    _, _, squad = criterion(metric="squad")(model, sample)
    _, _, korquad = criterion(metric="korquad1")(model, sample)
    assert squad["qa_f1"] == pytest.approx(2 / 3)
    assert korquad["qa_f1"] == pytest.approx(2 * 3 / (3 + 8))
    assert criterion("korquad1")(model, sample)[2]["qa_f1"] == korquad["qa_f1"]
    with pytest.raises(UserError, match="--metric riddles; choose .*korquad1"):
        criterion(metric="riddles")


def test_answers_are_no_longer_than_allowed(known_model):
    model = known_model([CONTEXT], [CONTEXT + 3])
    sample = batch([example("a", "zero one two three")], [[window(0, 0, [(3, 6)])]])
    assert criterion(max_answer_length=4)(model, sample)[2]["qa_exact"] == 1.0
    assert criterion(max_answer_length=3)(model, sample)[2]["qa_exact"] == 0.0
    assert criterion(limit=4)(model, sample)[2]["qa_exact"] == 1.0  # as the folder has it
    assert criterion(limit=3)(model, sample)[2]["qa_exact"] == 0.0
    with pytest.raises(UserError, match="--max-answer-length -1"):
        criterion(max_answer_length=-1)


def test_answers_that_cannot_be_predicted_are_counted(known_model):
    """One too long, one within the limit, one in no window, one question without an answer."""
    examples = [example("long", "zero one two three"), example("short", "one"), example("gone", "seven"), example("b")]
    windows = [[window(0, 0, [(3, 6)])], [window(1, 0, [(4, 4)])], [window(2, 0)], [window(3, 0)]]
    sample, model = batch(examples, windows), known_model([3] * 4, [3] * 4)
    for limit, count in ((3, 2), (4, 1)):
        _, _, log = criterion(limit=limit)(model, sample)
        assert log["qa_unreachable"] == count
        with metrics.aggregate() as values:
            QuestionAnsweringCriterion.reduce_metrics([log])
        assert values.get_smoothed_values()["unreachable"] == 100 * count / 4


def test_a_question_without_windows_counts_as_unanswered(known_model):
    examples = [example("a", "five"), example("nowhere", "one")]
    sample = batch(examples, [[window(0, 4, [(4, 4)])], []])
    _, _, log = criterion()(known_model([4], [4]), sample)
    assert (log["qa_count"], log["qa_exact"]) == (2, 1.0)


def test_a_batch_of_questions_without_windows(known_model):
    loss, size, log = criterion()(known_model([0], [0]), batch([example("nowhere", "one"), example("b")], [[], []]))
    assert (float(loss), size, log["loss"]) == (0.0, 0, 0.0)
    assert (log["qa_count"], log["qa_exact"]) == (2, 1.0)  # "b" has no answer, and none was given


@pytest.mark.parametrize("dataset", ["squad", "hotpotqa", "natural_questions"])
def test_every_batch_logs_the_same_names(known_model, dataset):
    """fairseq adds up what workers log of different batches, one perhaps of questions without windows, by its place."""

    class WithHeads(known_model):
        def __call__(self, *arguments, **named):
            hidden, extra = super().__call__(*arguments, **named)
            types = len(DATASETS[dataset].answer_types)
            heads = {"segment_logits": torch.zeros(len(hidden), 1), "type_logits": torch.zeros(len(hidden), types)}
            return hidden, extra | (heads if types else {})

    spans = {"segments": np.array([[3, 4]]), "segment_ids": np.array([0]), "gold_segments": np.array([True])}
    there = Segment(0, 8, gold=True, name='["A", 0]' if dataset == "hotpotqa" else "[0, 2]")
    logs = []
    for windows in ([[replace(window(0, 0, [(3, 3)]), answer_type=0, **spans)]], [[]]):
        sample = batch([replace(example("a", "zero"), segments=(there,))], windows)
        add_segments_and_types(sample, windows[0])
        logs.append(criterion(dataset)(WithHeads([3], [3]), sample)[2])
    assert [*logs[0]] == [*logs[1]]
    assert ("segments" in logs[1]) == ("types" in logs[1]) == (dataset != "squad")
