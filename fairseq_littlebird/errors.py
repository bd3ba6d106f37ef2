"""What a user sees when an input is wrong: one line that says what, where and what to do."""

from __future__ import annotations

import codecs
import functools
import io
import json
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from fairseq_littlebird.input_error import InputError
from fairseq_littlebird.signals import raising_ended


class UserError(Exception):
    """A fault in what the user gave, not in the program.

    Args:
        what: what is wrong, without a final full stop.
        where: the file, and the record in it, e.g. ``dev.json, question 56be4db0``.
        remedy: what to do about it, as an imperative.
    """

    def __init__(self, what: str, where: str = "", remedy: str = "") -> None:
        line = (f"{where}: " if where else "") + what + (f"; {remedy}" if remedy else "")
        super().__init__(" ".join(line.split()))


def exit_on_user_error(command: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a console command: bad input becomes one line on stderr and exit status 2.

    So does SIGINT, SIGTERM or SIGHUP, with exit status 128 + its number, after what is unfinished has been removed.
    """

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        status = 2
        _print_anything()
        try:
            with raising_ended():
                return command(*args, **kwargs)
        except KeyboardInterrupt as error:
            message, status = ended(error)
        except UserError as error:
            message = str(error)
        except UnicodeDecodeError as error:
            message = f"not UTF-8 text at byte {error.start}; convert the file to UTF-8"
        except OSError as error:
            message = " ".join(f"{error.filename or 'file'}: {error.strerror or error}".split())
        name = Path(command.__code__.co_filename).stem.replace("_", "-")
        print(f"littlebird-{name}: {message}", file=sys.stderr)
        raise SystemExit(status)

    return wrapper


def _print_anything() -> None:
    """Makes standard output escape what its encoding lacks: a path may be of any bytes, an answer in any script."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        codecs.register_error("as_json", _as_json)
        sys.stdout.reconfigure(errors="as_json")


def _as_json(error: UnicodeError) -> tuple[str, int]:
    """Escapes that are those of JSON, too."""
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def ended(error: KeyboardInterrupt) -> tuple[str, int]:
    """What to say of a signal that ended a command, and the exit status."""
    number = getattr(error, "number", signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more press of Ctrl-C would be a traceback out of the interpreter
    return f"ended by {signal.Signals(number).name}", 128 + number


def one_line_errors() -> None:
    """Makes fairseq's own commands end on a UserError as ours do: one line, exit status 2.

    fairseq wraps what it catches, so the error may be a cause of the one that arrives. Ctrl-C is a line and 130 in all
    commands, also while they import. Everywhere else, in a notebook or a user's program, errors stay
    exceptions.
    """
    program = Path(sys.argv[0]).name
    if not program.startswith(("fairseq-", "littlebird-")):
        return
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra would print what it thinks of the error, and exit
    usual = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, (EOFError, ConnectionError)) and multiprocessing.parent_process() is not None:
            return  # a data worker lost the command, which has said why it ended
        line, status = fault_line(error), 2
        if isinstance(error, KeyboardInterrupt):
            line, status = ended(error)
        elif not program.startswith(("fairseq-", "littlebird-launch")):
            line = None
        if line is None:
            usual(kind, error, trace)
            return
        print(f"{program}: {line}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # an exception hook cannot choose the exit status otherwise

    sys.excepthook = hook


# fairseq's own words for what is wrong with the input; each is a line that says what to do
KNOWN_FAULTS = (
    "Cannot load model parameters from checkpoint",
    "Model file not found",
    "is invalid (=",  # a sample longer than max_positions
    "Must specify batch size",
    "The dataset is empty",
    "exceeds max_tokens limit",
)


def fault_line(error: BaseException) -> str | None:
    """The line for an error that the user's input caused; None for any other, which deserves its traceback.

    A UserError or InputError may be the cause of what arrives, as fairseq wraps what it catches. A checkpoint that
    fairseq cannot read or fit arrives in many types, so it is known by where it happened.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (InputError, UserError)):
            return str(cause)
        frames = cause.__traceback__
        while frames is not None:
            code = frames.tb_frame.f_code
            if code.co_name == "load_checkpoint_to_cpu" and code.co_filename.endswith("checkpoint_utils.py"):
                path = frames.tb_frame.f_locals.get("path", "checkpoint")
                reason = f"not a readable checkpoint ({unreadable(cause)})"
                return str(UserError(reason, path, "copy or train it again"))
            if code.co_name == "parse_args_and_arch" and type(cause) is RuntimeError and not str(cause):
                return str(
                    UserError("no --arch", remedy="give the architecture to train, such as --arch littlebird_base")
                )
            frames = frames.tb_next
        cause = cause.__cause__ or cause.__context__
    if any(text in str(error) for text in KNOWN_FAULTS):
        return first_line(error)
    if "Error(s) in loading state_dict" in str(error):
        remedy = "take the version that trained it, or train it again"
        return str(UserError("parameters of another model, or of another version of it", remedy=remedy))
    return None


def unreadable(error: BaseException) -> str:
    """Why PyTorch cannot read a file, without its advice to read it in a way that runs what is in it."""
    if refused := re.search(r"GLOBAL (\S+) (?:was not an allowed|whose module)", str(error)):
        return f"it holds {refused[1]}, where only tensors and plain values are read"
    line = first_line(error)
    return "damaged, or not written by PyTorch" if "weights" in line.lower() else line


def shown(value: Any, length: int = 40) -> str:
    """The first characters of a value as JSON, for an error to say what was found."""
    try:
        return json.dumps(value)[:length]
    except (RecursionError, TypeError, ValueError):  # nested too deeply, or nothing that JSON has
        return type(value).__name__


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type where it has none."""
    return str(error).splitlines()[0].strip() if str(error).strip() else type(error).__name__
