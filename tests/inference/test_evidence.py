"""Attribution by destination and by passage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_littlebird.inference.evidence import LONGEST, answer_tokens, explanation

WORDS = st.sampled_from(["a", "Mr.", "said", "end.", "end!\n", "\n\n", "끝。다음", "what?", '"so."', "שלום.", "x" * 70])


@settings(max_examples=60)
@given(data=st.data())
def test_everything_has_its_place(make_window, make_attribution, data):
    document = " ".join(data.draw(st.lists(WORDS, min_size=3, max_size=300)))
    words = len(document.split())
    if not words:
        return
    first = data.draw(st.integers(0, words - 1))
    window = make_window(document, first, data.draw(st.integers(first + 1, words)))
    n, L = len(window.offsets), len(window.tokens)
    one = data.draw(st.integers(0, n - 1))
    last = data.draw(st.integers(one, n - 1))
    answer = int(window.offsets[one, 0]), int(window.offsets[last, 1])
    layers = [make_attribution(L, 4, seed) for seed in range(2)]
    block = data.draw(st.integers(1, 12))
    found = explanation(document, window, 5, answer, layers, block, passages=10**6, pack_vectors=3)

    assert answer_tokens(window, *answer) == (window.context_start + one, window.context_start + last)
    assert found.window == 5 and found.answer.text == document[slice(*answer)]
    # by destination: every token by itself
    wanted = dict.fromkeys(("own", "sinks", "global", "window", "pack"), 0.0)
    for j, token in enumerate(window.tokens.tolist()):
        own = window.context_start + one <= j <= window.context_start + last
        kind = "own" if own else "sinks" if token in (0, 2, 3) else "global" if j < block else "window"
        wanted[kind] += float(layers[0].tokens[0, j])
    wanted["pack"] = float(layers[0].pack.sum())
    assert found.layers[0] == pytest.approx(wanted, abs=1e-6)
    for shares in (found.attribution, *found.layers):
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    for kind, share in found.attribution.items():
        assert share == pytest.approx(np.mean([layer[kind] for layer in found.layers]))
    # along the document
    context = slice(window.context_start, window.context_start + n)
    direct = sum(layer.tokens[0, context] for layer in layers).numpy() / 2
    through_pack = sum(layer.through_pack[0, :, context].sum(0) for layer in layers).numpy() / 2
    np.testing.assert_allclose(found.weights, direct + through_pack, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(found.through_pack, through_pack, rtol=1e-4, atol=1e-7)
    assert found.answer.weight == pytest.approx(found.weights[one : last + 1].sum(), rel=1e-4)
    # passages: the context cut into pieces, in the order of their shares
    places = sorted((p.start, p.end) for p in found.passages)
    assert all(end <= start for (_, end), (start, _) in zip(places, places[1:], strict=False))
    covered = {place for start, end in places for place in range(start, end)}
    assert covered >= {place for start, end in window.offsets.tolist() for place in range(start, end)}
    shares = [p.weight for p in found.passages]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(found.weights.sum(), rel=1e-4)
    for passage in found.passages:
        assert passage.text == document[passage.start : passage.end] == passage.text.strip()
        assert "\n" not in passage.text and len(passage.text.split()) <= 2 * LONGEST
        assert 0 <= passage.through_pack <= passage.weight + 1e-6
        inside = (window.offsets[:, 0] >= passage.start) & (window.offsets[:, 1] <= passage.end)
        assert passage.weight == pytest.approx(found.weights[inside].sum(), rel=1e-4)
    # pack vectors
    by_vector = sum(layer.pack[0] for layer in layers).numpy() / 2
    assert [vector.index for vector in found.pack_vectors] == np.argsort(-by_vector, kind="stable")[:3].tolist()
    for vector in found.pack_vectors:
        reached = sum(layer.through_pack[0, vector.index, context] for layer in layers).numpy() / 2
        assert vector.weight == pytest.approx(by_vector[vector.index], rel=1e-4)
        best = vector.passages[0]
        inside = (window.offsets[:, 0] >= best.start) & (window.offsets[:, 1] <= best.end)
        assert best.weight == pytest.approx(reached[inside].sum(), rel=1e-4)


def test_sentences_are_passages(make_window, make_attribution):
    document = 'Rome fell. "Did it?" she asked!\nNo\n\nIn 3.5 years 끝났다。다음 "is." so'
    window = make_window(document)
    found = explanation(document, window, 0, (0, 4), [make_attribution(len(window.tokens), 2, 0)], None, passages=9)
    texts = [passage.text for passage in sorted(found.passages, key=lambda passage: passage.start)]
    assert texts == ["Rome fell.", '"Did it?"', "she asked!", "No", "In 3.5 years 끝났다。다음", '"is."', "so"]
    assert set(found.attribution) == {"own", "sinks", "elsewhere"}


def test_separators_of_paragraphs_are_sinks(make_window, make_attribution):
    """</s> in the context has a place, and no characters."""
    window = make_window("one two")
    tokens, offsets = np.insert(window.tokens, -2, 2), np.array([[0, 3], [3, 3], [4, 7]])
    window = type(window)(tokens, window.context_start, offsets, [], 0)
    layer = make_attribution(len(tokens), 1, 0)
    found = explanation("one two", window, 0, (4, 7), [layer], 2, passages=5)
    assert found.attribution["own"] == pytest.approx(float(layer.tokens[0, -2]))
    assert found.attribution["sinks"] == pytest.approx(float(layer.tokens[0, [0, 1, 7, 9, 11]].sum()))
    assert [p.text for p in found.passages] == ["one two"]
    assert answer_tokens(window, 3, 3) == (9, 9)  # an answer that is one
    assert found.passages[0].weight == pytest.approx(float(found.weights[[0, 2]].sum()))
