"""A folder of pages, and the page that lists them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TextIO

from fairseq_littlebird.inference.final_answer import FinalAnswer
from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.inference.ordered_entries import OrderedEntries
from fairseq_littlebird.inference.pages.edges import edges
from fairseq_littlebird.inference.pages.question_page import page
from fairseq_littlebird.inference.pages.style import PAGE, STYLE, short

LONGEST_NAME = 60
LONGEST_TITLE = 100
OPENING = 60
"""Characters of a document without a title."""
AT_EDGE = '<div class="edge" dir="ltr">at the edge of its window: it may be cut off</div>'
INDEX = PAGE.substitute(title="Answers", style=STYLE, body="<h1>Answers</h1>\n<table>\n<!-- rows --></table>")


class Pages:
    """A folder of pages and their index, written one by one.

    Args:
        folder: to be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._taken = {"index"}
        before, self._after = INDEX.split("<!-- rows -->")
        self._index: TextIO = (folder / "index.html").open("w", encoding="utf-8", newline="\n")
        self._rows = OrderedEntries()
        self._index.write(before + '<tr><th>question<th>document<th>answer<th class="w">probability\n')

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *unused: object) -> None:
        with self._rows, self._index:
            self._index.writelines(self._rows)
            self._index.write(self._after)

    def add(self, prediction: Prediction, answer: FinalAnswer) -> None:
        """Writes the page of a prediction, with its final answer."""
        name = f"{page_name(prediction.id, self._taken)}.html"
        (self._folder / name).write_text(page(prediction, answer), encoding="utf-8", newline="\n")
        probability = f"{answer.probability:.3f}" if answer.text else ""
        text = short(answer.text)
        if answer.span:
            text = f'<a href="{name}#answer">{text}</a>'
            if any(edges(prediction, prediction.candidates[0])):
                text += AT_EDGE
        self._rows.add(
            prediction.index,
            f'<tr><td><a href="{name}">{short(prediction.question or prediction.id)}</a>'
            f'<td class="quiet">{_document(prediction)}<td>{text}<td class="n">{probability}\n',
        )


def page_name(identifier: str, taken: set[str]) -> str:
    """A name that every file system takes: the id where it is such, else what it has of such and a digest.

    Args:
        identifier: any text.
        taken: the names of other pages, in lower case; this one is added.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", identifier)[:LONGEST_NAME].strip("_") or "question"
    if name != identifier or name.lower() in taken:
        name += "-" + hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    free, copies = name, 1
    while free.lower() in taken:  # the same id again
        copies += 1
        free = f"{name}-{copies}"
    taken.add(free.lower())
    return free


def _document(prediction: Prediction) -> str:
    """What a person knows the document by: its title, or the words that it begins with."""
    words = (prediction.title or prediction.document[: 20 * OPENING]).split()
    return short(" ".join(words), LONGEST_TITLE if prediction.title else OPENING)
