"""What a printed line says, whatever its wording."""

from __future__ import annotations

import re


def numbers_in(line: str) -> list[int]:
    """The whole numbers of a line, in their order."""
    return [int(number.replace(",", "")) for number in re.findall(r"\d+(?:,\d{3})*", line)]
