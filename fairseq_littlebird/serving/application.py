"""The routes: the page and its files, questions, documents, health and metrics."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Form, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

import fairseq_littlebird
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.formats.documents.document import Document
from fairseq_littlebird.formats.documents.reading import READERS
from fairseq_littlebird.serving import reading
from fairseq_littlebird.serving.answering import Answering, Asked
from fairseq_littlebird.serving.batch_queue import BatchQueue, Full
from fairseq_littlebird.serving.bodies import FormRoute, JsonRoute
from fairseq_littlebird.serving.faults import on_failure, on_invalid, on_refusal, refused, responses
from fairseq_littlebird.serving.guard import Guard
from fairseq_littlebird.serving.limits import Limits
from fairseq_littlebird.serving.messages import (
    Answers,
    Asking,
    DocumentText,
    FileQuestion,
    Health,
    OneFile,
    Question,
)
from fairseq_littlebird.serving.metrics import Metrics
from fairseq_littlebird.serving.origins import Origins
from fairseq_littlebird.serving.page_files import page_files
from fairseq_littlebird.serving.uploads import Uploads

BATCH_CHARACTERS = 200_000
"""Of the documents that are answered together, so that a short question does not wait for a long batch."""
READERS_AT_ONCE = 2
SENT = (403, 408, 413, 415, 421, 422, 429, 500, 503)
"""Statuses of the routes that take something."""
FORM = Form(media_type="multipart/form-data")


class Service:
    """What the routes do.

    Args:
        answering: questions to answers, in a thread.
        name: of the model.
        limits: see there.
    """

    def __init__(self, answering: Answering, name: str, limits: Limits) -> None:
        self._answering, self._name, self.limits = answering, name, limits
        self.queue: BatchQueue[Asked, Answers] = BatchQueue(
            answering,
            lambda asked: asked.characters,
            BATCH_CHARACTERS,
            limits.batch,
            limits.waiting,
            lambda seconds, questions: self.metrics.batch(seconds, questions),
        )
        self.metrics = Metrics(lambda: len(self.queue))
        self.abandoned = False
        self._stopping = False
        self._reading = asyncio.Semaphore(READERS_AT_ONCE)
        self._to_read = 0
        self._files = page_files()

    @asynccontextmanager
    async def running(self, app: FastAPI) -> AsyncIterator[None]:
        """Answers questions inside; at the end finishes what runs."""
        self.queue.start()
        try:
            yield
        finally:
            self.abandoned = not await self.queue.stop(1.0)  # what still runs is past its time: nobody waits for it

    def stop(self) -> None:
        """Tells those who ask for its health."""
        self._stopping = True

    async def page(self) -> Response:
        return self.page_file("index.html")

    def page_file(self, name: str) -> Response:
        content, media_type = self._files[name]
        return Response(content, headers={"Content-Type": media_type})

    @property
    def page_names(self) -> list[str]:
        """Of the files that the page needs."""
        return [name for name in self._files if name != "index.html"]

    async def answer(self, question: Question) -> Answers:
        """Answers a question about documents given as text; several documents are ranked together."""
        documents = tuple(document.document() for document in question.documents)
        return await self._ask(_asked(question, documents), self.limits.seconds)

    async def answer_files(self, question: Annotated[FileQuestion, FORM]) -> Answers:
        """Answers a question about files: text, Markdown, HTML, PDF and DOCX."""
        end = time.monotonic() + self.limits.seconds
        documents = tuple([await self._read(file, end) for file in question.files])
        return await self._ask(_asked(question, documents), end - time.monotonic())

    async def read(self, sent: Annotated[OneFile, FORM]) -> DocumentText:
        """The text of a file, and where its pages, paragraphs or lines begin, as `POST /answer` takes it."""
        document = await self._read(sent.file, time.monotonic() + self.limits.seconds)
        self._check_length([document])
        return DocumentText(
            name=document.name, text=document.text, unit=document.unit, starts=list(document.starts)  # type: ignore[arg-type]
        )  # fmt: skip

    async def health(self) -> Response:
        """200 while questions are answered; once the server stops, connections are refused."""
        health = Health(
            status="stopping" if self._stopping else "ok",
            model=self._name,
            version=fairseq_littlebird.__version__,
            explains=self._answering.explains,
            waiting=len(self.queue),
            max_bytes=self.limits.megabytes << 20,
            max_characters=self.limits.characters,
            suffixes=sorted(READERS),
        )
        return JSONResponse(health.model_dump(), 503 if self._stopping else 200)

    async def show_metrics(self) -> Response:
        """Counts and times in Prometheus's text format."""
        return Response(self.metrics.text(), headers={"Content-Type": self.metrics.content_type})

    async def _ask(self, asked: Asked, seconds: float) -> Answers:
        if not asked.question.strip():
            raise refused(422, "question: it is empty")
        if asked.attention and not self._answering.explains:
            raise refused(422, "attention: it is not known of this model; leave it out")
        self._check_length(asked.documents)
        if not any(document.text.strip() for document in asked.documents):
            raise refused(422, "documents: no text")
        try:
            return await self.queue.put(asked, max(0.0, seconds))
        except Full as error:
            raise refused(429, "too many questions wait; ask again later", error.retry_after) from error
        except TimeoutError as error:
            raise self._late() from error
        except UserError as error:
            raise refused(422, str(error)) from error

    async def _read(self, file: UploadFile, end: float) -> Document:
        """The document of a file, where it is there at a time of the monotonic clock, waiting included."""
        name = reading.label(file.filename)
        if self._to_read >= self.limits.waiting:
            raise refused(429, "too many files wait to be read; send it again later", 1)
        self._to_read += 1
        try:
            return await asyncio.wait_for(self._read_in_turn(file, name), max(0.0, end - time.monotonic()))
        except reading.Unreadable as error:
            raise refused(error.status, str(error)) from error
        except (TimeoutError, asyncio.TimeoutError) as error:  # the same from Python 3.11 on
            raise self._late() from error
        finally:
            self._to_read -= 1

    async def _read_in_turn(self, file: UploadFile, name: str) -> Document:
        async with self._reading:
            return await reading.read(await file.read(), name, self.limits.seconds)

    def _late(self) -> HTTPException:
        seconds = math.ceil(self.limits.seconds)
        return refused(503, f"no answer in {seconds} seconds; ask about less, or again later", seconds)

    def _check_length(self, documents: Sequence[Document]) -> None:
        characters = sum(len(document.text) for document in documents)
        if characters > self.limits.characters:
            what = f"documents: {characters:,} characters, {self.limits.characters:,} are taken"
            raise refused(413, f"{what}; send the part that the question is about")


def _asked(asking: Asking, documents: tuple[Document, ...]) -> Asked:
    return Asked(asking.question, documents, asking.top_k, asking.null_threshold, asking.attention)


def application(service: Service, hosts: Collection[str] = (), named: Collection[str] = ()) -> Guard:
    """The ASGI application.

    Args:
        service: what its routes do.
        hosts: names that it answers to; empty for any.
        named: see :class:`~fairseq_littlebird.serving.origins.Origins`.
    """
    app = FastAPI(
        title="littlebird-serve",
        version=fairseq_littlebird.__version__,
        description="Answers to questions about documents, by a trained model.",
        lifespan=service.running,
        docs_url=None,  # it would load scripts from elsewhere
        redoc_url=None,
        exception_handlers={
            HTTPException: on_refusal,
            RequestValidationError: on_invalid,
            Exception: on_failure,
        },
    )
    for path, take, route in (
        ("/answer", service.answer, JsonRoute),
        ("/answer-files", service.answer_files, FormRoute),
        ("/read", service.read, FormRoute),
    ):
        app.router.add_api_route(
            path,
            take,
            methods=["POST"],
            responses=responses(*SENT),
            response_model_exclude_none=True,
            route_class_override=route,
        )
    told = responses(421, 500)
    _add_get(app, "/health", service.health, response_model=Health, responses=told | {503: {"model": Health}})
    _add_get(app, "/metrics", service.show_metrics, response_class=Response, responses=told)
    _add_get(app, "/", service.page, include_in_schema=False)
    for name in service.page_names:
        _add_get(app, f"/{name}", _file(service, name), include_in_schema=False)
    paths = {getattr(route, "path", "") for route in app.routes}
    uploads = Uploads(service.limits.megabytes << 20, service.limits.seconds)
    return Guard(app, Origins(hosts, named), uploads, service.metrics.request, paths)


def _add_get(app: FastAPI, path: str, give: Any, **options: Any) -> None:
    """With HEAD, which some load balancers ask."""
    app.add_api_route(path, give, methods=["GET"], **options)
    app.add_api_route(path, give, methods=["HEAD"], **options | {"include_in_schema": False})


def _file(service: Service, name: str) -> Any:
    async def page_file() -> Response:
        return service.page_file(name)

    return page_file
