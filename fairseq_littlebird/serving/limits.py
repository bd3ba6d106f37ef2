"""What the server takes on at most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits, each with the status of a request beyond it.

    Args:
        megabytes: MiB of a request's body (413).
        characters: of the documents of a question together (413).
        waiting: questions that wait while others are answered, and files that wait to be read (429).
        seconds: from a request's arrival to its answer (503), and from its first byte to its last (408).
        batch: questions that are answered together; those beyond it wait.
    """

    megabytes: int = 32
    characters: int = 500_000
    waiting: int = 64
    seconds: float = 120.0
    batch: int = 16
