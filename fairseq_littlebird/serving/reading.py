"""Files that users send, read in a process of their own that their faults end, not the server."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath

import fairseq_littlebird
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.documents.document import Document
from fairseq_littlebird.formats.documents.reading import READERS, kinds
from fairseq_littlebird.serving.messages import LONGEST_NAME
from fairseq_littlebird.text.tokenizers import without_surrogates

READER = "fairseq_littlebird.serving.read_document"
FOLDER = Path(fairseq_littlebird.__file__).resolve().parents[1]


class Unreadable(Exception):
    """A file that is not read.

    Args:
        status: of HTTP.
        message: one line.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def label(name: str | None) -> str:
    """A file's name as the user knows it, without the folders that it was in; it is shown, never opened."""
    last = PureWindowsPath(PurePosixPath(name or "").name).name
    printable = "".join(character for character in last if character.isprintable()).strip()
    return printable[-LONGEST_NAME:] or "document"


async def read(content: bytes, name: str, seconds: float) -> Document:
    """The document of a file.

    Args:
        content: of the file.
        name: its label, whose suffix says what the file is; without one its content does.
        seconds: after which it is given up.
    Raises:
        Unreadable: of another kind, without text, damaged or encrypted.
        TimeoutError: it takes longer.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix and suffix not in READERS:
        what = UserError(f"documents of this kind are not read: {suffix}", name, f"give {kinds()}")
        raise Unreadable(415, str(what))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", READER, suffix, str(int(seconds) + 1)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=FOLDER,
        start_new_session=True,  # Ctrl-C in the terminal is the server's, which waits for it
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(content), seconds)
    except asyncio.TimeoutError as error:
        raise TimeoutError from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        what = UserError("cannot be read: it takes too much memory or time, or is damaged", name, "save it anew")
        raise Unreadable(422, str(what))
    found = json.loads(out)
    if "fault" in found:
        raise Unreadable(422, f"{name}: {found['fault']}")
    text = without_surrogates(found["text"]).replace("\0", "\ufffd")  # a PDF may say anything; no offset moves
    return Document(name, text, found["unit"], tuple(found["starts"]))
