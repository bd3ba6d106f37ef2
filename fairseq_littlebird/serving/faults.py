"""What is wrong with a request, as a status and one line of JSON."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from fairseq_littlebird.serving.messages import Fault

MEANINGS = {
    413: "the request or its documents are larger than the server takes",
    415: "a file of a kind that is not read",
    422: "a request or a document that cannot be understood: encrypted, scanned, damaged, empty or no text",
    429: "too many questions wait; ask again after Retry-After seconds",
    503: "it took too long, or the server is stopping",
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Statuses of a route for the OpenAPI description."""
    return {status: {"model": Fault, "description": MEANINGS[status]} for status in statuses}


def refused(status: int, message: str, retry_after: int | None = None) -> HTTPException:
    """An error to raise.

    Args:
        status: of HTTP.
        message: one line.
        retry_after: seconds after which the request may do better.
    """
    headers = None if retry_after is None else {"Retry-After": str(retry_after)}
    return HTTPException(status, message, headers)


async def on_refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def on_invalid(request: Request, error: Exception) -> JSONResponse:
    """The first of what pydantic says, without the value, which may be a whole document."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    said = " ".join(str(first["msg"]).split())
    return JSONResponse({"detail": f"{place}: {said}" if place else said}, 422)


async def on_failure(request: Request, error: Exception) -> JSONResponse:
    """A fault of ours, whose traceback the ASGI server logs."""
    return JSONResponse({"detail": "the server failed; its log says why"}, 500)
