"""Files as GLUE's leaderboard wants them: a line a text with its number and its label or score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.glue import GLUE_TASKS, GlueTask
from fairseq_littlebird.inference.classifying import Classification
from fairseq_littlebird.output import whole_file


class GlueSubmission:
    """Collects what a model says of a test split, and writes its file beside those of other tasks.

    Args:
        folder: of the submission; may hold the other tasks' files.
        glue: the task's name, as the prepared folder has it; nothing where it is none of GLUE's.
        split: of the prepared folder.
        overwrite: replace the file of an earlier call.
    Raises:
        UserError: the folder is not of a task of GLUE, the leaderboard wants nothing of this split, or the file is
            there.
    """

    def __init__(self, folder: str | Path, glue: str, split: str, overwrite: bool = False) -> None:
        if glue not in GLUE_TASKS:
            remedy = "prepare it with --format glue --name TASK"
            raise UserError("not a folder of a task of GLUE", "--glue-submission", remedy)
        task: GlueTask = GLUE_TASKS[glue]
        if split not in task.submission:
            wanted = " or ".join(task.submission)
            raise UserError(
                f"the leaderboard takes no predictions of the split {split!r}", glue, f"give --gen-subset {wanted}"
            )
        self._task, self._overwrite = task, overwrite
        self.path = Path(folder) / task.submission[split]
        if self.path.exists() and not overwrite:
            raise UserError("there already", str(self.path), "give another folder, or add --overwrite")
        self._rows: list[tuple[str, str]] = []

    def passing(self, found: Iterable[Classification]) -> Iterator[Classification]:
        """The same, noted on the way."""
        for one in found:
            said = f"{one.score:.3f}" if one.score is not None else one.label
            self._rows.append((one.id, said))
            yield one

    def write(self) -> None:
        """Writes the file.

        Raises:
            UserError: a text's id is not a number, or numbers are missing: records that were left out in preparation.
        """
        odd = [identifier for identifier, _ in self._rows if not identifier.isdecimal()]
        if odd:
            raise UserError(
                f"the id {odd[0]!r} is not a number, as GLUE's ids are", str(self.path), "prepare GLUE's own file"
            )
        rows = sorted((int(identifier), said) for identifier, said in self._rows)
        missing = sorted({*range(len(rows))} - {number for number, _ in rows})
        if missing:
            what = f"no prediction for the text {missing[0]}, and GLUE counts from 0"
            raise UserError(what, str(self.path), "prepare GLUE's own file without --skip-bad")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self.path, self._overwrite) as path, path.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write("index\tprediction\n")
            stream.writelines(f"{number}\t{said}\n" for number, said in rows)
