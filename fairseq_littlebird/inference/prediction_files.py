"""Prediction files as people know them and the official scorers read them, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.inference.final_answer import AnswerRule, best_span
from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.inference.ordered_entries import OrderedEntries
from fairseq_littlebird.inference.pages.index_page import Pages
from fairseq_littlebird.inference.pages.summary_page import SummaryPages
from fairseq_littlebird.inference.pages.text_index import TextPages
from fairseq_littlebird.inference.prediction_format import N_BEST, NULL_ODDS, TEXTS, PredictionFormat
from fairseq_littlebird.inference.summarizing import Summary
from fairseq_littlebird.output import whole_folder
from fairseq_littlebird.text.row_array import RowArray

FILES = ("predictions.json", "nbest_predictions.json", "null_odds.json")
PAGES = "html"
SUMMARIES = "predictions.jsonl"
ARRAY = "probabilities.npy"
NAMES = (*FILES, SUMMARIES, ARRAY, PAGES)


def write_predictions(
    folder: str | Path,
    predictions: Iterable[Prediction],
    null_threshold: float | None = None,
    overwrite: bool = False,
    final_answer: AnswerRule = best_span,
    prediction_format: PredictionFormat = TEXTS,
    pages: bool = False,
) -> int:
    """Writes three files of JSON into ``folder``, in the order of the questions' file, and returns how many.

    ``predictions.json`` has the data set's own format, by default id → text, exactly the document's characters.
    ``nbest_predictions.json`` is id → candidates, each with text, start, end (characters, end exclusive), probability
    and window; ``null_odds.json`` id → log odds of "no answer" against the best candidate.

    Args:
        folder: made if need be.
        predictions: one a question.
        null_threshold: answer "" where the null odds are above it; None always answers.
        overwrite: replace a folder that is not empty.
        final_answer: gives each prediction's answer.
        prediction_format: of ``predictions.json``.
        pages: write a page a question into the folder's ``html``, too.
    Raises:
        UserError: the folder is not empty.
    """
    formats, count = (prediction_format, N_BEST, NULL_ODDS), 0
    with whole_folder(folder, NAMES, overwrite) as temporary, ExitStack() as stack:
        shown = stack.enter_context(Pages(temporary / PAGES)) if pages else None
        files = [stack.enter_context((temporary / name).open("w", encoding="utf-8", newline="\n")) for name in FILES]
        # the sections of a file grow side by side
        parts = [[(section, stack.enter_context(OrderedEntries())) for section in own] for own in formats]
        for prediction in predictions:
            answer = final_answer(prediction, null_threshold)
            for section, entries in (part for own in parts for part in own):
                entries.add(prediction.index, section.entry(prediction, answer))
            if shown is not None:
                shown.add(prediction, answer)
            count += 1
        for file, own in zip(files, parts, strict=True):
            for section, entries in own:
                file.write(section.before)
                for number, entry in enumerate(entries):
                    file.write(("," if number else "") + "\n " + entry)
                file.write(section.after)
            file.write("\n")
    return count


def write_classifications(
    folder: str | Path,
    classifications: Iterable[Classification],
    threshold: float = 0.5,
    overwrite: bool = False,
    pages: bool = False,
) -> int:
    """Writes ``predictions.json`` into ``folder``, one by one, and returns how many.

    It has id → ``{"label": …, "probabilities": {label: probability}}``, with ``"labels"`` and a list where a text has
    several, or ``{"score": …}``; ``littlebird-evaluate --dataset classification`` reads it.

    Args:
        folder: made if need be.
        classifications: one a text, with distinct ids.
        threshold: the lowest probability that gives a text a label, where it may have several.
        overwrite: replace a folder that is not empty.
        pages: write a page a text into the folder's ``html``, too; each has its attribution then.
    Raises:
        UserError: the folder is not empty.
    """
    count = 0
    with whole_folder(folder, NAMES, overwrite) as temporary, ExitStack() as stack:
        stream = stack.enter_context((temporary / FILES[0]).open("w", encoding="utf-8", newline="\n"))
        shown = stack.enter_context(TextPages(temporary / PAGES, threshold)) if pages else None
        for one in classifications:
            if shown is not None:
                shown.add(one)
            key, record = (json.dumps(part, ensure_ascii=False) for part in (one.id, one.record(threshold)))
            stream.write(f"{',' if count else '{'}\n {key}: {record}")
            count += 1
        stream.write("\n}\n" if count else "{}\n")
    return count


def write_probabilities(
    folder: str | Path, batches: Iterable[tuple[np.ndarray, np.ndarray]], width: int, overwrite: bool = False
) -> int:
    """Writes ``probabilities.npy`` into ``folder``, float32, a row a text and a column a label, and returns how many.

    Args:
        folder: made if need be.
        batches: numbers of texts int[B] and the probabilities of their labels [B, width]; each text once, in any order.
        width: how many labels there are.
        overwrite: replace a folder that is not empty.
    Raises:
        UserError: the folder is not empty.
    """
    count = 0
    with whole_folder(folder, NAMES, overwrite) as temporary, RowArray(temporary / ARRAY, width, np.float32) as rows:
        for indices, probabilities in batches:
            rows.put_all(indices, probabilities)
            count += len(indices)
    return count


def write_summaries(
    folder: str | Path, summaries: Iterable[Summary], overwrite: bool = False, pages: bool = False
) -> int:
    """Writes ``predictions.jsonl`` into ``folder``, ``{"id", "summary", "score"}`` a line, and returns how many.

    Args:
        folder: made if need be.
        summaries: one a document, with distinct ids.
        overwrite: replace a folder that is not empty.
        pages: write a page a document into the folder's ``html``, too.
    Raises:
        UserError: the folder is not empty.
    """
    count = 0
    with whole_folder(folder, NAMES, overwrite) as temporary, ExitStack() as stack:
        shown = stack.enter_context(SummaryPages(temporary / PAGES)) if pages else None
        file = stack.enter_context((temporary / SUMMARIES).open("w", encoding="utf-8", newline="\n"))
        for summary in summaries:
            file.write(json.dumps(summary.record(), ensure_ascii=False) + "\n")
            if shown is not None:
                shown.add(summary)
            count += 1
    return count
