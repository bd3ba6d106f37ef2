"""Items that wait for one thread, which takes several at once."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

REMEMBERED = 0.8
"""Of the mean duration of a batch, at each new one."""


class Full(Exception):
    """Too many wait.

    Args:
        retry_after: seconds.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


@dataclass(eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    size: int
    result: asyncio.Future[Result]
    since: float = field(default_factory=time.monotonic)


class BatchQueue(Generic[Item, Result]):
    """First come, first served; what has come meanwhile is worked on together.

    Args:
        work: items to their results or errors, in a thread of its own.
        size: of an item.
        largest: sum of the sizes of the items of a batch, unless a single item is larger.
        most: items of a batch.
        waiting: items that wait, at most.
        watch: is told the seconds that a batch took, and how many items it had.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result | Exception]],
        size: Callable[[Item], int],
        largest: int,
        most: int,
        waiting: int,
        watch: Callable[[float, int], object],
    ) -> None:
        self._work, self._size, self._watch = work, size, watch
        self._largest, self._most, self._capacity = largest, most, waiting
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._came = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "model")
        self._task: asyncio.Task[None] | None = None
        self._mean = 1.0

    def __len__(self) -> int:
        """Items that wait; those that are worked on do not count."""
        return len(self._queue)

    def start(self) -> None:
        """Begins to work; needs a running event loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self, patience: float) -> bool:
        """Stops after what is worked on. False: that still goes on after so many seconds, and is abandoned."""
        if self._task is None:
            return True
        self._task.cancel()
        _, pending = await asyncio.wait({self._task}, timeout=patience)
        self._thread.shutdown(wait=not pending, cancel_futures=True)
        return not pending

    async def put(self, item: Item, seconds: float) -> Result:
        """The result of an item.

        Raises:
            Full: as many as may wait do.
            TimeoutError: no result in so many seconds; what has begun goes on.
        """
        if len(self._queue) >= self._capacity:
            raise Full(self._retry_after())
        result: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(item, self._size(item), result)
        self._queue.append(waiting)
        self._came.set()
        try:
            return await asyncio.wait_for(result, seconds)
        except asyncio.TimeoutError as error:
            raise TimeoutError from error
        finally:
            if waiting in self._queue:
                self._queue.remove(waiting)

    def _retry_after(self) -> int:
        batches = 1 + len(self._queue) / self._most
        return max(1, min(60, math.ceil(self._mean * batches / 2)))

    def _next(self) -> list[_Waiting[Item, Result]]:
        """The items of a batch, in the order that they came."""
        batch = [self._queue.popleft()]
        size = batch[0].size
        while self._queue and len(batch) < self._most and size + self._queue[0].size <= self._largest:
            batch.append(self._queue.popleft())
            size += batch[-1].size
        return batch

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._came.clear()
            while self._queue:
                batch = self._next()
                begun = time.monotonic()
                running = loop.run_in_executor(self._thread, self._work, [waiting.item for waiting in batch])
                stopping = await self._finished(running)
                error = running.exception()
                results: Sequence[Any] = [error] * len(batch) if error else running.result()
                self._settle(batch, results)
                taken = time.monotonic() - begun
                self._mean = REMEMBERED * self._mean + (1 - REMEMBERED) * taken
                self._watch(taken, len(batch))
                if stopping:
                    return
            await self._came.wait()

    async def _finished(self, running: asyncio.Future[Any]) -> bool:
        """Waits, also where :meth:`stop` cancels: then True."""
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError:
            await asyncio.wait({running})
            return True
        return False

    def _settle(self, batch: Sequence[_Waiting[Item, Result]], results: Sequence[Any]) -> None:
        for waiting, result in zip(batch, results, strict=True):
            if waiting.result.done():  # its time was over
                continue
            if isinstance(result, Exception):
                waiting.result.set_exception(result)
            else:
                waiting.result.set_result(result)
