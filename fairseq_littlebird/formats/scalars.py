"""Members of a decoded record: of the type that the format says, or of one that can mean nothing else."""

from __future__ import annotations

import difflib
import math
from typing import Any

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.reading_log import ReadingLog

_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}


def field(record: Any, name: str, kind: type | tuple[type, ...], where: str, remedy: str, default: Any = None) -> Any:
    """A member of a decoded object, of this type and no other.

    Raises:
        UserError: the record is no object, lacks the member (unless there is a default), or it is of another type.
    """
    if not isinstance(record, dict):
        raise UserError("another JSON format (an object was expected here)", where=where, remedy=remedy)
    value = record.get(name)
    if value is None and default is not None:
        return default
    if name not in record:
        raise UserError(f"another JSON format (no {name!r} here{alike(record, name)})", where=where, remedy=remedy)
    if value is None and not isinstance(value, kind):
        raise UserError(f"no {name} (it is null)", where=where, remedy=remedy)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        wanted = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise UserError(
            f"another JSON format ({name!r} is {type(value).__name__}, not {wanted})", where=where, remedy=remedy
        )
    return value


def identity(record: Any, name: str, where: str, remedy: str) -> str:
    """An id, a text or a whole number, as text: predictions and gold answers are matched by it."""
    value = field(record, name, (str, int, float), where, remedy)
    if isinstance(value, float):
        if not value.is_integer():
            raise UserError(f"the id is {shown(value)}", where, "give a text or a whole number")
        value = int(value)
    return str(value)


def text_member(record: Any, name: str, where: str, remedy: str, log: ReadingLog, default: str = "") -> str:
    """A text that may be missing; a number becomes text, NaN and null nothing."""
    value = record.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        missing = isinstance(value, float) and math.isnan(value)
        log.note(f"{name!r} is {'NaN, taken as missing' if missing else 'a number, taken as text'}", where)
        return default if missing else str(value)
    text: str = field(record, name, str, where, remedy, default)
    return text


def whole_number(value: Any, name: str, where: str, remedy: str, log: ReadingLog) -> int | None:
    """A whole number, also one written as text or with a fraction of zero; None for null, NaN and empty text.

    Raises:
        UserError: it is something else.
    """
    if value is None or isinstance(value, float) and math.isnan(value) or isinstance(value, str) and not value.strip():
        return None
    if type(value) is int:
        return value
    number = _number(value)
    if number is None:
        kind = type(value).__name__
        raise UserError(f"another JSON format ({name!r} is {kind} {shown(value)}, not int)", where, remedy)
    log.note(f"{name!r} is {'text' if isinstance(value, str) else 'a float'}, taken as a whole number", where)
    return number


def finite_number(value: Any, name: str, where: str, remedy: str) -> float:
    """A number, also one written as text.

    Raises:
        UserError: it is something else, NaN or infinite.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"the {name} is {shown(value)}, and not a finite number", where, remedy)
    return number


def truth(value: Any, name: str, where: str, remedy: str, log: ReadingLog) -> bool | None:
    """A truth value, also one written as 0, 1 or text; None for null and NaN.

    Raises:
        UserError: it is something else.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float) and math.isnan(value):
        return None
    known = _TRUTHS.get(str(int(value) if isinstance(value, float) and value.is_integer() else value).strip().lower())
    if known is None or not isinstance(value, (int, float, str)):
        kind = type(value).__name__
        raise UserError(f"another JSON format ({name!r} is {kind} {shown(value)}, not bool)", where, remedy)
    log.note(f"{name!r} is {'text' if isinstance(value, str) else 'a number'}, taken as true or false", where)
    return known


def _number(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return int(number) if number.is_integer() and abs(number) < 1 << 53 else None


def alike(record: dict[str, Any], name: str) -> str:
    """What to say of a member that may have been meant by this name; empty where none is like it."""
    found = difflib.get_close_matches(name, [key for key in record if isinstance(key, str)], n=1, cutoff=0.75)
    return f", but {found[0]!r}" if found else ""
