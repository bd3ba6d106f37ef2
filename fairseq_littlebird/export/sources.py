"""The package's own modules as files that stand side by side, as transformers loads a model's code."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGE = "fairseq_littlebird"
ROOT = Path(__file__).parents[1]
HEAD = f"# From {PACKAGE} (MIT License), with other imports.\n"
_IMPORT = re.compile(rf"^([ \t]*)from {PACKAGE}\.([\w.]+) import(?: (\w+)( as \w+)?$)?", re.MULTILINE)


def write_sources(module: str, folder: Path) -> list[str]:
    """Writes a module, and all of the package that it imports, into a folder; returns the names of the files.

    Imports become relative ones. Operators are registered under the name of the module they come with, so that the
    files load beside the package and beside other models.

    Args:
        module: its name below the package, such as ``export.modeling_littlebird``.
        folder: where to write.
    """
    texts = _texts(module)
    files = sorted(flat(name) for name in texts)
    for name, text in texts.items():
        text = HEAD + _IMPORT.sub(_relative, text)
        text = text.replace(f'"{PACKAGE}::', "f\"{__name__.replace('.', '_')}::")
        if name == module:
            text += _all_of(files, flat(name))
        (folder / f"{flat(name)}.py").write_text(text, "utf-8")
    return [f"{name}.py" for name in files]


def source_names(module: str) -> list[str]:
    """The names of the files that :func:`write_sources` writes."""
    return sorted(f"{flat(name)}.py" for name in _texts(module))


def _texts(module: str) -> dict[str, str]:
    """A module's text, and those of all of the package that it imports."""
    texts: dict[str, str] = {}
    wanted = [module]
    while wanted:
        name = wanted.pop()
        if name not in texts:
            texts[name] = _path(name).read_text("utf-8")
            wanted += [_imported(match) for match in _IMPORT.finditer(texts[name])]
    return texts


def flat(module: str) -> str:
    """``modules.encoder`` to ``modules_encoder``; what is made for transformers has its own name."""
    return module.removeprefix("export.").replace(".", "_")


def _path(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imported(match: re.Match[str]) -> str:
    """The module that a line imports, be it as a name of its package."""
    inner = f"{match[2]}.{match[3]}"
    return inner if match[3] and _path(inner).exists() else match[2]


def _relative(match: re.Match[str]) -> str:
    module = _imported(match)
    if module != match[2]:
        return f"{match[1]}from . import {flat(module)}{match[4] or f' as {match[3]}'}"
    return f"{match[1]}from .{flat(module)} import" + (f" {match[3]}{match[4] or ''}" if match[3] else "")


def _all_of(files: list[str], own: str) -> str:
    """transformers copies what it finds in lines of this form; some releases look no further than the first file."""
    lines = [f"    from .{name} import __name__ as _" for name in files if name != own]
    return "\n\nif False:  # every file that comes with this one\n" + "\n".join(lines) + "\n"
