"""Who may ask: names of the server, and pages that may send it something."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

ASKED = {"question": "Who?", "documents": [{"text": "Greta Holm founded the school of Oslo."}]}
HOSTS = ("localhost", "::1", "docs.example")


@pytest.fixture
def local(client_of):
    return client_of(hosts=HOSTS, named=("Docs.example",))


def refusal(response, status):
    assert response.status_code == status, response.text
    return response.json()["detail"]


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "[::1]:8000", "[::1]", "LOCALHOST", "docs.example"])
def test_own_names(local, host):
    assert local.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["localhost:8000@evil.example", "localhost:", "localhost:x", "localhost/", "localhost,evil.example", "[::1", "a b",
     "http://localhost", "localhost:123456"],
)  # fmt: skip
def test_what_is_no_host(local, client_of, host):
    for client in (local, client_of()):
        assert "not a name or address with a port" in refusal(client.get("/health", headers={"Host": host}), 421)


def test_other_names(local):
    said = refusal(local.get("/health", headers={"Host": "evil.example:80"}), 421)
    assert said == "this server is not evil.example; start it with --allowed-host evil.example"
    assert refusal(local.get("/health", headers={"Host": ""}), 421).startswith("no Host header; send")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8000", 200),
        ("https://localhost:8000", 200),  # a proxy with TLS before it
        ("https://docs.example", 200),
        ("http://localhost:9999", 403),
        ("http://localhost", 403),
        ("http://evil.example", 403),
        ("http://evil.example:8000", 403),
        ("http://localhost:8000@evil.example", 403),
        ("http://localhost:8000.evil.example", 403),
        ("file://localhost:8000", 403),
        ("null", 403),
        ("", 403),
    ],
)
def test_pages_that_send_something(local, origin, status):
    headers = {"Host": "localhost:8000", "Origin": origin}
    for path, sent in (("/answer", {"json": ASKED}), ("/read", {"files": {"file": ("a.txt", b"text")}})):
        response = local.post(path, headers=headers, **sent)
        assert response.status_code == status, response.text
        assert status == 200 or "another site" in response.json()["detail"]
    assert local.get("/", headers=headers).status_code == 200  # a link to it


def test_a_server_of_any_name_has_its_own_pages_alone(client_of):
    client = client_of()
    for origin, status in (("http://192.0.2.7:8000", 200), ("http://evil.example", 403)):
        headers = {"Host": "192.0.2.7:8000", "Origin": origin}
        assert client.post("/answer", json=ASKED, headers=headers).status_code == status


def test_what_browsers_say_of_the_site(local):
    own = {"Host": "localhost"}
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        assert local.post("/answer", json=ASKED, headers=own | {"Sec-Fetch-Site": site}).status_code == status
    assert local.get("/", headers=own | {"Sec-Fetch-Site": "cross-site"}).status_code == 200
