"""What the service must not keep or tell: photos on a disk, and who came with which words in the log."""

from __future__ import annotations

import gc
import json
import os
import re
import socket
import subprocess
import sys
import time
import tracemalloc
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest

from app.lanes import Lane
from app.settings import load_settings
from app.web.app import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psutil
    from fastapi import FastAPI

    from tests.servers import Serve

# Python loads this module at the start of every process whose path it is on: of the server and, as they
# inherit the environment, of its workers. It notes each opening of a file for writing, from any library
# that opens files through Python.
_WATCHER = """
import os, sys

folder = os.environ["WATCH_FOLDER"]
noted = os.open(os.path.join(folder, str(os.getpid())), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def note(event, args):
    if event == "open":
        path, mode, flags = args
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and path != os.devnull:
            os.write(noted, f"open {path!r}\\n".encode())
    elif event in ("tempfile.mkstemp", "tempfile.mkdtemp", "os.rename", "os.mkdir", "shutil.copyfile"):
        os.write(noted, f"{event} {args!r}\\n".encode())

sys.addaudithook(note)
"""

# What the service must not be: Starlette's own form, which keeps more than 1 MiB in a temporary file.
_SPOOLING_SERVER = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

async def take(request):
    async with request.form() as form:
        await form["photo"].read()
    return Response("taken")

app = Starlette(routes=[Route("/v1/avatars", take, methods=["POST"])])
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""

# A 5 MB photo is in no file when the system has written less than this for a process. The counter is of
# whole pages and includes what the process' own start may write.
_FEW_BYTES = 500_000


@dataclass(frozen=True)
class Watch:
    """Notes of what the watched processes opened for writing."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Variables that put processes under the watch."""
        return {
            "PYTHONPATH": str(self.folder / "site"),
            "WATCH_FOLDER": str(self.folder / "notes"),
            "TMPDIR": str(self.folder / "temporary"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    @property
    def processes(self) -> set[int]:
        """The processes that were watched."""
        return {int(path.name) for path in (self.folder / "notes").iterdir()}

    @property
    def notes(self) -> list[str]:
        """All that was noted."""
        return [line for path in (self.folder / "notes").iterdir() for line in path.read_text().splitlines()]


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """A watch for processes that are started with its environment."""
    for name in ("site", "notes", "temporary"):
        (tmp_path / name).mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(_WATCHER)
    return Watch(tmp_path)


def written_bytes(processes: list[psutil.Process]) -> int:
    """Return what the system counts as written to storage by processes.

    Only root may ask it of a process that leaves no core dumps: for others it is 0.
    """
    total = 0
    for process in processes:
        with suppress(PermissionError), (Path("/proc") / str(process.pid) / "io").open() as lines:
            total += next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
    return total


def test_no_photo_byte_touches_a_disk(serve: Serve, watch: Watch, large_photo: bytes) -> None:
    """A photo of 5 MB, sent in each way, is written by no process, not even to a temporary file."""
    with serve(environment=watch.environment) as server:
        processes = [server.process, *server.workers()]
        assert {process.pid for process in processes} <= watch.processes
        before = written_bytes(processes)
        address = f"{server.url}/v1/avatars"
        sent = [
            httpx2.post(address, files={"photo": ("a.png", large_photo)}, data={"size": "640"}, timeout=60),
            httpx2.post(address, content=large_photo, params={"size": "640", "format": "png"}, timeout=60),
            httpx2.post(address, content=large_photo[:-1000], timeout=60),
            httpx2.post(f"{server.url}/v1/renditions", files={"photo": ("a.png", large_photo)}, timeout=60),
        ]
        assert [answer.status_code for answer in sent] == [200, 200, 422, 200]
        assert watch.notes == []
        assert written_bytes(processes) - before < _FEW_BYTES
        assert list((watch.folder / "temporary").iterdir()) == []


def test_the_watch_sees_a_server_that_spools(watch: Watch, large_photo: bytes) -> None:
    """The test above can fail: a server that keeps uploads in temporary files is noticed."""
    with _spooling_server(watch) as url:
        answer = httpx2.post(f"{url}/v1/avatars", files={"photo": ("a.png", large_photo)}, timeout=60)
        assert answer.text == "taken"
        assert any(str(watch.folder / "temporary") in note for note in watch.notes)


@contextmanager
def _spooling_server(watch: Watch) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-c", _SPOOLING_SERVER, str(port)]
    with subprocess.Popen(command, env={**os.environ, **watch.environment}) as process:
        try:
            start = time.monotonic()
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    assert time.monotonic() - start < 30
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


FORM = "multipart/form-data; boundary=b"


def in_a_form(photo: bytes, fields: bytes = b"") -> bytes:
    """Return a form with a photo."""
    head = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
    return fields + head + photo + b"\r\n--b--\r\n"


async def status_of(
    app: FastAPI,
    body: bytes,
    content_type: str = "",
    path: str = "/v1/avatars",
    leave_after: float = 60,
) -> int | None:
    """Send a photo to an application without a client, whose own copies would count; return the status."""
    chunks = [body[start : start + 65_536] for start in range(0, len(body), 65_536)]
    status = None

    async def receive() -> dict[str, Any]:
        if not chunks:
            await anyio.sleep(leave_after)
            return {"type": "http.disconnect"}
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    headers = {"content-type": content_type, "content-length": str(len(body))}
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await app(scope, receive, send)
    return status


def test_a_photo_is_forgotten_with_its_answer(large_photo: bytes) -> None:
    """Whatever became of it, it is gone at once, and does not wait for Python to look for cycles."""
    size = b'--b\r\nContent-Disposition: form-data; name="size"\r\n\r\n1\r\n'
    other = b"x" * len(large_photo)
    damaged = large_photo[:-1000]
    cases: dict[str, tuple[int | None, dict[str, Any]]] = {
        "drawn from a form": (200, {"body": in_a_form(large_photo), "content_type": FORM}),
        "drawn": (200, {"body": large_photo, "content_type": ""}),
        "damaged, in a form": (422, {"body": in_a_form(damaged), "content_type": FORM}),
        "damaged": (422, {"body": damaged, "content_type": ""}),
        "no photo": (415, {"body": other, "content_type": ""}),
        "a bad spec": (422, {"body": in_a_form(large_photo, size), "content_type": FORM}),
        "a bad form": (400, {"body": in_a_form(large_photo)[:-9], "content_type": FORM}),
        "too large a form": (413, {"body": in_a_form(large_photo + b"x" * 1_000_000), "content_type": FORM}),
        "its sender left": (None, {"body": large_photo, "content_type": "", "leave_after": 0.01}),
        "shown": (200, {"body": large_photo, "path": "/v1/renditions"}),
        "shown, but damaged": (422, {"body": damaged, "path": "/v1/renditions"}),
        "shown, with a bad field": (
            422,
            {"body": in_a_form(large_photo, size), "content_type": FORM, "path": "/v1/renditions"},
        ),
        "shown, but its sender left": (
            None,
            {"body": large_photo, "path": "/v1/renditions", "leave_after": 0.01},
        ),
    }
    kept: dict[str, int] = {}

    async def main() -> None:
        app = create_app(load_settings(workers=1, deadline=60, max_photo_bytes=len(large_photo)))
        async with app.router.lifespan_context(app):
            for name, (expected, sent) in cases.items():
                async with anyio.create_task_group() as tasks:
                    if expected is None:  # who leaves, leaves the queue
                        tasks.start_soon(
                            app.state.service.drawing.pool.run, partial(time.sleep, 1), Lane.PHOTO
                        )
                        await anyio.sleep(0.01)
                    await status_of(app, **sent)  # what is loaded at the first use is not a photo
                    before = tracemalloc.get_traced_memory()[0]
                    assert await status_of(app, **sent) == expected, name
                    kept[name] = tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    gc.disable()
    try:
        anyio.run(main, backend_options={"use_uvloop": True})
    finally:
        gc.enable()
        tracemalloc.stop()
    assert {name: bytes_ for name, bytes_ in kept.items() if bytes_ > len(large_photo) // 10} == {}


def test_nothing_but_the_framing_tells_of_a_face(serve: Serve, photo: bytes, portrait: bytes) -> None:
    """Answers, log and metrics of a photo with a face differ in nothing else from those of one without."""
    with serve(log_level="debug") as server, httpx2.Client(base_url=server.url, timeout=30) as client:
        one, other = (client.post("/v1/avatars?size=64", content=sent) for sent in (portrait, photo))
        for sent in (portrait, photo):
            client.post("/v1/avatars?size=64", content=sent[: len(sent) // 2])
            client.post("/v1/avatars?size=1", content=sent)
            client.post("/en/made", files={"photo": sent})
        metrics = client.get("/metrics").text.splitlines()
        server.process.terminate()
        server.process.wait(20)
        output = server.output
    assert [one.status_code, other.status_code] == [200, 200]
    assert one.headers["ribbons-framing"].startswith("faces; ")
    assert one.headers.keys() == other.headers.keys()
    differing = {name for name in one.headers if one.headers[name] != other.headers[name]}
    assert differing <= {"ribbons-framing", "content-length", "date"}
    requests = [json.loads(line) for line in output.splitlines() if '"event": "request"' in line]
    assert len({tuple(line) for line in requests}) == 1, "every line has the same keys"
    assert len(requests) >= 8
    words = re.compile(r"fac(e|es|ing)\b|framing|head\b|centre|zoom|\b[xy]=", re.IGNORECASE)
    assert [line for line in output.splitlines() if words.search(line)] == []
    # How long a step took is no word on what it found.
    counted = [line for line in metrics if words.search(line) and "step_duration" not in line]
    assert all(re.match(r"(# (HELP|TYPE) )?ribbons_framings_", line) for line in counted)
    framings = [line for line in counted if line.startswith("ribbons_framings_total")]
    assert sum(float(line.rpartition(" ")[2]) for line in framings) == 4


def test_the_log_says_nothing_of_who_came_or_what_they_sent(serve: Serve, photo: bytes) -> None:
    """A canary in every place a client can write to, and the client's address, are in no line."""
    with serve(log_level="debug") as server:
        transport = httpx2.HTTPTransport(local_address="127.0.0.77")
        headers = {
            "user-agent": "canary",
            "referer": "https://canary.example/",
            "x-forwarded-for": "203.0.113.77",
            "forwarded": "for=203.0.113.77",
            "x-request-id": "canary",
            "cookie": "canary=canary",
            "authorization": "Basic canary",
            "traceparent": "00-canary",
            "accept-language": "canary",
        }
        with httpx2.Client(base_url=server.url, transport=transport, headers=headers, timeout=30) as client:
            files = {"photo": ("canary.jpg", photo, "image/canary")}
            made = client.post("/v1/avatars", files=files, data={"slogan": "canary", "size": "64"})
            assert made.status_code == 200
            client.post("/v1/avatars?slogan=canary&size=64", content=photo)
            client.post("/v1/avatars?canary=canary", content=photo)
            client.post("/v1/renditions?canary=canary", content=photo + b"canary")
            client.post("/v1/renditions", files=files, data={"side": "canary"})
            client.post("/v1/avatars", content=b"canary" * 100)
            client.post("/v1/avatars", content=photo + b"canary", params={"frame": "canary"})
            client.post("/v1/avatars", content=b"canary", headers={"content-type": "multipart/form-data"})
            form = "multipart/form-data; boundary=canary"
            client.post("/v1/avatars", content=b"--canary\r\ncanary", headers={"content-type": form})
            client.get("/canary?canary=canary")
            client.get("/v1/frames/canary")
            client.get("/v1/frames/red-ribbons/overlay.png?size=64&slogan=canary")
            client.get("/static/canary")
            client.request("DELETE", "/v1/frames/canary")
        upgrade = b"GET /canary HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
        for line in (b"canary\r\n\r\n", upgrade):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(line)
                connection.recv(1000)
        server.process.terminate()
        server.process.wait(20)
        output = server.output
    assert "canary" not in output.lower()
    assert "127.0.0.77" not in output
    assert "203.0.113.77" not in output
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line for line in lines if "library" in line] == []
    requests = [line for line in lines if line["event"] == "request"]
    assert len(requests) >= 12
    assert requests[1].keys() == {
        "event",
        "level",
        "timestamp",
        "method",
        "route",
        "status",
        "milliseconds",
        "code",
        "bytes_in",
        "bytes_out",
    }
