"""Whole numbers as argparse takes them; what is none is one line."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    return _at_least(text, 1, "a positive whole number")


def count(text: str) -> int:
    return _at_least(text, 0, "a whole number from 0")


def _at_least(text: str, least: int, what: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}")
    return int(text)
