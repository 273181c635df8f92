"""How a service starts, and says that it did or why it did not: to programs, and to people on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import httpx2
import pytest
import structlog.testing

from app.settings import load_settings
from app.web import server
from app.web.server import own_url
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Serve

SERVE = [sys.executable, "-m", "app", "serve"]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://localhost:8123/"),
        ("localhost", "http://localhost:8123/"),
        ("0.0.0.0", "http://localhost:8123/"),  # noqa: S104 - a name, not bound
        ("::", "http://localhost:8123/"),
        ("::1", "http://[::1]:8123/"),
        ("192.0.2.7", "http://192.0.2.7:8123/"),
        ("ribbons.local", "http://ribbons.local:8123/"),
    ],
)
def test_the_address_is_one_to_open(host: str, url: str) -> None:
    """What is listened on is not always what a browser can be told."""
    assert own_url(host, 8123) == url


@pytest.mark.parametrize(
    ("uploads", "limits", "is_few"),
    [
        (2000, (1024, 4000), False),
        (2001, (1024, 4000), True),
        (2000, (1024, 1024), True),
        (2000, (1024, resource.RLIM_INFINITY), False),
        (2000, (resource.RLIM_INFINITY, resource.RLIM_INFINITY), False),
        (10_000, (1024, 1_000_000), False),
    ],
)
def test_too_few_open_files_are_told(
    uploads: int, limits: tuple[int, int], monkeypatch: pytest.MonkeyPatch, *, is_few: bool
) -> None:
    """Where uploads alone could use them all up, the service could not even refuse any more."""
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, both: set_to.append(both))
    with structlog.testing.capture_logs() as logged:
        server._allow_open_files(load_settings(max_uploads=uploads))
    assert [line["event"] for line in logged] == ["few_open_files"] * is_few
    assert all(hard == limits[1] for _, hard in set_to)


def test_programs_are_told_when_it_is_ready(serve: Serve, tmp_path: Path) -> None:
    """A line of JSON, after the workers are warm, with the address; nothing that is not JSON is printed."""
    with serve(batches="true", data_folder=str(tmp_path / "data")) as server:
        events = [json.loads(line) for line in server.output.splitlines()]
    told = [event for event in events if event["event"] in {"starting", "ready", "partners_ready"}]
    assert [event["event"] for event in told] == ["starting", "ready", "partners_ready"]
    assert told[1]["url"] == f"http://localhost:{server.port}/"


def test_without_a_place_for_batches_supporters_are_served(
    serve: Serve, tmp_path: Path, portrait: bytes
) -> None:
    """Where nobody has asked for batches: a read-only container without a volume starts as it always did."""
    (tmp_path / "file").touch()
    nothing = dict.fromkeys(("RIBBONS_BATCHES", "RIBBONS_DATA_FOLDER"), "")
    with serve(environment={"XDG_STATE_HOME": str(tmp_path / "file"), **nothing}) as server:
        events = {event["event"]: event for event in map(json.loads, server.output.splitlines())}
        assert "RIBBONS_DATA_FOLDER" in events["batches_off"]["reason"]
        assert "partners_ready" not in events
        assert httpx2.post(f"{server.url}/v1/avatars", content=portrait, timeout=60).status_code == 200
        assert httpx2.get(f"{server.url}/v1/batches").status_code == 404


def test_a_place_for_batches_that_was_named_and_is_none_is_told(root: Path, tmp_path: Path) -> None:
    """Whoever names one wants batches."""
    (tmp_path / "file").touch()
    named = {"RIBBONS_DATA_FOLDER": str(tmp_path / "file" / "data"), "RIBBONS_BATCHES": ""}
    variables = {**os.environ, **named, "RIBBONS_PORT": "0"}
    done = subprocess.run(
        SERVE, cwd=root, env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "RIBBONS_DATA_FOLDER" in done.stderr


def test_a_port_that_is_taken_is_told_with_what_to_do(taken: int, root: Path) -> None:
    """In one line of JSON, without a trace."""
    command = [*SERVE, "--port", str(taken)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    event = json.loads(line)
    assert (event["event"], event["level"]) == ("cannot_start", "critical")
    assert event["reason"].startswith(f"port {taken} of 127.0.0.1 is taken by another program. Stop it, or ")
    assert "RIBBONS_PORT" in event["reason"]


@pytest.mark.parametrize("host", ["192.0.2.7", "no-such-host.invalid"])
def test_a_host_that_is_not_here_is_told(host: str, root: Path) -> None:
    """Whoever mistypes RIBBONS_HOST is told which there are."""
    command = [*SERVE, "--port", "0", "--host", host]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"{host} is no address of this machine. RIBBONS_HOST, " in done.stderr


def read_until(terminal: int, words: str) -> str:
    """Return what a terminal shows, once it shows some words or nobody writes to it any more."""
    text = ""
    start = time.monotonic()
    while words not in text:
        assert time.monotonic() - start < 90, text
        try:
            text += os.read(terminal, 4096).decode()
        except OSError:  # the other end is closed
            break
    return text


def test_a_person_is_told_where_to_open_the_page(root: Path, tmp_path: Path) -> None:
    """`make run` on a terminal ends its start with the addresses, and answers there from that moment on."""
    terminal, theirs = pty.openpty()
    port = free_port()
    variables = {"RIBBONS_PORT": str(port), "RIBBONS_WORKERS": "1", "TERM": "xterm", "NO_COLOR": "1"}
    variables |= {"RIBBONS_BATCHES": "true", "RIBBONS_DATA_FOLDER": str(tmp_path)}
    with subprocess.Popen(
        SERVE, cwd=root, env={**os.environ, **variables}, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        try:
            # Both lines may come in one piece: who waited for the first would have read the second, too.
            text = read_until(terminal, "keys add NAME")
            assert f"Ready. Open http://localhost:{port}/ in a browser; " in text
            assert f"Organisations bring many photos to http://localhost:{port}/partners. " in text
            assert httpx2.get(f"http://127.0.0.1:{port}/en", timeout=20).status_code == 200
            process.send_signal(signal.SIGINT)
            text += read_until(terminal, "Stopped.")
            assert process.wait(30) == 0
        finally:
            process.kill()
            os.close(terminal)
    assert "Traceback" not in text
    assert '"event"' not in text
    assert re.search(r"GET /\S+ 200 in [0-9.]+ ms", text)


def test_a_person_is_told_of_a_taken_port_in_a_sentence(taken: int, root: Path) -> None:
    """Without a trace and without JSON."""
    terminal, theirs = pty.openpty()
    variables = {"RIBBONS_PORT": str(taken), "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(
        SERVE, cwd=root, env={**os.environ, **variables}, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        text = read_until(terminal, "\n")
        assert process.wait(30) == 1
        os.close(terminal)
    assert f"Red Ribbons cannot start: port {taken} of 127.0.0.1 is taken by another program." in text


@pytest.mark.parametrize(
    ("variables", "words", "said"),
    [
        ({}, [], "--host 127.0.0.1 --port 8000"),
        ({"RIBBONS_PORT": "8123", "RIBBONS_HOST": "::1"}, [], "--host ::1 --port 8123"),
        ({"PORT": "8124"}, [], "--host 127.0.0.1 --port 8124"),
        ({"RIBBONS_PORT": "8123"}, ["PORT=8125"], "--host 127.0.0.1 --port 8125"),
    ],
)
def test_make_run_takes_the_port_that_is_set(
    variables: dict[str, str], words: list[str], said: str, root: Path
) -> None:
    """By the service's own variables, by make's, or on make's command line, which wins."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"HOST", "PORT", "MAKEFLAGS"} and not name.startswith("RIBBONS_")
    }
    command = ["make", "-n", "run", *words]
    done = subprocess.run(
        command, cwd=root, env={**kept, **variables}, capture_output=True, text=True, timeout=60, check=True
    )
    assert said in done.stdout
