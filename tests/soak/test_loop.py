"""The event loop under those who ask for much and read nothing, and those who ask and are gone."""

from __future__ import annotations

import re
import socket
import statistics
import threading
import time
from typing import TYPE_CHECKING

import httpx2
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import Serve, Server

    Attack = Callable[[], list[socket.socket]]
    """Begins at once, and returns the connections that it holds open."""

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

CROWD = 200
SECONDS = 5.0
# What /healthz may take longer than on an idle server, at the 99th percentile and at the most.
P99, MOST = 0.020, 0.100
# Twelve hundred connections that come at one moment: to let one in takes 0.1 ms, and who comes last is last.
MOST_OF_SIX = 0.300


@pytest.fixture(scope="module")
def server(serve: Serve) -> Iterator[Server]:
    """A server of its own, whose first pages have been asked for."""
    with serve() as server:
        for path in _files(server):
            httpx2.get(f"{server.url}{path}")
        yield server


def _files(server: Server) -> list[str]:
    """Return what the editor's page consists of, itself first."""
    page = httpx2.get(f"{server.url}/ar").text
    found = re.findall(r'(?:src|href)="(/(?:static|v1)/[^"]+)"', page)
    return ["/ar", *sorted({path.replace("&amp;", "&") for path in found})]


def _request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, br\r\n\r\n".encode()


class Prober(threading.Thread):
    """Asks every 10 ms whether the service lives, on one connection or each time on a new one."""

    def __init__(self, server: Server, *, is_kept: bool) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._server = server
        self._is_kept = is_kept
        self._stop_asking = threading.Event()

    def run(self) -> None:
        """Ask until :meth:`finish`."""
        connection: socket.socket | None = None
        while not self._stop_asking.wait(0.01):
            start = time.perf_counter()
            connection = connection or socket.create_connection(("127.0.0.1", self._server.port), timeout=60)
            connection.sendall(_request("/healthz"))
            answer = b""
            while not answer.endswith(b"ok\n"):
                answer += connection.recv(4096)
            self.seconds.append(time.perf_counter() - start)
            if not self._is_kept:
                connection.close()
                connection = None
        if connection:
            connection.close()

    def finish(self) -> tuple[float, float]:
        """Return the 99th percentile and the longest, in seconds."""
        self._stop_asking.set()
        self.join()
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[98], max(self.seconds)


def _probed(server: Server, attack: Attack) -> list[tuple[float, float]]:
    probers = [Prober(server, is_kept=is_kept) for is_kept in (True, False)]
    for prober in probers:
        prober.start()
    connections = attack()
    time.sleep(SECONDS)
    found = [prober.finish() for prober in probers]
    for connection in connections:
        connection.close()
    return found


def _latest(server: Server, attack: Attack) -> tuple[float, float]:
    """Return the worse of both probers' 99th percentiles, and of their longest."""
    p99, most = (max(times) for times in zip(*_probed(server, attack), strict=True))
    return p99, most


def _asking(server: Server, requests: bytes) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(requests)
    return connection


def _read_nothing(server: Server, path: str, times: int) -> Attack:
    return lambda: [_asking(server, _request(path) * times) for _ in range(CROWD)]


def _vanish(server: Server, paths: list[str], connections: int) -> Attack:
    """Ask for a page with all its files, on so many connections as browsers do, and be gone."""

    def attack() -> list[socket.socket]:
        for _ in range(CROWD):
            for first in range(connections):
                _asking(server, b"".join(map(_request, paths[first::connections]))).close()
        return []

    return attack


def test_the_loop_is_held_up_by_nobody(server: Server) -> None:
    """Beside 200 who do not read, and 200 pages that vanish, /healthz takes little longer than by itself."""
    files = _files(server)
    overlay = next(path for path in files if "/overlay." in path)
    script = next(path for path in files if "/editor." in path and path.endswith(".js"))
    attacks = {
        **{
            f"{path} x {times}, unread": (_read_nothing(server, path, times), MOST)
            for path, times in [
                ("/ar", 1),
                ("/ar", 20),
                (script, 20),
                (overlay, 10),
                ("/static/docs/rapidoc-min.js", 1),
                ("/openapi.json", 5),
                ("/v1/frames", 20),
                ("/nothing", 20),
            ]
        },
        "pages that vanish": (_vanish(server, files, 1), MOST),
        "pages that vanish, six connections each": (_vanish(server, files, 6), MOST_OF_SIX),
    }
    idle_p99, idle_most = _latest(server, list)
    _tell("nobody", idle_p99, idle_most)
    late = {}
    for name, (attack, allowed) in attacks.items():
        p99, most = _latest(server, attack)
        if most > idle_most + allowed:
            # Probers and attackers are one process, which may have held itself up.
            p99, most = min((p99, most), _latest(server, attack), key=lambda times: times[1])
        _tell(name, p99, most)
        if p99 > idle_p99 + P99 or most > idle_most + allowed:
            late[name] = (p99, most)
    assert not late


def _tell(name: str, p99: float, most: float) -> None:
    print(f"/healthz beside {name}: p99 {p99 * 1000:.1f} ms, at most {most * 1000:.1f} ms")
