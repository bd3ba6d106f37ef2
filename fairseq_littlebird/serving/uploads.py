"""The bodies of requests while they come: how large they may be, and how long the server waits for them."""

from __future__ import annotations

import asyncio
import time

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from fairseq_littlebird.serving.faults import refused

STALLED = 20.0
"""Seconds without a byte after which a body is given up."""
GRACE = 3.0
"""Seconds that a body may still take to arrive once the server stops."""


class Uploads:
    """All bodies that are on their way to one server.

    Args:
        max_bytes: of a body.
        seconds: from the start of a request until all of its body is there.
        stalled: seconds without a byte.
        grace: seconds that are left when the server stops.
    """

    def __init__(self, max_bytes: int, seconds: float, stalled: float = STALLED, grace: float = GRACE) -> None:
        self._max_bytes, self._seconds, self._stalled, self._grace = max_bytes, seconds, stalled, grace
        self._coming: set[asyncio.Future[Message]] = set()
        self._over = False

    def stop(self) -> None:
        """Gives up, after the grace, what has not come; needs a running event loop."""
        asyncio.get_running_loop().call_later(self._grace, self._give_up)

    def check_length(self, length: str) -> None:
        """Refuses what says that it is too long, before it comes.

        Args:
            length: the header Content-Length.
        """
        if length.isdecimal() and (len(length) > 18 or int(length) > self._max_bytes):
            raise self._too_large()

    def limited(self, receive: Receive) -> Receive:
        """Receives a request.

        Raises:
            HTTPException: it is too large (413) or slow (408), or the server stops before it is there (503).
        """
        came, end, complete = 0, time.monotonic() + self._seconds, False

        async def limited() -> Message:
            nonlocal came, complete
            if complete:  # what comes then is that the client has gone
                return await receive()
            message = await self._within(receive, min(self._stalled, end - time.monotonic()))
            came += len(message.get("body", b""))
            if came > self._max_bytes:  # a request may not say how long it is
                raise self._too_large()
            complete = not message.get("more_body", False)
            return message

        return limited

    async def _within(self, receive: Receive, seconds: float) -> Message:
        coming = asyncio.ensure_future(receive())
        self._coming.add(coming)
        try:
            if not self._over:
                await asyncio.wait({coming}, timeout=max(0.0, seconds))
            if coming.done() and not coming.cancelled():
                return coming.result()
        finally:
            self._coming.discard(coming)
            coming.cancel()
        if self._over:
            raise refused(503, "the server is stopping; send it again later", close=True)
        raise refused(408, "the request has not arrived in time; send it again", close=True)

    def _give_up(self) -> None:
        self._over = True
        for coming in self._coming:
            coming.cancel()

    def _too_large(self) -> HTTPException:
        return refused(413, f"over {self._max_bytes >> 20} MiB; send the part that the question is about")
