"""Reads the phases of a staged training of a language model, for scripts/language_model.sh.

    python phases.py FILE

FILE is YAML: ``arch``, ``options`` (words for fairseq-train in every phase) and ``phases``, a list. A phase has the
keys of ``KEYS``; what it leaves out is as in the phase before it, but for warmup_updates, which are a tenth of its
updates, and 10,000 at most. Prints a line for each phase, of four parts with tabs between them: its updates; what
changes in it; its options, with spaces between them; and the length of its texts.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fairseq_littlebird.errors import UserError, first_line
from fairseq_littlebird.modules.config.windows import check_windows, dilations_of_layers, windows_of_layers

MODELS = Path(__file__).resolve().parents[1] / "configs" / "model"
# key -> what it is called, and the option of fairseq-train
KEYS = {
    "attention_window": ("window", "--attention-window"),
    "attention_dilation": ("dilation", "--attention-dilation"),
    "block_size": ("block size", "--block-size"),
    "tokens_per_sample": ("length", "--tokens-per-sample"),
    "lr": ("learning rate", "--lr"),
    "updates": ("updates", "--max-update"),
    "warmup_updates": ("warmup", "--warmup-updates"),
    "batch_size": ("batch size", "--batch-size"),
    "update_freq": ("update frequency", "--update-freq"),
}
NUMBERS = ("block_size", "tokens_per_sample", "updates", "batch_size", "update_freq")
REQUIRED = ("tokens_per_sample", "lr", "updates", "batch_size")
MOST_WARMUP = 10_000
LONGEST_VALUE = 40  # characters


class Phase(NamedTuple):
    """One of them.

    Args:
        settings: all its keys.
        changes: in words, since the phase before.
        options: of fairseq-train.
    """

    settings: dict[str, Any]
    changes: str
    options: list[str]


def read(path: Path) -> list[Phase]:
    """The phases of a file.

    Raises:
        UserError: it is not such a file; the text names the key.
    """
    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise UserError(f"not YAML: {first_line(error)}", str(path), "correct the file") from error
    if not isinstance(content, dict):
        raise UserError("no keys in it", str(path), "give arch and phases")
    _check_keys(content, ("arch", "options", "phases"), str(path))
    arch, options, phases = content.get("arch"), content.get("options", []), content.get("phases")
    if not isinstance(options, list) or not all(_is_word(word) for word in options):
        raise UserError("expected a list of words without spaces", f"{path}, options", "such as [--positions, alibi]")
    if not isinstance(phases, list) or not phases:
        raise UserError("expected a list of phases", f"{path}, phases", "begin each with a dash")
    shared = [str(word) for word in options]
    layers, heads = _sizes(arch, shared, path)
    found: list[Phase] = []
    before: dict[str, Any] = {}
    for number, given in enumerate(phases, 1):
        where = f"{path}, phase {number}"
        if not isinstance(given, dict):
            raise UserError("expected keys with values", where, f"use {', '.join(KEYS)}")
        settings = _settings(given, before, where)
        _check_windows(settings, layers, heads, where)
        own = [word for key, value in settings.items() for word in (KEYS[key][1], str(value))]
        found.append(Phase(settings, _changes(settings, before), ["--arch", str(arch), *shared, *own]))
        before = settings
    return found


def _settings(given: Mapping[Any, Any], before: Mapping[str, Any], where: str) -> dict[str, Any]:
    """All keys of a phase, in the order of ``KEYS``."""
    _check_keys(given, KEYS, where)
    merged = {key: value for key, value in before.items() if key != "warmup_updates"} | dict(given)
    for key in REQUIRED:
        if key not in merged:
            raise UserError("not given", f"{where}, {key}", "add it to the first phase")
    for key in (*NUMBERS, "warmup_updates"):
        if key in merged and not (_is_whole(merged[key]) and merged[key] >= (key != "warmup_updates")):
            kind = "whole number" if key == "warmup_updates" else "positive whole number"
            raise UserError(f"expected a {kind}, got {merged[key]!r}", f"{where}, {key}")
    if isinstance(merged["lr"], bool) or not isinstance(merged["lr"], int | float) or not 0 < merged["lr"] < math.inf:
        raise UserError(f"expected a number above 0, got {merged['lr']!r}", f"{where}, lr")
    for key in ("attention_window", "attention_dilation"):
        if key in merged and not _is_word(merged[key]):
            raise UserError(f"expected a number or a text without spaces, got {merged[key]!r}", f"{where}, {key}")
    merged.setdefault("warmup_updates", min(merged["updates"] // 10, MOST_WARMUP))
    if merged["warmup_updates"] > merged["updates"]:
        raise UserError("more than the updates of the phase", f"{where}, warmup_updates", "give fewer")
    return {key: merged[key] for key in KEYS if key in merged}


def _check_keys(given: Mapping[Any, Any], known: Sequence[str] | Mapping[str, Any], where: str) -> None:
    for key in given:
        if key not in known:
            raise UserError(f"unknown key {key!r}", where, f"use {', '.join(known)}")


def _check_windows(settings: Mapping[str, Any], layers: int, heads: int, where: str) -> None:
    """Now, and not after the phases before."""
    try:
        windows = windows_of_layers(settings.get("attention_window", 2), layers)
        key = "attention_window"
        check_windows(windows, ((1,) * heads,) * layers, layers, heads)
        key = "attention_dilation"
        check_windows(windows, dilations_of_layers(settings.get(key, 1), layers, heads), layers, heads)
    except ValueError as error:
        raise UserError(str(error), f"{where}, {key}") from error


def _sizes(arch: Any, options: Sequence[str], path: Path) -> tuple[int, int]:
    """Layers and heads of the model."""
    known = sorted(file.stem for file in MODELS.glob("*_lm_*.yaml"))
    if arch not in known:
        raise UserError(f"{arch!r} is not a language model with windows", f"{path}, arch", f"use {', '.join(known)}")
    sizes = OmegaConf.load(MODELS / f"{arch}.yaml")  # fairseq takes seconds to say the same
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("decoder_layers", "decoder_attention_heads"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=sizes[name])
    given = parser.parse_known_args(options)[0]
    return given.decoder_layers, given.decoder_attention_heads


def _changes(settings: Mapping[str, Any], before: Mapping[str, Any]) -> str:
    """All of the first phase, and what is another number in a later one; updates always."""
    parts = []
    for key, value in settings.items():
        name, old = KEYS[key][0], before.get(key)
        if key == "updates":
            parts.append(f"{value:,} updates")
        elif key != "warmup_updates" and value != old:
            parts.append(f"{name} {_text(value)}" if old is None else f"{name} {_text(old)} → {_text(value)}")
    return ", ".join(parts)


def _text(value: Any) -> str:
    """A value in a line, of a long list only that it has one for each layer."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_VALUE else "by layer"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_word(value: Any) -> bool:
    """A number, or a text that is one word on a command line."""
    return isinstance(value, str | int | float) and not isinstance(value, bool) and len(str(value).split()) == 1


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="YAML, see configs/language_model")
    options = parser.parse_args()
    try:
        phases = read(options.file)
    except UserError as error:
        sys.exit(_told(str(error)))
    except OSError as error:
        sys.exit(_told(f"{options.file}: {error.strerror}"))
    for phase in phases:
        settings = phase.settings
        parts = (settings["updates"], phase.changes, " ".join(phase.options), settings["tokens_per_sample"])
        print("\t".join(map(str, parts)))


def _told(message: str) -> int:
    print(f"phases: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
