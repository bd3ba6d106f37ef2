"""Signals end a command with one line, 128 + their number, and nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fairseq_littlebird import signals
from fairseq_littlebird.errors import exit_on_user_error
from fairseq_littlebird.output import whole_folder
from fairseq_littlebird.signals import ENDING, Ended, held_back, raising_ended
from fairseq_littlebird.text.workers import ordered_map

COMMANDS = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def handlers_as_they_were():
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ENDING)
def test_one_line_and_nothing_left(number, tmp_path, capsys):
    @exit_on_user_error
    def main():
        with whole_folder(tmp_path / "out", ["a"]) as new:
            (new / "a").write_text("half")
            send(number)
            pytest.fail("it goes on")

    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 128 + number and not os.listdir(tmp_path)
    assert capsys.readouterr().err == f"littlebird-test-signals: ended by {signal.Signals(number).name}\n"


def test_another_signal_does_not_stop_the_clearing_up(tmp_path, monkeypatch):
    def rmtree(path, **options):
        send(signal.SIGTERM)
        os.rmdir(path / "new")
        os.rmdir(path)

    monkeypatch.setattr("shutil.rmtree", rmtree)
    with pytest.raises(Ended, match="SIGTERM"), raising_ended(), whole_folder(tmp_path / "out", ["a"]):
        send(signal.SIGINT)
    assert not os.listdir(tmp_path)


def test_held_back_until_the_outermost_block_ends():
    done = []
    with pytest.raises(Ended, match="SIGTERM"), raising_ended(), held_back():
        with held_back():
            send(signal.SIGTERM)
            done.append(1)
        done.append(2)
    assert done == [1, 2] and signals._State.depth == signals._State.came == 0


def test_an_ignored_signal_stays_ignored():
    """As nohup has it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with raising_ended():
        send(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_handlers_are_as_they_were_after_it():
    before = [signal.getsignal(number) for number in ENDING]
    with raising_ended():
        assert [signal.getsignal(number) for number in ENDING] != before
    assert [signal.getsignal(number) for number in ENDING] == before


def sleeping(path):
    path.write_text(str(os.getpid()))
    time.sleep(600)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().split(") ")[1][0] != "Z"


def wait_for(condition, seconds=60.0):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(number, tmp_path):
    files = [tmp_path / "1", tmp_path / "2"]
    parent = os.fork()
    if not parent:
        try:
            with raising_ended():
                list(ordered_map(sleeping, files, 2))
        except Ended:
            os._exit(7)
        os._exit(0)
    wait_for(lambda: all(file.exists() and file.read_text() for file in files))
    os.kill(parent, number)
    status = os.waitpid(parent, 0)[1]
    assert os.waitstatus_to_exitcode(status) == (7 if number == signal.SIGTERM else -signal.SIGKILL)
    wait_for(lambda: not any(alive(int(file.read_text())) for file in files))


def test_what_is_at_work_in_cpp_hears_too(tmp_path):
    """One call that takes a minute, in which Python handles no signal, as training SentencePiece is."""
    code = """
import ctypes, os, sys, threading
from fairseq_littlebird.errors import exit_on_user_error
from fairseq_littlebird.output import whole_folder
from fairseq_littlebird.signals import interruptible

@exit_on_user_error
def main():
    with whole_folder(sys.argv[1], ["a"]):
        threading.Timer(0.2, os.kill, (os.getpid(), 15)).start()
        interruptible(lambda: ctypes.CDLL(None).poll(None, 0, 60_000))

main()
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "out"], capture_output=True, text=True, timeout=50)
    assert done.returncode == 143 and done.stderr == "littlebird-<string>: ended by SIGTERM\n"
    assert not os.listdir(tmp_path)


def test_fairseqs_commands_end_on_ctrl_c_as_ours_do():
    code = "import sys; sys.argv[0] = 'fairseq-train'; import fairseq_littlebird.cli; raise KeyboardInterrupt"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130 and done.stderr.splitlines()[-1] == "fairseq-train: ended by SIGINT"
    assert "Traceback" not in done.stderr


def test_results_and_errors_come_out_of_it():
    assert signals.interruptible(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        signals.interruptible(lambda: 1 / 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_line(number, tmp_path):
    """Text that never ends comes from a pipe while the signal goes to the process and its workers."""
    vocabulary = tmp_path / "in" / "vocab.txt"
    vocabulary.parent.mkdir()
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]))
    command = [COMMANDS / "littlebird-prepare", "text", "--tokenizer", vocabulary, "--input", "/dev/stdin"]
    command += ["--workers", "2", "--output", tmp_path / "out"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdin and process.stderr
    wait_for(lambda: any(tmp_path.glob(".out.unfinished-*/out")))
    process.stdin.write("a a a\n" * 200_000)
    process.stdin.flush()
    os.killpg(process.pid, number)
    error = process.communicate()[1]
    assert process.returncode == 128 + number, error
    assert error.splitlines()[-1] == f"littlebird-prepare: ended by {signal.Signals(number).name}"
    assert "Traceback" not in error and os.listdir(tmp_path) == ["in"]
