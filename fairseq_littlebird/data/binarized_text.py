"""Text as fairseq-preprocess binarized it."""

from __future__ import annotations

import codecs

from fairseq.data import indexed_dataset

from fairseq_littlebird.data.mapped_items import MappedItems
from fairseq_littlebird.data.shards import folders_read
from fairseq_littlebird.errors import UserError


def check_text(data: str, split: str, epoch: int = 1, part: str = "", training: bool = False) -> None:
    """Raises UserError where a split is missing or truncated, or its dictionary begins with a byte-order mark.

    fairseq would find out later, or never: to fairseq-preprocess the mark is a part of the first symbol.

    Args:
        data: folders joined by colons, one an epoch in turn.
        split: ``train``, ``valid`` or ``test``.
        epoch: counted from 1.
        part: the subfolder of each that has the text.
        training: check the folders of all epochs.
    """
    for folder in folders_read(data, training, epoch):
        dictionary, path = folder / part / "dict.txt", folder / part / split
        if dictionary.is_file() and dictionary.read_bytes().startswith(codecs.BOM_UTF8):
            fault = "begins with a byte-order mark, so that its first symbol was taken for an unknown one in the text"
            raise UserError(fault, str(dictionary), "save it without the mark, and binarize the text again")
        if not indexed_dataset.dataset_exists(str(path), impl=None):
            there = sorted({file.stem for file in path.parent.glob("*.idx")})
            remedy = f"name one of {', '.join(there)}" if there else "binarize it: fairseq-preprocess --only-source"
            raise UserError("no such split", str(path), remedy)
        if indexed_dataset.infer_dataset_impl(str(path)) == "mmap":
            MappedItems(path)
