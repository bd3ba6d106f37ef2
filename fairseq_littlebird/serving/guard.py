"""What every request passes: who may ask, the limits of its body, and the headers of every response."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairseq_littlebird.serving.origins import Origins
from fairseq_littlebird.serving.uploads import Uploads

HEADERS = {
    # nothing is loaded from elsewhere, and nothing that is written into the page runs
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """ASGI middleware.

    Args:
        app: that is guarded.
        origins: who may ask.
        uploads: limits of what is sent.
        watch: is told each request's path, status and seconds.
        paths: those that there are; all others are told as "other".
    """

    def __init__(
        self,
        app: ASGIApp,
        origins: Origins,
        uploads: Uploads,
        watch: Callable[[str, int, float], object],
        paths: Collection[str],
    ) -> None:
        self._app, self._origins, self.uploads, self._watch, self._paths = app, origins, uploads, watch, paths

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
                response = JSONResponse({"detail": fault.detail}, fault.status_code, fault.headers)
                await response(scope, receive, send_guarded)
            else:
                await self._app(scope, self.uploads.limited(receive), send_guarded)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._watch(path, status, time.monotonic() - begun)

    def _fault(self, method: str, headers: Headers) -> HTTPException | None:
        try:
            self._origins.check(method, headers)
            self.uploads.check_length(headers.get("content-length", "0"))
        except HTTPException as fault:
            return fault
        return None
