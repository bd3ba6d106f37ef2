"""A folder of pages of classified texts, and the page that lists them."""

from __future__ import annotations

from pathlib import Path

from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.inference.pages.page_folder import PageFolder
from fairseq_littlebird.inference.pages.style import short
from fairseq_littlebird.inference.pages.text_page import said, text_page

OPENING = 160
"""Characters of a text that the list shows."""


class TextPages(PageFolder):
    """Of classified texts.

    Args:
        folder: to be made.
        threshold: see :meth:`Classification.labels`.
    """

    def __init__(self, folder: Path, threshold: float = 0.5) -> None:
        super().__init__(folder, "Texts", '<th>id<th>text<th>label or score<th class="w">probability')
        self._threshold = threshold

    def add(self, found: Classification) -> None:
        """Writes the page of a text with its attribution."""
        attribution = found.attribution
        if attribution is None:
            raise ValueError(f"no attribution of {found.id}")
        name = self.write_page(found.id, text_page(found, attribution, self._threshold))
        opening = " ".join(part.text for part in attribution.parts[:8] if part.text)
        probability = f"{max(found.probabilities.values()):.3f}" if found.probabilities else ""
        self.write_row(
            f'<td><a href="{name}">{short(found.id)}</a><td class="quiet">{short(opening, OPENING)}'
            f'<td>{short(said(found, self._threshold))}<td class="n">{probability}'
        )
