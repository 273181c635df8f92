"""Every server in a process tree of its own, and the CPU that it takes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil

from app.render.encode import JPEG_QUALITY
from benchmarks.avatar import ROOT
from benchmarks.peers.installing import PYTHON, install_npm, install_python
from benchmarks.peers.load import Failed, ask, request_bytes
from benchmarks.peers.pictures import FRAME, overlay_file, photo_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FACES = "ours-faces"
"""Ours once more, asked to look for faces: what none of the others does, and so compared with nobody."""

TITLES: Mapping[str, str] = {
    "ours": "Red Ribbons",
    FACES: "Red Ribbons, square chosen by faces",
    "sharp": "sharp",
    "sharp-stepwise": "sharp in two steps",
    "pyvips": "pyvips",
    "thumbor": "thumbor",
}
"""Who is measured, in the order of the tables."""

PROGRAMS = {
    "ours": ["ours", FACES],
    "sharp": ["sharp", "sharp-stepwise"],
    "pyvips": ["pyvips"],
    "thumbor": ["thumbor"],
}
"""Which program serves whom."""

READY = {"ours": "/readyz", "sharp": "/healthz", "pyvips": "/healthz", "thumbor": "/healthcheck"}
START_TIMEOUT = 60.0
QUEUE = 128
"""Photos that may wait for one of our workers: more than there are clients, so that nobody is refused."""
DEADLINE = 60
"""Seconds that a photo may wait and take, so that a busy machine makes ours slow and not absent."""


@dataclass(frozen=True)
class Server:
    """A program that runs.

    Attributes:
        process: The root of its processes.
        port: Where it listens.
    """

    process: psutil.Process
    port: int

    def cpu_seconds(self) -> float:
        """Return what it has taken so far, with all processes that live or have been waited for."""
        total = 0.0
        for process in (self.process, *self.process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total


@contextmanager
def running(program: str, folder: Path) -> Iterator[Server]:
    """Run a program while the block does; it finds photos and overlays in the folder.

    Raises:
        NotInstalled: It cannot be installed here.
        Failed: It did not start.
    """
    port = _free_port()
    command, variables = _command(program, folder, port)
    variables = {"FOLDER": str(folder), "JPEG_QUALITY": str(JPEG_QUALITY), **variables}
    with psutil.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_until_ready(process, port, READY[program])
            yield Server(process, port)
        finally:
            _end(process)


def _command(program: str, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    cores = str(psutil.cpu_count())
    match program:
        case "ours":
            settings = {"HOST": "127.0.0.1", "PORT": port, "QUEUE": QUEUE, "DEADLINE": DEADLINE}
            variables = {f"RIBBONS_{name}": str(value) for name, value in settings.items()}
            return [sys.executable, "-m", "app", "serve"], variables
        case "sharp":
            # What sharp's documentation recommends for glibc.
            return ["node", str(install_npm(folder)), str(port), str(folder)], {"MALLOC_ARENA_MAX": "2"}
        case "pyvips":
            uvicorn = [str(install_python(folder) / "uvicorn"), "pyvips_server:app", "--app-dir", str(PYTHON)]
            options = ["--host", "127.0.0.1", "--port", str(port), "--workers", cores, "--no-access-log"]
            return [*uvicorn, *options], {"VIPS_CONCURRENCY": "1"}
        case "thumbor":
            thumbor = [str(install_python(folder) / "thumbor"), "--conf", str(PYTHON / "thumbor.conf")]
            options = ["--ip", "127.0.0.1", "--port", str(port), "--processes", cores]
            return [*thumbor, *options], {"PYTHONPATH": str(PYTHON)}
        case _:
            raise ValueError(program)


def request_for(server: str, photo: str, content: bytes, size: int) -> bytes:
    """Return the request for an avatar, as a server takes it.

    thumbor has no request that carries a photo and is answered by the picture: it reads a file, and is spared
    the upload.
    """
    match server:
        case "ours":
            # The others look for no faces: the middle is given.
            target = f"/v1/avatars?frame={FRAME}&size={size}&x=0.5&y=0.5&zoom=1"
        case str() if server == FACES:
            target = f"/v1/avatars?frame={FRAME}&size={size}"
        case "sharp":
            target = f"/chained?size={size}"
        case "sharp-stepwise":
            target = f"/stepwise?size={size}"
        case "pyvips":
            target = f"/?size={size}"
        case "thumbor":
            watermark = f"watermark({overlay_file(size)},0,0,0)"
            target = f"/unsafe/{size}x{size}/filters:{watermark}/{quote(photo_file(photo))}"
            return request_bytes("GET", target)
        case _:
            raise ValueError(server)
    return request_bytes("POST", target, content)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait_until_ready(process: psutil.Popen, port: int, path: str) -> None:
    end = time.monotonic() + START_TIMEOUT
    while True:
        try:
            ask(port, request_bytes("GET", path))
        except Failed:
            if process.poll() is not None or time.monotonic() > end:
                raise Failed("it did not start") from None
            time.sleep(0.1)
        else:
            return


def _end(process: psutil.Popen) -> None:
    tree = [process, *process.children(recursive=True)] if process.is_running() else []
    for one in tree:
        with suppress(psutil.NoSuchProcess):
            one.terminate()
    _, left = psutil.wait_procs(tree, timeout=5)
    for one in left:
        with suppress(psutil.NoSuchProcess):
            one.kill()
