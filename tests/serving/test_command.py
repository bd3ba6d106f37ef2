"""littlebird-serve as a process: its start, its end, and what keeps it from starting."""

from __future__ import annotations

import json
import signal
import socket
import time

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("uvicorn")

from fairseq_littlebird.cli.serve import main
from fairseq_littlebird.errors import UserError
from fairseq_littlebird.serving.server import listening


def question(text, **more):
    return {"question": "Who founded the school?", "documents": [{"text": text}], **more}


def test_it_answers(server):
    status, page = server.get("/")
    assert status == 200 and "<title>Ask a document</title>" in page
    response = server.ask(**question("Greta Holm founded the school.")).getresponse()
    assert response.status == 200 and json.loads(response.read())["answers"]
    assert "littlebird-serve: school-model answers at http://127.0.0.1:" in server.said()


def test_sigterm_lets_it_finish_what_was_asked(serve, model_folder):
    server = serve(model_folder, "--port", "0")
    text = "Greta Holm founded the school of Oslo. Pavel Dorn painted the bridge.\n" * 1500
    asked = [server.ask(**question(text)) for _ in range(3)]
    end = time.monotonic() + 120
    while json.loads(server.get("/health")[1])["waiting"] < 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    server.program.send_signal(signal.SIGTERM)
    responses = [connection.getresponse() for connection in asked]
    assert [response.status for response in responses] == [200] * 3
    assert all(json.loads(response.read())["answers"] for response in responses)
    assert server.program.wait(30) == 0
    assert server.said().splitlines()[-1] == "littlebird-serve: stopped after SIGTERM"
    with pytest.raises(ConnectionRefusedError):
        server.get("/health")


def half_sent(server):
    """Connections whose requests are not complete: within the body, and within the headers."""
    found = []
    for sent in (
        b"POST /answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        b"POST /answer HTTP/1.1\r\nHost: localhost\r\n",
    ):
        found.append(socket.create_connection(("127.0.0.1", server.port()), timeout=60))
        found[-1].sendall(sent)
    assert server.get("/health")[0] == 200  # they were taken before
    return found


def test_sigterm_does_not_wait_for_half_sent_requests(serve, model_folder):
    server = serve(model_folder, "--port", "0")
    body, headers = half_sent(server)
    with body, headers:
        server.program.send_signal(signal.SIGTERM)
        said = body.makefile("rb").read()
        assert said.startswith(b"HTTP/1.1 503 ") and said.endswith(
            b'{"detail":"the server is stopping; send it again later"}'
        )
        assert headers.recv(100) == b""
        assert server.program.wait(10) == 0
    assert server.said().splitlines()[-1] == "littlebird-serve: stopped after SIGTERM"


def test_a_second_signal_ends_it_at_once(serve, model_folder):
    server = serve(model_folder, "--port", "0")
    with half_sent(server)[0]:
        server.program.send_signal(signal.SIGTERM)
        with pytest.raises((ConnectionRefusedError, ConnectionResetError)):
            for _ in range(100):
                server.get("/health")
                time.sleep(0.02)
        server.program.send_signal(signal.SIGTERM)
        assert server.program.wait(2) == 128 + signal.SIGTERM
    assert server.said().splitlines()[-1].startswith("littlebird-serve: ended by a second signal, SIGTERM")


def test_addresses_that_there_are_not():
    for host, port, message in (
        ("127.0.0.1", 99999, "127.0.0.1: port 99999: there are ports 0 to 65535; choose another with --port"),
        ("a..b", 0, "a..b: no such address or name; choose another with --host"),
        ("b" * 64, 0, f"{'b' * 64}: no such address or name; choose another with --host"),
    ):
        with pytest.raises(UserError) as refused:
            listening(host, port)
        assert str(refused.value) == message


def test_faults_are_one_line(model_folder, span_model, tiny, tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        used = taken.getsockname()[1]
        cases = [
            ([model_folder, "--port", used], f"127.0.0.1: port {used}: Address already in use; choose others"),
            ([model_folder, "--host", "192.0.2.1"], "192.0.2.1: port 8000: Cannot assign requested address"),
            ([model_folder, "--port", "70000"], "port 70000"),
            ([tmp_path / "none", "--port", "0"], "none"),
            ([span_model, "--tokenizer", tiny / "tokenizer", "--port", "0"], "this model answers no questions"),
        ]
        for words, message in cases:
            with pytest.raises(SystemExit) as stopped:
                main([str(word) for word in words])
            said = capsys.readouterr().err
            assert stopped.value.code == 2 and message in said, said
            assert said.startswith("littlebird-serve: ") and said.count("\n") == 1
