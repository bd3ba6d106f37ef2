"""The data sets by name, and which one a file is of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairseq_littlebird.datasets.spec import DatasetSpec
from fairseq_littlebird.datasets.spec_check import check_spec
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.questions import COLUMNS_REMEDY, FORMATS, format_of
from fairseq_littlebird.formats.records import Records

AUTO = "auto"
"""The data set whose format the first record has; ``PLAIN`` for any of ``formats.questions.FORMATS``."""

PLAIN = "squad"
"""The data set of questions that are answered by a part of a document and have no rules of their own."""

LONGEST_NAME, MOST_NAMES = 40, 8
"""Characters of a member's name that an error shows, and names."""

DATASETS: dict[str, DatasetSpec] = {}
"""The registered data sets by name."""


def add_dataset(spec: DatasetSpec) -> DatasetSpec:
    """Makes a data set known by its name; see :func:`fairseq_littlebird.datasets.register_dataset`."""
    check_spec(spec)
    if spec.name == AUTO or spec.name in DATASETS:
        raise ValueError(f"a data set of the name {spec.name!r} is registered")
    DATASETS[spec.name] = spec
    return spec


def find_dataset(name: str, where: str) -> DatasetSpec:
    """The data set of this name.

    Args:
        name: what a prepared folder or a checkpoint has.
        where: that folder or checkpoint, for messages.
    Raises:
        UserError: no such data set.
    """
    if name not in DATASETS:
        known = ", ".join(DATASETS)
        remedy = (
            "register it first (a command: with --user-dir; Python: by importing the package that does), or take the "
            f"version that trained it; known: {known}"
        )
        raise UserError(f"of an unknown data set, {name!r}", where, remedy)
    return DATASETS[name]


def recognised(record: Any, top: Mapping[str, Any] | None = None) -> DatasetSpec | None:
    """The data set whose own format a file has; None for questions in another, such as SQuAD's.

    Args:
        record: the first of the file.
        top: the members of the object that holds the records, as far as they come before them.
    """
    if not isinstance(record, dict):
        return None
    specs = [*reversed(DATASETS.values())]
    version = str((top or {}).get("version"))
    versions = (spec for spec in specs if spec.version and version.startswith(spec.version))
    return next((spec for spec in specs if _matches(spec, record)), None) or next(versions, None)


def dataset_of(records: Records) -> DatasetSpec:
    """The data set of a file.

    Raises:
        UserError: its format is not known.
    """
    first = dict.fromkeys(records.columns) if records.columns else records.first  # perhaps of a table without rows
    spec = recognised(first, records.top)
    if spec is None and first is not None and format_of(first) is None:
        records.check_columns((), COLUMNS_REMEDY)
        names = (
            ", ".join(str(name)[:LONGEST_NAME] for name in list(first)[:MOST_NAMES]) if isinstance(first, dict) else ""
        )
        what = f"format not recognised (the first record has {names or 'no named members'})"
        raise UserError(what, str(records.path), _known())
    return spec or DATASETS[PLAIN]


def _known() -> str:
    own = [spec.file_format or spec.title for spec in DATASETS.values() if spec.matches or spec.version]
    return (
        f"known are {', '.join([form.name for form in FORMATS] + own)}; name the --dataset, or register your own with "
        "--user-dir"
    )


def check_format(records: Records, own: DatasetSpec | None = None) -> None:
    """Raises UserError where the first record is of another data set's format, and not of its ``own``."""
    if own is not None and _matches(own, records.first):
        return
    other = recognised(records.first)
    if other is not None:
        name, title = other.name, other.file_format or other.title
    elif own is not None and own.matches is not None and (form := format_of(records.first, strict=True)):
        name, title = PLAIN, form.name
    else:
        return
    raise UserError(f"this is {title}", str(records.path), f"give --dataset {name}, or {AUTO}")


def _matches(spec: DatasetSpec, record: Any) -> bool:
    return spec.matches is not None and isinstance(record, dict) and spec.matches(record)
