"""Servers in turns at every point, so that whatever else the machine does weighs on all of them."""

from __future__ import annotations

import datetime as dt
import os
import platform
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from app.frames import FrameLibrary
from app.render.overlay import Overlays
from app.spec import DEFAULT_SIZE, AvatarSpec
from benchmarks import avatar
from benchmarks.avatar import ROOT, generate_photo
from benchmarks.peers.installing import NotInstalled, node
from benchmarks.peers.load import Failed, ask, ask_for
from benchmarks.peers.pictures import (
    FRAME,
    PHOTOS,
    SQUARE,
    NotTheAvatar,
    exact_avatar,
    fidelity,
    overlay_file,
    write_inputs,
)
from benchmarks.peers.results import Figure, Floor, Machine, Missing, Picture, Point, Results
from benchmarks.peers.serving import FACES, PROGRAMS, TITLES, request_for, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.peers.load import Window
    from benchmarks.peers.serving import Server

CLIENTS = 4
"""How many ask at once, unless that is what is varied: two for each of two cores."""
LARGE, SMALL = (Point(photo=photo, size=DEFAULT_SIZE, clients=CLIENTS) for photo in ("12 MP", SQUARE))
MEGAPIXELS = tuple(
    Point(photo=photo, size=DEFAULT_SIZE, clients=CLIENTS) for photo in PHOTOS if photo.endswith("MP")
)
SIZES = tuple(
    Point(photo="12 MP", size=size, clients=CLIENTS) for size in (256, 512, DEFAULT_SIZE, 1536, 2048)
)
CONCURRENCY = tuple(
    Point(photo=SQUARE, size=DEFAULT_SIZE, clients=clients) for clients in (1, 2, CLIENTS, 8, 16, 32, 64)
)
HEADLINE = (LARGE, SMALL)
HEADLINE_ONLY = {"sharp-stepwise", FACES}
"""Who is not measured beyond the first table."""


_START = time.perf_counter()


class Effort(NamedTuple):
    """How long is measured: rounds at a point, and seconds for each server in a round."""

    rounds: int
    seconds: float


THOROUGH, BRIEF = Effort(5, 1.6), Effort(3, 0.6)
"""At the points of the first table, and at all others: the run stays under eight minutes on two cores."""


def measure(folder: Path, scale: float = 1.0) -> Results:
    """Measure ours and its peers over HTTP.

    Args:
        folder: For packages, photos and overlays.
        scale: A part of the usual time, to try things out.
    """
    machine = _machine()
    points = list(dict.fromkeys((*HEADLINE, *MEGAPIXELS, *SIZES, *CONCURRENCY)))
    _say("photos and overlays")
    photos = write_inputs(folder, PHOTOS, sorted({point.size for point in points}))
    missing: list[Missing] = []
    with ExitStack() as stack:
        servers: dict[str, Server] = {}
        for program, names in PROGRAMS.items():
            _say(f"installing and starting {program}")
            try:
                server = stack.enter_context(running(program, folder))
            except (NotInstalled, Failed) as error:
                missing += [Missing(server=name, point=None, reason=str(error)) for name in names]
            else:
                servers |= dict.fromkeys(names, server)
        bench = _Bench(servers, photos, missing)
        pictures = [picture for point in HEADLINE for picture in bench.look(point, folder)]
        figures: list[Figure] = []
        for point in points:
            _say(f"{point.photo}, {point.size} px, {point.clients} at once")
            rounds, seconds = THOROUGH if point in HEADLINE else BRIEF
            figures += bench.measure(point, Effort(rounds, seconds * scale))
    return Results(
        machine=machine,
        floors=(),
        pictures=tuple(pictures),
        figures=tuple(figures),
        missing=tuple(missing),
    )


class _Bench:
    """The servers that run, and what they are asked for.

    Whose picture is not the avatar is left out, and who fails at a point, at that point; ``missing`` tells.
    """

    def __init__(
        self, servers: Mapping[str, Server], photos: Mapping[str, bytes], missing: list[Missing]
    ) -> None:
        self._servers = servers
        self._photos = photos
        self._missing = missing

    def look(self, point: Point, folder: Path) -> Iterator[Picture]:
        """Look at every server's avatar: who does less is no peer."""
        exact = exact_avatar(self._photos[point.photo], (folder / overlay_file(point.size)).read_bytes())
        for name in self._taking_part(point):
            if name == FACES:
                continue  # it shows another square
            try:
                content = ask(self._servers[name].port, self._request(name, point))
                near = fidelity(content, exact)
            except (Failed, NotTheAvatar) as error:
                self._missing.append(Missing(server=name, point=None, reason=str(error)))
            else:
                yield Picture(server=name, photo=point.photo, fidelity=round(near, 2), nbytes=len(content))

    def measure(self, point: Point, effort: Effort) -> Sequence[Figure]:
        """Have the servers take turns at a point."""
        windows: dict[str, list[tuple[Window, float]]] = {name: [] for name in self._taking_part(point)}
        # The first round only warms up: overlays are drawn, memory is mapped, code is loaded.
        for seconds in (0.0, *[effort.seconds] * effort.rounds):
            for name in list(windows):
                try:
                    window = self._window(name, point, seconds)
                except Failed as error:
                    self._missing.append(Missing(server=name, point=point, reason=str(error)))
                    del windows[name]
                else:
                    windows[name].append(window)
        return [_figure(name, point, taken[1:]) for name, taken in windows.items()]

    def _taking_part(self, point: Point) -> list[str]:
        gone = {one.server for one in self._missing if one.point is None}
        here = [name for name in TITLES if name in self._servers and name not in gone]
        # The page's square has been chosen.
        here = [name for name in here if name != FACES or point == LARGE]
        return [name for name in here if point in HEADLINE or name not in HEADLINE_ONLY]

    def _request(self, name: str, point: Point) -> bytes:
        return request_for(name, point.photo, self._photos[point.photo], point.size)

    def _window(self, name: str, point: Point, seconds: float) -> tuple[Window, float]:
        server = self._servers[name]
        before = server.cpu_seconds()
        window = ask_for(seconds, server.port, self._request(name, point), point.clients)
        return window, (server.cpu_seconds() - before) / window.answers


def _figure(name: str, point: Point, windows: Sequence[tuple[Window, float]]) -> Figure:
    return Figure(
        server=name,
        point=point,
        cpu=round(statistics.median(cpu for _, cpu in windows), 5),
        rate=round(statistics.median(window.answers / window.elapsed for window, _ in windows), 3),
        wait=round(statistics.median(window.wait for window, _ in windows), 5),
    )


def measure_floors() -> Iterator[Floor]:
    """Measure avatars without HTTP beside the codec alone, as ``benchmarks.avatar`` does."""
    _say("the codec's floor")
    overlays = Overlays(FrameLibrary([ROOT / "frames"], ROOT / "fonts"))
    for name in ("12 MP", "2 MP", SQUARE):
        yield _floor(name, generate_photo(PHOTOS[name]), overlays)


def _floor(name: str, photo: bytes, overlays: Overlays) -> Floor:
    seconds, codec, ratio = avatar.measure(photo, overlays, AvatarSpec(frame=FRAME, x=0.5, y=0.5, zoom=1))
    return Floor(
        photo=name, nbytes=len(photo), avatar=round(seconds, 5), codec=round(codec, 5), ratio=round(ratio, 3)
    )


def _machine() -> Machine:
    return Machine(
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        processor=_processor(),
        cores=psutil.cpu_count() or 1,
        load=round(os.getloadavg()[0], 1),
        python=platform.python_version(),
        node=node() or "none",
    )


def _processor() -> str:
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _say(what: str) -> None:
    print(f"{time.perf_counter() - _START:7.1f} s  {what}", file=sys.stderr, flush=True)
