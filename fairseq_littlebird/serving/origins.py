"""Whose requests are answered: names of the server, and the pages that may send it something."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from starlette.datastructures import Headers

from fairseq_littlebird.serving.faults import refused

LOOPBACK = ("localhost", "127.0.0.1", "::1")
READING = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing; a link on any page may send them."""
AUTHORITY = r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_.-]+))(?::\d{1,5})?"
_HOST = re.compile(AUTHORITY, re.IGNORECASE | re.ASCII)
_ORIGIN = re.compile(f"https?://(?P<authority>{AUTHORITY})", re.IGNORECASE | re.ASCII)


class Origins:
    """The rules of one server.

    Args:
        hosts: names that it answers to, so that no page can ask it under a name of its own; empty for any.
        named: those among them that belong to the server whatever the port, as of a proxy before it.
    """

    def __init__(self, hosts: Collection[str], named: Iterable[str] = ()) -> None:
        self._hosts, self._named = frozenset(map(str.lower, hosts)), frozenset(map(str.lower, named))

    def check(self, method: str, headers: Headers) -> None:
        """Raises:
        HTTPException: the server has another name (421), or the page of another site sends it something (403).
        """
        host = headers.get("host", "")
        if not host:
            raise refused(421, "no Host header; send the name of the server in it")
        plain = _HOST.fullmatch(host)
        if not plain:
            raise refused(421, "the Host header is not a name or address with a port; send the server's own")
        name = _name(plain)
        if self._hosts and name not in self._hosts:
            raise refused(421, f"this server is not {name}; start it with --allowed-host {name}")
        if method in READING:
            return
        elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if elsewhere or not all(self._own(origin, host) for origin in headers.getlist("origin")):
            raise refused(403, "sent by a page of another site; open the server's own, or add --allowed-host")

    def _own(self, origin: str, host: str) -> bool:
        """Whether a page is the server's own: of the same name and port, or of a name that was given to it."""
        plain = _ORIGIN.fullmatch(origin)
        return plain is not None and (plain["authority"].lower() == host.lower() or _name(plain) in self._named)


def _name(plain: re.Match[str]) -> str:
    """Without the port."""
    return (plain["address"] or plain["name"]).lower()
