"""Labelled texts: a file of records, or a folder whose subfolders are the labels, with a text file each text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.glue import GlueTask, read_glue
from fairseq_littlebird.formats.opening import open_text
from fairseq_littlebird.formats.problem_type import SINGLE_LABEL
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.records import open_records
from fairseq_littlebird.formats.texts import AS_THEY_COME, REMEDY, Text, TextOptions, label_name, parse_texts
from fairseq_littlebird.text.tokenizers import without_surrogates


def read_labelled(
    path: Path,
    log: ReadingLog | None = None,
    options: TextOptions = AS_THEY_COME,
    glue: GlueTask | None = None,
) -> Iterator[Text]:
    """The texts of a file, in its order, or of a folder, in the order of the names.

    A folder's texts are the files anywhere below its subfolders, whose names are the labels; without subfolders
    its own files are texts without labels. Names that begin with a dot are left out.

    Args:
        path: JSON lines, a JSON list, columns or a table, plain or compressed; or a folder.
        log: takes notes, and skips bad records if it is to.
        options: for records.
        glue: the file is one of this task.

    Raises:
        UserError: names the file, and the record, that is not of this format.
    """
    log = log or ReadingLog()
    if glue is not None:
        return (_readable(text) for text in read_glue(path, glue, log))
    if not path.is_dir():
        return _read_file(path, log, options)
    if options.regression:
        raise UserError("a folder, whose texts have no scores", str(path), "give JSON lines or a table")
    return _read_folder(path)


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
            yield Text(without_surrogates(name.as_posix()), str(file), text, None, known, SINGLE_LABEL)


def _read_file(path: Path, log: ReadingLog, options: TextOptions) -> Iterator[Text]:
    with open_records(path, REMEDY, header=options.header, quotes=options.quotes, faults=log.skip_bad) as records:
        log.check_columns(records.columns, str(path))
        for text in parse_texts(records, log, options):
            yield _readable(text)


def _readable(text: Text) -> Text:
    """Without lone surrogates, which no tokenizer reads."""
    return text._replace(
        id=without_surrogates(text.id),
        text=without_surrogates(text.text),
        second=None if text.second is None else without_surrogates(text.second),
        labels=None if text.labels is None else tuple(map(without_surrogates, text.labels)),
    )
