"""Heads that score segments and answer types, against the concatenation written out."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from fairseq_littlebird.heads.answer_type import AnswerTypeHead
from fairseq_littlebird.heads.evidence import GlobalSegmentHead, SegmentHead


def test_segments_are_scored_by_their_ends():
    torch.manual_seed(0)
    head, hidden = SegmentHead(8).double(), torch.randn(2, 7, 8, dtype=torch.float64)
    segments = torch.tensor([[[0, 2], [3, 3], [4, 6]], [[1, 5], [0, 0], [0, 0]]])
    weight = torch.cat([head.from_first.weight, head.from_last.weight], dim=1)
    for b, row in enumerate(segments.tolist()):
        for m, (first, last) in enumerate(row):
            pair = torch.cat([hidden[b, first], hidden[b, last]])
            expected = head.score(F.gelu(weight @ pair + head.from_first.bias))
            torch.testing.assert_close(head(hidden, segments)[b, m], expected[0])
    assert head(hidden, segments[:, :0]).shape == (2, 0)


def test_kinds_come_from_the_first_token():
    torch.manual_seed(0)
    head, hidden = AnswerTypeHead(8, 3), torch.randn(4, 7, 8)
    logits = head(hidden)
    assert logits.shape == (4, 3)
    hidden[:, 1:] = 0
    assert torch.equal(head(hidden), logits)


def test_a_global_segment_head_reads_the_global_token_of_each_segment():
    torch.manual_seed(0)
    head, states = GlobalSegmentHead(6).double(), torch.randn(2, 4, 6, dtype=torch.float64)
    segments = torch.tensor([[3, 1, -1], [0, 0, 2]])
    found = head(states, segments)
    assert found.shape == (2, 3)
    for n, m in ((0, 0), (0, 1), (1, 0), (1, 2)):
        torch.testing.assert_close(found[n, m], head.score(states[n, segments[n, m]])[0])
