"""What littlebird-answer prints: an answer in its sentence, with its document and page."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairseq_littlebird.formats.documents.document import Document
from fairseq_littlebird.formats.sentences import sentence_spans

if TYPE_CHECKING:
    from fairseq_littlebird.inference.several_documents import DocumentAnswer

NEAR = 400
"""Characters around an answer that are searched for its sentence."""
WRAPPED = re.compile(r"(?<=[^\n.!?])\n(?=[^\W\d_A-Z])")
BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


def sentence(text: str, start: int, end: int) -> tuple[int, int]:
    """The characters of the sentences that an answer is in, cut where they are very long.

    A line that goes on in lower case is a wrapped one: its end does not end a sentence.
    """
    first, last = max(0, start - NEAR), min(len(text), end + NEAR)
    spans = [(first + a, first + b) for a, b in sentence_spans(WRAPPED.sub(" ", text[first:last]))]
    touched = [(a, b) for a, b in spans if a < end and start < b]
    return min((a for a, _ in touched), default=start), max((b for _, b in touched), default=end)


def answer_lines(
    question: str, answers: Sequence[DocumentAnswer], documents: Sequence[Document], bold: bool
) -> list[str]:
    """A question's answers for people to read.

    Args:
        question: shown first.
        answers: best first.
        documents: that they are of.
        bold: mark the answer in its sentence, as terminals show it.
    """
    lines = [question]
    for number, (index, candidate, probability) in enumerate(answers, 1):
        document = documents[index]
        start, end = sentence(document.text, candidate.start, candidate.end)
        before, answer, after = (
            _line(document.text[a:b])
            for a, b in ((start, candidate.start), (candidate.start, candidate.end), (candidate.end, end))
        )
        if bold:
            answer = f"{BOLD}{answer}{PLAIN}"
        place = f"{document.unit} {document.place(candidate.start):,}"
        lines.append(f"  {number}. {_line(candidate.text).strip()}  ({probability:.3f}; {document.name}, {place})")
        lines.append(f"     {(before + answer + after).strip()}")
    return lines if answers else [question, "  no answer"]


def answer_record(
    question: str, answers: Sequence[DocumentAnswer], documents: Sequence[Document], null_odds: float
) -> dict[str, Any]:
    """A question's answers for programs."""
    records = []
    for index, candidate, probability in answers:
        document = documents[index]
        start, end = sentence(document.text, candidate.start, candidate.end)
        records.append(
            {
                "text": candidate.text,
                "probability": probability,
                "document": document.name,
                document.unit: document.place(candidate.start),
                "start": candidate.start,
                "end": candidate.end,
                "sentence": document.text[start:end],
            }
        )
    return {"question": question, "answers": records, "null_odds": null_odds}


def json_line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False)


def _line(text: str) -> str:
    """On one line, without characters that a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)
