"""One way to open every input: plain or compressed, told by content and not by name; ``-`` is standard input."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import shutil
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, TextIO

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.inputs import STDIN, is_rereadable

_HEAD = 64  # bytes that tell what a file is
_CHUNK = 1 << 16
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)
_BINARY = {b"PAR1": "Parquet", b"ARROW1": "Arrow", b"\x89HDF": "HDF5", b"SQLite": "SQLite", b"%PDF": "PDF"}
_ARCHIVES = {b"7z\xbc\xaf\x27\x1c": "a 7z", b"Rar!\x1a\x07": "a RAR"}
_TAR, _TAR_AT, _TAR_HEAD = b"ustar", 257, 512
_UNPACK = "unpack it and name the files that are meant"
_MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@contextmanager
def open_binary(path: str | Path) -> Iterator[io.BufferedReader]:
    """The bytes of a file, or of standard input for ``-``, once through; gzip, bz2, xz and zip are unpacked.

    A zip must hold one file, apart from hidden ones.

    Raises:
        UserError: a file that is missing, unreadable, damaged, a zip of several, or another archive, packed or not.
    """
    with ExitStack() as stack:  # which closes what the functions below open
        raw = _opened(path, stack)
        head = raw.peek(_HEAD)[:_HEAD]
        unpacked: Any
        if head.startswith(b"\x1f\x8b"):
            kind, unpacked = "gzip", gzip.open(raw)  # noqa: SIM115
        elif head.startswith(b"BZh"):
            kind, unpacked = "bz2", bz2.open(raw)  # noqa: SIM115
        elif head.startswith(b"\xfd7zXZ\0"):
            kind, unpacked = "xz", lzma.open(raw)  # noqa: SIM115
        elif head.startswith((b"PK\3\4", b"PK\5\6")):
            kind, unpacked = "zip", _only_member(raw, path, stack)
        else:
            kind = _archive(raw)
            if kind:
                raise UserError(f"{kind} archive", str(path), _UNPACK)
            yield raw
            return
        content = _buffered(unpacked, path, stack, kind)
        if archive := _archive(content):
            raise UserError(f"{archive} archive in {kind}", str(path), _UNPACK)
        yield content


@contextmanager
def open_text(path: str | Path, newline: str | None = None) -> Iterator[TextIO]:
    """The UTF-8 text of what :func:`open_binary` opens, without a byte order mark.

    Args:
        path: the file, or ``-``.
        newline: as of ``open``; "" leaves line ends as they are, where offsets count characters.

    Raises:
        UserError: see :func:`open_binary`; inside the ``with`` block, text that is not UTF-8.
    """
    with open_binary(path) as binary:
        remedy = "convert the file to UTF-8"
        head = binary.peek(_HEAD)[:_HEAD]
        if kind := next((kind for mark, kind in _BINARY.items() if head.startswith(mark)), None):
            raise UserError(f"a {kind} file", str(path), "give UTF-8 text, such as JSON lines or CSV")
        other = _other_encoding(head)
        if other:
            raise UserError(f"not UTF-8 text but {other}", str(path), remedy)
        try:
            yield io.TextIOWrapper(binary, encoding="utf-8-sig", newline=newline)
        except UnicodeDecodeError as error:
            raise UserError("not UTF-8 text", _first_fault(path), remedy) from error


@contextmanager
def kept(paths: Iterable[Path]) -> Iterator[list[Path]]:
    """Files that can be read several times: the same ones, or copies of those that can be read once."""
    with tempfile.TemporaryDirectory() as folder:
        files: list[Path] = []
        for path in paths:
            if not is_rereadable(path):
                # a folder each: pipes in two places may have one name, of which ids are made
                copy = Path(folder, str(len(files)), path.name.replace(STDIN, "standard_input"))
                copy.parent.mkdir()
                with open_binary(path) as source, copy.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
                path = copy
            files.append(path)
        yield files


class _Reading(io.RawIOBase):
    """Reads a stream on; what goes wrong on the way is a UserError that names the file."""

    def __init__(self, stream: IO[bytes], path: str | Path, kind: str) -> None:
        self._stream, self._path, self._kind = stream, path, kind

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return not self._kind and self._stream.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._stream.read(len(buffer))
        except (*_DAMAGED, OSError) as error:
            if isinstance(error, OSError) and error.strerror:
                raise _unreadable(error, self._path) from error
            raise _damaged(self._kind, self._path) from error
        buffer[: len(data)] = data
        return len(data)


def _opened(path: str | Path, stack: ExitStack) -> io.BufferedReader:
    if str(path) == STDIN:
        return _buffered(sys.stdin.buffer, path, stack)
    try:
        stream = Path(path).open("rb", buffering=0)  # noqa: SIM115
    except OSError as error:
        raise _unreadable(error, path) from error
    except ValueError as error:  # a name with a zero byte
        raise UserError(str(error), repr(str(path)), "check the path") from error
    return _buffered(stream, path, stack)


def _buffered(stream: IO[bytes], path: str | Path, stack: ExitStack, kind: str = "") -> io.BufferedReader:
    if str(path) != STDIN:
        stack.callback(stream.close)
    reading: Any = _Reading(stream, path, kind)
    return io.BufferedReader(reading, _CHUNK)


def _only_member(raw: io.BufferedReader, path: str | Path, stack: ExitStack) -> IO[bytes]:
    file: IO[bytes] = raw
    if not raw.seekable():  # a zip's directory is at its end
        file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        shutil.copyfileobj(raw, file)
    try:
        archive = stack.enter_context(zipfile.ZipFile(file))
        names = [name for name in archive.namelist() if not name.endswith("/") and not _is_hidden(name)]
        if len(names) != 1:
            raise UserError(f"a zip of {len(names)} files", str(path), _UNPACK)
        return archive.open(names[0])
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in a way that Python does not know
        raise UserError(f"not a plain zip file ({error})", str(path), "unpack it") from error
    except (*_DAMAGED, ValueError, OverflowError) as error:
        raise _damaged("zip", path) from error


def _archive(content: io.BufferedReader) -> str:
    """What archive the first bytes are of, as tar, which has no mark at its beginning; empty for none."""
    head = content.peek(_TAR_HEAD)
    if head[_TAR_AT:].startswith(_TAR):
        return "a tar"
    return next((name for mark, name in _ARCHIVES.items() if head.startswith(mark)), "")


def _other_encoding(head: bytes) -> str:
    """UTF-16 or UTF-32 where the first bytes say so, by their mark or by every second one being zero."""
    zeros = abs(head[::2].count(0) - head[1::2].count(0))
    return next(
        (name for mark, name in _MARKS.items() if head.startswith(mark)), "UTF-16" if zeros > len(head) // 4 else ""
    )


def _first_fault(path: str | Path) -> str:
    """Where a file ceases to be UTF-8, as the place of a message; the file alone where it cannot be read again."""
    if not is_rereadable(Path(path)):
        return str(path)
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    with open_binary(path) as binary:
        while True:
            chunk = binary.read(_CHUNK)
            kept = decoder.getstate()[0]  # of the chunk before: the first bytes of a character
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                line += (kept + chunk)[: error.start].count(b"\n")
                return f"{path}, line {line}"
            if not chunk:
                return str(path)
            line += chunk.count(b"\n")


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _damaged(kind: str, path: str | Path) -> UserError:
    return UserError(f"damaged {kind} file", str(path), "fetch or compress the file again")


def _unreadable(error: OSError, path: str | Path) -> UserError:
    return UserError(error.strerror or str(error), str(path), "check the path and its permissions")
