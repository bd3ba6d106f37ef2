"""The exported tokenizer against our own: the same tokens at the same places."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
import sentencepiece

from fairseq_littlebird.data.dictionary import load_dictionary
from fairseq_littlebird.data.model_folder import model_tokenizer
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.export.fast_tokenizer import NAMES, FastTokenizer, fast_tokenizer
from fairseq_littlebird.text.tokenizers import QUESTION, SentencePieceTokenizer, load_tokenizer

KINDS = ["unigram", "unigram_bytes", "bpe", "bpe_bytes", "wordpiece", "gpt2", "json"]

PLAIN = [
    "The stone bridge, painted in 1889 (twice), is in Oslo.",
    "한국어 문장을 하나 읽었다. 漢字도 있다!",
    "  two  spaces, a\ttab\nand a line \u3000 ",
    "literally [QUESTION] <s> </s> <mask> <unk> <p> <0xE2> [SEP] <entity> <|endoftext|>",
    "👩\u200d👩\u200d👧 🇰🇷 stonework ½ ㎏ ﬁne $5 it's ▁ Ġ ##ing",
    "café naïve Ångström",
]
MARKS = ["Cafe\u0301 na\u0131\u0308ve", "\u1112\u1161\u11ab\u1100\u116e\u11a8", "x\u0301 カ\u3099"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_and_the_dictionary_of_its_model(vocabulary, kind, tmp_path):
    """A dictionary may lack most of the tokenizer's words: those that its corpus lacks."""
    assert model_tokenizer(vocabulary(kind), None, "", "").kind == load_tokenizer(vocabulary(kind)).kind
    lines = (vocabulary(kind) / "dict.txt").read_text("utf-8").splitlines()
    (tmp_path / "dict.txt").write_text("\n".join(lines[-40:]) + "\n", "utf-8")
    assert model_tokenizer(tmp_path, vocabulary(kind), "", "").symbols()


@pytest.mark.parametrize(("kind", "other"), [("gpt2", "unigram"), ("unigram_bytes", "gpt2"), ("bpe", "wordpiece")])
def test_a_tokenizer_of_other_words(vocabulary, kind, other, tmp_path):
    lines = (vocabulary(kind) / "dict.txt").read_text("utf-8").splitlines()
    words = [line for line in lines if len(line.split()[0]) > 1]  # letters are in every vocabulary
    (tmp_path / "dict.txt").write_text("\n".join(words) + "\n", "utf-8")
    with pytest.raises(UserError, match="a tokenizer with another vocabulary than the model's; give the model's own"):
        model_tokenizer(tmp_path, vocabulary(other), "", "")


@pytest.fixture(scope="module", params=KINDS)
def both(request, vocabulary):
    pytest.importorskip("tokenizers")
    pytest.importorskip("google.protobuf")
    folder = vocabulary(request.param)
    symbols = load_dictionary(folder).symbols
    tokenizer = load_tokenizer(folder)
    return tokenizer, fast_tokenizer(tokenizer, symbols), symbols


def encoded(fast, symbols, text, pair=None):
    """Dictionary symbols, offsets and token types."""
    fast.tokenizer.encode_special_tokens = True
    encoding = fast.tokenizer.encode(text, pair, add_special_tokens=pair is not None)
    rows = [fast.dictionary_ids[number] for number in encoding.ids]
    return ["<unk>" if row is None else symbols[row] for row in rows], encoding.offsets, encoding.type_ids


@pytest.mark.parametrize("text", [*PLAIN, *MARKS])
def test_the_same_tokens_at_the_same_places(both, text):
    tokenizer, fast, symbols = both
    wanted, places = tokenizer.encode(text)
    found, offsets, _ = encoded(fast, symbols, text)
    assert found == wanted
    compared = 0
    for symbol, ours, theirs in zip(wanted, places, offsets, strict=True):
        if symbol == "▁" or not text[slice(*ours)].strip():
            continue  # nothing to see
        assert theirs[0] == ours[0]
        rest = text[theirs[1] : ours[1]]  # our tokens keep the marks of their last letter
        assert text in MARKS or not rest
        assert all(unicodedata.category(c)[0] == "M" or "\u1100" <= c <= "\u11ff" for c in rest)
        compared += 1
    assert compared


def test_a_pair_is_packed_as_the_task_packs_it(both):
    tokenizer, fast, symbols = both
    question, context = "Which bridge?", "The stone one. "
    found, _, types = encoded(fast, symbols, question, context)
    first, second = tokenizer.tokenize(question), tokenizer.tokenize(context)
    assert found == ["<s>", QUESTION, *first, "</s>", *second, "</s>"]
    assert types == [0] * (len(first) + 3) + [1] * (len(second) + 1)


def test_every_word_of_the_dictionary_has_one_number(both):
    _, fast, symbols = both
    taken = [row for row in fast.dictionary_ids if row is not None]
    assert sorted(taken) == [n for n, symbol in enumerate(symbols) if not symbol.startswith("madeupword")]
    special = {token.content for token in fast.tokenizer.get_added_tokens_decoder().values() if token.special}
    assert {"<p>", QUESTION} <= special


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"model_type": "char"}, "is neither Unigram nor BPE"),
        ({"remove_extra_whitespaces": False}, "other rules for white space"),
        ({"treat_whitespace_as_suffix": True}, "other rules for white space"),
        ({"user_defined_symbols": ["bridge"]}, "symbols of its user's"),
    ],
)
def test_what_transformers_cannot_follow_is_refused(settings, reason, tmp_path):
    pytest.importorskip("google.protobuf")
    text = ["The stone bridge of Oslo was painted twice by night."] * 5
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text), model_prefix=str(tmp_path / "m"), vocab_size=40, hard_vocab_limit=False,
        minloglevel=2, **settings,
    )  # fmt: skip
    with pytest.raises(UserError, match=reason):
        fast_tokenizer(SentencePieceTokenizer(tmp_path / "m.model"), ["<s>", "<pad>", "</s>", "<unk>"])


def test_settings_are_utf8_in_every_locale(tmp_path, monkeypatch):
    tokenizers = pytest.importorskip("tokenizers")
    write_text = Path.write_text
    monkeypatch.setattr(Path, "write_text", lambda path, text, encoding="ascii": write_text(path, text, encoding))
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"끝": 0}, "끝"))
    FastTokenizer(tokenizer, [0], dict.fromkeys(NAMES, 0)).save(tmp_path, False, False)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text("utf-8"))["mask_token"] == "끝"
