"""Whether a :class:`DatasetSpec` is complete, told where it is registered and not hours later."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args

from fairseq_littlebird.datasets.spec import DatasetSpec
from fairseq_littlebird.inference.prediction_format import Section
from fairseq_littlebird.metrics.official_metric import OfficialMetric
from fairseq_littlebird.metrics.text_metric import TextMetric
from fairseq_littlebird.text.answer_spec import Segments
from fairseq_littlebird.text.global_tokens import GlobalInput

_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*", re.IGNORECASE)
_TEXTS = ("name", "title", "remedy")
_MAYBE_EMPTY = ("file_format", "version")
_FUNCTIONS = ("parse", "final_answer")
_MAYBE_FUNCTIONS = ("parse_articles", "matches", "document_pieces", "validation_answer")
_TRUTHS = ("noisy", "limit_from_training")


def check_spec(spec: Any) -> None:
    """Raises where a member of a data set's description cannot be used.

    Raises:
        TypeError: no DatasetSpec, or a member of another type; names data set and member.
        ValueError: a member of the right type with an impossible value.
    """
    if not isinstance(spec, DatasetSpec):
        raise TypeError(f"expected a DatasetSpec, got {_shown(spec)}")
    for name in (*_TEXTS, *_MAYBE_EMPTY):
        _check(spec, name, isinstance(getattr(spec, name), str), "a text")
    for name in _TEXTS:
        _check_value(spec, name, bool(getattr(spec, name).strip()), "a text that is not empty")
    fits = _NAME.fullmatch(spec.name) is not None
    _check_value(spec, "name", fits, "letters, digits, '_', '-' and '.' alone, as a command's argument")
    for name in _FUNCTIONS:
        _check(spec, name, callable(getattr(spec, name)), "a function")
    for name in _MAYBE_FUNCTIONS:
        value = getattr(spec, name)
        _check(spec, name, value is None or callable(value), "a function or None")
    for name in _TRUTHS:
        _check(spec, name, isinstance(getattr(spec, name), bool), "True or False")
    _check_limits(spec)
    _check_types(spec)
    _check(spec, "prediction_format", _all_of(spec.prediction_format, Section), "a tuple of Section")
    _check(spec, "global_input", isinstance(spec.global_input, GlobalInput), "a GlobalInput")
    metric = spec.validation_metric
    comparing = isinstance(metric, TextMetric) and callable(metric.exact_match) and callable(metric.f1)
    _check(spec, "validation_metric", comparing, "a TextMetric of two functions")
    official = spec.official_metric
    _check(
        spec, "official_metric", official is None or isinstance(official, OfficialMetric), "an OfficialMetric or None"
    )


def _check_limits(spec: DatasetSpec) -> None:
    for name in ("max_answer_length", "max_answer_words"):
        value = getattr(spec, name)
        if value is None and name == "max_answer_words":
            continue
        _check(spec, name, type(value) is int, "a whole number")
        _check_value(spec, name, value > 0, "a positive number")


def _check_types(spec: DatasetSpec) -> None:
    types = spec.answer_types
    _check(spec, "answer_types", _all_of(types, str), "a tuple of texts")
    _check_value(spec, "answer_types", len(set(types)) == len(types) and all(types), "different texts, none empty")
    _check_value(
        spec, "segments", spec.segments in get_args(Segments), f"one of {', '.join(map(repr, get_args(Segments)))}"
    )


def _all_of(value: Any, kind: type) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str) and all(isinstance(item, kind) for item in value)


def _check(spec: DatasetSpec, name: str, good: bool, wanted: str) -> None:
    if not good:
        raise TypeError(f"data set {spec.name!r}: {name} must be {wanted}, got {_shown(getattr(spec, name))}")


def _check_value(spec: DatasetSpec, name: str, good: bool, wanted: str) -> None:
    if not good:
        raise ValueError(f"data set {spec.name!r}: {name} must be {wanted}, got {_shown(getattr(spec, name))}")


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"[:80]
