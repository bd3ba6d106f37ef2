"""An ordered map over worker processes that holds a bounded number of items."""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from fairseq_littlebird.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """``map(function, items)`` over processes: same results in the same order for any number of workers.

    Args:
        function: picklable; a copy of it lives in each worker.
        items: picklable; at most four a worker are read ahead, so memory does not grow with their number.
        workers: 0 or 1 runs everything in this process.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    with _pool(workers, function) as pool:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(_call, item))  # type: ignore[arg-type]
            if len(pending) >= 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


@contextmanager
def _pool(workers: int, function: Callable[..., Any]) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with this one, and at once where the block ends with an error."""
    # fork starts at once, without importing torch again in every worker
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(workers, context, initializer=_initialize, initargs=(function, os.getpid())) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process was killed", remedy="the machine may lack memory: use fewer --workers"
            ) from error
        except BaseException:
            for process in list((pool._processes or {}).values()):
                process.kill()
            raise
        finally:
            pool.shutdown(cancel_futures=True)  # its thread too: at exit, Python would write to what that closes


_function: Callable[..., Any]


def _initialize(function: Callable[..., Any], parent: int) -> None:
    global _function
    _function = function
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    # the collector would go through all that was there before, and make the pages shared with the parent this process's
    gc.freeze()


def _call(item: object) -> object:
    return _function(item)


def _end_with(parent: int) -> None:
    """A parent that is killed sends no message, and its workers would wait for work for ever."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
