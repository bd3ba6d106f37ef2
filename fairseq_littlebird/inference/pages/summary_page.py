"""Pages of summaries: each beside its document, in which the sentences are marked that cross-attention read most."""

from __future__ import annotations

from pathlib import Path

from fairseq_littlebird.inference.pages.marks import Mark, shown
from fairseq_littlebird.inference.pages.page_folder import PageFolder
from fairseq_littlebird.inference.pages.style import PAGE, STYLE, escape, percent, short
from fairseq_littlebird.inference.summarizing import Summary

SHOWN = 10
"""Sentences that are marked and listed."""
COLUMNS = """
body { max-width: 90rem; } .beside { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); gap: 1.5rem; }
.summary { position: sticky; top: 3.5rem; align-self: start; } ol { padding-inline-start: 1.5rem; }
"""


class SummaryPages(PageFolder):
    """Of summaries.

    Args:
        folder: to be made.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "Summaries", '<th>document<th>summary<th class="w">score')

    def add(self, summary: Summary) -> None:
        """Writes the page of a summary."""
        name = self.write_page(summary.id, summary_page(summary))
        self.write_row(
            f'<td><a href="{name}">{short(summary.id, 100)}</a><td dir="auto">{short(summary.text)}'
            f'<td class="n">{summary.score:.3f}'
        )


def summary_page(summary: Summary) -> str:
    """The page of one summary."""
    document, most = summary.document, summary.sentences[:SHOWN]
    top = max((sentence.weight for sentence in most), default=0.0) or 1.0
    marks, rows = [], []
    for n, sentence in enumerate(most):
        share = percent(sentence.weight)
        opening = f'<span id="s{n}" style="--w:{sentence.weight / top:.2f}" title="{share}">'
        marks.append(Mark(sentence.start, sentence.stop, opening, "</span>"))
        text = short(document[sentence.start : sentence.stop])
        rows.append(f'<li><a href="#s{n}">{share}</a> <span dir="auto">{text}</span></li>')
    about = f"{escape(summary.id[:100])} · {len(document):,} characters · score {summary.score:.3f}"
    body = f"""<nav><a href="index.html">all summaries</a></nav>
<p class="quiet">{about}</p>
<div class="beside">
<div class="summary"><h2>Summary</h2>
<p class="answer" dir="auto">{escape(summary.text)}</p>
<h2>Sentences of the document that cross-attention read most</h2>
<ol>{"".join(rows)}</ol></div>
<div><h2>Document</h2>
<div id="document" class="document" dir="auto">{shown(document, marks)}</div></div>
</div>"""
    return PAGE.substitute(title=short(summary.id, 100), style=STYLE + COLUMNS, body=body)
