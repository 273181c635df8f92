"""What batches cost: ``python -m benchmarks.bulk [--photos N]``.

- **Throughput.** How many photos a second a batch draws through ``ribbons serve`` (SQLite and a folder),
  beside the bare drawing rate of the same cores: the pool of workers by itself, fed with the same photos as
  fast as it takes them. The two take turns. And the same photos in a folder by ``ribbons bulk``.
- **Supporters.** How long a single avatar takes over HTTP, at a few a second, while a batch is drawn on the
  same cores, and while nothing else is.
- **Being asked.** How long the state of a batch takes while it is drawn, and the first byte of its ZIP.

The exit code is 1 past a budget.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx2

from app.drawing import Drawing
from app.lanes import Lane
from app.settings import load_settings
from app.spec import parse_spec
from benchmarks.avatar import SIZE, generate_photo
from benchmarks.bulk.partner import Partner
from benchmarks.bulk.results import conditions, keep, read
from benchmarks.bulk.serving import load, running, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.bulk.serving import Program

LEAST_THROUGHPUT = {"12 MP": 0.9, "1600 px": 0.85}
"""Of a batch, to the bare drawing rate. What a photo takes beside drawing (to be fetched, opened, drawn
small, sealed, flushed to the disk, written down) is some 5 ms of CPU, of whatever size it is."""
MOST_SLOWER, MOST_SECONDS = 2.0, 1.0
"""Of a single avatar beside a batch: its median to that without one, and its 99th percentile."""
MOST_STATUS_SECONDS, MOST_FIRST_BYTE_SECONDS = 0.05, 1.0

PHOTOS = {"12 MP": (4032, 3024), "1600 px": (1600, 1200)}
"""As phones take them, and as the partners' page sends them."""
SINGLE = f"{SIZE} px square"
"""What the page of supporters sends."""
_DIFFERENT = 4
_SINGLES_A_SECOND = 4.0


@dataclass(frozen=True)
class Rate:
    """What drawing came to.

    Attributes:
        rate: Photos a second.
        cpu: Seconds of CPU for each.
    """

    rate: float
    cpu: float


def generate_photos(size: tuple[int, int]) -> list[bytes]:
    """Return a few different photos of a size."""
    width, height = size
    return [generate_photo((width - 16 * number, height)) for number in range(_DIFFERENT)]


async def bare(photos: Sequence[bytes], count: int) -> Rate:
    """Draw with the pool alone, which is never without a job."""
    drawing = Drawing.build(load_settings())
    spec = parse_spec([], drawing.frames)
    left = islice(cycle(photos), count)

    async def draw() -> None:
        for photo in left:
            await drawing.pool.run(partial(drawing.studio.draw_avatar, photo, spec), Lane.BULK, "partner")

    async with drawing.pool.opened():
        start, cpu = time.perf_counter(), _cpu_seconds()
        async with anyio.create_task_group() as tasks:
            for _ in range(2 * (os.cpu_count() or 1)):
                tasks.start_soon(draw)
        return Rate(count / (time.perf_counter() - start), (_cpu_seconds() - cpu) / count)


def _cpu_seconds() -> float:
    import psutil  # noqa: PLC0415 - each of the pool's processes would load it

    times = [psutil.Process().cpu_times(), *(c.cpu_times() for c in psutil.Process().children())]
    return sum(each.user + each.system for each in times)


class Bench:
    """Measures one service.

    Args:
        program: Its processes.
        partner: Who asks.
        url: Where it is.
    """

    def __init__(self, program: Program, partner: Partner, url: str) -> None:
        self._program = program
        self.partner = partner
        self._url = url

    def prepare(self, photos: Sequence[bytes], count: int) -> tuple[str, float]:
        """Send a batch; return its path, and the CPU that each photo took of the service."""
        batch = self.partner.make_batch()
        cpu = self._program.cpu_seconds()
        sent = zip(map("photo {:05}.jpg".format, range(count)), cycle(photos), strict=False)
        self.partner.send(batch, sent)
        return batch, (self._program.cpu_seconds() - cpu) / count

    def draw(self, batch: str) -> Rate:
        """Have a batch drawn."""
        cpu = self._program.cpu_seconds()
        self.partner.ask("POST", f"{batch}/start")
        told = self.partner.follow(batch)
        assert told["failed"] == 0  # noqa: S101 - nothing is measured of what was not drawn
        start, end = (datetime.fromisoformat(told[name]) for name in ("started", "finished"))
        rate = told["done"] / (end - start).total_seconds()
        return Rate(rate, (self._program.cpu_seconds() - cpu) / told["done"])

    def singles(self, photo: bytes, seconds: float, still: threading.Event | None = None) -> list[float]:
        """Ask for single avatars at a steady rate, and return how long each took, sorted.

        Args:
            photo: What is sent.
            seconds: For how long.
            still: Ends it before, when it is cleared.
        """
        taken = []
        end = time.perf_counter() + seconds
        with httpx2.Client(base_url=self._url, timeout=60) as client:
            while (start := time.perf_counter()) < end and (still is None or still.is_set()):
                client.post("/v1/avatars", content=photo).raise_for_status()
                taken.append(time.perf_counter() - start)
                time.sleep(max(0.0, 1 / _SINGLES_A_SECOND - taken[-1]))
        return sorted(taken)

    def singles_beside(self, batch: str, photo: bytes) -> tuple[list[float], list[float]]:
        """Have a batch drawn; return what single avatars took meanwhile, and what its own state did."""
        still = threading.Event()
        still.set()
        singles: list[float] = []
        asking = threading.Thread(target=lambda: singles.extend(self.singles(photo, 3600, still)))
        states = []
        self.partner.ask("POST", f"{batch}/start")
        time.sleep(0.5)
        asking.start()
        while True:
            start = time.perf_counter()
            told = self.partner.ask("GET", batch)
            states.append(time.perf_counter() - start)
            if told["state"] == "done":
                break
            time.sleep(0.1)
        still.clear()
        asking.join()
        return singles, sorted(states)


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """Return the value below which a share of all lie."""
    return sorted_values[min(len(sorted_values) - 1, math.ceil(share * len(sorted_values)) - 1)]


class Report:
    """Prints figures, and remembers them and whether all budgets are kept."""

    def __init__(self) -> None:
        self.is_kept = True
        self.throughput: dict[str, dict[str, Any]] = {}
        self.supporters: dict[str, dict[str, Any]] = {}

    def budget(self, text: str, value: float, most: float, unit: str = "") -> None:
        """Print a figure and the most that it may be."""
        self._line(text, f"{value:.2f}{unit}", f"at most {most:g}{unit}", kept=value <= most)

    def least(self, text: str, value: float, least: float) -> None:
        """Print a figure and the least that it may be."""
        self._line(text, f"{value:.2f}", f"at least {least:g}", kept=value >= least)

    def _line(self, text: str, value: str, budget: str, *, kept: bool) -> None:
        self.is_kept &= kept
        print(f"  {text:<52}{value:>10}   {budget}{'' if kept else '   MISSED'}", flush=True)

    def rate(self, text: str, rate: Rate, beside: Rate | None = None) -> None:
        """Print a rate, and what it is to another."""
        ratio = f"{rate.rate / beside.rate:>8.2f}" if beside else ""
        print(f"  {text:<40}{rate.rate:>8.1f}{rate.cpu * 1e3:>10.1f}{ratio}", flush=True)


def measure_throughput(bench: Bench, folder: Path, name: str, count: int, report: Report) -> None:
    """Measure bare drawing, a batch, and the command line, with one size of photos."""
    photos = generate_photos(PHOTOS[name])
    print(f"\n{name}, {sum(map(len, photos)) / len(photos) / 1e6:.1f} MB each, {count} of them; {load()}")
    print(f"  {'':<40}{'photos/s':>8}{'CPU ms':>10}{'ratio':>8}")
    batch, receive_cpu = bench.prepare(photos, count)
    before = anyio.run(bare, photos, count, backend_options={"use_uvloop": True})
    drawn = bench.draw(batch)
    after = anyio.run(bare, photos, count, backend_options={"use_uvloop": True})
    beside = Rate(statistics.mean((before.rate, after.rate)), statistics.mean((before.cpu, after.cpu)))
    report.rate("the pool alone", beside)
    report.rate("a batch over HTTP", drawn, beside)
    seconds, size = bench.partner.first_byte(f"{batch}/avatars.zip")
    bench.partner.client.delete(batch)
    by_command = measure_command(folder, photos, count)
    report.rate("ribbons bulk, from its start to its end", by_command, beside)
    print(f"  {'received by the service, CPU':<48}{receive_cpu * 1e3:>10.1f}")
    report.throughput[name] = {
        "bare": asdict(beside),
        "batch": asdict(drawn),
        "command": asdict(by_command),
        "receive_cpu": receive_cpu,
        "photo_bytes": sum(map(len, photos)) // len(photos),
        "avatar_bytes": size // count,
    }
    report.least("a batch to bare drawing", drawn.rate / beside.rate, LEAST_THROUGHPUT[name])
    report.budget(f"first byte of avatars.zip, {size / 1e6:.0f} MB", seconds, MOST_FIRST_BYTE_SECONDS, " s")


def measure_command(folder: Path, photos: Sequence[bytes], count: int) -> Rate:
    """Draw a folder of photos by the command line."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        source, goal = Path(place) / "photos", Path(place) / "avatars"
        source.mkdir()
        for number, photo in zip(range(count), cycle(photos), strict=False):
            (source / f"{number:05}.jpg").write_bytes(photo)
        start, cpu = time.perf_counter(), os.times()
        with running(["bulk", str(source), str(goal)], folder, {}) as program:
            if program.process.wait() != 0:
                raise RuntimeError(program.log.read_text())
        seconds, after = time.perf_counter() - start, os.times()
    taken = after.children_user + after.children_system - cpu.children_user - cpu.children_system
    return Rate(count / seconds, taken / count)


def measure_supporters(bench: Bench, name: str, count: int, report: Report) -> None:
    """Measure single avatars without a batch and beside one."""
    photos, photo = generate_photos(PHOTOS[name]), generate_photo((SIZE, SIZE))
    batch, _ = bench.prepare(photos, count)
    bench.singles(photo, 2)
    alone = bench.singles(photo, 20)
    print(f"\na {SINGLE}, {_SINGLES_A_SECOND:g} a second, beside a batch of {name}; {load()}")
    beside, states = bench.singles_beside(batch, photo)
    bench.partner.client.delete(batch)
    kept: dict[str, Any] = {"state": percentile(states, 0.99)}
    for key, text, taken in (("alone", "alone", alone), ("beside", "beside the batch", beside)):
        median, last = statistics.median(taken), percentile(taken, 0.99)
        kept[key] = {"median": median, "last": last}
        print(f"  {text:<40}median {median * 1e3:>6.0f} ms, 99 % {last * 1e3:>6.0f} ms, of {len(taken)}")
    report.supporters[name] = kept
    report.budget(
        "median, to that without a batch", statistics.median(beside) / statistics.median(alone), MOST_SLOWER
    )
    report.budget("99th percentile", percentile(beside, 0.99), MOST_SECONDS, " s")
    report.budget("state of the batch, 99th percentile", percentile(states, 0.99), MOST_STATUS_SECONDS, " s")


def _drawn(bench: Bench) -> str:
    """Have a small batch drawn, and return its path."""
    batch, _ = bench.prepare(generate_photos((400, 300)), 8)
    bench.draw(batch)
    return batch


def _sized(count: int) -> Iterator[tuple[str, int]]:
    """Yield each kind of photo, and how many of it take about as long as so many of 12 MP."""
    yield "12 MP", count
    yield "1600 px", 2 * count


def main(arguments: list[str]) -> int:
    """Measure and print; return 1 past a budget."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description="What batches cost.")
    parser.add_argument("--photos", type=int, default=600, help="of 12 MP, in a batch (600)")
    parser.add_argument("--only", choices=["throughput", "supporters"], help="measure one of the two")
    parser.add_argument(
        "--write", action="store_true", help="keep the figures, and tell them in docs/scale.md"
    )
    given = parser.parse_args(arguments)
    report, where = Report(), conditions()
    with tempfile.TemporaryDirectory(prefix="ribbons-bench-") as place:
        folder = Path(place)
        environment = {"RIBBONS_DATA_FOLDER": str(folder / "data")}
        with (
            serving(folder, environment) as (program, url),
            Partner.with_new_key(url, environment) as partner,
        ):
            bench = Bench(program, partner, url)
            # Its first batch costs a service a second: a spare worker is started.
            bench.partner.client.delete(_drawn(bench)).raise_for_status()
            for name, count in _sized(given.photos):
                if given.only != "supporters":
                    measure_throughput(bench, folder, name, count, report)
                if given.only != "throughput":
                    measure_supporters(bench, name, count, report)
    if given.write:
        told = {"throughput": report.throughput, "supporters": report.supporters}
        # What was not measured now is as it was measured last.
        keep("bulk", {**read().get("bulk", {}), "conditions": where, **{k: v for k, v in told.items() if v}})
    return 0 if report.is_kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
