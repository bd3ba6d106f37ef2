"""Pages of summaries: each beside its document, in which the sentences are marked that cross-attention read most."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from fairseq_littlebird.inference.pages.index_page import page_name
from fairseq_littlebird.inference.pages.marks import Mark, shown
from fairseq_littlebird.inference.pages.style import PAGE, STYLE, escape, percent, short
from fairseq_littlebird.inference.summarizing import Summary

SHOWN = 10
"""Sentences that are marked and listed."""
COLUMNS = """
body { max-width: 90rem; } .beside { display: grid; grid-template-columns: minmax(0, 2fr) minmax(0, 3fr); gap: 1.5rem; }
.summary { position: sticky; top: 3.5rem; align-self: start; } ol { padding-inline-start: 1.5rem; }
"""
INDEX = PAGE.substitute(title="Summaries", style=STYLE, body="<h1>Summaries</h1>\n<table>\n<!-- rows --></table>")


class SummaryPages:
    """A folder of pages and their index, written one by one; a context manager.

    Args:
        folder: to be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._taken = {"index"}
        before, self._after = INDEX.split("<!-- rows -->")
        self._index: TextIO = (folder / "index.html").open("w", encoding="utf-8", newline="\n")
        self._index.write(before + '<tr><th>document<th>summary<th class="w">score\n')

    def __enter__(self) -> SummaryPages:
        return self

    def __exit__(self, *unused: object) -> None:
        self._index.write(self._after)
        self._index.close()

    def add(self, summary: Summary) -> None:
        """Writes the page of a summary."""
        name = f"{page_name(summary.id, self._taken)}.html"
        (self._folder / name).write_text(summary_page(summary), encoding="utf-8", newline="\n")
        self._index.write(
            f'<tr><td><a href="{name}">{short(summary.id, 100)}</a><td dir="auto">{short(summary.text)}'
            f'<td class="n">{summary.score:.3f}\n'
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
