"""The dictionary that a checkpoint was trained with, and whether another one has the same symbols."""

from __future__ import annotations

import io
import logging
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fairseq_littlebird.errors import UserError

logger = logging.getLogger(__name__)

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
"""fairseq's dictionary begins with these."""
MASK, QUESTION = "<mask>", "[QUESTION]"
ADDED = (MASK, QUESTION)
"""What this plugin's tasks append where the file lacks them."""
OVERWRITE = "#fairseq:overwrite"
REMEDY = "prepare the data with the dict.txt and the tokenizer that it was trained with"


class TrainedDictionary(NamedTuple):
    """The dict.txt of a checkpoint, and the file that it is in."""

    content: bytes
    where: Path

    @classmethod
    def of(cls, folder: Path) -> TrainedDictionary:
        """That of a folder which has the checkpoint's own."""
        return cls((folder / "dict.txt").read_bytes(), folder / "dict.txt")

    @property
    def symbols(self) -> list[str]:
        """In the order of their ids."""
        return dictionary_symbols(self.content, f"{self.where}, dict.txt")


def dictionary_symbols(content: bytes, where: str) -> list[str]:
    """Every symbol of a dict.txt in the order of the ids that this plugin's tasks give it.

    Args:
        content: of the file, with or without a byte-order mark.
        where: its path, for messages.
    Raises:
        UserError: not UTF-8, or a line that is not a symbol and its count.
    """
    return _with_added([*SPECIAL, *(symbol for symbol, _ in dictionary_lines(content, where))])


def _with_added(symbols: Sequence[str]) -> list[str]:
    known = {*symbols}
    return [*symbols, *(symbol for symbol in ADDED if symbol not in known)]


def dictionary_lines(content: bytes, where: str) -> list[tuple[str, str]]:
    """The symbol and the count of each line; arguments and errors as in :func:`dictionary_symbols`."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("not UTF-8 text", where, "convert the file to UTF-8") from error
    lines: list[tuple[str, str]] = []
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line == "\n":
            continue
        parts = line.rstrip().removesuffix(OVERWRITE).rstrip(" ").rsplit(" ", 1)
        if len(parts) != 2 or not parts[1].removeprefix("-").isdecimal():
            fault = f"{line.rstrip()!r} is not a symbol and its count"
            raise UserError(fault, f"{where}, line {number}", "one symbol a line")
        lines.append((parts[0], parts[1]))
    return lines


def completed(content: bytes, where: str) -> bytes:
    """A dict.txt with what this plugin's tasks append, where it lacks [QUESTION]."""
    lines = dictionary_lines(content, where)
    known = {symbol for symbol, _ in lines}
    lines += [(symbol, "0") for symbol in ADDED if symbol not in known and QUESTION not in known]
    return "".join(f"{symbol} {count}\n" for symbol, count in lines).encode()


def bundled_file(content: Mapping[str, Any], name: str) -> bytes | None:
    """A file that a checkpoint of this plugin's tasks carries in its ``task_state``; None where it does not.

    Raises:
        UserError: it is damaged.
    """
    file = members(members(content, "task_state"), "files").get(name)
    if file is None:
        return None
    if not isinstance(file, Tensor) or file.dtype != torch.uint8:
        raise UserError(f"damaged ({name} in it is not a file)", remedy="copy or train it again")
    return file.numpy().tobytes()


def members(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of a checkpoint that has parts itself; empty where it is not there."""
    part = content.get(name) or {}
    if isinstance(part, Namespace):  # of fairseq's older tasks
        return vars(part)
    if not isinstance(part, Mapping):
        raise UserError(f"damaged ({name} is {type(part).__name__})", remedy="copy or train it again")
    return part


def trained_dictionary(content: Mapping[str, Any], checkpoint: Path) -> TrainedDictionary | None:
    """The dictionary that a checkpoint carries, else that which lies beside it, else that of the data it learned.

    Args:
        content: of the checkpoint; only its ``task_state`` and its settings are looked at.
        checkpoint: its path.
    Returns:
        None where there is no dictionary in any of these places.
    Raises:
        UserError: it is damaged.
    """
    bundled = bundled_file(content, "dict.txt")
    if bundled is not None:
        return TrainedDictionary(bundled, checkpoint)
    for folder in dictionary_folders(content, checkpoint):
        path = folder / "dict.txt"
        if path.is_file():
            return TrainedDictionary(path.read_bytes(), path)
    return None


def carrying(content: Mapping[str, Any], trained: TrainedDictionary | None) -> dict[str, Any]:
    """A checkpoint's content with the dictionary among what its task carries, unless it is there already."""
    if trained is None or bundled_file(content, "dict.txt") is not None:
        return dict(content)
    state = members(content, "task_state")
    file = torch.frombuffer(bytearray(trained.content), dtype=torch.uint8)
    return {**content, "task_state": {**state, "files": {**members(state, "files"), "dict.txt": file}}}


def dictionary_folders(content: Mapping[str, Any], checkpoint: Path) -> list[Path]:
    """Where the dictionary may be of a checkpoint that carries none: beside it, or where it was trained."""
    settings = members(content, "args") or members(members(content, "cfg"), "task")
    data = settings.get("data")
    if isinstance(data, (list, tuple)):  # of fairseq's older tasks
        data = data[0] if data else None
    if not isinstance(data, str) or not data:
        return [checkpoint.parent]
    trained = Path(data.split(":")[0])
    return [checkpoint.parent, trained, trained / "input0"]  # the last is sentence_prediction's


def check_symbols(
    theirs: Sequence[str], ours: Sequence[str], here: str, where: str = "", remedy: str = REMEDY, note: str = ""
) -> None:
    """Raises UserError where a checkpoint's dictionary differs from that of the data; it says which symbols do first.

    Args:
        theirs: the checkpoint's symbols, in the order of their ids.
        ours: those that the model is to read.
        here: the file of ours.
        where: the checkpoint.
        remedy: what to do about it.
        note: what else to say of theirs.
    """
    fault = first_difference(theirs, ours, here)
    if fault:
        raise UserError(f"the checkpoint's dictionary{note} {fault}", where, remedy)


def first_difference(theirs: Sequence[str], ours: Sequence[str], here: str) -> str:
    """How one dictionary differs from that of the file ``here``, in words; nothing where it has the same symbols.

    fairseq's own tasks append less at the end than this plugin's, which does not count as a difference.
    """
    theirs, ours = _with_added(theirs), _with_added(ours)
    if theirs == ours:
        return ""
    length = min(len(theirs), len(ours))
    first = next((n for n in range(length) if theirs[n] != ours[n]), length)
    a, b = (repr(symbols[first]) if first < len(symbols) else "nothing" for symbols in (theirs, ours))
    counts = "" if len(theirs) == len(ours) else f" ({len(theirs)} symbols, {len(ours)} there)"
    return f"differs from {here}{counts}: id {first} is {a}, there {b}"


def check_trained_dictionary(
    trained: TrainedDictionary | None, ours: Sequence[str], here: str, where: str = "", remedy: str = REMEDY
) -> None:
    """:func:`check_symbols` for what :func:`trained_dictionary` gave; a warning where nothing tells what it was.

    Args:
        trained: the checkpoint's dictionary.
        ours, here, remedy: see there.
        where: the checkpoint.
    """
    if trained is not None and trained.where.resolve() != Path(here).resolve():
        beside = f" ({trained.where})" if trained.where.name == "dict.txt" else ""
        check_symbols(trained.symbols, ours, here, where, remedy, beside)
        return
    logger.warning(
        "%s has no dictionary to compare with %s: only the number of symbols is checked, not what they are",
        where or "the checkpoint",
        here,
    )
