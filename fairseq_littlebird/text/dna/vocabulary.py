"""Byte-pair vocabularies over A, C, G, T and N, and how many bases each of their tokens has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.text.dna.fasta import Piece
from fairseq_littlebird.text.dna.nucleotides import ALPHABET
from fairseq_littlebird.text.tokenizers import Tokenizer
from fairseq_littlebird.text.training import train_on_sentences

SENTENCE = 1000
"""Bases of a sentence that a vocabulary is trained on."""
MEASURED = 1000
"""Sentences whose tokens are counted for :func:`bases_per_token`."""


def sample(pieces: Iterable[Piece], bases: int, seed: int = 1, length: int = SENTENCE) -> list[str]:
    """Stretches of ``length`` bases or fewer, drawn evenly from all of them, in their order.

    Args:
        pieces: of records; a stretch may end with its piece.
        bases: at most so many altogether, but at least one stretch.
        seed: of the draw.
        length: of a stretch.
    """
    rng = np.random.default_rng(seed)
    drawn: list[tuple[int, str]] = []
    most, count = max(1, bases // length), 0
    for piece in pieces:
        for start in range(0, len(piece.bases), length):
            place = count if count < most else int(rng.integers(count + 1))  # reservoir sampling
            if place < most:
                stretch = (count, piece.bases[start : start + length].decode("ascii"))
                drawn[place : place + 1] = [stretch]
            count += 1
    return [stretch for _, stretch in sorted(drawn)]


def train_vocabulary(stretches: Sequence[str], where: str, vocab_size: int, destination: Path, kind: str) -> None:
    """Trains a SentencePiece model of ``ALPHABET`` and writes it to ``destination``.

    It puts no space before a text, changes no letter, has no bytes and knows all letters, whether they occur or not.

    Args:
        stretches: bases.
        where: what an error calls their file.
        vocab_size: pieces, the three control symbols included.
        destination: the ``.model`` file.
        kind: ``bpe`` or ``unigram``.
    Raises:
        UserError: too little DNA for ``vocab_size``.
    """
    train_on_sentences(
        iter([*stretches, *ALPHABET]),
        where,
        vocab_size,
        destination,
        model_type=kind,
        byte_fallback=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_by_whitespace=False,
    )


def bases_per_token(stretches: Sequence[str], tokenizer: Tokenizer) -> float:
    """How many bases a token has on average.

    Args:
        stretches: bases, at least one.
        tokenizer: of DNA.
    """
    return sum(map(len, stretches)) / sum(len(tokenizer.tokenize(stretch)) for stretch in stretches)


def base_counts(symbols: Sequence[str]) -> np.ndarray:
    """int64[V]: the bases that each symbol of a dictionary stands for, 0 where it is none of DNA."""
    letters = set(ALPHABET)
    return np.array([len(symbol) if set(symbol) <= letters else 0 for symbol in symbols], dtype=np.int64)


def check_dna_tokenizer(tokenizer: Tokenizer, where: str | Path) -> None:
    """Raises UserError where a tokenizer does not spell every sequence of ``ALPHABET`` base by base.

    Args:
        tokenizer: any.
        where: its file, for the message.
    """
    for text in (*ALPHABET, "".join(a + b for a in ALPHABET for b in ALPHABET)):
        if "".join(tokenizer.tokenize(text)) != text:
            raise UserError(
                f"this tokenizer does not spell {text[:10]} in tokens of the letters {ALPHABET} alone",
                str(where),
                f"train one: littlebird-prepare tokenizer --fasta FILE --alphabet {ALPHABET} --kind bpe",
            )
