"""What ``littlebird-evaluate`` prints beside the scores of a whole split."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from fairseq_littlebird.metrics.correlation import UndefinedCorrelation


@contextmanager
def undefined_said() -> Iterator[None]:
    """Says on stderr, once each, why a correlation is 0."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UndefinedCorrelation)
        yield
    for line in dict.fromkeys(str(one.message) for one in caught if one.category is UndefinedCorrelation):
        print(f"littlebird-evaluate: warning: {line}", file=sys.stderr)


def bins_table(bins: Sequence[Mapping[str, Any]]) -> str:
    """A line for each bin of lengths, with the scores of the texts in it, under their names."""
    names = [*dict.fromkeys(name for one in bins for name in one)]
    cells = [names, *([_cell(one.get(name, "")) for name in names] for one in bins)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _cell(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
