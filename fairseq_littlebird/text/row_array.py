"""Arrays in ``.npy`` files, written and read row by row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np


class RowArray:
    """A ``.npy`` file of the shape [rows, width]; a context manager, at whose end the file's header is complete.

    Args:
        path: the file.
        width: numbers of a row.
        dtype: of the numbers.
    """

    def __init__(self, path: Path, width: int, dtype: type) -> None:
        self._path, self._width, self._dtype, self._count = path, width, np.dtype(dtype), 0

    def __enter__(self) -> RowArray:
        self._file = self._path.open("wb")
        self._header(0)
        self._start = self._file.tell()
        return self

    def __exit__(self, *error: object) -> None:
        with self._file as file:
            file.seek(0)
            self._header(self._count)

    def _header(self, count: int) -> None:
        # numpy leaves room in a header for more rows
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (count, self._width)}
        np.lib.format.write_array_header_1_0(self._file, header)

    def add(self, row: np.ndarray) -> None:
        """One row [width], behind the last one."""
        self.put(self._count, row)

    def put(self, index: int, row: np.ndarray) -> None:
        """The row [width] of a number; rows may come in any order, and each has to come."""
        if len(row) != self._width:
            raise ValueError(f"a row of {len(row)} numbers instead of {self._width}")
        place = self._start + index * self._width * self._dtype.itemsize
        if self._file.tell() != place:
            self._file.seek(place)
        self._file.write(np.asarray(row, self._dtype).tobytes())
        self._count = max(self._count, index + 1)

    def put_all(self, indices: np.ndarray, rows: np.ndarray) -> None:
        """The rows [n, width] of numbers int[n]."""
        for index, row in zip(indices.tolist(), rows, strict=True):
            self.put(index, row)


class StoredRows:
    """The rows of a ``.npy`` file that :class:`RowArray` has written; one at a time is in memory.

    A context manager.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        np.lib.format.read_magic(self._file)
        (self._count, self._width), _, self._dtype = np.lib.format.read_array_header_1_0(self._file)
        self._start = self._file.tell()

    def __enter__(self) -> StoredRows:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        return int(self._count)

    def __getitem__(self, index: int) -> np.ndarray:
        """[width]."""
        if not 0 <= index < self._count:
            raise IndexError(index)
        size = self._width * self._dtype.itemsize
        return np.frombuffer(os.pread(self._file.fileno(), size, self._start + index * size), self._dtype)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))
