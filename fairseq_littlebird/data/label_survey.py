"""What labels there are in files of labelled texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from fairseq_littlebird.data.classification_metadata import ClassificationMetadata, read_metadata
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.opening import open_text
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.texts import Text
from fairseq_littlebird.text.labelled_texts import read_labelled


class LabelSurvey:
    """The labels and the kind of labelled texts in files, checked before anything is tokenized.

    Args:
        source: a file with a label a line, or a folder prepared before, whose labels are the known ones; or None.
        skip_bad: whether bad records are left out and counted.
    """

    def __init__(self, source: str | Path | None, skip_bad: bool) -> None:
        self._source = source
        self._skip_bad = skip_bad
        self.logs: dict[str, ReadingLog] = {}
        self._known: dict[str, None] | None = None  # in the order of their numbers
        self._several: bool | None = None
        self._pairs: bool | None = None
        self._unlabelled: set[str] = set()
        self.count: dict[str, Counter[str]] = {}
        if source is not None and Path(source).is_dir():
            metadata = read_metadata(source)
            if metadata is None:
                raise UserError("no prepared.json in it", str(source), "give a prepared folder, or a file of labels")
            self._known, self._several = dict.fromkeys(metadata.labels), metadata.multi_label
        elif source is not None:
            self._known = dict.fromkeys(_read_labels(Path(source)))

    @property
    def pairs(self) -> bool:
        return bool(self._pairs)

    def read(self, split: str, files: Sequence[Path]) -> None:
        """Checks a split; the training split comes first, as its labels are those of all."""
        count = self.count[split] = Counter()
        log = self.logs[split] = ReadingLog(self._skip_bad, "--skip-bad")
        seen: set[str] = set()
        labelled: bool | None = None
        for text in labelled_texts(files, log):
            if text.id in seen:
                raise UserError(f"the id {text.id!r} comes twice in this split", text.where, "make the ids distinct")
            seen.add(text.id)
            self._check_pair(text)
            if text.labels is None and split != "test":
                raise UserError("no label", text.where, 'give "label", or "labels" with a list')
            if labelled not in (None, text.labels is not None):
                raise UserError("a label here, none there", text.where, "give all texts of a split labels or none")
            labelled = text.labels is not None
            if text.labels is not None:
                self._check_labels(text)
                count.update(text.labels)
        if not labelled:
            self._unlabelled.add(split)
        if self._known is None and split == "train":
            self._known = dict.fromkeys(sorted(count, key=_order))
        if self._known is None:
            raise UserError(
                "nothing says which labels there are",
                remedy="give --train, or the folder or file that has them with --labels",
            )
        if not self._known:
            raise UserError("no label in the training split", ", ".join(map(str, files)), "give some with --labels")

    def metadata(self) -> ClassificationMetadata:
        return ClassificationMetadata(tuple(self._known or ()), bool(self._several), frozenset(self._unlabelled))

    def _check_pair(self, text: Text) -> None:
        pair = text.second is not None
        if self._pairs not in (None, pair):
            raise UserError('"text2" here and none elsewhere, or the other way', text.where, "give only pairs or none")
        self._pairs = pair

    def _check_labels(self, text: Text) -> None:
        if text.several is not None and self._several not in (None, text.several):
            wanted = '"labels" with a list' if self._several else '"label"'
            raise UserError("one label here, lists of labels there", text.where, f"give {wanted} as elsewhere")
        self._several = self._several if text.several is None else text.several
        if self._known is None:
            return
        for label in text.labels or ():
            if label not in self._known:
                origin = f"not in {self._source}" if self._source else "unknown in training"
                remedy = "correct it, or name all labels with --labels"
                raise UserError(f"the label {label!r} is {origin}", text.where, remedy)


def labelled_texts(files: Sequence[Path], log: ReadingLog) -> Iterator[Text]:
    """The texts of several files. Raises UserError for a file without any."""
    for file in files:
        empty = True
        for text in read_labelled(file, log):
            empty = False
            yield text
        if empty:
            raise UserError("no text in it", str(file), "leave it out")


def _read_labels(path: Path) -> tuple[str, ...]:
    with open_text(path) as lines:
        labels = [line.strip() for line in lines if line.strip()]
    if not labels or len(set(labels)) < len(labels):
        twice = [label for label, count in Counter(labels).items() if count > 1]
        fault = f"the label {twice[0]!r} comes twice" if twice else "no label in it"
        raise UserError(fault, str(path), "give each label once, one a line")
    return tuple(labels)


def _order(label: str) -> tuple[bool, int, str]:
    number = label.isascii() and label.isdecimal()
    return not number, int(label) if number else 0, label
