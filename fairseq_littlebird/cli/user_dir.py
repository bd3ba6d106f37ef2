"""``--user-dir``, as fairseq's commands have it: a folder with Python code that registers what is the user's own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fairseq_littlebird.errors import UserError


def add_user_dir(parser: argparse.ArgumentParser) -> None:
    """Adds the option to a command's ``--help``; :func:`import_user_dir` reads it."""
    parser.add_argument(
        "--user-dir",
        metavar="DIR",
        help="Python package to import first, as in fairseq-train, such as one that registers a data set",
    )


def import_user_dir(arguments: Sequence[str] | None) -> None:
    """Imports the package that ``--user-dir`` names, before the options that depend on it are made.

    Args:
        arguments: of the command; None for the program's own.
    Raises:
        UserError: no such package, or it cannot be imported.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--user-dir")
    options, _ = parser.parse_known_args(arguments)
    if options.user_dir is None:
        return
    if not (Path(options.user_dir) / "__init__.py").is_file():
        raise UserError("no package here (no __init__.py)", options.user_dir, "give the folder that has it")
    try:
        from fairseq.utils import import_user_module  # argument parsing and --help should not wait for fairseq

        import_user_module(options)
    except (ImportError, SyntaxError, ValueError) as error:
        raise UserError(f"cannot be imported ({error})", options.user_dir, "correct it") from error
