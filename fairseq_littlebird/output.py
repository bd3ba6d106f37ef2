"""Output files and folders that appear whole or not at all, and take no other command's place unasked."""

from __future__ import annotations

import errno
import fcntl
import fnmatch
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.signals import held_back

UNFINISHED = ".unfinished-"
"""What follows the output's name in that of the hidden folder beside it, before eight characters drawn at random."""

APPEARED = "appeared while this command was at work"


@contextmanager
def whole_file(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary sibling to write to, renamed to ``path`` when the block ends without an error.

    Raises:
        UserError: ``path`` exists, also if it came meanwhile, and ``overwrite`` is not set.
    """
    path = Path(path)
    check_file(path, overwrite)
    with temporary_folder(path) as folder:
        yield folder / path.name
        if overwrite:
            os.replace(folder / path.name, path)
        else:
            _place_file(folder / path.name, path)


@contextmanager
def whole_folder(path: str | Path, names: Collection[str], overwrite: bool = False) -> Iterator[Path]:
    """A temporary sibling to fill, which takes the place of ``path`` when the block ends without an error.

    Args:
        path: the output folder; may exist if it is empty.
        names: patterns of the names that such a folder holds; one that holds another is never replaced.
        overwrite: whether a folder that is not empty may be replaced, all of it.

    Raises:
        UserError: ``path`` is a file, or a folder that holds something and may not be replaced, also if it came
            meanwhile.
    """
    path = Path(path).resolve()
    check_folder(path, names, overwrite)
    with temporary_folder(path) as folder:
        (folder / "new").mkdir()
        yield folder / "new"
        _follow_umask(folder / "new")
        with held_back():
            _place_folder(folder, path, names, overwrite)


def _follow_umask(folder: Path) -> None:
    """Lets files be read by whom a new file lets: safetensors makes its own for the user alone."""
    allowed = folder.stat().st_mode & 0o666  # a new folder's permissions are what the umask leaves
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.chmod(file.stat().st_mode | allowed)


def check_file(path: str | Path, overwrite: bool = False) -> None:
    """Raises what :func:`whole_file` would, before the work that makes the file."""
    path = Path(path)
    if path.is_dir():
        raise UserError("a folder, not a file", where=str(path), remedy="name an output file")
    if path.exists() and not overwrite:
        raise UserError("the output file exists", where=str(path), remedy="move it away or add --overwrite")


def check_folder(path: str | Path, names: Collection[str], overwrite: bool = False) -> None:
    """Raises what :func:`whole_folder` would, before the work that fills the folder."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UserError("a file, not a folder", where=str(path), remedy="name an output folder")
    if path.exists() and any(path.iterdir()):
        if not overwrite:
            raise UserError("the output folder is not empty", where=str(path), remedy="name another or add --overwrite")
        for entry in path.iterdir():
            if not any(fnmatch.fnmatch(entry.name, name) for name in names):
                raise UserError(
                    f"the output folder holds something else, {entry.name}",
                    where=str(path),
                    remedy="name another; --overwrite would delete it",
                )


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """A hidden folder beside ``path``, gone when the block ends; what killed commands left beside it goes first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    with held_back():
        folder, lock = _locked_folder(path)
    try:
        yield folder
    finally:
        with held_back():
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def remove_leftovers(folder: Path) -> None:
    """Removes the :func:`temporary_folder` of each command that was killed, and says so on stderr.

    A command that is alive has its own locked. What cannot be locked or removed is named and left.
    """
    for left in sorted(folder.glob(f".*{UNFINISHED}????????")):
        with held_back():
            told = _remove_leftover(left)
        if told:
            print(f"{left}: {told}", file=sys.stderr)


def _remove_leftover(left: Path) -> str:
    """What became of it; nothing where a command is at work in it."""
    try:
        lock = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # no folder, or gone
        return ""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ""
    except OSError:  # some network file systems know no locks
        return "left by a killed command, or in use; remove it if no command is at work"
    else:
        target = left.with_name(left.name[1 : left.name.rindex(UNFINISHED)])
        if (left / "old").is_dir():  # killed between two renames; a newer one at its place stays
            _put_back(left / "old", target)
        shutil.rmtree(left, ignore_errors=True)
        return f"left by a killed command, {'cannot be removed; remove it' if left.exists() else 'removed'}"
    finally:
        os.close(lock)


def _locked_folder(path: Path) -> tuple[Path, int]:
    """A new temporary folder, and the descriptor that holds its lock as long as this process lives."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}{UNFINISHED}", dir=path.parent))
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            with suppress(OSError):  # without locks no other process takes it for a leftover either
                fcntl.flock(lock, fcntl.LOCK_EX)
        except FileNotFoundError:
            continue
        if folder.exists():  # between the two lines another command may have taken it for a leftover
            return folder, lock
        os.close(lock)


def _place_file(new: Path, path: Path) -> None:
    """Renames a file, unless its new name is taken."""
    try:
        try:
            os.link(new, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links: the name is claimed, and the claim replaced
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.replace(new, path)
    except FileExistsError as error:
        raise UserError(f"the output file {APPEARED}", str(path), "move it away or add --overwrite") from error


def _place_folder(folder: Path, path: Path, names: Collection[str], overwrite: bool) -> None:
    """Moves ``folder/new`` to ``path``, whose content goes to ``folder/old`` where it may be replaced.

    A rename takes the place of an empty folder alone, and of any other not even for a moment.
    """
    new, old = folder / "new", folder / "old"
    while True:
        try:
            os.rename(new, path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                _put_back(old, path)
                raise
            if error.errno == errno.ENOTDIR or not overwrite:
                _put_back(old, path)
                raise UserError(
                    f"the output folder {APPEARED}", str(path), "name another or add --overwrite"
                ) from error
        shutil.rmtree(old, ignore_errors=True)  # of the round before: another command was quicker
        try:
            os.rename(path, old)
            check_folder(old, names, overwrite)
        except FileNotFoundError:  # moved away by another
            continue
        except UserError as error:
            _put_back(old, path)
            raise UserError(str(error).replace(str(old), str(path))) from error


def _put_back(old: Path, path: Path) -> None:
    if old.exists():
        with suppress(OSError):
            os.rename(old, path)
