"""What is wrong with a request, as a status and one line of JSON."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from fairseq_littlebird.serving.messages import Fault

MEANINGS = {
    403: "the page of another site sends it",
    408: "the request has not arrived in time",
    413: "the request or its documents are larger than the server takes",
    415: "a request of another content type, or a file of a kind that is not read",
    421: "the Host header is not a name of this server",
    422: "a request or a document that cannot be understood: encrypted, scanned, damaged, empty or no text",
    429: "too many questions wait; ask again after Retry-After seconds",
    500: "a fault of the server, which its log describes",
    503: "it took too long, or the server is stopping",
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Statuses of a route for the OpenAPI description."""
    return {status: {"model": Fault, "description": MEANINGS[status]} for status in statuses}


def refused(status: int, message: str, retry_after: int | None = None, close: bool = False) -> HTTPException:
    """An error to raise.

    Args:
        status: of HTTP.
        message: one line.
        retry_after: seconds after which the request may do better.
        close: ends the connection, as the rest of the request is not waited for.
    """
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if close:
        headers["Connection"] = "close"
    return HTTPException(status, message, headers or None)


async def on_refusal(request: Request, error: Exception) -> JSONResponse:
    """What a route refuses; 400 is what FastAPI says of a form that it cannot parse."""
    assert isinstance(error, HTTPException)
    if error.status_code == 400:
        return JSONResponse({"detail": f"a form that cannot be read: {_reason(error)}"}, 422)
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


async def on_invalid(request: Request, error: Exception) -> JSONResponse:
    """The first of what pydantic says, without the value, which may be a whole document."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = _shown(".".join(str(part) for part in first["loc"] if part != "body"))
    said = " ".join(str(first["msg"]).split())
    if first["type"] == "model_attributes_type":
        said = "not a JSON object; /openapi.json describes it"
    elif not place and first["type"] == "missing":
        said = "the request is empty; /openapi.json describes it"
    return JSONResponse({"detail": f"{place}: {said}" if place else said}, 422)


async def on_failure(request: Request, error: Exception) -> JSONResponse:
    """A fault of ours, whose traceback the ASGI server logs."""
    return JSONResponse({"detail": "the server failed; its log says why"}, 500)


def _shown(place: str) -> str:
    """It may have a name that the client chose."""
    return "".join(character if character.isprintable() else "\ufffd" for character in place[:100])


def _reason(error: HTTPException) -> str:
    """Of the parser where it has one, as FastAPI's is the same for all."""
    cause = error.__cause__ or error.__context__
    deepest = cause and (cause.__cause__ or cause)
    return " ".join(str(deepest or error.detail).split()) or "it is damaged"
