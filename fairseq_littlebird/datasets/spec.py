"""All that is a question answering data set's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import Records
from fairseq_littlebird.inference.final_answer import AnswerRule, best_span
from fairseq_littlebird.inference.prediction_format import TEXTS, PredictionFormat
from fairseq_littlebird.metrics import squad
from fairseq_littlebird.metrics.official_metric import OfficialMetric
from fairseq_littlebird.metrics.text_metric import TextMetric
from fairseq_littlebird.text.answer_spec import AnswerSpec
from fairseq_littlebird.text.example import Piece, QAExample
from fairseq_littlebird.text.global_tokens import GlobalInput

Parser = Callable[[Records, ReadingLog], Iterator[QAExample]]
"""The examples of a file's records, in their order; those of one document follow one another and share its string."""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(AnswerSpec):
    """How a data set is read, answered, written and scored, beside what its answers are.

    Args:
        name: what ``--dataset`` calls it.
        title: what people call it.
        parse: the examples of its files; raises a UserError that names file and record where they are not of its
            format.
        remedy: what an error tells the user to give.
        parse_articles: the same with all paragraphs of an article as one document; None where it has no articles.
        file_format: what people call its format, as in "this is …"; empty for the title.
        matches: whether an object, the first record of a file, is of this format and no other; None where nothing
            tells.
        version: how the member "version" of its files begins, where nothing else tells them from SQuAD's; empty for
            any.
        document_pieces: what the model reads of a document given alone; None for all of it.
        global_input: which global tokens its windows have where the input is structured.
        final_answer: the answer text of a prediction.
        prediction_format: of ``predictions.json``.
        validation_answer: the answer text that validation scores; None for that of ``final_answer``.
        validation_metric: exact match and F1 in validation.
        official_metric: what littlebird-evaluate prints; None for the means of ``validation_metric`` over the answers
            that ``parse`` gives.
    """

    name: str
    title: str
    parse: Parser
    remedy: str
    parse_articles: Parser | None = None
    file_format: str = ""
    matches: Callable[[dict[str, Any]], bool] | None = None
    version: str = ""
    document_pieces: Callable[[str], tuple[Piece, ...]] | None = None
    global_input: GlobalInput = GlobalInput()
    final_answer: AnswerRule = best_span
    prediction_format: PredictionFormat = TEXTS
    validation_answer: AnswerRule | None = None
    validation_metric: TextMetric = TextMetric(squad.exact_match, squad.f1)
    official_metric: OfficialMetric[Any, Any] | None = None
