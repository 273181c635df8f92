"""The event loop under those who ask for much and read nothing, and those who ask and are gone."""

from __future__ import annotations

import multiprocessing
import re
import socket
import statistics
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.synchronize import Barrier

    from tests.servers import Serve, Server

pytestmark = [pytest.mark.soak, pytest.mark.timeout(300)]

CROWD = 200
SECONDS = 5.0
# What /healthz may take longer than on an idle server, at the 99th percentile and at the most.
P99, MOST = 0.020, 0.100
# Twelve hundred connections that come at one moment: to let one in takes 0.1 ms, and who comes last is last.
MOST_OF_SIX = 0.200


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


@dataclass(frozen=True)
class Crowd:
    """Those who all ask at one moment, and read nothing.

    Attributes:
        requests: What each of them sends, on a connection for each of these.
        stays: They keep their connections; otherwise they are gone at once.
    """

    requests: tuple[bytes, ...] = ()
    stays: bool = False

    def come(self, port: int, barrier: Barrier) -> None:
        """Be ready, and ask when told to. This is for a process of its own: it would hold the probers up."""
        barrier.wait()
        barrier.wait()
        connections = []
        for request in self.requests * CROWD:
            connection = _asking(port, request)
            if self.stays:
                connections.append(connection)
            else:
                connection.close()
        time.sleep(SECONDS)


def _asking(port: int, requests: bytes) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    connection.sendall(requests)
    return connection


def _latest(server: Server, crowd: Crowd) -> tuple[float, float]:
    """Return the worse of both probers' 99th percentiles, and of their longest."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2, timeout=60)
    process = context.Process(target=crowd.come, args=(server.port, barrier))
    process.start()
    barrier.wait()
    probers = [Prober(server, is_kept=is_kept) for is_kept in (True, False)]
    for prober in probers:
        prober.start()
    barrier.wait()
    time.sleep(SECONDS)
    p99, most = (max(times) for times in zip(*(prober.finish() for prober in probers), strict=True))
    process.join()
    assert not process.exitcode
    return p99, most


def _told(name: str, p99: float, most: float) -> str:
    return f"/healthz beside {name}: p99 {p99 * 1000:.1f} ms, at most {most * 1000:.1f} ms"


def _unread(path: str, times: int) -> Crowd:
    return Crowd((_request(path) * times,), stays=True)


def _vanishing(paths: list[str], connections: int) -> Crowd:
    """Ask for a page with all its files, on so many connections as browsers do, and be gone."""
    return Crowd(tuple(b"".join(map(_request, paths[first::connections])) for first in range(connections)))


def test_the_loop_is_held_up_by_nobody(server: Server) -> None:
    """Beside 200 who do not read, and 200 pages that vanish, /healthz takes little longer than by itself."""
    files = _files(server)
    script = next(path for path in files if re.search(r"/editor\.\w+\.js$", path))
    crowds = {
        **{
            f"{path} x {times}, unread": (_unread(path, times), MOST)
            for path, times in [
                ("/ar", 1),
                ("/ar", 20),
                (script, 20),
                ("/v1/frames/red-ribbons/overlay.webp?size=1080", 10),
                ("/static/docs/rapidoc-min.js", 1),
                ("/openapi.json", 5),
                ("/v1/frames", 20),
                ("/nothing", 20),
            ]
        },
        "pages that vanish": (_vanishing(files, 1), MOST),
        "pages that vanish, six connections each": (_vanishing(files, 6), MOST_OF_SIX),
    }
    idle_p99, idle_most = _latest(server, Crowd())
    print(_told("nobody", idle_p99, idle_most))
    late = []
    for name, (crowd, allowed) in crowds.items():
        found = _latest(server, crowd)
        limits = (idle_p99 + P99, idle_most + allowed)
        if _is_late(found, limits):
            # Once may be the machine's own doing.
            found = min(found, _latest(server, crowd), key=lambda times: times[1])
        print(_told(name, *found))
        if _is_late(found, limits):
            late.append(_told(name, *found))
    assert not late


def _is_late(found: tuple[float, float], limits: tuple[float, float]) -> bool:
    return any(seconds > limit for seconds, limit in zip(found, limits, strict=True))
