"""A pretrained model of any supported format."""

from __future__ import annotations

from pathlib import Path

from fairseq_littlebird.checkpoints.tensors import CHECKPOINTS, find_checkpoint
from fairseq_littlebird.conversion.fairseq_checkpoint import read_fairseq
from fairseq_littlebird.conversion.hugging_face import read_hugging_face
from fairseq_littlebird.conversion.source import Source
from fairseq_littlebird.errors import UserError


def read_source(path: str | Path) -> Source:
    """Reads a pretrained encoder.

    Args:
        path: a fairseq checkpoint, a folder with one of ``CHECKPOINTS``, or a Hugging Face folder.
    Raises:
        UserError: neither; or one that LittleBird cannot start from.
    """
    path = Path(path)
    if not path.exists():
        raise UserError("no such file or folder", str(path), "check the path")
    if path.is_file():
        if path.suffix != ".pt":
            raise UserError("not a fairseq checkpoint", str(path), "give a .pt file, or the folder of a model")
        return read_fairseq(path)
    if (path / "config.json").exists():
        return read_hugging_face(path)
    if not any((path / name).is_file() for name in CHECKPOINTS):
        raise UserError(
            f"neither config.json (Hugging Face) nor one of {', '.join(CHECKPOINTS)} (fairseq) in this folder",
            str(path),
            "name the checkpoint's file or another folder",
        )
    return read_fairseq(find_checkpoint(path))
