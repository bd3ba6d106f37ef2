"""GLUE's tasks (Wang et al., 2019): the columns of their TSV files, their labels, figures and submission files.

Files have no quotes: a quotation mark is a character like any other, and a line is a record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.opening import open_text
from fairseq_littlebird.formats.problem_type import REGRESSION, SINGLE_LABEL
from fairseq_littlebird.formats.reading_log import ReadingLog
from fairseq_littlebird.formats.scalars import finite_number
from fairseq_littlebird.formats.texts import Text

ID, TEXT, SECOND, LABEL = "id", "text", "text2", "label"
Columns = dict[str, int]
"""What a cell is -> its number in a line, from 0."""


class Layout(NamedTuple):
    """One way in which a task's files are written.

    Args:
        names: of the columns in the header line; empty where the official file has none.
        columns: where the parts of a record are.
        cells: of a line.
    """

    names: tuple[str, ...]
    columns: Columns
    cells: int


class GlueTask(NamedTuple):
    """A task of GLUE.

    Args:
        name: as GLUE's folders have it.
        labels: in the order of their numbers; none in regression.
        layouts: of its files; that of training comes first.
        figures: those of the leaderboard, in its order.
        files: split -> name of the official file.
        submission: split -> name of the file that the leaderboard wants.
        score_range: lowest and highest score.
    """

    name: str
    labels: tuple[str, ...]
    layouts: tuple[Layout, ...]
    figures: tuple[str, ...]
    files: dict[str, str]
    submission: dict[str, str]
    score_range: tuple[float, float] | None = None

    @property
    def problem_type(self) -> str:
        return SINGLE_LABEL if self.labels else REGRESSION

    @property
    def pairs(self) -> bool:
        return SECOND in self.layouts[0].columns


def _layout(names: str, text: str, second: str = "", label: str = "", id: str = "index") -> Layout:
    """Of a header line with names separated by spaces; ``#1_ID`` stands for ``#1 ID``."""
    columns = tuple(name.replace("_", " ") if name.startswith("#") else name for name in names.split(" "))
    found = {ID: id, TEXT: text, SECOND: second, LABEL: label}
    places = {part: columns.index(name) for part, name in found.items() if name in columns}
    return Layout(columns, places, len(columns))


def _task(
    name: str,
    labels: str,
    layouts: Sequence[Layout],
    figures: str = "accuracy",
    score_range: tuple[float, float] | None = None,
) -> GlueTask:
    files = {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"}
    return GlueTask(
        name,
        tuple(labels.split()),
        tuple(layouts),
        tuple(figures.split()),
        files,
        {"test": f"{name}.tsv"},
        score_range,
    )


_MNLI = "index promptID pairID genre sentence1_binary_parse sentence2_binary_parse sentence1_parse sentence2_parse"
_MNLI_LABELS = "label1 label2 label3 label4 label5"
_STS_B = "index genre filename year old_index source1 source2 sentence1 sentence2"
_MRPC = "#1_ID #2_ID #1_String #2_String"
_TWO = ("sentence1", "sentence2")

_TASKS = (
    _task(
        "CoLA",
        "0 1",
        [
            Layout((), {LABEL: 1, TEXT: 3}, 4),  # source, acceptability, the author's mark, sentence
            _layout("index sentence", "sentence"),
        ],
        "mcc",
    ),
    _task(
        "SST-2", "0 1", [_layout("sentence label", "sentence", label="label"), _layout("index sentence", "sentence")]
    ),
    _task(
        "MRPC",
        "0 1",
        [
            _layout(f"Quality {_MRPC}", "#1 String", "#2 String", "Quality"),
            _layout(f"index {_MRPC}", "#1 String", "#2 String"),
        ],
        "f1 accuracy",
    ),
    _task(
        "STS-B",
        "",
        [_layout(f"{_STS_B} score", *_TWO, "score"), _layout(_STS_B, *_TWO)],
        "pearson spearman",
        (0.0, 5.0),
    ),
    _task(
        "QQP",
        "0 1",
        [
            _layout("id qid1 qid2 question1 question2 is_duplicate", "question1", "question2", "is_duplicate", "id"),
            _layout("id question1 question2", "question1", "question2", id="id"),
        ],
        "f1 accuracy",
    ),
    _task(
        "MNLI",
        "contradiction neutral entailment",
        [
            _layout(f"{_MNLI} sentence1 sentence2 label1 gold_label", *_TWO, "gold_label"),
            _layout(f"{_MNLI} sentence1 sentence2 {_MNLI_LABELS} gold_label", *_TWO, "gold_label"),
            _layout(f"{_MNLI} sentence1 sentence2", *_TWO),
        ],
    )._replace(
        files={
            "train": "train.tsv",
            "valid": "dev_matched.tsv",
            "valid1": "dev_mismatched.tsv",
            "test": "test_matched.tsv",
            "test1": "test_mismatched.tsv",
        },
        submission={"test": "MNLI-m.tsv", "test1": "MNLI-mm.tsv"},
    ),
    _task(
        "QNLI",
        "entailment not_entailment",
        [
            _layout("index question sentence label", "question", "sentence", "label"),
            _layout("index question sentence", "question", "sentence"),
        ],
    ),
    _task(
        "RTE",
        "entailment not_entailment",
        [_layout("index sentence1 sentence2 label", *_TWO, "label"), _layout("index sentence1 sentence2", *_TWO)],
    ),
)
GLUE_TASKS = {task.name: task for task in _TASKS}


def glue_files(task: GlueTask, folder: Path) -> dict[str, list[Path]]:
    """Split -> the task's official file in a folder, those that are there.

    Raises:
        UserError: none is.
    """
    files = {split: [folder / name] for split, name in task.files.items() if (folder / name).is_file()}
    if not files:
        raise UserError(f"none of {', '.join(task.files.values())}", str(folder), f"give GLUE's folder {task.name}")
    return files


def read_glue(path: Path, task: GlueTask, log: ReadingLog) -> Iterator[Text]:
    """The records of an official TSV file, or of one like it that lacks the header line.

    Ids are those of the file, otherwise the number of the record from 0, as GLUE counts them.

    Raises:
        UserError: names the line that has other cells, a label that the task does not have, a score that is not a
            number, or an empty side of a pair. One that the leaderboard asks for is kept, and noted.
    """
    with open_text(path, newline="\n") as stream:
        lines = enumerate(stream, start=1)
        first = next(lines, None)
        if first is None:
            raise UserError("an empty file", str(path), f"give a file of {task.name}")
        layout, header = _layout_of(_cells(first[1]), task, path)
        number = 0
        for line, text in lines if header else (item for part in ([first], lines) for item in part):
            where = f"{path}, line {line}"
            if not text.strip("\r\n"):
                log.note("an empty line", where)
                continue
            with log.record():
                yield _record(_cells(text), layout, task, number, where, log)
            number += 1


def _cells(line: str) -> list[str]:
    return line.rstrip("\r\n").split("\t")


def _layout_of(cells: list[str], task: GlueTask, path: Path) -> tuple[Layout, bool]:
    """The layout that the first line shows, and whether it is a header line."""
    for layout in task.layouts:
        if layout.names and tuple(cell.strip() for cell in cells) == layout.names:
            return layout, True
    for layout in task.layouts:
        if len(cells) == layout.cells:
            known = {name for other in task.layouts for name in other.names}
            if len(known.intersection(cells)) > len(cells) // 2:
                break
            return layout, False
    shown = ", ".join(cell if len(cell) <= 40 else f"{cell[:40]}…" for cell in cells[:20])
    remedy = f"give a file of {task.name}, with the columns {' '.join(task.layouts[0].names) or 'of GLUE'}"
    raise UserError(f"not a layout of {task.name}: {len(cells)} cells, {shown}", f"{path}, line 1", remedy)


def _record(cells: list[str], layout: Layout, task: GlueTask, number: int, where: str, log: ReadingLog) -> Text:
    if len(cells) != layout.cells:
        what = f"{len(cells)} cells instead of {layout.cells}"
        raise UserError(what, where, "correct the line: cells are separated by tabs, and quotes mean nothing")
    part = {name: cells[place] for name, place in layout.columns.items()}
    text, second = part[TEXT], part.get(SECOND)
    for name, side in ((TEXT, text), (SECOND, second)):
        if side is not None and not side.strip():
            if LABEL in part:
                raise UserError(f"an empty {name}", where, "correct the line")
            log.note("an empty text, which the leaderboard asks for", where)
    labels, score = None, None
    if LABEL in part and task.labels:
        if part[LABEL] not in task.labels:
            what = f"the label {part[LABEL]!r} is none of {task.name}'s ({', '.join(task.labels)})"
            raise UserError(what, where, "correct the line; the first line may be names or a record")
        labels = (part[LABEL],)
    elif LABEL in part:
        score = finite_number(part[LABEL], "score", where, "give a number from 0 to 5")
    identifier = part.get(ID) or str(number)
    return Text(identifier, where, text, second, labels, task.problem_type if LABEL in part else None, score)
