"""Training a SentencePiece vocabulary on text files."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.opening import open_text
from fairseq_littlebird.signals import interruptible

_SENTENCE = 1000  # characters; SentencePiece leaves out sentences of more than a few thousand bytes
_SENTENCES = 2_000_000


def train_sentencepiece(
    files: Iterable[str | Path],
    vocab_size: int,
    destination: Path,
    model_type: str = "unigram",
    byte_fallback: bool = True,
    coverage: float = 0.9995,
) -> None:
    """Trains a model and writes it to ``destination``; the same text gives the same model.

    Args:
        files: UTF-8 text, one paragraph a line or longer; at most two million pieces of it are drawn.
        vocab_size: pieces, the three control symbols included.
        destination: the ``.model`` file.
        model_type: ``unigram`` or ``bpe``.
        byte_fallback: characters outside the vocabulary become bytes instead of ``<unk>``.
        coverage: share of the text's characters that get a piece of their own.

    Raises:
        UserError: no text, or too little for ``vocab_size``.
    """
    paths = [Path(file) for file in files]
    train_on_sentences(
        _sentences(paths),
        ", ".join(map(str, paths)),
        vocab_size,
        destination,
        model_type=model_type,
        byte_fallback=byte_fallback,
        character_coverage=coverage,
    )


def train_on_sentences(
    sentences: Iterator[str], where: str, vocab_size: int, destination: Path, **settings: Any
) -> None:
    """Trains a model and writes it to ``destination``; the same sentences give the same model.

    Args:
        sentences: at most two million of them are drawn.
        where: what an error calls their files.
        vocab_size: pieces, the three control symbols included.
        destination: the ``.model`` file.
        settings: SentencePiece's own.

    Raises:
        UserError: no sentence, or too little text for ``vocab_size``.
    """
    model = interruptible(lambda: _trained(sentences, where, vocab_size, settings))
    destination.write_bytes(model)


def _trained(sentences: Iterator[str], where: str, vocab_size: int, settings: dict[str, Any]) -> bytes:
    """The content of a model file."""
    import sentencepiece

    sentencepiece.set_random_generator_seed(1)
    model = io.BytesIO()
    first = next(sentences, None)  # a pipe is read once
    if first is None:
        raise UserError("no text", where=where, remedy="give files with text in them")
    read = tqdm(itertools.chain([first], sentences), desc="reading text", unit=" sentences", mininterval=0.5)
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(read),
            model_writer=model,
            vocab_size=vocab_size,
            input_sentence_size=_SENTENCES,
            shuffle_input_sentence=True,
            max_sentence_length=_SENTENCE * 4,
            train_extremely_large_corpus=False,
            minloglevel=2,
            **settings,
        )
    except RuntimeError as error:
        raise UserError(
            f"SentencePiece cannot train ({_reason(str(error))})",
            where=where,
            remedy=f"give more text or another --vocab-size than {vocab_size}",
        ) from error
    return model.getvalue()


def _sentences(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        with open_text(path) as lines:
            for line in lines:
                yield from re.findall(rf"\S.{{0,{_SENTENCE - 1}}}(?=\s|$)|\S{{1,{_SENTENCE}}}", line.strip())


def _reason(message: str) -> str:
    """The sentence for people in SentencePiece's message, which starts with a source line."""
    return message.rpartition("] ")[2].strip().rstrip(".") or "unknown reason"
