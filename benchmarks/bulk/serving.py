"""Our own commands in processes of their own, and what those take of the machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2
import psutil

from benchmarks.avatar import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_START_SECONDS = 90.0
_STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Program:
    """One of our commands that runs.

    Attributes:
        process: The root of its processes.
        log: What it prints.
    """

    process: psutil.Popen
    log: Path

    def tree(self) -> list[psutil.Process]:
        """Return its processes, the root first."""
        try:
            return [psutil.Process(self.process.pid), *self.process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def cpu_seconds(self) -> float:
        """Return what it has taken so far, with its children that have ended."""
        total = 0.0
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def memory(self) -> list[int]:
        """Return the bytes that each of its processes has to itself, shared ones in parts (PSS)."""
        found = []
        for process in self.tree():
            with suppress(psutil.Error):
                found.append(process.memory_full_info().pss)
        return found


@contextmanager
def running(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], inside: Sequence[str] = ()
) -> Iterator[Program]:
    """Run ``ribbons`` with some words until the block ends.

    Args:
        words: The command.
        folder: For its log.
        environment: More variables.
        inside: What starts it, such as ``ip netns exec NAME``.
    """
    log = folder / f"{words[0]}-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = psutil.Popen(
            [*inside, sys.executable, "-m", "app", *words],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Program(process, log)
    finally:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
        try:
            process.wait(timeout=_STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def serving(
    folder: Path, environment: Mapping[str, str], host: str = "127.0.0.1", inside: Sequence[str] = ()
) -> Iterator[tuple[Program, str]]:
    """Run ``ribbons serve`` until the block ends; yield it and its address, once it draws."""
    port = free_port()
    variables = {"RIBBONS_HOST": host, "RIBBONS_PORT": str(port), **environment}
    with running(["serve"], folder, variables, inside) as program:
        url = f"http://{host}:{port}"
        _wait_until_ready(program, url)
        yield program, url


def _wait_until_ready(program: Program, url: str) -> None:
    start = time.monotonic()
    while True:
        with suppress(httpx2.TransportError):
            if httpx2.get(f"{url}/readyz", timeout=20).status_code == 200:
                return
        if program.process.poll() is not None or time.monotonic() - start > _START_SECONDS:
            raise RuntimeError(program.log.read_text())
        time.sleep(0.1)


def run(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run ``ribbons`` with some words to its end, and return what it prints."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "app", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def load() -> str:
    """Tell how busy the machine is with other things: figures of a busy one are worth little."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
