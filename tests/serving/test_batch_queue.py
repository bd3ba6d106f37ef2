"""The queue: order, sizes, what waits, and its end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from fairseq_littlebird.serving.batch_queue import BatchQueue, Full


class Work:
    """Doubles numbers when it is let; odd ones above 100 are errors."""

    def __init__(self):
        self.let, self.begun, self.batches = threading.Event(), threading.Event(), []

    def __call__(self, items):
        self.batches.append(list(items))
        self.begun.set()
        assert self.let.wait(20)
        return [ValueError(item) if item > 100 and item % 2 else 2 * item for item in items]

    async def until_begun(self):
        while not self.begun.is_set():
            await asyncio.sleep(0.005)


def queue_of(work, waiting=10, most=3, largest=1000):
    return BatchQueue(work, lambda item: item, largest, most, waiting, lambda seconds, items: None)


def test_what_waits_is_worked_on_together_in_its_order():
    work = Work()

    async def run():
        queue = queue_of(work)
        queue.start()
        asked = [asyncio.create_task(queue.put(item, 20)) for item in (1, 2, 3, 4, 600, 500, 2000, 101)]
        await work.until_begun()
        work.let.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert await queue.stop(5)
        return found

    *found, error = asyncio.run(run())
    assert found == [2, 4, 6, 8, 1200, 1000, 4000] and isinstance(error, ValueError)
    # no more than 3, nor above 1,000 together, unless one alone is larger
    assert work.batches == [[1, 2, 3], [4, 600], [500], [2000], [101]]


def test_a_full_queue_and_an_impatient_one():
    work = Work()

    async def run():
        queue = queue_of(work, waiting=2)
        queue.start()
        running = asyncio.create_task(queue.put(1, 20))
        await work.until_begun()
        waiting = [asyncio.create_task(queue.put(item, 20)) for item in (2, 3)]
        await asyncio.sleep(0)
        assert len(queue) == 2
        with pytest.raises(Full) as full:
            await queue.put(4, 20)
        assert full.value.retry_after >= 1
        waiting.pop().cancel()
        await asyncio.sleep(0.01)
        assert len(queue) == 1  # it waits no more
        with pytest.raises(TimeoutError):
            await queue.put(5, 0.01)
        work.let.set()
        assert await running == 2 and await waiting[0] == 4
        await queue.stop(5)

    asyncio.run(run())
    assert work.batches == [[1], [2]]


@pytest.mark.parametrize("in_time", [True, False])
def test_the_end_waits_for_what_runs(in_time):
    work = Work()

    async def run():
        queue = queue_of(work)
        queue.start()
        asked = asyncio.create_task(queue.put(1, 20))
        await work.until_begun()
        if in_time:
            asyncio.get_running_loop().call_later(0.05, work.let.set)
        assert await queue.stop(10 if in_time else 0.05) == in_time
        work.let.set()
        return await asked

    assert asyncio.run(run()) == 2
