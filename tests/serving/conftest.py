"""A server's application in this process, and one in a process of its own."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import sys
import time
from pathlib import Path

import pytest

from fairseq_littlebird import LittleBird
from fairseq_littlebird.data.prepared import PreparedQuestions
from fairseq_littlebird.serving.limits import Limits


@pytest.fixture(scope="session")
def model_folder(qa_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "school-model"
    folder.mkdir()
    shutil.copyfile(qa_model, folder / "checkpoint_last.pt")
    return folder


@pytest.fixture(scope="session")
def model(model_folder):
    return LittleBird.from_pretrained(model_folder, device="cpu")


@pytest.fixture(scope="session")
def example(tiny):
    return PreparedQuestions(tiny / "questions", "valid").example(0)[0]


@pytest.fixture
def client_of(model):
    """``client_of(limits)``: a client of an application with these limits, for as long as the test runs."""
    from starlette.testclient import TestClient

    from fairseq_littlebird.serving.answering import Answering
    from fairseq_littlebird.serving.application import Service, application

    open_clients = []

    def client_of(limits=None, answering=None, hosts=(), named=()):
        service = Service(answering or Answering(model), "school-model", limits or Limits())
        client = TestClient(application(service, hosts, named), raise_server_exceptions=False)
        open_clients.append(client.__enter__())
        return client

    yield client_of
    for client in open_clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(client_of):
    return client_of()


class Server:
    """littlebird-serve in a process of its own."""

    def __init__(self, forks, folder, words):
        self.error = folder / "stderr"
        for name in ("stdout", "stderr"):
            (folder / name).touch()
        module = [sys.executable, "-m", "fairseq_littlebird.cli.serve", *words, "--device", "cpu"]
        self.program = forks.start(module, folder / "stdout", self.error, cwd=folder)

    def said(self):
        return self.error.read_text("utf-8")

    def port(self, seconds=60):
        """Waits until it answers."""
        end = time.monotonic() + seconds
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+)/", self.said())):
            assert self.program.poll() is None and time.monotonic() < end, self.said()
            time.sleep(0.02)
        return int(found[1])

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port(), timeout=60)

    def get(self, path):
        connection = self.connect()
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()

    def ask(self, **question):
        connection = self.connect()
        connection.request("POST", "/answer", json.dumps(question), {"Content-Type": "application/json"})
        return connection


@pytest.fixture(scope="session")
def serve(forks, tmp_path_factory):
    """``serve(*words)``: a :class:`Server`, which is killed at the end where it still runs."""
    started = []

    def serve(*words):
        server = Server(forks, Path(tmp_path_factory.mktemp("server")), [str(word) for word in words])
        started.append(server)
        return server

    yield serve
    for server in started:
        if server.program.poll() is None:
            server.program.kill()
            server.program.wait(30)


@pytest.fixture(scope="session")
def server(serve, model_folder):
    """One for tests that leave it as it is."""
    return serve(model_folder, "--port", "0")
