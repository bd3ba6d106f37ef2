"""Prediction files as people know them and the official scorers read them, written whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from fairseq_littlebird.datasets.natural_questions import predicted_span, predicted_tokens
from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.inference.final_answer import REPLIES, Reply, best_passage, span
from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.inference.pages.index_page import Pages
from fairseq_littlebird.output import whole_folder

FILES = ("predictions.json", "nbest_predictions.json", "null_odds.json")
PAGES = "html"
EVIDENCE = 0.5
"""A sentence more probable than this is evidence."""


class Section(NamedTuple):
    """A part of a file of JSON, written entry by entry.

    Args:
        before: what stands before its entries.
        entry: an entry as JSON, from a prediction and what it answers.
        after: what stands behind its entries.
    """

    before: str
    entry: Callable[[Prediction, Reply], str]
    after: str


def write_predictions(
    folder: str | Path,
    predictions: Iterable[Prediction],
    null_threshold: float | None = None,
    overwrite: bool = False,
    dataset: str = "squad",
    pages: bool = False,
) -> int:
    """Writes three files of JSON into ``folder``, one prediction after the other, and returns how many.

    ``predictions.json`` is the data set's own: id → text, exactly the document's characters; for HotpotQA the answers
    and the supporting facts; for WikiHop id → candidate; for Natural Questions a list with long and short answers in
    tokens and their scores. ``nbest_predictions.json`` id → candidates, each with text, start, end (characters, end
    exclusive), probability and window; ``null_odds.json`` id → log odds of "no answer" against the best candidate.

    Args:
        folder: made if need be.
        predictions: one a question.
        null_threshold: answer "" where the null odds are above it; None always answers.
        overwrite: replace a folder that is not empty.
        dataset: whose ``predictions.json`` to write.
        pages: write a page a question into the folder's ``html``, too.
    Raises:
        UserError: the folder is not empty.
    """
    layouts, answer = (FORMATS.get(dataset, TEXTS), N_BEST, ODDS), REPLIES.get(dataset, span)
    count = 0
    with whole_folder(folder, (*FILES, PAGES), overwrite) as temporary, ExitStack() as stack:
        shown = stack.enter_context(Pages(temporary / PAGES)) if pages else None
        files = [stack.enter_context((temporary / name).open("w", encoding="utf-8", newline="\n")) for name in FILES]
        # the sections of a file grow side by side
        parts = [[(s, stack.enter_context(TemporaryFile("w+", encoding="utf-8"))) for s in own] for own in layouts]
        for prediction in predictions:
            reply = answer(prediction, null_threshold)
            for section, stream in (part for own in parts for part in own):
                stream.write(("," if count else "") + "\n " + section.entry(prediction, reply))
            if shown is not None:
                shown.add(prediction, reply)
            count += 1
        for file, own in zip(files, parts, strict=True):
            for section, stream in own:
                stream.seek(0)
                file.write(section.before)
                shutil.copyfileobj(stream, file)
                file.write(section.after)
            file.write("\n")
    return count


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
        whole_folder(folder, (*FILES, PAGES), overwrite) as temporary,
        (temporary / FILES[0]).open("w", encoding="utf-8", newline="\n") as stream,
    ):
        for one in classifications:
            key, record = (json.dumps(part, ensure_ascii=False) for part in (one.id, one.record(threshold)))
            stream.write(f"{',' if count else '{'}\n {key}: {record}")
            count += 1
        stream.write("\n}\n" if count else "{}\n")
    return count


def _member(key: str, value: Any) -> str:
    return f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"


def _text(p: Prediction, reply: Reply) -> str:
    return _member(p.id, reply.text)


def _candidates(p: Prediction, reply: Reply) -> str:
    return _member(p.id, [asdict(candidate) for candidate in p.candidates])


def _odds(p: Prediction, reply: Reply) -> str:
    return _member(p.id, p.null_odds)


def _facts(p: Prediction, reply: Reply) -> str:
    return _member(
        p.id, [json.loads(name) for name, s in zip(p.segment_names, p.segments, strict=True) if s > EVIDENCE]
    )


def _long_and_short(p: Prediction, reply: Reply) -> str:
    long, best = best_passage(p)
    spoken = bool(reply.text) and not reply.span
    spans = [predicted_span(p.document, c.start, c.end) for c in p.candidates[:1] if not spoken]
    record: dict[str, Any] = {
        "example_id": int(p.id) if p.id.lstrip("-").isdecimal() else p.id,
        "long_answer": predicted_tokens(*json.loads(best)) if best else predicted_tokens(-1, -1),
        "long_answer_score": long,
        "short_answers": spans,
        "short_answers_score": reply.probability,
        "yes_no_answer": reply.text.upper() if spoken else "NONE",
    }
    return json.dumps(record, ensure_ascii=False)


TEXTS = (Section("{", _text, "\n}"),)
N_BEST = (Section("{", _candidates, "\n}"),)
ODDS = (Section("{", _odds, "\n}"),)
FORMATS: dict[str, tuple[Section, ...]] = {
    "hotpotqa": (Section('{"answer": {', _text, "\n},\n"), Section('"sp": {', _facts, "\n}}")),
    "natural_questions": (Section('{"predictions": [', _long_and_short, "\n]}"),),
}
