"""HotpotQA JSON, distractor setting: paragraphs in sentences; evidence by sentence; answers span, yes or no."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import field, identity
from fairseq_littlebird.text.example import Answer, QAExample, Segment
from fairseq_littlebird.text.matching import LONGEST, occurrences
from fairseq_littlebird.text.paragraphs import Paragraphs
from fairseq_littlebird.text.tokenizers import without_surrogates

ANSWER_TYPES = ("span", "yes", "no")

REMEDY = "give a HotpotQA distractor JSON file"


def read_hotpotqa(records: Records, join_articles: bool, log: ReadingLog) -> Iterator[QAExample]:
    """The questions of a HotpotQA file, in its order.

    A paragraph is its title, a line break and its sentences. Segments are the sentences, named ``[title, number]``.
    An answer has a place wherever its words stand in the evidence, or, failing that, in the document; no places if
    it is yes or no.

    Args:
        records: the file's; with answers or without.
        log: skips bad records if it is to.
        join_articles: must be False: the paragraphs of a question are one document anyway.
    Raises:
        UserError: the file is not UTF-8, not JSON, or not of this format (names the record).
    """
    if join_articles:
        raise UserError(
            "a HotpotQA question has one document", where=str(records.path), remedy="leave out --join-articles"
        )
    for number, record in records:
        with log.record():
            yield _example(record, records.where(number))


def _example(record: Any, where: str) -> QAExample:
    name = without_surrogates(identity(record, "_id", where, REMEDY))
    where = f"{where} (id {name})"
    facts = {_fact(fact, where) for fact in field(record, "supporting_facts", list, where, REMEDY, default=[])}
    paragraphs, segments, titles = Paragraphs(), [], []
    for title, sentences in (_paragraph(p, where) for p in field(record, "context", list, where, REMEDY)):
        start = paragraphs.add(f"{title}\n{''.join(sentences)}")
        titles.append((start, title))
        start += len(title) + 1
        for number, sentence in enumerate(sentences):
            own = json.dumps([title, number], ensure_ascii=False)
            segments.append(Segment(start, start + len(sentence), (title, number) in facts, own))
            start += len(sentence)
    document = paragraphs.document
    text = without_surrogates(field(record, "answer", str, where, REMEDY, default=""))
    evidence = [(s.start, s.stop) for s in segments if s.gold]
    evidence += [(start, start + len(title)) for start, title in titles if any(title == t for t, _ in facts)]
    return QAExample(
        id=name,
        question=without_surrogates(field(record, "question", str, where, REMEDY)),
        document=document,
        answers=() if text in ("", "yes", "no") else _places(document, text, evidence),
        pieces=paragraphs.pieces,
        segments=tuple(segments),
        labelled="answer" in record,
        answer_type=text if text in ("yes", "no") else "span" if text else "",
    )


def _places(document: str, text: str, evidence: list[tuple[int, int]]) -> tuple[Answer, ...]:
    if len(text) > LONGEST:
        return (Answer(text, -1),)
    exact = [Answer(text, match.start()) for match in re.finditer(rf"(?<!\w){re.escape(text)}(?!\w)", document)]
    everywhere = exact or [Answer(document[start:stop], start) for start, stop in occurrences(document, [text])]
    within = [
        answer
        for answer in everywhere
        if any(start <= answer.start and answer.start + len(answer.text) <= stop for start, stop in evidence)
    ]
    return tuple(within or everywhere) or (Answer(text, -1),)


def _paragraph(paragraph: Any, where: str) -> tuple[str, list[str]]:
    good = isinstance(paragraph, list) and len(paragraph) == 2 and isinstance(paragraph[0], str)
    if not good or not isinstance(paragraph[1], list) or not all(isinstance(s, str) for s in paragraph[1]):
        raise UserError("another JSON format (a paragraph is not [title, [sentences]])", where=where, remedy=REMEDY)
    return without_surrogates(paragraph[0]), [without_surrogates(sentence) for sentence in paragraph[1]]


def _fact(fact: Any, where: str) -> tuple[str, int]:
    if not (isinstance(fact, list) and len(fact) == 2 and isinstance(fact[0], str) and type(fact[1]) is int):
        raise UserError("another JSON format (a supporting fact is not [title, number])", where=where, remedy=REMEDY)
    return without_surrogates(fact[0]), fact[1]
