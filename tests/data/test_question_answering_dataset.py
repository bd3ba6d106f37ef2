"""Prepared questions as batches."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertion
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.data.question_answering_dataset import (
    NOISY_STARTS,
    QuestionAnsweringDataset,
    some_spans,
)
from fairseq_littlebird.errors import UserError

PAD = 1


@pytest.fixture(scope="module")
def questions(tiny):
    """``questions(split, training=…, …)``: a dataset."""

    def questions(split="train", training=True, **options):
        return QuestionAnsweringDataset(PreparedQuestions(tiny / "questions", split), PAD, training, **options)

    return questions


@pytest.fixture(scope="module")
def symbols(tiny):
    return load_dictionary(tiny / "questions")


def test_an_item_is_a_window_with_its_answer(questions, symbols):
    data = questions()
    for index in range(len(data)):
        item = data[index]
        example, _ = data.prepared.example(index)
        window, (start, end) = item["windows"][0], item["gold"][0][0]
        if not example.answers:
            assert (start, end) == (0, 0)
            continue
        first, last = window.offsets[start - window.context_start], window.offsets[end - window.context_start]
        assert example.document[first[0] : last[1]] == "Greta Holm"
        assert symbols[int(window.tokens[0])] == "<s>" and symbols[int(window.tokens[1])] == "[QUESTION]"
        assert symbols[int(window.tokens[-1])] == "</s>"


@pytest.mark.parametrize("limits", [{"max_sentences": 1}, {"max_sentences": 3}, {"max_tokens": 200}])
def test_the_first_batch_of_an_evaluation_has_a_window(questions, limits):
    """A worker without data left trains on it. All questions are in a batch, also those without a window."""
    data = questions("valid", training=False)
    data.sizes, data.sequences = data.sizes.copy(), data.sequences.copy()
    data.sizes[[0, 2]] = data.sequences[[0, 2]] = 0
    batches = [batch.tolist() for batch in data.batch_by_size(data.ordered_indices(), **limits)]
    assert batches[0][0] in (1, 3) and sorted(sum(batches, [])) == [0, 1, 2, 3]


def test_windows_without_the_answer_come_as_often_as_asked(questions):
    def share(unanswered):
        data = questions(unanswered=unanswered)
        answered = [i for i in range(len(data)) if data.prepared.example(i)[0].answers]
        draws = []
        for epoch in range(1, 9):
            data.set_epoch(epoch)
            draws += [data[i]["gold"] == [[(0, 0)]] for i in answered]
        return sum(draws) / len(draws)

    assert share(0.0) == 0.0 and share(1.0) == 1.0 and 0.25 < share(0.4) < 0.55


def test_windows_are_drawn_by_seed_and_epoch(questions):
    data, again, other = questions(unanswered=0.5), questions(unanswered=0.5), questions(unanswered=0.5, seed=9)

    def draw(of):
        return [of[i]["windows"][0].offsets[0, 0] for i in range(len(of))]

    first = draw(data)
    assert draw(again) == first != draw(other)
    data.set_epoch(2)
    assert draw(data) != first


def test_training_batch(questions):
    gaps = PaddingInsertion(np.ones(400, dtype=bool), 0.3, 1, 20)
    data = questions(padding_insertion=gaps)
    items = [data[i] for i in (0, 5, 11, 3)]
    batch = data.collater(items)
    tokens, selectable = batch["net_input"]["src_tokens"], batch["selectable"]
    assert tokens.shape == batch["net_input"]["positions"].shape == selectable.shape
    assert (batch["net_input"]["positions"].diff(dim=1) >= 0).all()
    assert batch["net_input"]["questions"].tolist() == [[1]] * 4
    assert batch["target"]["starts"].shape == (4, 1)
    for row, item in enumerate(items):
        window = item["windows"][0]
        context = np.zeros(tokens.shape[1], dtype=bool)
        context[window.context_start : window.context_start + len(window.offsets)] = True
        context[0] = True
        assert (selectable[row].numpy() == context).all()
        assert (tokens[row, len(window.tokens) :] == PAD).all()
        assert selectable[row, batch["target"]["starts"][row]] and selectable[row, batch["target"]["ends"][row]]
    assert "examples" not in batch and batch["nsentences"] == 4


@pytest.mark.parametrize("noisy", [False, True])
def test_gaps_are_inserted_into_the_context_alone(questions, noisy):
    data = questions(noisy=noisy, padding_insertion=PaddingInsertion(np.ones(400, dtype=bool), 1.0, 7, 7))
    for item in (data[i] for i in range(len(data))):
        for window, positions in zip(item["windows"], item["positions"], strict=True):
            steps = np.diff(positions)
            assert (steps[: window.context_start] == 1).all() and (steps[window.context_start :] == 8).all()


def test_evaluation_batch_holds_all_windows_of_each_question(questions, tiny):
    data = questions("valid", training=False)
    batch = data.collater([data[i] for i in range(len(data))])
    gold = [q for d in json.loads((tiny / "valid.json").read_text())["data"] for q in d["paragraphs"][0]["qas"]]
    assert [e.id for e in batch["examples"]] == [q["id"] for q in gold]
    rows = sum(map(len, batch["windows"]))
    assert rows == len(batch["net_input"]["src_tokens"]) > len(gold)
    for example, windows in zip(batch["examples"], batch["windows"], strict=True):
        covered = np.zeros(len(example.document), dtype=bool)
        for window in windows:
            for start, end in window.offsets:
                covered[start:end] = True
        assert covered[[not c.isspace() for c in example.document]].all()
    assert "positions" not in batch["net_input"] and batch["nsentences"] == len(gold)


@pytest.mark.parametrize(
    "limits", [{"max_sentences": 1}, {"max_sentences": 3}, {"max_tokens": 64}, {"max_sentences": 5, "max_tokens": 640}]
)
@pytest.mark.parametrize(("split", "training"), [("train", True), ("valid", False)])
def test_every_question_is_in_a_batch(questions, split, training, limits):
    data = questions(split, training)
    batches = data.batch_by_size(data.ordered_indices(), **limits, required_batch_size_multiple=8)
    assert sorted(i for batch in batches for i in batch) == list(range(len(data)))


def test_nothing_makes_an_empty_batch(questions):
    assert questions().collater([]) == {}


def test_dictionary_puts_mask_last_and_keeps_question(tiny, symbols):
    lines = (tiny / "questions" / "dict.txt").read_text("utf-8").splitlines()
    assert lines[-1].split()[0] == "[QUESTION]"
    assert symbols.index("[QUESTION]") == len(lines) + 3 and symbols.index("<mask>") == len(lines) + 4
    assert len(symbols) == len(lines) + 5


def test_noisy_answers_come_with_all_windows(questions):
    data = questions(noisy=True, padding_insertion=PaddingInsertion(np.ones(400, dtype=bool), 0.3, 1, 20))
    several = [i for i in range(len(data)) if data.num_tokens(i) > data.size(i)]
    assert several
    batch = data.collater([data[i] for i in several[:3]])
    counts = [data.num_tokens(i) // data.size(i) for i in several[:3]]
    assert batch["target"]["owners"].tolist() == [n for n, count in enumerate(counts) for _ in range(count)]
    assert not batch["selectable"][:, 0].any()  # "no answer" is no choice
    starts, golds = batch["target"]["starts"], batch["target"]["gold_starts"]
    assert golds.sum() > 0
    for row, own in zip(golds, starts, strict=True):
        assert sorted(set(own[own >= 0].tolist())) == row.nonzero().flatten().tolist()
    assert (batch["net_input"]["questions"][:, 0] == 1).all()


def test_as_many_windows_as_asked_one_with_the_answer(questions):
    data, everything = questions(noisy=True, windows_per_question=1), questions(noisy=True)
    for index in range(len(data)):
        assert data.num_tokens(index) == data.size(index)
        (window,) = data[index]["windows"]
        assert bool(window.spans) == any(w.spans for w in everything[index]["windows"])


def test_windows_that_train_together_share_the_answer_or_none(questions):
    """The gold starts are those of the answer in every window that holds it; without an answer, every [CLS]."""
    data = questions(windows_per_question=0)
    batch = data.collater([data[i] for i in range(len(data))])
    owners, starts = batch["target"]["owners"], batch["target"]["gold_starts"]
    assert batch["selectable"][:, 0].all() and batch["nsentences"] == len(data) < len(owners)
    lacking = 0
    for index in range(len(data)):
        example, own = data.prepared.example(index)[0], owners == index
        windows = data[index]["windows"]
        assert int(own.sum()) == len(windows) == data.num_tokens(index) // data.size(index)
        wanted = [{start for start, _ in w.spans} if example.answers else {0} for w in windows]
        assert [set(row.nonzero().flatten().tolist()) for row in starts[own]] == wanted
        ends = batch["target"]["ends"][own]
        assert example.answers or ends.max() == 0
        lacking += len(windows) > 1 and bool(example.answers) and set() in wanted
    assert lacking  # a window that lacks the answer has no gold start


def test_some_windows_train_together(questions):
    data, everything = questions(windows_per_question=2), questions(windows_per_question=0)
    for index in range(len(data)):
        windows, whole = data[index]["windows"], everything[index]["windows"]
        assert len(windows) == min(2, len(whole))
        assert any(w.spans for w in windows) == any(w.spans for w in whole)
    one = questions(windows_per_question=1, unanswered=1.0)
    assert (
        all(len(one[i]["windows"]) == 1 for i in range(len(one))) and "owners" not in one.collater([one[0]])["target"]
    )


def test_ends_are_scored_for_some_starts_with_all_their_spans():
    spans = [(start, end) for start in range(20) for end in (start, start + 1)]
    assert some_spans(spans) == spans[: 2 * NOISY_STARTS]
    drawn = some_spans(spans, np.random.default_rng(0))
    assert len(drawn) == 2 * NOISY_STARTS and drawn == sorted(drawn) != spans[: 2 * NOISY_STARTS]
    assert {start for start, _ in drawn[::2]} == {start for start, _ in drawn[1::2]}
    assert some_spans([]) == []


def test_items_that_fit_no_batch_are_one_line(questions):
    data = questions(noisy=True)
    longest = max(map(data.num_tokens, range(len(data))))
    assert data.batch_by_size(data.ordered_indices(), max_tokens=longest)
    with pytest.raises(UserError, match=rf"^--max-tokens {longest - 1}: .*--windows-per-question"):
        data.batch_by_size(data.ordered_indices(), max_tokens=longest - 1)
