"""Labels or scores of texts in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.pipelines.classification import classified
from fairseq_littlebird.pipelines.summarizer import texts_of
from fairseq_littlebird.tasks.littlebird_sentence_prediction import LittleBirdSentencePredictionTask
from fairseq_littlebird.text.tokenizers import Tokenizer


class Classifier:
    """A mixin of :class:`LittleBird` for models that classify."""

    model: Any
    task: Any
    tokenizer: Tokenizer
    max_tokens: int

    @overload
    def classify(self, text: str, text2: str | None = ...) -> Classification: ...  # type: ignore[overload-overlap]
    @overload
    def classify(self, text: Sequence[str], text2: Sequence[str] | None = ...) -> list[Classification]: ...

    def classify(
        self, text: str | Sequence[str], text2: str | Sequence[str] | None = None
    ) -> Classification | list[Classification]:
        """The labels' probabilities of a text, or its score: a :class:`Classification`, or one a text, in their order.

        What is longer than ``max_tokens`` is cut at its end, of a pair the longer text first. ``id`` is the index.

        Args:
            text: one, or several.
            text2: the second of each pair, as many; None where the model was trained on single texts.
        Raises:
            UserError: the model is no classifier, or there are not as many second texts.
        """
        if not isinstance(self.task, LittleBirdSentencePredictionTask):
            raise UserError(
                "this model is not a classifier", remedy="fine-tune it with --task littlebird_sentence_prediction"
            )
        texts = texts_of(text, "text")
        seconds = None if text2 is None else texts_of(text2, "text2")
        if seconds is not None and len(seconds) != len(texts):
            raise UserError(f"{len(texts)} texts, {len(seconds)} second texts", remedy="give as many")
        found = classified(self.model, self.task, self.tokenizer, texts, seconds, self.max_tokens)
        return found[0] if isinstance(text, str) else found
