"""What littlebird-answer prints: an answer in its sentence, with its document and page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairseq_littlebird.formats.documents.answer_place import answer_record, sentence
from fairseq_littlebird.formats.documents.document import Document

if TYPE_CHECKING:
    from fairseq_littlebird.inference.several_documents import DocumentAnswer

BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


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


def answers_record(
    question: str, answers: Sequence[DocumentAnswer], documents: Sequence[Document], null_odds: float
) -> dict[str, Any]:
    """A question's answers for programs."""
    records = [answer_record(documents[i], found.start, found.end, probability) for i, found, probability in answers]
    return {"question": question, "answers": records, "null_odds": null_odds}


def json_line(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False)


def _line(text: str) -> str:
    """On one line, without characters that a terminal would obey."""
    return "".join(character if character.isprintable() else " " for character in text)
