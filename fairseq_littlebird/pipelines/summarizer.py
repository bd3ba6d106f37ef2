"""A trained encoder–decoder in a program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, overload

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inference.summarizing import Summary
from fairseq_littlebird.pipelines.summarization import summarize_texts


def texts_of(value: Any, name: str) -> list[str]:
    """One text, or several, as a list.

    Args:
        value: what the user gave.
        name: of the argument.
    Raises:
        UserError: it is neither, or one of several is no ``str``.
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, (bytes, bytearray, Mapping)) or not isinstance(value, Iterable):
        raise UserError(f"expected a str or a list of str, got {type(value).__name__}", name, "give text")
    texts = list(value)
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            remedy = "decode it" if isinstance(text, bytes) else "give text"
            raise UserError(f"expected a str, got {type(text).__name__}", f"{name} {index}", remedy)
    return texts


class Summarizer:
    """What :class:`LittleBird` does with a model of ``--task summarization``."""

    model: Any
    task: Any

    @overload
    def summarize(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self, document: str, beam: int = ..., truncate: bool = ..., progress: bool | None = ..., **options: Any
    ) -> Summary: ...
    @overload
    def summarize(
        self,
        document: Sequence[str],
        beam: int = ...,
        truncate: bool = ...,
        progress: bool | None = ...,
        **options: Any,
    ) -> list[Summary]: ...

    def summarize(
        self,
        document: str | Sequence[str],
        beam: int = 5,
        truncate: bool = False,
        progress: bool | None = None,
        **options: Any,
    ) -> Summary | list[Summary]:
        """The summary of a document: a :class:`Summary`, or one a document.

        Args:
            document: one, or several, which are read together with those of about their length.
            beam: number of hypotheses; 1: greedy.
            truncate: cut documents that are longer than the model reads; otherwise they are an error.
            progress: show a bar; None shows one for several documents.
            options: ``explained=True`` gives the sentences of the document that were read most, too; others are of
                :class:`~fairseq_littlebird.models.generation.BeamSearchSettings`: ``length_penalty``,
                ``length_penalty_kind``, ``no_repeat_ngram_size``, ``min_length``, ``max_length``.
        Raises:
            UserError: the model writes no summaries, an empty document, one that is too long, or a wrong option.
        """
        texts = texts_of(document, "document")
        quiet = len(texts) == 1 if progress is None else not progress
        found = summarize_texts(self.model, self.task, texts, beam=beam, truncate=truncate, quiet=quiet, **options)
        return found[0] if isinstance(document, str) else found
