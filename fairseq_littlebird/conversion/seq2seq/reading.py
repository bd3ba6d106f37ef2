"""A pretrained encoder–decoder, or an encoder alone, of any supported format."""

from __future__ import annotations

from pathlib import Path

from fairseq_littlebird.checkpoints.tensors import CHECKPOINTS, find_checkpoint
from fairseq_littlebird.conversion.reading import read_source
from fairseq_littlebird.conversion.seq2seq.fairseq_bart import is_bart, read_bart
from fairseq_littlebird.conversion.seq2seq.hugging_face import is_seq2seq, read_seq2seq
from fairseq_littlebird.conversion.seq2seq.source import Seq2SeqSource
from fairseq_littlebird.errors import UserError


def read_any(path: str | Path) -> Seq2SeqSource:
    """Reads BART, LED, Pegasus or BigBird-Pegasus, or what :func:`read_source` reads.

    Args:
        path: a fairseq checkpoint, a folder with one, or a Hugging Face folder.
    Raises:
        UserError: neither; or one that no encoder–decoder here can start from.
    """
    path = Path(path)
    if path.is_dir() and is_seq2seq(path):
        return read_seq2seq(path)
    checkpoint = path
    if not (path / "config.json").exists() and any((path / name).is_file() for name in CHECKPOINTS):
        checkpoint = find_checkpoint(path)
    if checkpoint.is_file() and checkpoint.suffix == ".pt" and is_bart(checkpoint):
        return read_bart(checkpoint)
    encoder = read_source(path)
    if encoder.config.word_embed_dim:
        raise UserError(
            f"token embeddings of width {encoder.config.word_embed_dim}, hidden states of {encoder.config.embed_dim}",
            str(path),
            "a decoder needs them of one width: start from another model",
        )
    return Seq2SeqSource(encoder, {})
