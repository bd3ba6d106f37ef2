"""Commands in processes of their own, at the cost of a fork."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "fairseq_littlebird"
COMMANDS = Path(sys.executable).parent
"""The folder of console commands, ours and fairseq's."""


def environment_with(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, for a command that finds this checkout and runs in one thread."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | dict(settings or {})


class Program:
    """A program that a :class:`ForkServer` has started, as a ``subprocess.Popen``; the head of a process group."""

    def __init__(self, pid: int, status: Path) -> None:
        self.pid, self.returncode, self._status = pid, None, status  # type: int, int | None, Path

    def poll(self) -> int | None:
        if self.returncode is None and self._status.exists():
            self.returncode = int(self._status.read_text())
        return self.returncode

    def wait(self, timeout: float = 900) -> int:
        end = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.005)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it and what it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


class ForkServer:
    """Starts Python programs in forks of one process, which has the libraries imported that take seconds to import.

    A program has a process of its own, with the command line, folder, environment, output and exit status that it
    would have otherwise; it imports this project itself. One hash seed serves all of them, and what the libraries
    read when they are imported. Words are the path of a console command, or of this interpreter and a file or ``-m``
    and a module, and arguments. The environment is all of it, by default :func:`environment_with`.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._started: list[Program] = []
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
            env=environment_with(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._answer()

    def start(
        self,
        words: Sequence[str | Path],
        stdout: Path,
        stderr: Path,
        cwd: str | Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Program:
        """Starts a program whose output is added to two files, which may be one."""
        status = Path(self._folder.name) / str(len(self._started))
        request = {
            "words": [*map(str, words)],
            "cwd": str(cwd or Path.cwd()),
            "environment": dict(environment_with() if environment is None else environment),
            "stdout": str(stdout),
            "stderr": str(stderr),
            "status": str(status),
        }
        assert self._server.stdin
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        self._server.stdin.flush()
        self._started.append(Program(int(self._answer()), status))
        return self._started[-1]

    def run(
        self,
        words: Sequence[str | Path],
        cwd: str | Path | None = None,
        environment: Mapping[str, str] | None = None,
        timeout: float = 900,
        new_interpreter: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """As ``subprocess.run(words, …, stdin=DEVNULL, capture_output=True, text=True)``.

        Args:
            new_interpreter: starts Python anew, which takes seconds and draws another hash seed.

        Raises:
            subprocess.TimeoutExpired: it ran longer than ``timeout`` seconds, and has been killed.
        """
        words = [*map(str, words)]
        if new_interpreter:
            environment = environment_with() if environment is None else environment
            options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": timeout}
            return subprocess.run(words, cwd=cwd, env=environment, **options)
        with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
            program = self.start(words, Path(out.name), Path(err.name), cwd, environment)
            try:
                status = program.wait(timeout)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait(60)
                raise subprocess.TimeoutExpired(words, timeout, out.read(), err.read()) from None
            return subprocess.CompletedProcess(words, status, out.read().decode(), err.read().decode())

    def close(self) -> None:
        for program in self._started:
            if program.poll() is None:
                program.kill()
        self._server.communicate()  # closes its input, which ends it
        self._folder.cleanup()

    def _answer(self) -> bytes:
        """The server's next line."""
        assert self._server.stdout
        if line := self._server.stdout.readline():
            return line
        raise RuntimeError(f"the fork server ended with status {self._server.wait()}")
