"""Sequences and labels as arrays in ``.npz`` files, one-hot as DeepSEA's; read row by row."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from fairseq_littlebird.errors import UserError

BASE_ORDER = "AGCT"
"""DeepSEA's."""
_ROWS = 256
_REMEDY = "save two arrays: sequences [N, 4, L] or [N, L, 4], and labels [N, K]"


def read_one_hot(
    path: str | Path, width: int | None = None, base_order: str = BASE_ORDER
) -> Iterator[tuple[bytes, list[int]]]:
    """The bases and the label numbers of each row.

    Args:
        path: an ``.npz`` file with an array of three dimensions, the sequences, and one of two, the labels; whatever
            their names.
        width: how many labels there should be, or None.
        base_order: which base each of the four numbers stands for; where not one of them is 1, the base is N.
    Raises:
        UserError: not such a file, labels of another width, or numbers other than 0 and 1, with the row.
    """
    with _arrays(path) as (sequences, labels):
        if width not in (None, labels.shape[1]):
            what = f"{labels.shape[1]:,} labels instead of {width:,}"
            raise UserError(what, str(path), "give as many as there are names")
        letters = np.frombuffer(f"{base_order}N".encode(), np.uint8)
        axis, number = 1 if sequences.shape[1] == 4 else 2, 0
        for one_hot, has in zip(sequences.rows(), labels.rows(), strict=True):
            for block in (one_hot, has):
                if not ((block == 0) | (block == 1)).all():
                    raise UserError("expected 0 and 1 alone", f"{path}, rows from {number:,}", _REMEDY)
            known = one_hot.sum(axis=axis) == 1
            bases = letters[np.where(known, one_hot.argmax(axis=axis), 4)]
            for own, row in zip(bases, has, strict=True):
                yield own.tobytes(), np.flatnonzero(row).tolist()
            number += len(bases)


def label_width(path: str | Path) -> int:
    """How many labels a file has. Raises UserError as :func:`read_one_hot`."""
    with _arrays(path) as (_, labels):
        return labels.shape[1]


@contextmanager
def _arrays(path: str | Path) -> Iterator[tuple[_Member, _Member]]:
    """The sequences and the labels of a file."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name: _Member(archive, name, path) for name in archive.namelist() if name.endswith(".npy")}
            sequences = [one for one in members.values() if len(one.shape) == 3 and 4 in one.shape[1:]]
            labels = [one for one in members.values() if len(one.shape) == 2]
            if len(sequences) != 1 or len(labels) != 1 or sequences[0].shape[0] != labels[0].shape[0]:
                found = ", ".join(f"{name.removesuffix('.npy')} {one.shape}" for name, one in members.items())
                raise UserError(f"it holds {found or 'no array'}", str(path), _REMEDY)
            yield sequences[0], labels[0]
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        # RuntimeError is of what is encrypted, or packed in a way that Python does not know
        raise UserError("not a readable .npz file", str(path), _REMEDY) from error
    except OSError as error:
        raise UserError(error.strerror or str(error), str(path), "check the path and its permissions") from error


class _Member:
    """An array of an archive."""

    def __init__(self, archive: zipfile.ZipFile, name: str, path: str | Path) -> None:
        self._archive, self._name = archive, name
        try:
            with archive.open(name) as file:
                self.shape, fortran, self._dtype = self._header(file)
        except ValueError as error:
            raise UserError(f"no array in {name}", str(path), _REMEDY) from error
        if fortran or self._dtype.kind not in "biuf":
            raise UserError(f"{name} is of the type {self._dtype}, or by columns", str(path), _REMEDY)

    def _header(self, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        found: tuple[tuple[int, ...], bool, np.dtype] = read(file)
        return found

    def rows(self) -> Iterator[np.ndarray]:
        """Some rows at a time."""
        count, *rest = self.shape
        size = int(np.prod(rest)) * self._dtype.itemsize
        with self._archive.open(self._name) as file:
            self._header(file)
            for start in range(0, count, _ROWS):
                here = min(_ROWS, count - start)
                content = file.read(here * size)
                if len(content) < here * size:
                    raise EOFError
                yield np.frombuffer(content, self._dtype).reshape(here, *rest)
