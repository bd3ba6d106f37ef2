"""Areas under the curves of many labels, from arrays in files; the one file of metrics that uses numpy.

Legend: N examples, K labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fairseq_littlebird.errors import UserError

MEMORY = 1 << 28
"""Bytes of scores that are held at once."""
_CHUNK = 1 << 24


class LabelAreas(NamedTuple):
    """Of each label, NaN where it is not defined: no example has it, or each one.

    Args:
        auroc: float64[K], as scikit-learn's roc_auc_score.
        auprc: float64[K], as its average_precision_score.
        positives: int64[K], the examples that have the label.
    """

    auroc: np.ndarray
    auprc: np.ndarray
    positives: np.ndarray


class GroupScores(NamedTuple):
    """Of the labels of a group: how many there are, those without an area, and the areas of the others."""

    labels: int
    undefined: int
    median: float
    mean: float


def areas_of(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Area under the ROC curve, and average precision; equal scores are one threshold.

    Args:
        scores: float32[N], finite.
        positive: bool[N].
    Returns:
        two numbers, NaN where there is no positive or no negative.
    """
    count, positives = len(scores), int(positive.sum())
    if positives in (0, count):
        return math.nan, math.nan
    # sorting whole numbers is several times faster than sorting scores with their labels beside them
    keys = (_ordered(scores) << 1) | positive
    keys.sort()
    last = np.flatnonzero(np.append(keys[1:] >> 1 != keys[:-1] >> 1, True))  # of each run of equal scores
    found_so_far = np.cumsum(keys & 1, dtype=np.int64)[last]
    found = np.diff(found_so_far, prepend=0)
    negatives_so_far = last + 1 - found_so_far
    negatives = np.diff(negatives_so_far, prepend=0)
    area = float((found * (negatives_so_far - negatives / 2)).sum()) / (positives * (count - positives))
    precision = (positives - found_so_far + found) / (count - last - 1 + found + negatives)
    return area, float((found * precision).sum()) / positives


def _ordered(scores: np.ndarray) -> np.ndarray:
    """Whole numbers in the order of float32[N], the same for 0 and -0; the uppermost bit is free."""
    bits = (scores + np.float32(0)).view(np.uint32)
    if not (bits >> 31).any():
        return bits
    wide = bits.astype(np.uint64)
    return np.where(wide >> 31, ~wide & 0xFFFFFFFF, wide | 0x80000000)


def label_areas(gold: str | Path, predictions: str | Path, memory: int = MEMORY) -> LabelAreas:
    """The areas of all labels of two ``.npy`` files of the shape [N, K], in memory that does not grow with them.

    Args:
        gold: 0 or 1.
        predictions: scores; more is more probable.
        memory: bytes of scores held at once, some labels of all examples.
    Raises:
        UserError: not such files, of different shapes, or a number that is not finite.
    """
    truth, scores = ArrayFile(gold), ArrayFile(predictions)
    if truth.shape != scores.shape:
        shown = " by ".join(f"{size:,}" for size in scores.shape), " by ".join(f"{size:,}" for size in truth.shape)
        remedy = "give the predictions of the same examples and labels"
        raise UserError(f"{shown[0]} predictions for {shown[1]} labels in {gold}", str(predictions), remedy)
    count, width = scores.shape
    auroc, auprc = np.full(width, np.nan), np.full(width, np.nan)
    positives = np.zeros(width, dtype=np.int64)
    together = max(1, memory // (5 * max(1, count)))
    for first in range(0, width, together):
        stop = min(width, first + together)
        own = scores.columns(first, stop, np.float32)
        wanted = truth.flags(first, stop)
        for column in range(stop - first):
            if not np.isfinite(own[column]).all():
                row = int(np.flatnonzero(~np.isfinite(own[column]))[0])
                where = f"{predictions}, example {row:,}, label {first + column:,}"
                raise UserError("a score that is not a finite number", where, "predict again")
            positives[first + column] = wanted[column].sum()
            auroc[first + column], auprc[first + column] = areas_of(own[column], wanted[column])
    return LabelAreas(auroc, auprc, positives)


def by_group(groups: Sequence[str], areas: Sequence[float] | np.ndarray) -> dict[str, GroupScores]:
    """Median and mean of the areas of each group, in the order in which groups occur.

    Args:
        groups: of each label.
        areas: of each label, NaN where it is not defined.
    """
    every = np.asarray(areas, dtype=np.float64)
    result = {}
    for group in dict.fromkeys(groups):
        own = every[[other == group for other in groups]]
        defined = own[~np.isnan(own)]
        middle = (float(np.median(defined)), float(defined.mean())) if len(defined) else (math.nan, math.nan)
        result[group] = GroupScores(len(own), len(own) - len(defined), *middle)
    return result


class ArrayFile:
    """A ``.npy`` file of the shape [N, K], which is read in parts.

    Args:
        path: the file.
    Raises:
        UserError: another file, or truncated.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        remedy = "give an .npy file, a row an example and a column a label"
        try:
            with self._path.open("rb") as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, fortran, self._dtype = read(file)
                self._offset = file.tell()
        except ValueError as error:
            raise UserError("not an .npy file", str(path), remedy) from error
        if len(shape) != 2 or fortran or self._dtype.kind not in "biuf":
            raise UserError(f"numbers of the shape {shape} and the type {self._dtype}", str(path), remedy)
        self.shape: tuple[int, int] = shape
        expected = self._offset + shape[0] * shape[1] * self._dtype.itemsize
        if self._path.stat().st_size != expected:
            raise UserError(
                f"truncated: {self._path.stat().st_size} bytes instead of {expected}", str(path), "copy it again"
            )

    def columns(self, first: int, stop: int, dtype: type) -> np.ndarray:
        """Columns ``first`` to ``stop`` as rows, [stop - first, N]."""
        found: np.ndarray = np.empty((stop - first, self.shape[0]), dtype=dtype)
        start = 0
        for rows in self._parts():
            found[:, start : start + len(rows)] = rows[:, first:stop].T
            start += len(rows)
        return found

    def flags(self, first: int, stop: int) -> np.ndarray:
        """The same as bool[stop - first, N]; raises UserError where a number is neither 0 nor 1."""
        found, start = np.empty((stop - first, self.shape[0]), dtype=bool), 0
        for rows in self._parts():
            own = rows[:, first:stop].T
            if not ((own == 0) | (own == 1)).all():
                raise UserError("expected 0 and 1 alone", str(self._path), "give the labels that the examples have")
            found[:, start : start + len(rows)] = own
            start += len(rows)
        return found

    def _parts(self) -> Iterator[np.ndarray]:
        count, width = self.shape
        rows = max(1, _CHUNK // max(1, width * self._dtype.itemsize))
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for start in range(0, count, rows):
                here = min(rows, count - start)
                yield np.fromfile(file, self._dtype, here * width).reshape(here, width)
