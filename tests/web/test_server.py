"""Real servers in processes of their own: what happens when things hang, die, leave and stop."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import product
from typing import TYPE_CHECKING

import httpx2
import psutil
import pytest

from app.lanes import Lane
from app.web.addresses import PAGE_SIZES
from tests.servers import hanging

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Serve, Server

SMALL = {"size": "64"}
SHOWN = [*product(("ar", "en"), sorted(PAGE_SIZES), ("red-ribbons", "ribbon-loop", "january-31"))]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Threads that send requests."""
    with ThreadPoolExecutor(8) as pool:
        yield pool


def post(server: Server, photo: bytes, **settings: str) -> httpx2.Response:
    """Ask for a small avatar."""
    params = {**SMALL, **settings}
    return httpx2.post(f"{server.url}/v1/avatars", content=photo, params=params, timeout=30)


def raw_request(server: Server, photo: bytes, held_back: int = 0) -> socket.socket:
    """Send a request, but for its last bytes, and leave its answer unread."""
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = f"POST /v1/avatars?size=64 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(photo)}\r\n\r\n"
    connection.sendall(head.encode() + photo[: len(photo) - held_back])
    return connection


@pytest.fixture(scope="module")
def server(serve: Serve) -> Iterator[Server]:
    """A server with one worker and two places in its queue."""
    with serve(queue=2, deadline=60) as server:
        yield server


@pytest.fixture(scope="module")
def strict_server(serve: Serve) -> Iterator[Server]:
    """A server with two workers that waits for nothing long."""
    with serve(workers=2, deadline=3, upload_timeout=1, max_photo_bytes=1_000_000) as server:
        yield server


def test_a_hung_worker_costs_its_own_request_only(
    strict_server: Server, photo: bytes, threads: ThreadPoolExecutor
) -> None:
    """Past the deadline its request gets 504; others are drawn meanwhile, and by its successor after it."""
    with hanging(strict_server) as (hung, other):
        answers = [threads.submit(post, strict_server, photo) for _ in range(2)]
        strict_server.until_metric("ribbons_jobs_running", 2, lane="photo")
        other.resume()
        responses = sorted((answer.result() for answer in answers), key=lambda answer: answer.status_code)
        assert [response.status_code for response in responses] == [200, 504]
        assert responses[1].json()["code"] == "deadline_exceeded"
        assert hung.pid not in {worker.pid for worker in strict_server.workers()}
    assert post(strict_server, photo).status_code == 200


def test_a_killed_worker_costs_its_own_request_only(
    server: Server, photo: bytes, threads: ThreadPoolExecutor
) -> None:
    """Its request gets 503 and may be tried again at once; the next one is drawn."""
    with hanging(server) as (worker,):
        answer = threads.submit(post, server, photo)
        server.until_metric("ribbons_jobs_running", 1, lane="photo")
        worker.kill()
        response = answer.result()
    assert (response.status_code, response.json()["code"]) == (503, "worker_died")
    assert response.headers["retry-after"] == "1"
    assert post(server, photo).status_code == 200
    assert 'ribbons_workers_lost_total{reason="died"} 1.0' in httpx2.get(f"{server.url}/metrics").text


def test_it_is_alive_but_not_ready_while_its_worker_hangs(server: Server) -> None:
    """Ready means that a worker has drawn within the last second, or draws now."""
    with hanging(server):
        time.sleep(1)
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.get(f"{server.url}/readyz", timeout=1)
        assert httpx2.get(f"{server.url}/healthz").status_code == 200
    assert httpx2.get(f"{server.url}/readyz", timeout=20).status_code == 200


def test_a_full_queue_refuses_before_the_photo_is_sent(
    server: Server, photo: bytes, large_photo: bytes, threads: ThreadPoolExecutor
) -> None:
    """503 with Retry-After, and the service is itself again when the queue has drained."""
    with hanging(server):
        answers = [threads.submit(post, server, photo) for _ in range(3)]
        server.until_metric("ribbons_jobs_waiting", 2, lane="photo")
        refused = post(server, photo)
        assert (refused.status_code, refused.json()["code"]) == (503, "busy")
        assert int(refused.headers["retry-after"]) >= 1
        counted = 'ribbons_renders_total{format="unknown",outcome="busy"} 1.0'
        assert counted in httpx2.get(f"{server.url}/metrics").text
        # A client that asks first (Expect) does not send the photo at all.
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            head = (
                f"POST /v1/avatars HTTP/1.1\r\nHost: x\r\nContent-Length: {len(large_photo)}\r\n"
                "Expect: 100-continue\r\n\r\n"
            )
            connection.sendall(head.encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 503")
        time.sleep(1)  # for so long an avatar that was drawn before proves readiness
        with pytest.raises(httpx2.ReadTimeout):  # a probe has a turn of its own, and waits for it
            httpx2.get(f"{server.url}/readyz", timeout=1)
    assert [answer.result().status_code for answer in answers] == [200, 200, 200]
    assert post(server, photo).status_code == 200


def test_a_photo_that_was_let_in_is_not_sent_away(server: Server, photo: bytes) -> None:
    """Six slow uploads end while the queue of two is full: each is drawn, and only new ones are refused."""
    with ExitStack() as open_connections:
        slow = [open_connections.enter_context(raw_request(server, photo, held_back=10)) for _ in range(6)]
        server.until_metric("ribbons_uploads_arriving", 6)
        with hanging(server):
            for connection in slow:
                connection.sendall(photo[-10:])
            server.until_metric("ribbons_jobs_waiting", 5, lane="photo")
            assert post(server, photo).status_code == 503
        for connection in slow:
            connection.settimeout(60)
            assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_under_overload_every_answer_is_an_avatar_or_a_refusal(server: Server, photo: bytes) -> None:
    """Forty at once on one worker with two places: each gets 200 or 503, and none is lost."""
    with ThreadPoolExecutor(40) as many:
        statuses = [answer.status_code for answer in many.map(lambda _: post(server, photo), range(40))]
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 3
    for lane in Lane:
        assert server.metric("ribbons_jobs_waiting", lane=lane) == 0


def test_pages_and_photos_wait_in_lanes_of_their_own(
    server: Server, photo: bytes, threads: ThreadPoolExecutor
) -> None:
    """Eight missing frames wait past a full queue and keep no photo out; /metrics has each lane's jobs."""

    def until_lanes(name: str, photos: int, pages: int) -> None:
        for lane, value in {Lane.PHOTO: photos, Lane.PAGE: pages, Lane.BULK: 0}.items():
            server.until_metric(f"ribbons_jobs_{name}", value, lane=lane)

    until_lanes("running", 0, 0)
    with ThreadPoolExecutor(8) as many:
        with hanging(server):
            photos = [threads.submit(post, server, photo)]
            server.until_metric("ribbons_jobs_running", 1, lane="photo")
            pages = [many.submit(get_overlay, server, number) for number in range(8)]
            until_lanes("waiting", 0, 8)
            refused = get_overlay(server, 8)
            assert (refused.status_code, refused.json()["code"]) == (503, "busy")
            assert refused.headers["retry-after"] == "2"
            photos += [threads.submit(post, server, photo) for _ in range(2)]
            until_lanes("waiting", 2, 8)
            refused = post(server, photo)
            assert (refused.status_code, refused.json()["code"]) == (503, "busy")
            assert refused.headers["retry-after"] == "2"
            until_lanes("running", 1, 0)
        assert [answer.result().status_code for answer in (*photos, *pages)] == [200] * 11
    until_lanes("running", 0, 0)
    until_lanes("waiting", 0, 0)


def test_an_overlay_waits_for_a_worker_like_an_avatar(serve: Serve, threads: ThreadPoolExecutor) -> None:
    """A GET has no body, which must not look like a client that left: twelve at once are twelve pictures."""
    with serve(deadline=60) as server, ThreadPoolExecutor(12) as many:
        with hanging(server):
            answers = [many.submit(get_overlay, server, number) for number in range(12)]
            server.until_metric("ribbons_jobs_waiting", 11, lane="page")
        assert [answer.result().status_code for answer in answers] == [200] * 12
        with hanging(server):
            with pytest.raises(httpx2.ReadTimeout):
                get_overlay(server, 13, timeout=0.5)
            server.until_metric("ribbons_jobs_running", 1, lane="page")
            waiting = threads.submit(get_overlay, server, 14, timeout=1)
            server.until_metric("ribbons_jobs_waiting", 1, lane="page")
            with pytest.raises(httpx2.ReadTimeout):
                waiting.result()
            server.until_metric("ribbons_jobs_waiting", 0, lane="page")
        assert "request_failed" not in server.output


def get_overlay(server: Server, number: int, timeout: float = 60) -> httpx2.Response:
    """Ask for one of the pictures of frames that pages show, which wait for workers alone."""
    lang, size, frame = SHOWN[number]
    address = f"{server.url}/v1/frames/{frame}/overlay.webp"
    return httpx2.get(address, params={"size": size, "lang": lang}, timeout=timeout)


def test_a_client_that_leaves_frees_its_place_in_the_queue(server: Server, photo: bytes) -> None:
    """The place is free at once, and what waited is never drawn."""
    with hanging(server), raw_request(server, photo) as first:
        server.until_metric("ribbons_jobs_running", 1, lane="photo")
        second = raw_request(server, photo)
        server.until_metric("ribbons_jobs_waiting", 1, lane="photo")
        held = server.metric("ribbons_upload_held_bytes")
        second.close()
        server.until_metric("ribbons_jobs_waiting", 0, lane="photo")
        assert server.metric("ribbons_upload_held_bytes") == held - len(photo)
    server.until_metric("ribbons_jobs_running", 0, lane="photo")
    assert 'status="499"' in httpx2.get(f"{server.url}/metrics").text
    assert first.fileno() == -1


def test_a_client_that_leaves_while_it_sends_leaves_nothing_behind(server: Server, photo: bytes) -> None:
    """Half an upload takes no place once its connection is gone."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = f"POST /v1/avatars HTTP/1.1\r\nHost: x\r\nContent-Length: {len(photo) * 2}\r\n\r\n"
        connection.sendall(head.encode() + photo)
        server.until_metric("ribbons_uploads_arriving", 1)
    server.until_metric("ribbons_uploads_arriving", 0)
    assert server.metric("ribbons_upload_held_bytes") == 0


def test_a_photo_that_trickles_is_given_up(strict_server: Server) -> None:
    """A slow client gets 408 when its time is over, and keeps no place."""
    with socket.create_connection(("127.0.0.1", strict_server.port), timeout=20) as connection:
        connection.sendall(b"POST /v1/avatars HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(30):
            connection.sendall(b"x")
            time.sleep(0.05)
        assert connection.recv(100).startswith(b"HTTP/1.1 408")
    strict_server.until_metric("ribbons_uploads_arriving", 0)


def test_a_service_may_open_as_many_files_as_the_system_allows(serve: Serve) -> None:
    """The usual soft limit of 1,024 would be an outage for one person to cause."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    try:
        with serve() as server:
            assert server.process.rlimit(psutil.RLIMIT_NOFILE) == (min(hard, 65_536), hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


_WHAT_IS_FORBIDDEN = """
import ctypes, resource, uvicorn
from app.settings import load_settings
from app.web.server import serve

def run(server, sockets):
    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))

uvicorn.Server.run = run
serve(load_settings(port=0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_a_service_that_crashes_leaves_no_dump(root: Path) -> None:
    """The web process holds photos too: it is not dumpable (PR_GET_DUMPABLE), and may dump no byte."""
    command = [sys.executable, "-c", _WHAT_IS_FORBIDDEN]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "0 (0, 0)\n"


def test_an_answer_has_a_date(server: Server) -> None:
    """Caches count a picture's age from it (RFC 9110, 6.6.1)."""
    assert httpx2.get(f"{server.url}/v1/frames").headers["date"].endswith("GMT")


def test_curl_shows_the_problem_when_a_photo_is_too_large(strict_server: Server, tmp_path: Path) -> None:
    """The answer arrives, and no reset connection, in both ways of sending, the length told or not."""
    too_large = tmp_path / "photo.jpg"
    too_large.write_bytes(b"\xff\xd8" + b"x" * 4_000_000)
    for photo in (["-F", f"photo=@{too_large}"], ["--data-binary", f"@{too_large}"]):
        for told in ([], ["-H", "Transfer-Encoding: chunked"]):
            # "Expect:" keeps curl from asking first, which browsers and phones never do.
            command = ["curl", "-sS", "-H", "Expect:", *photo, *told, f"{strict_server.url}/v1/avatars"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            assert '"code":"photo_too_many_bytes"' in done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_stop_finishes_what_was_accepted(
    serve: Serve, photo: bytes, threads: ThreadPoolExecutor, number: signal.Signals
) -> None:
    """Accepted photos get their avatars, new connections are refused, and the exit code is 0."""
    with serve(deadline=30) as server:
        (worker,) = server.workers()
        worker.suspend()
        answers: list[Future[httpx2.Response]] = [threads.submit(post, server, photo) for _ in range(3)]
        server.until_metric("ribbons_jobs_waiting", 2, lane="photo")
        # As a terminal or a supervisor does: the whole group, workers included.
        worker.send_signal(number)
        server.process.send_signal(number)
        _wait_until_refused(server)
        worker.resume()
        assert [answer.result().status_code for answer in answers] == [200, 200, 200]
        assert server.process.wait(10) == 0
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
        assert "Traceback" not in server.output
        assert "stopped" in server.output


def _wait_until_refused(server: Server) -> None:
    start = time.monotonic()
    while True:
        try:
            socket.create_connection(("127.0.0.1", server.port)).close()
        except ConnectionRefusedError:
            return
        assert time.monotonic() - start < 5
        time.sleep(0.05)


def test_stopping_takes_no_longer_than_its_timeout(serve: Serve, photo: bytes) -> None:
    """A photo that cannot be finished in time does not keep the service from stopping."""
    with serve(deadline=60, shutdown_timeout=1) as server:
        (worker,) = server.workers()
        worker.suspend()
        with raw_request(server, photo):
            server.until_metric("ribbons_jobs_running", 1, lane="photo")
            server.process.terminate()
            start = time.monotonic()
            assert server.process.wait(20) == 0
            assert time.monotonic() - start < 5
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"RIBBONS_PORT": "nonsense"}, "RIBBONS_PORT"),
        ({"RIBBONS_FRAMES_FOLDER": "tests"}, "frame.toml"),
    ],
)
def test_it_refuses_to_start_with_a_reason_and_no_trace(
    root: Path, settings: dict[str, str], words: str
) -> None:
    """Whoever runs the service reads what is wrong, not where in the code."""
    done = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        cwd=root,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="the system has no IPv6")
def test_every_address_is_every_address(serve: Serve) -> None:
    """``::`` takes IPv4 as well as IPv6."""
    with serve(host="::") as server:
        for host in ("127.0.0.1", "[::1]"):
            assert httpx2.get(f"http://{host}:{server.port}/healthz").status_code == 200


def test_a_port_that_is_taken_is_said_so(serve: Serve) -> None:
    """The log names the cause, and the second server ends."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AssertionError, match="is taken by another program"), serve(port=port):
            pytest.fail("it started")
