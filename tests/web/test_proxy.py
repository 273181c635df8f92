"""What docs/deploy.md has a proxy see to: its own nginx.conf, run by nginx, before a server of ours."""

from __future__ import annotations

import math
import re
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, cast

import anyio
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from app.settings import load_settings
from app.web import server as web_server
from tests.servers import free_port, wait_until_listening

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fastapi import FastAPI
    from starlette.requests import Request
    from uvicorn.server import ServerState

# More than the system and the proxy themselves keep on the way.
_LENGTH = 24_000_000

_TIMES = {"client_header_timeout": "10s", "send_timeout": "60s"}


@pytest.fixture(scope="session")
def documented(root: Path) -> str:
    """The configuration that operators are told to use."""
    blocks = re.findall(r"```nginx\n(.*?)```", (root / "docs" / "deploy.md").read_text(), re.DOTALL)
    (block,) = blocks
    return str(block)


@pytest.fixture(scope="session")
def nginx() -> str:
    """The program."""
    # Debian keeps it where only root looks.
    command = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if command is None:
        pytest.skip("no nginx here; install nginx-light")
    return command


class Changed(NamedTuple):
    """A line of the configuration, and what a test has in its place."""

    line: str
    instead: str


def write(configuration: str, folder: Path, changes: list[Changed]) -> list[str]:
    """Write a configuration that keeps to a folder, and return nginx' options for it."""
    temporary = [
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    ]
    for line, instead in (*changes, Changed("http {", "http { " + " ".join(temporary))):
        assert configuration.count(line) == 1, line
        configuration = configuration.replace(line, instead)
    path = folder / "nginx.conf"
    path.write_text(configuration)
    return ["-c", str(path), "-p", str(folder), "-g", f"daemon off; pid {folder}/pid;"]


def test_the_documented_configuration_is_valid(documented: str, nginx: str, tmp_path: Path) -> None:
    """As it is written, with a certificate: no error and no word of warning."""
    certificate, key = tmp_path / "ribbons.pem", tmp_path / "ribbons-key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ribbons.example"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    changes = [Changed(f"/etc/ssl/{path.name};", f"{path};") for path in (certificate, key)]
    options = write(documented, tmp_path, changes)
    done = subprocess.run([nginx, "-t", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # nginx from 1.25 on would have HTTP/2 written otherwise, and still takes it.
    assert not re.search(r"\[(?!warn.*http2)\w+\]", done.stderr), done.stderr


def test_the_documented_times_are_those_that_are_tried(documented: str) -> None:
    """The tests below shorten these, and only these."""
    for name, seconds in _TIMES.items():
        assert documented.count(f"{name} {seconds};") == 1


class Proxied(NamedTuple):
    """A server in this process behind nginx."""

    port: int
    state: ServerState


@pytest.fixture
def proxied(request: pytest.FixtureRequest, documented: str, nginx: str, tmp_path: Path) -> Iterator[Proxied]:
    """A server behind a proxy that waits, as documented but shorter, for headers and for stalled readers."""
    patience: int = getattr(request, "param", 1)

    async def answer_slowly(_request: Request) -> Response:
        await anyio.sleep(patience * 2)
        return Response("answered")

    async def answer_at_length(_request: Request) -> Response:
        return Response(bytes(_LENGTH))

    app = Starlette(routes=[Route("/", answer_slowly), Route("/long", answer_at_length)])
    running = uvicorn.Server(web_server._configuration(cast("FastAPI", app), load_settings()))
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        changes = [
            Changed("server 127.0.0.1:8001;", f"server 127.0.0.1:{listener.getsockname()[1]};"),
            Changed("server 127.0.0.1:8002;", ""),
            Changed("listen 443 ssl http2;", f"listen 127.0.0.1:{port};"),
            Changed("ssl_certificate     /etc/ssl/ribbons.pem;", ""),
            Changed("ssl_certificate_key /etc/ssl/ribbons-key.pem;", ""),
            *(Changed(f"{name} {seconds};", f"{name} {patience}s;") for name, seconds in _TIMES.items()),
        ]
        done = thread.submit(running.run, [listener])
        with subprocess.Popen([nginx, *write(documented, tmp_path, changes)]) as process:
            wait_until_listening(port)
            yield Proxied(port, running.server_state)
            process.terminate()
        running.should_exit = True
        done.result(30)


@pytest.mark.parametrize("sent", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: x\r\nA: b"])
def test_headers_that_do_not_come_are_not_waited_for(proxied: Proxied, sent: bytes) -> None:
    """Half-sent requests would take up every connection that the system allows."""
    with socket.create_connection(("127.0.0.1", proxied.port), timeout=30) as connection:
        connection.sendall(sent)
        assert connection.recv(100) == b""


def test_an_answer_that_takes_long_is_not_cut_off(proxied: Proxied) -> None:
    """Only headers have to hurry: the first request is answered though half of the next has come."""
    with socket.create_connection(("127.0.0.1", proxied.port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT")
        assert connection.recv(1000).endswith(b"answered")
        assert connection.recv(100) == b""


@contextmanager
def _long_answer(port: int) -> Iterator[socket.socket]:
    """Ask for the long answer through a narrow window, and take nothing of it yet."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        yield connection


def _read_on(connection: socket.socket, bytes_per_second: float) -> int:
    """Read an answer no faster than that, and return how many bytes came."""
    came = 0
    start = time.monotonic()
    with suppress(ConnectionResetError):
        while part := connection.recv(500_000):
            came += len(part)
            time.sleep(max(0, start + came / bytes_per_second - time.monotonic()))
    return came


def test_an_answer_that_nobody_takes_is_given_up(proxied: Proxied) -> None:
    """Readers who stopped would hold whole ZIPs in memory for ever."""
    with _long_answer(proxied.port) as connection:
        _wait_until(lambda: proxied.state.total_requests == 1)
        _wait_until(lambda: not proxied.state.connections)
        assert _read_on(connection, math.inf) < _LENGTH


# The system tells the proxy of what was taken in steps of a megabyte: a second may be too short.
@pytest.mark.parametrize("proxied", [3], indirect=True)
def test_an_answer_that_is_taken_slowly_arrives(proxied: Proxied) -> None:
    """Who takes longer than the patience for a reader that stands still, but never stops, gets all of it."""
    with _long_answer(proxied.port) as connection:
        start = time.monotonic()
        assert _read_on(connection, _LENGTH / 7) > _LENGTH
        assert time.monotonic() - start > 6


def _wait_until(is_so: Callable[[], bool]) -> None:
    start = time.monotonic()
    while not is_so():
        assert time.monotonic() - start < 60
        time.sleep(0.02)
