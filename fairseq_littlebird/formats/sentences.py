"""Where the sentences of a text are, by its punctuation."""

from __future__ import annotations

import re

# a full stop and its like, with quotes and brackets, before what may begin a sentence
_END = re.compile(r"[.!?…][\"'”’)\]]*(?P<space>\s+)(?=[\"'“‘(\[]*[^\W_a-z])")
_UNCASED_END = re.compile(r"[.!?…][\"'”’)\]]*(?P<space>\s+)(?=[\"'“‘(\[]*[^\W_])")
# and others after which a name or a number goes on
_ABBREVIATION = re.compile(
    r"(?:\b(?:al|cf|e\.g|i\.e|etc|figs?|eq|sec|no|vol|vs|dr|mrs?|ms|prof|st)|\b[a-z])\.$", re.IGNORECASE
)
_LONGEST_ABBREVIATION = 8


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """The [start, end) characters of each sentence, without the white space around it; a line end ends one, too.

    A sentence begins with a capital or a number, in a text without capitals with any letter.
    """
    spans, offset = [], 0
    ends = _UNCASED_END if text == text.lower() else _END
    for line in text.split("\n"):
        start = 0
        for match in ends.finditer(line):
            stop = match.start("space")
            if not _ABBREVIATION.search(line[max(0, stop - _LONGEST_ABBREVIATION) : stop]):
                spans.append((offset + start, offset + stop))
                start = match.end()
        spans.append((offset + start, offset + len(line)))
        offset += len(line) + 1
    stripped = ((start, stop, text[start:stop]) for start, stop in spans)
    return [
        (start + len(part) - len(part.lstrip()), stop - len(part) + len(part.rstrip()))
        for start, stop, part in stripped
        if part.strip()
    ]


def split_sentences(text: str) -> str:
    """The text with each of its sentences on a line of its own."""
    return "\n".join(text[start:stop] for start, stop in sentence_spans(text))
