"""What a chunk of a body costs the web process: ``.venv/bin/python -m benchmarks.chunks``.

Sends bodies of 15,000 chunks to a server of its own, and prints its CPU for each, in microseconds.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import httpx2
import psutil

CHUNKS, BYTES, ROUNDS = 15_000, 250, 5


def main() -> None:
    """Measure, and print the least of some rounds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app", "serve", "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:  # noqa: S603 - our own
        try:
            _wait_for(port)
            web = psutil.Process(server.pid)
            print(f"{min(_cost(web, port) for _ in range(ROUNDS)):.1f} microseconds of CPU for a chunk")
        finally:
            server.terminate()


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            httpx2.get(f"http://127.0.0.1:{port}/readyz").raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError


def _cost(web: psutil.Process, port: int) -> float:
    head = b"POST /v1/avatars HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = (b"%x\r\n%b\r\n" % (BYTES, bytes(BYTES))) * CHUNKS + b"0\r\n\r\n"
    before = sum(web.cpu_times()[:2])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head + body)
        connection.recv(1000)
    return (sum(web.cpu_times()[:2]) - before) * 1e6 / CHUNKS


if __name__ == "__main__":
    main()
