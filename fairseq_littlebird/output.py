"""Output files and folders that appear whole or not at all."""

from __future__ import annotations

import fnmatch
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from fairseq_littlebird.errors import UserError


@contextmanager
def whole_file(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary sibling to write to, renamed to ``path`` when the block ends without an error.

    Raises:
        UserError: ``path`` exists and ``overwrite`` is not set.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError("a folder, not a file", where=str(path), remedy="name an output file")
    if path.exists() and not overwrite:
        raise UserError("the output file exists", where=str(path), remedy="move it away or add --overwrite")
    with _temporary(path) as folder:
        yield folder / path.name
        os.replace(folder / path.name, path)


@contextmanager
def whole_folder(path: str | Path, names: Collection[str], overwrite: bool = False) -> Iterator[Path]:
    """A temporary sibling to fill, which takes the place of ``path`` when the block ends without an error.

    Args:
        path: the output folder; may exist if it is empty.
        names: patterns of the names that such a folder holds; one that holds another is never replaced.
        overwrite: whether a folder that is not empty may be replaced, all of it.

    Raises:
        UserError: ``path`` is a file, or a folder that holds something and may not be replaced.
    """
    path = Path(path).resolve()
    check_folder(path, names, overwrite)
    with _temporary(path) as folder:
        new, old = folder / "new", folder / "old"
        new.mkdir()
        yield new
        _follow_umask(new)
        if path.exists():
            os.replace(path, old)
        try:
            os.replace(new, path)
        except OSError:
            if old.exists():
                os.replace(old, path)
            raise


def _follow_umask(folder: Path) -> None:
    """Lets files be read by whom a new file lets: safetensors makes its own for the user alone."""
    allowed = folder.stat().st_mode & 0o666  # a new folder's permissions are what the umask leaves
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            file.chmod(file.stat().st_mode | allowed)


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
def _temporary(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
