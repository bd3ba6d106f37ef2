"""Recurring spans as batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fairseq.data import ListDataset

from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertion
from fairseq_littlebird.data.recurring_span_dataset import RecurringSpanDataset
from fairseq_littlebird.objectives.span_selection import NO_QUESTION
from fairseq_littlebird.text.vocabulary import Vocabulary

SYMBOLS = "<s> <pad> </s> <unk> [QUESTION] . ▁the".split() + [f"▁w{n}" for n in range(60)]
PAD, QUESTION, END = 1, 4, 5
VOCABULARY = Vocabulary(SYMBOLS, range(5))
BOUNDARY = VOCABULARY.sentence_end()


def chunk(seed: int, length: int) -> torch.Tensor:
    """<s> and words that recur."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(7, len(SYMBOLS) - length % 7, length)
    tokens[rng.random(length) < 0.1] = END
    tokens[0] = 0
    return torch.from_numpy(tokens)


LENGTHS = [200, 40, 120, 3, 80]
TEXTS = [chunk(n, length) for n, length in enumerate(LENGTHS)]


def dataset(insertion: bool = False, **options) -> RecurringSpanDataset:
    gaps = PaddingInsertion(BOUNDARY, 0.5, 1, 30, 1) if insertion else None
    return RecurringSpanDataset(
        ListDataset(TEXTS, np.array(LENGTHS)), VOCABULARY, QUESTION, PAD, padding_insertion=gaps, **options
    )


def test_the_answer_stands_where_the_batch_says():
    data = dataset()
    batch = data.collater([data[i] for i in range(5)])
    tokens, target = batch["net_input"]["src_tokens"], batch["target"]
    asked = 0
    for row, text in enumerate(TEXTS):
        for q, start, end in zip(
            batch["net_input"]["questions"][row], target["starts"][row], target["ends"][row], strict=True
        ):
            if start == NO_QUESTION:
                assert end == NO_QUESTION
                continue
            size = int(end - start) + 1
            assert tokens[row, q] == QUESTION and (tokens[row, q + 1 : q + size] == PAD).all()
            assert torch.equal(tokens[row, start : end + 1], text[start : end + 1])  # left standing
            assert torch.equal(text[q : q + size], text[start : end + 1])  # the same words were asked away
            assert batch["selectable"][row, start] and batch["selectable"][row, end]
            asked += 1
        assert not batch["selectable"][row][tokens[row] == PAD].any()
    assert asked > 10
    assert torch.equal(batch["net_input"]["starts"], target["starts"].clamp(min=0))
    assert batch["nsentences"] == 5 and batch["ntokens"] == sum(LENGTHS)
    assert batch["id"].tolist() == list(range(5))
    assert "positions" not in batch["net_input"]


def test_nothing_moves_and_the_rest_of_the_text_stays():
    data = dataset()
    tokens = data[0]["chosen"].tokens
    changed = tokens != TEXTS[0].numpy()
    assert len(tokens) == 200 and set(tokens[changed]) <= {QUESTION, PAD}


@pytest.mark.parametrize(("options", "most"), [({}, round(200 * 30 / 512)), ({"max_questions": 3}, 3)])
def test_at_most_so_many_questions(options, most):
    counts = {len(dataset(**options, seed=s)[0]["chosen"].questions) for s in range(5)}
    assert max(counts) <= most and min(counts) > 0


def test_questions_are_drawn_by_seed_epoch_and_example():
    data, again, other = dataset(insertion=True), dataset(insertion=True), dataset(insertion=True, seed=2)

    def draw(of):
        return [(of[i]["chosen"].tokens.tolist(), of[i]["positions"].tolist()) for i in (2, 0, 1)]

    first = draw(data)
    assert draw(again) == first and draw(other)[0][0] != first[0][0]
    data.set_epoch(2)
    assert all(a[0] != b[0] for a, b in zip(draw(data)[:2], first[:2], strict=True))
    assert draw(data)[0][1] != first[0][1]


def test_gaps_follow_the_text_not_its_masks():
    """A masked full stop still ends its sentence, so position ids do not tell what is masked."""
    data = dataset(insertion=True)
    item = data[0]
    steps = np.diff(item["positions"])
    assert (steps[TEXTS[0][:-1].numpy() != END] == 1).all() and (steps > 1).any()


def test_a_batch_with_gaps():
    data = dataset(insertion=True)
    positions = data.collater([data[3], data[0]])["net_input"]["positions"]
    assert positions.shape == (2, 200) and (positions.diff(dim=1) >= 0).all()


def test_texts_without_a_recurring_span():
    data = dataset()
    batch = data.collater([data[3]])
    assert batch["target"]["starts"].tolist() == [[NO_QUESTION]] == batch["target"]["ends"].tolist()
    assert data.collater([]) == {}


def test_every_text_is_in_a_batch_of_similar_lengths():
    data = dataset()
    order = data.ordered_indices()
    assert sorted(order) == list(range(5))
    assert list(data.sizes[order]) == sorted(LENGTHS)
    for options in ({"max_sentences": 2}, {"max_tokens": 250}, {"max_sentences": 1, "max_tokens": 200}):
        batches = data.batch_by_size(order, **options, required_batch_size_multiple=8)
        assert sorted(i for batch in batches for i in batch) == list(range(5))
    assert data.num_tokens(0) == data.size(0) == 200 and list(data.num_tokens_vec(np.array([1, 3]))) == [40, 3]


def test_a_dictionary_of_numbers_needs_what_they_stand_for(tmp_path):
    from fairseq_littlebird.data.dictionary import load_dictionary, vocabulary
    from fairseq_littlebird.errors import UserError

    (tmp_path / "dict.txt").write_text("".join(f"{n} 1\n" for n in range(50)))
    with pytest.raises(UserError, match=r"dict\.txt: its symbols are numbers.*encoder\.json"):
        vocabulary(load_dictionary(tmp_path), tmp_path)
    (tmp_path / "encoder.json").write_text('{"\\u0120the": 7, "cat": 8}')
    words = vocabulary(load_dictionary(tmp_path), tmp_path)
    assert words.surfaces[4 + 7] == "the" and words.begins_word[4 + 7] and not words.begins_word[4 + 8]
