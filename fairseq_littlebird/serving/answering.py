"""Questions about documents to their answers, many in one call of the model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.documents.answer_place import answer_record
from fairseq_littlebird.formats.documents.document import Document
from fairseq_littlebird.inference.attention_bars import attention_bars
from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.inference.several_documents import best_answers, joint_null_odds
from fairseq_littlebird.pipelines.attribution import explains
from fairseq_littlebird.pipelines.littlebird import LittleBird
from fairseq_littlebird.serving.messages import Answer, Answers, AttendedPassage, Attention
from fairseq_littlebird.text.window import NOT_CONTEXT
from fairseq_littlebird.text.window_ranges import fitting_stride

logger = logging.getLogger(__name__)

FOR_EACH = 20
"""Candidates for each answer that is asked for, as those that overlap a better one are left out."""


@dataclass(frozen=True)
class Asked:
    """A question about documents; see :class:`~fairseq_littlebird.serving.messages.Question`."""

    question: str
    documents: tuple[Document, ...]
    top_k: int = 3
    null_threshold: float | None = None
    attention: bool = False

    @property
    def characters(self) -> int:
        """Of all documents."""
        return sum(len(document.text) for document in self.documents)

    @property
    def explained_at_once(self) -> bool:
        """With one document, its best answer is the best of all."""
        return self.attention and len(self.documents) == 1


class Answering:
    """Answers by a model.

    Args:
        model: of question answering.
    Raises:
        UserError: a model of another task, or one that needs more than plain documents.
    """

    def __init__(self, model: LittleBird) -> None:
        model.dataset([])  # raises where the model answers no questions about plain documents
        self._model = model
        self.explains = explains(model.model)

    def __call__(self, asked: Sequence[Asked]) -> list[Answers | Exception]:
        """Answers to questions, or what is wrong with each; the same whatever they are asked together with."""
        try:
            return list(self._answers(asked))
        except Exception as error:
            if len(asked) == 1:
                return [error]
            logger.warning("a batch of %d questions failed (%s); answering one by one", len(asked), error)
            return [self([one])[0] for one in asked]

    def _answers(self, asked: Sequence[Asked]) -> list[Answers]:
        found: dict[int, list[Prediction]] = {}
        for at_once in (False, True):
            numbers = [n for n, one in enumerate(asked) if one.explained_at_once == at_once]
            if numbers:
                found |= zip(numbers, self._predictions([asked[n] for n in numbers], at_once), strict=True)
        return [self._answer(one, found[n]) for n, one in enumerate(asked)]

    def _predictions(self, asked: Sequence[Asked], explained: bool) -> list[list[Prediction]]:
        """Of each question, one a document."""
        pairs = [(one.question, document.text) for one in asked for document in one.documents]
        questions, texts = zip(*pairs, strict=True)
        n_best = FOR_EACH * max(one.top_k for one in asked)
        found = iter(self._model.predict(questions, texts, n_best, progress=False, explained=explained))
        return [
            [_of_own(next(found), FOR_EACH * one.top_k) for _ in one.documents]  # not of the batch's largest
            for one in asked
        ]

    def _answer(self, asked: Asked, predictions: Sequence[Prediction]) -> Answers:
        documents = asked.documents
        if not any(p.windows for p in predictions) and self._fills_a_window(asked.question):
            raise UserError("a question as long as a window", remedy="ask in fewer words")
        answers, odds = best_answers(predictions, asked.top_k), joint_null_odds(predictions)
        attention = None
        if answers and asked.attention:
            best = answers[0].document
            attention = self._attention(asked, best, predictions[best])
        if asked.null_threshold is not None and odds > asked.null_threshold:
            answers, attention = [], None
        return Answers(
            question=asked.question,
            answers=[
                Answer(index=n, **answer_record(documents[n], found.start, found.end, probability))
                for n, found, probability in answers
            ],
            null_odds=odds,
            attention=attention,
        )

    def _fills_a_window(self, question: str) -> bool:
        model = self._model
        room = model.max_tokens - NOT_CONTEXT - len(model.tokenizer.tokenize(question))
        return not fitting_stride(room, model.max_tokens, model.stride)

    def _attention(self, asked: Asked, best: int, prediction: Prediction) -> Attention | None:
        text = asked.documents[best].text
        explanation = prediction.explanation
        if explanation is None:
            explanation = self._model.explain(asked.question, text)
        if explanation is None:
            return None
        bars, through_pack = attention_bars(explanation, len(text))
        first, last = explanation.offsets[0, 0], explanation.offsets[-1, 1]
        return Attention(
            window=(int(first), int(last)),
            bars=bars.tolist(),
            through_pack=through_pack.tolist(),
            passages=[
                AttendedPassage(
                    start=passage.start,
                    end=passage.end,
                    weight=passage.weight,
                    through_pack=passage.through_pack,
                )
                for passage in explanation.passages
            ],
            destinations=explanation.attribution,
        )


def _of_own(prediction: Prediction, n_best: int) -> Prediction:
    return replace(prediction, candidates=prediction.candidates[:n_best])
