"""The page of a question: its answer, where the answer's attention goes, and both in the document."""

from __future__ import annotations

from collections.abc import Iterator

from fairseq_littlebird.inference.final_answer import FinalAnswer
from fairseq_littlebird.inference.merging import Prediction
from fairseq_littlebird.inference.pages.attention import LEAST, along, destinations, evidence, pack_vectors
from fairseq_littlebird.inference.pages.edges import edge_note, edges
from fairseq_littlebird.inference.pages.marks import Mark, shown
from fairseq_littlebird.inference.pages.style import PAGE, STYLE, escape, percent, short

CANDIDATES = 10
MARKS = {"answer": "answer", "best candidate": "candidate"}
"""The ids of their marks in the document."""
AT_EDGE = ' <span class="edge" title="at the edge of this window: it may be cut off">edge</span>'


def page(prediction: Prediction, answer: FinalAnswer, index: bool = True) -> str:
    """The page of one question; ``index``: with a link to the table of all questions."""
    explanation, best = prediction.explanation, "answer" if answer.span else "best candidate"
    parts = [*_links(prediction, best, index), *_head(prediction, answer, best)]
    if explanation is not None:
        parts += along(explanation, len(prediction.document), best)
        parts += evidence(explanation)
        parts += destinations(explanation, best)
        parts += pack_vectors(explanation)
    parts += _candidates(prediction)
    parts += _document(prediction, answer)
    title = escape(" ".join(prediction.question.split())[:100] or prediction.id[:100])
    return PAGE.substitute(title=title, style=STYLE, body="\n".join(parts))


def _links(prediction: Prediction, best: str, index: bool) -> Iterator[str]:
    """To the index and to the parts of the page; they stay at the top of the screen."""
    targets = {
        f"{best} in the document": f"#{MARKS[best]}" if prediction.candidates else "",
        "evidence": "#evidence" if prediction.explanation is not None else "",
        "candidates": "#candidates" if prediction.candidates else "",
        "document": "#document",
    }
    links = "".join(f'<a href="{target}">{name}</a>' for name, target in targets.items() if target)
    all_answers = '<a href="index.html">all answers</a>' if index else ""
    yield f"<nav>{all_answers}{links}</nav>"


def _head(prediction: Prediction, answer: FinalAnswer, best: str) -> Iterator[str]:
    yield f'<h1 dir="auto">{short(prediction.question or prediction.id, 2_000)}</h1>'
    said = f"<b>{short(answer.text, 500)}</b>" if answer.text else "no short answer" if answer.passage else "no answer"
    yield f'<p class="answer" dir="auto">{said}</p>'
    note = edge_note(prediction, best) if prediction.candidates else ""
    if note:
        yield f'<p class="edge">{note}</p>'
    if answer.passage:
        yield f"<p>Long answer ({answer.passage_probability:.3f}): <bdi>{short(answer.passage, 500)}</bdi></p>"
    about = [f"question {short(prediction.id, 100)}"]
    if prediction.title:
        about.append(f"<bdi>{short(prediction.title, 100)}</bdi>")
    about.append(f"{len(prediction.document):,} characters")
    if answer.text:
        about.append(f"probability {answer.probability:.3f}")
    if answer.span:
        about.append(f"window {prediction.candidates[0].window}")
    if prediction.answer_type:
        about.append(f"answer type {escape(prediction.answer_type)} ({prediction.type_probability:.2f})")
    if prediction.candidates:
        about.append(f"log odds of no answer {prediction.null_odds:.2f}")
    yield f'<p class="quiet">{" · ".join(about)}</p>'


def _candidates(prediction: Prediction) -> Iterator[str]:
    if not prediction.candidates:
        return
    yield '<h2 id="candidates">Candidates</h2>\n<table>'
    yield '<tr><th class="w">probability<th class="w">characters<th class="w" title="counted from 0">window<th>answer'
    for candidate in prediction.candidates[:CANDIDATES]:
        edge = AT_EDGE if any(edges(prediction, candidate)) else ""
        yield (
            f'<tr><td class="n">{candidate.probability:.4f}<td class="n">{candidate.start:,} – {candidate.end:,}'
            f'<td class="n">{candidate.window}{edge}<td dir="auto">{short(candidate.text)}'
        )
    yield "</table>"


def _document(prediction: Prediction, answer: FinalAnswer) -> Iterator[str]:
    document = prediction.document
    opening = '<mark id="answer">' if answer.span else '<mark id="candidate" title="best candidate">'
    marks = [Mark(c.start, c.end, opening, "</mark>") for c in prediction.candidates[:1]]
    passages = prediction.explanation.passages if prediction.explanation else ()
    for n, passage in enumerate(passages):
        if passage.weight < LEAST:
            continue
        weight = f"--w:{passage.weight / (passages[0].weight or 1.0):.2f}"
        opening = f'<span id="p{n}" style="{weight}" title="{percent(passage.weight)}">'
        marks.append(Mark(passage.start, passage.end, opening, "</span>"))
    yield f'<h2>Document</h2>\n<div id="document" class="document" dir="auto">{shown(document, marks)}</div>'
