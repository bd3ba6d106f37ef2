"""Question answering data sets: one file each, whose :class:`DatasetSpec` says all that is the data set's own.

A file registers its data set, and a line here imports it. A user's own data set is registered in the same way, by the
package that ``--user-dir`` names (docs/data.md).
"""

from fairseq_littlebird.datasets.registry import AUTO, DATASETS, PLAIN, add_dataset, find_dataset, recognised
from fairseq_littlebird.datasets.spec import DatasetSpec
from fairseq_littlebird.metrics.official_metric import OfficialMetric
from fairseq_littlebird.metrics.text_metric import TextMetric
from fairseq_littlebird.text.example import Answer, Piece, QAExample, Segment


def register_dataset(spec: DatasetSpec) -> DatasetSpec:
    """Makes a data set known by its name, and this package's tasks and models to fairseq.

    Raises:
        TypeError: no DatasetSpec, or a member of it is of another type.
        ValueError: another data set has the name, or a member has an impossible value.
    """
    add_dataset(spec)
    from fairseq_littlebird.registration import register  # the package's own data sets need no fairseq

    register()
    return spec


__all__ = [
    "AUTO",
    "DATASETS",
    "PLAIN",
    "Answer",
    "DatasetSpec",
    "OfficialMetric",
    "Piece",
    "QAExample",
    "Segment",
    "TextMetric",
    "find_dataset",
    "recognised",
    "register_dataset",
]

from fairseq_littlebird.datasets import (  # noqa: E402, F401
    hotpotqa,
    korquad1,
    korquad2,
    mrqa,
    natural_questions,
    squad,
    triviaqa,
    wikihop,
)
