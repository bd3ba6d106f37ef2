"""Labelled texts: JSON lines, or a folder whose subfolders are the labels, with a text file each text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.text.readers.files import open_text
from fairseq_littlebird.text.readers.json_stream import field
from fairseq_littlebird.text.tokenizers import without_surrogates

_REMEDY = 'give {"text": "…", "label": "…"} or {"text": "…", "labels": ["…", "…"]} a line'


class LabelledText(NamedTuple):
    """A text, or a pair of texts, with its labels.

    Args:
        id: given, or made of the file's name and the line, or of the path below the folder.
        where: file and record, for errors.
        text: of any length.
        second: the second of a pair, or None.
        labels: without repetitions; None where the text has no label (which is not an empty list of labels).
        several: whether the labels came as a list.
    """

    id: str
    where: str
    text: str
    second: str | None
    labels: tuple[str, ...] | None
    several: bool


def read_labelled(path: Path) -> Iterator[LabelledText]:
    """The texts of a file of JSON lines, plain or gzipped, or of a folder, in the order of the lines or names.

    A folder's texts are the files anywhere below its subfolders, whose names are the labels; without subfolders
    its own files are texts without labels. Names that begin with a dot are left out.

    Raises:
        UserError: names the file, and the line, that is not of this format.
    """
    return _read_folder(path) if path.is_dir() else _read_lines(path)


def _read_folder(path: Path) -> Iterator[LabelledText]:
    labels = sorted(entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    for label in labels or [""]:
        for file in sorted((path / label).rglob("*")):
            name = file.relative_to(path)
            if file.is_dir() or any(part.startswith(".") for part in name.parts):
                continue
            with open_text(file) as stream:
                text = stream.read()
            known = (_label(label, str(path / label)),) if label else None
            yield LabelledText(without_surrogates(name.as_posix()), str(file), text, None, known, False)


def _read_lines(path: Path) -> Iterator[LabelledText]:
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                record = json.loads(line, strict=False)
            except (ValueError, RecursionError) as error:
                raise UserError("not valid JSON", where=where, remedy=_REMEDY) from error
            text = without_surrogates(field(record, "text", str, where, _REMEDY))
            second = field(record, "text2", str, where, _REMEDY) if "text2" in record else None
            identity = str(field(record, "id", (str, int), where, _REMEDY, default=f"{path.name}:{number}"))
            labels, several = _labels(record, where)
            yield LabelledText(
                without_surrogates(identity),
                where,
                text,
                None if second is None else without_surrogates(second),
                labels,
                several,
            )


def _labels(record: dict[str, Any], where: str) -> tuple[tuple[str, ...] | None, bool]:
    """The labels of a record, and whether they are a list."""
    label, labels = record.get("label"), record.get("labels")
    if label is not None and labels is not None:
        raise UserError('both "label" and "labels" here', where=where, remedy="keep one of them")
    if labels is not None:
        names = field(record, "labels", list, where, _REMEDY)
        return tuple(dict.fromkeys(_label(name, where) for name in names)), True
    return (None if label is None else (_label(label, where),)), False


def _label(value: Any, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise UserError(f"expected a label, found {shown(value)}", where, "give a text or a whole number")
    label = without_surrogates(str(value))
    if label != label.strip() or len(label.splitlines()) != 1:
        raise UserError(f"the label {label!r} is empty, or has white space around it", where, "name it otherwise")
    return label
