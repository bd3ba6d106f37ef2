"""Hostile input: valid small files, changed in their structure and in their bytes, given to what reads them.

Few cases by default, the same ones each time. ``LITTLEBIRD_FUZZ=10000`` makes so many of each parser, drawn anew, and
says at the end how many were read and how many refused.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fairseq_littlebird.errors import UserError

LONG = "LITTLEBIRD_FUZZ" in os.environ
CASES = int(os.environ.get("LITTLEBIRD_FUZZ", "60"))
SECONDS = 20
"""Of one case's own processor time; each takes milliseconds."""

RESULTS: dict[str, Counter[str]] = {}


class Members(list):
    """A JSON object as [key, value] pairs, which may hold a key twice."""


class Literal(str):
    """A value as it stands in the file."""

    __slots__ = ()


HARD = [
    "", " ", "\0", "\ufeff", "\r\n", "e\u0301", "\u0301", "\ud800", "\udfff\ud800", "\u202e", "\u2028", "😀", "İ", "ß",
    "ﬁ", "a" * 300, "../../evil", "/etc/passwd", "%s{0}", "<", "<!--", "<nav>", "&#9;", "&#" + "9" * 5000 + ";", "&",
    "[UNK]", "</s>", "-1", "1", "x.txt", "yes", "span", "\x1b[31m",
]  # fmt: skip
VALUES = [
    None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, -(2**63) - 1, 0.5, -0.0, Literal("NaN"), Literal("Infinity"),
    Literal("-Infinity"), Literal("1e999"), Literal("1" * 400), Literal("1" * 5000), [], Members(), [[]], [None], [""],
    [0], [0, 1], [-1, -1], Members([["a", 1]]), Members([["", None]]), *HARD,
]  # fmt: skip
CHUNKS = [
    b"\xff", b"\0", b"\xef\xbb\xbf", b"\r\n", b"\n", b"\xed\xa0\x80", b"\xcc\x81", b'"', b"{", b"}", b"[", b"]", b",",
    b":", b"NaN", b"\\u", b"-", b"0", b" ", b"\t", b"9" * 5000, b"[" * 2000, b"<" * 500, b"\x1f\x8b", b"/",
    b"&a", b"*a",
]  # fmt: skip


class Json(NamedTuple):
    """A file of one value."""

    value: Any

    def changed(self, changes: Sequence[tuple[int, int, int]]) -> bytes:
        return _encoded(_write(_changed(self.value, changes)))


class JsonLines(NamedTuple):
    """A file of a value a line."""

    values: list[Any]

    def changed(self, changes: Sequence[tuple[int, int, int]]) -> bytes:
        lines = _changed(self.values, changes)
        lines = lines if isinstance(lines, list) else [lines]
        return _encoded("".join(_write(line) + "\n" for line in lines))


class Lines(NamedTuple):
    """A text file whose lines are the records."""

    text: str

    def changed(self, changes: Sequence[tuple[int, int, int]]) -> bytes:
        lines = _changed(self.text.split("\n"), changes)
        lines = lines if isinstance(lines, list) else [lines]
        return _encoded("\n".join(line if isinstance(line, str) else _write(line) for line in lines))


class Bytes(NamedTuple):
    """A file whose structure is not ours to know."""

    content: bytes

    def changed(self, changes: Sequence[tuple[int, int, int]]) -> bytes:
        content = self.content
        for change in changes:
            content = change_bytes(content, *change)
        return content


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")


def tree(value: Any) -> Any:
    """A JSON value with ``Members`` for its objects, all of it new."""
    if isinstance(value, Members):
        return Members([key, tree(member)] for key, member in value)
    if isinstance(value, dict):
        return Members([key, tree(member)] for key, member in value.items())
    return [tree(item) for item in value] if isinstance(value, list) else value


def _write(value: Any) -> str:
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, Members):
        return "{" + ", ".join(f"{_write(str(key))}: {_write(member)}" for key, member in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_write, value)) + "]"
    # escaped where UTF-8 could not hold it
    return json.dumps(value, ensure_ascii=isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value))


def _changed(value: Any, changes: Sequence[tuple[int, int, int]]) -> Any:
    root = [tree(value)]
    for change in changes:
        _change(root, *change)
    return root[0] if root else None


def _slots(container: list[Any]) -> Iterator[tuple[list[Any], int, Members | None]]:
    """Where each value of a tree stands: a list and the index in it, or a pair, 1 and the pair's object."""
    for i, item in enumerate(container):
        owner = container if isinstance(container, Members) else None
        place, at = (container, i) if owner is None else (item, 1)
        yield place, at, owner
        if isinstance(place[at], list):
            yield from _slots(place[at])


def _change(root: list[Any], kind: int, where: int, what: int) -> None:
    """Drops, doubles, replaces, renames, moves, wraps or edits one value of a tree."""
    slots = list(_slots(root))
    place, at, owner = slots[where % len(slots)]
    other, there, _ = slots[what % len(slots)]
    value = place[at]
    if kind == 0:
        place[at] = tree(VALUES[what % len(VALUES)])
    elif kind == 1 and place is not root:
        if owner is None:
            del place[at]
        else:
            owner[:] = [pair for pair in owner if pair is not place]
    elif kind == 2 and place is not root:
        if owner is None:
            place.insert(at, tree(value))
        else:
            owner.append([place[0], tree(VALUES[what % len(VALUES)] if what % 2 else value)])
    elif kind == 3 and owner is not None:
        place[0] = HARD[what % len(HARD)] if what % 2 else str(owner[what // 2 % len(owner)][0])
    elif kind == 4:
        place[at] = tree(other[there])
    elif kind == 5:
        place[at] = [value] if what % 2 else Members([[HARD[what // 2 % len(HARD)], value]])
    elif kind == 6 and isinstance(value, str) and not isinstance(value, Literal):
        middle = what // len(HARD) % (len(value) + 1)
        place[at] = value[:middle] + HARD[what % len(HARD)] + value[middle:]
    elif kind == 6 and isinstance(value, int):
        place[at] = value + (what % 21 - 10) * (1 if what % 3 else 10 ** (what % 20))
    elif kind == 7:
        depth = what % 1100
        place[at] = Literal("[" * depth + "]" * depth if what % 2 else '{"a":' * depth + "0" + "}" * depth)


def change_bytes(content: bytes, kind: int, where: int, what: int) -> bytes:
    """Turns a bit over, cuts the rest, leaves out, doubles, or puts something between."""
    at = where % (len(content) + 1)
    if kind % 5 == 0 and at < len(content):
        return content[:at] + bytes([content[at] ^ (1 << what % 8)]) + content[at + 1 :]
    if kind % 5 == 1:
        return content[:at]
    if kind % 5 == 2:
        return content[:at] + content[at + 1 + what % 40 :]
    if kind % 5 == 3:
        return content[:at] + content[at : at + 1 + what % 40] + content[at:]
    return content[:at] + CHUNKS[what % len(CHUNKS)] + content[at:]


_CASE = struct.Struct("<HBB" + 5 * "BHH")


def _drawn(content: bytes) -> tuple[int, list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """What a case is, from the bytes that stand for it: a file, changes of its structure, changes of its bytes."""
    chosen, changes, bytes_changed, *numbers = _CASE.unpack(content)
    each = [(numbers[i] % 8, *numbers[i + 1 : i + 3]) for i in range(0, len(numbers), 3)]
    return chosen, each[: changes % 4], each[3 : 3 + max(0, bytes_changed % 5 - 2)]


Files = dict[str, Any]
"""Path in a folder -> ``Json``, ``JsonLines``, ``Lines`` or ``Bytes``; what is changed comes first."""


class Hang(BaseException):
    """A case took longer than any should; nothing that catches exceptions catches it."""


@contextmanager
def bounded(seconds: float = SECONDS) -> Iterator[None]:
    """Raises ``Hang`` inside the block after so much of this process's own time."""

    def stop(*_: Any) -> None:
        raise Hang(f"more than {seconds} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def profile(cases: int = CASES) -> settings:
    return settings(
        max_examples=cases,
        derandomize=not LONG,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def refused(error: UserError, where: Path) -> None:
    """Holds an error to its form: one line, which names the file."""
    assert len(str(error).splitlines()) == 1
    assert str(where) in str(error), f"does not say which file: {error}"


class Hostile(NamedTuple):
    """What a test of this folder needs."""

    run: Callable[..., None]
    bounded: Callable[..., Any]
    profile: Callable[..., settings]
    changed: Callable[..., Any]
    cases: int = CASES
    Json: type = Json
    JsonLines: type = JsonLines
    Lines: type = Lines
    Bytes: type = Bytes


@pytest.fixture
def hostile(tmp_path: Path, request: pytest.FixtureRequest) -> Hostile:
    """``hostile.run(files, …, read=…)``: every case is read, or refused in one line; ``read(folder)`` checks the rest.

    Each of ``files`` is a folder; ``changed`` is how many of its files, from the first, a case may change (all).
    """

    def run(*folders: Files, read: Callable[[Path], Any], changed: int | None = None, cases: int = CASES) -> None:
        count = RESULTS.setdefault(request.node.name, Counter())
        began = time.monotonic()
        for number, files in enumerate(folders):
            for name, file in files.items():
                path = tmp_path / str(number) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.changed([]))
            read(tmp_path / str(number))  # as it is, it is good

        @profile(cases)
        @given(st.binary(min_size=_CASE.size, max_size=_CASE.size))
        def case(drawn: bytes) -> None:
            chosen, changes, bytes_changed = _drawn(drawn)
            number = chosen % len(folders)
            files, folder = folders[number], tmp_path / str(number)
            names = list(files)[:changed]
            name = names[chosen // len(folders) % len(names)]
            content = files[name].changed(changes)
            for change in bytes_changed:
                content = change_bytes(content, *change)
            (folder / name).write_bytes(content)
            try:
                with bounded():
                    read(folder)
                count["read"] += 1
            except UserError as error:
                count["refused"] += 1
                refused(error, folder)
            finally:
                (folder / name).write_bytes(files[name].changed([]))

        case()
        count["seconds"] = round(time.monotonic() - began)
        assert count["read"] and count["refused"], count

    return Hostile(run, bounded, profile, _changed)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if LONG:
        for name, count in RESULTS.items():
            line = f"{name}: {count['read']:,} read, {count['refused']:,} refused, {count['seconds']} s"
            terminalreporter.write_line(line)
