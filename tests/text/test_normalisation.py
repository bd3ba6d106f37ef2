"""Answers through tokens and back: every kind of tokenizer, every normalisation form, scripts of more than letters."""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sentencepiece
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fairseq_littlebird.export.document_windows import exact_offsets
from fairseq_littlebird.export.fast_tokenizer import FastTokenizer, fast_tokenizer
from fairseq_littlebird.text.answers import token_span
from fairseq_littlebird.text.graphemes import grapheme_starts
from fairseq_littlebird.text.tokenizers import QUESTION, SentencePieceTokenizer, Tokenizer, load_tokenizer

tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("google.protobuf")

FORMS = ("NFC", "NFD", "NFKC", "NFKD")


def written(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


def some(characters: str) -> st.SearchStrategy[str]:
    return st.sampled_from([*characters])


def perhaps(characters: str) -> st.SearchStrategy[str]:
    return st.sampled_from(["", *characters])


GRAPHEMES = {
    "hangul": st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3),
    "devanagari": written(some("कखगजडढफयरह"), perhaps("\u093c"), perhaps("ािीुे"), perhaps("\u0901\u0902")),
    "conjuncts": st.sampled_from(["क्ष", "त्र", "ज्ञ", "श्री", "न्न", "फ़्र"]),
    "thai": written(some("กขคงนมสหอ"), perhaps("\u0e31\u0e34\u0e35\u0e39"), perhaps("\u0e48\u0e49"), perhaps("\u0e33")),
    "arabic": written(some("ابتسلوي\u0622\u0623\u0625\u0626"), perhaps("\u064e\u064f\u0650"), perhaps("\u0651")),
    "emoji": st.sampled_from(
        ["👩\u200d👩\u200d👧", "🇰🇷", "❤\ufe0f", "👍🏽", "1\ufe0f\u20e3", "🏴\U000e0067\U000e007f", "🙂"]
    ),
    "half-width kana": st.sampled_from([*"ｱｳｶﾊﾎﾜｦ", *(f"{c}\uff9e" for c in "ｳｶｻﾀﾊ"), *(f"{c}\uff9f" for c in "ﾊﾋﾎ")]),
    "kana": some("かがはばぱウヴカガハバパ漢字"),
    "latin": written(some("aeoucsnyAO"), perhaps("\u0327\u0323\u0328"), perhaps("\u0301\u0308\u0302")),
    "compatibility": st.sampled_from(["ﬁ", "½", "㎏", "Ａ", "①", "ﷺ", "Å", "ſ", "ﾡ", "ㄱㅏ", "㍿"]),
}
words = st.one_of(*(st.lists(kind, min_size=1, max_size=4).map("".join) for kind in GRAPHEMES.values()))


@st.composite
def questions(draw) -> tuple[str, int, int]:
    """A text of several words in some form, and the characters of an answer of whole words in it."""
    form = draw(st.sampled_from([None, *FORMS]))
    drawn = draw(st.lists(words, min_size=1, max_size=5))
    parts = [unicodedata.normalize(form, word) if form else word for word in drawn]
    first = draw(st.integers(0, len(parts) - 1))
    last = draw(st.integers(first, len(parts) - 1))
    start = len(" ".join(parts[:first])) + (first > 0)
    return " ".join(parts), start, start + len(" ".join(parts[first : last + 1]))


LETTERS = sorted(
    {
        c
        for form in FORMS
        for c in unicodedata.normalize(form, "한국어 각 कखगािी กขนำ ابتس کガカばぱ漢字 éçåA1kgfi👩👍❤½")
    }
    | {chr(c) for c in range(0x1100, 0x11C3)} - {" "}
)


def characters(**_: Any) -> Any:
    """Each character is a token."""
    vocabulary = {piece: n for n, piece in enumerate(["[UNK]", *LETTERS])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    split = [
        tokenizers.pre_tokenizers.Split(tokenizers.Regex(p), b)
        for p, b in ((r"\s", "removed"), (r"[\s\S]", "isolated"))
    ]
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(split)
    return tokenizer


def byte_level() -> Any:
    pieces = {piece: n for n, piece in enumerate(sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(pieces, []))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def wordpiece() -> Any:
    pieces = ["[UNK]", *LETTERS, *(f"##{c}" for c in LETTERS)]
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({p: n for n, p in enumerate(pieces)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return tokenizer


def unigram() -> Any:
    pieces = [("<unk>", 0.0), ("▁", -2.0), *((c, -3.0) for c in LETTERS), *((f"<0x{b:02X}>", -9.0) for b in range(256))]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, 0, True))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    return tokenizer


def bpe_without_unknown() -> Any:
    """What it does not know it drops."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE({c: n for n, c in enumerate(LETTERS)}, []))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return tokenizer


MODELS: dict[str, Callable[[], Any]] = {
    "characters": characters,
    "byte_level": byte_level,
    "wordpiece": wordpiece,
    "unigram": unigram,
}


def normalizers() -> dict[str, Any]:
    n = tokenizers.normalizers
    return {
        **{form: getattr(n, form)() for form in FORMS},
        "none": None,
        "bert": n.BertNormalizer(lowercase=False),
        "uncased": n.BertNormalizer(lowercase=True),
        "stripped": n.Sequence([n.NFD(), n.StripAccents(), n.NFC()]),
        "albert": n.Sequence([n.Replace("``", '"'), n.Replace("''", '"'), n.NFKD(), n.StripAccents(), n.Lowercase()]),
        "prepended": n.Sequence([n.Prepend("▁"), n.NFKC(), n.Replace(" ", "▁")]),
    }


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("normalisation")


@functools.cache
def of_library(folder: Path, model: str, normalizer: str) -> Tokenizer:
    tokenizer = MODELS[model]()
    if normalizers()[normalizer] is not None:
        tokenizer.normalizer = normalizers()[normalizer]
    path = folder / f"{model}-{normalizer}.json"
    tokenizer.save(str(path))
    return load_tokenizer(path)


@functools.cache
def of_sentencepiece(folder: Path, kind: str, fallback: bool, rule: str) -> Tokenizer:
    path = folder / f"{kind}-{fallback}-{rule}.model"
    text = unicodedata.normalize("NFC", "한국어 문장 각 कखग की กขน ابتس カガばぱ漢字 éçåA 1kg fi 👩👍❤ <unkpads>")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text] * 4), model_prefix=str(path.with_suffix("")), vocab_size=80 + 256 * fallback,
        hard_vocab_limit=False, model_type=kind, byte_fallback=fallback, normalization_rule_name=rule, minloglevel=2,
    )  # fmt: skip
    return load_tokenizer(path)


@functools.cache
def of_file(folder: Path, kind: str) -> Tokenizer:
    if kind == "gpt2":
        (folder / "gpt2").mkdir()
        pieces = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
        (folder / "gpt2" / "encoder.json").write_text(json.dumps({p: n for n, p in enumerate(pieces)}), "utf-8")
        (folder / "gpt2" / "vocab.bpe").write_text("#version: 0.2\n", "utf-8")
        return load_tokenizer(folder / "gpt2")
    (folder / kind).mkdir()
    letters = [c for c in LETTERS if kind == "cased" or c == c.lower()]
    pieces = ["[UNK]", *letters, *(f"##{c}" for c in letters)]
    (folder / kind / "vocab.txt").write_text("\n".join(pieces) + "\n", "utf-8")
    return load_tokenizer(folder / kind)


TOKENIZERS: dict[str, Callable[[Path], Tokenizer]] = {
    **{
        f"{model}-{normalizer}": functools.partial(of_library, model=model, normalizer=normalizer)
        for model in MODELS
        for normalizer in normalizers()
        if (model, normalizer) != ("wordpiece", "prepended")  # without white space it has one word
    },
    **{
        f"sentencepiece-{kind}-{fallback}-{rule}": functools.partial(
            of_sentencepiece, kind=kind, fallback=fallback, rule=rule
        )
        for kind, fallback, rule in (
            ("unigram", True, "nmt_nfkc"),
            ("unigram", False, "nfkc_cf"),
            ("bpe", True, "nfkc"),
            ("bpe", False, "nmt_nfkc_cf"),
            ("unigram", True, "identity"),
        )
    },
    **{kind: functools.partial(of_file, kind=kind) for kind in ("gpt2", "cased", "uncased")},
}

relaxed = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
CASES = [
    unicodedata.normalize("NFD", "다리는 린트가 그렸다 각"),
    unicodedata.normalize("NFD", "\u1ea1\u0301 Å"),
    "ﾊﾞｶﾞ ﾎﾟ",
    "ㄱㅏ ﬁ\u0301 ``a''",
]


@pytest.mark.parametrize("name", TOKENIZERS)
@relaxed
@given(question=questions(), data=st.data())
def test_answers_come_back_to_the_letter(folder, name, question, data):
    text, start, stop = question
    offsets = encoded(TOKENIZERS[name](folder), text)
    assert found(offsets, text, start, stop) == (start, stop)
    # a part of a word comes back whole, and no longer where each character is a token
    edges = [*np.flatnonzero(grapheme_starts(text)).tolist(), len(text)]
    start, stop = sorted(data.draw(st.sets(st.sampled_from(edges), min_size=2, max_size=2)))
    if part := text[start:stop].strip():
        start = text.index(part, start)
        stop = start + len(part)
        first, last = found(offsets, text, start, stop)
        assert first <= start and stop <= last
        if name.startswith(("characters", "byte_level", "gpt2")) and "ㅏ" not in text:
            assert (first, last) == (start, stop)


def encoded(tokenizer: Tokenizer, text: str) -> np.ndarray:
    """The offsets, which cover all that is to be seen, in order: int64[t, 2]."""
    offsets = np.array(tokenizer.encode(text)[1], dtype=np.int64).reshape(-1, 2)
    assert (np.diff(offsets, axis=0) >= 0).all()
    covered = {i for start, stop in offsets.tolist() for i in range(start, stop)}
    assert {i for i, c in enumerate(text) if c != " " and unicodedata.category(c) != "Cf"} <= covered
    return offsets


def found(offsets: np.ndarray, text: str, start: int, stop: int) -> tuple[int, int]:
    """The characters of the tokens of an answer."""
    first, last = token_span(offsets, text, start, stop)
    return int(offsets[first, 0]), int(offsets[last, 1])


@functools.cache
def exported(name: str, folder: Path) -> tuple[FastTokenizer, list[str]]:
    tokenizer = TOKENIZERS[name](folder)
    symbols = ["<s>", "<pad>", "</s>", "<unk>", *tokenizer.symbols(), "<mask>", QUESTION]
    return fast_tokenizer(tokenizer, symbols), symbols


EXPORTED = [name for name in TOKENIZERS if not name.endswith(("prepended", "level-bert", "level-uncased"))]


@pytest.mark.parametrize("name", EXPORTED)
@relaxed
@given(question=questions())
@example(question=("ﾊﾞｶﾞ ﾎﾟ ～ İ A\u0305 ㄱㅏ", 0, 2))
@example(question=(unicodedata.normalize("NFD", "린트 각"), 0, 5))
def test_the_exported_tokenizer_gives_the_same_tokens_and_offsets(folder, name, question):
    text = question[0]
    tokenizer, (fast, symbols) = TOKENIZERS[name](folder), exported(name, folder)
    if isinstance(tokenizer, SentencePieceTokenizer) and stacked(text):
        return
    fast.tokenizer.encode_special_tokens = True
    encoding = fast.tokenizer.encode(text, add_special_tokens=False)
    wanted, offsets = tokenizer.encode(text)
    rows = [fast.dictionary_ids[number] for number in encoding.ids]
    assert ["<unk>" if row is None else symbols[row] for row in rows] == wanted
    places = exact_offsets(SimpleNamespace(backend_tokenizer=fast.tokenizer), text, encoding.offsets)
    seen = [piece not in "▁Ġ" for piece in encoding.tokens]  # nobody looks for white space
    assert [p for p, s in zip(places, seen, strict=True) if s] == [p for p, s in zip(offsets, seen, strict=True) if s]


def stacked(text: str) -> bool:
    """Whether a letter composes with a mark that another one stands before; SentencePiece has it otherwise."""
    decomposed, composed = (unicodedata.normalize(form, text) for form in ("NFKD", "NFKC"))
    return greedy(decomposed) != composed


def greedy(text: str) -> str:
    """Composed from left to right, two neighbours at a time."""
    made = ""
    for c in text:
        pair = unicodedata.normalize("NFC", made[-1:] + c)
        made = made[:-1] + pair if made and len(pair) == 1 else made + c
    return made
