"""Tokenizers' files and dictionaries: what loads gives places in the text, what cannot is refused in one line."""

from __future__ import annotations

from functools import cache

import numpy as np

from fairseq_littlebird.conversion.vocabulary import map_of_dictionary, map_of_tokenizer
from fairseq_littlebird.data.dictionary import load_dictionary, read_dictionary, vocabulary
from fairseq_littlebird.data.preparation import check_match
from fairseq_littlebird.text.tokenizers import UNKNOWN, dictionary_text, load_tokenizer
from fairseq_littlebird.text.training import train_sentencepiece

TEXTS = ("", "Zoe\u0301 sang, 😀 ann!", " İ ﬁ\u0301\0\ud800 ▁x\u2028 ##a </s>", "aaa\r\n\ufeffs\u0301\u0301")
WORDPIECE = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nzoe\nsang\n,\n!\na\n##a\n##nn\nx\n"
MERGES = "#version: 0.2\na n\nan n\nĠ s\n"
BYTES = [*map(chr, [*range(33, 127), *range(161, 173), *range(174, 256)]), *map(chr, range(256, 324))]
BYTE_VOCABULARY = {piece: n for n, piece in enumerate([*BYTES, "an", "ann", "Ġs", "<|endoftext|>"])}
ADDED = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
TOKENIZER = {"version": "1.0", "truncation": None, "padding": None, "post_processor": None, "decoder": None}
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "zoe", "sang", "a", "##a"]
BERT = TOKENIZER | {
    "added_tokens": [{"id": 1, "content": "[UNK]"} | ADDED],
    "normalizer": {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    },
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "model": {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": {piece: n for n, piece in enumerate(PIECES)},
    },
}
UNIGRAM = TOKENIZER | {
    "added_tokens": [],
    "normalizer": {"type": "NFKC"},
    "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
    "model": {
        "type": "Unigram",
        "unk_id": 0,
        "vocab": [["<unk>", 0.0], ["▁", -2.0], ["a", -3.5], ["n", -3.5], ["ann", -5.0]],
        "byte_fallback": False,
    },
}


def sane(tokenizer):
    known = {*tokenizer.symbols(), UNKNOWN}
    tokenizer.numbers()
    for text in TEXTS:
        symbols, offsets = tokenizer.encode(text)
        assert tokenizer.tokenize(text) == symbols and known.issuperset(symbols)
        assert len(symbols) == len(offsets)
        before = (0, 0)
        for start, stop in offsets:
            assert before[0] <= start <= stop <= len(text) and before[1] <= stop
            before = start, stop


def load(folder):
    tokenizer = load_tokenizer(folder)
    sane(tokenizer)
    text = dictionary_text(tokenizer)
    text.encode()


def test_wordpiece(hostile):
    settings = hostile.Json({"do_lower_case": True, "tokenize_chinese_chars": None})
    hostile.run({"vocab.txt": hostile.Lines(WORDPIECE), "tokenizer_config.json": settings}, read=load)


def test_byte_bpe(hostile):
    gpt2 = {
        "encoder.json": hostile.Json(BYTE_VOCABULARY),
        "vocab.bpe": hostile.Lines(MERGES),
        "dict.txt": hostile.Lines("1 9\n2 8\n"),
    }
    roberta = {"vocab.json": hostile.Json(BYTE_VOCABULARY), "merges.txt": hostile.Lines(MERGES)}
    hostile.run(gpt2, roberta, read=load)


def test_tokenizer_json(hostile):
    byte_bpe = TOKENIZER | {
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "unk_token": None, "vocab": BYTE_VOCABULARY, "merges": [["a", "n"], ["an", "n"]]},
    }
    hostile.run(*({"tokenizer.json": hostile.Json(content)} for content in (BERT, UNIGRAM, byte_bpe)), read=load)


@cache
def sentencepiece_model(folder):
    (folder / "text").write_text("Zoé sang to Ann, and Ann sang back.\n" * 9, "utf-8")
    train_sentencepiece([folder / "text"], 277, folder / "model")
    return (folder / "model").read_bytes()


def test_sentencepiece(hostile, tmp_path, monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    hostile.run({"sentencepiece.model": hostile.Bytes(sentencepiece_model(tmp_path))}, read=load)


def test_dictionaries(hostile):
    def read(folder):
        dictionary = load_dictionary(folder)
        facts = vocabulary(dictionary, folder)
        facts.word_boundaries(np.arange(len(dictionary)))
        facts.sentence_end()
        words = read_dictionary(folder / "dict.txt")
        tokenizer = load_tokenizer(folder / "vocab.txt")
        check_match(words, tokenizer, folder / "dict.txt")
        text = dictionary_text(tokenizer, folder / "dict.txt")
        lines = [line for line in text.split("\n") if line]
        count = len(lines) + 4 + (not any(line.startswith("<mask> ") for line in lines))
        map_of_dictionary(text.encode(), count, [], str(folder))
        numbers = tokenizer.numbers()
        map_of_tokenizer(tokenizer.symbols(), numbers, max(numbers.values()) + 1, [], str(folder))

    words = hostile.Lines("zoe 3\nsang 2\n##a 1\na 1\n, 1\n! 1\nx 1\n##nn 1")
    other = hostile.Lines("▁zoe 3\n<0xC3> 2\nĠa 1\n<mask> 1\nzoe 1\nsang 1\na 1\nx 1\n")
    vocab = {"vocab.txt": hostile.Lines(WORDPIECE)}
    hostile.run({"dict.txt": words} | vocab, {"dict.txt": other} | vocab, read=read, changed=1)


def test_numbered_dictionary(hostile):
    def read(folder):
        dictionary = load_dictionary(folder)
        vocabulary(dictionary, folder).word_boundaries(np.arange(len(dictionary)))

    words, numbers = "".join(f"{n} 1\n" for n in range(20)), {piece: n for n, piece in enumerate(BYTES[-30:])}
    hostile.run({"dict.txt": hostile.Lines(words), "encoder.json": hostile.Json(numbers)}, read=read)
