"""fairseq's threads that read batches ahead, ended before the interpreter ends."""

from __future__ import annotations

import contextlib
import queue
import threading
import time

from fairseq.data.iterators import BackgroundConsumer


def stop_prefetching(seconds: float = 10.0) -> None:
    """Ends the threads that ``--data-buffer-size`` starts, each after the batch that it is at.

    A training that stops inside an epoch leaves one behind. Before Python 3.14 an interpreter that ends takes such a
    thread down on its way back from PyTorch, inside C++ code: the process aborts, its work done, with status 134.

    Args:
        seconds: how long to wait for them.
    """
    until = time.monotonic() + seconds
    for thread in threading.enumerate():
        if not isinstance(thread, BackgroundConsumer):
            continue
        thread._max_len = 0
        while thread.is_alive() and time.monotonic() < until:
            with contextlib.suppress(queue.Empty):  # it may be waiting for a place
                thread._queue.get_nowait()
            thread.join(0.02)
