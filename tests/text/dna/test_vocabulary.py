"""Byte-pair vocabularies of DNA."""

from __future__ import annotations

import random

import pytest
from helpers.dna import text_tokenizer

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.dna.fasta import Piece
from fairseq_littlebird.text.dna.vocabulary import (
    base_counts,
    bases_per_token,
    check_dna_tokenizer,
    sample,
    train_vocabulary,
)
from fairseq_littlebird.text.tokenizers import load_tokenizer


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A vocabulary of DNA without any N, in which a word of ten letters recurs."""
    rng = random.Random(0)
    stretches = ["".join("TATAAAGGCC" if rng.random() < 0.1 else rng.choice("ACGT") for _ in range(800))] * 40
    path = tmp_path_factory.mktemp("vocabulary") / "sentencepiece.model"
    train_vocabulary(stretches, "x.fa", 100, path, "bpe")
    return load_tokenizer(path), stretches


def test_every_sequence_is_spelled_base_by_base(trained):
    tokenizer, stretches = trained
    check_dna_tokenizer(tokenizer, "x")
    rng = random.Random(1)
    for _ in range(50):
        text = "".join(rng.choices("ACGTN", [9, 9, 9, 9, 1], k=rng.randint(1, 300)))
        tokens = tokenizer.tokenize(text)
        assert "".join(tokens) == text and base_counts(tokens).sum() == len(text)
    assert set("".join(tokenizer.symbols())) == set("ACGTN")
    assert not [symbol for symbol in tokenizer.symbols() if "\u2581" in symbol or symbol.startswith("<0x")]
    assert 100 - 3 == len(tokenizer.symbols())
    tokens = [len(tokenizer.tokenize(stretch)) for stretch in stretches]
    assert bases_per_token(stretches, tokenizer) == pytest.approx(sum(map(len, stretches)) / sum(tokens))
    assert "TATAAAGGCC" in tokenizer.symbols()


def test_only_tokens_of_dna_have_bases():
    assert (
        base_counts(["<s>", "A", "ACGTN", "\u2581AC", "[QUESTION]", "<mask>", "acgt"]).tolist() == [0, 1, 5] + [0] * 4
    )


def test_a_tokenizer_of_text_is_refused(tmp_path):
    with pytest.raises(UserError, match="x.model: this tokenizer does not spell .* --fasta FILE"):
        check_dna_tokenizer(load_tokenizer(text_tokenizer(tmp_path)), "x.model")


def test_a_sample_is_drawn_evenly():
    pieces = [Piece("a", start, bytes([65 + start // 100]) * 95) for start in range(0, 2600, 100)]
    everything = sample(pieces, 10**6, length=10)
    assert [len(stretch) for stretch in everything[:11]] == [10] * 9 + [5, 10]
    assert "".join(everything) == b"".join(piece.bases for piece in pieces).decode()
    counts = dict.fromkeys(everything, 0)
    for seed in range(200):
        drawn = sample(pieces, 300, seed, length=10)
        assert len(drawn) == 30 and drawn == sorted(drawn, key=lambda stretch: stretch[0])
        for stretch in drawn:
            counts[stretch] += 1
    first, last = sum(counts[s] for s in everything[:40]), sum(counts[s] for s in everything[-40:])
    assert 0.8 < first / last < 1.25 and sample(pieces, 300, 3, length=10) == sample(pieces, 300, 3, length=10)
