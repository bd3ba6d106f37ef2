"""Offsets of every tokenizer, for any Unicode text, against oracles of its own kind."""

from __future__ import annotations

import functools
import json
import pickle
import pydoc_data.topics
import shutil
import sys
import unicodedata
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.tokenizers import (
    RESERVED,
    UNKNOWN,
    SentencePieceTokenizer,
    Tokenizer,
    dictionary_text,
    load_tokenizer,
)
from fairseq_littlebird.text.training import train_sentencepiece

AWKWARD = [
    *("\r\n", "\t", "  ", "\n\n", "\x00", "\x07", "\x1c", "\x7f", "\x85", "\xa0", "\xad", "\u2028", "\u3000"),
    *("\u200b", "\u200d", "\ufeff", "\u0301", "e\u0301", "\u1112\u1161\u11ab", "한국", "カ\u3099", "漢字"),
    *("👩\u200d👩\u200d👧", "🇰🇷", "❤\ufe0f", "ﬁne", "½", "㎏", "¨", "Ǆ", "İ", "ß", "\u0fda", "\U0010ffff"),
    *("▁", "Ġ", "##", "[QUESTION]", "[SEP]", "<s>", "<mask>", "<0xE2>", "<|endoftext|>", "The ", "statement"),
]
texts = st.lists(st.one_of(st.sampled_from(AWKWARD), st.text(max_size=4)), max_size=12).map("".join)
relaxed = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "topics.txt"
    text = "\n\n".join(list(pydoc_data.topics.topics.values())[:25])
    path.write_text(text + "\nﬁne ½ ㎏ 한국어 カナ café\n" * 3, encoding="utf-8")
    return path


def train(folder: Path, corpus: Path, kind: str, fallback: bool, **more) -> Path:
    path = folder / f"{kind}{fallback}.model"
    train_sentencepiece([corpus], 700, path, kind, byte_fallback=fallback, **more)
    return path


SENTENCEPIECE = [("unigram", True), ("unigram", False), ("bpe", True), ("bpe", False)]


@pytest.fixture(scope="session", params=SENTENCEPIECE, ids=str)
def sentencepiece_path(request, tmp_path_factory, corpus) -> Path:
    return train(tmp_path_factory.mktemp("sentencepiece"), corpus, *request.param)


@pytest.fixture(scope="session")
def identity_path(tmp_path_factory, corpus) -> Path:
    """A model that changes nothing: tabs and double spaces are pieces, there is no dummy prefix."""
    path = tmp_path_factory.mktemp("identity") / "identity.model"
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(path.with_suffix("")),
        vocab_size=600,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        byte_fallback=True,
        minloglevel=2,
    )
    return path


@pytest.fixture(scope="session")
def suffix_path(tmp_path_factory, corpus) -> Path:
    path = tmp_path_factory.mktemp("suffix") / "suffix.model"
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(path.with_suffix("")),
        vocab_size=600,
        treat_whitespace_as_suffix=True,
        minloglevel=2,
    )
    return path


@pytest.fixture(scope="session")
def gpt2_folder(tmp_path_factory) -> Path:
    """All 256 bytes and a few merges, in GPT-2's two files."""
    pytest.importorskip("tokenizers")
    folder = tmp_path_factory.mktemp("gpt2")
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ġ", "Ġ"), ("ð", "Ł"), ("s", "t")]
    pieces = sorted(byte_characters()) + ["".join(merge) for merge in merges] + ["<|endoftext|>"]
    (folder / "encoder.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}))
    (folder / "vocab.bpe").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
    return folder


def byte_characters() -> dict[str, int]:
    """GPT-2's printable stand-ins for bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {chr(b): b for b in printable}
    rest = [b for b in range(256) if b not in printable]
    return table | {chr(256 + i): b for i, b in enumerate(rest)}


@pytest.fixture(scope="session")
def vocab_file(tmp_path_factory) -> Path:
    pytest.importorskip("tokenizers")
    path = tmp_path_factory.mktemp("wordpiece") / "vocab.txt"
    letters = [c for c in map(chr, range(33, 127))]
    pieces = [
        *letters,
        *(f"##{c}" for c in letters if c.isalnum()),
        "the",
        "The",
        "##ing",
        "state",
        "한",
        "漢",
        "é",
    ]
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces]) + "\n", encoding="utf-8")
    return path


cached_tokenizer = functools.cache(load_tokenizer)


def assert_well_formed(
    text: str, tokenizer: Tokenizer, deleted: frozenset[str] = frozenset()
) -> tuple[list[str], list[tuple[int, int]]]:
    """What holds for every tokenizer; ``deleted`` are the characters that its normalizer drops."""
    symbols, offsets = tokenizer.encode(text)
    assert len(symbols) == len(offsets)
    assert tokenizer.tokenize(text) == symbols
    known = set(tokenizer.symbols())
    assert not known & RESERVED
    assert set(symbols) <= known | {UNKNOWN}
    assert all(0 <= start <= end <= len(text) for start, end in offsets)
    for (a, b), (c, d) in zip(offsets, offsets[1:], strict=False):
        assert a <= c and b <= d
    for start, end in offsets:
        solid = [not (c.isspace() or c in deleted) for c in text[start:end]]
        assert not any(solid) or (solid[0] and solid[-1])
    return symbols, offsets


def covered(offsets: list[tuple[int, int]]) -> set[int]:
    return {i for start, end in offsets for i in range(start, end)}


def assert_sentencepiece(text: str, path: Path) -> None:
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    deleted = frozenset(c for c in set(text) if c.isspace() or not model.normalize(c).strip("▁ "))
    symbols, offsets = assert_well_formed(text, SentencePieceTokenizer(path), deleted)
    assert {i for i, c in enumerate(text) if c not in deleted} <= covered(offsets)
    pieces = model.encode(text, out_type=str)
    bounds = [(0, 0), *offsets, (len(text), len(text))]
    for k, piece in enumerate(pieces):
        (start, end), before, after = offsets[k], bounds[k], bounds[k + 2]
        alone = start >= before[1] and end <= after[0]
        letters = "".join(piece.replace("▁", "").split())
        if alone and letters and not model.is_byte(model.piece_to_id(piece)):
            # a token that shares no character was made from exactly what it covers
            assert "".join(model.normalize(text[start:end]).replace("▁", "").split()) == letters


@relaxed
@given(text=texts)
@example(text="".join(AWKWARD))
@example(text="aﬁne ﬁne ½½ ¨x")
def test_sentencepiece_offsets(sentencepiece_path, text):
    assert_sentencepiece(text, sentencepiece_path)


@relaxed
@given(text=texts)
@example(text="".join(AWKWARD))
def test_sentencepiece_offsets_without_normalization(identity_path, text):
    assert_sentencepiece(text, identity_path)


@relaxed
@given(text=texts)
@example(text="".join(AWKWARD))
def test_sentencepiece_offsets_with_spaces_as_suffix(suffix_path, text):
    assert_sentencepiece(text, suffix_path)


def test_sentencepiece_examples(sentencepiece_path):
    def pieces(text):
        offsets = SentencePieceTokenizer(sentencepiece_path).encode(text)[1]
        return [text[a:b] for a, b in offsets if text[a:b].strip()]

    assert "".join(pieces("The  statement\r\n\tx")) == "Thestatementx"
    assert set(pieces("½")) == {"½"}
    assert set(pieces("👩\u200d👩")) <= {"👩", "\u200d", "👩\u200d👩", "\u200d👩", "👩\u200d"}
    assert pieces("\u200ba\u200b")[-1] == "a"  # neighbours that the normalizer deletes stay outside
    assert "e\u0301" in pieces("e\u0301")[0]


def gpt2_oracle(text: str, pieces: list[str]) -> list[tuple[int, int]]:
    """Characters that a piece has bytes of, by counting bytes."""
    table = byte_characters()
    character = [i for i, c in enumerate(text) for _ in c.encode()]
    assert bytes(table[c] for piece in pieces for c in piece) == text.encode()
    result, at = [], 0
    for piece in pieces:
        own = character[at : at + len(piece)]
        at += len(piece)
        solid = [i for i in own if not text[i].isspace()] or own
        result.append((solid[0], solid[-1] + 1))
    return result


@functools.cache
def gpt2_pieces(folder: Path) -> dict[str, str]:
    encoder = json.loads((folder / "encoder.json").read_text("utf-8"))
    return {str(number): piece for piece, number in encoder.items()}


def assert_gpt2(text: str, folder: Path) -> None:
    pieces = gpt2_pieces(folder)
    symbols, offsets = assert_well_formed(text, cached_tokenizer(folder))
    assert offsets == gpt2_oracle(text, [pieces[symbol] for symbol in symbols])


@relaxed
@given(text=texts)
@example(text="".join(AWKWARD))
def test_gpt2_offsets(gpt2_folder, text):
    assert_gpt2(text, gpt2_folder)


@relaxed
@given(text=texts)
@example(text="".join(AWKWARD))
def test_gpt2_offsets_of_the_real_vocabulary(data_dir, text):
    pytest.importorskip("tokenizers")
    assert_gpt2(text, data_dir / "vocab" / "gpt2_bpe")


def assert_wordpiece(text: str, path: Path) -> None:
    import tokenizers

    tokenizer = cached_tokenizer(path)
    normalizer = tokenizers.normalizers.BertNormalizer(lowercase=False)
    deleted = frozenset(c for c in set(text) if c.isspace() or not normalizer.normalize_str(c).strip())
    symbols, offsets = assert_well_formed(text, tokenizer, deleted)
    assert {i for i, c in enumerate(text) if c not in deleted} <= covered(offsets)
    for symbol, (start, end) in zip(symbols, offsets, strict=True):
        if symbol != UNKNOWN:
            # marks that nothing was made of stay with their base
            surface = normalizer.normalize_str(text[start:end]).strip()
            assert surface == symbol.removeprefix("##") or surface == symbol


@relaxed
@given(text=texts)
@example(text="".join(AWKWARD))
def test_wordpiece_offsets(vocab_file, text):
    assert_wordpiece(text, vocab_file)


@relaxed
@given(text=texts)
@example(text="".join(AWKWARD))
def test_wordpiece_offsets_of_the_real_vocabulary(data_dir, text):
    pytest.importorskip("tokenizers")
    assert_wordpiece(text, data_dir / "vocab" / "koelectra_vocab.txt")


@relaxed
@given(text=texts)
@example(text="".join(AWKWARD))
def test_uncased_wordpiece_offsets(tmp_path_factory, text):
    pytest.importorskip("tokenizers")
    path = tmp_path_factory.mktemp("uncased") / "vocab.txt"
    pieces = [f"{prefix}{c}" for prefix in ("", "##") for c in "abcdefghijklmnopqrstuvwxyz"]
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces]) + "\n")
    symbols, offsets = assert_well_formed(text, load_tokenizer(path))
    for symbol, (start, end) in zip(symbols, offsets, strict=True):
        if symbol != UNKNOWN:
            stripped = unicodedata.normalize("NFD", text[start:end]).lower()
            assert symbol.removeprefix("##") in stripped


def test_a_mark_stays_with_its_base_where_accents_are_stripped(tmp_path):
    pytest.importorskip("tokenizers")
    path = tmp_path / "vocab.txt"
    path.write_text("[UNK]\ncafe\nx\n")
    assert load_tokenizer(path).encode("Cafe\u0301 x")[1] == [(0, 5), (6, 7)]


def test_case_follows_the_configuration_beside_the_vocabulary(tmp_path):
    pytest.importorskip("tokenizers")
    path = tmp_path / "vocab.txt"
    path.write_text("[UNK]\nword\n")
    assert load_tokenizer(path).encode("WORD")[0] == ["word"]
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    tokenizer = load_tokenizer(path)
    assert tokenizer.encode("WORD")[0] == [UNKNOWN]
    assert set(tokenizer.files) == {"vocab.txt", "tokenizer_config.json"}


@pytest.fixture(scope="session")
def json_file(tmp_path_factory, vocab_file) -> Path:
    """A tokenizer.json with everything that must not show: truncation, a template, special tokens."""
    tokenizers = pytest.importorskip("tokenizers")
    pieces = vocab_file.read_text(encoding="utf-8").splitlines()
    model = tokenizers.models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<entity>"])
    tokenizer.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding()
    path = tmp_path_factory.mktemp("json") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@relaxed
@given(text=texts)
@example(text="".join(AWKWARD))
def test_tokenizer_json_equals_its_wordpiece(json_file, vocab_file, text):
    tokenizer = load_tokenizer(json_file)
    assert_well_formed(text, tokenizer)
    assert tokenizer.encode(text) == load_tokenizer(vocab_file).encode(text)


@pytest.mark.parametrize("text", ["[QUESTION]", "<s>", "</s>", "<pad>", "<mask>", "a [SEP] b [MASK] <entity>"])
def test_text_never_becomes_a_special_symbol(text, sentencepiece_path, gpt2_folder, vocab_file, json_file):
    for path in (sentencepiece_path, gpt2_folder, vocab_file, json_file):
        symbols, offsets = load_tokenizer(path).encode(text)
        assert not set(symbols) & (RESERVED - {UNKNOWN})
        assert not set(symbols) & {"[SEP]", "[MASK]", "<entity>"}
        assert {text[i] for i in covered(offsets)} | {" "} == set(text) | {" "}


def test_unknown_text_that_reads_like_a_special_symbol_is_unknown(tmp_path, corpus):
    lower = tmp_path / "lower.txt"
    text = "".join(c for c in corpus.read_text(encoding="utf-8") if c.islower() or c in " \n")
    lower.write_text(text, encoding="utf-8")
    tokenizer = SentencePieceTokenizer(train(tmp_path, lower, "bpe", False, coverage=1.0))
    raw = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "bpeFalse.model"))
    assert "[QUESTION]" in raw.encode("a [QUESTION]", out_type=str)
    assert "[QUESTION]" not in tokenizer.encode("a [QUESTION]")[0]


def test_a_user_defined_question_symbol_is_not_text(tmp_path, corpus):
    path = tmp_path / "user.model"
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(tmp_path / "user"),
        vocab_size=400,
        user_defined_symbols=["[QUESTION]", "<mask>"],
        minloglevel=2,
    )
    symbols, offsets = SentencePieceTokenizer(path).encode("a [QUESTION] b<mask>")
    assert not set(symbols) & (RESERVED - {UNKNOWN})
    assert [offset for symbol, offset in zip(symbols, offsets, strict=True) if symbol == UNKNOWN] == [
        (2, 12),
        (14, 20),
    ]


def test_lone_surrogates_keep_every_offset(sentencepiece_path, gpt2_folder, vocab_file):
    for path in (sentencepiece_path, gpt2_folder, vocab_file):
        tokenizer = load_tokenizer(path)
        assert tokenizer.encode("a \ud800 statement") == tokenizer.encode("a \ufffd statement")


def test_tokenizers_survive_pickling(sentencepiece_path, gpt2_folder, vocab_file, json_file):
    text = "the [SEP] statement\u200b ½ <entity>"
    for path in (sentencepiece_path, gpt2_folder, vocab_file, json_file):
        tokenizer = load_tokenizer(path)
        assert pickle.loads(pickle.dumps(tokenizer)).encode(text) == tokenizer.encode(text)


def test_gpt2_symbols_are_numbers_or_pieces_as_the_dictionary_has_them(gpt2_folder, tmp_path):
    dictionary = tmp_path / "dict.txt"
    assert load_tokenizer(gpt2_folder).encode("the")[0] == ["257"]
    dictionary.write_text("the 3\nĠthe 2\n", encoding="utf-8")
    assert load_tokenizer(gpt2_folder, dictionary).encode("the the")[0] == ["the", "Ġthe"]
    dictionary.write_text("257 3\n258 2\n", encoding="utf-8")
    assert load_tokenizer(gpt2_folder, dictionary).encode("the the")[0] == ["257", "258"]


def test_dictionaries_hold_what_encoding_gives_and_no_special_symbol_twice(
    sentencepiece_path, gpt2_folder, vocab_file, json_file
):
    for path in (sentencepiece_path, gpt2_folder, vocab_file, json_file):
        tokenizer = load_tokenizer(path)
        lines = dictionary_text(tokenizer).splitlines()
        symbols = [line.rpartition(" ")[0] for line in lines]
        assert len(set(symbols)) == len(symbols)
        assert lines[-1] == "[QUESTION] 0"
        assert not set(symbols[:-1]) & (RESERVED | {"[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"})
        assert set(tokenizer.encode("the statement is: x, 1")[0]) - {UNKNOWN} <= set(symbols)


def test_a_folder_is_searched(tmp_path, sentencepiece_path, vocab_file):
    with pytest.raises(UserError, match="no tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(vocab_file.read_bytes())
    assert load_tokenizer(tmp_path).kind == "wordpiece"
    (tmp_path / "my.model").write_bytes(sentencepiece_path.read_bytes())
    assert load_tokenizer(tmp_path).kind == "wordpiece"
    (tmp_path / "vocab.txt").unlink()
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.kind == "sentencepiece"
    assert tokenizer.files == {"sentencepiece.model": tmp_path / "my.model"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.model", b"not a model"),
        ("x.model", b""),
        ("vocab.txt", b"\xff\xfe"),
        ("vocab.txt", b"one\ntwo\n"),
        ("tokenizer.json", b"{}"),
        ("x.bin", b""),
    ],
)
def test_files_of_another_format_are_named(tmp_path, name, content):
    pytest.importorskip("tokenizers")
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_tokenizer(path)
    assert str(error.value).startswith(str(path)) and "; " in str(error.value)
    with pytest.raises(UserError, match="no such"):
        load_tokenizer(tmp_path / "nothing")


def test_the_missing_library_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    path = tmp_path / "vocab.txt"
    path.write_text("[UNK]\n")
    with pytest.raises(UserError, match=r"pip install fairseq_littlebird\[tokenizers\]"):
        load_tokenizer(path)


def test_training_says_what_it_lacks(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("  \n\n")
    with pytest.raises(UserError, match="no text"):
        train_sentencepiece([path], 100, tmp_path / "m.model")
    path.write_text("a few words only\n")
    with pytest.raises(UserError, match="Vocabulary size"):
        train_sentencepiece([path], 9999, tmp_path / "m.model")
    assert not (tmp_path / "m.model").exists()


def test_training_is_reproducible_and_reads_long_lines(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(" ".join(list(pydoc_data.topics.topics.values())[:25]).replace("\n", " "))
    for name in ("a.model", "b.model"):
        train_sentencepiece([path], 500, tmp_path / name)
    assert (tmp_path / "a.model").read_bytes() == (tmp_path / "b.model").read_bytes()


def test_hugging_face_s_names_of_the_byte_bpe_files(gpt2_folder, tmp_path):
    """vocab.json and merges.txt without tokenizer.json: the same pieces, and they are no numbers."""
    shutil.copy(gpt2_folder / "encoder.json", tmp_path / "vocab.json")
    shutil.copy(gpt2_folder / "vocab.bpe", tmp_path / "merges.txt")
    tokenizer = load_tokenizer(tmp_path)
    pieces = gpt2_pieces(gpt2_folder)
    text = "The stone bridge, twice."
    assert tokenizer.tokenize(text) == [pieces[number] for number in load_tokenizer(gpt2_folder).tokenize(text)]
    assert list(tokenizer.files) == ["vocab.json", "merges.txt"]


def test_numbers_are_the_vocabulary_s_own(sentencepiece_path, gpt2_folder, vocab_file, json_file):
    pieces = vocab_file.read_text("utf-8").split("\n")
    names = {"<s>": "[CLS]", "<unk>": "[UNK]"}
    for path in (vocab_file, json_file):
        numbers = load_tokenizer(path).numbers()
        for symbol in [*load_tokenizer(path).symbols(), *(s for s in names if names[s] in pieces)]:
            assert pieces[numbers[symbol]] == names.get(symbol, symbol)
    gpt2 = load_tokenizer(gpt2_folder)
    assert all(str(gpt2.numbers()[symbol]) == symbol for symbol in gpt2.symbols())
    model = sentencepiece.SentencePieceProcessor(model_file=str(sentencepiece_path))
    numbers = load_tokenizer(sentencepiece_path).numbers()
    assert [model.piece_to_id(symbol) for symbol in numbers] == [*numbers.values()] == [*range(model.get_piece_size())]


@pytest.mark.parametrize("text", ["The statement, 漢字 한국.", "Ünïcode 👩 (é) and the  rest!", "the rest"])
def test_symbols_spell_their_text(text, sentencepiece_path, gpt2_folder, vocab_file, json_file):
    """But for what a tokenizer's normalization changes, and what its vocabulary lacks."""

    def letters(text):
        return "".join(unicodedata.normalize("NFKC", text).split())

    for path in (sentencepiece_path, gpt2_folder, vocab_file, json_file):
        tokenizer = cached_tokenizer(path)
        symbols = tokenizer.tokenize(text)
        written = tokenizer.decode([UNKNOWN, "<s>", *symbols, "</s>"])
        assert UNKNOWN in symbols or letters(written) == letters(text)
        assert not written.count("##") and tokenizer.decode([]) == ""


def test_wordpiece_spells_words_and_punctuation_as_they_are_written(vocab_file):
    tokenizer = cached_tokenizer(vocab_file)
    assert tokenizer.decode(tokenizer.tokenize("The stating. Is it?")) == "The stating. Is it?"


def test_byte_bpe_spells_spaces(gpt2_folder):
    tokenizer = cached_tokenizer(gpt2_folder)
    assert tokenizer.decode(tokenizer.tokenize("the  state 👩\n of")) == "the  state 👩\n of"
