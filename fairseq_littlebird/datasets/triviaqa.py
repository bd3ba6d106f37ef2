"""TriviaQA JSON with its folder of evidence documents; answers wherever an alias stands."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from fairseq_littlebird.datasets.registry import add_dataset
from fairseq_littlebird.datasets.spec import DatasetSpec
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.opening import open_text
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.formats.scalars import field, identity
from fairseq_littlebird.metrics import triviaqa as official
from fairseq_littlebird.metrics.json_files import read_json, read_texts
from fairseq_littlebird.metrics.official_metric import OfficialMetric
from fairseq_littlebird.metrics.text_metric import TextMetric
from fairseq_littlebird.text.example import Answer, QAExample
from fairseq_littlebird.text.global_tokens import QUESTION, SENTENCE, GlobalInput
from fairseq_littlebird.text.matching import occurrences
from fairseq_littlebird.text.paragraphs import Paragraphs
from fairseq_littlebird.text.tokenizers import without_surrogates

LONGEST_ANSWER = 16
"""Words; longer aliases are not looked for (appendix A.2 of the BigBird paper)."""

REMEDY = "give a TriviaQA JSON file of the release with evidence"
_SOURCES = (("EntityPages", "wikipedia"), ("SearchResults", "web"))


def parse(records: Records, log: ReadingLog) -> Iterator[QAExample]:
    """The questions of a TriviaQA file, in its order.

    Wikipedia: a question is about all its pages, one after the other, and has the id ``QuestionId``. Web: it is asked
    about each document by itself, with the id ``QuestionId--Filename``. A paragraph is a line of a document. The
    answers are all places where an alias stands as whole words, whatever the case; a place of -1 if there is none.

    Args:
        records: of ``qa/….json`` of the release; ``evidence/`` lies beside it or beside its folder.
    Raises:
        UserError: the file is not UTF-8, not JSON, or not of this format, or an evidence document is missing.
    """
    evidence = _evidence(records.path)
    for number, record in records:
        with log.record():
            yield from _examples(record, evidence, records.where(number))


def _examples(record: Any, evidence: Path, where: str) -> Iterator[QAExample]:
    identifier = without_surrogates(identity(record, "QuestionId", where, REMEDY))
    where = f"{where} (id {identifier})"
    question = without_surrogates(field(record, "Question", str, where, REMEDY))
    aliases = _aliases(field(record, "Answer", dict, where, REMEDY, default={}), where)
    names = [
        (without_surrogates(field(page, "Filename", str, where, REMEDY)), folder)
        for key, folder in _SOURCES
        for page in field(record, key, list, where, REMEDY, default=[])
    ]
    for name, _ in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise UserError(f"its evidence document {name!r} is not in evidence/", where=where, remedy=REMEDY)
    documents = {name: evidence / folder / name for name, folder in names}
    groups = [[name] for name in documents] if "SearchResults" in record else [list(documents)]
    for group in groups:
        paragraphs = Paragraphs()
        for name in group:
            for line in _lines(documents[name], where):
                paragraphs.add(line)
        document = paragraphs.document
        yield QAExample(
            id=f"{identifier}--{group[0]}" if "SearchResults" in record else identifier,
            question=question,
            document=document,
            answers=_places(document, aliases),
            pieces=paragraphs.pieces,
            labelled="Answer" in record,
        )


def _aliases(answer: dict[str, Any], where: str) -> list[str]:
    keys = ("Value", "Aliases", "NormalizedAliases", "HumanAnswers")
    values = [value for key in keys for value in _listed(answer.get(key, []))]
    if not all(isinstance(value, str) for value in values):
        raise UserError("another JSON format (an alias is not a text)", where=where, remedy=REMEDY)
    return [without_surrogates(value) for value in values]


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def _places(document: str, aliases: list[str]) -> tuple[Answer, ...]:
    if not aliases:
        return ()
    short = [alias for alias in aliases if len(alias.split()) <= LONGEST_ANSWER]
    found = [Answer(document[start:stop], start) for start, stop in occurrences(document, short)]
    return tuple(found) or (Answer(aliases[0], -1),)


def _lines(path: Path, where: str) -> list[str]:
    if not os.path.isfile(path):  # False also for what no file can be called
        raise UserError(
            "its evidence document is missing", where=f"{where}, {path}", remedy="unpack the release's evidence/"
        )
    with open_text(path) as stream:
        return [text for text in (without_surrogates(line).strip() for line in stream) if text]


def _evidence(path: Path) -> Path:
    for folder in (path.parent, path.parent.parent):
        if (folder / "evidence").is_dir():
            return folder / "evidence"
    raise UserError("no folder evidence/ in the same folder", where=str(path), remedy="unpack the release as it is")


TRIVIAQA = add_dataset(
    DatasetSpec(
        name="triviaqa",
        title="TriviaQA",
        parse=parse,
        remedy=REMEDY,
        file_format="TriviaQA's JSON",
        matches=lambda record: {"QuestionId", "Question"} <= record.keys(),
        noisy=True,
        global_input=GlobalInput(kinds=(QUESTION, SENTENCE), maximum=320),
        max_answer_words=LONGEST_ANSWER,
        max_answer_length=2 * LONGEST_ANSWER,
        validation_metric=TextMetric(official.exact_match, official.f1),
        official_metric=OfficialMetric(
            read_gold=read_json,
            read_predictions=read_texts,
            answers=official.answers,
            evaluate=official.evaluate,
            prediction_format='{"id--filename": answer text} on the web',
        ),
    )
)
