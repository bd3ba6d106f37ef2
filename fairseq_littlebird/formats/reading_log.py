"""What is noticed while files are read: values taken leniently, and records left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fairseq_littlebird.errors import UserError

OTHER_FORMAT = "another JSON format"
"""What errors say of a record that lacks what the format has; where the first one does, so will the others."""


@dataclass
class Note:
    """A way in which values were not as the format has them.

    Args:
        where: the first place.
        count: of all places.
    """

    where: str
    count: int = 0


@dataclass
class ReadingLog:
    """Collects the notes on a split's files, and decides what becomes of a bad record.

    Args:
        skip_bad: whether a bad record is left out; otherwise its error ends the reading.
        answers_alone: documents and questions may be missing, where answers are all that is scored.
        option: the command's option that skips bad records, for errors to mention; empty where it has none.
        notes: what was read leniently, by kind.
        skipped: the errors of the records left out.
        characters: those read so far.
        formats: the format of each file, as people call it.
        read_well: whether any record was read without an error.
        columns: those of the first table, and its file.
    """

    skip_bad: bool = False
    option: str = ""
    answers_alone: bool = False
    notes: dict[str, Note] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    characters: int = 0
    formats: dict[str, str] = field(default_factory=dict)
    read_well: bool = False
    columns: tuple[frozenset[str], str] | None = None

    def check_columns(self, columns: Sequence[str], file: str) -> None:
        """Raises UserError where a table has other columns than the first one."""
        if not columns:
            return
        if self.columns is None:
            self.columns = frozenset(columns), file
        differing = self.columns[0].symmetric_difference(columns)
        if differing:
            what = f"other columns than {self.columns[1]}: {', '.join(sorted(differing))} are in one of them alone"
            raise UserError(what, f"{file}, line 1", "give the files of a split the same columns")

    def note(self, what: str, where: str) -> None:
        """Counts one more value of this kind."""
        self.notes.setdefault(what, Note(where)).count += 1

    @contextmanager
    def record(self, offer: bool = True) -> Iterator[None]:
        """Around the reading of a record: its error is kept where bad records are skipped.

        Args:
            offer: whether an error may mention the option; it never does where the whole file is of another format.
        """
        try:
            yield
        except UserError as error:
            offer = offer and bool(self.option) and (self.read_well or OTHER_FORMAT not in str(error))
            if self.skip_bad:
                self.skipped.append(str(error))
            elif offer and self.option not in str(error):  # records lie within records
                raise UserError(f"{error}, or leave bad records out with {self.option}") from error
            else:
                raise
        else:
            self.read_well = True
