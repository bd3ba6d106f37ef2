"""Text files, plain or gzipped, whose faults are told to the user."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from fairseq_littlebird.errors import UserError


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """The UTF-8 text of a file, gunzipped where its name ends in .gz, without a byte order mark.

    Raises:
        UserError: inside the ``with`` block, for a file that is missing, unreadable, truncated or not UTF-8.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as raw:
            yield io.TextIOWrapper(raw, encoding="utf-8-sig")  # type: ignore[arg-type]
    except UnicodeDecodeError as error:
        raise UserError("not UTF-8 text", where=str(path), remedy="convert the file to UTF-8") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError("not a whole gzip file", where=str(path), remedy="fetch or compress the file again") from error
    except OSError as error:
        raise UserError(
            error.strerror or str(error), where=str(path), remedy="check the path and its permissions"
        ) from error
