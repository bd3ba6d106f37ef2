"""Signals: heard by the process that listens, and passed on where asked for."""

import multiprocessing
import os
import signal
import time
from types import SimpleNamespace

import pytest

from fairseq_littlebird.launching import interruption
from fairseq_littlebird.launching.interruption import SIGNALS, Interruption
from fairseq_littlebird.signals import Ended


@pytest.fixture(autouse=True)
def handlers_as_they_were():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def worker(ready, heard):
    interruption = Interruption()
    interruption.listen()
    ready.set()
    end = time.monotonic() + 120
    while not interruption.signal and time.monotonic() < end:
        time.sleep(0.01)
    heard.put(interruption.signal)


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_to_the_first_process_reaches_its_workers(number):
    context = multiprocessing.get_context("spawn")
    ready, heard = [context.Event() for _ in range(2)], context.Queue()
    workers = [context.Process(target=worker, args=(event, heard)) for event in ready]
    for process in workers:
        process.start()
    assert all(event.wait(120) for event in ready)
    interruption = Interruption()
    interruption.listen(relay=True)
    os.kill(os.getpid(), number)
    assert [heard.get(timeout=60) for _ in workers] == [number, number]
    for process in workers:
        process.join()
    assert interruption.signal == number
    assert [process.exitcode for process in workers] == [0, 0]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_before_there_are_workers_ends_the_process(number, monkeypatch):
    monkeypatch.setattr(multiprocessing, "active_children", list)  # data workers of other tests may still be there
    Interruption().listen(relay=True)
    with pytest.raises(Ended) as ended:
        os.kill(os.getpid(), number)
    assert ended.value.number == number


def test_a_process_that_inherits_the_handler_hears_nothing():
    interruption = Interruption()
    interruption.listen()
    child = os.fork()
    if not child:
        os.kill(os.getpid(), signal.SIGUSR1)
        os._exit(interruption.signal)
    assert os.waitpid(child, 0)[1] == 0


def test_workers_hear_of_each_other_one_update_later(monkeypatch):
    """All of them in the same: what is read was reduced an update ago, so that none waits for its device."""
    monkeypatch.setattr(interruption.distributed_utils, "all_reduce", lambda told, group, op: told.clamp(min=others[0]))
    monkeypatch.setattr(interruption.INTERRUPTION, "signal", 0)
    trainer = SimpleNamespace(data_parallel_world_size=2, device="cpu", told=None, data_parallel_process_group=None)
    others, number = [0], int(signal.SIGTERM)
    assert interruption.InterruptibleTrainer.heard(trainer) == 0
    others[0] = number  # another worker's signal
    assert [interruption.InterruptibleTrainer.heard(trainer) for _ in range(2)] == [0, number]
