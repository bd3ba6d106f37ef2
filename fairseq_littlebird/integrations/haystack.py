"""A reader for pipelines of Haystack 2 and later: ``pip install 'fairseq_littlebird[haystack]'``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from haystack import Document, ExtractedAnswer, component, default_from_dict, default_to_dict

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.documents.answer_place import sentence
from fairseq_littlebird.inference.several_documents import best_answers, joint_null_probability
from fairseq_littlebird.pipelines.littlebird import LittleBird

CANDIDATES = 20
"""For each answer, as those that overlap a better one are left out."""


@component
class LittleBirdReader:
    """Finds answers to a query in documents, as Haystack's ``ExtractiveReader`` does.

    Scores are probabilities: those of all spans of all documents, and of "no answer", sum to 1.

    Args:
        model: folder of a training, or a checkpoint.
        tokenizer: file or folder; None takes the model's.
        device: cpu, cuda …; None takes the accelerator if there is one.
        precision: float32, bfloat16, float16 or int8, of the encoder.
        top_k: answers to a query, at most.
        score_threshold: leaves out answers of a lower probability.
        no_answer: adds an answer without text, whose score is the probability that there is none.
        max_tokens: of a window; None for 8,192, or what the model reads. Longer documents are cut into several.
        stride: tokens from one window's start to the next one's; None for half a window.
    """

    def __init__(
        self,
        model: str | Path,
        tokenizer: str | Path | None = None,
        device: str | None = None,
        precision: str = "float32",
        top_k: int = 20,
        score_threshold: float | None = None,
        no_answer: bool = True,
        max_tokens: int | None = None,
        stride: int | None = None,
    ) -> None:
        self.model, self.tokenizer = str(model), None if tokenizer is None else str(tokenizer)
        self.device, self.precision = device, precision
        self.top_k, self.score_threshold, self.no_answer = top_k, score_threshold, no_answer
        self.max_tokens, self.stride = max_tokens, stride
        self._loaded: LittleBird | None = None

    def warm_up(self) -> None:
        """Loads the model; a pipeline calls this, and :meth:`run` does where it has not been.

        Raises:
            UserError: no model there, or one of another task.
        """
        if self._loaded is None:
            loaded = LittleBird.from_pretrained(
                self.model, self.tokenizer, self.max_tokens, self.stride, self.device, self.precision
            )
            loaded.dataset([])  # raises where it answers no questions about plain documents
            self._loaded = loaded

    @component.output_types(answers=list[ExtractedAnswer])
    def run(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        score_threshold: float | None = None,
        no_answer: bool | None = None,
    ) -> dict[str, list[ExtractedAnswer]]:
        """Answers a query.

        Args:
            query: the question.
            documents: whose ``content`` is read; those without any are left out.
            top_k, score_threshold, no_answer: see the class; None takes what was given there.
        Returns:
            ``answers``, the most probable first. ``document_offset`` counts in ``document.content``, and
            ``context_offset`` in ``context``, the answer's sentence.
        """
        top_k = self.top_k if top_k is None else top_k
        score_threshold = self.score_threshold if score_threshold is None else score_threshold
        no_answer = self.no_answer if no_answer is None else no_answer
        if top_k < 1:
            raise UserError(f"expected a whole number from 1, got {top_k}", "top_k", "leave it out, or give one")
        readable = [document for document in documents if document.content]
        if not readable:
            return {"answers": []}
        self.warm_up()
        assert self._loaded is not None
        texts = [str(document.content) for document in readable]
        predictions = self._loaded.predict([query] * len(texts), texts, CANDIDATES * top_k, progress=False)
        answers = [
            _answer(query, readable[n], found.start, found.end, probability)
            for n, found, probability in best_answers(predictions, top_k)
        ]
        if no_answer:
            answers.append(ExtractedAnswer(query=query, score=joint_null_probability(predictions)))
            answers.sort(key=lambda answer: -answer.score)
        if score_threshold is not None:
            answers = [answer for answer in answers if answer.score >= score_threshold]
        return {"answers": answers}

    def to_dict(self) -> dict[str, Any]:
        """For a pipeline's YAML."""
        names = "model tokenizer device precision top_k score_threshold no_answer max_tokens stride".split()
        return default_to_dict(self, **{name: getattr(self, name) for name in names})

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> LittleBirdReader:
        """What :meth:`to_dict` wrote."""
        return default_from_dict(cls, data)


def _answer(query: str, document: Document, start: int, end: int, score: float) -> ExtractedAnswer:
    text = str(document.content)
    first, last = sentence(text, start, end)
    return ExtractedAnswer(
        query=query,
        score=score,
        data=text[start:end],
        document=document,
        context=text[first:last],
        document_offset=ExtractedAnswer.Span(start, end),
        context_offset=ExtractedAnswer.Span(start - first, end - first),
    )
