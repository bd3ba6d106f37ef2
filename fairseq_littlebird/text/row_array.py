"""Arrays in ``.npy`` files, written row by row."""

from __future__ import annotations

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
        """One row [width]."""
        if len(row) != self._width:
            raise ValueError(f"a row of {len(row)} numbers instead of {self._width}")
        self._file.write(np.asarray(row, self._dtype).tobytes())
        self._count += 1
