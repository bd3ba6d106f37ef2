"""Answers that touch the edge of the window they were read in, where they may be cut off."""

from __future__ import annotations

from typing import NamedTuple

from fairseq_littlebird.inference.merging import Candidate, Prediction


class Edges(NamedTuple):
    """Which ends of an answer lie at an edge of a window behind which the document goes on."""

    start: bool = False
    end: bool = False


def edges(prediction: Prediction, candidate: Candidate, window: int | None = None) -> Edges:
    """Those of a candidate in its own window, or in another one that holds it; white space at an edge counts as none.

    Args:
        prediction: the question's.
        candidate: one of its candidates.
        window: the index of the window; None for the candidate's own.
    """
    if not prediction.windows:
        return Edges()
    first, stop = prediction.windows[candidate.window if window is None else window]
    document = prediction.document
    return Edges(
        start=first > min(start for start, _ in prediction.windows) and not document[first : candidate.start].strip(),
        end=stop < max(end for _, end in prediction.windows) and not document[candidate.end : stop].strip(),
    )


def edge_note(prediction: Prediction, best: str) -> str:
    """A sentence on the best candidate's edges, and on the windows that read on there; nothing where it touches none.

    Args:
        prediction: with a candidate.
        best: what to call it.
    """
    candidate = prediction.candidates[0]
    touched = edges(prediction, candidate)
    if not any(touched):
        return ""
    does = " and ".join(verb for verb, there in zip(("begins", "ends"), touched, strict=True) if there)
    others = sum(
        first <= candidate.start and candidate.end <= stop and not any(edges(prediction, candidate, w))
        for w, (first, stop) in enumerate(prediction.windows)
    )
    beyond = (
        f"Windows that hold it with the text around it: {others:,}; they gave it no higher probability."
        if others
        else "No window holds it with the text around it: littlebird-prepare qa with a larger --max-tokens or a "
        "smaller --stride makes some that do."
    )
    return (
        f"The {best} {does} at the edge of window {candidate.window}, the part of the document it was read in, and "
        f"may be cut off. {beyond}"
    )
