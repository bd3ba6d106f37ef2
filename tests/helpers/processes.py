"""Commands in processes of their own, at the cost of a fork."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "fairseq_littlebird"
COMMANDS = Path(sys.executable).parent
"""The folder of console commands, ours and fairseq's."""


def environment_with(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, for a command that finds this checkout and runs in one thread."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | dict(settings or {})


class ForkServer:
    """Starts Python programs in forks of one process, which has the libraries imported that take seconds to import.

    A program has a process of its own, with the command line, folder, environment, output and exit status that it
    would have otherwise; it imports this project itself. One hash seed serves all of them, and what the libraries
    read when they are imported.
    """

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
            env=environment_with(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # select sees what is not read
            start_new_session=True,
        )
        self._answer(120)

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
            words: the path of a console command, or of this interpreter and a file or ``-m`` and a module; arguments.
            environment: all of it; by default :func:`environment_with`.
            new_interpreter: starts Python anew, which takes seconds and draws another hash seed.

        Raises:
            subprocess.TimeoutExpired: it ran longer than ``timeout`` seconds, and has been killed.
        """
        environment = environment_with() if environment is None else environment
        if new_interpreter:
            return subprocess.run(
                [*map(str, words)],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout,
            )
        with tempfile.NamedTemporaryFile() as out, tempfile.NamedTemporaryFile() as err:
            request = {
                "words": [*map(str, words)],
                "cwd": str(cwd or Path.cwd()),
                "environment": dict(environment),
                "stdout": out.name,
                "stderr": err.name,
            }
            self._pipe(self._server.stdin).write(json.dumps(request).encode() + b"\n")
            child = int(self._answer(60))
            try:
                status = int(self._answer(timeout))
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                self._answer(60)
                raise subprocess.TimeoutExpired([*map(str, words)], timeout, out.read(), err.read()) from None
            printed, errors = (file.read().decode("utf-8", "replace") for file in (out, err))
        return subprocess.CompletedProcess([*map(str, words)], status, printed, errors)

    def close(self) -> None:
        os.killpg(self._server.pid, signal.SIGKILL)  # with a program that still runs
        self._server.wait()
        for pipe in (self._server.stdin, self._server.stdout):
            self._pipe(pipe).close()

    def _answer(self, timeout: float) -> bytes:
        """The server's next line."""
        pipe = self._pipe(self._server.stdout)
        if not select.select([pipe], [], [], timeout)[0]:
            raise TimeoutError
        if not (line := pipe.readline()):
            raise RuntimeError(f"the fork server ended with status {self._server.wait()}")
        return line

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe
