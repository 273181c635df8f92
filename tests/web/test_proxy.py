"""What docs/deploy.md has a proxy see to: its own nginx.conf, run by nginx, before a server of ours."""

from __future__ import annotations

import math
import re
import select
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from app.bulk.table import TableLimits
from app.settings import Settings
from tests.proxies import HOST, documented_configuration, documented_proxy, find_nginx, placed, write
from tests.servers import free_port, hanging

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.proxies import Proxy
    from tests.servers import Serve, Server

_TIMES = {
    "client_header_timeout": "10s",
    "keepalive_timeout": "60s",
    "client_body_timeout": "60s",
    "send_timeout": "60s",
}

# The longest answer that needs no drawing, and so many of it that they are more than the system and the proxy
# keep on the way to a reader.
_LONG = "/static/docs/rapidoc-min.js"
_TIMES_OVER = 20

_UPLOAD_SECONDS = 5
_UPLOADS = 3


def test_the_documented_configuration_is_valid(certificates: Path, tmp_path: Path) -> None:
    """No error and no word of warning, also where the system's limit of open files is the usual one."""
    changes = {**placed(certificates, free_port()), "error_log /dev/null crit;": "error_log stderr warn;"}
    command = [find_nginx(), "-t", *write(documented_configuration(), tmp_path, changes)]
    limited = ["sh", "-c", 'ulimit -S -n 1024; exec "$@"', "sh", *command]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # nginx from 1.25 on would have HTTP/2 written otherwise, and still takes it.
    assert not re.search(r"\[(?!warn.*http2)\w+\]", done.stderr), done.stderr


def test_the_documented_times_are_those_that_are_tried() -> None:
    """The tests below shorten these, and only these."""
    for name, seconds in _TIMES.items():
        assert documented_configuration().count(f"{name} {seconds};") == 1


def test_the_documented_sizes_are_those_that_the_service_takes() -> None:
    """A little more, so that the service says what is too large: of a photo, a ZIP and a table."""
    sizes = re.findall(r"client_max_body_size (\d+)m;", documented_configuration())
    taken = {name: field.default for name, field in Settings.model_fields.items()}
    most = (taken["max_photo_bytes"], taken["max_archive_bytes"], TableLimits().bytes)
    for size, limit in zip(sizes, most, strict=True):
        assert limit < int(size) * 1024**2 < 1.08 * limit


@pytest.fixture(scope="module")
def server(serve: Serve) -> Iterator[Server]:
    """A server that waits longer for a photo than the proxy does for the next part of it."""
    turns: dict[str, Any] = {"max_uploads": _UPLOADS, "trusted_proxies": "127.0.0.1"}
    with serve(deadline=60, upload_timeout=_UPLOAD_SECONDS, **turns) as server:
        yield server


@pytest.fixture
def proxy(
    request: pytest.FixtureRequest, certificates: Path, tmp_path: Path, server: Server
) -> Iterator[Proxy]:
    """The documented proxy, but for a patience of a second, or of as many as the test names."""
    patience: int = getattr(request, "param", 1)
    changes = {f"{name} {seconds};": f"{name} {patience}s;" for name, seconds in _TIMES.items()}
    with documented_proxy(tmp_path, certificates, server.port, changes) as proxy:
        yield proxy


# -- HTTP/2, as much of it as it takes to stand still (RFC 9113) --------------

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _WINDOW_UPDATE = 0, 1, 3, 4, 8
_END_STREAM, _END_HEADERS = 1, 4
_FIRST_WINDOW, _LARGEST_WINDOW = 65_535, 2**31 - 1


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _start(window: int = _FIRST_WINDOW) -> bytes:
    """Return what a client says first: how much it takes unasked, of each answer and of all together."""
    settings = (4).to_bytes(2, "big") + window.to_bytes(4, "big")
    start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, settings)
    if more := window - _FIRST_WINDOW:
        start += _frame(_WINDOW_UPDATE, 0, 0, more.to_bytes(4, "big"))
    return start


def _head(path: str) -> bytes:
    # In HPACK's table (RFC 7541, appendix A) GET is 2, https 7, the names :path and :authority 4 and 1.
    return bytes([0x82, 0x87, 4, len(path)]) + path.encode() + bytes([1, len(HOST)]) + HOST.encode()


def _get(stream: int) -> bytes:
    return _frame(_HEADERS, _END_STREAM | _END_HEADERS, stream, _head(_LONG))


def _frames(connection: ssl.SSLSocket) -> Iterator[tuple[int, bytes]]:
    """Yield kind and payload of each frame until the connection ends."""
    with connection.makefile("rb") as file:
        while start := file.read(9):
            yield start[3], file.read(int.from_bytes(start[:3], "big"))


# -- sizes -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "is_let_through"),
    [("/v1/batches/b_1/table", True), ("/v1/batches/b_1/photos/table", False), ("/v1/avatars", False)],
)
def test_the_largest_table_is_let_through(proxy: Proxy, path: str, *, is_let_through: bool) -> None:
    """Its head alone decides: what the proxy takes, the service says that it has no batches for."""
    head = f"PUT {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {TableLimits().bytes}\r\n\r\n"
    with proxy.connect() as connection, connection.makefile("rb") as answer:
        connection.sendall(head.encode())
        assert (answer.readline().split()[1] != b"413") is is_let_through


# -- headers -----------------------------------------------------------------


def test_a_handshake_that_does_not_come_is_not_waited_for(proxy: Proxy) -> None:
    """TLS comes before the headers, and is no way around their time."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as connection:
        assert connection.recv(100) == b""


@pytest.mark.parametrize("sent", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: x\r\nA: b"])
def test_headers_that_do_not_come_are_not_waited_for(proxy: Proxy, sent: bytes) -> None:
    """Half-sent requests would take up every connection that the system allows."""
    with proxy.connect() as connection:
        connection.sendall(sent)
        assert connection.recv(100) == b""


def test_headers_of_http2_that_do_not_come_are_not_waited_for(proxy: Proxy) -> None:
    """There nginx goes by keepalive_timeout, whatever client_header_timeout says."""
    with proxy.connect("h2") as connection:
        connection.sendall(_start() + _frame(_HEADERS, 0, 1, _head("/")[:10]))
        assert _HEADERS not in {kind for kind, _ in _frames(connection)}


def test_an_answer_that_takes_long_is_not_cut_off(server: Server, proxy: Proxy) -> None:
    """Only headers have to hurry: the first request is answered though half of the next has come."""
    with proxy.connect() as connection:
        with hanging(server):
            path = "/v1/frames/red-ribbons/overlay.png?size=65"
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\nGET / HT".encode())
            time.sleep(2)
        answer = _read_on(connection)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"IEND\xaeB`\x82")


# -- photos ------------------------------------------------------------------


def _post(length: int) -> bytes:
    return f"POST /v1/avatars?size=64 HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_photo_that_stands_still_is_given_up(server: Server, proxy: Proxy, photo: bytes) -> None:
    """The service's own time for a photo is not over yet: to it, the client has left."""
    with proxy.connect() as connection:
        connection.sendall(_post(len(photo)) + photo[:-10])
        server.until_metric("ribbons_uploads_arriving", 1)
        server.until_metric("ribbons_uploads_arriving", 0)
        assert connection.recv(100) == b""
    _wait_until(lambda: 'status="499"' in httpx2.get(f"{server.url}/metrics").text)
    assert server.metric("ribbons_upload_held_bytes") == 0


@pytest.mark.parametrize("proxy", [2], indirect=True)
def test_a_photo_that_comes_slowly_is_drawn(proxy: Proxy, photo: bytes) -> None:
    """Who takes longer than the patience for a sender that stands still, but never stops, gets an avatar."""
    with proxy.connect() as connection:
        connection.sendall(_post(len(photo)) + photo[:-10])
        for byte in photo[-10:]:
            time.sleep(0.25)
            connection.sendall(bytes([byte]))
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_a_photo_that_trickles_is_given_up_by_the_service(proxy: Proxy) -> None:
    """The proxy has no time for a whole photo; the service has, and its answer comes through."""
    with proxy.connect() as connection:
        connection.sendall(_post(1000))
        for _ in range(_UPLOAD_SECONDS * 5 + 3):
            connection.sendall(b"x")
            time.sleep(0.2)
        assert connection.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("proxy", [3], indirect=True)
def test_the_service_knows_whose_place_to_take(server: Server, proxy: Proxy, photo: bytes) -> None:
    """Addresses take turns behind the proxy, and whoever claims to be another is not believed."""
    claim = b"X-Forwarded-For: 127.0.0.3\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n"
    with ExitStack() as stack:
        greedy = [stack.enter_context(proxy.connect(source="127.0.0.2")) for _ in range(_UPLOADS + 1)]
        for connection in greedy[:_UPLOADS]:
            connection.sendall(_post(1000) + b"x")
        server.until_metric("ribbons_uploads_arriving", _UPLOADS)
        greedy[_UPLOADS].sendall(_post(len(photo)).removesuffix(b"\r\n") + claim + photo)
        assert greedy[_UPLOADS].recv(100).startswith(b"HTTP/1.1 503"), "it has all places itself"
        other = stack.enter_context(proxy.connect(source="127.0.0.3"))
        other.sendall(_post(len(photo)) + photo)
        assert other.recv(100).startswith(b"HTTP/1.1 200")
        answered, _, _ = select.select(greedy[:_UPLOADS], [], [], 10)
        assert [connection.recv(100)[:12] for connection in answered] == [b"HTTP/1.1 429"]


def test_an_upgrade_ends_at_the_proxy(proxy: Proxy, photo: bytes) -> None:
    """Java's client offers one with every request; the photo arrives, and so does the next one."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\nUpgrade: h2c\r\n\r\n"
    post = _post(len(photo)).removesuffix(b"\r\n") + offer + photo
    with proxy.connect() as connection, connection.makefile("rb") as answers:
        for _ in range(2):
            connection.sendall(post)
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            headers = {line.partition(b":")[0].lower(): line for line in iter(answers.readline, b"\r\n")}
            assert b"upgrade" not in headers
            answers.read(int(headers[b"content-length"].split()[1]))


# -- answers -----------------------------------------------------------------


@pytest.fixture(scope="module")
def length(root: Path) -> int:
    """The bytes of the long answers, without their headers."""
    return (root / "app" / "web" / _LONG.removeprefix("/")).stat().st_size * _TIMES_OVER


@contextmanager
def _long_answers(proxy: Proxy) -> Iterator[ssl.SSLSocket]:
    """Ask for the long answers through a narrow window, and take nothing of them yet."""
    with proxy.connect(window=65_536) as connection:
        head = f"GET {_LONG} HTTP/1.1\r\nHost: {HOST}\r\n"
        requests = [head] * (_TIMES_OVER - 1) + [f"{head}Connection: close\r\n"]
        connection.sendall("".join(f"{request}\r\n" for request in requests).encode())
        yield connection


def _read_on(connection: socket.socket, bytes_per_second: float = math.inf) -> bytes:
    """Read no faster than that until the connection ends, and return what came."""
    came = bytearray()
    start = time.monotonic()
    with suppress(ConnectionResetError):
        while part := connection.recv(500_000):
            came += part
            time.sleep(max(0, start + len(came) / bytes_per_second - time.monotonic()))
    return bytes(came)


def test_an_answer_that_nobody_takes_is_given_up(proxy: Proxy, length: int) -> None:
    """Readers who stopped would hold whole ZIPs in memory for ever."""
    with _long_answers(proxy) as connection:
        assert proxy.clients() == 1
        _wait_until(lambda: proxy.clients() == 0)
        assert len(_read_on(connection)) < length


# The system tells the proxy of what was taken in steps of a megabyte: a second may be too short.
@pytest.mark.parametrize("proxy", [3], indirect=True)
def test_an_answer_that_is_taken_slowly_arrives(proxy: Proxy, length: int) -> None:
    """Who takes longer than the patience for a reader that stands still, but never stops, gets all of it."""
    with _long_answers(proxy) as connection:
        start = time.monotonic()
        assert len(_read_on(connection, length / 7)) > length
        assert time.monotonic() - start > 6


def test_an_answer_of_http2_that_nobody_asks_on_for_is_given_up(proxy: Proxy) -> None:
    """A client may say how much it takes, and then say no more."""
    came = 0
    with proxy.connect("h2") as connection:
        connection.sendall(_start() + _get(1))
        for kind, payload in _frames(connection):
            came += len(payload) if kind == _DATA else 0
            if kind == _RST_STREAM:
                break
        else:
            pytest.fail("the connection ended, and not the answer")
    assert came == _FIRST_WINDOW


def test_answers_of_http2_that_nobody_takes_are_given_up(proxy: Proxy, length: int) -> None:
    """Nor does it help to say that one takes everything, and to take nothing."""
    with proxy.connect("h2", window=65_536) as connection:
        connection.sendall(_start(_LARGEST_WINDOW) + b"".join(_get(2 * n + 1) for n in range(_TIMES_OVER)))
        assert proxy.clients() == 1
        _wait_until(lambda: proxy.clients() == 0)
        assert len(_read_on(connection)) < length


def _wait_until(is_so: Callable[[], bool]) -> None:
    start = time.monotonic()
    while not is_so():
        assert time.monotonic() - start < 30
        time.sleep(0.02)
