"""Workers that share one batch: ``python -m benchmarks.bulk.hosts [--photos N]``, as root on Linux.

PostgreSQL and an S3 endpoint (moto) stand beside each other on one host; the batch is drawn by one
``ribbons worker`` with one process, by two on one host, and by two on two hosts. The hosts are network
namespaces: they have cables to each other and nothing else, and share this machine's cores. So the photos are
such that drawing takes nearly all of the time (WebP of 2048 pixels). But whatever else a photo takes, of the
database, the endpoint and the worker's own process, is done on these cores too: where two workers would need
more of them than there are, no two can do 1.8 times the work of one.

The exit code is 1 where two do less than that, or than nine tenths of what the cores allow.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import psutil

from app.bulk.batches import Batches, Holdings
from app.bulk.ledger import Ledger
from app.bulk.opened import BatchRequest
from app.bulk.partners import add_partner
from app.bulk.sealing import open_vault
from app.bulk.store import Store
from app.errors import StorageUnavailable
from app.frames import FrameLibrary
from app.settings import load_settings
from benchmarks.avatar import generate_photo
from benchmarks.bulk.__main__ import PHOTOS, Report
from benchmarks.bulk.results import conditions, keep
from benchmarks.bulk.serving import free_port, load, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from app.bulk.opened import Partner
    from app.settings import Settings

LEAST = 1.8
"""Of the rate of two workers, to that of one, where the cores allow."""
LEAST_OF_CORES = 0.9
"""Of what they allow elsewhere: as many times the rate of one worker as it would take all of them."""
SPEC = (("size", "2048"), ("format", "webp"))

_BRIDGE, _NETWORK = "ribbons-net", "10.83.0"
_HOSTS = ("ribbons-1", "ribbons-2")
_FIRST = 3
"""Photos that are drawn before the clock starts: by then every worker is at it."""
_POLL_SECONDS = 0.1
"""To ask takes a few milliseconds of the cores that are measured."""


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True)  # noqa: S603 - the system's own programs


@contextmanager
def hosts() -> Iterator[str]:
    """Make two hosts for a block, with cables to this one; yield this one's address there."""
    _run("ip", "link", "add", _BRIDGE, "type", "bridge")
    try:
        _run("ip", "address", "add", f"{_NETWORK}.1/24", "dev", _BRIDGE)
        _run("ip", "link", "set", _BRIDGE, "up")
        for number, host in enumerate(_HOSTS, 2):
            _run("ip", "netns", "add", host)
            _run("ip", "link", "add", f"{host}-a", "type", "veth", "peer", "name", "eth0", "netns", host)
            _run("ip", "link", "set", f"{host}-a", "master", _BRIDGE, "up")
            inside = ("ip", "-n", host)
            _run(*inside, "address", "add", f"{_NETWORK}.{number}/24", "dev", "eth0")
            _run(*inside, "link", "set", "eth0", "up")
            _run(*inside, "link", "set", "lo", "up")
        yield f"{_NETWORK}.1"
    finally:
        for host in _HOSTS:
            subprocess.run(["ip", "netns", "delete", host], check=False, capture_output=True)  # noqa: S603, S607
        _run("ip", "link", "delete", _BRIDGE)


@contextmanager
def postgres(address: str) -> Iterator[str]:
    """Run a PostgreSQL server for a block; yield the address of a database."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    folder, port = Path(tempfile.mkdtemp(prefix="ribbons-hosts-")), free_port()
    data = folder / "data"
    as_user = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
    try:
        shutil.chown(folder, "postgres", "postgres")
        _run(*as_user, programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust")
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {_NETWORK}.0/24 trust\n")
        options = f"-p {port} -c listen_addresses={address} -c unix_socket_directories={folder}"
        control = (*as_user, programs / "pg_ctl", "-w", "-D", data)
        _run(*control, "-l", data / "log", "-o", options, "start")
        try:
            yield f"postgresql://postgres@{address}:{port}/postgres"
        finally:
            _run(*control, "-m", "fast", "stop")
    finally:
        shutil.rmtree(folder)


@contextmanager
def bucket(address: str, folder: Path) -> Iterator[dict[str, str]]:
    """Run an S3 endpoint with a bucket for a block; yield the variables that lead to it."""
    port = free_port()
    with (folder / "s3.log").open("wb") as log:
        command = [str(Path(sys.executable).parent / "moto_server"), "-H", address, "-p", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - a program of ours
    url = f"http://{address}:{port}"
    try:
        for _ in range(300):
            try:
                httpx2.put(f"{url}/ribbons").raise_for_status()
                break
            except httpx2.TransportError:
                time.sleep(0.1)
        yield {
            "RIBBONS_STORE_URL": "s3://ribbons",
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
    finally:
        process.terminate()
        process.wait()


class _Nobody:
    """A queue that is away: workers see for themselves that a batch was started, and enqueue it."""

    def enqueue(self, *_: object, **__: object) -> None:
        """Leave it to workers."""
        raise StorageUnavailable

    def forget(self, batch: str) -> None:
        """There is nothing to forget."""


class Bench:
    """Has batches drawn by workers that are started for each.

    Args:
        settings: Of all.
        environment: The same as variables.
        folder: For logs.
    """

    def __init__(self, settings: Settings, environment: Mapping[str, str], folder: Path) -> None:
        holdings = Holdings(Ledger.build(settings), Store.build(settings), open_vault(settings))
        holdings.ledger.migrate()
        frames = FrameLibrary(settings.frames_folders, settings.fonts)
        self._batches = Batches(holdings, frames, _Nobody(), settings)
        self._partner: Partner = add_partner(holdings.ledger, holdings.vault, "Benchmark", None)[0]
        self._environment = environment
        self._folder = folder

    def rate(self, count: int, places: Sequence[Sequence[str]]) -> tuple[float, float]:
        """Have a batch drawn by a worker in each of some places.

        Returns:
            Photos a second, and how many cores were at work meanwhile, with all that is not the workers.
        """
        batch = self._batches.create(self._partner, BatchRequest(spec=SPEC)).id
        photo = generate_photo(PHOTOS["12 MP"])
        for number in range(count):
            self._batches.receive_photo(self._partner, batch, f"{number}.jpg", photo)
        with ExitStack() as workers:
            for inside in places:
                workers.enter_context(running(["worker"], self._folder, self._environment, inside))
            self._until_ready(len(places))
            with suppress(StorageUnavailable):
                self._batches.start(self._partner, batch)
            start, before = self._until(batch, _FIRST)
            end, after = self._until(batch, count)
        self._batches.erase(self._partner, batch)
        return (count - _FIRST) / (end - start), (after - before) / (end - start)

    def _until_ready(self, count: int) -> None:
        while sum("worker_ready" in log.read_text() for log in self._folder.glob("worker-*.log")) < count:
            time.sleep(0.1)
        for log in self._folder.glob("worker-*.log"):
            log.rename(log.with_suffix(".read"))

    def _until(self, batch: str, done: int) -> tuple[float, float]:
        while self._batches.get(self._partner, batch).done < done:
            time.sleep(_POLL_SECONDS)
        return time.perf_counter(), _busy_seconds()


def _busy_seconds() -> float:
    """Return the CPU that everything on this machine has taken."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def main(arguments: list[str]) -> int:
    """Measure and print; return 1 past the budget."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bulk.hosts", description="Workers that share."
    )
    parser.add_argument("--photos", type=int, default=120, help="in each batch (120)")
    parser.add_argument(
        "--write", action="store_true", help="keep the figures, and tell them in docs/scale.md"
    )
    given = parser.parse_args(arguments)
    count, report, where = given.photos, Report(), conditions()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ribbons-hosts-")))
        address = stack.enter_context(hosts())
        environment = {
            "RIBBONS_JOBS_URL": stack.enter_context(postgres(address)),
            "RIBBONS_SECRET": "no secret: it is printed in this file",
            "RIBBONS_DATA_FOLDER": str(folder / "data"),
            "RIBBONS_WORKERS": "1",
            **stack.enter_context(bucket(address, folder)),
        }
        os.environ |= environment
        bench = Bench(load_settings(), environment, folder)
        print(f"{count} photos of 12 MP as WebP of 2048 px, PostgreSQL and S3 (moto); {load()}")
        inside = [("ip", "netns", "exec", host) for host in _HOSTS]
        rates, cores = {}, {}
        for text, places in (
            ("one worker", [()]),
            ("two workers on one host", [(), ()]),
            ("two workers on two hosts", inside),
        ):
            rates[text], cores[text] = bench.rate(count, places)
            print(f"  {text:<40}{rates[text]:>8.2f} photos/s {cores[text]:>8.2f} cores at work", flush=True)
        if given.write:
            keep("hosts", {"conditions": where, "rates": rates, "cores": cores})
        alone = rates["one worker"]
        allowed = (os.cpu_count() or 1) / cores["one worker"]
        print(f"  the cores allow {allowed:.2f} times the rate of one")
        for text, rate in list(rates.items())[1:]:
            report.least(f"{text}, to one", rate / alone, min(LEAST, LEAST_OF_CORES * allowed))
    return 0 if report.is_kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
