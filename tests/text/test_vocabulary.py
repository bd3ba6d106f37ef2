from __future__ import annotations

import json

import numpy as np
import pytest

from fairseq_littlebird.text.vocabulary import Vocabulary

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>"]


def vocabulary(*pieces: str) -> Vocabulary:
    return Vocabulary([*SPECIALS, *pieces, "[QUESTION]"], [0, 1, 2, 3, len(pieces) + 4])


def words(vocab: Vocabulary, symbols: list[str], *pieces: str) -> list[str]:
    """The text between neighbouring boundaries, as surfaces joined."""
    tokens = np.array([symbols.index(piece) for piece in pieces])
    cuts = np.flatnonzero(vocab.word_boundaries(tokens))
    return ["".join(vocab.surfaces[t] for t in tokens[a:b]) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]


# The same text, "<s>(The dogs' bark) Wow", in the pieces of each style.
STYLES = {
    "sentencepiece": ["▁(", "The", "▁dog", "s", "'", "▁bark", ")", "▁W", "ow"],
    "byte_bpe": ["(", "The", "Ġdog", "s", "'", "Ġbark", ")", "ĠW", "ow"],
    "wordpiece": ["(", "The", "dog", "##s", "'", "bark", ")", "W", "##ow"],
}


@pytest.mark.parametrize("style", STYLES)
def test_words_are_the_same_in_every_style(style):
    pieces = STYLES[style]
    vocab, symbols = vocabulary(*pieces), [*SPECIALS, *pieces]
    assert words(vocab, symbols, "<s>", *pieces) == ["", "(", "The", "dogs", "'", "bark", ")", "Wow"]


@pytest.mark.parametrize("style", STYLES)
def test_facts_are_the_same_in_every_style(style):
    pieces = STYLES[style]
    vocab = vocabulary(*pieces)
    alphanumeric = dict(zip(pieces, vocab.alphanumeric[4:-1], strict=True))
    stop = dict(zip(pieces, vocab.stop_word[4:-1], strict=True))
    assert [p for p in pieces if not alphanumeric[p]] == [pieces[0], "'", ")"]
    assert [p for p in pieces if stop[p]] == ["The"]
    assert not vocab.alphanumeric[vocab.special].any() and not vocab.begins_word[vocab.special].any()


def test_begins_word_is_what_the_marker_says():
    assert vocabulary("▁a", "b", "▁").begins_word[4:-1].tolist() == [True, False, True]
    assert vocabulary("Ġa", "b", "Ċ").begins_word[4:-1].tolist() == [True, False, True]
    assert vocabulary("a", "##b", "##").begins_word[4:-1].tolist() == [True, False, True]
    assert vocabulary("a", "b").begins_word[4:-1].tolist() == [True, True]  # no marker: words as they are


def test_continuations_of_wordpiece_are_no_stop_words():
    assert vocabulary("the", "##the", "bar").stop_word[4:-1].tolist() == [True, False, False]


def test_korean_particles_are_stop_words_wherever_they_stand():
    vocab = vocabulary("사람", "##은", "는", "그리고", "##서울")
    assert vocab.stop_word[4:-1].tolist() == [False, True, True, True, False]


def test_hangul():
    vocab = vocabulary("사람", "##은", "dog", "##a", "學")
    assert vocab.hangul[4:-1].tolist() == [True, True, False, False, False]


def test_combining_marks_stay_inside_a_word():
    symbols = [*SPECIALS, "▁cafe", "\u0301", "s", "▁हि", "न्दी"]
    vocab = Vocabulary(symbols, range(4))
    assert vocab.alphanumeric[4:].all()
    assert words(vocab, symbols, "▁cafe", "\u0301", "s", "▁हि", "न्दी") == ["cafe\u0301s", "हिन्दी"]


def test_parts_of_characters():
    # é is C3 A9, the curly apostrophe E2 80 99, written byte by byte.
    symbols = [*SPECIALS, "Ġcaf", "Ã", "©", "s", "ĠJohn", "âĢ", "Ļ", "ĠA"]
    vocab = Vocabulary(symbols, range(4))
    tokens = np.arange(4, len(symbols))
    assert vocab.word_boundaries(tokens)[:-1].tolist() == [1, 0, 0, 0, 1, 1, 0, 1]
    assert vocab.word_boundaries(tokens[[4, 5, 6, 3]]).tolist() == [1, 1, 0, 1, 1]  # John | ’ | s
    assert not vocab.alphanumeric[[5, 6, 9, 10]].any()


def test_byte_fallback_of_sentencepiece():
    symbols = [*SPECIALS, "▁a", "<0x0A>", "b", "<0xC3>", "<0xA9>", "<0x41>"]
    vocab = Vocabulary(symbols, range(4))
    assert vocab.word_boundaries(np.array([4, 5, 6])).all()  # a line feed parts words
    assert vocab.word_boundaries(np.array([4, 7, 8, 6])).tolist() == [1, 0, 0, 0, 1]
    assert vocab.surfaces[9] == "A" and vocab.alphanumeric[9]


def test_sentence_end():
    pieces = [".", "▁.", "...", "?!", "▁a", "a.", ",", "▁", "。"]
    vocab = vocabulary(*pieces)
    assert np.array(pieces)[vocab.sentence_end()[4:-1]].tolist() == [".", "▁.", "...", "?!"]
    assert np.array(pieces)[vocab.sentence_end("。,")[4:-1]].tolist() == [",", "。"]
    assert not vocab.sentence_end()[vocab.special].any()


def test_edges_and_specials_are_boundaries():
    symbols = [*SPECIALS, "▁a", "b"]
    vocab = Vocabulary(symbols, range(4))
    assert vocab.word_boundaries(np.array([5, 5])).tolist() == [1, 0, 1]
    assert vocab.word_boundaries(np.array([5, 2, 5])).all()
    assert vocab.word_boundaries(np.array([], dtype=int)).tolist() == [True]


def test_robertas_numbers(data_dir):
    folder = data_dir / "vocab" / "gpt2_bpe"
    encoder = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    lines = (folder / "dict.txt").read_text(encoding="utf-8").splitlines()
    symbols = [*SPECIALS, *(line.split()[0] for line in lines), "<mask>"]
    pieces = {str(number): piece for piece, number in encoder.items()}
    vocab = Vocabulary(symbols, [0, 1, 2, 3, len(symbols) - 1], pieces)
    facts = {piece: symbols.index(str(encoder[piece])) for piece in (".", "Ġthe", "the", "Ġdog", "Ġ(", "Ċ")}
    assert len(vocab) == 50_265 and vocab.marker == "Ġ"
    assert vocab.surfaces[facts["Ġdog"]] == "dog" and vocab.begins_word[facts["Ġdog"]]
    assert vocab.stop_word[facts["Ġthe"]] and not vocab.begins_word[facts["the"]]
    assert vocab.sentence_end()[facts["."]]
    assert not vocab.alphanumeric[[facts["."], facts["Ġ("], facts["Ċ"]]].any()
    # Splitting 50,265 pieces into words and the rest is no close thing.
    assert 45_000 < vocab.alphanumeric.sum() < 50_000 and 30_000 < vocab.begins_word.sum() < 36_000
    assert vocab.special[[i for i, s in enumerate(symbols) if s.startswith("madeupword")]].all()


def test_koelectra(data_dir):
    symbols = (data_dir / "vocab" / "koelectra_vocab.txt").read_text(encoding="utf-8").splitlines()
    vocab = Vocabulary(symbols, [i for i, s in enumerate(symbols) if len(s) > 2 and s[0] + s[-1] == "[]"])
    assert vocab.marker == "##"
    assert vocab.begins_word[symbols.index("사람")] and not vocab.begins_word[symbols.index("##사람")]
    assert vocab.alphanumeric[symbols.index("##사람")] and vocab.hangul[symbols.index("##사람")]
    assert vocab.stop_word[symbols.index("##는")] and not vocab.special[symbols.index("[")]
