"""HotpotQA JSON, distractor setting: paragraphs in sentences; evidence by sentence; answers span, yes or no."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from fairseq_littlebird.datasets.registry import add_dataset
from fairseq_littlebird.datasets.spec import DatasetSpec
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import field, identity
from fairseq_littlebird.inference.final_answer import FinalAnswer, yes_no_or_span
from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.inference.prediction_format import Section, answer_text, member
from fairseq_littlebird.metrics import hotpotqa as official
from fairseq_littlebird.metrics.json_files import read_json
from fairseq_littlebird.metrics.official_metric import OfficialMetric
from fairseq_littlebird.text.answer_spec import EVIDENCE
from fairseq_littlebird.text.example import Answer, QAExample, Segment
from fairseq_littlebird.text.global_tokens import PARAGRAPH, QUESTION, SENTENCE, GlobalInput
from fairseq_littlebird.text.matching import LONGEST, occurrences
from fairseq_littlebird.text.paragraphs import Paragraphs
from fairseq_littlebird.text.tokenizers import without_surrogates

REMEDY = "give a HotpotQA distractor JSON file"

LEAST_PROBABLE_FACT = 0.5
"""A sentence more probable than this is a supporting fact."""
FEWEST_FACTS = 2
"""Supporting facts that every question has: the most probable ones are given, however probable they are."""


def parse(records: Records, log: ReadingLog) -> Iterator[QAExample]:
    """The questions of a HotpotQA file, in its order.

    A paragraph is its title, a line break and its sentences. Segments are the sentences, named ``[title, number]``.
    An answer has a place wherever its words stand in the evidence, or, failing that, in the document; no places if
    it is yes or no.

    Args:
        records: the file's; with answers or without.
        log: skips bad records if it is to.
    Raises:
        UserError: the file is not UTF-8, not JSON, or not of this format (names the record).
    """
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


def _supporting_facts(prediction: Prediction, answer: FinalAnswer) -> str:
    probabilities = prediction.segments
    surest = sorted(range(len(probabilities)), key=lambda n: -probabilities[n])[:FEWEST_FACTS]
    named = enumerate(zip(prediction.segment_names, probabilities, strict=True))
    facts = [name for n, (name, p) in named if p > LEAST_PROBABLE_FACT or (n in surest and p > 0)]
    return member(prediction.id, [json.loads(name) for name in facts])


HOTPOTQA = add_dataset(
    DatasetSpec(
        name="hotpotqa",
        title="HotpotQA",
        parse=parse,
        remedy=REMEDY,
        file_format="HotpotQA's JSON",
        matches=lambda record: {"_id", "question"} <= record.keys() and isinstance(record.get("context"), list),
        answer_types=("span", "yes", "no"),
        segments=EVIDENCE,
        global_input=GlobalInput(kinds=(QUESTION, PARAGRAPH, SENTENCE), kinds_in_text=(QUESTION, PARAGRAPH, SENTENCE)),
        max_answer_words=30,
        max_answer_length=60,  # a word is seldom more than two tokens
        final_answer=yes_no_or_span,
        prediction_format=(
            Section('{"answer": {', answer_text, "\n},\n"),
            Section('"sp": {', _supporting_facts, "\n}}"),
        ),
        official_metric=OfficialMetric(
            read_gold=read_json,
            read_predictions=official.read_predictions,
            answers=official.answers,
            evaluate=official.evaluate,
            parts=official.PARTS,
            malformed=official.malformed,
            prediction_format='{"answer": {id: text}, "sp": {id: [[title, sentence index], ...]}}',
        ),
    )
)
