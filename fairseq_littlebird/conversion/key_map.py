"""One table for both directions between a format's parameters and ours.

A key map leads from each key of the format to ours, or to ``None``, which drops it on purpose. ``{n}`` stands for a
layer's number and ``{key}`` for whatever follows. Several keys that lead to one parameter must hold equal values, so
weights that are tied here must be tied there; the way back gives the value to each of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor

from fairseq_littlebird.conversion.parameters import (
    LM_HEAD,
    QKV,
    SPAN_HEAD,
    TOKEN_TYPES,
    encoder_shapes,
    global_shapes,
    head_shapes,
    span_head_shapes,
)
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.modules.config import EncoderConfig

KeyMap = Mapping[str, "str | None"]
State = dict[str, Tensor]


def linear(source: str, target: str) -> dict[str, str | None]:
    """Weight and bias of a linear layer or a layer norm."""
    return {f"{source}.{name}": f"{target}.{name}" for name in ("weight", "bias")}


def apply_key_map(state: Mapping[str, Tensor], key_map: KeyMap, where: str) -> tuple[dict[str, Tensor], list[str]]:
    """The parameters under our names, and the keys that were dropped.

    Args:
        state: a source's parameters.
        key_map: see above.
        where: the source's path, for messages.
    Raises:
        UserError: a key that the map does not know; two keys of one parameter with different values.
    """
    patterns = [(_pattern(source), target) for source, target in key_map.items()]
    ours: dict[str, Tensor] = {}
    origin: dict[str, str] = {}
    dropped, unexpected = [], []
    for key, value in state.items():
        matches = [(match, target) for pattern, target in patterns if (match := pattern.fullmatch(key))]
        if not matches:
            unexpected.append(key)
            continue
        match, target = matches[0]
        if target is None:
            dropped.append(key)
            continue
        name = _filled(target, match)
        if name in ours and not torch.equal(ours[name], value):
            raise UserError(
                f"{origin[name]} and {key} differ; they are one parameter in LittleBird (untied weights)",
                where,
                "take a source that ties them",
            )
        ours[name], origin[name] = value, key
    if unexpected:
        raise UserError(
            f"{len(unexpected)} unexpected keys: {', '.join(sorted(unexpected))}",
            where,
            "save the encoder alone or with its language model or question-answering head, without other heads and "
            "adapters",
        )
    return ours, dropped


def reverse_key_map(state: Mapping[str, Tensor], key_map: KeyMap) -> State:
    """The other direction: every key that the map has for the parameters here.

    Tied weights share their memory, as in the ``state_dict`` of a module.
    """
    theirs: State = {}
    for source, target in key_map.items():
        if target is None:
            continue
        for key, value in state.items():
            if match := _pattern(target).fullmatch(key):
                theirs[_filled(source, match)] = value
    return theirs


def without_place(state: Mapping[str, Tensor], key_map: KeyMap) -> list[str]:
    """Our keys that the map does not lead to."""
    targets = [_pattern(target) for target in key_map.values() if target is not None]
    return [key for key in state if not any(target.fullmatch(key) for target in targets)]


def rename(state: Mapping[str, Tensor], name: Callable[[str], str], where: str) -> dict[str, Tensor]:
    """Parameters under the names that a key map knows.

    Raises:
        UserError: two keys become one.
    """
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        if name(key) in renamed:
            raise UserError(f"{key} occurs twice, with a prefix and without", where, "save the model again")
        renamed[name(key)] = value
    return renamed


def source_shapes(state: Mapping[str, Tensor], config: EncoderConfig, key_map: KeyMap) -> dict[str, tuple[int, ...]]:
    """Every key that a source of this format has to have and its shape; a head is there whole or not at all."""
    shapes, known = encoder_shapes(config), {*key_map.values()}
    if any(key.startswith(LM_HEAD) for key in state):
        shapes |= head_shapes(config)
    if any(key.startswith(SPAN_HEAD) for key in state):
        shapes |= {key: shape for key, shape in span_head_shapes(config).items() if key in known}
    if "encoder.layers.{n}.attention.global_q.weight" in known:
        shapes |= global_shapes(config)
    if f"encoder.layers.{{n}}.{QKV}.weight" in known:
        shapes = _with_joined_projections(shapes)
    return shapes


def _with_joined_projections(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """As a source has them whose queries, keys and values are one linear layer."""
    joined: dict[str, tuple[int, ...]] = {}
    for key, (rows, *others) in shapes.items():
        if re.search(r"\.attention\.q\.", key):
            joined[key.replace("attention.q", QKV)] = (3 * rows, *others)
        elif not re.search(r"\.attention\.[kv]\.", key):
            joined[key] = (rows, *others)
    return joined


def check_keys(state: Mapping[str, Tensor], config: EncoderConfig, key_map: KeyMap, where: str) -> None:
    """Holds a source to its contract: every parameter there, with the shape that the sizes give it.

    Raises:
        UserError: missing keys, keys of layers or projections that the sizes do not have, or other shapes; lists them.
    """
    check_shapes(state, source_shapes(state, config, key_map), key_map, where)


def check_shapes(
    state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], key_map: KeyMap, where: str
) -> None:
    """As :func:`check_keys`, for the shapes of these keys and no others."""
    missing = [_source_key(key, key_map) for key in shapes if key not in state]
    if missing:
        raise UserError(f"{len(missing)} missing keys: {', '.join(missing)}", where, "save the whole model again")
    beyond = sorted(_source_key(key, key_map) for key in state if key not in shapes and key != TOKEN_TYPES)
    if beyond:
        raise UserError(
            f"{len(beyond)} keys that the configuration's sizes have no place for: {', '.join(beyond)}",
            where,
            "give the configuration that the weights were trained with",
        )
    wrong = [
        f"{_source_key(key, key_map)} is {list(state[key].shape)} instead of {list(shape)}"
        for key, shape in shapes.items()
        if tuple(state[key].shape) != shape
    ]
    if wrong:
        raise UserError(
            f"{len(wrong)} keys of another shape than the configuration says: {', '.join(wrong)}",
            where,
            "give the configuration and the vocabulary that the weights were trained with",
        )


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.escape(template).replace(r"\{n\}", r"(?P<n>\d+)").replace(r"\{key\}", "(?P<key>.+)"))


def _filled(template: str, match: re.Match[str]) -> str:
    for name, value in match.groupdict().items():
        template = template.replace(f"{{{name}}}", value)
    return template


def _source_key(key: str, key_map: KeyMap) -> str:
    """How the source spells one of our keys."""
    for source, target in key_map.items():
        if target is not None and (match := _pattern(target).fullmatch(key)):
            return _filled(source, match)
    return key
