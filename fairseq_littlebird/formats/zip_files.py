"""The files in a zip, whose faults are told to the user."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from fairseq_littlebird.errors import UserError

LARGEST = 1 << 28
"""Bytes that a file in a zip may have unpacked; a larger one is not a text."""


def zipped(path: Path, ending: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a zip's files whose names end so, in the order of the names; nothing is written.

    Raises:
        UserError: no whole zip, or a file in it that is encrypted, packed in an unknown way or too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for info in sorted(archive.infolist(), key=lambda info: info.filename):
                if not info.filename.endswith(ending):
                    continue
                if info.file_size > LARGEST:
                    fault = f"{info.file_size} bytes in one file"
                    raise UserError(fault, f"{path}, {info.filename}", "take it out, or unpack it and give the folder")
                yield info.filename, archive.read(info)
    except (zipfile.BadZipFile, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise UserError("not a whole zip file", str(path), "fetch the file again") from error
    except OSError as error:
        if error.filename:
            raise
        raise UserError("not a whole zip file", str(path), "fetch the file again") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in a way that Python does not know
        raise UserError(f"not a plain zip file ({error})", str(path), "unpack it and give the folder") from error
