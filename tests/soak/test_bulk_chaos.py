"""Batches of 2,000 photos beside all that goes wrong; tests/bulk/test_nothing_lost.py has it in little."""

from __future__ import annotations

import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import httpx2
import pytest

from tests.bulk.batchwork import SPEC, Office, new_chance, send_photos, until
from tests.databases import private_cluster
from tests.partners import PartnerProgram
from tests.servers import working

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import psutil

    from tests.s3 import S3Server
    from tests.servers import Serve, Server

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

PHOTOS = 2000

T = TypeVar("T")


class _Killable(Protocol):
    """A server or a worker."""

    @property
    def process(self) -> psutil.Popen:
        """What can be killed."""


class Chaos:
    """Kills processes (-9) at random moments, and starts others in their place, until it is told to stop.

    Args:
        chance: What moments are chosen by.
        starts: What starts each process.
        more: What else happens now and then.
    """

    def __init__(
        self,
        chance: random.Random,
        starts: Sequence[Callable[[], AbstractContextManager[_Killable]]],
        more: Sequence[Callable[[], None]] = (),
    ) -> None:
        self.kills = 0
        self.others = 0
        self._chance = chance
        self._starts = starts
        self._more = more
        self._is_over = threading.Event()
        self._fault: BaseException | None = None

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Go on with it for a block; after it everything runs, and nothing is killed any more."""
        with ExitStack() as stack:
            running = [stack.enter_context(start()) for start in self._starts]

            def disturb() -> None:
                try:
                    while not self._is_over.wait(self._chance.uniform(0.5, 6)):
                        if self._more and self._chance.random() < 0.15:
                            self._chance.choice(self._more)()
                            self.others += 1
                            continue
                        which = self._chance.randrange(len(running))
                        running[which].process.kill()
                        self.kills += 1
                        running[which] = stack.enter_context(self._starts[which]())
                except BaseException as exc:  # noqa: BLE001 - told by the test
                    self._fault = exc

            thread = threading.Thread(target=disturb)
            thread.start()
            try:
                yield
            finally:
                self._is_over.set()
                thread.join()
            assert self._fault is None, self._fault


def test_service_and_worker_on_one_machine(tmp_path: Path, serve: Serve) -> None:
    """SQLite and a folder: both are killed again and again, from the first photo sent to the last one drawn.

    The partner's program is as simple as one can be: it sends what it had no answer for.
    """
    chance = new_chance()
    with Office(tmp_path) as office:
        environment = {**office.environment, "RIBBONS_BATCHES": "true"}
        servers: list[Server] = []

        @contextmanager
        def service() -> Iterator[Server]:
            with serve(environment=environment) as server:
                servers.append(server)
                yield server

        def ask(what: Callable[[PartnerProgram], T]) -> T:
            """Ask whichever service there is now, until one answers."""
            start = time.monotonic()
            while True:
                assert time.monotonic() - start < 120
                with suppress(httpx2.TransportError), PartnerProgram(servers[-1].url, office.key) as partner:
                    return what(partner)
                time.sleep(0.2)

        chaos = Chaos(chance, [service, lambda: working(tmp_path, environment)])
        with chaos.going_on():
            address = ask(lambda partner: partner.new_batch(spec=dict(SPEC)))
            left = set(range(PHOTOS))
            while left:
                left -= ask(partial(send_photos, batch=address, numbers=sorted(left)))
            assert ask(lambda partner: partner.post(f"{address}/start").status_code) == 202
            batch = address.rpartition("/")[2]
            office.wait(batch, PHOTOS, seconds=1200)
        office.until_chunks_are(batch, {"SUCCESS"})
        office.check(batch, PHOTOS)
    print(f"\n{chaos.kills} processes were killed")


def test_workers_on_postgresql_and_s3(
    tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers are killed, PostgreSQL is restarted, and S3 refuses one request in ten."""
    chance = new_chance()
    s3_server.use(monkeypatch)
    with private_cluster() as cluster, Office(tmp_path, server=cluster.url, s3=s3_server) as office:
        batch = office.start(PHOTOS)

        def restart() -> None:
            cluster.stop()
            time.sleep(chance.uniform(0, 3))
            cluster.start()

        chaos = Chaos(chance, [lambda: working(tmp_path, office.environment)] * 2, [restart])
        s3_server.fail(0.1)
        try:
            with chaos.going_on():
                office.wait(batch, PHOTOS, seconds=1200)
        finally:
            s3_server.fail(0)
        office.until_chunks_are(batch, {"SUCCESS"})
        office.check(batch, PHOTOS)
    print(f"\n{chaos.kills} workers were killed, PostgreSQL was restarted {chaos.others} times")


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A small disk fills up while a batch is drawn: the batch says so, and goes on when there is room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "none", disk], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs the right to mount a small disk")
    try:
        with Office(disk) as office:
            batch = office.start(600)
            ballast = disk / "ballast"
            with working(tmp_path, office.environment) as worker:
                office.wait(batch, 20)
                _fill(ballast)
                until(lambda: office.batches.get(office.partner, batch).trouble == "storage_full")
                time.sleep(5)
                assert office.drawn(batch) < 600
                ballast.unlink()
                office.wait(batch, 600, seconds=120)
                assert worker.process.is_running()
            assert office.batches.get(office.partner, batch).trouble is None
            office.check(batch, 600)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def _fill(path: Path) -> None:
    """Take all the room that a disk has left."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return
