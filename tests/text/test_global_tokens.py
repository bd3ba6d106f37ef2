"""Global tokens of a window: which there are, and what belongs to them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fairseq_littlebird.text.answer_spec import CANDIDATES, EVIDENCE, LONG_ANSWERS
from fairseq_littlebird.text.global_tokens import (
    CANDIDATE,
    DOCUMENT,
    KINDS,
    PARAGRAPH,
    QUESTION,
    SENTENCE,
    global_tokens,
    in_text,
)
from fairseq_littlebird.text.window import Window

ALL = tuple(range(1, len(KINDS)))
BOS, EOS, MARK, WORD = 0, 2, 3, 9


def window(document, segments=(), question=2):
    """A token a word or line break; a break between paragraphs is a separator."""
    places = [match.span() for match in re.finditer(r"\n\n|[^\s]+", document)]
    context = [EOS if document[a:b] == "\n\n" else WORD for a, b in places]
    tokens = np.array([BOS, MARK, *[WORD] * question, EOS, *context, EOS])
    start, offsets = question + 3, np.array(places).reshape(-1, 2)
    own = [
        (start + int(np.flatnonzero(offsets[:, 1] > a)[0]), start + int(np.flatnonzero(offsets[:, 0] < b)[-1]))
        for a, b in segments
    ]
    return Window(
        tokens, start, offsets, [], 0, segments=np.array(own, np.int64).reshape(-1, 2), segment_ids=np.arange(len(own))
    )


def texts(of, found, document):
    """What each global token stands for."""
    start = of.context_start
    return [
        (KINDS[part.kind], document[of.offsets[part.first - start, 0] : of.offsets[part.last - start, 1]])
        for part in found.parts
        if part.kind not in (DOCUMENT, QUESTION)
    ]


def test_paragraphs_and_their_sentences():
    document = "Oslo\nIt is old. It is cold.\n\nPorto\nIt is warm."
    spans = [(5, 15), (16, 27), (35, 46)]
    here = window(document, spans)
    found = global_tokens(here, document, ["", "", ""], ALL, 99, EVIDENCE)
    assert texts(here, found, document) == [
        ("paragraph", "Oslo\nIt is old. It is cold."),
        ("sentence", "It is old."),
        ("sentence", "It is cold."),
        ("paragraph", "Porto\nIt is warm."),
        ("sentence", "It is warm."),
    ]
    assert found.kinds.tolist() == [DOCUMENT, QUESTION, QUESTION, PARAGRAPH, SENTENCE, SENTENCE, PARAGRAPH, SENTENCE]
    assert found.groups.tolist() == [0, 1, 1, 3, 3, 3, 4, 4]
    assert found.segments.tolist() == [4, 5, 7] and found.dropped == 0
    # <s> [QUESTION] a b </s> Oslo It is old. It is cold. </s> Porto It is warm. </s>
    assert found.owners[:, 0].tolist() == [0, 0, 1, 2, 0, 3, 4, 4, 4, 5, 5, 5, 0, 6, 7, 7, 7, 0]
    assert found.owners[:, 1].tolist() == [-1] * 6 + [3] * 6 + [-1] * 2 + [6] * 3 + [-1]
    assert (found.mentions == -1).all()
    assert in_text(found).nonzero()[0].tolist() == [2, 3, 5, 6, 9, 13, 14]


def test_sentences_by_punctuation_where_no_record_has_them():
    document = "It is old. It is\n\ncold"
    here = window(document)
    found = global_tokens(here, document, [], (QUESTION, SENTENCE), 99)
    assert texts(here, found, document) == [("sentence", "It is old."), ("sentence", "It is"), ("sentence", "cold")]
    assert found.groups.tolist() == [0, 1, 1, 3, 3, 3]  # of no paragraph: together


def test_candidates_and_their_mentions():
    document = "oslo\n\nnew york city\n\nnew york\n\nIn New York City is Oslo street.\n\nNew\nYork, osloer"
    spans = [(0, 4), (6, 19), (21, 29)]
    here = window(document, spans, question=1)
    found = global_tokens(here, document, ["oslo", "new york city", "new york"], (QUESTION, CANDIDATE), 99, CANDIDATES)
    assert texts(here, found, document) == [
        ("candidate", "oslo"),
        ("candidate", "new york city"),
        ("candidate", "new york"),
    ]
    assert found.groups.tolist() == [0, 1, 3, 4, 5]
    where = found.mentions[here.context_start : -1].tolist()
    first = document.replace("\n\n", " </s> ").split().index("In")
    assert where[first:] == [-1, 3, 3, 3, -1, 2, -1, -1, 4, 4, -1] and set(where[:first]) == {-1}
    assert in_text(found).nonzero()[0].tolist() == [2, 4, 6, 7, 8, 10, 11]


def test_long_answers_are_paragraphs_one_in_another():
    document = "a b c d e f"
    here = window(document, [(2, 9), (4, 7), (10, 11)], question=0)
    found = global_tokens(here, document, ["", "", ""], (QUESTION, PARAGRAPH), 99, LONG_ANSWERS)
    assert found.owners[3:-1].tolist() == [[0, -1], [1, -1], [2, 1], [2, 1], [1, -1], [3, -1]]
    assert found.groups.tolist() == [0, 3, 3, 4] and found.segments.tolist() == [1, 2, 3]


@pytest.mark.parametrize(("maximum", "dropped"), [(9, 0), (8, 0), (7, 1), (4, 4), (2, 6)])
def test_what_is_too_much_has_no_global_token_and_is_counted(maximum, dropped):
    document = "A b. C d. E f."
    here = window(document, [(0, 4), (5, 9), (10, 14)], question=3)
    found = global_tokens(here, document, ["", "", ""], (QUESTION, PARAGRAPH, SENTENCE), maximum, EVIDENCE)
    assert len(found.parts) == min(maximum, 8) and found.dropped == dropped
    assert found.owners.max() < maximum
    assert (found.segments == -1).sum() == min(3, dropped)


def test_an_empty_window_has_the_question_alone():
    here = window("", question=1)
    for segments in ("", EVIDENCE, CANDIDATES, LONG_ANSWERS):
        found = global_tokens(here, "", [], ALL, 99, segments)
        assert found.kinds.tolist() == [DOCUMENT, QUESTION] and found.owners.shape == (5, 2)
