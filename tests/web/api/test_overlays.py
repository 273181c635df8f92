from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import httpx2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from app import drawing, render
from app.errors import Busy
from app.lanes import Lane
from app.render.overlay import Overlays
from app.settings import load_settings
from app.spec import AvatarSpec
from app.turns import HOUSE
from app.web.addresses import PAGE_SIZES, overlay_address
from app.web.app import create_app
from tests.web.api.test_avatars import assert_problem, opened

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI

    from app.frames import FrameLibrary
    from app.turns import Party

PNG = "/v1/frames/red-ribbons/overlay.png"
WEBP = "/v1/frames/red-ribbons/overlay.webp"
A_DAY = "public, max-age=86400"
FOR_EVER = "public, max-age=31536000, immutable"

both = pytest.mark.parametrize("address", [PNG, WEBP])


# -- the picture -----------------------------------------------------------


def test_an_overlay_is_the_frame_alone(client: TestClient, frames: FrameLibrary) -> None:
    """Transparent where the face is, opaque on the ribbon, the same bytes as the core draws."""
    for address, draw in ((PNG, Overlays(frames).png), (WEBP, Overlays(frames).webp)):
        response = client.get(address, params={"size": "300"})
        image = opened(response)
        assert response.headers["content-type"] == f"image/{address.rpartition('.')[2]}"
        assert (image.mode, image.size) == ("RGBA", (300, 300))
        assert image.getchannel("A").getpixel((150, 150)) == 0
        assert image.getchannel("A").getextrema() == (0, 255)
        assert response.content == draw(AvatarSpec(frame="red-ribbons", size=300))


@both
def test_an_overlay_is_not_sent_twice(client: TestClient, address: str) -> None:
    """A cache that has it gets 304 and no body, however the tag is listed."""
    first = client.get(address, params={"size": "100"})
    tag = first.headers["etag"]
    assert tag.startswith('"')
    assert first.headers["cache-control"] == A_DAY
    for condition in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = client.get(address, params={"size": "100"}, headers={"if-none-match": condition})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
    changed = client.get(address, params={"size": "100"}, headers={"if-none-match": '"other"'})
    assert changed.status_code == 200


@both
def test_what_cannot_be_drawn_is_no_picture_that_somebody_has(client: TestClient, address: str) -> None:
    """``If-None-Match: *`` asks whether there is a picture, and a slogan that does not fit has none."""
    settings = {"size": "100", "slogan": "غ" * 60}
    response = client.get(address, params=settings, headers={"if-none-match": "*"})
    assert_problem(response, 422, "slogan_does_not_fit", "en")


def test_other_drawing_code_has_other_tags_and_addresses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A cache asks again after an update of ours, of the rasteriser, of the shaper or of the encoder."""

    def names() -> tuple[str, str]:
        app = create_app(load_settings())
        bare = TestClient(app)
        pool = app.state.service.drawing.pool
        pool.run, pool.refuse_if_full = no_drawing, let_in
        tag = bare.head(PNG, params={"size": "64"}).headers["etag"]
        return tag, page_address(app)

    seen = [names(), names()]
    assert seen[0] == seen[1]
    for changed in ("pillow", "resvg-py", "uharfbuzz", "arabic-reshaper"):
        with monkeypatch.context() as patch:
            patch.setattr(drawing, "version", lambda name, changed=changed: str(name == changed))
            seen.append(names())
    (tmp_path / "crop.py").write_text("")
    monkeypatch.setattr(render, "__path__", [str(tmp_path)])
    seen.append(names())
    for kind in zip(*seen, strict=True):
        assert len(set(kind)) == 6


def let_in(_lane: Lane, _party: Party = HOUSE) -> None:
    """Refuse nobody."""


async def no_drawing(_job: object, _lane: Lane, _party: Party = HOUSE) -> bytes:
    """Draw nothing."""
    return b""


def page_address(app: FastAPI) -> str:
    """Return the address that a page writes for a frame's picture."""
    parts = app.state.service
    return overlay_address(
        parts.drawing.revision, parts.drawing.frames.get("red-ribbons"), "ar", 64, "circle"
    )


def test_each_overlay_has_its_own_tag(client: TestClient) -> None:
    """Everything that changes the picture changes the tag, and defaults spelled out do not."""

    def tag(address: str = PNG, **settings: str) -> str:
        return client.head(address, params={"size": "64", **settings}).headers["etag"]

    variants: list[dict[str, str]] = [
        {},
        {"size": "65"},
        {"lang": "en"},
        {"slogan": "حرية"},
        {"shape": "circle"},
        {"address": WEBP},
        {"address": "/v1/frames/ribbon-loop/overlay.png"},
    ]
    tags = [tag(**variant) for variant in variants]
    assert len(set(tags)) == len(tags)
    assert tag(lang="ar", shape="square", slogan=" ", v="1") == tags[0]


@both
def test_an_overlay_with_a_supporters_words_is_not_shared(client: TestClient, address: str) -> None:
    """Caches on the way do not keep what somebody wrote, and a browser not for long, whatever it asks."""
    version = page_address(client.app).rpartition("=")[2]  # type: ignore[arg-type]  # an ASGI app to its type
    response = client.get(address, params={"size": "64", "slogan": "حرية", "v": version})
    assert response.headers["cache-control"] == "private, max-age=3600"


@both
def test_an_overlay_takes_only_what_shapes_it(client: TestClient, address: str) -> None:
    """Fields of an avatar that a frame does not have are unknown here, and named with the bad ones."""
    settings = {"zoom": "2", "size": "1", "format": "avif", "v": "x" * 65, "colour": "red"}
    settings |= {"flip": "true", "faces": "off"}
    problem = assert_problem(client.get(address, params=settings), 422, "invalid_spec", "en")
    assert [(f["field"], f["code"]) for f in problem["fields"]] == [
        ("size", "out_of_range"),
        ("format", "unknown"),
        ("zoom", "unknown"),
        ("flip", "unknown"),
        ("faces", "unknown"),
        ("colour", "unknown"),
        ("v", "too_long"),
    ]
    twice = assert_problem(client.get(f"{address}?v=1&v=2"), 422, "invalid_spec", "en")
    assert [(f["field"], f["code"]) for f in twice["fields"]] == [("v", "repeated")]
    assert client.get(f"{address}?v=1&v=1&size=64&size=64").status_code == 200


# -- a page's pictures -----------------------------------------------------


def test_a_pages_pictures_are_kept_for_ever(client: TestClient) -> None:
    """What changes a picture changes its address; at yesterday's address it is kept for a day."""
    address = page_address(client.app)  # type: ignore[arg-type]  # an ASGI app to its type
    response = client.get(address)
    image = opened(response)
    assert (image.format, image.size) == ("WEBP", (64, 64))
    assert response.headers["cache-control"] == FOR_EVER
    again = client.get(address, headers={"if-none-match": response.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, FOR_EVER)
    assert client.get(f"{address}0").headers["cache-control"] == A_DAY
    assert client.get(f"{address}0").content == response.content


@pytest.fixture
def idle() -> TestClient:
    """The application without workers."""
    client = TestClient(create_app(load_settings()))
    pool = client.app.state.service.drawing.pool  # type: ignore[attr-defined]
    pool.run, pool.refuse_if_full = no_worker, full
    return client


async def no_worker(_job: object, _lane: Lane, _party: Party = HOUSE) -> bytes:
    """Refuse, as a pool does in which no worker becomes free."""
    raise Busy


def full(_lane: Lane, _party: Party = HOUSE) -> None:
    """Refuse, as a pool does whose queue is full."""
    raise Busy


@dataclass
class Calls:
    """Stands for a pool that has always a free worker, and notes what it is asked, for whom."""

    asked: list[tuple[str, Lane, Party]] = field(default_factory=list)

    async def run(self, _job: object, lane: Lane, party: Party = HOUSE) -> bytes:
        """Draw."""
        self.asked.append(("drawn", lane, party))
        return b"picture"

    def refuse_if_full(self, lane: Lane, party: Party = HOUSE) -> None:
        """Let in."""
        self.asked.append(("asked", lane, party))


@pytest.fixture
def calls(idle: TestClient, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Give the application workers."""
    calls = Calls()
    pool = idle.app.state.service.drawing.pool  # type: ignore[attr-defined]
    monkeypatch.setattr(pool, "run", calls.run)
    monkeypatch.setattr(pool, "refuse_if_full", calls.refuse_if_full)
    return calls


@pytest.mark.parametrize("size", sorted(PAGE_SIZES))
def test_what_pages_show_is_drawn_past_a_full_queue_for_the_house(
    idle: TestClient, calls: Calls, size: int
) -> None:
    """Once, whoever is the first: nobody waits for the turn of that visitor's address."""
    for _ in range(2):
        assert idle.get(WEBP, params={"size": size}).content == b"picture"
    assert calls.asked == [("drawn", Lane.PAGE, HOUSE)]


@pytest.mark.parametrize(
    ("address", "settings"),
    [
        (WEBP, {}),
        (WEBP, {"size": "361"}),
        (WEBP, {"size": "360", "shape": "circle"}),
        (PNG, {"size": "360"}),
        (WEBP, {"size": "360", "slogan": "حرية"}),
    ],
)
def test_other_pictures_of_frames_are_drawn_for_who_asks(
    idle: TestClient, calls: Calls, address: str, settings: dict[str, str]
) -> None:
    """In turn with other addresses, and kept unless it carries somebody's own words."""
    times = 2 if "slogan" in settings else 1
    for _ in range(2):
        assert idle.get(address, params=settings).content == b"picture"
    assert [(what, lane) for what, lane, _ in calls.asked] == [
        ("asked", Lane.PAGE),
        ("drawn", Lane.PAGE),
    ] * times
    assert {party for *_, party in calls.asked}.isdisjoint({HOUSE})
    assert len({party for *_, party in calls.asked}) == 1


def test_odd_sizes_push_no_page_out_of_memory(idle: TestClient, calls: Calls) -> None:
    """Whoever asks for every size there is has nothing of the pages drawn again."""
    address = {"size": "360"}
    idle.get(WEBP, params=address)
    service = idle.app.state.service  # type: ignore[attr-defined]
    service.other_overlays._kept.update({str(number): bytes(100_000) for number in range(100)})
    idle.get(WEBP, params=address)
    assert len(calls.asked) == 1


@both
def test_frames_are_shown_while_every_worker_is_busy(
    idle: TestClient, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has been drawn once needs no worker; a supporter's own words do, each time."""
    assert_problem(idle.get(address), 503, "busy", "en")
    pool = idle.app.state.service.drawing.pool  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(pool, "run", Calls().run)
        patch.setattr(pool, "refuse_if_full", Calls().refuse_if_full)
        assert idle.get(address).content == b"picture"
    assert idle.get(address).content == b"picture"
    assert idle.get(address, params={"v": "any"}).content == b"picture"
    assert_problem(idle.get(address, params={"slogan": "حرية"}), 503, "busy", "en")
    assert_problem(idle.get(address, params={"size": "65"}), 503, "busy", "en")


@pytest.mark.anyio
async def test_new_pictures_have_a_quarter_of_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight two, however many are asked for, and then whoever has asked least is next."""
    app = create_app(load_settings(workers=8))
    service = app.state.service
    running: list[Party] = []
    order: list[Party] = []
    go_on = anyio.Event()

    async def run(_job: object, _lane: Lane, party: Party) -> bytes:
        running.append(party)
        order.append(party)
        assert len(running) <= 2
        await go_on.wait()
        running.remove(party)
        return b"picture"

    monkeypatch.setattr(service.drawing.pool, "run", run)
    monkeypatch.setattr(service.drawing.pool, "refuse_if_full", Calls().refuse_if_full)

    async def ask(address: str, size: int) -> None:
        transport = httpx2.ASGITransport(app, client=(address, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            assert (await client.get(WEBP, params={"size": size})).content == b"picture"

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(ask, "10.0.0.1", 100 + number)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask, "10.0.0.2", 200)
        await anyio.wait_all_tasks_blocked()
        assert len(running) == 2
        go_on.set()
    assert order[2] not in order[:2], "the other address was next"
    assert order.count(order[0]) == 10


def test_a_webp_is_small_and_hardly_differs(frames: FrameLibrary) -> None:
    """A page's picture costs less than 45 KB, and laid over any ground it looks like the PNG."""
    overlays = Overlays(frames)
    for frame in frames:
        spec = AvatarSpec(frame=frame.id, size=540)
        png, webp = (Image.open(io.BytesIO(data)) for data in (overlays.png(spec), overlays.webp(spec)))
        size = len(overlays.webp(spec))
        assert size < 45_000
        for ground in ("black", "white", "#c08552"):
            assert decibels(laid(png, ground), laid(webp, ground)) > 35


def laid(overlay: Image.Image, ground: str) -> Image.Image:
    """Return an overlay over a plain ground."""
    canvas = Image.new("RGB", overlay.size, ground)
    canvas.paste(overlay, mask=overlay.getchannel("A"))
    return canvas


def decibels(a: Image.Image, b: Image.Image) -> float:
    """Return the ratio of peak to noise between two pictures."""
    difference = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    return float(10 * np.log10(255**2 / (difference**2).mean()))
