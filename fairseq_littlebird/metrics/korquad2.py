"""KorQuAD 2.0 and 2.1 scores, digit for digit as the official evaluate-2.0.py gives them.

Answers are HTML; the characters of their text are compared, without any space. The official script takes the text
from BeautifulSoup, with whatever parser is installed. Here it is the text that BeautifulSoup 4.15 gives with
Python's own html.parser. With lxml it is the same where an answer cuts no tag in two; other broken HTML may differ.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from html.entities import html5
from html.parser import HTMLParser
from typing import Any

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.metrics import korquad1, squad
from fairseq_littlebird.metrics.json_files import FORMAT_REMEDY, files_of, items, question_id, read_json

# Elements that BeautifulSoup closes at once, as they have no content.
_VOID = frozenset(
    "area base basefont bgsound br col command embed frame hr image img input isindex keygen link menuitem meta "
    "nextid param source spacer track wbr".split()
)
# Elements whose strings it does not count as text.
_HIDDEN = frozenset("rp rt script style template".split())


def read_gold(path: str) -> dict[str, Any]:
    """The parsed JSON of a file, or of a folder's .json files as one.

    Raises:
        UserError: no such file, or not KorQuAD's format.
        OSError: it cannot be read.
    """
    return {"data": [page for file in files_of(path, ".json") for page in items(read_json(file), "data", file)]}


def html_text(html: str) -> str:
    """The text of a piece of HTML; runs of white space between two tags may be longer than BeautifulSoup's.

    Raises:
        ValueError: html.parser cannot read it, which depends on Python's version.
    """
    parser = _TextParser()
    try:
        parser.feed(html)
        parser.close()
    except AssertionError as error:
        raise ValueError(str(error)) from error
    return "".join(parser.text)


def normalize(html: str) -> str:
    """The text without quotes, brackets, ASCII punctuation and white space, in lower case.

    Raises:
        ValueError: see `html_text`.
    """
    return korquad1.normalize(html_text(html)).replace(" ", "")


def exact_match(prediction: str, gold: str) -> float:
    """1.0 if both are the same once normalized, else 0.0."""
    return float(normalize(prediction) == normalize(gold))


def f1(prediction: str, gold: str) -> float:
    """F1 over the characters of the normalized texts; 0.0 where neither has any."""
    return squad.overlap_f1(normalize(prediction), normalize(gold))


def answers(gold: Any, where: str = "gold") -> dict[str, list[str]]:
    """The answer of each question as HTML, a list of one, in the file's order.

    Args:
        gold: the parsed KorQuAD 2 JSON: pages under ``data``, each with its ``qas``.
        where: what an error calls it, such as its file name.

    Raises:
        UserError: the format is another, an id comes twice, there is no question, or no answer to one.
    """
    texts: dict[str, list[str]] = {}
    for number, page in enumerate(items(gold, "data", where), 1):
        spot = f"{where}, page {number}"
        for question in items(page, "qas", spot):
            identifier = question_id(question, "id", spot, texts)
            answer = question.get("answer")
            if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
                raise UserError("no 'answer' with a 'text'", f"{where}, question {identifier}", FORMAT_REMEDY)
            texts[identifier] = [answer["text"]]
    if not texts:
        raise UserError("no question in it", where, FORMAT_REMEDY)
    return texts


def evaluate(gold: Any, predictions: Mapping[str, str]) -> dict[str, float]:
    """``exact_match`` and ``f1`` in per cent over all questions; without prediction a question scores 0.

    Args:
        gold: the parsed KorQuAD 2 JSON, see `read_gold`.
        predictions: question id to the answer as HTML.

    Raises:
        UserError: see `answers`; also for HTML that cannot be read, where the official script stops as well.
    """
    texts = answers(gold)
    golds = {key: [_normalized(html, f"gold answer of question {key}") for html in texts[key]] for key in texts}
    given = {key: _normalized(predictions[key], f"question {key}") for key in texts if key in predictions}
    return squad.average(golds, given, lambda ours, theirs: float(ours == theirs), squad.overlap_f1)


def _normalized(html: str, where: str) -> str:
    try:
        return normalize(html)
    except ValueError as error:
        raise UserError(f"not HTML ({error})", where, "give an answer without the broken declaration") from error


class _TextParser(HTMLParser):
    """Collects what BeautifulSoup would hold as text, from a stack of open elements that is built as its tree is."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.text: list[str] = []
        self._open: list[str] = []
        self._count: Counter[str] = Counter()  # how often each element is open
        self._spare_ends: Counter[str] = Counter()  # end tags to come of void elements, closed already

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            self._spare_ends[tag] += 1
        else:
            self._open.append(tag)
            self._count[tag] += 1

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass  # opened and closed at once, whatever its name

    def handle_endtag(self, tag: str) -> None:
        if self._spare_ends[tag]:
            self._spare_ends[tag] -= 1
            return
        while self._count[tag]:  # an end tag closes the innermost element of its name and all within it
            closed = self._open.pop()
            self._count[closed] -= 1
            if closed == tag:
                break

    def handle_data(self, data: str) -> None:
        if not any(self._count[tag] for tag in _HIDDEN):
            self.text.append(data)

    def unknown_decl(self, data: str) -> None:
        if data.upper().startswith("CDATA["):
            self.text.append(data[len("CDATA[") :])  # counts as text even within a hidden element

    def handle_entityref(self, name: str) -> None:
        self.handle_data(html5.get(name + ";") or html5.get(name) or "&" + name)

    def handle_charref(self, name: str) -> None:
        base, digits, pattern = (16, name[1:], "[0-9a-f]+") if name[0] in "xX" else (10, name, "[0-9]+")
        rest = ""
        if not re.fullmatch("[0-9a-fA-F]+" if base == 16 else pattern, digits):
            # newer Pythons hand over what follows a reference without semicolon
            match = re.match(pattern, digits)
            digits, rest = (match[0], digits[match.end() :]) if match else ("", digits)
        self.handle_data((_character(digits, base) if digits else "") + rest)


def _character(digits: str, base: int) -> str:
    """The character with this number; those of Windows-1252 where Unicode has controls."""
    digits = digits.lstrip("0")
    number = int(digits, base) if 0 < len(digits) <= 7 else 0  # more digits are beyond Unicode
    if not 0 < number <= 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        return "\N{REPLACEMENT CHARACTER}"
    if 0x80 <= number <= 0x9F:
        return bytes([number]).decode("cp1252", "ignore") or chr(number)
    return chr(number)
