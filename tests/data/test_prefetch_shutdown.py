"""A process that stops inside an epoch ends well."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from fairseq.data.iterators import BackgroundConsumer, BufferedIterator

from fairseq_littlebird.data.prefetch_shutdown import stop_prefetching

STOPPED = """
import torch
from fairseq.data.iterators import BufferedIterator
from torch.utils.data import DataLoader

from fairseq_littlebird import register

register()
batches = BufferedIterator({size}, DataLoader(torch.arange(1_000_000).view(-1, 10), batch_size=8))
print(next(batches).shape)
"""


class Batches:
    """10,000 batches; counts those that were read."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.read = seconds, 0

    def __len__(self) -> int:
        return 10_000

    def __iter__(self) -> Iterator[int]:
        for batch in range(1, len(self) + 1):
            time.sleep(self.seconds)
            self.read = batch
            yield batch


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if isinstance(thread, BackgroundConsumer)]


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_process_ends(size):
    done = subprocess.run([sys.executable, "-c", STOPPED.format(size=size)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "torch.Size([8, 10])\n"


@pytest.mark.parametrize("size", [1, 10, 100_000])
@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_threads_end(size, seconds):
    batches = Batches(seconds)
    assert next(BufferedIterator(size, batches)) == 1
    assert len(threads()) == 1
    stop_prefetching()
    assert not threads()
    assert batches.read < len(batches) or not seconds


def test_several_threads_and_none():
    for _ in range(3):
        next(BufferedIterator(2, Batches()))
    stop_prefetching()
    assert not threads()
    stop_prefetching()


def test_it_does_not_wait_for_ever():
    more = threading.Event()

    class Waiting(Batches):
        def __iter__(self) -> Iterator[int]:
            yield 1
            more.wait()
            yield 2

    next(BufferedIterator(10, Waiting()))
    stop_prefetching(0.1)
    assert threads()
    more.set()
    stop_prefetching()
    assert not threads()
