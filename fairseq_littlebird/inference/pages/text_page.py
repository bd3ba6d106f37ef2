"""The page of a classified text: what the classifier says, and the sentences that it depends on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fairseq_littlebird.formats.problem_type import REGRESSION
from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.inference.pages.style import PAGE, STYLE, escape, short
from fairseq_littlebird.inference.text_attribution import AttributedPart, TextAttribution

STRONGEST = 12
"""Sentences that the list at the top has."""
LABELS = 10
TEXT_STYLE = (
    STYLE
    + """
.document span.for { background: rgb(34 139 84 / calc(.75 * var(--w))); }
.document span.against { background: rgb(196 70 59 / calc(.75 * var(--w))); }
.document hr { border: 0; border-top: 1px dashed #888; }
"""
)


def text_page(found: Classification, attribution: TextAttribution, threshold: float = 0.5) -> str:
    """The page of one text."""
    parts = [*_head(found, attribution, threshold), *_strongest(attribution), *_document(attribution)]
    return PAGE.substitute(title=escape(found.id[:100]), style=TEXT_STYLE, body="\n".join(parts))


def said(found: Classification, threshold: float = 0.5) -> str:
    """What the classifier says, in a few words."""
    if found.problem_type == REGRESSION:
        return f"{found.score:.4g}"
    return ", ".join(found.labels(threshold)) or "no label"


def _head(found: Classification, attribution: TextAttribution, threshold: float) -> Iterator[str]:
    yield '<nav><a href="index.html">all texts</a><a href="#sentences">sentences</a><a href="#document">text</a></nav>'
    yield f'<h1 dir="auto">{short(found.id, 200)}</h1>'
    yield f'<p class="answer" dir="auto"><b>{short(said(found, threshold), 500)}</b></p>'
    likely = sorted(found.probabilities.items(), key=lambda pair: -pair[1])
    if likely:
        told = " · ".join(f"{short(label, 60)} {probability:.3f}" for label, probability in likely[:LABELS])
        more = f" · {len(likely) - LABELS} more labels" if len(likely) > LABELS else ""
        yield f'<p class="quiet">{told}{more}</p>'
    regression = found.problem_type == REGRESSION
    what = "the score" if regression else f"the log odds of {short(attribution.output, 60)}"
    special = sum(part.weight for part in attribution.parts if not part.text)
    tokens = sum(part.tokens for part in attribution.parts)
    yield (
        f'<p class="quiet">{tokens:,} tokens. Green sentences raise {what} ({attribution.value:+.3f}), red ones lower '
        "it: gradient × token embedding, summed over the tokens of a sentence. All sentences together have "
        f"{attribution.total - special:+.4f}, the special tokens {special:+.4f}: {attribution.total:+.4f}, the rate at "
        "which it changes as all token embeddings are scaled together.</p>"
    )


def _strongest(attribution: TextAttribution) -> Iterator[str]:
    most = _most(attribution.parts)
    order = sorted((n for n, part in enumerate(attribution.parts) if part.text), key=lambda n: _rank(attribution, n))
    yield '<h2 id="sentences">Strongest sentences</h2>\n<table>'
    yield '<tr><th class="w">weight<th class="w">of the strongest<th>sentence'
    for number in order[:STRONGEST]:
        part = attribution.parts[number]
        yield (
            f'<tr><td class="n">{part.weight:+.4f}<td class="n">{abs(part.weight) / most:.0%}'
            f'<td dir="auto"><a href="#s{number}">{short(part.text)}</a>'
        )
    yield "</table>"


def _rank(attribution: TextAttribution, number: int) -> float:
    return -abs(attribution.parts[number].weight)


def _most(parts: Sequence[AttributedPart]) -> float:
    return max((abs(part.weight) for part in parts if part.text), default=0.0) or 1.0


def _document(attribution: TextAttribution) -> Iterator[str]:
    most = _most(attribution.parts)
    pieces = []
    for number, part in enumerate(attribution.parts):
        if number == attribution.second:
            pieces.append("<hr>")
        if not part.text:
            continue
        side = "for" if part.weight >= 0 else "against"
        pieces.append(
            f'<span class="{side}" id="s{number}" style="--w:{abs(part.weight) / most:.2f}" '
            f'title="{part.weight:+.4f}">{escape(part.text)}</span> '
        )
    yield f'<h2>Text</h2>\n<div id="document" class="document" dir="auto">{"".join(pieces)}</div>'
