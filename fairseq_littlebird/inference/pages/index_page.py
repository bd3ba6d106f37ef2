"""A folder of pages of answered questions, and the page that lists them."""

from __future__ import annotations

from pathlib import Path

from fairseq_littlebird.inference.final_answer import FinalAnswer
from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.inference.ordered_entries import OrderedEntries
from fairseq_littlebird.inference.pages.edges import edges
from fairseq_littlebird.inference.pages.page_folder import PageFolder
from fairseq_littlebird.inference.pages.question_page import page
from fairseq_littlebird.inference.pages.style import short

LONGEST_TITLE = 100
OPENING = 60
"""Characters of a document without a title."""
AT_EDGE = '<div class="edge" dir="ltr">at the edge of its window: it may be cut off</div>'


class Pages(PageFolder):
    """Of answered questions; the table is in the questions' order.

    Args:
        folder: to be made.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "Answers", '<th>question<th>document<th>answer<th class="w">probability')
        self._rows = OrderedEntries()

    def __exit__(self, *unused: object) -> None:
        with self._rows:
            for row in self._rows:
                self.write_row(row)
        super().__exit__(*unused)

    def add(self, prediction: Prediction, answer: FinalAnswer) -> None:
        """Writes the page of a prediction, with its final answer."""
        name = self.write_page(prediction.id, page(prediction, answer))
        probability = f"{answer.probability:.3f}" if answer.text else ""
        text = short(answer.text)
        if answer.span:
            text = f'<a href="{name}#answer">{text}</a>'
            if any(edges(prediction, prediction.candidates[0])):
                text += AT_EDGE
        self._rows.add(
            prediction.index,
            f'<td><a href="{name}">{short(prediction.question or prediction.id)}</a>'
            f'<td class="quiet">{_document(prediction)}<td>{text}<td class="n">{probability}',
        )


def _document(prediction: Prediction) -> str:
    """What a person knows the document by: its title, or the words that it begins with."""
    words = (prediction.title or prediction.document[: 20 * OPENING]).split()
    return short(" ".join(words), LONGEST_TITLE if prediction.title else OPENING)
