from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
import structlog
from starlette.requests import ClientDisconnect

from app.web.metrics import Metrics
from app.web.middleware import AddHeaders, AnswerHead, DrainRefusedBodies, put_by

if TYPE_CHECKING:
    from starlette.testclient import TestClient
    from starlette.types import Message, Receive, Scope, Send


def test_a_bug_is_a_problem_without_its_words(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client gets a clean 500 that other sites can read too; the log gets type and place."""

    def fail(_self: Metrics) -> bytes:
        raise KeyError("canary")

    monkeypatch.setattr(Metrics, "exposition", fail)
    with structlog.testing.capture_logs() as lines:
        headers = {"accept-language": "ar", "origin": "https://partner.example"}
        response = client.get("/metrics", headers=headers)
    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert response.headers["content-language"] == "ar"
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "canary" not in response.text + repr(lines)
    failed = next(line for line in lines if line["event"] == "request_failed")
    assert (failed["kind"], failed["route"]) == ("builtins.KeyError", "/metrics")
    request = next(line for line in lines if line["event"] == "request")
    assert (request["status"], request["code"]) == (500, "internal_error")


@pytest.mark.parametrize("path", ["/v1/frames", "/healthz", "/nowhere", "/static/nothing", "/metrics"])
def test_every_answer_is_closed_to_tricks(client: TestClient, path: str) -> None:
    """No sniffing, no referrer, nothing to be loaded, framed or run."""
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("protocols", "is_secure"),
    [
        ("https", True),
        ("HTTPS", True),
        ("https, http", True),
        (" https ,http,http", True),
        ("http, https", False),
        ("http", False),
        ("httpsx", False),
        (",https", False),
        ("", False),
    ],
)
def test_the_readers_own_connection_counts(client: TestClient, protocols: str, *, is_secure: bool) -> None:
    """Of several proxies the first one met the reader; how they reach each other does not matter."""
    headers = {"X-Forwarded-Proto": protocols, "Host": "ribbons.example"}
    answer = client.get("/ar", headers=headers)
    assert ("strict-transport-security" in answer.headers) == is_secure
    address = f'href="{"https" if is_secure else "http"}://ribbons.example/ar"'
    assert address in answer.text


def test_a_request_is_one_line_of_the_log(client: TestClient, photo: bytes) -> None:
    """Method, route's template, status, time, code and sizes, and nothing else."""
    with structlog.testing.capture_logs() as lines:
        response = client.post("/v1/avatars", content=photo, params={"size": "1"})
    (line,) = lines
    assert line.pop("milliseconds") > 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "route": "/v1/avatars",
        "status": 422,
        "code": "invalid_spec",
        "bytes_in": len(photo),
        "bytes_out": len(response.content),
    }


def drained(headers: dict[str, str], chunks: int) -> tuple[list[Message], int]:
    """Let an application refuse a body unread; return what was sent, and how many chunks were left."""
    waiting = [b"x"] * chunks
    sent: list[Message] = []

    async def refuse(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async def receive() -> Message:
        chunk = waiting.pop()
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": "http", "headers": raw}
    anyio.run(DrainRefusedBodies(refuse), scope, receive, send)
    return sent, len(waiting)


def test_a_refused_body_is_read_on_after_the_answer() -> None:
    """The client has the whole answer before its connection closes."""
    sent, left = drained({"content-length": "5"}, 5)
    assert left == 0
    assert (b"connection", b"close") in sent[0]["headers"]
    assert [(m.get("body", b""), m.get("more_body", False)) for m in sent[1:]] == [
        (b"no", True),
        (b"", False),
    ]


def test_a_body_that_was_asked_for_is_on_its_way() -> None:
    """A client that waits for 100 (Continue) has got it, though nobody waits for the body any more."""
    sent: list[Message] = []
    asked = 0

    async def give_up(_scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.move_on_after(0):
            await receive()
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        await anyio.lowlevel.checkpoint()
        return {"type": "http.request", "body": b"x"}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-length", b"5"), (b"expect", b"100-continue")]
    anyio.run(DrainRefusedBodies(give_up), {"type": "http", "headers": headers}, receive, send)
    assert (b"connection", b"close") in sent[0]["headers"]
    assert asked == 2


@pytest.mark.parametrize(
    "headers", [{}, {"content-length": "0"}, {"content-length": "5", "expect": "100-Continue"}]
)
def test_a_body_that_will_not_come_is_not_waited_for(headers: dict[str, str]) -> None:
    """Without a body, or with one that waits to be asked for, the answer goes out as it is."""
    sent, left = drained(headers, 5)
    assert left == 5
    assert [message.get("body") for message in sent] == [None, b"no"]


def test_an_answer_without_end_has_a_head() -> None:
    """Its status and headers are told, and what would go on is stopped: there is nobody to read it."""
    pieces = 0

    async def endless(_scope: Scope, _receive: Receive, send: Send) -> None:
        nonlocal pieces
        headers = [(b"content-length", b"999999999999")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while True:
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            pieces += 1

    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        sent.append(message)

    async def main() -> None:
        with pytest.raises(ClientDisconnect):
            await AnswerHead(endless)({"type": "http", "method": "HEAD"}, receive, send)

    anyio.run(main)
    start, body = sent
    assert start["headers"] == [(b"content-length", b"999999999999")]
    assert body == {"type": "http.response.body", "body": b""}
    assert pieces == 1


def test_headers_that_were_put_by_are_on_whatever_is_answered() -> None:
    """The last value of each, in the place of one that the answer has itself."""

    async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
        put_by(scope, {"X-Left": "2"})
        put_by(scope, {"X-Left": "1", "X-Other": "y"})
        await send({"type": "http.response.start", "status": 500, "headers": [(b"x-other", b"x")]})
        await send({"type": "http.response.body", "body": b""})

    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        sent.append(message)

    anyio.run(AddHeaders(answer), {"type": "http", "state": {}}, receive, send)
    assert dict(sent[0]["headers"]) == {b"x-left": b"1", b"x-other": b"y"}
    assert len(sent[0]["headers"]) == 2


def test_files_of_our_own_pages_are_not_opened_to_other_sites(client: TestClient) -> None:
    """Each of them would carry the names of headers that only the API has; what the API answers is open."""
    page = client.get("/ar").text
    path = page.split('src="/static/')[1].split('"')[0]
    headers = {"origin": "https://partner.example"}
    file = client.get(f"/static/{path}", headers=headers)
    assert file.status_code == 200
    assert "access-control-allow-origin" not in file.headers
    assert client.get("/v1/frames", headers=headers).headers["access-control-allow-origin"] == "*"
