from __future__ import annotations

import json
import re
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairseq_littlebird.text import recurring_spans_reference as reference
from fairseq_littlebird.text.recurring_spans import question_cap, recurring_spans, select_questions
from fairseq_littlebird.text.vocabulary import Vocabulary

PAD, QUESTION = 1, 4
SYMBOLS = "<s> <pad> </s> <unk> [QUESTION] ▁a ▁the ▁cat s ▁dog 은 . ▁사람 ▁(".split()
VOCABULARY = Vocabulary(SYMBOLS, range(5))
ID = {symbol: index for index, symbol in enumerate(SYMBOLS)}
# Few different tokens, so that long spans recur and overlap themselves.
CHUNKS = st.one_of(
    st.lists(st.integers(0, len(SYMBOLS) - 1), max_size=60),
    st.lists(st.sampled_from([ID["▁cat"], ID["s"], ID["▁the"], ID["▁dog"]]), max_size=60),
    st.lists(st.sampled_from([ID["▁cat"], ID["."]]), max_size=40),
    st.lists(st.sampled_from([ID["▁사람"], ID["은"], ID["s"], ID["▁the"]]), max_size=40),
).map(lambda ids: np.array(ids, dtype=np.int64))


def ids(text: str) -> np.ndarray:
    return np.array([ID[piece] for piece in text.split()])


def check_equal(questions, expected):
    for name in ("tokens", "questions", "starts", "ends"):
        found, wanted = getattr(questions, name), getattr(expected, name)
        assert found.dtype == wanted.dtype == np.int64
        assert found.tolist() == wanted.tolist()


@settings(max_examples=400)
@given(CHUNKS, st.integers(0, 10), st.booleans(), st.integers(0, 12), st.integers(0, 2**32))
@example(ids("▁cat ▁cat ▁cat"), 10, False, 3, 0)
@example(ids("▁사람 은 ▁dog ▁사람 ."), 10, True, 3, 0)
def test_the_same_as_the_reference(tokens, max_span_length, free_end, max_questions, seed):
    clusters = recurring_spans(tokens, VOCABULARY, max_span_length, free_end)
    assert clusters == reference.recurring_spans(tokens, VOCABULARY, max_span_length, free_end)
    arguments = (tokens, clusters, QUESTION, PAD, max_questions)
    check_equal(
        select_questions(*arguments, np.random.default_rng(seed)),
        reference.select_questions(*arguments, np.random.default_rng(seed)),
    )


def test_longest_first():
    assert recurring_spans(ids("▁the ▁cat ▁dog . ▁cat . ▁the ▁cat ▁dog . ▁dog . ▁dog"), VOCABULARY) == [
        [(0, 2), (6, 8)],
        [(10, 10), (12, 12)],
    ]


def test_spans_that_overlap_themselves():
    assert recurring_spans(ids("▁cat ▁cat ▁cat"), VOCABULARY) == [[(0, 0), (1, 1), (2, 2)]]
    assert recurring_spans(ids("▁cat ▁cat ▁cat ▁cat"), VOCABULARY) == [[(0, 1), (2, 3)]]


def test_whole_words_only():
    assert recurring_spans(ids("▁cat s . ▁cat . ▁dog"), VOCABULARY) == []
    assert recurring_spans(ids("▁( ▁cat . ▁cat ."), VOCABULARY) == [[(1, 1), (3, 3)]]


def test_free_end_leaves_particles_outside():
    tokens = ids("▁사람 은 ▁dog . ▁사람 . ▁cat s . ▁cat")
    assert recurring_spans(tokens, VOCABULARY) == []
    assert recurring_spans(tokens, VOCABULARY, free_end=True) == [[(0, 0), (4, 4)]]  # but no "cat" of "cats"


def test_stop_words_alone_are_nothing_to_ask():
    assert recurring_spans(ids("▁the ▁a . ▁the ▁a"), VOCABULARY) == []
    assert recurring_spans(ids("▁the ▁cat . ▁the ▁cat"), VOCABULARY) == [[(0, 1), (3, 4)]]


@pytest.mark.parametrize("special", [0, 1, 2, 3, 4])
def test_special_tokens_are_in_no_span(special):
    tokens = np.array([ID["▁cat"], special, ID["▁cat"], special])
    assert recurring_spans(tokens, VOCABULARY) == [[(0, 0), (2, 2)]]


def test_span_length_is_bounded():
    tokens = ids("▁cat ▁dog " * 12)
    sizes = {end - start + 1 for cluster in recurring_spans(tokens, VOCABULARY) for start, end in cluster}
    assert max(sizes) == 10
    assert recurring_spans(tokens, VOCABULARY, max_span_length=1)[0][0] == (0, 0)


def check(tokens, questions, max_questions):
    """What holds for every selection, whatever was drawn."""
    places = questions.questions
    assert len(places) == len(questions.starts) == len(questions.ends)
    assert len(places) <= min(max_questions, round(0.15 * len(tokens)))
    assert (np.flatnonzero((questions.tokens == QUESTION) & (tokens != QUESTION)) == places).all()
    touched = np.zeros(len(tokens), dtype=bool)
    for place, start, end in zip(places, questions.starts, questions.ends, strict=True):
        size = end - start + 1
        # The answer stands as it was, and is what the question hides.
        assert (questions.tokens[start : end + 1] == tokens[start : end + 1]).all()
        assert (tokens[place : place + size] == tokens[start : end + 1]).all()
        assert (questions.tokens[place + 1 : place + size] == PAD).all()
        assert not touched[place : place + size].any()
        touched[place : place + size] = True
    assert (questions.tokens[~touched] == tokens[~touched]).all()


@settings(max_examples=200)
@given(CHUNKS, st.integers(0, 12), st.integers(0, 2**32))
def test_questions_of_found_clusters(tokens, max_questions, seed):
    tokens = np.where(tokens == QUESTION, 5, tokens)
    clusters = recurring_spans(tokens, VOCABULARY)
    questions = select_questions(tokens, clusters, QUESTION, PAD, max_questions, np.random.default_rng(seed))
    check(tokens, questions, max_questions)


@settings(max_examples=200)
@given(CHUNKS, st.integers(0, 2**32))
def test_questions_of_clusters_that_overlap(tokens, seed):
    """Clusters from elsewhere may share tokens: no answer and no question is overwritten all the same."""
    tokens = np.where(tokens == QUESTION, 5, tokens)
    places = defaultdict(list)
    for size in (1, 2, 3):
        for i in range(len(tokens) - size + 1):
            places[tuple(tokens[i : i + size])].append((i, i + size - 1))
    clusters = [spans for spans in places.values() if len(spans) > 1]
    questions = select_questions(tokens, clusters, QUESTION, PAD, 10, np.random.default_rng(seed))
    check(tokens, questions, 10)
    check_equal(questions, reference.select_questions(tokens, clusters, QUESTION, PAD, 10, np.random.default_rng(seed)))


def test_one_occurrence_stays_and_all_others_are_asked():
    tokens = ids("▁cat ▁dog . " * 4 + "▁( " * 20)
    clusters = recurring_spans(tokens, VOCABULARY)
    questions = select_questions(tokens, clusters, QUESTION, PAD, 30, np.random.default_rng(0))
    assert len(questions.questions) == 3 and set(questions.starts) <= {0, 3, 6, 9}
    assert (questions.tokens == PAD).sum() == 3
    generators = [np.random.default_rng(seed) for seed in range(40)]
    drawn = [select_questions(tokens, clusters, QUESTION, PAD, 30, rng) for rng in generators]
    assert {int(questions.starts[0]) for questions in drawn} == {0, 3, 6, 9}


def test_budget_is_the_cap_or_15_percent():
    tokens = ids("▁cat . " * 50)
    clusters = recurring_spans(tokens, VOCABULARY)
    for cap, count in ((4, 4), (30, 15)):
        questions = select_questions(tokens, clusters, QUESTION, PAD, cap, np.random.default_rng(0))
        assert len(questions.questions) == count


def test_nothing_to_ask():
    for tokens in (np.array([], dtype=int), ids("▁cat ▁dog")):
        questions = select_questions(tokens, [], QUESTION, PAD, 30, np.random.default_rng(0))
        assert questions.tokens.tolist() == tokens.tolist()
        assert questions.questions.shape == questions.starts.shape == questions.ends.shape == (0,)
        assert questions.questions.dtype == np.int64


def test_caps():
    assert [question_cap(length) for length in (512, 2048, 4096)] == [30, 120, 240]
    assert question_cap(1024) == 60 and question_cap(1) == 1


def check_real_text(tokens, vocabulary, pad, free_end=False):
    """Clusters of a real chunk keep their promises; returns them."""
    clusters = recurring_spans(tokens, vocabulary, free_end=free_end)
    for length in (512, 2048, 4096):
        part = tokens[:length]
        assert recurring_spans(part, vocabulary, free_end=free_end) == reference.recurring_spans(
            part, vocabulary, free_end=free_end
        )
    boundary = vocabulary.word_boundaries(tokens)
    seen = np.zeros(len(tokens), dtype=int)
    for cluster in clusters:
        assert len(cluster) > 1
        assert len({tuple(tokens[start : end + 1]) for start, end in cluster}) == 1
        for start, end in cluster:
            seen[start : end + 1] += 1
            assert boundary[start] and (free_end or boundary[end + 1])
            assert vocabulary.alphanumeric[tokens[start : end + 1]].all()
            assert not vocabulary.stop_word[tokens[start : end + 1]].all()
    assert seen.max() == 1
    question = len(vocabulary)
    cap = question_cap(len(tokens))
    first, again, other = (
        select_questions(tokens, clusters, question, pad, cap, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (first.tokens == again.tokens).all() and (first.questions == again.questions).all()
    assert (first.tokens != other.tokens).any()
    assert len(first.questions) == cap
    check_equal(first, reference.select_questions(tokens, clusters, question, pad, cap, np.random.default_rng(1)))
    return clusters


def test_english_novel(data_dir):
    tokenizers = pytest.importorskip("tokenizers")
    folder = data_dir / "vocab" / "gpt2_bpe"
    bpe = tokenizers.ByteLevelBPETokenizer(str(folder / "encoder.json"), str(folder / "vocab.bpe"))
    encoder = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    lines = (folder / "dict.txt").read_text(encoding="utf-8").splitlines()
    symbols = ["<s>", "<pad>", "</s>", "<unk>", *(line.split()[0] for line in lines)]
    place = {symbol: index for index, symbol in enumerate(symbols)}
    vocabulary = Vocabulary(symbols, range(4), {str(number): piece for piece, number in encoder.items()})
    text = (data_dir / "text_en" / "litbank" / "345_dracula.txt").read_text(encoding="utf-8")[20_000:60_000]
    tokens = np.array([place[str(number)] for number in bpe.encode(text).ids[:4096]])
    clusters = check_real_text(tokens, vocabulary, pad=1)
    spans = [bpe.decode([int(symbols[t]) for t in tokens[a : b + 1]]).strip() for (a, b), *_ in clusters]
    assert "the driver" in " / ".join(spans)
    assert all(re.search(rf"(?<![^\W_]){re.escape(span)}(?![^\W_])", text) for span in spans)  # whole words


@pytest.mark.parametrize("free_end", [False, True])
def test_korean_documentation(data_dir, free_end):
    tokenizers = pytest.importorskip("tokenizers")
    path = data_dir / "vocab" / "koelectra_vocab.txt"
    symbols = path.read_text(encoding="utf-8").splitlines()
    specials = [i for i, s in enumerate(symbols) if len(s) > 2 and s[0] + s[-1] == "[]"]
    vocabulary = Vocabulary(symbols, specials)
    wordpiece = tokenizers.BertWordPieceTokenizer(str(path), lowercase=False)
    text = (data_dir / "text_ko" / "rust_book_ko.md").read_text(encoding="utf-8")[20_000:60_000]
    tokens = np.array(wordpiece.encode(text, add_special_tokens=False).ids[:4096])
    clusters = check_real_text(tokens, vocabulary, pad=0, free_end=free_end)
    if free_end:
        fixed = recurring_spans(tokens, vocabulary)
        assert sum(map(len, clusters)) > 1.05 * sum(map(len, fixed))
