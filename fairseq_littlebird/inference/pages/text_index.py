"""A folder of pages of classified texts, and the page that lists them."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.inference.pages.index_page import page_name
from fairseq_littlebird.inference.pages.style import PAGE, STYLE, short
from fairseq_littlebird.inference.pages.text_page import said, text_page

OPENING = 160
"""Characters of a text that the list shows."""
INDEX = PAGE.substitute(title="Texts", style=STYLE, body="<h1>Texts</h1>\n<table>\n<!-- rows --></table>")


class TextPages:
    """A folder of pages and their index, written one by one, in the order of the texts.

    Args:
        folder: to be made.
        threshold: see :meth:`Classification.labels`.
    """

    def __init__(self, folder: Path, threshold: float = 0.5) -> None:
        folder.mkdir()
        self._folder, self._threshold = folder, threshold
        self._taken = {"index"}
        before, self._after = INDEX.split("<!-- rows -->")
        self._index: TextIO = (folder / "index.html").open("w", encoding="utf-8", newline="\n")
        self._index.write(before + '<tr><th>id<th>text<th>label or score<th class="w">probability\n')

    def __enter__(self) -> TextPages:
        return self

    def __exit__(self, *unused: object) -> None:
        with self._index:
            self._index.write(self._after)

    def add(self, found: Classification) -> None:
        """Writes the page of a text with its attribution."""
        attribution = found.attribution
        if attribution is None:
            raise ValueError(f"no attribution of {found.id}")
        name = f"{page_name(found.id, self._taken)}.html"
        page = text_page(found, attribution, self._threshold)
        (self._folder / name).write_text(page, encoding="utf-8", newline="\n")
        opening = " ".join(part.text for part in attribution.parts[:8] if part.text)
        probability = f"{max(found.probabilities.values()):.3f}" if found.probabilities else ""
        self._index.write(
            f'<tr><td><a href="{name}">{short(found.id)}</a><td class="quiet">{short(opening, OPENING)}'
            f'<td>{short(said(found, self._threshold))}<td class="n">{probability}\n'
        )
