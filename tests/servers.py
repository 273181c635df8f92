"""Real servers in processes of their own, for tests that need a network or a browser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import httpx2
import psutil
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from prometheus_client import Metric

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Server:
    """A running ``ribbons serve``."""

    process: psutil.Popen
    port: int
    output_path: Path

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        """All that it and its workers have printed."""
        return self.output_path.read_text()

    def workers(self) -> list[psutil.Process]:
        """Return its living worker processes."""
        return [child for child in self.process.children() if child.status() != psutil.STATUS_ZOMBIE]

    def metrics(self) -> Iterable[Metric]:
        """Return what it tells of itself, by families."""
        return text_string_to_metric_families(httpx2.get(f"{self.url}/metrics", timeout=30).text)

    def metric(self, name: str, **labels: str) -> float:
        """Return the value of a metric with these labels and no others."""
        samples = (sample for family in self.metrics() for sample in family.samples)
        return next(sample.value for sample in samples if (sample.name, sample.labels) == (name, labels))

    def until_metric(self, name: str, value: float, **labels: str) -> None:
        """Wait until a metric with these labels has a value."""
        start = time.monotonic()
        while self.metric(name, **labels) != value:
            assert time.monotonic() - start < 10, f"{name} of {labels} never was {value}"
            time.sleep(0.02)


class Serve(Protocol):
    """Starts a server; keywords are settings, ``environment`` more variables."""

    def __call__(
        self, *, environment: dict[str, str] | None = None, **settings: str | float
    ) -> AbstractContextManager[Server]:
        """Start it, and end it with the block."""


def starter(folder: Path) -> Serve:
    """Return what starts servers, with one worker unless told otherwise, that print to files of a folder."""

    @contextmanager
    def start(*, environment: dict[str, str] | None = None, **settings: str | float) -> Iterator[Server]:
        port = free_port()
        variables = {f"RIBBONS_{name.upper()}": str(value) for name, value in settings.items()}
        variables = {"RIBBONS_WORKERS": "1", "RIBBONS_PORT": str(port), **variables, **(environment or {})}
        output_path = folder / f"server-{port}.log"
        with output_path.open("wb") as output:
            process = psutil.Popen(
                [sys.executable, "-m", "app", "serve"],
                cwd=ROOT,
                env={**os.environ, **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        server = Server(process, port, output_path)
        try:
            _wait_until_ready(server)
            yield server
        finally:
            with suppress(psutil.NoSuchProcess):
                # A worker that a test has suspended cannot notice that its parent is gone.
                for worker in server.workers():
                    worker.kill()
                process.kill()
            process.wait()

    return start


@contextmanager
def hanging(server: Server) -> Iterator[list[psutil.Process]]:
    """Make every worker hang while the block runs."""
    workers = server.workers()
    for worker in workers:
        worker.suspend()
    try:
        yield workers
    finally:
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.resume()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_listening(port: int) -> None:
    """Wait until somebody takes connections."""
    start = time.monotonic()
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except OSError:
            assert time.monotonic() - start < 20
            time.sleep(0.05)
        else:
            return


def _wait_until_ready(server: Server) -> None:
    # Generous: how long a start takes says more about what else the machine does.
    start = time.monotonic()
    while True:
        try:
            assert httpx2.get(f"{server.url}/readyz", timeout=20).status_code == 200
        except httpx2.TransportError:
            assert server.process.poll() is None, server.output
            assert time.monotonic() - start < 90, server.output
            time.sleep(0.05)
        else:
            return


@dataclass(frozen=True)
class Worker:
    """A running ``ribbons worker``."""

    process: psutil.Popen
    output_path: Path

    @property
    def output(self) -> str:
        """All that it and its processes have printed."""
        return self.output_path.read_text()

    def until_says(self, event: str, seconds: float = 60) -> None:
        """Wait until it has logged an event."""
        start = time.monotonic()
        while f'"event": "{event}"' not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() - start < seconds, self.output
            time.sleep(0.02)


@contextmanager
def working(
    folder: Path, environment: dict[str, str], *, code: Path = ROOT, within: Sequence[str] = ()
) -> Iterator[Worker]:
    """Start a worker with one process that draws, which prints to a file of a folder. It is not ready yet.

    Args:
        folder: Where its output goes.
        environment: Variables that it has beside ours.
        code: Where its code lies.
        within: A command that runs it, such as one that gives it another network.
    """
    output_path = folder / f"worker-{uuid.uuid4().hex[:8]}.log"
    with output_path.open("wb") as output:
        process = psutil.Popen(
            [*within, sys.executable, "-m", "app", "worker"],
            cwd=code,
            env={**os.environ, "RIBBONS_WORKERS": "1", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Worker(process, output_path)
    finally:
        with suppress(psutil.NoSuchProcess):
            process.kill()
        process.wait()
