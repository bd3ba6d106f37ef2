"""The application on an address, from its start to SIGTERM."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType

import uvicorn

from fairseq_littlebird.errors import UserError
from fairseq_littlebird.pipelines.littlebird import LittleBird
from fairseq_littlebird.serving.answering import Answering
from fairseq_littlebird.serving.application import Service, application
from fairseq_littlebird.serving.limits import Limits
from fairseq_littlebird.serving.origins import LOOPBACK
from fairseq_littlebird.serving.uploads import Uploads

logger = logging.getLogger(__name__)
BACKLOG = 512
"""Connections that the system holds until they are taken."""


def listening(host: str, port: int) -> socket.socket:
    """A socket of an address; 0 for any free port.

    Raises:
        UserError: another program has it, or it is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OverflowError as error:
        raise UserError(f"port {port}: there are ports 0 to 65535", host, "choose another with --port") from error
    except UnicodeError as error:
        raise _no_address(host) from error
    except OSError as error:
        number = error.errno or 0
        if number <= 0:  # of getaddrinfo
            raise _no_address(host) from error
        reason = os.strerror(number)  # its own text repeats the address
        raise UserError(f"port {port}: {reason}", host, "choose others with --host and --port") from error


def _no_address(host: str) -> UserError:
    return UserError("no such address or name", host, "choose another with --host")


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address(host: str, port: int) -> str:
    """As a browser takes it."""
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class _Server(uvicorn.Server):
    """Tells the service when it is told to stop; when it is told again, it does not wait any more."""

    def __init__(self, config: uvicorn.Config, service: Service, uploads: Uploads) -> None:
        super().__init__(config)
        self._service, self._uploads = service, uploads

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            name = signal.Signals(sig).name
            line = f"littlebird-serve: ended by a second signal, {name}; what was asked is lost\n"
            os.write(2, line.encode())  # the signal may have come within a print
            os._exit(128 + sig)  # a thread in C++ cannot be ended
        self._service.stop()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._uploads.stop()
        await super().shutdown(sockets)


def serve(model: LittleBird, name: str, listener: socket.socket, limits: Limits, allowed_hosts: Sequence[str]) -> None:
    """Answers until SIGTERM or SIGINT; returns, or ends the process where the model has not come to an end.

    Args:
        model: of question answering.
        name: to show.
        listener: from :func:`listening`.
        limits: see there.
        allowed_hosts: names that it answers to, beside those of its address; empty, and an address that other machines
            reach: any. Pages of these names may ask, too.
    Raises:
        UserError: see :class:`Answering`.
        KeyboardInterrupt: the signal that ended it, after all is done.
    """
    host, port = listener.getsockname()[:2]
    service = Service(Answering(model), name, limits)
    local = is_loopback(host)
    hosts = {*LOOPBACK, host, *map(str.lower, allowed_hosts)} if local or allowed_hosts else set()
    app = application(service, hosts, allowed_hosts)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=int(limits.seconds) + 5,
    )
    shown = host if host not in ("0.0.0.0", "::") else socket.gethostname()
    print(f"littlebird-serve: {name} answers at {address(shown, port)} (Ctrl-C stops)", file=sys.stderr, flush=True)
    if not local:
        print("littlebird-serve: other machines can ask it, without a password", file=sys.stderr, flush=True)
    try:
        _Server(config, service, app.uploads).run(sockets=[listener])
    finally:
        if service.abandoned:  # a thread in C++ cannot be ended
            print("littlebird-serve: stopped; a batch past its time was given up", file=sys.stderr)
            sys.stderr.flush()
            os._exit(0)
