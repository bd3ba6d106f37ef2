"""A trained model in a program: load it, ask it, let it classify, take its hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, overload

from fairseq.models import FairseqLanguageModel

from fairseq_littlebird.data.encoded_document import DocumentEncoder
from fairseq_littlebird.data.in_memory_questions import InMemoryQuestions
from fairseq_littlebird.data.model_folder import (
    QUESTIONS,
    TrainedSettings,
    default_settings,
    model_folder,
    model_tokenizer,
    trained_settings,
)
from fairseq_littlebird.data.question_answering_dataset import QuestionAnsweringDataset
from fairseq_littlebird.datasets import PLAIN, find_dataset
from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.inference.evidence import Explanation
from fairseq_littlebird.inference.merging import Candidate, Prediction, without_overlaps
from fairseq_littlebird.models.encoder_model import EncoderModel
from fairseq_littlebird.pipelines.classifier import Classifier
from fairseq_littlebird.pipelines.encoding import Encoding, encodings
from fairseq_littlebird.pipelines.loading import load_model
from fairseq_littlebird.pipelines.question_answering import predictions
from fairseq_littlebird.pipelines.summarization import positions_of
from fairseq_littlebird.pipelines.summarizer import Summarizer, texts_of
from fairseq_littlebird.pipelines.text_generation import Generator
from fairseq_littlebird.tasks.question_answering import QuestionAnsweringTask
from fairseq_littlebird.tasks.summarization import SummarizationTask
from fairseq_littlebird.text.answer_spec import EVIDENCE
from fairseq_littlebird.text.example import QAExample
from fairseq_littlebird.text.tokenizers import Tokenizer, without_surrogates
from fairseq_littlebird.text.window import NOT_CONTEXT, SYMBOLS, WindowFormat

LONGEST = 8192
BATCH_TOKENS = 32768


def check_positive(value: Any, name: str) -> None:
    """Raises UserError where it is not a whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise UserError(f"expected a whole number from 1, got {shown(value)}", name, "leave it out, or give one")


class LittleBird(Summarizer, Classifier, Generator):
    """A model, its dictionary and its tokenizer.

    Args:
        model: in evaluation mode, on its device.
        task: the task that it was trained for.
        tokenizer: its symbols are the task's vocabulary.
        max_tokens: the most tokens in a window; None for 8,192, or what learned positions reach.
        stride: context tokens from one window's start to the next one's; None for half a window.
    Raises:
        UserError: a window longer than the model reads, or a stride that would skip tokens.
    """

    def __init__(
        self,
        model: EncoderModel,
        task: Any,
        tokenizer: Tokenizer,
        max_tokens: int | None = None,
        stride: int | None = None,
    ) -> None:
        self.model, self.task, self.tokenizer = model, task, tokenizer
        reach = positions_of(model)
        self.max_tokens = min(LONGEST, reach) if max_tokens is None else max_tokens
        longest = self.max_tokens - NOT_CONTEXT - 1  # beside a question of one token
        if longest < 1 or self.max_tokens > reach:
            raise UserError(f"windows of {self.max_tokens} tokens", remedy=f"choose {NOT_CONTEXT + 2} to {reach:,}")
        self.stride = min(self.max_tokens // 2, longest) if stride is None else stride
        if not 1 <= self.stride <= longest:
            raise UserError(
                f"a stride of {self.stride} would skip tokens between windows of {self.max_tokens}",
                remedy=f"choose 1 to {longest}",
            )
        self._encode = DocumentEncoder(
            tokenizer, task.source_dictionary.indices, task.source_dictionary.unk(), (), self.max_tokens
        )

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        tokenizer: str | Path | None = None,
        max_tokens: int | None = None,
        stride: int | None = None,
        device: str | None = None,
        precision: str = "float32",
    ) -> LittleBird:
        """The model of a training, or of ``littlebird-warm-start``.

        Args:
            path: the folder, or a checkpoint. Trainings of this plugin keep dictionary and tokenizer in it.
            tokenizer: file or folder; None takes the checkpoint's, or what lies beside it.
            max_tokens, stride: see the class.
            device: cpu, cuda …; None takes the accelerator if there is one.
            precision: float32, bfloat16, float16 or int8, of the encoder.
        Raises:
            UserError: nothing there, a damaged checkpoint, a classifier of fairseq's own task, a missing tokenizer or
                another model's.
        """
        with model_folder(path, tokenizer, classifiers=True) as (checkpoint, folder, task_name):
            if task_name == QUESTIONS:
                trained = trained_settings(folder, str(path)) or TrainedSettings(PLAIN)
                find_dataset(trained.dataset, str(path))
                settings = folder / "prepared.json"
                settings.unlink(missing_ok=True)  # it may be a link to the user's own, of any version
                settings.write_text(default_settings(trained.dataset, trained.max_answer_length), "utf-8")
            model, task = load_model(checkpoint, folder, device, precision, own_files=True)
            words = isinstance(model, FairseqLanguageModel)
            own = model_tokenizer(folder, tokenizer, str(path), "give tokenizer=FILE or FOLDER", words=words)
            if isinstance(task, SummarizationTask):
                task.tokenizer = own  # the folder is gone when this returns
        return cls(model, task, own, max_tokens, stride)

    @overload
    def answer(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self,
        question: str,
        document: str,
        top_k: int = ...,
        null_threshold: float | None = ...,
        overlaps: bool = ...,
        progress: bool | None = ...,
        max_answer_length: int | None = ...,
    ) -> list[Candidate]: ...
    @overload
    def answer(
        self,
        question: str | Sequence[str],
        document: str | Sequence[str],
        top_k: int = ...,
        null_threshold: float | None = ...,
        overlaps: bool = ...,
        progress: bool | None = ...,
        max_answer_length: int | None = ...,
    ) -> list[list[Candidate]]: ...

    def answer(
        self,
        question: str | Sequence[str],
        document: str | Sequence[str],
        top_k: int = 3,
        null_threshold: float | None = None,
        overlaps: bool = False,
        progress: bool | None = None,
        max_answer_length: int | None = None,
    ) -> list[Candidate] | list[list[Candidate]]:
        """The best answers, most probable first: a list of :class:`Candidate`, or one such list a question.

        [] where the document is empty, or the question too long for a window.

        Args:
            question: one, or several.
            document: one for all questions, or one each; the HTML of a page where the model was trained on KorQuAD 2.
            top_k: answers a question at most.
            null_threshold: no answer where the log odds of there being none are above this; None always answers.
            overlaps: keep answers that overlap a better one.
            progress: show a bar; None shows one for several questions.
            max_answer_length: in tokens; None takes that of the model's training.
        Raises:
            UserError: the model answers no questions, there are neither as many documents as questions, nor one, a
                question is empty, or an argument is of another type.
        """
        check_positive(top_k, "top_k")
        if null_threshold is not None and not isinstance(null_threshold, Real):
            raise UserError(f"expected a number or None, got {shown(null_threshold)}", "null_threshold", "give one")
        n_best = top_k if overlaps else 20 * top_k
        found = self.predict(question, document, n_best, max_answer_length, progress)
        chosen: list[list[Candidate]] = []
        for prediction in found:
            candidates = prediction.candidates
            if null_threshold is not None and prediction.null_odds > null_threshold:
                candidates = ()
            chosen.append(list(candidates if overlaps else without_overlaps(candidates))[:top_k])
        return chosen[0] if isinstance(question, str) and isinstance(document, str) else chosen

    @overload
    def explain(  # type: ignore[overload-overlap]  # a str is a sequence of str
        self, question: str, document: str, progress: bool | None = ...
    ) -> Explanation | None: ...
    @overload
    def explain(
        self, question: str | Sequence[str], document: str | Sequence[str], progress: bool | None = ...
    ) -> list[Explanation | None]: ...

    def explain(
        self, question: str | Sequence[str], document: str | Sequence[str], progress: bool | None = None
    ) -> Explanation | None | list[Explanation | None]:
        """Where the attention of the best answer goes: an :class:`Explanation`, or one a question.

        None where the document is empty, or the question too long for a window.

        Args:
            question, document, progress: see :meth:`answer`.
        Raises:
            UserError: as of :meth:`answer`, or the model has neither LittleBird's nor full attention.
        """
        found = [p.explanation for p in self.predict(question, document, progress=progress, explained=True)]
        return found[0] if isinstance(question, str) and isinstance(document, str) else found

    def predict(
        self,
        question: str | Sequence[str],
        document: str | Sequence[str],
        n_best: int = 20,
        max_answer_length: int | None = None,
        progress: bool | None = None,
        explained: bool = False,
    ) -> list[Prediction]:
        """All that the model says to each question, in their order; ``id`` is the question's index.

        Args:
            question, document, progress: see :meth:`answer`.
            n_best: candidates a question at most.
            max_answer_length: in tokens; None takes that of the model's training.
            explained: with where the attention of each best candidate goes, as :meth:`explain` gives it.
        """
        check_positive(n_best, "n_best")
        if max_answer_length is not None:
            check_positive(max_answer_length, "max_answer_length")
        examples = self._examples(question, document)
        dataset = self.dataset(examples)
        quiet = len(examples) == 1 if progress is None else not progress
        options: dict[str, Any] = {
            "max_answer_length": max_answer_length,
            "n_best": n_best,
            "quiet": quiet,
            "explained": explained,
        }
        by_id = {p.id: p for p in predictions(self.model, self.task, dataset, BATCH_TOKENS, **options)}
        return [by_id[example.id] for example in examples]

    def dataset(self, examples: Sequence[QAExample]) -> QuestionAnsweringDataset:
        """Questions as the model reads them.

        Raises:
            UserError: the model answers no questions, or one of parts of documents.
        """
        task = self._question_answering()
        spec = task.dataset_spec
        if spec.segments not in ("", EVIDENCE):
            raise UserError(
                f"a model of {spec.name} predicts {spec.segments}, which a plain document does not have",
                remedy="use littlebird-prepare and littlebird-predict",
            )
        symbols = {symbol: task.dictionary.index(symbol) for symbol in SYMBOLS}
        form = WindowFormat(symbols, spec.answer_types)
        gap = task.virtual_paddings
        questions = InMemoryQuestions(examples, self._encode, form, self.max_tokens, self.stride, gap)
        return QuestionAnsweringDataset(
            questions,
            pad_id=task.dictionary.pad(),
            training=False,
            segments_and_types=spec.predicts_more_than_spans,
            noisy=spec.noisy,
            structured=task.structured,
        )

    def _question_answering(self) -> QuestionAnsweringTask:
        if not isinstance(self.task, QuestionAnsweringTask):
            raise UserError("this model answers no questions", remedy="fine-tune it with --task question_answering")
        return self.task

    def _examples(self, question: str | Sequence[str], document: str | Sequence[str]) -> list[QAExample]:
        questions, documents = texts_of(question, "question"), texts_of(document, "document")
        if "" in (asked := [text.strip() for text in questions]):
            where = "question" if isinstance(question, str) else f"question {asked.index('')}"
            raise UserError("it is empty", where, "write one")
        if len(questions) != len(documents):
            if 1 not in (len(questions), len(documents)):
                raise UserError(
                    f"{len(questions)} questions, {len(documents)} documents", remedy="give one, or as many"
                )
            count = max(len(questions), len(documents)) if questions and documents else 0
            questions = questions * count if len(questions) == 1 else questions
            documents = documents * count if len(documents) == 1 else documents
        examples = [
            QAExample(str(i), without_surrogates(q), without_surrogates(d))
            for i, (q, d) in enumerate(zip(questions, documents, strict=True))
        ]
        document_pieces = self._question_answering().dataset_spec.document_pieces
        if document_pieces is None:
            return examples
        pieces = {d: document_pieces(d) for d in {example.document for example in examples}}
        return [replace(example, pieces=pieces[example.document]) for example in examples]

    @overload
    def encode(self, text: str) -> Encoding: ...  # type: ignore[overload-overlap]  # a str is a sequence of str
    @overload
    def encode(self, text: Sequence[str]) -> list[Encoding]: ...

    def encode(self, text: str | Sequence[str]) -> Encoding | list[Encoding]:
        """The hidden states of a text between ``<s>`` and ``</s>``: an :class:`Encoding`, or one a text.

        Args:
            text: one, or several, which are encoded together with those of about their length.
        Raises:
            UserError: longer than learned positions reach.
        """
        found = encodings(self.model, self.task.source_dictionary, self.tokenizer, texts_of(text, "text"))
        return found[0] if isinstance(text, str) else found
