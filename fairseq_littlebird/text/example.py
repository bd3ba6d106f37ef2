"""The one record of a question about a document."""

from __future__ import annotations

from dataclasses import dataclass

NULL_TYPE = "null"
"""The type of an answer that is not there."""


@dataclass(frozen=True)
class Answer:
    """A gold answer.

    Args:
        text: the answer as the data set gives it.
        start: character offset of ``text`` in the document; negative where it has no place there.
        within: [start, stop) characters that it stands within, where its offset is wrong; None for the whole document.
        unplaced: the data set gives no offset: the text is looked for from ``start`` on, which is not a repair.
    """

    text: str
    start: int
    within: tuple[int, int] | None = None
    unplaced: bool = False


@dataclass(frozen=True)
class Piece:
    """What the model reads of ``document[start:stop]``.

    Args:
        start: first character.
        stop: the character after the last.
        text: what stands for these characters; None for themselves.
        symbol: a token of the dictionary that stands for them instead of a text: an HTML tag, or ``</s>`` between
            paragraphs.
    """

    start: int
    stop: int
    text: str | None = None
    symbol: str = ""


@dataclass(frozen=True)
class Segment:
    """A part of the document that is predicted as a whole: a sentence, a paragraph, a candidate.

    Args:
        start: first character.
        stop: the character after the last.
        gold: whether it is evidence, or the right candidate.
        name: what prediction files call it, as JSON.
    """

    start: int
    stop: int
    gold: bool = False
    name: str = ""


@dataclass(frozen=True)
class QAExample:
    """A question about a document; no answers means that the document does not answer it.

    Args:
        id: unique within a split.
        question: the question.
        document: the whole document, exactly as given; questions of one document share one string.
        answers: the gold answers.
        title: the document's title, if it has one.
        pieces: what the model reads of the document, in order, without overlap; None: all of it.
        segments: parts to predict, in order.
        fixed_pieces: so many of the pieces, from the first, are never cut off; 0 where all may be.
        answer_type: one of the data set's answer types, such as ``yes``; empty where it has none.
        labelled: whether the data set says what the answer is, or that there is none; otherwise ``answers`` is empty.
    """

    id: str
    question: str
    document: str
    answers: tuple[Answer, ...] = ()
    title: str = ""
    pieces: tuple[Piece, ...] | None = None
    segments: tuple[Segment, ...] = ()
    fixed_pieces: int = 0
    answer_type: str = ""
    labelled: bool = True
