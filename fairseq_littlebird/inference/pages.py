"""Predictions as HTML pages: a question each, its answer and evidence marked in the document, and an index.

A page needs nothing but itself: no script, no font, no picture, and its policy forbids to load any. All text is
escaped. Its size is bounded whatever the document's.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import NamedTuple, TextIO

import numpy as np

from fairseq_littlebird.inference.evidence import ELSEWHERE, GLOBAL, OWN, PACKED, SINKS, WINDOW, Explanation, Passage
from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.inference.reply import Reply

WHOLE = 200_000
"""Characters of a document that is shown in full; of a longer one only what stands around the marks."""
AROUND = 2_000
"""Characters before and after each end of a mark that are shown then."""
BARS = 300
"""Of the strip at most."""
DEPTH = 1_000
"""The strip's logarithmic scale reaches from its highest bar down to so small a part of it."""
HEAD = 15
"""Of the strip's 100 units of height, those above its bars, where the answer is marked."""
CANDIDATES = 10
LONGEST_NAME = 60
LEAST = 5e-4
"""Shares below it are 0.0 % to a reader, and left out."""
WAYS = {
    OWN: "the {} itself",
    SINKS: "<s>, [QUESTION], </s>",
    GLOBAL: "first block, with the question",
    WINDOW: "window around the {}",
    PACKED: "through the packed rows",
    ELSEWHERE: "elsewhere",
}
COLOURS = {
    OWN: "#e0a100", SINKS: "#9a9a9a", GLOBAL: "#3f8f5f", WINDOW: "#3b74c4", PACKED: "#a8478f", ELSEWHERE: "#3b74c4"
}  # fmt: skip

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 62rem; margin: 1.5rem auto;
  padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; margin: .5rem 0; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
a { color: #1d58a8; } p { margin: .3rem 0; } .quiet { color: #666; font-size: .85rem; }
.answer { font-size: 1.2rem; white-space: pre-wrap; } .answer b, mark { background: #ffe08a; padding: 0 .15em; }
mark.candidate { background: none; border: 1px dashed #e0a100; border-width: 1px 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td, th { text-align: start; vertical-align: top; padding: .2rem .5rem .2rem 0; border-top: 1px solid #e4e4e4; }
th { font-weight: 600; border: 0; } .n { white-space: nowrap; font-variant-numeric: tabular-nums; }
th { overflow-wrap: normal; } .w { white-space: nowrap; }
.strip { display: block; width: 100%; height: 6rem; background: #f6f6f6; } .bars { height: 1rem; width: 16rem; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .8em; }
.document { white-space: pre-wrap; unicode-bidi: plaintext; border: 1px solid #e4e4e4; padding: 1rem; }
.document span { background: rgb(59 116 196 / calc(.1 + .4 * var(--w))); } .gap { color: #888; text-align: center; }
td, h1, .answer { unicode-bidi: plaintext; } td { white-space: pre-line; }
.wide { overflow-x: auto; }
"""

PAGE = Template("""<!doctype html>
<html>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
$body
</body>
</html>
""")
CONTROLS = {n: "\N{REPLACEMENT CHARACTER}" for n in (*range(32), *range(127, 160)) if chr(n) not in "\t\n\r\x85"}
INDEX = PAGE.substitute(title="Answers", style=STYLE, body="<h1>Answers</h1>\n<table>\n<!-- rows --></table>")


def escape(text: str) -> str:
    """For text and attributes; characters that no page may have are the replacement character."""
    return html.escape(text.translate(CONTROLS))


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
        self._index.write(before + '<tr><th>question<th>answer<th class="w">probability\n')

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *unused: object) -> None:
        self._index.write(self._after)
        self._index.close()

    def add(self, prediction: Prediction, reply: Reply) -> None:
        """Writes the page of a prediction, with what it answers."""
        name = f"{self._name(prediction.id)}.html"
        (self._folder / name).write_text(page(prediction, reply), encoding="utf-8", newline="\n")
        probability = f"{reply.probability:.3f}" if reply.text else ""
        self._index.write(
            f'<tr><td><a href="{name}">{_short(prediction.question or prediction.id)}</a>'
            f'<td>{_short(reply.text)}<td class="n">{probability}\n'
        )

    def _name(self, identifier: str) -> str:
        """A name that every file system takes: the id where it is such, else what it has of such and a digest."""
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", identifier)[:LONGEST_NAME].strip("_") or "question"
        if name != identifier or name.lower() in self._taken:
            name += "-" + hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:10]
        free, copies = name, 1
        while free.lower() in self._taken:  # the same id again
            copies += 1
            free = f"{name}-{copies}"
        self._taken.add(free.lower())
        return free


def page(prediction: Prediction, reply: Reply) -> str:
    """The page of one question."""
    parts = [*_head(prediction, reply)]
    explanation, best = prediction.explanation, "answer" if reply.span else "best candidate"
    if explanation is not None:
        parts += _along(explanation, len(prediction.document), best)
        parts += _evidence(explanation)
        parts += _ways(explanation, best)
        parts += _rows(explanation)
    parts += _candidates(prediction)
    parts += _document(prediction, reply)
    title = escape(" ".join(prediction.question.split())[:100] or prediction.id[:100])
    return PAGE.substitute(title=title, style=STYLE, body="\n".join(parts))


def _head(prediction: Prediction, reply: Reply) -> Iterator[str]:
    yield '<p class="quiet"><a href="index.html">all answers</a></p>'
    yield f'<h1 dir="auto">{_short(prediction.question or prediction.id, 2_000)}</h1>'
    said = f"<b>{_short(reply.text, 500)}</b>" if reply.text else "no short answer" if reply.passage else "no answer"
    yield f'<p class="answer" dir="auto">{said}</p>'
    if reply.passage:
        yield f"<p>Long answer ({reply.passage_probability:.3f}): <bdi>{_short(reply.passage, 500)}</bdi></p>"
    about = [f"question {_short(prediction.id, 100)}"]
    if prediction.title:
        about.append(f"<bdi>{_short(prediction.title, 100)}</bdi>")
    about.append(f"{len(prediction.document):,} characters")
    if reply.text:
        about.append(f"probability {reply.probability:.3f}")
    if reply.span:
        about.append(f"window {prediction.candidates[0].window + 1}")
    if prediction.answer_type:
        about.append(f"kind {escape(prediction.answer_type)} ({prediction.type_probability:.2f})")
    yield f'<p class="quiet">{" · ".join(about)} · log odds of no answer {prediction.null_odds:.2f}</p>'


def _along(explanation: Explanation, length: int, best: str) -> Iterator[str]:
    """The strip: attention by place in the document, in at most ``BARS`` bars."""
    yield f"<h2>Attention of the {best} along the document</h2>"
    bars = max(1, min(BARS, length))
    place = explanation.offsets[:, 0] * bars // max(1, length)
    total, packed = (np.bincount(place, part, bars) for part in (explanation.weights, explanation.packed))
    peak = float(total.max(initial=0.0)) or 1.0
    read = explanation.offsets[[0, -1], [0, 1]] / length * bars
    answer = explanation.answer
    at, width = answer.start / length * bars, max(1.0, (answer.end - answer.start) / length * bars)
    yield (
        f'<svg class="strip" viewBox="0 0 {bars} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="attention along the document">'
        f'<rect x="{read[0]:.1f}" width="{read[1] - read[0]:.1f}" height="100" fill="#e9eef6"/>'
        f'<path d="{_steps(total / peak)}" fill="{COLOURS[WINDOW]}"/>'
        f'<path d="{_steps(packed / peak)}" fill="{COLOURS[PACKED]}"/>'
        f'<rect x="{at:.1f}" width="{width:.1f}" height="{HEAD - 3}" fill="{COLOURS[OWN]}"/></svg>'
    )
    key = "".join(
        f'<span class="key" style="background:{colour}"></span>{what}'
        for colour, what in (
            (COLOURS[OWN], f"the {best}"),
            ("#e9eef6", "the window read"),
            (COLOURS[WINDOW], "attention"),
            (COLOURS[PACKED], "what of it goes through the packed rows"),
        )
    )
    yield f'<p class="quiet">{key}. The document begins on the left; logarithmic, down to 1/{DEPTH:,} of the peak.</p>'


def _steps(heights: np.ndarray) -> str:
    """The outline of bars a unit wide, of float[n] heights from 0 to 1, as a path from 100, the ground, to HEAD."""
    with np.errstate(divide="ignore"):
        logarithm = 1 + np.log10(heights) / np.log10(DEPTH)
    tops = np.round(100 - (100 - HEAD) * np.clip(logarithm, 0, 1)).astype(int).tolist()
    return "M0 100" + "".join(f"V{top}h1" for top in tops) + "V100Z"


def _ways(explanation: Explanation, best: str) -> Iterator[str]:
    """The shares, mean and by layer."""
    yield '<h2>By which way</h2>\n<div class="wide"><table>'
    kinds = list(explanation.shares)
    colours = {k: f'<span class="key" style="background:{COLOURS[k]}"></span>' for k in kinds}
    names = "".join(f"<th>{colours[k]}{escape(WAYS[k].format(best))}" for k in kinds)
    yield f"<tr><th><th>{names}"
    for name, shares in [("all layers", explanation.shares), *enumerate(explanation.layers, 1)]:
        cells = "".join(f'<td class="n">{_percent(shares[kind])}' for kind in kinds)
        yield f'<tr><td class="n">{name if isinstance(name, str) else f"layer {name}"}<td>{_bar(shares)}{cells}'
    yield "</table></div>"


def _bar(shares: dict[str, float]) -> str:
    """Shares side by side."""
    parts, x = [], 0.0
    for kind, share in shares.items():
        parts.append(f'<rect x="{100 * x:.2f}" width="{100 * share:.2f}" height="10" fill="{COLOURS[kind]}"/>')
        x += share
    return f'<svg class="bars" viewBox="0 0 100 10" preserveAspectRatio="none" role="img">{"".join(parts)}</svg>'


def _evidence(explanation: Explanation) -> Iterator[str]:
    yield "<h2>Evidence: the passages that most of it goes to</h2>\n<table>"
    yield '<tr><th class="w">share<th class="w">packed<th>passage'
    for n, passage in enumerate(explanation.passages):
        if passage.weight < LEAST:
            continue
        share, packed = _percent(passage.weight), _percent(passage.packed)
        yield f'<tr><td class="n">{share}<td class="n">{packed}<td dir="auto">{_link(n, passage)}'
    yield "</table>"


def _rows(explanation: Explanation) -> Iterator[str]:
    rows = [row for row in explanation.rows if row.weight >= LEAST]
    if not rows:
        return
    yield "<h2>The packed rows that most of it goes through, and where they lead</h2>\n<table>"
    yield '<tr><th class="w">row<th class="w">share<th class="w">of it here<th>passage'
    for row in rows:
        for n, passage in enumerate(row.passages):
            first = f'{row.index + 1}<td class="n">{_percent(row.weight)}' if not n else "<td>"
            share = _percent(passage.weight / row.weight)
            yield f'<tr><td class="n">{first}<td class="n">{share}<td dir="auto">{_short(passage.text, 160)}'
    yield "</table>"


def _candidates(prediction: Prediction) -> Iterator[str]:
    if not prediction.candidates:
        return
    yield "<h2>Candidates</h2>\n<table>"
    yield '<tr><th class="w">probability<th class="w">characters<th class="w">window<th>answer'
    for candidate in prediction.candidates[:CANDIDATES]:
        yield (
            f'<tr><td class="n">{candidate.probability:.4f}<td class="n">{candidate.start:,} – {candidate.end:,}'
            f'<td class="n">{candidate.window + 1}<td dir="auto">{_short(candidate.text)}'
        )
    yield "</table>"


def _document(prediction: Prediction, reply: Reply) -> Iterator[str]:
    document = prediction.document
    opening = '<mark id="answer">' if reply.span else '<mark class="candidate" title="best candidate">'
    marks = [Mark(c.start, c.end, opening, "</mark>") for c in prediction.candidates[:1]]
    passages = prediction.explanation.passages if prediction.explanation else ()
    for n, passage in enumerate(passages):
        if passage.weight < LEAST:
            continue
        weight = f"--w:{passage.weight / (passages[0].weight or 1.0):.2f}"
        opening = f'<span id="p{n}" style="{weight}" title="{_percent(passage.weight)}">'
        marks.append(Mark(passage.start, passage.end, opening, "</span>"))
    parts, shown = [(0, len(document))], 0
    if len(document) > WHOLE:
        parts = around([end for mark in marks for end in mark[:2]], len(document))
    pieces, begun = [], set[Mark]()
    for start, stop in parts:
        pieces += [_left_out(start - shown), marked(document, start, stop, marks, begun)]
        shown = stop
    pieces.append(_left_out(len(document) - shown))
    yield f'<h2>Document</h2>\n<div class="document" dir="auto">{"".join(pieces)}</div>'


class Mark(NamedTuple):
    """Characters of a document, and the tags around them."""

    start: int
    end: int
    opening: str
    closing: str


def around(places: Iterable[int], length: int) -> list[tuple[int, int]]:
    """Parts of a document around each place, in order, apart from each other; without one its head.

    Args:
        places: numbers of characters.
        length: of the document.
    """
    parts: list[tuple[int, int]] = []
    for place in sorted(places) or [0]:
        start, end = max(0, place - AROUND), min(length, place + AROUND)
        if parts and start <= parts[-1][1]:
            start, _ = parts.pop()
        parts.append((start, end))
    return parts


def marked(document: str, start: int, stop: int, marks: Sequence[Mark], begun: set[Mark]) -> str:
    """``document[start:stop]`` escaped, every mark around its characters; where marks overlap the first is innermost.

    A mark that another one cuts is written in several pieces, its id on the first alone. Those that have begun are
    added to ``begun``.
    """
    bounds = sorted({start, stop, *(min(max(at, start), stop) for mark in marks for at in mark[:2])})
    pieces = []
    for first, last in pairwise(bounds):
        piece = escape(document[first:last])
        for mark in marks:
            if mark.start <= first and last <= mark.end:
                again = mark in begun
                opening = re.sub(r' id="[^"]*"', "", mark.opening) if again else mark.opening
                piece = f"{opening}{piece}{mark.closing}"
                begun.add(mark)
        pieces.append(piece)
    return "".join(pieces)


def _left_out(characters: int) -> str:
    return f'<p class="gap" dir="ltr">… {characters:,} characters left out …</p>' if characters else ""


def _link(n: int, passage: Passage) -> str:
    return f'<a href="#p{n}">{_short(passage.text, 300)}</a>'


def _short(text: str, most: int = 200) -> str:
    """Escaped, and cut where it is long."""
    return escape(text if len(text) <= most else f"{text[:most]}…")


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
