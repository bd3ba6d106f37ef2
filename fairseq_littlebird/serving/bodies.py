"""Bodies of requests, checked before FastAPI takes them apart: their content type, and whether they are JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from fairseq_littlebird.serving.faults import refused

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _JsonRequest(Request):
    async def json(self) -> Any:
        """What it holds.

        Raises:
            HTTPException: it is not JSON (422).
        """
        body = await self.body()
        try:
            return json.loads(body.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise refused(422, f"not text in UTF-8, from byte {error.start:,} on") from error
        except json.JSONDecodeError as error:
            raise refused(422, f"not JSON: {error}") from error
        except RecursionError as error:
            raise refused(422, "JSON that is nested too deeply") from error
        except ValueError as error:  # Python reads no number of over 4,300 digits
            raise refused(422, "JSON with a number of too many digits") from error


class JsonRoute(APIRoute):
    """One that takes JSON."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            content_type = _content_type(request)
            if content_type != "application/json" and not content_type.endswith("+json"):
                raise refused(415, "not JSON by its Content-Type; send it with Content-Type: application/json")
            return await handle(_JsonRequest(request.scope, request.receive))

        return checked


class FormRoute(APIRoute):
    """One that takes a form with files."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if _content_type(request) != "multipart/form-data":
                raise refused(
                    415, "not a form with files by its Content-Type; send it with Content-Type: multipart/form-data"
                )
            return await handle(request)

        return checked


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
