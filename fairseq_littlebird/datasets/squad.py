"""SQuAD 1.1 and 2.0, KorQuAD 1.0, and every other format of questions that are answered by a part of a document."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from fairseq_littlebird.datasets.registry import add_dataset
from fairseq_littlebird.datasets.spec import DatasetSpec
from fairseq_littlebird.datasets.squad_gold import read_squad_gold
from fairseq_littlebird.formats.questions import REMEDY, parse_passages
from fairseq_littlebird.formats.questions.record import GivenAnswer, Passage, Question
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.metrics import squad as official
from fairseq_littlebird.metrics.json_files import read_texts
from fairseq_littlebird.metrics.official_metric import OfficialMetric
from fairseq_littlebird.text.example import Answer, QAExample
from fairseq_littlebird.text.paragraphs import PARAGRAPH_BREAK
from fairseq_littlebird.text.tokenizers import without_surrogates


def parse(records: Records, log: ReadingLog) -> Iterator[QAExample]:
    """The examples of a file in one of ``formats.questions.FORMATS``, in its order.

    Args:
        records: the file's.
        log: takes the notes, and skips bad records if it is to.

    Raises:
        UserError: the file is not UTF-8, not JSON, or not of one of these formats (names article and question).
    """
    for passage in parse_passages(records, log):
        document = without_surrogates(passage.context)
        yield from (_example(question, document, passage.title) for question in passage.questions)


def parse_articles(records: Records, log: ReadingLog) -> Iterator[QAExample]:
    """The same, where the paragraphs of an article, ``PARAGRAPH_BREAK`` between them, become one document; answer
    offsets move with their paragraphs."""
    for _, article in groupby(parse_passages(records, log), key=lambda passage: passage.article):
        yield from _joined(list(article))


def _joined(passages: list[Passage]) -> Iterator[QAExample]:
    contexts = [without_surrogates(passage.context) for passage in passages]
    document = PARAGRAPH_BREAK.join(contexts)
    start = 0
    for passage, context in zip(passages, contexts, strict=True):
        for question in passage.questions:
            yield _example(question, document, passage.title, (start, start + len(context)))
        start += len(context) + len(PARAGRAPH_BREAK)


def _example(question: Question, document: str, title: str, within: tuple[int, int] | None = None) -> QAExample:
    answers = () if question.impossible else question.answers or ()
    return QAExample(
        id=without_surrogates(question.id),
        question=without_surrogates(question.question),
        document=document,
        answers=tuple(_answer(answer, within) for answer in answers),
        title=without_surrogates(title),
        labelled=question.answers is not None,
    )


def _answer(answer: GivenAnswer, within: tuple[int, int] | None) -> Answer:
    unplaced = answer.start is None
    start = answer.start or 0  # an unplaced answer is looked for from there
    if within and start >= 0:
        start += within[0]
    return Answer(without_surrogates(answer.text), start, within, unplaced)


SQUAD = add_dataset(
    DatasetSpec(
        name="squad",
        title="SQuAD",
        parse=parse,
        parse_articles=parse_articles,
        remedy=REMEDY,
        limit_from_training=True,
        official_metric=OfficialMetric(
            read_gold=read_squad_gold,
            read_predictions=read_texts,
            answers=official.answers,
            evaluate=official.evaluate,
            evaluate_null_odds=official.evaluate,
        ),
    )
)
