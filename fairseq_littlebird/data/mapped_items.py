"""fairseq's memory-mapped data files, opened lazily and checked."""

from __future__ import annotations

import os
import struct
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from fairseq.data.indexed_dataset import MMapIndexedDataset, _code_to_dtype

from fairseq_littlebird.errors import UserError

_HEADER = struct.Struct("<9sQBQ")  # magic, version, code of the item type, number of items
_AGAIN = "copy the file again, or make the folder again"


class MappedItems:
    """Items of an MMapIndexedDataset; unlike fairseq's own class it does not read the files to open them.

    Items are read, not mapped: every page of a mapping that was ever touched counts as the process's memory, which
    would grow to the size of the data set. Processes may share an object.

    Args:
        path: of the files, without ``.bin`` and ``.idx``.
    Raises:
        UserError: a file is missing, truncated, or of another kind.
    """

    def __init__(self, path: Path) -> None:
        index, data = Path(f"{path}.idx"), Path(f"{path}.bin")
        for file in (index, data):
            if not file.exists():
                raise UserError("missing", where=str(file), remedy=_AGAIN)
        with index.open("rb") as stream:
            header = stream.read(_HEADER.size)
        if len(header) < _HEADER.size or header[:9] != MMapIndexedDataset.Index._HDR_MAGIC:
            raise UserError("not an index file, or truncated", where=str(index), remedy=_AGAIN)
        _, _, code, count = _HEADER.unpack(header)
        if code not in _code_to_dtype:
            raise UserError(f"numbers of an unknown type, {code}", where=str(index), remedy=_AGAIN)
        _check_size(index, _HEADER.size + count * (4 + 8))
        self._path = path
        self._dtype = np.dtype(_code_to_dtype[code])
        self.sizes = _map(index, np.int32, count, _HEADER.size)
        self._starts = _map(index, np.int64, count, _HEADER.size + self.sizes.nbytes)
        self._length = int(self._starts[-1]) + int(self.sizes[-1]) * self._dtype.itemsize if count else 0
        _check_size(data, self._length)
        self._file = os.open(data, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __reduce__(self) -> tuple[Any, ...]:
        return MappedItems, (self._path,)

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.part(index)

    def part(self, index: int, first: int = 0, stop: int | None = None) -> np.ndarray:
        """``item[first:stop]``, read-only; no more than this is read.

        Raises:
            UserError: the index is damaged, or the file was cut since it was opened.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"item {index} of {len(self)} in {self._path}")
        size, start = int(self.sizes[index]), int(self._starts[index])
        if min(size, start) < 0 or start + size * self._dtype.itemsize > self._length:
            raise UserError(f"damaged: item {index} is not in the file", where=f"{self._path}.idx", remedy=_AGAIN)
        first, stop, _ = slice(first, stop).indices(size)
        length = max(0, stop - first) * self._dtype.itemsize
        read = os.pread(self._file, length, start + first * self._dtype.itemsize)
        if len(read) < length:
            raise UserError("truncated while it was read", where=f"{self._path}.bin", remedy=_AGAIN)
        return np.frombuffer(read, self._dtype)

    def start(self, index: int) -> int:
        """How many numbers the items before one have."""
        return int(self._starts[index]) // self._dtype.itemsize

    def stretch(self, first: int, stop: int) -> np.ndarray:
        """The numbers ``first`` to ``stop`` of all items, one after the other, read-only; no more than this is read.

        Raises:
            UserError: they are not in the file, or it was cut since it was opened.
        """
        width = self._dtype.itemsize
        read = os.pread(self._file, (stop - first) * width, first * width)
        if first < 0 or len(read) < (stop - first) * width:
            raise UserError("truncated", where=f"{self._path}.bin", remedy=_AGAIN)
        return np.frombuffer(read, self._dtype)

    def rows(self, width: int) -> np.ndarray:
        """[number of items, width], mapped: all items, of ``width`` numbers each."""
        data = self._path.with_name(f"{self._path.name}.bin")
        _check_size(data, len(self) * width * self._dtype.itemsize)
        return _map(data, self._dtype, len(self) * width, 0).reshape(-1, width)


def _map(path: Path, dtype: type | np.dtype, count: int, offset: int) -> np.ndarray:
    # nothing cannot be mapped
    return np.asarray(np.memmap(path, dtype, "r", offset, (count,))) if count else np.zeros(0, dtype)


def _check_size(path: Path, expected: int) -> None:
    size = path.stat().st_size
    if size != expected:
        raise UserError(f"truncated: {size} bytes instead of {expected}", where=str(path), remedy=_AGAIN)
