"""Functions that run in a fresh interpreter: nothing that ran before bears on their memory or allocator."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import torch

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.signals import ignored_by_children

Result = TypeVar("Result")

LARGE = str(4 << 30)
# glibc gives large blocks back to the system when they are freed, up to a size that follows those it sees.
# "tuned" keeps them all, so they fault in only once; "exact" keeps none, so what is resident is in use.
ALLOCATORS: dict[str, dict[str, str]] = {
    "default": {},
    "tuned": {"MALLOC_MMAP_THRESHOLD_": LARGE, "MALLOC_TRIM_THRESHOLD_": LARGE, "MALLOC_TOP_PAD_": str(64 << 20)},
    "exact": {"MALLOC_MMAP_THRESHOLD_": str(128 << 10), "MALLOC_TRIM_THRESHOLD_": str(128 << 10)},
}


class OutOfMemory(UserError):
    """The process was killed, or could not have what it asked for."""

    def __init__(self, what: str = "out of memory") -> None:
        super().__init__(what, remedy="give it more memory or shorter --lengths")


class OutOfTime(UserError):
    """The process was ended, as it took longer than it may."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"took more than {seconds:g} s", remedy="give it more time or shorter --lengths")


def fresh_process(
    function: Callable[..., Result],
    *arguments: Any,
    variables: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> Result:
    """Calls a module's function in a new process, and returns what it returns or raises what it raises.

    Args:
        function: importable by its name.
        arguments: picklable.
        variables: of the environment, added to this process's.
        seconds: after which the process is ended, its start included; None for no limit.
    Raises:
        OutOfMemory: the process was killed, or the function ran out of memory.
        OutOfTime: it took longer.
    """
    before = dict(os.environ)
    os.environ.update(variables or {})
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            with ignored_by_children(signal.SIGINT):  # a terminal sends it to all, and this process tells of it
                future = pool.submit(function, *arguments)
            try:
                return future.result(seconds)
            except (KeyboardInterrupt, concurrent.futures.TimeoutError) as error:
                late = not future.done()  # a function can raise the latter, too
                for process in list((pool._processes or {}).values()):
                    process.kill()
                if late and not isinstance(error, KeyboardInterrupt):
                    raise OutOfTime(seconds or 0.0) from error
                raise
    except BrokenProcessPool as error:
        raise OutOfMemory("the measuring process was killed") from error
    except MemoryError as error:
        raise OutOfMemory from error
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise OutOfMemory from error
        raise
    finally:
        os.environ.clear()
        os.environ.update(before)
