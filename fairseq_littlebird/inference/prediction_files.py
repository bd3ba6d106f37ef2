"""Prediction files as people know them and the official scorers read them, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.output import whole_folder

FILES = ("predictions.json", "nbest_predictions.json", "null_odds.json")
EVIDENCE = 0.5
"""A sentence more probable than this is evidence."""


def write_predictions(
    folder: str | Path,
    predictions: Iterable[Prediction],
    null_threshold: float | None = None,
    overwrite: bool = False,
    dataset: str = "squad",
) -> None:
    """Writes three files of JSON into ``folder``.

    ``predictions.json`` is the data set's own: id → text, exactly the document's characters; for HotpotQA the answers
    and the supporting facts; for WikiHop id → candidate. ``nbest_predictions.json`` id → candidates,
    each with text, start, end (characters, end exclusive), probability (in its window) and window;
    ``null_odds.json`` id → log odds of "no answer" against the best candidate.

    Args:
        folder: made if need be.
        predictions: one a question.
        null_threshold: answer "" where the null odds are above it; None always answers.
        overwrite: replace a folder that is not empty.
        dataset: whose ``predictions.json`` to write.
    Raises:
        UserError: the folder is not empty.
    """
    predictions = list(predictions)
    contents: tuple[dict[str, Any], ...] = (
        FORMATS.get(dataset, _texts)(predictions, null_threshold),
        {p.id: [asdict(c) for c in p.candidates] for p in predictions},
        {p.id: p.null_odds for p in predictions},
    )
    with whole_folder(folder, FILES, overwrite) as temporary:
        for name, content in zip(FILES, contents, strict=True):
            text = json.dumps(content, ensure_ascii=False, indent=1)
            (temporary / name).write_text(text + "\n", encoding="utf-8")


def write_classifications(
    folder: str | Path, classifications: Iterable[Classification], threshold: float = 0.5, overwrite: bool = False
) -> int:
    """Writes ``predictions.json`` into ``folder``, one by one, and returns how many.

    It has id → ``{"label": …, "probabilities": {label: probability}}``, with ``"labels"`` and a list where a text has
    several; ``littlebird-evaluate --dataset classification`` reads it.

    Args:
        folder: made if need be.
        classifications: one a text, with distinct ids.
        threshold: the lowest probability that gives a text a label, where it may have several.
        overwrite: replace a folder that is not empty.
    Raises:
        UserError: the folder is not empty.
    """
    count = 0
    with (
        whole_folder(folder, FILES, overwrite) as temporary,
        (temporary / FILES[0]).open("w", encoding="utf-8", newline="\n") as stream,
    ):
        for one in classifications:
            key, record = (json.dumps(part, ensure_ascii=False) for part in (one.id, one.record(threshold)))
            stream.write(f"{',' if count else '{'}\n {key}: {record}")
            count += 1
        stream.write("\n}\n" if count else "{}\n")
    return count


def _texts(predictions: list[Prediction], null_threshold: float | None) -> dict[str, Any]:
    return {p.id: p.text(null_threshold) for p in predictions}


def _hotpotqa(predictions: list[Prediction], null_threshold: float | None) -> dict[str, Any]:
    facts = {
        p.id: [json.loads(name) for name, s in zip(p.segment_names, p.segments, strict=True) if s > EVIDENCE]
        for p in predictions
    }
    spoken = {p.id: p.answer_type if p.answer_type in ("yes", "no") else p.text(null_threshold) for p in predictions}
    return {"answer": spoken, "sp": facts}


def _wikihop(predictions: list[Prediction], null_threshold: float | None) -> dict[str, Any]:
    return {p.id: p.segment_names[p.segments.index(max(p.segments))] if p.segments else "" for p in predictions}


FORMATS: dict[str, Callable[[list[Prediction], float | None], dict[str, Any]]] = {
    "hotpotqa": _hotpotqa,
    "wikihop": _wikihop,
}
