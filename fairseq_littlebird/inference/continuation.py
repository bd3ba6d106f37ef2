"""What a language model goes on with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Continuation:
    """What follows a beginning.

    Args:
        prompt: the beginning, as it was given.
        text: what follows it, without it.
        score: sum of the log-probabilities of its tokens; those of sampling are after temperature.
        tokens: how many were generated, ``</s>`` not counted.
        ended: whether the model ended the text itself, by ``</s>``.
    """

    prompt: str
    text: str
    score: float
    tokens: int
    ended: bool
