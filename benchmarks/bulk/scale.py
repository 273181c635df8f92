"""A batch of very many photos: ``python -m benchmarks.bulk.scale [--photos N] [--write]``.

Small photos are sent one by one over HTTP to ``ribbons serve`` on SQLite and a folder, drawn, taken home and
erased. Meanwhile the memory of the server and of its workers is looked at, and how long the batch's state
takes to be told. ``--write`` keeps the figures, and tells them in docs/scale.md. The exit code is 1 past a
budget.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import threading
import time
import zipfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
from PIL import Image, ImageFilter

from benchmarks.avatar import generate_photo
from benchmarks.bulk.__main__ import MOST_FIRST_BYTE_SECONDS, MOST_STATUS_SECONDS, Report, percentile
from benchmarks.bulk.partner import Partner
from benchmarks.bulk.results import conditions, keep
from benchmarks.bulk.serving import load, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.bulk.serving import Program

_DIFFERENT = 50
_SIDE = 160
_SAMPLE_SECONDS = 1.0
_ASK_SECONDS = 0.25
MOST_GROWTH_BYTES = 50_000_000
"""Of server and workers together, while the second half of the photos is sent, and drawn. Of what the first
half takes most is there from the first photo on: libraries, frames, connections."""
SPEC = {"size": 96, "faces": "off"}


@dataclass
class Scale:
    """What was measured.

    Attributes:
        photos: How many.
        photo_bytes: Of one.
        conditions: Where and when.
        phases: What was done, and when that began, in seconds.
        samples: Seconds, bytes of the server, and bytes of its workers together.
        seconds: What was measured beside that, by name.
    """

    photos: int
    photo_bytes: int
    conditions: dict[str, Any]
    phases: list[tuple[str, float]] = field(default_factory=list)
    samples: list[tuple[float, int, int]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def generate_small_photos() -> list[bytes]:
    """Return some small photos, each of another tint: some 5 KB."""
    with Image.open(io.BytesIO(generate_photo((640, 640)))) as file:
        picture = file.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS).filter(ImageFilter.SMOOTH)
    photos = []
    for number in range(_DIFFERENT):
        buffer = io.BytesIO()
        picture.rotate(number / 3).save(buffer, "JPEG", quality=80)
        photos.append(buffer.getvalue())
    return photos


class _Watcher:
    """Looks at memory and asks for a batch's state, until the block ends."""

    def __init__(self, program: Program, partner: Partner, scale: Scale) -> None:
        self._program = program
        self._partner = partner
        self._scale = scale
        self._start = time.perf_counter()
        self._is_over = threading.Event()
        self.batch = ""
        self.states: list[float] = []

    @property
    def now(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self._start

    @contextmanager
    def watching(self) -> Iterator[None]:
        threads = [threading.Thread(target=each, daemon=True) for each in (self._look, self._ask)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note when something begins, and how long it takes."""
        start = self.now
        self._scale.phases.append((name, start))
        yield
        self._scale.seconds[name] = self.now - start
        print(f"  {name:<52}{self.now - start:>8.2f} s", flush=True)

    def _look(self) -> None:
        while not self._is_over.wait(_SAMPLE_SECONDS):
            if memory := self._program.memory():
                self._scale.samples.append((round(self.now, 1), memory[0], sum(memory[1:])))

    def _ask(self) -> None:
        with httpx2.Client(
            base_url=self._partner.client.base_url, headers=self._partner.client.headers
        ) as client:
            while not self._is_over.wait(_ASK_SECONDS):
                if self.batch:
                    start = time.perf_counter()
                    client.get(self.batch, timeout=60).raise_for_status()
                    self.states.append(time.perf_counter() - start)


def measure(count: int, folder: Path, report: Report) -> Scale:
    """Send, draw, take home and erase one batch."""
    photos = generate_small_photos()
    scale = Scale(count, sum(map(len, photos)) // len(photos), conditions())
    print(f"{count} photos of {scale.photo_bytes} bytes in one batch; {load()}")
    environment = {
        "RIBBONS_DATA_FOLDER": str(folder / "data"),
        "RIBBONS_MAX_BATCH_PHOTOS": str(max(count, 50_000)),
    }
    with serving(folder, environment) as (program, url), Partner.with_new_key(url, environment) as partner:
        watcher = _Watcher(program, partner, scale)
        with watcher.watching():
            _live(watcher, partner, photos, count, scale)
        states = sorted(watcher.states)
    scale.seconds |= {"state, median": percentile(states, 0.5), "state, 99 %": percentile(states, 0.99)}
    report.budget(
        "state of the batch, 99th percentile", scale.seconds["state, 99 %"], MOST_STATUS_SECONDS, " s"
    )
    report.budget(
        "first byte of avatars.zip", scale.seconds["avatars.zip, first byte"], MOST_FIRST_BYTE_SECONDS, " s"
    )
    for phase in ("send", "draw"):
        report.budget(
            f"growth in the second half: {phase}", _growth(scale, phase) / 1e6, MOST_GROWTH_BYTES / 1e6, " MB"
        )
    return scale


def _live(watcher: _Watcher, partner: Partner, photos: list[bytes], count: int, scale: Scale) -> None:
    batch = watcher.batch = partner.make_batch(**SPEC)
    with watcher.phase("send"):
        partner.send(
            batch, ((f"staff/{n % 100:02}/photo {n:06}.jpg", photos[n % len(photos)]) for n in range(count))
        )
    with watcher.phase("start"):
        partner.ask("POST", f"{batch}/start")
    with watcher.phase("draw"):
        told = partner.follow(batch)
    if told["done"] != count:
        raise RuntimeError(f"{told['failed']} of {count} photos failed")
    scale.seconds["avatars.zip, first byte"], size = partner.first_byte(f"{batch}/avatars.zip")
    print(
        f"  {'avatars.zip, first byte':<52}{scale.seconds['avatars.zip, first byte']:>8.2f} s, {size} bytes"
    )
    with watcher.phase("avatars.zip, all of it"), tempfile.TemporaryFile() as file:
        with partner.client.stream("GET", f"{batch}/avatars.zip") as answer:
            for piece in answer.iter_raw():
                file.write(piece)
        with zipfile.ZipFile(file) as archive:
            if len(archive.namelist()) != count:
                raise RuntimeError("the ZIP has not all avatars")
    with watcher.phase("report.csv"):
        lines = partner.client.get(f"{batch}/report.csv").text.count("\n")
    if lines != count + 1:
        raise RuntimeError("the report has not all photos")
    with watcher.phase("contact-sheet.webp"):
        partner.client.get(f"{batch}/contact-sheet.webp").raise_for_status()
    watcher.batch = ""
    with watcher.phase("erase"):
        partner.client.delete(batch).raise_for_status()


def _growth(scale: Scale, phase: str) -> float:
    """Return how many bytes more there are at the end of a phase than in its middle."""
    start = dict(scale.phases)[phase]
    end = start + scale.seconds[phase]

    def around(moment: float) -> float:
        near = sorted(scale.samples, key=lambda sample: abs(sample[0] - moment))[:5]
        return sum(server + workers for _, server, workers in near) / len(near)

    return around(end) - around((start + end) / 2)


def main(arguments: list[str]) -> int:
    """Measure and print; return 1 past a budget."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk.scale", description="Very many photos.")
    parser.add_argument("--photos", type=int, default=50_000, help="in one batch (50000)")
    parser.add_argument(
        "--write", action="store_true", help="keep the figures, and tell them in docs/scale.md"
    )
    given = parser.parse_args(arguments)
    report = Report()
    with tempfile.TemporaryDirectory(prefix="ribbons-scale-") as folder:
        scale = measure(given.photos, Path(folder), report)
    if given.write:
        keep("scale", asdict(scale))
    return 0 if report.is_kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
