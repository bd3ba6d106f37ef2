"""Runs Python programs in forks of a process that has PyTorch and fairseq imported: ``python fork_server.py``.

Reads requests, a JSON object a line, and answers each with the number of its process; see
:class:`helpers.processes.ForkServer`. Nothing of this project is imported before the fork, and no thread is started.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import logging
import os
import random
import runpy
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

# what the commands import of other libraries: whatever is missing here the program imports itself
LIBRARIES = "fairseq hydra safetensors.torch sentencepiece tokenizers torch._dynamo tqdm regex tensorboardX".split()


def load() -> None:
    """Imports the libraries, and takes back what some of them do to the root logger."""
    root = logging.getLogger()
    for name in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(name)
    root.setLevel(logging.WARNING)
    root.handlers.clear()
    gc.freeze()  # a fork's collections leave them alone


def next_program() -> dict[str, Any] | None:
    """Answers requests; in each fork returns its own, and in the server None, at the end of its input."""
    for line in iter(sys.stdin.readline, ""):
        reap(os.WNOHANG)
        if not os.fork():
            request = json.loads(line)
            if not (program := os.fork()):
                return request
            print(program, flush=True)
            status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
            with open(f"{request['status']}.new", "w") as file:
                file.write(str(status))
            os.rename(file.name, request["status"])
            os._exit(0)
    reap(0)
    return None


def reap(how: int) -> None:
    """Takes in the processes that waited for a program and have ended, or all; their times count as this one's."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, how)[0]:
            pass


def become(request: dict[str, Any]) -> None:
    """Makes this process look as one that the program was started in, at the head of a session."""
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [folder for folder in path if folder and folder not in sys.path]
    for descriptor, (name, flags) in enumerate(
        [(os.devnull, os.O_RDONLY), (request["stdout"], os.O_WRONLY), (request["stderr"], os.O_WRONLY)]
    ):
        opened = os.open(name, flags | os.O_APPEND)
        os.dup2(opened, descriptor)
        os.close(opened)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed()
    sys.modules["numpy"].random.seed()


def run(words: list[str]) -> None:
    """As ``python FILE …``, ``python -m MODULE …``, ``python -c CODE …`` or a console command."""
    if words[0] == sys.executable:
        words = words[1:]
    if words[0] == "-m":
        sys.argv, sys.path[0] = words[1:], os.getcwd()
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *words[2:]], ""
        exec(words[1], {"__name__": "__main__"})
    else:
        sys.argv, sys.path[0] = words, os.path.dirname(os.path.realpath(words[0]))
        runpy.run_path(words[0], run_name="__main__")


def end(status: object) -> None:
    """As the interpreter ends, without taking down a million objects of the libraries."""
    if not isinstance(status, int):
        if status is not None:
            print(status, file=sys.stderr)
        status = int(status is not None)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for pytest, which closes the input
    load()
    print("ready", flush=True)
    try:
        if program := next_program():
            become(program)
            run(program["words"])
    except SystemExit as stop:
        end(stop.code)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        end(1)
    end(0)
