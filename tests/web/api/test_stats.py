from __future__ import annotations

import re
import signal
import socket
import time
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from redis import Redis
from starlette.testclient import TestClient

from app.errors import StoreUnavailable
from app.settings import load_settings
from app.web.app import create_app
from app.web.state.results import MemoryResults

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Serve, Server

# Servers write under the service's own names in the one database that tests may write to.
ONE_AT_A_TIME = pytest.mark.xdist_group("redis")

SMALL = {"size": "64"}


@pytest.fixture
def shared_url(redis_url: str) -> Iterator[str]:
    """A Redis in which no service has left anything, and none will."""
    _forget_all(redis_url)
    yield redis_url
    _forget_all(redis_url)


def _forget_all(redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        for key in redis.scan_iter("ribbons:*"):
            redis.delete(key)


def total(server: Server) -> int:
    """Return what a server says of the number of avatars."""
    number: int = httpx2.get(f"{server.url}/v1/stats").json()["avatars"]
    return number


def until_total(server: Server, number: int) -> None:
    """Wait until a server says so."""
    start = time.monotonic()
    while total(server) != number:
        assert time.monotonic() - start < 10, f"it says {total(server)}"
        time.sleep(0.05)


def make(server: Server, photo: bytes) -> httpx2.Response:
    """Make an avatar as the page's script does."""
    return httpx2.post(
        f"{server.url}/ar/made",
        files={"photo": ("a.jpg", photo)},
        headers={"Accept": "application/json"},
        timeout=30,
    )


def test_every_avatar_counts_and_nothing_else(client: TestClient, photo: bytes) -> None:
    """Avatars that were made are counted, from the API and from the page; refused ones are not."""
    before = client.get("/v1/stats").json()["avatars"]
    assert client.post("/v1/avatars", content=photo, params=SMALL).status_code == 200
    files = {"photo": ("a.jpg", photo)}
    assert client.post("/en/made", files=files, headers={"Accept": "application/json"}).status_code == 201
    assert client.post("/v1/avatars", content=photo[:-500], params=SMALL).status_code == 422
    assert client.post("/v1/avatars", content=b"").status_code == 400
    client.get("/readyz")
    client.get("/v1/frames/red-ribbons/overlay.png", params=SMALL)
    assert client.get("/v1/stats").json()["avatars"] == before + 2


def test_it_says_how_many_and_since_when_and_no_more(client: TestClient) -> None:
    """Two members, kept by caches for ten seconds; HEAD is answered too."""
    answer = client.get("/v1/stats")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "public, max-age=10"
    body = answer.json()
    assert set(body) == {"avatars", "since"}
    assert isinstance(body["avatars"], int)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", body["since"])
    assert date.fromisoformat(body["since"]) <= datetime.now(UTC).date()
    head = client.head("/v1/stats")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["cache-control"] == "public, max-age=10"


def test_it_takes_no_other_method(client: TestClient) -> None:
    """Nobody sets the number."""
    answer = client.post("/v1/stats", json={"avatars": 10**9})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_it_is_described(client: TestClient) -> None:
    """OpenAPI says what both members are."""
    document: dict[str, Any] = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/stats"]["get"]
    assert "Nothing is kept of who" in operation["description"]
    name = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    properties = document["components"]["schemas"][name]["properties"]
    assert all(properties[member]["description"] for member in ("avatars", "since"))


def test_results_are_measured(client: TestClient, photo: bytes) -> None:
    """How many finished avatars are held, in how many bytes, and how many left early."""

    def metric(name: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])

    held, held_bytes = metric("ribbons_results_held"), metric("ribbons_results_held_bytes")
    files = {"photo": ("a.jpg", photo)}
    address = client.post("/en/made", files=files, headers={"Accept": "application/json"}).json()["address"]
    assert metric("ribbons_results_held") == held + 1
    assert metric("ribbons_results_held_bytes") > held_bytes + 10_000
    assert metric("ribbons_results_evicted_total") == 0
    client.post(f"{address}/delete")
    assert metric("ribbons_results_held") == held
    assert metric("ribbons_results_held_bytes") == held_bytes


def test_the_number_outlives_a_restart(serve: Serve, photo: bytes, tmp_path: Path) -> None:
    """A service that is told to stop writes its number, and the next one goes on from it."""
    path = tmp_path / "counter.json"
    for number in (2, 4):
        with serve(counter_file=str(path)) as server:
            for _ in range(2):
                httpx2.post(f"{server.url}/v1/avatars", content=photo, params=SMALL, timeout=30)
            assert total(server) == number
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=30) == 0
        assert f'"avatars":{number},' in path.read_text()


def test_a_counter_that_cannot_be_kept_refuses_to_start(serve: Serve, tmp_path: Path) -> None:
    """The log says which file and why, and the process ends."""
    (tmp_path / "counter.json").write_text("canary")
    with (
        pytest.raises(AssertionError, match=r"counter.json” holds something else.*cannot_start"),
        serve(counter_file=str(tmp_path / "counter.json")),
    ):
        pass
    assert (tmp_path / "counter.json").read_text() == "canary"


@ONE_AT_A_TIME
def test_two_replicas_are_one_service(serve: Serve, shared_url: str, photo: bytes) -> None:
    """What one makes the other shows, counts and deletes; no sticky sessions are needed."""
    with serve(redis_url=shared_url) as one, serve(redis_url=shared_url) as other:
        before = total(one)
        made = make(one, photo)
        assert made.status_code == 201
        address = made.json()["address"]
        picture = f"/made/{address.rpartition('/')[2]}/avatar.jpg"
        pages = [httpx2.get(f"{server.url}{address}") for server in (one, other)]
        assert [page.status_code for page in pages] == [200, 200]
        pictures = [httpx2.get(f"{server.url}{picture}").content for server in (one, other)]
        assert pictures[0] == pictures[1]
        assert pictures[0].startswith(b"\xff\xd8")
        until_total(other, before + 1)
        assert httpx2.post(f"{other.url}{address}/delete").status_code == 303
        assert httpx2.get(f"{one.url}{address}").status_code == 404
        assert httpx2.get(f"{one.url}{picture}").status_code == 404


@ONE_AT_A_TIME
def test_redis_keeps_nothing_of_a_request(serve: Serve, shared_url: str, photo: bytes) -> None:
    """A picture, a number and a batch's number; no address, no header, no photo, and none in the log."""
    with serve(redis_url=shared_url) as server, Redis.from_url(shared_url) as redis:
        headers = {"User-Agent": "canary-agent", "X-Forwarded-For": "203.0.113.77", "Accept-Language": "ur"}
        answer = httpx2.post(
            f"{server.url}/en/made", files={"photo": ("canary.jpg", photo)}, headers=headers, timeout=30
        )
        token = answer.headers["location"].rpartition("/")[2]
        until_total(server, 1)
        kept = b""
        for key in redis.scan_iter("ribbons:*"):
            kept += key + (redis.dump(key) or b"")
        assert sum(redis.type(key) == b"string" for key in redis.scan_iter("ribbons:result:*")) == 1
        for secret in (b"canary", b"203.0.113.77", token.encode(), photo[:200]):
            assert secret not in kept
        assert "canary" not in server.output
        assert token not in server.output


def test_a_replica_without_its_redis_is_not_ready(photo: bytes) -> None:
    """Its address may be wrong: it is not ready, while the API works and the page says that it is busy."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = load_settings(workers=1, redis_url=f"redis://:canary@127.0.0.1:{port}", show_counter=True)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["code"], ready.headers["retry-after"]) == (
            503,
            "unavailable",
            "5",
        )
        assert client.get("/healthz").status_code == 200
        assert client.post("/v1/avatars", content=photo, params=SMALL).status_code == 200
        assert client.get("/v1/stats").json()["avatars"] == 1
        headers = {"Accept": "application/json"}
        made = client.post("/en/made", files={"photo": ("a.jpg", photo)}, headers=headers)
        assert (made.status_code, made.headers["retry-after"]) == (503, "5")
        assert "Many people" not in made.json()["detail"]
        for path in (f"/en/made/{'a' * 32}", f"/made/{'a' * 32}/avatar.jpg"):
            assert client.get(path).status_code == 503
        page = client.get("/metrics").text
        assert "canary" not in page
        assert float(re.findall(r"^ribbons_redis_failures_total (\S+)", page, re.MULTILINE)[0]) >= 5
        assert "ribbons_results_held" not in page


def test_a_replica_that_loses_its_redis_stays_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """All replicas lose it at once: if none were ready, the API would be gone too."""
    settings = load_settings(workers=1, redis_url="redis://127.0.0.1:1")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        application: Any = client.app
        assert client.get("/readyz").status_code == 503
        monkeypatch.setattr(application.state.service.store, "has_answered", True)
        assert client.get("/readyz").status_code == 200


def test_a_picture_that_could_not_be_kept_is_not_counted(
    photo: bytes, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is refused sends the photo again, and is counted then."""

    async def refuse(_self: object, _result: object) -> str:
        raise StoreUnavailable

    monkeypatch.setattr(MemoryResults, "put", refuse)
    before = client.get("/v1/stats").json()["avatars"]
    answer = client.post("/en/made", files={"photo": photo}, headers={"Accept": "application/json"})
    assert answer.status_code == 503
    assert client.get("/v1/stats").json()["avatars"] == before


def test_the_page_says_how_many_were_made_where_its_owner_wants_it(photo: bytes, tmp_path: Path) -> None:
    """Nothing of none; then the number, in the reader's words and digits."""
    settings = load_settings(workers=1, show_counter=True, counter_file=tmp_path / "counter.json")
    with TestClient(create_app(settings)) as client:
        assert "صُنعت" not in client.get("/ar").text
        for _ in range(3):
            assert client.post("/ar/made", files={"photo": photo}).status_code == 200
        assert "صُنعت ٣ صور حتى الآن" in client.get("/ar").text
        assert "3 pictures have been made so far" in client.get("/en").text


def test_the_page_says_nothing_of_it_otherwise(client: TestClient, photo: bytes) -> None:
    """Nobody is told unless the campaign's owner turns it on."""
    assert client.post("/v1/avatars", files={"photo": photo}).status_code == 200
    assert "made so far" not in client.get("/en").text
