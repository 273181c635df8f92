"""A light client: threads with plain sockets, a connection for each request, as supporters come."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

TIMEOUT = 60.0
_CHUNK = 1 << 18


class Failed(Exception):
    """A server answered with something else than 200, or not at all."""


class Window(NamedTuple):
    """What came of a while of asking.

    Attributes:
        answers: How many avatars came.
        elapsed: Seconds from the first request to the last answer.
        wait: Seconds from a request to its answer, median.
    """

    answers: int
    elapsed: float
    wait: float


def request_bytes(method: str, target: str, body: bytes = b"") -> bytes:
    """Return a request with a photo as its body, to be sent as it is."""
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Content-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def ask(port: int, request: bytes) -> bytes:
    """Send a request and return the answer's body.

    Raises:
        Failed: The answer is not a 200, or the server hung up.
    """
    answer = bytearray()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
            connection.sendall(request)
            while chunk := connection.recv(_CHUNK):
                answer += chunk
    except OSError as error:
        raise Failed(str(error)) from error
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] != [b"200"]:
        raise Failed(head.partition(b"\r\n")[0].decode(errors="replace") or "no answer")
    return body


def ask_for(seconds: float, port: int, request: bytes, clients: int) -> Window:
    """Have clients ask one time after another until the time is over; each takes its last answer.

    Raises:
        Failed: An answer was not a 200.
    """
    # Whoever is told to end before all have begun lets none wait for ever.
    together = threading.Barrier(clients, timeout=TIMEOUT)

    def one_client() -> list[tuple[float, float]]:
        together.wait()
        times: list[tuple[float, float]] = []
        end = time.perf_counter() + seconds
        while not times or times[-1][1] < end:
            start = time.perf_counter()
            ask(port, request)
            times.append((start, time.perf_counter()))
        return times

    with ThreadPoolExecutor(clients) as pool:
        running = [pool.submit(one_client) for _ in range(clients)]
        times = [pair for future in running for pair in future.result()]
    first, last = min(start for start, _ in times), max(end for _, end in times)
    return Window(len(times), last - first, statistics.median(end - start for start, end in times))
