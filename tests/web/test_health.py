from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.web.conftest import Serve


def samples(client: TestClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return all that the service has counted."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_it_is_alive_and_ready(client: TestClient) -> None:
    """Both answers are short, and kept by nobody."""
    for path in ("/healthz", "/readyz"):
        response = client.get(path)
        assert (response.status_code, response.text) == (200, "ok\n")
        assert response.headers["cache-control"] == "no-store"


def test_it_is_not_ready_when_its_worker_hangs(serve: Serve) -> None:
    """Ready means that a worker has drawn; alive does not."""
    with serve(deadline=0.5) as server:
        (worker,) = server.workers()
        worker.suspend()
        response = httpx2.get(f"{server.url}/readyz", timeout=20)
        # Within a second of the last avatar its proof still counts.
        if response.status_code == 200:
            server.until_metric("ribbons_jobs_running", 0)
            while response.status_code == 200:
                response = httpx2.get(f"{server.url}/readyz", timeout=20)
        assert response.status_code == 504
        assert httpx2.get(f"{server.url}/healthz").status_code == 200


def test_many_probes_draw_once(client: TestClient) -> None:
    """Probing a ready service is no way to load it."""
    before = client.app.state.service.pool  # type: ignore[attr-defined]  # starlette types it as ASGI
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.get("/readyz").status_code, range(40)))
    assert set(answers) == {200}
    assert before.running == 0


def test_requests_are_counted_by_route_and_status(client: TestClient) -> None:
    """Paths that no route has share one label, so that strangers cannot grow the page."""
    for path in ("/canary-1", "/canary-2"):
        client.get(path)
    client.get("/v1/frames/red-ribbons")
    client.get("/v1/frames/canary-3")
    client.request("BREW", "/canary-4")
    page = client.get("/metrics").text
    assert "canary" not in page
    assert "BREW" not in page
    names = samples(client)

    def count(method: str, route: str, status: str) -> float:
        labels = frozenset({"method": method, "route": route, "status": status}.items())
        return names[("ribbons_http_requests_total", labels)]

    assert count("GET", "unmatched", "404") >= 2
    assert count("GET", "/v1/frames/{frame_id}", "200") >= 1
    assert count("GET", "/v1/frames/{frame_id}", "404") >= 1
    assert count("other", "unmatched", "404") >= 1


def test_avatars_are_counted_by_what_became_of_them(client: TestClient, photo: bytes) -> None:
    """By outcome and format, with the time of each step."""

    def count(outcome: str, output_format: str) -> float:
        labels = frozenset({"outcome": outcome, "format": output_format}.items())
        return samples(client).get(("ribbons_renders_total", labels), 0)

    made, damaged = count("ok", "webp"), count("photo_damaged", "webp")
    settings = {"size": "64", "format": "webp"}
    client.post("/v1/avatars", content=photo, params=settings)
    client.post("/v1/avatars", content=photo[:-500], params=settings)
    assert (count("ok", "webp"), count("photo_damaged", "webp")) == (made + 1, damaged + 1)
    steps = {
        dict(labels)["step"]
        for name, labels in samples(client)
        if name == "ribbons_render_step_duration_seconds_count"
    }
    assert {"decode", "crop", "overlay", "compose", "encode"} <= steps


def test_what_goes_on_now_is_shown(client: TestClient) -> None:
    """Queue, workers and uploads are there from the start, at rest."""
    found = samples(client)
    for name in ("jobs_running", "jobs_waiting", "uploads_arriving", "upload_held_bytes"):
        assert found[(f"ribbons_{name}", frozenset())] == 0
    for reason in ("deadline", "died"):
        assert ("ribbons_workers_lost_total", frozenset({("reason", reason)})) in found
