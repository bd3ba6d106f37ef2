"""The official metric of a data set, or, where it has none, its validation metric over the answers that it parses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairseq_littlebird.datasets.question_files import read_questions
from fairseq_littlebird.datasets.spec import DatasetSpec
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inference.final_answer import gold_texts
from fairseq_littlebird.metrics.json_files import read_texts
from fairseq_littlebird.metrics.official_metric import OfficialMetric, Scores
from fairseq_littlebird.metrics.squad import average

ParsedAnswers = dict[str, list[str]]


def official_metric(spec: DatasetSpec) -> OfficialMetric[Any, Any]:
    """How littlebird-evaluate scores predictions of a data set."""
    return spec.official_metric or _validation_metric(spec)


def _validation_metric(spec: DatasetSpec) -> OfficialMetric[ParsedAnswers, dict[str, str]]:
    def read_gold(path: str) -> ParsedAnswers:
        return _parsed_answers(spec, path)

    def evaluate(gold: ParsedAnswers, predictions: Mapping[str, str]) -> Scores:
        return average(gold, predictions, spec.validation_metric.exact_match, spec.validation_metric.f1)

    return OfficialMetric(
        read_gold=read_gold, read_predictions=read_texts, answers=lambda gold, where: gold, evaluate=evaluate
    )


def _parsed_answers(spec: DatasetSpec, path: str) -> ParsedAnswers:
    """The answer texts of each question; of one without an answer, the empty text.

    Raises:
        UserError: the file is of another format, an id comes twice, there is no question, or no answer to one.
    """
    texts: ParsedAnswers = {}
    for example in read_questions(spec.name, path):
        where = f"{path}, question {example.id}"
        if example.id in texts:
            raise UserError("more than one question has this id", where, "keep one of them")
        if not example.labelled:
            raise UserError("this question has no answers to score against", where, "give gold with answers")
        texts[example.id] = gold_texts(example)
    if not texts:
        raise UserError("no question in it", path, spec.remedy)
    return texts
