"""Where the attention of an answer goes, as sections of its page."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fairseq_littlebird.inference.attention_bars import attention_bars
from fairseq_littlebird.inference.evidence import ELSEWHERE, GLOBAL, OWN, PACK, SINKS, WINDOW, Explanation, Passage
from fairseq_littlebird.inference.pages.style import escape, percent, short

DEPTH = 1_000
"""The strip's logarithmic scale reaches from its highest bar down to so small a part of it."""
HEAD = 15
"""Of the strip's 100 units of height, those above its bars, where the answer is marked."""
LEAST = 5e-4
"""Shares below it would be printed as 0.0 %, and are left out."""
DESTINATIONS = {
    OWN: "the {} itself",
    SINKS: "<s>, [QUESTION], </s>",
    GLOBAL: "first block, with the question",
    WINDOW: "window around the {}",
    PACK: "through the pack vectors",
    ELSEWHERE: "elsewhere",
}
COLOURS = {
    OWN: "#e0a100", SINKS: "#9a9a9a", GLOBAL: "#3f8f5f", WINDOW: "#3b74c4", PACK: "#a8478f", ELSEWHERE: "#3b74c4"
}  # fmt: skip


def along(explanation: Explanation, length: int, best: str) -> Iterator[str]:
    """The strip: attention by place in the document, in bars."""
    yield f"<h2>Attention of the {best} along the document</h2>"
    total, through_pack = attention_bars(explanation, length)
    bars = len(total)
    peak = float(total.max(initial=0.0)) or 1.0
    read = explanation.offsets[[0, -1], [0, 1]] / length * bars
    answer = explanation.answer
    at, width = answer.start / length * bars, max(1.0, (answer.end - answer.start) / length * bars)
    yield (
        f'<svg class="strip" viewBox="0 0 {bars} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="attention along the document">'
        f'<rect x="{read[0]:.1f}" width="{read[1] - read[0]:.1f}" height="100" fill="#e9eef6"/>'
        f'<path d="{_steps(total / peak)}" fill="{COLOURS[WINDOW]}"/>'
        f'<path d="{_steps(through_pack / peak)}" fill="{COLOURS[PACK]}"/>'
        f'<rect x="{at:.1f}" width="{width:.1f}" height="{HEAD - 3}" fill="{COLOURS[OWN]}"/></svg>'
    )
    key = "".join(
        f'<span class="key" style="background:{colour}"></span>{what}'
        for colour, what in (
            (COLOURS[OWN], f"the {best}"),
            ("#e9eef6", "the window read"),
            (COLOURS[WINDOW], "attention"),
            (COLOURS[PACK], "the part of it that goes through the pack vectors"),
        )
    )
    yield f'<p class="quiet">{key}. The document begins on the left; logarithmic, down to 1/{DEPTH:,} of the peak.</p>'


def _steps(heights: np.ndarray) -> str:
    """The outline of bars a unit wide, of float[n] heights from 0 to 1, as a path from 100, the ground, to HEAD."""
    with np.errstate(divide="ignore"):
        logarithm = 1 + np.log10(heights) / np.log10(DEPTH)
    tops = np.round(100 - (100 - HEAD) * np.clip(logarithm, 0, 1)).astype(int).tolist()
    return "M0 100" + "".join(f"V{top}h1" for top in tops) + "V100Z"


def destinations(explanation: Explanation, best: str) -> Iterator[str]:
    """The attribution, mean and by layer."""
    yield '<h2>By destination</h2>\n<div class="wide"><table>'
    kinds = list(explanation.attribution)
    colours = {k: f'<span class="key" style="background:{COLOURS[k]}"></span>' for k in kinds}
    names = "".join(f"<th>{colours[k]}{escape(DESTINATIONS[k].format(best))}" for k in kinds)
    yield f"<tr><th><th>{names}"
    for name, shares in [("all layers", explanation.attribution), *enumerate(explanation.layers, 1)]:
        cells = "".join(f'<td class="n">{percent(shares[kind])}' for kind in kinds)
        yield f'<tr><td class="n">{name if isinstance(name, str) else f"layer {name}"}<td>{_bar(shares)}{cells}'
    yield "</table></div>"


def _bar(shares: dict[str, float]) -> str:
    """Shares side by side."""
    parts, x = [], 0.0
    for kind, share in shares.items():
        parts.append(f'<rect x="{100 * x:.2f}" width="{100 * share:.2f}" height="10" fill="{COLOURS[kind]}"/>')
        x += share
    return f'<svg class="bars" viewBox="0 0 100 10" preserveAspectRatio="none" role="img">{"".join(parts)}</svg>'


def evidence(explanation: Explanation) -> Iterator[str]:
    yield '<h2 id="evidence">Evidence: the passages that most of it goes to</h2>\n<table>'
    yield '<tr><th class="w">share<th class="w">through the pack vectors<th>passage'
    for n, passage in enumerate(explanation.passages):
        if passage.weight < LEAST:
            continue
        share, through_pack = percent(passage.weight), percent(passage.through_pack)
        yield f'<tr><td class="n">{share}<td class="n">{through_pack}<td dir="auto">{_link(n, passage)}'
    yield "</table>"


def pack_vectors(explanation: Explanation) -> Iterator[str]:
    vectors = [vector for vector in explanation.pack_vectors if vector.weight >= LEAST]
    if not vectors:
        return
    yield "<h2>The pack vectors with the largest shares, and the passages that each leads to</h2>\n<table>"
    yield '<tr><th class="w">pack vector<th class="w">share<th class="w">of it here<th>passage'
    for vector in vectors:
        for n, passage in enumerate(vector.passages):
            first = f'{vector.index + 1}<td class="n">{percent(vector.weight)}' if not n else "<td>"
            share = percent(passage.weight / vector.weight)
            yield f'<tr><td class="n">{first}<td class="n">{share}<td dir="auto">{short(passage.text, 160)}'
    yield "</table>"


def _link(n: int, passage: Passage) -> str:
    return f'<a href="#p{n}">{short(passage.text, 300)}</a>'
