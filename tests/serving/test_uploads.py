"""Bodies that come slowly, or not at all."""

from __future__ import annotations

import asyncio
import json

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

from starlette.exceptions import HTTPException

from fairseq_littlebird.serving.application import Service, application
from fairseq_littlebird.serving.limits import Limits
from fairseq_littlebird.serving.uploads import Uploads


def part(body=b"x", more=True):
    return {"type": "http.request", "body": body, "more_body": more}


def dripping(every):
    async def receive():
        await asyncio.sleep(every)
        return part()

    return receive


async def status(receive):
    """That of a body which is refused."""
    with pytest.raises(HTTPException) as refused:
        while True:
            await receive()
    assert refused.value.headers["Connection"] == "close"
    return refused.value.status_code


def test_a_stalled_body():
    async def run():
        return await status(Uploads(1 << 20, 60, stalled=0.02).limited(dripping(60)))

    assert asyncio.run(run()) == 408


def test_a_body_that_drips():
    async def run():
        return await status(Uploads(1 << 20, 0.1, stalled=60).limited(dripping(0.01)))

    assert asyncio.run(run()) == 408


@pytest.mark.parametrize("every", [60, 0.01])
def test_the_end_of_the_server(every):
    async def run():
        uploads = Uploads(1 << 20, 60, grace=0.05)
        asyncio.get_running_loop().call_later(0.02, uploads.stop)
        return await status(uploads.limited(dripping(every)))

    assert asyncio.run(run()) == 503


def test_what_is_there_in_time():
    async def run():
        uploads = Uploads(1 << 20, 60, grace=0.1)
        uploads.stop()
        came = iter([part(), part(more=False), {"type": "http.disconnect"}])

        async def receive():
            message = next(came)
            await asyncio.sleep(0.15 if message["type"] == "http.disconnect" else 0.01)
            return message

        limited = uploads.limited(receive)
        return [await limited() for _ in range(3)]

    found = asyncio.run(run())
    assert [message.get("more_body") for message in found] == [True, False, None]


@pytest.mark.parametrize("length", ["2097152", "9" * 5000])
def test_a_length_that_is_too_large(length):
    with pytest.raises(HTTPException, match="over 1 MiB"):
        Uploads(1 << 20, 60).check_length(length)


@pytest.mark.parametrize("path", ["/answer", "/answer-files"])
def test_a_stalled_request(path):
    class Never:
        explains = False

    types = {"/answer": b"application/json", "/answer-files": b"multipart/form-data; boundary=b"}
    headers = [(b"host", b"localhost"), (b"content-length", b"100"), (b"content-type", types[path])]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
    sent = []

    async def run():
        came = iter([part(b"-")])  # as JSON and as a form begin

        async def receive():
            return next(came, None) or await asyncio.sleep(60)

        async def send(message):
            sent.append(message)

        app = application(Service(Never(), "none", Limits(seconds=0.1)))
        await app(scope, receive, send)

    asyncio.run(run())
    start, content = sent
    assert start["status"] == 408 and (b"connection", b"close") in start["headers"]
    assert "not arrived in time" in json.loads(content["body"])["detail"]
