"""An answer in its document: its sentence, and its page or line."""

from __future__ import annotations

import re
from typing import Any

from fairseq_littlebird.formats.documents.document import Document
from fairseq_littlebird.formats.sentences import sentence_spans

NEAR = 400
"""Characters around an answer that are searched for its sentence."""
LINE_END = re.compile(r"(?<=[^\n.!?])\n(?=(\w))")


def sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """The characters of the sentences that an answer is in, cut where they are very long.

    A line that goes on in lower case is a wrapped one: its end does not end a sentence.
    """
    first, last = max(0, start - NEAR), min(len(text), end + NEAR)
    spans = [(first + a, first + b) for a, b in sentence_spans(LINE_END.sub(_joined, text[first:last]))]
    touched = [(a, b) for a, b in spans if a < end and start < b]
    return min((a for a, _ in touched), default=start), max((b for _, b in touched), default=end)


def _joined(line_end: re.Match[str]) -> str:
    return " " if line_end[1].islower() else "\n"


def answer_record(document: Document, start: int, end: int, probability: float) -> dict[str, Any]:
    """An answer for programs.

    Args:
        document: that it is in.
        start: its first character there.
        end: the character after its last.
        probability: of the answer.
    """
    first, last = sentence(document.text, start, end)
    return {
        "text": document.text[start:end],
        "probability": probability,
        "document": document.name,
        document.unit: document.place(start),
        "start": start,
        "end": end,
        "sentence": document.text[first:last],
    }
