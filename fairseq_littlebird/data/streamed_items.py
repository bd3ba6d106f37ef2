"""Writes fairseq's memory-mapped data sets of any number of items in memory that does not grow."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType

import numpy as np
from fairseq.data.indexed_dataset import MMapIndexedDataset, _dtype_header_code

_PART = 1 << 16


class StreamedItems:
    """The same files as ``MMapIndexedDatasetBuilder``, which keeps a Python integer an item; a context manager.

    Args:
        path: of the files, without ``.bin`` and ``.idx``.
        dtype: of the numbers.
    """

    def __init__(self, path: Path, dtype: type) -> None:
        self._path, self._dtype = path, np.dtype(dtype)
        self._code = _dtype_header_code(dtype)
        self._count = 0

    def __enter__(self) -> StreamedItems:
        self._data = Path(f"{self._path}.bin").open("wb")
        self._sizes = Path(f"{self._path}.sizes").open("w+b")
        return self

    def add(self, item: np.ndarray) -> None:
        """One item, any integers [L] that the type holds."""
        self._data.write(item.astype(self._dtype).tobytes())
        self._sizes.write(struct.pack("<i", len(item)))
        self._count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._data.close()
        with self._sizes:
            if kind is None:
                self._write_index()
        Path(self._sizes.name).unlink()

    def _write_index(self) -> None:
        with Path(f"{self._path}.idx").open("wb") as index:
            index.write(MMapIndexedDataset.Index._HDR_MAGIC + struct.pack("<QBQ", 1, self._code, self._count))
            self._sizes.seek(0)
            while part := self._sizes.read(_PART):
                index.write(part)
            self._sizes.seek(0)
            start = 0
            while part := self._sizes.read(_PART):
                lengths = np.frombuffer(part, "<i4").astype(np.int64) * self._dtype.itemsize
                ends = start + np.cumsum(lengths)
                index.write((ends - lengths).tobytes())
                start = int(ends[-1])
