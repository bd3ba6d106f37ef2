"""JSON files as the scorers read them: whole, line by line, or as a flat map from question id."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

from fairseq_littlebird.errors import UserError, shown
from fairseq_littlebird.formats.opening import open_binary, open_text

FORMAT_REMEDY = "check that the file has the data set's own format"


def read_json(path: str) -> Any:
    """The value in a UTF-8 JSON file, plain or compressed; ``-`` is standard input.

    Raises:
        UserError: the file cannot be read, is not UTF-8 or not JSON.
    """
    with open_text(path, newline="\n") as stream:
        return _parse(stream.read(), path)


def read_json_lines(path: str) -> list[dict[str, Any]]:
    """The objects of a UTF-8 file with one JSON object a line, plain or compressed; blank lines are skipped.

    Raises:
        UserError: the file cannot be read, is not UTF-8, or a line holds something else.
    """
    return list(each_json_line(path))


def each_json_line(path: str) -> Iterator[dict[str, Any]]:
    """The objects of `read_json_lines` one by one, for files that are larger than the memory."""
    with open_binary(path) as lines:
        for number, line in enumerate(lines, 1):
            where = f"{path}, line {number}"
            try:
                text = line.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                remedy = "convert the file to UTF-8"
                raise UserError(f"not UTF-8 text at byte {error.start}", where, remedy) from error
            if not text.strip():
                continue
            record = _parse(text, where)
            if not isinstance(record, dict):
                raise UserError("expected one JSON object a line", where, FORMAT_REMEDY)
            yield record


def files_of(path: str, *endings: str) -> list[str]:
    """The files that a path stands for, sorted: itself, a folder's with these endings, or a pattern's.

    Raises:
        UserError: the folder has no such file, or none matches the pattern.
    """
    place = Path(path)
    if place.is_dir():
        found = [str(file) for file in place.iterdir() if file.name.endswith(endings)]
        if not found:
            raise UserError(f"no {' or '.join(endings)} file in this folder", path, "give the folder that has them")
    elif place.exists() or not glob.has_magic(path):
        found = [path]
    else:
        found = glob.glob(path)
        if not found:
            raise UserError("no file matches this pattern", path, "give a file, a folder or another pattern")
    return sorted(found)


def read_texts(path: str) -> dict[str, str]:
    """A predictions file, ``{question id: answer text}``."""
    texts = _read_map(path, "answer text")
    check_texts(texts, path)
    return texts


def check_texts(texts: dict[str, Any], where: str) -> None:
    """Raises a UserError where an answer is not a text."""
    for key, text in texts.items():
        if not isinstance(text, str):
            raise UserError(
                f"expected the answer's text, found {shown(text)}",
                f"{where}, question {key}",
                "give one string a question, as predictions.json has it",
            )


def read_numbers(path: str) -> dict[str, float]:
    """A file of no-answer scores, ``{question id: number}``."""
    numbers = _read_map(path, "number")
    for key, number in numbers.items():
        if not is_number(number):
            raise UserError(
                f"expected a number, found {shown(number)}",
                f"{path}, question {key}",
                "give one number a question, as null_odds.json has it",
            )
    return numbers


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a number, of any size; NaN is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def items(record: Any, key: str, where: str) -> list[dict[str, Any]]:
    """The list of objects under a key of a parsed record, or a UserError that says where it is missing."""
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise UserError(f"no list of objects under {key!r}", where, FORMAT_REMEDY)
    return value


def question_id(question: dict[str, Any], key: str, where: str, seen: dict[str, Any]) -> str:
    """The question's id as text, also where it is a number, which ``seen`` does not have yet."""
    value = question.get(key)
    if type(value) is int or isinstance(value, float) and value.is_integer():
        value = str(int(value))
    if not isinstance(value, str):
        raise UserError(f"a question without an id under {key!r}", where, FORMAT_REMEDY)
    if value in seen:
        raise UserError("more than one question has this id", f"{where}, question {value}", "keep one of them")
    return value


def _read_map(path: str, value: str) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"expected one JSON object, question id to {value}", path, "give {id: value, ...}")
    return content


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text, strict=False)  # line ends inside strings, as preparation reads them
    except (ValueError, RecursionError) as error:
        raise UserError(f"not JSON ({error})", where, FORMAT_REMEDY) from error
