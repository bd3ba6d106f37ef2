"""What labels or scores there are in files of texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from fairseq_littlebird.data.classification_metadata import ClassificationMetadata, is_range, read_metadata
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.glue import GlueTask
from fairseq_littlebird.formats.opening import open_text
from fairseq_littlebird.formats.problem_type import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.texts import AS_THEY_COME, Text, TextOptions, label_order
from fairseq_littlebird.text.labelled_texts import read_labelled


class LabelSurvey:
    """The labels and the problem type of texts in files, checked before anything is tokenized.

    Args:
        source: a file with a label a line, or a folder prepared before, whose labels or scores are the known ones; or
            None.
        skip_bad: whether bad records are left out and counted.
        options: how files are read.
        glue: the task of GLUE that they are of, or None.
        score_range: of regression, lowest and highest score; None for those of the training split.
    """

    def __init__(
        self,
        source: str | Path | None,
        skip_bad: bool,
        options: TextOptions = AS_THEY_COME,
        glue: GlueTask | None = None,
        score_range: tuple[float, float] | None = None,
    ) -> None:
        self._source = source
        self._skip_bad = skip_bad
        self._options, self._glue = options, glue
        self.logs: dict[str, ReadingLog] = {}
        self._known: dict[str, None] | None = None  # in the order of their numbers
        self._problem_type: str | None = REGRESSION if options.regression else None
        self._range = score_range
        self._pairs: bool | None = None
        self._unlabelled: set[str] = set()
        self.count: dict[str, Counter[str]] = {}
        if glue is not None:
            self._known, self._problem_type, self._range = (
                dict.fromkeys(glue.labels),
                glue.problem_type,
                glue.score_range,
            )
        if source is not None and Path(source).is_dir():
            self._know_folder(Path(source))
        elif source is not None:
            if REGRESSION == self._problem_type:
                raise UserError(
                    "scores have no labels", str(source), "give a prepared folder with --labels, or leave it out"
                )
            self._known = dict.fromkeys(_read_labels(Path(source)))
        if self._range is not None and not is_range(self._range):
            raise UserError(
                f"--score-range {self._range[0]:g} {self._range[1]:g}", remedy="give the lowest score first"
            )

    def _know_folder(self, source: Path) -> None:
        """Takes labels, problem type and range of scores of a folder prepared before."""
        metadata = read_metadata(source)
        if metadata is None:
            raise UserError("no prepared.json in it", str(source), "give a prepared folder, or a file of labels")
        if (metadata.problem_type == REGRESSION) != (self._problem_type == REGRESSION):
            what = "scores" if metadata.problem_type == REGRESSION else "labels"
            raise UserError(
                f"prepared with {what}", str(source), "give the same --problem-type as there, or another folder"
            )
        if self._range not in (None, metadata.score_range):
            low, high = metadata.score_range or (0.0, 0.0)
            what = f"prepared with scores from {low:g} to {high:g}, not from {self._range[0]:g} to {self._range[1]:g}"
            raise UserError(what, str(source), "leave out --score-range, or give another folder")
        self._known, self._problem_type = dict.fromkeys(metadata.labels), metadata.problem_type
        self._range = metadata.score_range

    @property
    def pairs(self) -> bool:
        return bool(self._pairs)

    def read(self, split: str, files: Sequence[Path]) -> None:
        """Checks a split; the training split comes first, as its labels and scores are those of all."""
        count = self.count[split] = Counter()
        log = self.logs[split] = ReadingLog(self._skip_bad, "--skip-bad")
        regression = self._problem_type == REGRESSION
        seen: set[str] = set()
        labelled: bool | None = None
        scores: list[float] = []
        for text in labelled_texts(files, log, self._options, self._glue):
            if text.id in seen:
                raise UserError(f"the id {text.id!r} comes twice in this split", text.where, "make the ids distinct")
            seen.add(text.id)
            self._check_pair(text)
            here = text.score is not None if regression else text.labels is not None
            if not here and not split.startswith("test"):
                remedy = 'give "score", a number' if regression else 'give "label", or "labels" with a list'
                raise UserError("no score" if regression else "no label", text.where, remedy)
            if labelled not in (None, here):
                what = "score" if regression else "label"
                raise UserError(f"a {what} here, none there", text.where, f"give all texts of a split {what}s or none")
            labelled = here
            if text.score is not None:
                scores = [min(scores[0], text.score), max(scores[1], text.score)] if scores else [text.score] * 2
                self._check_score(text)
            if text.labels is not None:
                self._check_labels(text)
                count.update(text.labels)
        if not labelled:
            self._unlabelled.add(split)
        if regression:
            self._learn_range(split, scores, files)
        else:
            self._learn_labels(split, count, files)

    def metadata(self) -> ClassificationMetadata:
        return ClassificationMetadata(
            tuple(self._known or ()),
            self._problem_type or SINGLE_LABEL,
            frozenset(self._unlabelled),
            self._range,
            self._glue.name if self._glue else "",
        )

    def _learn_labels(self, split: str, count: Counter[str], files: Sequence[Path]) -> None:
        if self._known is None and split == "train":
            self._known = dict.fromkeys(sorted(count, key=label_order))
        if self._known is None:
            raise UserError(
                "the labels are not known",
                remedy="give --train, or the folder or file that has them with --labels",
            )
        if not self._known:
            raise UserError("no label in the training split", ", ".join(map(str, files)), "give some with --labels")

    def _learn_range(self, split: str, scores: Sequence[float], files: Sequence[Path]) -> None:
        if self._range is None and split == "train":
            if not is_range(tuple(scores)):
                what = "all scores are equal"
                raise UserError(what, ", ".join(map(str, files)), "give others, or their range with --score-range")
            self._range = scores[0], scores[1]
        if self._range is None:
            remedy = "give --train, --score-range, or with --labels the folder prepared for training"
            raise UserError("the range of the scores is not known", remedy=remedy)

    def _check_score(self, text: Text) -> None:
        if (
            self._range is not None
            and self._glue is not None
            and not self._range[0] <= (text.score or 0) <= self._range[1]
        ):
            what = f"the score {text.score:g} is not from {self._range[0]:g} to {self._range[1]:g}"
            raise UserError(what, text.where, "correct it")

    def _check_pair(self, text: Text) -> None:
        pair = text.second is not None
        if self._pairs not in (None, pair):
            raise UserError('"text2" here and none elsewhere, or the other way', text.where, "give only pairs or none")
        self._pairs = pair

    def _check_labels(self, text: Text) -> None:
        if text.problem_type is not None and self._problem_type not in (None, text.problem_type):
            wanted = '"labels" with a list' if self._problem_type == MULTI_LABEL else '"label"'
            raise UserError("one label here, lists of labels there", text.where, f"give {wanted} as elsewhere")
        self._problem_type = self._problem_type or text.problem_type
        if self._known is None:
            return
        for label in text.labels or ():
            if label not in self._known:
                origin = f"not in {self._source}" if self._source else "unknown in training"
                remedy = "correct it, or name all labels with --labels"
                raise UserError(f"the label {label!r} is {origin}", text.where, remedy)


def labelled_texts(
    files: Sequence[Path], log: ReadingLog, options: TextOptions = AS_THEY_COME, glue: GlueTask | None = None
) -> Iterator[Text]:
    """The texts of several files. Raises UserError for a file without any."""
    for file in files:
        empty = True
        for text in read_labelled(file, log, options, glue):
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
