"""Batches beside what goes wrong: killed processes, databases and stores that fail, photos that kill.

Each is here in little; tests/soak/test_bulk_chaos.py has the long ones.
"""

from __future__ import annotations

import io
import random
import shutil
import signal
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from zipfile import ZipFile

import pytest
from obstore.exceptions import GenericError

from tests.bulk.batchwork import SENDERS, SPEC, Office, name_of, new_chance, send_photos, until
from tests.bulk.deadly import DEADLY, DeadlyStudio
from tests.databases import SERVER, private_cluster
from tests.partners import PartnerProgram
from tests.servers import ROOT, working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.bulk.batchwork import Drawing
    from tests.s3 import S3Server
    from tests.servers import Serve, Worker


class _Faults:
    """Has a folder's calls fail, as a disk does that has no room.

    Args:
        share: Of all calls.
        after: So many calls go well first.
    """

    def __init__(self, share: float, after: int = 0) -> None:
        self.share = share
        self.made = 0
        self._after = after
        self._chance = random.Random(12)  # noqa: S311

    def stand_before(self, bulk: Drawing) -> None:
        """Stand before the store of what draws."""
        store = bulk.store
        objects: Any = store._objects
        store._objects = cast("Any", self)
        for name in ("put", "get", "delete", "list", "list_with_delimiter"):
            setattr(self, name, partial(self._call, getattr(objects, name)))

    def _call(self, call: Callable[..., Any], *given: Any, **more: Any) -> Any:
        self._after -= 1
        if self._after < 0 and self._chance.random() < self.share:
            self.made += 1
            # obstore tells it so, in its text alone.
            raise GenericError("No space left on device (os error 28)")
        return call(*given, **more)


@pytest.fixture(params=["folder", "s3"])
def office(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    """Batches in SQLite and a folder, or in PostgreSQL and S3."""
    if request.param == "folder":
        with Office(tmp_path) as opened:
            yield opened
    else:
        s3: S3Server = request.getfixturevalue("s3_server")
        s3.use(monkeypatch)
        with Office(tmp_path, server=SERVER, s3=s3) as opened:
            yield opened


def test_killed_workers_lose_nothing(office: Office, tmp_path: Path) -> None:
    """Of two workers one is killed (-9) at a random moment, and then both, and nothing is lost."""
    chance = new_chance()
    batch = office.start(90)
    with ExitStack() as stack:

        def start() -> Worker:
            return stack.enter_context(working(tmp_path, office.environment))

        workers = [start(), start()]
        for killed in ([0], [0, 1]):
            office.wait(batch, office.drawn(batch) + chance.randrange(2, 20))
            time.sleep(chance.uniform(0, 0.1))
            for one in killed:
                workers[one].process.kill()
                workers[one] = start()
        office.wait(batch, 90)
        # None is left to a process that is dead, which would be drawn twice by whoever finds it.
        office.until_chunks_are(batch, {"SUCCESS"})
    office.check(batch)


def test_postgresql_restarts_in_the_middle(tmp_path: Path) -> None:
    """When PostgreSQL stops and comes back, its workers wait and go on; nobody has to start them again."""
    with private_cluster() as cluster, Office(tmp_path, server=cluster.url) as office:
        batch = office.start(80)
        with working(tmp_path, office.environment) as worker:
            office.wait(batch, 10)
            cluster.stop()
            time.sleep(2)
            cluster.start()
            office.wait(batch, 80)
            assert worker.process.is_running()
        office.check(batch)


def test_a_folder_that_fails_one_call_in_ten_loses_nothing(tmp_path: Path) -> None:
    """What the store refuses is asked for again, for as long as it takes."""
    with Office(tmp_path) as office, office.drawing() as bulk:
        faults = _Faults(share=0.1)
        faults.stand_before(bulk)
        batch = office.start(60, queue=bulk)
        office.wait(batch, 60)
        assert faults.made > 10
        office.check(batch)


def test_s3_that_fails_one_call_in_ten_loses_nothing(
    tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same of S3, which answers 503, and of which the first failures are seen to by its client."""
    s3_server.use(monkeypatch)
    with Office(tmp_path, s3=s3_server) as office, office.drawing() as bulk:
        batch = office.start(60, queue=bulk)
        s3_server.fail(0.1)
        try:
            office.wait(batch, 60)
        finally:
            s3_server.fail(0)
        office.check(batch)


def test_a_full_disk_is_told_and_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While there is no room the batch says so, and nothing fails; with room it goes on by itself."""
    monkeypatch.setattr("app.bulk.engine._LAST_PAUSE_SECONDS", 1.0)
    with Office(tmp_path) as office, office.drawing() as bulk:
        faults = _Faults(share=1, after=40)
        faults.stand_before(bulk)
        batch = office.start(40, queue=bulk)
        until(lambda: office.batches.get(office.partner, batch).trouble == "storage_full")
        assert office.drawn(batch) < 40
        faults.share = 0
        office.wait(batch, 40)
        told = office.batches.get(office.partner, batch)
        assert (told.trouble, told.failed) == (None, 0)
        office.check(batch)


def test_a_photo_that_kills_is_given_up_after_two_tries(tmp_path: Path) -> None:
    """Each photo on which the process that draws it ends, twice, is reported so; its neighbours are drawn."""
    deadly = {7, 8, 21}
    with Office(tmp_path) as office, office.drawing(studio=DeadlyStudio) as bulk:
        batch = office.start(40, queue=bulk, spoil=dict.fromkeys(deadly, DEADLY))
        office.wait(batch, 40)
        told = office.batches.get(office.partner, batch)
        assert (told.state, told.done, told.failed) == ("done", 37, 3)
        for photo in office.photos(batch):
            if int(photo.name.removesuffix(".jpg")) in deadly:
                assert (photo.state, photo.error and photo.error.code) == ("failed", "worker_died")
            else:
                assert photo.state == "done"
        assert bulk.lost == {"deadline": 0, "died": 6}


def test_another_release_draws_what_the_one_before_has_begun(tmp_path: Path) -> None:
    """Work that is in flight when a release is replaced by another is drawn by both, and each photo once."""
    release = tmp_path / "release"
    shutil.copytree(ROOT / "app", release / "app", ignore=shutil.ignore_patterns("__pycache__"))
    version = release / "app" / "__init__.py"
    version.write_text(version.read_text() + '\n__version__ = "99.0.0"\n')
    with Office(tmp_path) as office:
        batch = office.start(100)
        environment = {
            **office.environment,
            "RIBBONS_FRAMES_FOLDER": str(ROOT / "frames"),
            "RIBBONS_FONTS_FOLDER": str(ROOT / "fonts"),
            "RIBBONS_LOG_LEVEL": "debug",
        }
        with working(tmp_path, environment) as old, working(tmp_path, environment, code=release) as new:
            office.until_taken(batch)
            new.until_says("worker_ready")
            old.process.send_signal(signal.SIGTERM)
            office.wait(batch, 100)
            assert old.process.wait(30) == 0
        office.check(batch)


def test_nothing_is_written_of_an_erased_batch(office: Office, tmp_path: Path) -> None:
    """A batch that is erased while others draw it leaves no object, no row and no chunk, and no trouble."""
    with working(tmp_path, office.environment) as worker, office.drawing() as bulk:
        worker.until_says("worker_ready")
        batch = office.start(300, queue=bulk)
        kept = office.start(5, queue=bulk)
        office.wait(batch, 20)
        bulk.batches.erase(office.partner, batch)
        office.wait(kept, 5)
        time.sleep(1)
        assert not [name for name in office.objects() if name.startswith(batch)]
        assert office.holdings.ledger.all_batches() == {kept}
        assert not office.holdings.ledger.photos_after(batch, 0, 10)
        assert not office.chunks(batch)
        office.check(kept)
        assert "chunk_failed" not in worker.output


def test_a_service_that_is_killed_loses_nothing(tmp_path: Path, serve: Serve) -> None:
    """It is killed (-9) while photos are sent, and while they are drawn: what was answered for is there.

    The partner sends what it had no answer for once more, and takes all of it home at the end.
    """
    chance = new_chance()
    with Office(tmp_path) as office:
        environment = {**office.environment, "RIBBONS_BATCHES": "true"}
        with serve(environment=environment) as server, PartnerProgram(server.url, office.key) as partner:
            batch = partner.new_batch(spec=dict(SPEC))
            after = chance.randrange(5, 35)
            sent = len(send_photos(partner, batch, range(40), after, server.process.kill))
        with serve(environment=environment) as server, PartnerProgram(server.url, office.key) as partner:
            shown = partner.shown(batch)
            assert sent <= shown["received"] <= sent + SENDERS
            assert len(send_photos(partner, batch, range(40))) == 40
            assert partner.post(f"{batch}/start").status_code == 202
            office.wait(shown["id"], chance.randrange(1, 20))
            server.process.kill()
        with serve(environment=environment) as server, PartnerProgram(server.url, office.key) as partner:
            partner.until_done(batch)
            zipped = partner.get(f"{batch}/avatars.zip").content
        office.check(shown["id"], 40)
    with ZipFile(io.BytesIO(zipped)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(map(name_of, range(40)))
