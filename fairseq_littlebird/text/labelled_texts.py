"""Labelled texts: a file of records, or a folder whose subfolders are the labels, with a text file each text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fairseq_littlebird.formats.opening import open_text
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import open_records
from fairseq_littlebird.formats.texts import REMEDY, Text, label_name, parse_texts
from fairseq_littlebird.text.tokenizers import without_surrogates


def read_labelled(path: Path, log: ReadingLog | None = None) -> Iterator[Text]:
    """The texts of a file, in its order, or of a folder, in the order of the names.

    A folder's texts are the files anywhere below its subfolders, whose names are the labels; without subfolders
    its own files are texts without labels. Names that begin with a dot are left out.

    Args:
        path: JSON lines, a JSON list, columns or a table, plain or compressed; or a folder.
        log: takes notes, and skips bad records if it is to.

    Raises:
        UserError: names the file, and the record, that is not of this format.
    """
    return _read_folder(path) if path.is_dir() else _read_file(path, log or ReadingLog())


def _read_folder(path: Path) -> Iterator[Text]:
    labels = sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    for label in labels or [""]:
        for file in sorted((path / label).rglob("*")):
            name = file.relative_to(path)
            if file.is_dir() or any(part.startswith(".") for part in name.parts):
                continue
            with open_text(file) as stream:
                text = stream.read()
            known = (label_name(label, str(path / label), ReadingLog()),) if label else None
            yield Text(without_surrogates(name.as_posix()), str(file), text, None, known, False)


def _read_file(path: Path, log: ReadingLog) -> Iterator[Text]:
    with open_records(path, REMEDY) as records:
        for text in parse_texts(records, log):
            yield text._replace(
                id=without_surrogates(text.id),
                text=without_surrogates(text.text),
                second=None if text.second is None else without_surrogates(text.second),
                labels=None if text.labels is None else tuple(map(without_surrogates, text.labels)),
            )
