"""A command that runs once: what it writes stays in a log, and a record beside it says that it is done."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_littlebird.errors import UserError


class _Running:
    """The commands at work, in whichever thread."""

    def __init__(self) -> None:
        self._lock, self._processes, self._ended = threading.Lock(), set[subprocess.Popen[bytes]](), False

    def status_of(self, command_line: Sequence[str], **options: Any) -> int:
        with self._lock:
            if self._ended:
                return -signal.SIGTERM
            process = subprocess.Popen(command_line, **options)
            self._processes.add(process)
        try:
            return process.wait()
        finally:
            self._processes.discard(process)

    def end(self) -> None:
        """Tells all to end, and lets none begin."""
        with self._lock:
            self._ended = True
            for process in self._processes:
                process.terminate()


_RUNNING = _Running()
end_steps = _RUNNING.end
"""Ends the steps that run, and those to come: each raises what a failure raises."""


@dataclass(frozen=True)
class Step:
    """A console command of this environment.

    Args:
        name: of the step, and of its two files.
        command_line: the command and its arguments.
        folder: where ``name.log`` and ``name.json`` go.
        makes: a folder that the command fills, taken away first: an interrupted one is not gone on with.
    """

    name: str
    command_line: Sequence[str]
    folder: Path
    makes: Path | None = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def record(self) -> Path:
        return self.folder / f"{self.name}.json"

    def seconds(self) -> float:
        """How long it took, once it is done."""
        return float(json.loads(self.record.read_text("utf-8"))["seconds"])

    def run(self, threads: int) -> None:
        """Does nothing where it is done already.

        Raises:
            UserError: the command failed, or the record is another command's.
        """
        command = shlex.join(self.command_line)
        if self.record.exists():
            if json.loads(self.record.read_text("utf-8"))["command"] != command:
                raise UserError("made by another command", str(self.record), "remove it, or choose another folder")
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.makes is not None:
            shutil.rmtree(self.makes, ignore_errors=True)
        command_line = [str(Path(sys.executable).parent / self.command_line[0]), *self.command_line[1:]]
        # unbuffered, so that the log's last line is the last that was said
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONUNBUFFERED": "1"}
        begun = time.perf_counter()
        with self.log.open("w", encoding="utf-8") as log:
            log.write(f"+ {command}\n")
            log.flush()
            status = _RUNNING.status_of(command_line, stdout=log, stderr=subprocess.STDOUT, env=environment)
        if status:
            last = self.log.read_text("utf-8", errors="replace").strip().splitlines()[-1]
            raise UserError(f"{self.command_line[0]} ended with status {status}: {last[-300:]}", str(self.log))
        self.record.write_text(json.dumps({"command": command, "seconds": time.perf_counter() - begun}) + "\n", "utf-8")
