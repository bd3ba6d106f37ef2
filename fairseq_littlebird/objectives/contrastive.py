"""Contrastive predictive coding of masked sentences (Ainslie et al., 2020, section 3): which are masked, and the loss.

Legend: B sequences, L tokens, G global tokens, N masked sentences, W tokens of the longest of them, C hidden width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SHORTEST = 4
"""Tokens of a sentence that may be masked; what is shorter has little to be told by."""


class MaskedSentences(NamedTuple):
    """Sequences whose sentences have a global token each, some of them without their tokens."""

    owner: Tensor  # <int64>[B, L], the global token of each token's sentence; 0, the document's, of special tokens
    there: Tensor  # <bool>[B, G], which global tokens there are
    hidden: Tensor  # <bool>[B, L], tokens of masked sentences
    rows: Tensor  # <int64>[N], the sequence of each masked sentence
    columns: Tensor  # <int64>[N], and its global token
    alone: Tensor  # <int64>[N, W], its tokens by themselves, padded on the right


def mask_sentences(
    tokens: Tensor,
    ends: Tensor,
    special: Tensor,
    padding_idx: int,
    probability: float,
    maximum: int,
    generator: torch.Generator | None = None,
) -> MaskedSentences:
    """Draws the sentences to mask.

    A sentence goes on to a token that ends one, or to a special token. The last of ``maximum`` global tokens has all
    that is left.

    Args:
        tokens: <int64>[B, L], as they are, nothing masked.
        ends: <bool>[V], tokens that end a sentence.
        special: <bool>[V], tokens that belong to no sentence.
        padding_idx: id of padding, which is special.
        probability: of each sentence of at least ``SHORTEST`` tokens.
        maximum: G at most, at least 2.
        generator: of a CPU; None for the default one.
    """
    outside = special[tokens] | tokens.eq(padding_idx)
    over = (ends[tokens] | outside).long()
    number = (over.cumsum(dim=1) - over).clamp(max=maximum - 2)
    owner = (number + 1).masked_fill(outside, 0)
    G = int(owner.max()) + 1
    counts = torch.zeros(len(tokens), G, dtype=torch.int64, device=tokens.device)
    counts = counts.scatter_add(1, owner, (~outside).long())
    draw = torch.rand(counts.shape, generator=generator).to(tokens.device) < probability
    rows, columns = (draw & (counts >= SHORTEST)).nonzero().unbind(dim=1)
    chosen = torch.zeros_like(counts, dtype=torch.bool)
    chosen[rows, columns] = True
    own = owner[rows] == columns[:, None]  # [N, L]
    width = int(counts[rows, columns].max()) if len(rows) else 0
    first = own.byte().argsort(dim=1, descending=True, stable=True)[:, :width]
    alone = tokens[rows].gather(1, first).masked_fill(~own.gather(1, first), padding_idx)
    there = counts > 0
    there[:, 0] = True
    return MaskedSentences(owner, there, chosen.gather(1, owner), rows, columns, alone)


class ContrastiveLoss(NamedTuple):
    """Of N sentences; scalar tensors."""

    loss: Tensor  # the sum over the sentences
    correct: Tensor  # sentences that are told from all others


def contrastive_loss(predicted: Tensor, encoded: Tensor) -> ContrastiveLoss:
    """-log of σ(predicted · encoded / √C) at a sentence's own encoding among those of all sentences of the batch.

    Args:
        predicted: what the global token of each masked sentence says of it, <float>[N, C].
        encoded: what it says of the sentence by itself, <float>[N, C].
    """
    scores = (predicted @ encoded.T).float() * predicted.shape[1] ** -0.5
    own = torch.arange(len(scores), device=scores.device)
    return ContrastiveLoss(F.cross_entropy(scores, own, reduction="sum"), scores.argmax(dim=1).eq(own).sum())
