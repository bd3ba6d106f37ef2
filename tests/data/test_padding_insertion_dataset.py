"""Position ids beside tokens: per example and epoch, whoever loads them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary, ListDataset, MaskTokensDataset

from fairseq_littlebird.data.batch import pad
from fairseq_littlebird.data.padding_insertion_dataset import PaddingInsertion, PaddingInsertionDataset
from fairseq_littlebird.data.unmasked_dataset import UnmaskedDataset

END = 5
BOUNDARY = np.arange(10) == END
TOKENS = [torch.tensor([0, 4, 6, END] * n) for n in (2, 9, 5)]


def dataset(probability=0.5, low=1, high=40, seed=1):
    gaps = PaddingInsertion(BOUNDARY, probability, low, high, seed)
    return PaddingInsertionDataset(ListDataset(TOKENS, [len(t) for t in TOKENS]), gaps)


def test_gaps_stand_after_boundaries_only():
    for index, tokens in enumerate(TOKENS):
        positions = dataset()[index]
        steps = np.diff(positions)
        assert positions[0] == 0 and len(positions) == len(tokens)
        assert (steps[tokens[:-1].numpy() != END] == 1).all()
        assert ((steps >= 1) & (steps <= 41)).all()


def test_drawn_by_seed_epoch_and_example():
    data, again, other = dataset(), dataset(), dataset(seed=2)
    first = [data[i].tolist() for i in range(3)]
    assert first == [again[i].tolist() for i in reversed(range(3))][::-1]
    assert first != [other[i].tolist() for i in range(3)]
    data.set_epoch(2)
    second = [data[i].tolist() for i in range(3)]
    assert second != first
    data.set_epoch(1)
    assert [data[i].tolist() for i in range(3)] == first


def test_probability_0_and_1():
    assert (dataset(probability=0.0)[1] == np.arange(36)).all()
    steps = np.diff(dataset(probability=1.0, low=7, high=7)[1])
    assert (steps == np.where(TOKENS[1][:-1] == END, 8, 1)).all()


def test_batches_stay_non_decreasing():
    data = dataset()
    batch = data.collater([data[i] for i in range(3)])
    assert batch.shape == (3, 36) and batch.dtype == torch.int64
    assert (batch.diff(dim=1) >= 0).all()
    assert (batch[0, 8:] == batch[0, 7]).all()


def test_masked_boundaries_are_boundaries():
    """Whatever is masked, kept or replaced, the positions are those of the text."""
    dictionary = Dictionary()
    for word in "abcdefg":
        dictionary.add_symbol(word)
    mask = dictionary.add_symbol("<mask>")
    end = dictionary.index("b")
    texts = [torch.tensor([dictionary.index(c) for c in "ab" * n]) for n in (40, 9)]
    gaps = PaddingInsertion(np.arange(len(dictionary)) == end, 1.0, 7, 7)
    text = ListDataset(texts, [len(t) for t in texts])
    masked, target = MaskTokensDataset.apply_mask(
        text, dictionary, dictionary.pad(), mask, mask_prob=0.5, random_token_prob=0.3, leave_unmasked_prob=0.2
    )
    unmasked = UnmaskedDataset(masked, target, dictionary.pad())
    for epoch in (1, 2):
        unmasked.set_epoch(epoch)
        assert (masked[0] == mask).sum() > 5 and (masked[0][1::2] != end).any()
        assert all((unmasked[i] == texts[i]).all() for i in range(2))
        for i in range(2):
            found = PaddingInsertionDataset(unmasked, gaps)[i]
            assert (found == PaddingInsertionDataset(text, gaps)[i]).all()
            assert (np.diff(found) == np.where(texts[i][:-1] == end, 8, 1)).all()


def test_batches_of_an_epoch_may_serve_the_next():
    assert dataset().can_reuse_epoch_itr_across_epochs


@pytest.mark.parametrize("rows", [[[1, 2], [3]], [[]], []])
def test_pad(rows):
    padded = pad([np.array(row, dtype=np.int64) for row in rows], 9, width=1)
    wanted = [row + [9] * (max([1, *map(len, rows)]) - len(row)) for row in rows]
    assert padded.tolist() == wanted
