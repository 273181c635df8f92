from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, Any

import anyio
from prometheus_client.parser import text_string_to_metric_families

from app.lanes import Lane
from app.web.api import health
from app.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from starlette.testclient import TestClient


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


def test_many_probes_draw_once(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Probing is no way to load the service: forty probes within a second draw one avatar between them."""
    drawn = []
    run = WorkerPool.run

    async def counted(pool: WorkerPool, job: Callable[[], Any], lane: Lane) -> object:
        drawn.append(job)
        await anyio.sleep(0.5)  # in which the others come
        return await run(pool, job, lane)

    application: Any = client.app
    monkeypatch.setattr(application.state.service.drawing.pool, "_last_success", float("-inf"))
    monkeypatch.setattr(WorkerPool, "run", counted)
    monkeypatch.setattr(health, "_PROOF_SECONDS", 60)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: client.get("/readyz").status_code, range(40)))
    assert set(answers) == {200}
    assert len(drawn) == 1


def test_requests_are_counted_by_route_and_status(client: TestClient) -> None:
    """Paths that no route has share one label, so that strangers cannot grow the page."""
    for path in ("/canary-1/of/none/of/ours", "/canary-2/of/none/of/ours"):
        client.get(path)
    client.get("/v1/frames/red-ribbons")
    client.get("/v1/frames/canary-3")
    client.request("BREW", "/canary-4/of/none/of/ours")
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
    early = count("photo_missing", "unknown"), count("invalid_spec", "unknown")
    client.post("/v1/avatars", content=b"")
    client.post("/v1/avatars", content=photo, params={"size": "1"})
    late = count("photo_missing", "unknown"), count("invalid_spec", "unknown")
    assert late == (early[0] + 1, early[1] + 1)
    steps = {
        dict(labels)["step"]
        for name, labels in samples(client)
        if name == "ribbons_render_step_duration_seconds_count"
    }
    assert {"decode", "crop", "overlay", "compose", "encode"} <= steps


def test_framings_are_counted_by_kind(client: TestClient, photo: bytes) -> None:
    """Of faces this is all that is counted: by what squares were chosen, the pages' photos among them."""

    def count() -> dict[str, float]:
        return {
            dict(labels)["kind"]: value
            for (name, labels), value in samples(client).items()
            if name == "ribbons_framings_total"
        }

    before = count()
    given = {"x": "0.5", "y": "0.5", "zoom": "1"}
    client.post("/v1/avatars", content=photo, params={"size": "64", **given})
    client.post("/en/made", files={"photo": photo}, data=given)
    client.post("/v1/avatars", content=photo, params={"size": "64", "faces": "off"})
    client.post("/v1/avatars", content=photo[:-500], params={"size": "64", **given})
    after = count()
    more = {kind: after[kind] - before.get(kind, 0) for kind in after}
    assert (more["given"], more["centre"]) == (2, 1)
    assert after.keys() <= {"faces", "head", "centre", "given"}


def test_what_goes_on_now_is_shown(client: TestClient) -> None:
    """Queue, workers and uploads are there from the start, at rest."""
    found = samples(client)
    for name in ("uploads_arriving", "upload_held_bytes"):
        assert found[(f"ribbons_{name}", frozenset())] == 0
    for name, lane in product(("jobs_running", "jobs_waiting"), ("photo", "page", "bulk")):
        assert found[(f"ribbons_{name}", frozenset({("lane", lane)}))] == 0
    for reason in ("deadline", "died"):
        assert ("ribbons_workers_lost_total", frozenset({("reason", reason)})) in found
    for place in ("worker", "overlay", "upload"):
        assert ("ribbons_refused_for_share_total", frozenset({("place", place)})) in found
        for reason in ("share", "slow") if place == "upload" else ("share",):
            labels = frozenset({("place", place), ("reason", reason)})
            assert ("ribbons_places_given_up_total", labels) in found


def test_each_lane_shows_its_own_jobs(client: TestClient, tmp_path: Path) -> None:
    """Whoever runs the service sees whether photos wait, pages, or bulk alone."""
    application: Any = client.app
    portal: Any = client.portal
    run = application.state.service.drawing.pool.run

    gate = tmp_path / "gate"
    os.mkfifo(gate)  # who reads it waits until somebody writes

    def jobs(state: str) -> list[float]:
        found = samples(client)
        return [found[(f"ribbons_jobs_{state}", frozenset({("lane", lane)}))] for lane in Lane]

    running = portal.start_task_soon(run, gate.read_bytes, Lane.BULK)
    coming = [Lane.PHOTO, *[Lane.PAGE] * 2, *[Lane.BULK] * 3]
    waiting = [portal.start_task_soon(run, os.getpid, lane) for lane in coming]
    assert (jobs("running"), jobs("waiting")) == ([0, 0, 1], [1, 2, 3])
    gate.write_bytes(b"go on")
    for job in (running, *waiting):
        assert job.result(30)
    assert (jobs("running"), jobs("waiting")) == ([0, 0, 0], [0, 0, 0])
