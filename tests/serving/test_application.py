"""The API: answers are the model's, and whatever is wrong has its status and one line."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

from prometheus_client.parser import text_string_to_metric_families

from fairseq_littlebird.formats.documents.document import of_lines
from fairseq_littlebird.inference.several_documents import best_answers
from fairseq_littlebird.serving import reading
from fairseq_littlebird.serving.answering import Answering, Asked
from fairseq_littlebird.serving.limits import Limits

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data"}
FILE = {"files": ("a.txt", b"Greta Holm founded it.")}
TEXT = "Greta Holm founded the school of Oslo.\nPavel Dorn painted the bridge.\n"


def body(text=TEXT, question="Who founded the school of Oslo?", **more):
    return {"question": question, "documents": [{"name": "a.txt", "text": text}], **more}


def fault(response, status):
    assert response.status_code == status, response.text
    found = response.json()
    assert list(found) == ["detail"] and found["detail"] and "\n" not in found["detail"]
    return found["detail"]


def test_answers_are_those_of_the_model_with_their_place(client, model, example):
    text = "A line before.\n" + example.document
    found = client.post("/answer", json=body(text, example.question, top_k=2)).json()
    expected = model.answer(example.question, text, top_k=2)
    assert [(a["text"], a["start"], a["end"]) for a in found["answers"]] == [(a.text, a.start, a.end) for a in expected]
    assert [a["probability"] for a in found["answers"]] == pytest.approx([a.probability for a in expected], rel=1e-4)
    for answer in found["answers"]:
        assert answer["document"] == "a.txt" and text[answer["start"] : answer["end"]] == answer["text"]
        assert answer["line"] == 1 + text.count("\n", 0, answer["start"]) and "page" not in answer
        assert answer["text"] in answer["sentence"]
    assert "attention" not in found


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (body("ab\0"), "documents.0.text: no text: character 2 is U+0000"),
        (body("Greta\ud800"), "documents.0.text: no text: character 5 is U+D800"),
        (body(question="\0?"), "question: no text: character 0 is U+0000"),
        (body(question="Who\udfff?"), "question: no text: character 3 is U+DFFF"),
        (body(null_threshold=float("nan")), "null_threshold: Input should be a finite number"),
        (body(null_threshold=float("-inf")), "null_threshold: Input should be a finite number"),
        (body(null_threshold="inf"), "null_threshold: Input should be a finite number"),
        (body() | {"a\n\x1b": 1}, "a\ufffd\ufffd: Extra inputs are not permitted"),
        (body() | {"\ud800": 1}, "Input should be a valid string, unable to parse raw data as a unicode string"),
        (body() | {"documents": ["text"]}, "documents.0: not a JSON object; /openapi.json describes it"),
    ],
)
def test_what_is_no_text_or_number(client, bad, message):
    response = client.post("/answer", content=json.dumps(bad), headers=JSON)
    assert fault(response, 422) == message


def test_emoji_may_be_escaped(client):
    found = client.post("/answer", content=json.dumps(body("Oslo 😀.", "Who 😀?")), headers=JSON)
    assert found.status_code == 200 and found.json()["question"] == "Who 😀?"


def test_several_documents_are_ranked_together(client, model, example):
    texts = [TEXT, example.document]
    documents = [{"name": str(n), "text": text} for n, text in enumerate(texts)]
    found = client.post("/answer", json={"question": "Who?", "documents": documents, "top_k": 20}).json()["answers"]
    expected = best_answers(model.predict(["Who?"], texts, 400, progress=False), 20)
    assert [(a["index"], a["start"], a["end"]) for a in found] == [(a[0], a[1].start, a[1].end) for a in expected]
    assert {a["document"] for a in found} == {"0", "1"}


def test_attention(client, model):
    found = client.post("/answer", json=body(attention=True)).json()
    attention, explanation = found["attention"], model.explain(found["question"], TEXT)
    assert sum(attention["bars"]) == pytest.approx(float(explanation.weights.sum()), rel=1e-3)
    assert len(attention["bars"]) == len(attention["through_pack"]) == len(TEXT)
    assert [(p["start"], p["end"]) for p in attention["passages"]] == [(p.start, p.end) for p in explanation.passages]
    two = body(attention=True)
    two["documents"].append({"name": "b", "text": "Nothing of it."})
    assert client.post("/answer", json=two).json()["attention"]["destinations"]


def test_no_answer_above_the_threshold(client):
    found = client.post("/answer", json=body(null_threshold=-1e8, attention=True)).json()
    assert found["answers"] == [] and "attention" not in found and found["null_odds"] > -1e8


def test_what_is_asked_together_is_answered_as_alone(model, example):
    answering = Answering(model)
    texts = [example.document, TEXT, "서울은 대한민국의 수도이다. 😀 Oslo.", " "]
    asked = [
        Asked(question, (of_lines("a", text),), top_k, None, attention)
        for text in texts
        for question, top_k, attention in ((example.question, 1, False), ("Who?", 5, True))
    ]
    for together, one in zip(answering(asked), asked, strict=True):
        (alone,) = answering([one])
        assert [(a.start, a.end) for a in together.answers] == [(a.start, a.end) for a in alone.answers]
        for ours, own in zip(together.answers, alone.answers, strict=True):
            assert ours.probability == pytest.approx(own.probability, rel=1e-3)
        assert (together.attention is None) == (alone.attention is None)


def test_one_bad_question_does_not_spoil_a_batch(model):
    answering = Answering(model)
    good, long = (Asked(question, (of_lines("a", TEXT),)) for question in ("Who?", "Who " * 9000))
    found, error = answering([good, long])
    assert found.answers and str(error) == "a question as long as a window; ask in fewer words"


def test_files(client):
    docx = pytest.importorskip("docx")
    word, file = docx.Document(), io.BytesIO()
    word.add_paragraph("First.")
    word.add_paragraph("Greta Holm founded the school of Oslo.")
    word.save(file)
    files = [("files", ("a.docx", file.getvalue())), ("files", ("folder/b.md", TEXT.encode()))]
    form = {"question": "Who founded the school of Oslo?", "top_k": "20"}
    found = client.post("/answer-files", data=form, files=files).json()["answers"]
    assert {a["document"] for a in found} == {"a.docx", "b.md"}
    for answer in found:
        assert ("paragraph" if answer["document"] == "a.docx" else "line") in answer


def test_a_file_that_is_read_can_be_asked(client):
    file = "../../etc/notes.html", b"<p>One</p><script>x</script><p>Two</p>"
    read = client.post("/read", files={"file": file}).json()
    assert read["name"] == "notes.html" and read["unit"] == "line" and "script" not in read["text"]
    found = client.post("/answer", json={"question": "What?", "documents": [read]}).json()
    assert found["answers"][0]["document"] == "notes.html"


def pdf(*, encrypted=False):
    pypdf = pytest.importorskip("pypdf")
    writer, file = pypdf.PdfWriter(), io.BytesIO()
    writer.add_blank_page(72, 72)
    if encrypted:
        writer.encrypt("secret", algorithm="RC4-128")
    writer.write(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "status", "message"),
    [
        ("a.xyz", lambda: b"text", 415, "a.xyz: documents of this kind are not read: .xyz; give .docx"),
        ("a.txt", lambda: bytes(range(256)), 422, "a.txt: not text in UTF-8, from byte 128 on"),
        ("a", lambda: b"\x00\x01", 422, "a: no text: character 0 is U+0000"),
        ("a.txt", lambda: b" \n ", 422, "a.txt: no text"),
        ("a.pdf", lambda: b"%PDF-1.7 rubbish", 422, "a.pdf: a damaged PDF"),
        ("a.pdf", pdf, 422, "a.pdf: 1 pages without text: a scan, probably"),
        ("a.pdf", lambda: pdf(encrypted=True), 422, "a.pdf: encrypted with a password"),
        ("a.docx", lambda: b"PK\3\4 rubbish", 422, "a.docx: a damaged DOCX"),
    ],
)
def test_bad_documents(client, name, content, status, message):
    file = content()
    assert message in fault(client.post("/read", files={"file": (name, file)}), status)
    answered = client.post("/answer-files", data={"question": "Who?"}, files={"files": (name, file)})
    assert message in fault(answered, status)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the request is empty; /openapi.json describes it"),
        (b"{", "not JSON: Expecting property name enclosed in double quotes: line 1 column 2"),
        (b"[]", "not a JSON object"),
        (b'{"question": "\xff"}', "not text in UTF-8, from byte 14 on"),
        (b"[" * 200_000, "JSON that is nested too deeply"),
        (b'{"top_k": ' + b"1" * 10_000 + b"}", "JSON with a number of too many digits"),
        (b"{}", "question: Field required"),
        (json.dumps(body(question=" ")), "question: it is empty"),
        (json.dumps(body(question="x" * 2001)), "question: String should have at most 2000 characters"),
        (json.dumps(body(" \n")), "documents: no text"),
        (json.dumps(body(top_k=0)), "top_k: Input should be greater than or equal to 1"),
        (json.dumps(body(top_k=21)), "top_k: Input should be less than or equal to 20"),
        (json.dumps(body(path="/etc/passwd")), "path: Extra inputs are not permitted"),
        (json.dumps({"question": "Who?", "documents": []}), "documents: List should have at least 1 item"),
    ],
)
def test_bad_requests(client, content, message):
    response = client.post("/answer", content=content, headers=JSON)
    assert message in fault(response, 422)


@pytest.mark.parametrize(
    ("request_of", "message"),
    [
        ({"files": {"question": (None, "Who?"), "files": (None, "hello")}}, "files.0: not a file; send one, as curl"),
        ({"data": {"question": "Who?", "null_odds": "1"}, "files": FILE}, "null_odds: Extra inputs are not permitted"),
        ({"data": {"question": "Who?", "null_threshold": "nan"}, "files": FILE}, "null_threshold: Input should be a"),
        ({"data": {"question": "Who\0?"}, "files": FILE}, "question: no text: character 3 is U+0000"),
        ({"data": {"question": "Who?"}, "files": {"other": ("a.txt", b"x")}}, "files: Field required"),
        ({"data": {"question": "Who?"}, "files": [("files", ("a.txt", b"x"))] * 101}, "at most 100 items"),
        ({"data": {"question": "Who?"}, "files": {"files": ("a" * 5000, b"x")}}, "cannot be read: Maximum header size"),
        ({"files": [("question", (None, "Who?"))] * 1001}, "a form that cannot be read: Too many fields"),
        ({"content": b"x", "headers": FORM}, "a form that cannot be read: Missing boundary"),
        ({"content": b"x", "headers": {"Content-Type": FORM["Content-Type"] + "; boundary=b"}}, "cannot be read: "),
    ],
)
def test_bad_forms(client, request_of, message):
    assert message in fault(client.post("/answer-files", **request_of), 422)


@pytest.mark.parametrize(
    ("path", "content_type", "remedy"),
    [
        ("/answer", None, "Content-Type: application/json"),
        ("/answer", "text/plain", "Content-Type: application/json"),
        ("/answer", "application/x-www-form-urlencoded", "Content-Type: application/json"),
        ("/answer-files", "application/x-www-form-urlencoded", "Content-Type: multipart/form-data"),
        ("/read", "application/json", "Content-Type: multipart/form-data"),
    ],
)
def test_other_content_types(client, path, content_type, remedy):
    headers = {"Content-Type": content_type} if content_type else {}
    assert remedy in fault(client.post(path, content=json.dumps(body()), headers=headers), 415)


def test_what_is_too_large(client_of):
    client = client_of(Limits(megabytes=1, characters=100))
    assert "over 1 MiB" in fault(client.post("/answer", json=body("x" * (1 << 20))), 413)
    assert "over 1 MiB" in fault(client.post("/read", files={"file": ("a.txt", b"x" * (2 << 20))}), 413)
    parts = (b"x" * 65536 for _ in range(40))  # no Content-Length
    assert "over 1 MiB" in fault(client.post("/answer", content=parts, headers=JSON), 413)
    assert "101 characters, 100 are taken" in fault(client.post("/answer", json=body("x" * 101)), 413)
    assert "characters" in fault(client.post("/read", files={"file": ("a.txt", b"x" * 101)}), 413)


class Slow:
    """Answers when it is let."""

    explains = False

    def __init__(self):
        self.let, self.batches = threading.Event(), []

    def __call__(self, asked):
        self.batches.append(len(asked))
        assert self.let.wait(20)
        from fairseq_littlebird.serving.messages import Answers

        return [Answers(question=one.question, answers=[], null_odds=0.0) for one in asked]


def asked_at_once(client, number):
    """Threads that ask, and the list that their responses come in."""
    found = []
    ask = lambda: found.append(client.post("/answer", json=body()))  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads, found


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_full_queue_and_one_batch_of_what_waited(client_of):
    slow = Slow()
    client = client_of(Limits(waiting=3), slow)
    first, answered = asked_at_once(client, 1)
    until(lambda: slow.batches)
    rest, found = asked_at_once(client, 3)
    until(lambda: client.get("/health").json()["waiting"] == 3)
    refused = client.post("/answer", json=body())
    assert "too many questions wait" in fault(refused, 429) and int(refused.headers["Retry-After"]) >= 1
    slow.let.set()
    for thread in first + rest:
        thread.join()
    assert [response.status_code for response in answered + found] == [200] * 4
    assert slow.batches == [1, 3]


def test_time_is_over(client_of):
    slow = Slow()
    client = client_of(Limits(seconds=0.2), slow)
    try:
        assert "no answer in 1 seconds" in fault(client.post("/answer", json=body()), 503)
        assert "no answer" in fault(client.post("/answer", json=body()), 503)
        assert client.get("/health").json()["waiting"] == 0
    finally:
        slow.let.set()
    until(lambda: len(slow.batches) == 1)  # the second was given up before its turn


@pytest.mark.parametrize("at_once", [1, 4])
def test_time_is_over_while_files_are_read(client_of, monkeypatch, at_once):
    """All of a request's files, those that it waits for included, have the time of one answer."""

    async def read(content, name, seconds):
        await asyncio.sleep(0.4)
        return of_lines(name, "text")

    monkeypatch.setattr(reading, "read", read)
    client = client_of(Limits(seconds=1.0), Slow())
    files = [("files", (f"{n}.txt", b"text")) for n in range(12)]
    ask = lambda: client.post("/answer-files", data={"question": "What?"}, files=files)  # noqa: E731
    begun = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        for response in [pool.submit(ask) for _ in range(at_once)]:
            assert "no answer in 1 seconds" in fault(response.result(), 503)
    assert time.monotonic() - begun < 3


def test_a_fault_of_ours_is_a_line(client_of):
    class Broken:
        explains = False

        def __call__(self, asked):
            raise RuntimeError("a secret")

    response = client_of(answering=Broken()).post("/answer", json=body())
    assert "secret" not in fault(response, 500)
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_attention_of_a_model_without_any_is_refused(client_of):
    slow = Slow()
    assert "not known of this model" in fault(client_of(answering=slow).post("/answer", json=body(attention=True)), 422)


def test_health_and_metrics(client):
    health = client.get("/health")
    assert health.status_code == 200
    assert health.json() | {"version": ""} == {
        "status": "ok",
        "model": "school-model",
        "version": "",
        "explains": True,
        "waiting": 0,
        "max_bytes": 32 << 20,
        "max_characters": 500_000,
        "suffixes": health.json()["suffixes"],
    }
    assert ".pdf" in health.json()["suffixes"]
    client.post("/answer", json=body())
    client.post("/answer", json={})
    client.get("/nowhere/at/all")
    response = client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    assert samples["littlebird_requests_total", "/answer", "200"] == 1
    assert samples["littlebird_requests_total", "/answer", "422"] == 1
    assert samples["littlebird_requests_total", "404", "other"] == 1
    assert samples["littlebird_batch_questions_sum",] == 1 and samples["littlebird_waiting_questions",] == 0


def test_the_description(client):
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/answer", "/answer-files", "/read", "/health", "/metrics"}
    for path in ("/answer", "/answer-files", "/read"):
        responses = described["paths"][path]["post"]["responses"]
        assert set(responses) == {"200", "403", "408", "413", "415", "421", "422", "429", "500", "503"}
        for status in set(responses) - {"200"}:
            assert responses[status]["content"]["application/json"]["schema"]["$ref"].endswith("/Fault")
    for path in ("/health", "/metrics"):
        assert list(described["paths"][path]) == ["get"] and "421" in described["paths"][path]["get"]["responses"]
    (form,) = described["paths"]["/answer-files"]["post"]["requestBody"]["content"]
    assert form == "multipart/form-data"
    assert "probability" in described["components"]["schemas"]["Answer"]["properties"]


def test_every_response_forbids_what_the_page_does_not_need(client):
    for path in ("/", "/page.js", "/page.css", "/health", "/openapi.json", "/nowhere"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_head(client):
    for path in ("/", "/page.js", "/health", "/metrics", "/openapi.json"):
        response = client.head(path)
        assert response.status_code == 200 and int(response.headers["Content-Length"]) > 0


def test_no_path_is_opened(client):
    for path in ("/page/index.html", "/../setup.cfg", "/%2e%2e/setup.cfg", "/index.html", "/__init__.py"):
        assert fault(client.get(path), 404)
