from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from fairseq.data.indexed_dataset import MMapIndexedDatasetBuilder

from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.errors import UserError


def written(path: Path, items: list[np.ndarray]) -> MappedItems:
    builder = MMapIndexedDatasetBuilder(f"{path}.bin", dtype=np.int32)
    for item in items:
        builder.add_item(torch.from_numpy(item))
    builder.finalize(f"{path}.idx")
    return MappedItems(path)


def test_items_and_parts(tmp_path):
    items = [np.arange(n, dtype=np.int32) + 10 * n for n in (3, 0, 5)]
    mapped = written(tmp_path / "items", items)
    for found in (mapped, pickle.loads(pickle.dumps(mapped))):
        assert [found[i].tolist() for i in range(3)] == [item.tolist() for item in items]
        for bounds in ((0, None), (1, 3), (2, 99), (3, 2), (-2, None), (0, 0)):
            assert found.part(2, *bounds).tolist() == items[2][slice(*bounds)].tolist()
        for index in (-1, 3):
            with pytest.raises(IndexError):
                found[index]


def test_reading_items_keeps_no_page(tmp_path):
    """Memory must not grow to the size of the data set."""
    mapped = written(tmp_path / "items", [np.zeros(1 << 20, np.int32)] * 16)

    def pages_of_files() -> int:
        return int(Path("/proc/self/status").read_text("ascii").split("RssFile:")[1].split()[0])

    before = pages_of_files()
    assert sum(int(mapped[i].sum()) for i in range(16)) == 0
    assert pages_of_files() - before < 16 << 10  # KiB, of 64 MiB


def test_a_file_cut_while_open(tmp_path):
    mapped = written(tmp_path / "items", [np.arange(5, dtype=np.int32)])
    (tmp_path / "items.bin").write_bytes(b"\0" * 8)
    with pytest.raises(UserError, match="items.bin"):
        mapped[0]
