"""``--user-dir``, as fairseq's commands have it: a folder with Python code that registers what is the user's own."""

from __future__ import annotations

import argparse
import traceback
from collections.abc import Sequence
from pathlib import Path

from fairseq_littlebird.errors import UserError, first_line


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
        UserError: no such package, or its code fails; names the line in it.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--user-dir")
    options, _ = parser.parse_known_args(arguments)
    if options.user_dir is None:
        return
    if not (Path(options.user_dir) / "__init__.py").is_file():
        raise UserError("no package here (no __init__.py)", options.user_dir, "give the folder that has it")
    from fairseq_littlebird.registration import register  # argument parsing and --help should not wait for fairseq

    register()  # first, as it keeps fairseq's modules quiet
    from fairseq.utils import import_user_module

    try:
        import_user_module(options)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise UserError(
            f"cannot be imported ({_told(error)})", _place(error, options.user_dir), "correct it"
        ) from error


def _told(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else first_line(error)
    return text if isinstance(error, ValueError | ImportError) else f"{type(error).__name__}: {text}"


def _place(error: BaseException, folder: str) -> str:
    """The last line of the user's own code that led to an error; the folder where there is none."""
    inside = Path(folder).resolve()
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if inside in Path(f.filename).resolve().parents]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else folder
