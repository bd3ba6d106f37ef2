"""What a summarizer says of a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SourceSentence:
    """A sentence of the document.

    Args:
        start, stop: its characters [start, stop) in the document.
        weight: its share of what cross-attention read, from 0 to 1; those of a document sum to 1.
    """

    start: int
    stop: int
    weight: float


@dataclass(frozen=True)
class Summary:
    """A summary.

    Args:
        id: the document's.
        text: the summary.
        score: its log-probability, divided as the length penalty has it.
        tokens: how many were generated, ``</s>`` included.
        sentences: of the document, the one that was read most first; empty where that was not asked for.
        document: its text as the tokenizer read it; empty where ``sentences`` is.
    """

    id: str
    text: str
    score: float
    tokens: int
    sentences: tuple[SourceSentence, ...] = ()
    document: str = ""

    def record(self) -> dict[str, Any]:
        """A line of predictions.jsonl."""
        return {"id": self.id, "summary": self.text, "score": self.score}
