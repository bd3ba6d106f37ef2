"""The data sets by name, and which one a record is of."""

from __future__ import annotations

from typing import Any

from fairseq_littlebird.datasets.spec import DatasetSpec
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.records import Records

AUTO = "auto"
"""The data set whose format the first record has; ``PLAIN`` for questions in any other."""

PLAIN = "squad"
"""The data set of questions that are answered by a part of a document and have no rules of their own."""

DATASETS: dict[str, DatasetSpec] = {}
"""The registered data sets by name."""


def register_dataset(spec: DatasetSpec) -> DatasetSpec:
    """Makes a data set known by its name.

    Raises:
        ValueError: another data set has the name.
    """
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
        remedy = f"take the version that trained it, or give the --user-dir that registers it; known: {known}"
        raise UserError(f"of an unknown data set, {name!r}", where, remedy)
    return DATASETS[name]


def recognised(record: Any) -> DatasetSpec | None:
    """The data set whose format the record has; None for questions in another, such as SQuAD's."""
    if not isinstance(record, dict):
        return None
    return next((spec for spec in reversed(DATASETS.values()) if _matches(spec, record)), None)


def check_format(records: Records, own: DatasetSpec | None = None) -> None:
    """Raises UserError where the first record is of another data set's format, and not of its ``own``."""
    other = recognised(records.first)
    if other is not None and not (own is not None and _matches(own, records.first)):
        raise UserError(
            f"this is {other.file_format or other.title}", str(records.path), f"give --dataset {other.name}, or {AUTO}"
        )


def _matches(spec: DatasetSpec, record: Any) -> bool:
    return spec.matches is not None and spec.matches(record)
