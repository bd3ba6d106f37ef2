"""SQuAD 1.1 and 2.0, KorQuAD 1.0, and every other format of questions that are answered by a part of a document."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from fairseq_littlebird.formats.questions import REMEDY as REMEDY
from fairseq_littlebird.formats.questions import parse_passages
from fairseq_littlebird.formats.questions.record import GivenAnswer, Passage, Question
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.text.example import Answer, QAExample
from fairseq_littlebird.text.paragraphs import PARAGRAPH_BREAK
from fairseq_littlebird.text.tokenizers import without_surrogates


def read_squad(records: Records, join_articles: bool, log: ReadingLog) -> Iterator[QAExample]:
    """The examples of a file in one of ``formats.questions.FORMATS``, in its order.

    Args:
        records: the file's.
        join_articles: the paragraphs of an article, ``PARAGRAPH_BREAK`` between them, become one document;
            answer offsets move with their paragraphs.
        log: takes the notes, and skips bad records if it is to.

    Raises:
        UserError: the file is not UTF-8, not JSON, or not of one of these formats (names article and question).
    """
    passages = parse_passages(records, log)
    for _, article in groupby(passages, key=lambda passage: passage.article):
        if join_articles:
            yield from _joined(list(article))
        else:
            for passage in article:
                document = without_surrogates(passage.context)
                yield from (_example(question, document, passage.title) for question in passage.questions)


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
    start = 0 if answer.start is None else answer.start  # it is looked for from there
    return Answer(without_surrogates(answer.text), start + within[0] if within and start >= 0 else start, within)
