"""Marks tests by what they use."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest

from helpers.processes import ROOT

SHARED = {"fork_server", "tiny"}
"""Fixtures that start processes once, for whoever needs what these make."""


def mark(item: pytest.Item) -> None:
    """Adds ``subprocess`` and ``real_data`` where the test, or a fixture or function that it uses, does so."""
    fixtures: dict[str, Any] = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009
    if "data_dir" in fixtures:
        item.add_marker("real_data")
    functions = [item.function, *(found[-1].func for name, found in fixtures.items() if name not in SHARED)]
    if "forks" in fixtures or any("subprocess" in names_of(function) for function in functions):
        item.add_marker("subprocess")


@functools.cache
def names_of(function: Callable[..., Any]) -> set[str]:
    """The names that a function of this repository reads, and those that functions and classes read which it names."""
    found: set[str] = set()
    seen: set[int] = set()
    left: list[Any] = [function]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, type):
            left += vars(one).values()
        if isinstance(one, FunctionType) and one.__code__.co_filename.startswith(f"{ROOT}/"):
            names = {name for code in _codes(one.__code__) for name in code.co_names}
            left += [one.__globals__[name] for name in names if name in one.__globals__]
            found |= names
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
