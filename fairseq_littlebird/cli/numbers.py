"""Numbers as argparse takes them; what is none is one line."""

from __future__ import annotations

import argparse
import math


def positive(text: str) -> int:
    return _at_least(text, 1, "a positive whole number")


def count(text: str) -> int:
    return _at_least(text, 0, "a whole number from 0")


def finite(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}")
    return number


def _at_least(text: str, least: int, what: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}")
    return int(text)
