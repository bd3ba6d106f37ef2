"""Where a batch holds something, counted as it is made."""

from __future__ import annotations

import numpy as np
import torch

from fairseq_littlebird.data.batch import model_inputs, span_batch
from fairseq_littlebird.data.token_index import TokenIndexDataset

PAD = 1


def test_places_of_items_in_their_padded_batch():
    """Of tokens, and of masked LM targets, which are padding except for masked tokens."""
    tokens = [torch.tensor([5, 6, 7]), torch.tensor([8])]
    targets = [torch.tensor([PAD, 6, PAD]), torch.tensor([8])]
    dataset = TokenIndexDataset(tokens, PAD)
    assert dataset.collater(tokens).tolist() == [0, 1, 2, 3]
    assert dataset.collater(targets).tolist() == [1, 3]
    assert dataset.collater([targets[0][:1]]).tolist() == []


def test_a_batch_of_spans_counts_its_tokens_and_questions():
    tokens = [np.array([5, 6, 7]), np.array([8, 9])]
    gold = [np.array([1, 2]), np.array([], dtype=int)]
    batch = span_batch(tokens, None, gold, gold, gold, [t > 0 for t in tokens], PAD)
    assert batch["unpadded"].tolist() == [0, 1, 2, 3, 4]
    assert batch["question_index"].tolist() == [0, 1] and batch["questions"] == 2
    inputs = model_inputs(batch)
    assert inputs["unpadded"] is batch["unpadded"] and "unpadded" not in batch["net_input"]
    assert "unpadded" not in model_inputs({"net_input": {}})
