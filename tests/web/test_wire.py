"""What is on the wire: upgrades that are not taken, and what is no HTTP or too much of it."""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from PIL import Image

from app.texts.languages import PAGE_LANGUAGES
from app.web.middleware import MAX_HEAD_BYTES
from app.web.wire import _Heard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Serve, Server


@pytest.fixture(scope="module")
def server(serve: Serve) -> Iterator[Server]:
    """A server of its own."""
    with serve(deadline=60) as server:
        yield server


Answer = tuple[int, dict[str, str], bytes]


def ask(server: Server, *pieces: bytes, answers: int = 1, pause: float = 0) -> list[Answer]:
    """Send pieces on one connection, and return what is answered."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        with connection.makefile("rb") as file:
            return [answer_of(file) for _ in range(answers)]


def answer_of(file: Any) -> Answer:
    """Read one answer."""
    status = int(file.readline().split()[1])
    headers = {}
    while line := file.readline().strip().decode():
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    return status, headers, file.read(int(headers.get("content-length", 0)))


def head(*lines: str, target: str = "/v1/avatars?size=64") -> bytes:
    """Return the head of a POST."""
    return "\r\n".join((f"POST {target} HTTP/1.1", "Host: x", *lines, "", "")).encode()


def chunked(body: bytes, size: int = 1000) -> bytes:
    """Return a body in chunks."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


# -- upgrades that are not taken (RFC 9110, 7.8) -----------------------------

UPGRADES = {
    # Byte for byte what these send, but for the address.
    "Java 17": (
        "Connection: Upgrade, HTTP2-Settings",
        "HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA",
        "Upgrade: h2c",
        "User-Agent: Java-http-client/17.0.15",
    ),
    "curl 7.88": (
        "User-Agent: curl/7.88.1",
        "Accept: */*",
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        "Content-Type: application/x-www-form-urlencoded",
    ),
    "websocket": (
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    "TLS": ("Connection: Upgrade", "Upgrade: TLS/1.0"),
    "several": ("Connection: Upgrade", "Upgrade: HTTP/2.0, SHTTP/1.3, IRC/6.9, RTA/x11, websocket"),
    "several headers": (
        "Connection: Upgrade",
        "Connection: HTTP2-Settings",
        "Upgrade: h2c",
        "Upgrade: TLS/1.0",
    ),
    "mixed case": ("CONNECTION: UPGRADE", "uPGRADE: H2C"),
    "without Connection": ("Upgrade: h2c",),
    "nothing named": ("Connection: Upgrade", "Upgrade:"),
}


@pytest.mark.parametrize("framing", ["length", "chunks"])
@pytest.mark.parametrize("upgrade", UPGRADES)
def test_an_upgrade_that_is_not_taken_is_ignored(
    server: Server, photo: bytes, upgrade: str, framing: str
) -> None:
    """The photo arrives, and the connection lives on: three requests at once, each as if it offered none."""
    if framing == "length":
        post = head(*UPGRADES[upgrade], f"Content-Length: {len(photo)}") + photo
    else:
        post = head(*UPGRADES[upgrade], "Transfer-encoding: chunked") + chunked(photo)
    get = head(*UPGRADES[upgrade], target="/healthz").replace(b"POST", b"GET")
    answers = ask(server, post + get + post, answers=3)
    assert [status for status, _, _ in answers] == [200, 200, 200]
    for _, headers, body in (answers[0], answers[2]):
        assert headers["content-type"] == "image/jpeg"
        assert body.startswith(b"\xff\xd8")
        assert "upgrade" not in headers
    assert answers[1][2] == b"ok\n"


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_an_upgrade_is_ignored_however_the_request_is_cut_up(
    server: Server, photo: bytes, framing: str
) -> None:
    """In the middle of a header, between head and body, in the body."""
    if framing == "length":
        post = head(*UPGRADES["Java 17"], f"Content-Length: {len(photo)}") + photo
    else:
        post = head(*UPGRADES["Java 17"], "Transfer-encoding: chunked") + chunked(photo)
    end = post.index(b"\r\n\r\n")
    cuts = [0, 70, end, end + 2, end + 4, end + 5, len(post) - 1, len(post)]
    pieces = [post[start:stop] for start, stop in pairwise(cuts)]
    (answer,) = ask(server, *pieces, pause=0.05)
    assert answer[0] == 200


def test_a_client_that_offers_an_upgrade_may_ask_first(server: Server, photo: bytes) -> None:
    """``Expect: 100-continue`` is answered beside it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        lines = (*UPGRADES["curl 7.88"], "Expect: 100-continue", f"Content-Length: {len(photo)}")
        connection.sendall(head(*lines))
        with connection.makefile("rb") as file:
            assert file.readline() == b"HTTP/1.1 100 Continue\r\n"
            assert file.readline() == b"\r\n"
            connection.sendall(photo)
            assert answer_of(file)[0] == 200


@pytest.mark.parametrize("more", [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"]])
def test_curl_may_ask_for_http2(server: Server, photo: bytes, tmp_path: Path, more: list[str]) -> None:
    """Twice on one connection, as a form and as a body."""
    file = tmp_path / "photo.jpg"
    file.write_bytes(photo)
    address = f"{server.url}/v1/avatars?size=64"
    shown = ["-sS", "-o", str(tmp_path / "avatar"), "-w", "%{http_code} %{num_connects} "]
    command = ["curl", "--http2", *more, *shown, "-F", f"photo=@{file}", address]
    command += ["--next", "--http2", *more, *shown, "--data-binary", f"@{file}", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "does not support" in done.stderr:
        pytest.skip("this curl knows no HTTP/2; the bytes that another one sends are tried above")
    assert (done.stderr, done.stdout) == ("", "200 1 200 0 ")


# -- what is no HTTP ---------------------------------------------------------

ARABIC = "GET /v1/frames?slogan=الحرية HTTP/1.1\r\nHost: x\r\n"

REFUSED = {
    "raw UTF-8 in the query": (ARABIC.encode(), 400, "address_not_encoded"),
    "raw Windows-1256 in the query": (ARABIC.encode("cp1256"), 400, "address_not_encoded"),
    "raw UTF-8 in the path": ("GET /الحرية HTTP/1.1\r\nHost: x\r\n".encode(), 400, "address_not_encoded"),
    "a space": (b"GET /v1/frames?slogan=a b HTTP/1.1\r\nHost: x\r\n", 400, "address_not_encoded"),
    "a tab": (b"GET /v1/frames?slogan=a\tb HTTP/1.1\r\nHost: x\r\n", 400, "address_not_encoded"),
    "a control character": (b"GET /?slogan=a\x01b HTTP/1.1\r\nHost: x\r\n", 400, "address_not_encoded"),
    "a zero byte": (b"GET /?slogan=a\0b HTTP/1.1\r\nHost: x\r\n", 400, "address_not_encoded"),
    "a header without a name": (b"GET / HTTP/1.1\r\nHost: x\r\n: y\r\n", 400, "malformed_request"),
    "a space in a header's name": (b"GET / HTTP/1.1\r\nHost: x\r\nB ad: y\r\n", 400, "malformed_request"),
    "a zero byte in a header": (b"GET / HTTP/1.1\r\nHost: x\r\nA: y\0\r\n", 400, "malformed_request"),
    "no Host": (b"GET / HTTP/1.1\r\n", 400, "malformed_request"),
    "no method": (b"G@T / HTTP/1.1\r\nHost: x\r\n", 400, "malformed_request"),
    "no version": (b"GET /\r\nHost: x\r\n", 400, "malformed_request"),
    "version 2": (b"GET / HTTP/2.0\r\nHost: x\r\n", 400, "malformed_request"),
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
        400,
        "malformed_request",
    ),
    "length and chunks": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        400,
        "malformed_request",
    ),
    "packed chunks": (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n",
        400,
        "malformed_request",
    ),
    "a long address": (b"GET /?" + b"a" * 300_000, 414, "address_too_long"),
    "a long address at once": (
        b"GET /?" + b"a" * 33_000 + b" HTTP/1.1\r\nHost: x\r\n",
        414,
        "address_too_long",
    ),
    "a long header": (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 300_000, 431, "headers_too_large"),
    "many headers at once": (
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"Accept: text/html, image/webp\r\n" * 1100,
        431,
        "headers_too_large",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_http_is_a_problem_like_any_other(server: Server, case: str) -> None:
    """With a code, closed to tricks; and the connection ends, since nobody knows where the next begins."""
    sent, status, code = REFUSED[case]
    ((answered, headers, body),) = ask(server, sent + b"\r\n")
    assert (answered, headers["content-type"]) == (status, "application/problem+json")
    assert headers["connection"] == "close"
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    problem = json.loads(body)
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"/v1/problems/{code}")


@pytest.mark.parametrize("language", PAGE_LANGUAGES)
def test_what_is_no_http_is_told_in_the_readers_language(server: Server, language: str) -> None:
    """Where the request names one, though the rest cannot be read."""
    sent = f"{ARABIC}Accept-Language: {language}-x, en;q=0.5\r\n\r\n".encode()
    ((_, headers, body),) = ask(server, sent)
    assert headers["content-language"] == language
    assert any("\u0600" <= letter <= "\u06ff" for letter in json.loads(body)["detail"]) == (
        PAGE_LANGUAGES[language].direction == "rtl"
    )


def test_curl_with_words_as_they_are_is_told_what_to_do(server: Server, photo: bytes, tmp_path: Path) -> None:
    """It sends an address as it was typed; with the option that the answer names it is drawn."""
    file = tmp_path / "photo.jpg"
    file.write_bytes(photo)
    command = ["curl", "-sS", "--data-binary", f"@{file}", f"{server.url}/v1/avatars?slogan=الحرية"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "--data-urlencode" in json.loads(done.stdout)["hint"]
    command = [
        "curl",
        "-sS",
        "-G",
        "--data-urlencode",
        "slogan=الحرية",
        f"{server.url}/v1/frames/red-ribbons/overlay.png",
    ]
    assert subprocess.run(command, capture_output=True, timeout=60, check=True).stdout.startswith(b"\x89PNG")


def test_what_the_parser_lets_by_is_answered_by_the_application(server: Server) -> None:
    """Methods that do not exist, signs that strict addresses have not, letters in headers."""
    for sent, status in (
        (b"FOOBAR /v1/frames HTTP/1.1\r\nHost: x\r\n", 405),
        (b"get /v1/frames HTTP/1.1\r\nHost: x\r\n", 405),
        (b'GET /v1/frames?a=|"<>{}^`\\ HTTP/1.1\r\nHost: x\r\n', 200),
        ("GET /v1/frames HTTP/1.1\r\nHost: x\r\nX-Name: صورة\r\n".encode(), 200),
        (b"GET /v1/frames HTTP/1.0\r\n", 200),
        (b"GET http://x/v1/frames HTTP/1.1\r\nHost: x\r\n", 200),
        (b"GET HTTP://x:80 HTTP/1.1\r\nHost: x\r\n", 200),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n", 404),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n", 404),
    ):
        ((answered, _, _),) = ask(server, sent + b"\r\n")
        assert answered == status, sent


def test_a_head_as_long_as_may_be_is_read(server: Server) -> None:
    """Cookies of other programs on the same host, for one."""
    start = b"GET /v1/frames HTTP/1.1\r\nHost: x\r\nCookie: "
    ((status, _, _),) = ask(server, start + b"a" * (MAX_HEAD_BYTES - len(start) - 4) + b"\r\n\r\n")
    assert status == 200


@pytest.mark.parametrize("lines", [b"\r\n", b"\r\n\r\n", b"\r\n" * 10_000])
def test_empty_lines_before_a_request_are_ignored(server: Server, photo: bytes, lines: bytes) -> None:
    """With it or by themselves, first or behind another one's body (RFC 9112, 2.2)."""
    get = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    post = head(f"Content-Length: {len(photo)}") + photo
    answers = ask(server, lines + get, lines, get, post, lines, lines + get, answers=4, pause=0.1)
    assert [status for status, _, _ in answers] == [200, 200, 200, 200]
    assert answers[2][2].startswith(b"\xff\xd8")


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_lines_within_a_request_are_left_as_they_are(server: Server, size: int) -> None:
    """A head's end in pieces of its own, and a body of empty lines, which are no photo."""
    lines = b"\r\n" * 20
    post = head(f"Content-Length: {len(lines)}") + lines
    pieces = [post[:-41], *(post[-41:][start : start + size] for start in range(0, 41, size))]
    ((status, _, body),) = ask(server, *pieces, pause=0.01)
    assert (status, json.loads(body)["code"]) == (415, "photo_not_supported")


@pytest.mark.parametrize("target", ["/v1/avatars", "/nowhere"])
@pytest.mark.parametrize("pause", [0, 0.2])
def test_a_body_that_goes_wrong_is_no_fault_of_ours(server: Server, target: str, pause: float) -> None:
    """Before the application has begun, while it reads, after it has answered: none is logged."""
    (answer,) = ask(
        server,
        head("Transfer-Encoding: chunked", target=target),
        b"5\r\nhello\r\n",
        b"no length\r\n",
        pause=pause,
    )
    assert answer[0] in {400, 404, 405}
    assert httpx2.get(f"{server.url}/healthz").status_code == 200
    assert '"level": "error"' not in server.output
    assert "Traceback" not in server.output


def test_a_body_in_chunks_of_a_byte_holds_nobody_up(server: Server) -> None:
    """400,000 of them would take seconds; they are refused, and others are answered meanwhile."""
    slowest = 0.0
    over = threading.Event()

    def look() -> None:
        nonlocal slowest
        while not over.is_set():
            start = time.monotonic()
            httpx2.get(f"{server.url}/healthz")
            slowest = max(slowest, time.monotonic() - start)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(head("Transfer-Encoding: chunked"))
            try:
                connection.sendall(b"1\r\nx\r\n" * 400_000)
                came = connection.recv(100)
            except ConnectionError:
                came = b"HTTP/1.1 400"
    finally:
        over.set()
        looking.join()
    assert came.startswith(b"HTTP/1.1 400")
    assert slowest < 1  # five milliseconds, on a machine that does nothing else


CRUMBS = {
    "a byte each": b"1\r\na\r\n",
    "with an extension": b"1;a=b\r\na\r\n",
    "a hundred bytes each": b"64\r\n" + bytes(100) + b"\r\n",
    "of hexadecimal digits": b"4\r\nabcd\r\n",
    "of ends of lines": b"4\r\n\r\n\r\n\r\n",
}


@pytest.mark.parametrize("crumb", CRUMBS)
@pytest.mark.parametrize("size", [1_500, 6_000, 60_000])
def test_a_body_in_crumbs_is_refused_however_it_is_sent(server: Server, crumb: str, size: int) -> None:
    """Little at a time or much, with much else before and behind: an average of them is taken."""
    most = 250 * len(CRUMBS[crumb])
    piece = CRUMBS[crumb] * (size // len(CRUMBS[crumb]))
    sent = 0
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(head("Transfer-Encoding: chunked", "Content-Type: application/octet-stream"))
        connection.settimeout(0.02)
        while sent < most + 20 * size:
            connection.sendall(piece)
            sent += len(piece)
            try:
                if came := connection.recv(100):
                    break
            except TimeoutError:
                continue
    assert came.startswith(b"HTTP/1.1 400")


def test_a_photo_may_come_in_short_chunks_but_not_without_end(server: Server) -> None:
    """As a program sends it that reads a file line by line; of 20,000 chunks there is no photo."""
    chunk = b"fa\r\n" + bytes(250) + b"\r\n"
    request = head("Transfer-Encoding: chunked", "Content-Type: application/octet-stream")
    ((status, _, body),) = ask(server, request + chunk * 15_000 + b"0\r\n\r\n")
    assert (status, json.loads(body)["code"]) == (415, "photo_not_supported")
    try:
        ((status, _, _),) = ask(server, request + chunk * 40_000 + b"0\r\n\r\n")
    except ConnectionError:
        status = 400
    assert status == 400


@pytest.mark.parametrize(
    ("length", "is_refused"), [(1000, True), (3000, True), (4096, False), (65_536, False)]
)
def test_a_zip_of_gigabytes_may_come_in_any_number_of_chunks(length: int, *, is_refused: bool) -> None:
    """As long as they are long, as all programs' are that read files by blocks."""
    heard = _Heard()
    heard.take(head("Transfer-Encoding: chunked"))
    chunk = b"%x\r\n%b\r\n" % (length, bytes(length))
    for _ in range(100):
        heard.take(chunk * max(1, 100_000_000 // length // 100))
    assert heard.is_in_crumbs is is_refused


@pytest.mark.parametrize("framing", ["length", "chunks of 4 KB"])
def test_a_photo_may_look_like_lines(server: Server, framing: str) -> None:
    """An uncompressed picture of colour 13, 10, 13 is full of ends of lines, and no body in crumbs."""
    with Image.new("RGB", (300, 300), (13, 10, 13)) as image, io.BytesIO() as file:
        image.save(file, "PNG", compress_level=0)
        photo = file.getvalue()
    if framing == "length":
        request = head(f"Content-Length: {len(photo)}", "Content-Type: image/png") + photo
    else:
        chunks = (photo[at : at + 4096] for at in range(0, len(photo), 4096))
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        request = head("Transfer-Encoding: chunked", "Content-Type: image/png") + body
    ((status, headers, _),) = ask(server, request)
    assert (status, headers["content-type"]) == (200, "image/jpeg")


def test_many_requests_at_once_are_not_crumbs(server: Server) -> None:
    """Pipelined, they are nothing but lines."""
    answers = ask(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 600, answers=600)
    assert {status for status, _, _ in answers} == {200}


def test_a_refused_head_has_no_body(server: Server) -> None:
    """RFC 9110, 9.3.2; its length is told all the same."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall("HEAD /ا HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with connection.makefile("rb") as file:
            came = file.read()
    told, _, body = came.partition(b"\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 400 ")
    assert b"\r\ncontent-length: " in told.lower()
    assert b"\r\ndate: " in told.lower()
    assert body == b""


def test_what_is_refused_is_counted_and_logged(server: Server) -> None:
    """An operator sees it, and nothing of what was sent."""
    line = 'ribbons_http_requests_total{method="other",route="unmatched",status="400"}'

    def count() -> float:
        lines = httpx2.get(f"{server.url}/metrics").text.splitlines()
        return sum(float(found.split()[-1]) for found in lines if found.startswith(line))

    before = count()
    ask(server, "GET /?q=سر HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert count() == before + 1
    assert '"code": "address_not_encoded"' in server.output
    assert "سر" not in server.output


def test_every_answer_of_the_application_can_be_told_from_uvicorns(server: Server) -> None:
    """What CORS refuses is plain text with 400 too, and goes out as it is."""
    headers = {"origin": "https://partner.example", "access-control-request-method": "PATCH"}
    answer = httpx2.options(f"{server.url}/v1/avatars", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text.startswith("Disallowed CORS")


# -- a crowd -------------------------------------------------------------------


def test_a_probe_waits_for_no_crowd(server: Server) -> None:
    """A thousand pages are asked for at one moment by readers who read nothing; few are made before it."""
    crowd = 100
    page = b"GET /ar HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br\r\n\r\n"
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(crowd)]
    before = len(server.output)
    server.process.suspend()
    try:
        for connection in connections:
            connection.sendall(page * 10)
        connections += [socket.create_connection(("127.0.0.1", server.port)) for _ in range(crowd)]
        for connection in connections[crowd:]:
            connection.sendall(page)
        probe = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    finally:
        server.process.resume()
    assert probe.recv(100).startswith(b"HTTP/1.1 200")
    for connection in (*connections, probe):
        connection.close()
    while '"/healthz"' not in server.output[before:]:
        time.sleep(0.01)
    routes = re.findall(r'"route": "(/[^"]*)"', server.output[before:])
    # It comes behind those who have come at the same moment. In one go all of their pages would come first.
    assert routes[: routes.index("/healthz")].count("/{lang}") < crowd / 4
