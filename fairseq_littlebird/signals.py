"""Signals that end a command: an exception, so that it cleans up, and held back where it must not stop."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

Result = TypeVar("Result")

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Those that a user, a scheduler or a closed terminal sends to end a command."""

UNHANDLED = (signal.SIG_DFL, signal.default_int_handler)


class Ended(KeyboardInterrupt):
    """A signal came; its text is the signal's name."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def raising_ended() -> Iterator[None]:
    """Inside, each of ``ENDING`` raises :class:`Ended` in the main thread.

    One that is ignored, as under nohup, or that has a handler already stays as it is. Processes forked meanwhile leave
    SIGINT, which a terminal sends to all, to this one; SIGTERM and SIGHUP end them.
    """
    if threading.current_thread() is not threading.main_thread():  # where Python has no handlers
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    ours = [number for number, handler in before.items() if handler in UNHANDLED]
    for number in ours:
        signal.signal(number, _hear)
    try:
        yield
    finally:
        for number in ours:
            if signal.getsignal(number) is _hear:
                signal.signal(number, before[number])


@contextmanager
def held_back() -> Iterator[None]:
    """Inside, a signal waits: :class:`Ended` is raised at the end of the outermost block."""
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1
        if _State.came and not _State.depth:
            number, _State.came = _State.came, 0
            raise Ended(number)


@contextmanager
def ignored_by_children(number: int) -> Iterator[None]:
    """What is started inside ignores the signal, other programs too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


def interruptible(function: Callable[[], Result]) -> Result:
    """What ``function()`` returns or raises, which may be minutes in C++: a signal is heard at once nevertheless.

    Args:
        function: releases the interpreter's lock in what takes long. It is given up on a signal, and ends with the
            process, which has to end.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        return future.result()
    except KeyboardInterrupt as error:
        atexit.register(_exit, thread, 128 + getattr(error, "number", signal.SIGINT))
        raise


def _exit(thread: threading.Thread, status: int) -> None:
    """Ends the process where C++ goes on in a thread: it would crash an interpreter that takes itself down."""
    if thread.is_alive():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _State:
    depth = came = 0


def _hear(number: int, frame: FrameType | None) -> None:
    if _State.depth:
        _State.came = number
    else:
        raise Ended(number)


def _as_a_child() -> None:
    _State.depth = _State.came = 0
    for number in ENDING:
        if signal.getsignal(number) is _hear:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)


os.register_at_fork(after_in_child=_as_a_child)
