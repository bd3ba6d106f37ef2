"""What every request passes: who may ask, how large a request is, and the headers of every response."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairseq_littlebird.serving.faults import refused

LOOPBACK = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    # nothing is loaded from elsewhere, and nothing that is written into the page runs
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """ASGI middleware.

    Args:
        app: that is guarded.
        max_bytes: of a request's body.
        hosts: names that the server answers to, so that no other page can ask it under a name of its own; empty for
            any.
        watch: is told each request's path, status and seconds.
        paths: those that there are; all others are told as "other".
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        hosts: Collection[str],
        watch: Callable[[str, int, float], object],
        paths: Collection[str],
    ) -> None:
        self._app, self._max_bytes, self._hosts, self._watch, self._paths = app, max_bytes, hosts, watch, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.monotonic(), 500

        async def send_guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            if fault := self._fault(scope["method"], Headers(scope=scope)):
                response = JSONResponse({"detail": fault.detail}, fault.status_code)
                await response(scope, receive, send_guarded)
            else:
                await self._app(scope, self._limited(receive), send_guarded)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._watch(path, status, time.monotonic() - begun)

    def _fault(self, method: str, headers: Headers) -> HTTPException | None:
        name = _host(headers.get("host", ""))
        if self._hosts and name not in self._hosts:
            return refused(421, f"this server is not {name or 'without a name'}; start it with --allowed-host {name}")
        if method != "GET" and headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            return refused(403, "a page of another site asks; open the server's own")
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._max_bytes:
            return self._too_large()
        return None

    def _limited(self, receive: Receive) -> Receive:
        """Counts what comes, as a request may not say how long it is."""
        came = 0

        async def limited() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._max_bytes:
                raise self._too_large()
            return message

        return limited

    def _too_large(self) -> HTTPException:
        return refused(413, f"over {self._max_bytes >> 20} MiB; send the part that the question is about")


def _host(header: str) -> str:
    """Without the port."""
    if header.startswith("["):
        return header[1 : header.find("]")]
    return header.partition(":")[0].lower()
