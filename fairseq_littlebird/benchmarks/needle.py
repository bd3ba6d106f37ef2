"""A paragraph that answers a question, among so many tokens of other articles, at some depth: is the answer found?

Every question is asked of the same paragraphs in the same order at all lengths and depths, and by all models.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.questions import REMEDY, parse_passages
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import open_records
from fairseq_littlebird.metrics.squad import exact_match, f1, normalize
from fairseq_littlebird.pipelines.littlebird import LittleBird
from fairseq_littlebird.pipelines.summarization import positions_of
from fairseq_littlebird.text.paragraphs import PARAGRAPH_BREAK
from fairseq_littlebird.text.tokenizers import Tokenizer, without_surrogates
from fairseq_littlebird.text.window import NOT_CONTEXT


class Needle(NamedTuple):
    """A question, the paragraph that answers it, and where it comes from."""

    question: str
    answers: tuple[str, ...]
    paragraph: str
    article: object


class Haystack(NamedTuple):
    """A paragraph, the tokens it has, and where it comes from."""

    paragraph: str
    tokens: int
    article: object


@dataclass(frozen=True)
class Row:
    """A length and a depth, as one model reads it: means over the questions."""

    model: str
    length: int  # tokens of the documents
    depth: float  # share of the other tokens that stand before the paragraph
    questions: int
    exact_match: float  # percent
    f1: float  # percent
    seconds: float  # a question


class Reading(NamedTuple):
    """A model, and how it reads: in windows of so many tokens, or with None each document in one window."""

    name: str
    model: LittleBird
    window: int | None = None
    stride: int | None = None

    def of(self, tokens: int) -> LittleBird:
        """The model set to documents of so many tokens, question and special tokens among them."""
        window = min(tokens, self.window or tokens)
        stride = None if window == tokens else self.stride
        return LittleBird(self.model.model, self.model.task, self.model.tokenizer, window, stride)

    def reaches(self, tokens: int) -> bool:
        """Whether its positions suffice for such documents."""
        return min(tokens, self.window or tokens) <= positions_of(self.model.model)


def read_questions(path: str | Path) -> tuple[list[Needle], list[tuple[str, object]]]:
    """As :func:`read_paragraphs`.

    Raises:
        UserError: not a file of questions, or none of them has an answer.
    """
    needles, paragraphs = read_paragraphs(path)
    if not needles:
        raise UserError("no question with an answer", str(path), "give questions in SQuAD's format")
    return needles, paragraphs


def read_paragraphs(path: str | Path) -> tuple[list[Needle], list[tuple[str, object]]]:
    """The questions that are not empty and have an answer, and all paragraphs of the file, each with its article.

    Raises:
        UserError: not a file of questions.
    """
    needles: list[Needle] = []
    paragraphs: list[tuple[str, object]] = []
    with open_records(Path(path), REMEDY) as records:
        for number, passage in enumerate(parse_passages(records, ReadingLog())):
            text = without_surrogates(passage.context)
            article = passage.title or number
            paragraphs.append((text, article))
            for question in passage.questions:
                answers = () if question.impossible else question.answers or ()
                texts = tuple(without_surrogates(answer.text) for answer in answers if answer.text)
                if texts and question.question.strip():
                    needles.append(Needle(without_surrogates(question.question), texts, text, article))
    return needles, paragraphs


def counted(paragraphs: Sequence[tuple[str, object]], tokenizer: Tokenizer) -> list[Haystack]:
    """The paragraphs, once each, with the number of their tokens."""
    return [Haystack(text, len(tokenizer.tokenize(text)), article) for text, article in dict(paragraphs).items()]


def fitting(needles: Sequence[Needle], haystack: Sequence[Haystack], length: int) -> list[Needle]:
    """The questions whose paragraph has at most so many tokens.

    Args:
        haystack: their paragraphs, among others.
    Raises:
        UserError: none has.
    """
    tokens = {one.paragraph: one.tokens for one in haystack}
    kept = [needle for needle in needles if tokens[needle.paragraph] <= length]
    if not kept:
        shortest = min(tokens[needle.paragraph] for needle in needles)
        what = f"the paragraph of every question is longer than {length:,} tokens, the shortest one has {shortest:,}"
        raise UserError(what, "--lengths", "give longer ones")
    return kept


def document(needle: Needle, haystack: Sequence[Haystack], tokenizer: Tokenizer, length: int, depth: float) -> str:
    """A document of about so many tokens; the last of the other paragraphs is cut to fit.

    Args:
        needle: its paragraph is whole.
        haystack: other paragraphs, of which the first ones are taken.
        tokenizer: counts tokens.
        length: tokens of the document.
        depth: 0 puts the needle first, 1 last.
    Raises:
        UserError: the needle is longer, or the other paragraphs are too few.
    """
    left = length - len(tokenizer.tokenize(needle.paragraph))
    if left < 0:
        what = f"a paragraph of {length - left:,} tokens is longer than the document"
        raise UserError(what, "--lengths", "give longer ones")
    others: list[tuple[str, int]] = []
    for paragraph in haystack:
        if left <= 0:
            break
        text, tokens = paragraph.paragraph, paragraph.tokens
        if tokens > left:
            text, tokens = cut(text, tokenizer, left), left
        others.append((text, tokens))
        left -= tokens
    if left > 0:
        raise UserError(
            f"{length:,} tokens asked for, but the file's other paragraphs have {length - left:,} with this one",
            "--lengths",
            "give more text with --haystack, or leave longer ones out",
        )
    before, index = depth * sum(tokens for _, tokens in others), 0
    while index < len(others) and before > 0 and others[index][1] / 2 <= before:
        before -= others[index][1]
        index += 1
    texts = [text for text, _ in others]
    return PARAGRAPH_BREAK.join(text for text in [*texts[:index], needle.paragraph, *texts[index:]] if text)


def cut(text: str, tokenizer: Tokenizer, tokens: int) -> str:
    """As many of the text's first words as have at most so many tokens."""
    _, offsets = tokenizer.encode(text)
    if tokens >= len(offsets):
        return text
    kept = text[: offsets[tokens][0]]
    return kept if not kept or kept[-1].isspace() else kept.rpartition(" ")[0]


def others(needle: Needle, haystack: Sequence[Haystack], seed: int) -> list[Haystack]:
    """The paragraphs of other articles in which none of the answers stands, in an order of the question's own."""
    answers = [normalize(answer) for answer in needle.answers]
    chosen = [
        paragraph
        for paragraph in haystack
        if paragraph.article != needle.article
        and paragraph.paragraph != needle.paragraph
        and not any(f" {answer} " in f" {normalize(paragraph.paragraph)} " for answer in answers if answer)
    ]
    random.Random(seed).shuffle(chosen)
    return chosen


def drawn(needles: Sequence[Needle], count: int, seed: int) -> list[Needle]:
    """So many questions, no two of one paragraph as long as there are others."""
    shuffled = list(needles)
    random.Random(seed).shuffle(shuffled)
    first: dict[str, Needle] = {}
    for needle in shuffled:
        first.setdefault(needle.paragraph, needle)
    again = [needle for needle in shuffled if first[needle.paragraph] is not needle]
    return [*first.values(), *again][:count]


def measure(
    readings: Sequence[Reading],
    needles: Sequence[Needle],
    haystack: Sequence[Haystack],
    lengths: Sequence[int],
    depths: Sequence[float],
    seed: int,
    done: Callable[[], object] = lambda: None,
) -> Iterator[Row]:
    """A row for each length, depth and reading, the models of a depth in turn; those out of reach are left out.

    Args:
        readings: the models; the first one's tokenizer counts the tokens.
        needles: the questions.
        haystack: what they are hidden in.
        lengths: tokens of the documents.
        depths: shares from 0 to 1.
        seed: of the order of the paragraphs.
        done: called after each question of each model.
    Raises:
        UserError: see :func:`document`.
    """
    tokenizer = readings[0].model.tokenizer
    around = [others(needle, haystack, seed + number) for number, needle in enumerate(needles)]
    for length in lengths:
        for depth in depths:
            found: dict[str, list[tuple[float, float, float]]] = {}
            for needle, paragraphs in zip(needles, around, strict=True):
                text = document(needle, paragraphs, tokenizer, length, depth)
                for reading in readings:
                    own = reading.model.tokenizer
                    window = len(own.tokenize(text)) + len(own.tokenize(needle.question)) + NOT_CONTEXT
                    if reading.reaches(window):
                        found.setdefault(reading.name, []).append(asked(reading.of(window), needle, text))
                    done()
            for name, scores in found.items():
                em, f, seconds = (sum(column) / len(scores) for column in zip(*scores, strict=True))
                yield Row(name, length, depth, len(scores), 100 * em, 100 * f, seconds)


def asked(model: LittleBird, needle: Needle, text: str) -> tuple[float, float, float]:
    """Exact match and F1 of the best answer, and the seconds it took."""
    begun = time.perf_counter()
    answers = model.answer(needle.question, text, top_k=1, progress=False)
    seconds = time.perf_counter() - begun
    given = answers[0].text if answers else ""
    return (
        max(exact_match(given, answer) for answer in needle.answers),
        max(f1(given, answer) for answer in needle.answers),
        seconds,
    )


HEADER = f"{'model':30} {'length':>7} {'depth':>5} {'questions':>9} {'EM':>6} {'F1':>6} {'s a question':>12}"


def line(row: Row) -> str:
    """A row for people to read, under ``HEADER``."""
    return (
        f"{row.model:30} {row.length:7,} {row.depth:5.2f} {row.questions:9} {row.exact_match:6.1f} {row.f1:6.1f} "
        f"{row.seconds:12.3f}"
    )
