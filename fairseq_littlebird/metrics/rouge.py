"""ROUGE-1, -2, -L and -Lsum (Lin 2004), equal digit for digit to the package ``rouge-score``.

A text is its runs of a–z and 0–9 in lower case. ROUGE-L compares two texts as one sequence of tokens; ROUGE-Lsum, which
papers on summaries report, sentence by sentence, and a sentence is a line.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from fairseq_littlebird.metrics.porter import stem

KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")
RESAMPLES = 1000
CONFIDENCE = 0.95
SHORT = 3
"""Letters; tokens of no more are not stemmed."""

_TOKEN = re.compile("[a-z0-9]+")


class Score(NamedTuple):
    """Of one pair of texts, each from 0 to 1."""

    precision: float
    recall: float
    f1: float


ZERO = Score(0.0, 0.0, 0.0)


def tokens_of(text: str, stemmer: bool = False) -> list[str]:
    """The tokens that are compared."""
    found = _TOKEN.findall(text.lower())
    return [stem(token) if len(token) > SHORT else token for token in found] if stemmer else found


def rouge(gold: str, predicted: str, stemmer: bool = False) -> dict[str, Score]:
    """The scores of a summary, by kind.

    Args:
        gold, predicted: sentences on lines of their own, for rougeLsum.
        stemmer: compare stems instead of words.
    """
    theirs, ours = tokens_of(gold, stemmer), tokens_of(predicted, stemmer)
    lines = [[tokens_of(line, stemmer) for line in text.split("\n") if line] for text in (gold, predicted)]
    return {
        "rouge1": _ngrams(theirs, ours, 1),
        "rouge2": _ngrams(theirs, ours, 2),
        "rougeL": _longest(theirs, ours),
        "rougeLsum": _summary(*lines),
    }


def mean_scores(scores: Sequence[Mapping[str, Score]]) -> dict[str, float]:
    """The mean F1 of each kind, in percent."""
    return {kind: 100 * sum(s[kind].f1 for s in scores) / max(1, len(scores)) for kind in KINDS}


def interval(values: Sequence[float], seed: int = 1) -> tuple[float, float]:
    """A 95 % bootstrap interval of a mean: percentiles of the means of samples drawn with replacement."""
    rng, size = random.Random(seed), len(values)
    means = sorted(sum(rng.choices(values, k=size)) / size for _ in range(RESAMPLES))
    return _percentile(means, (1 - CONFIDENCE) / 2), _percentile(means, (1 + CONFIDENCE) / 2)


def _percentile(ordered: Sequence[float], share: float) -> float:
    """Between two of the sorted values where it falls between them."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _score(hits: int, predicted: int, gold: int) -> Score:
    precision, recall = hits / max(predicted, 1), hits / max(gold, 1)
    both = precision + recall
    return Score(precision, recall, 2 * precision * recall / both if both > 0 else 0.0)


def _ngrams(gold: Sequence[str], predicted: Sequence[str], n: int) -> Score:
    theirs, ours = (Counter(zip(*(text[i:] for i in range(n)), strict=False)) for text in (gold, predicted))
    return _score((theirs & ours).total(), ours.total(), theirs.total())


def _longest(gold: Sequence[str], predicted: Sequence[str]) -> Score:
    if not gold or not predicted:
        return ZERO
    return _score(_table(gold, predicted)[-1][-1], len(predicted), len(gold))


def _summary(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Score:
    """Of each gold sentence the tokens that some predicted sentence has in its order; each token counts once a side."""
    theirs, ours = (Counter(token for sentence in text for token in sentence) for text in (gold, predicted))
    if not theirs or not ours:
        return ZERO
    lengths = ours.total(), theirs.total()
    hits = 0
    for sentence in gold:
        for token in _union(sentence, predicted):
            if theirs[token] > 0 and ours[token] > 0:
                hits += 1
                theirs[token] -= 1
                ours[token] -= 1
    return _score(hits, *lengths)


def _union(sentence: Sequence[str], predicted: Iterable[Sequence[str]]) -> list[str]:
    places = {place for other in predicted for place in _common(sentence, other)}
    return [sentence[place] for place in sorted(places)]


def _common(gold: Sequence[str], predicted: Sequence[str]) -> list[int]:
    """The places in ``gold`` of a longest common subsequence: of several the one found from the end."""
    table, places = _table(gold, predicted), []
    i, j = len(gold), len(predicted)
    while i and j:
        if gold[i - 1] == predicted[j - 1]:
            i, j = i - 1, j - 1
            places.append(i)
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places


def _table(gold: Sequence[str], predicted: Sequence[str]) -> list[list[int]]:
    """Lengths of the longest common subsequences of all prefixes."""
    rows = [[0] * (len(predicted) + 1)]
    for token in gold:
        above, row = rows[-1], [0]
        for j, other in enumerate(predicted):
            row.append(above[j] + 1 if token == other else max(above[j + 1], row[j]))
        rows.append(row)
    return rows
