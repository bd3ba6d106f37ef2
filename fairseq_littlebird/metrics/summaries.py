"""ROUGE of a file of summaries against the summaries that people wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.questions.rows import first_name
from fairseq_littlebird.formats.records import open_records
from fairseq_littlebird.formats.scalars import identity
from fairseq_littlebird.formats.sentences import split_sentences
from fairseq_littlebird.formats.summaries import SUMMARIES, summary_text
from fairseq_littlebird.metrics.rouge import KINDS, interval, rouge

REMEDY = 'give {"id": "…", "summary": "…"} a line; a summary may be a list of sentences'

Summaries = dict[str, str]


def read_summaries(path: str) -> Summaries:
    """Id -> summary, with a line a sentence where the file has a list of them.

    Args:
        path: rows with id and summary: JSON lines, a JSON list or a table, plain or compressed.
    Raises:
        UserError: names the record that has no id or no summary, or the id that comes twice.
    """
    found: Summaries = {}
    with open_records(path, REMEDY, whole=True) as records:
        for number, record in records:
            where = records.where(number)
            name = identity(record, "id", where, REMEDY)
            if name in found:
                raise UserError(f"the id {name!r} comes twice", where, "keep one of them")
            value = record.get(first_name(record, SUMMARIES))
            if value is None:
                raise UserError(f"no summary (id {name})", where, REMEDY)
            found[name] = summary_text(value, where)
    if not found:
        raise UserError("no summary in it", path, REMEDY)
    return found


def score_summaries(
    gold: Summaries, predicted: Mapping[str, str], stemmer: bool = False, split: bool = False
) -> dict[str, Any]:
    """Each kind's mean F1, precision and recall in percent, and a 95 % bootstrap interval of the mean F1.

    Args:
        gold: every one counts; one without a prediction scores 0.
        predicted: id -> summary.
        stemmer: compare stems instead of words.
        split: find the sentences of both by their punctuation.
    """
    lines = split_sentences if split else str
    scores = [rouge(lines(text), lines(predicted.get(name, "")), stemmer) for name, text in gold.items()]
    result: dict[str, Any] = {}
    for kind in KINDS:
        columns = [[100 * value for value in column] for column in zip(*(s[kind] for s in scores), strict=True)]
        precision, recall, f1 = (sum(column) / len(column) for column in columns)
        result[kind] = f1
        result |= {f"{kind}_precision": precision, f"{kind}_recall": recall, f"{kind}_interval": interval(columns[2])}
    return result
