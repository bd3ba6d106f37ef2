"""Commands that shell scripts run, in forks of a process that has the libraries imported."""

from __future__ import annotations

import json
import socket
import stat
import sys
import threading
from pathlib import Path
from typing import Any

from helpers.processes import COMMANDS, ForkServer

STAND_IN = """#!{python} -ISs
import json, os, socket, sys
if {name!r} == "python":
    words = [{python!r}, *sys.argv[1:]]
    if not (words[1:2] == ["-c"] or words[1:] and words[1].endswith(".py")) or words[1].endswith({ended!r}):
        os.execv(words[0], words)
else:
    words = [{command!r}, *sys.argv[1:]]
request = {{"words": words, "cwd": os.getcwd(), "environment": dict(os.environ), "process": os.getpid()}}
with socket.create_connection(("127.0.0.1", {port})) as asked:
    asked.sendall(json.dumps(request).encode() + b"\\n")
    status = int(asked.makefile().readline())
sys.exit(status if status >= 0 else 128 - status)
"""
LIBRARIES = ("littlebird-", "fairseq-", "torchrun")  # the start of the commands that import them
ENDED = "training_clock.py"  # by a signal, which a stand-in would not hand on


class StandIns:
    """A folder of commands of this environment, each of which asks a :class:`ForkServer` to run it.

    ``python`` does so for scripts and for ``-c``. A command has its arguments, folder, environment, output and status;
    it has no input, and a signal ends its stand-in alone.

    Args:
        forks: runs them.
        folder: to be made.
    """

    def __init__(self, forks: ForkServer, folder: Path) -> None:
        self._forks = forks
        self._socket = socket.create_server(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        folder.mkdir()
        names = [path.name for path in COMMANDS.iterdir() if path.name.startswith(LIBRARIES)]
        for name in [*names, "python"]:
            words = {"python": sys.executable, "name": name, "command": str(COMMANDS / name), "ended": ENDED}
            path = folder / name
            path.write_text(STAND_IN.format(port=port, **words))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._run, args=[caller], daemon=True).start()

    def _run(self, caller: socket.socket) -> None:
        with caller, caller.makefile() as lines:
            asked: dict[str, Any] = json.loads(lines.readline())
            out, err = (Path(f"/proc/{asked['process']}/fd/{number}") for number in (1, 2))
            program = self._forks.start(asked["words"], out, err, asked["cwd"], asked["environment"])
            caller.sendall(f"{program.wait()}\n".encode())
