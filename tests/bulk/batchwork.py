"""An office that has batches drawn by workers, and counts what comes back: for tests of what may go wrong.

It makes batches, sends photos and starts them, as the service does; processes of ``ribbons worker`` draw them
from the same database and store.
"""

from __future__ import annotations

import io
import os
import random
import secrets
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import httpx2
import psycopg
from anyio.from_thread import start_blocking_portal
from PIL import Image

from app import drawing
from app.bulk.batches import Batches, Holdings
from app.bulk.bulk import Bulk
from app.bulk.ledger import Ledger
from app.bulk.opened import BatchRequest
from app.bulk.partners import add_partner
from app.bulk.sealing import open_vault
from app.bulk.store import Store
from app.errors import StorageUnavailable
from app.jobs import Studio
from app.settings import load_settings
from app.spec import parse_spec
from tests.databases import connected, new_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from app.bulk.opened import BatchPhoto, Pairs
    from app.workers import Loss, WorkerPool
    from tests.partners import PartnerProgram
    from tests.s3 import S3Server

SPEC = (("frame", "red-ribbons"), ("size", "64"), ("faces", "off"))
SENDERS = 4
"""Photos that a partner's program sends at the same time."""

KINDS = 8
"""Photos that differ. A batch has each of them many times, under other names."""


class _Nobody:
    """Stands for an engine that is out of reach: what is started waits until a worker looks for it."""

    def enqueue(self, *_: object, **__: object) -> None:
        raise StorageUnavailable

    def forget(self, _batch: str) -> None:
        raise StorageUnavailable


@dataclass(frozen=True)
class Drawing:
    """What draws batches in the test's own process, as a service does.

    Attributes:
        bulk: The parts.
        pool: The processes that draw.
    """

    bulk: Bulk
    pool: WorkerPool

    @property
    def batches(self) -> Batches:
        """What partners may do, with an engine behind it."""
        return self.bulk.batches

    @property
    def store(self) -> Store:
        """Where the bytes are."""
        return self.bulk._drawer._store

    @property
    def lost(self) -> dict[Loss, int]:
        """How many processes were lost, and why."""
        return self.pool.lost


class Office:
    """Batches in a folder, or in PostgreSQL and a bucket; to be used as a block.

    Args:
        folder: Of the test.
        server: Of PostgreSQL, where one is to be used.
        s3: A server of S3, where one is to be used. The test lets its own process use it.
        given: More settings.
    """

    def __init__(
        self, folder: Path, *, server: str | None = None, s3: S3Server | None = None, **given: str
    ) -> None:
        self._stack = ExitStack()
        self._given = {"data_folder": str(folder / "data"), "secret": secrets.token_hex(20), **given}
        self._more: dict[str, str] = {}
        if server is not None:
            self._given["jobs_url"] = self._stack.enter_context(new_database(server))
        if s3 is not None:
            self._given["store_url"] = s3.new_store()
            self._more = s3.environment

    def __enter__(self) -> Self:
        self.settings = load_settings(workers=1, **self._given)
        self.holdings = Holdings(
            Ledger.build(self.settings), Store.build(self.settings), open_vault(self.settings)
        )
        self._stack.callback(self.holdings.ledger.close)
        self.holdings.ledger.migrate()
        self.holdings.ledger.check_secret(self.holdings.vault.fingerprint)
        self._drawing = drawing.Drawing.build(self.settings)
        self.batches = Batches(self.holdings, self._drawing.frames, _Nobody(), self.settings)
        self.partner, self.key = add_partner(self.holdings.ledger, self.holdings.vault, "Solidarity", None)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a worker needs to draw these batches."""
        return {f"RIBBONS_{name.upper()}": value for name, value in self._given.items()} | self._more

    @contextmanager
    def drawing(self, studio: type[Studio] = Studio) -> Iterator[Drawing]:
        """Draw in this process, too, for the length of a block.

        Args:
            studio: What to draw with.
        """
        usual = drawing.Drawing.build(self.settings)
        parts = {part.name: getattr(usual.studio, part.name) for part in fields(Studio)}
        built = replace(usual, studio=studio(**parts))
        bulk = Bulk.build(self.settings, built)
        with (
            start_blocking_portal() as portal,
            portal.wrap_async_context_manager(built.pool.opened()),
            portal.wrap_async_context_manager(bulk.opened()),
        ):
            yield Drawing(bulk, built.pool)

    def start(
        self,
        photos: int,
        *,
        queue: Drawing | None = None,
        spoil: Mapping[int, bytes] | None = None,
        spec: Pairs = SPEC,
        photo: bytes | None = None,
    ) -> str:
        """Send a batch of so many photos and start it; return its id.

        Args:
            photos: How many.
            queue: What is told of it. Unless given it is as if the service had died right after the start.
            spoil: What is put behind some of them.
            spec: What is made of them.
            photo: All of them, instead of small ones.
        """
        batch = self.batches.create(self.partner, BatchRequest(spec=spec)).id
        for number in range(photos):
            content = (photo or photo_of(number)) + (spoil or {}).get(number, b"")
            self.batches.receive_photo(self.partner, batch, name_of(number), content)
        if queue is not None:
            queue.batches.start(self.partner, batch)
            return batch
        try:
            self.batches.start(self.partner, batch)
        except StorageUnavailable:
            return batch
        raise AssertionError("somebody has enqueued it")

    def wait(self, batch: str, photos: int, seconds: float = 90) -> None:
        """Wait until so many photos of a batch have an outcome."""
        start = time.monotonic()
        while self.drawn(batch) < photos:
            assert time.monotonic() - start < seconds, f"{self.drawn(batch)} of {photos} were drawn"
            time.sleep(0.05)

    def chunks(self, batch: str) -> list[str]:
        """Return the states of a batch's chunks, as the engine's database has them."""
        query = "SELECT status FROM {}workflow_status WHERE workflow_uuid LIKE '{}/%'"
        if self.settings.jobs_url is not None:
            with connected(self.settings.jobs_url.get_secret_value()) as database:
                try:
                    return [row[0] for row in database.execute(query.format("dbos.", batch).encode())]
                except psycopg.errors.UndefinedTable:  # a worker is making the tables
                    return []
        path = self.settings.data_folder / "jobs.sqlite"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path)) as file:
            try:
                return [row[0] for row in file.execute(query.format("", batch))]
            except sqlite3.OperationalError:  # as above
                return []

    def drawn(self, batch: str) -> int:
        """Return how many photos of a batch have an outcome, when the database is there again."""
        while True:
            try:
                told = self.batches.get(self.partner, batch)
            except StorageUnavailable:
                time.sleep(0.2)
            else:
                return told.done + told.failed

    def until_chunks_are(self, batch: str, states: set[str], seconds: float = 60) -> None:
        """Wait until the chunks of a batch are in certain states, and in no others."""
        start = time.monotonic()
        while set(self.chunks(batch)) != states:
            assert time.monotonic() - start < seconds, set(self.chunks(batch))
            time.sleep(0.05)

    def until_taken(self, batch: str, seconds: float = 60) -> None:
        """Wait until a worker has begun to draw a batch."""
        start = time.monotonic()
        while "PENDING" not in self.chunks(batch):
            assert time.monotonic() - start < seconds, "nobody draws it"
            time.sleep(0.05)

    def photos(self, batch: str) -> list[BatchPhoto]:
        """Return all photos of a batch."""
        return self.batches.photos(self.partner, batch, after=0, limit=100_000)

    def check(self, batch: str, photos: int | None = None) -> None:
        """See that each photo has exactly one avatar, one outcome, one row, and the bytes it should have."""
        told = self.batches.get(self.partner, batch)
        count = photos or told.received
        assert (told.state, told.received, told.done, told.failed) == ("done", count, count, 0)
        found = self.photos(batch)
        assert sorted(photo.event for photo in found) == list(range(1, count + 1))
        assert sorted(photo.name for photo in found) == sorted(map(name_of, range(count)))
        for photo in found:
            number = int(photo.name.removesuffix(".jpg"))
            assert self.batches.avatar(self.partner, batch, photo.name)[0] == self.avatars[number % KINDS]
        report = b"".join(self.batches.report(self.partner, batch, "en")).splitlines()
        assert len(report) == count + 1
        assert len(set(report)) == count + 1
        kinds = [name.split("/")[1] for name in self.objects() if name.startswith(f"{batch}/")]
        # Whoever was killed has left some that no row names, which are erased with their batch.
        assert min(kinds.count("avatars"), kinds.count("photos")) >= count

    @cached_property
    def avatars(self) -> list[bytes]:
        """What an undisturbed run makes of each kind of photo, drawn in this process."""
        spec = parse_spec(SPEC, self._drawing.frames)
        return [
            self._drawing.studio.draw_for_batch(photo_of(number), spec)[0].content for number in range(KINDS)
        ]

    def objects(self) -> list[str]:
        """Return the names of what is in the store, but for drafts that killed processes have left."""
        objects: Any = self.holdings.store._objects
        names = [found["path"] for page in objects.list() for found in page]
        return [name for name in names if "#" not in name]


def send_photos(
    partner: PartnerProgram,
    batch: str,
    numbers: Iterable[int],
    after: int = -1,
    end: Callable[[], None] = lambda: None,
) -> set[int]:
    """Send photos side by side, as a partner's program does, to a service that may end meanwhile.

    Args:
        partner: The program.
        batch: The address of the batch.
        numbers: The photos'.
        after: After so many that were answered for, the service is ended.
        end: What ends it.

    Returns:
        The numbers of those that were answered for.
    """
    answered: set[int] = set()
    lock = threading.Lock()

    def send(number: int) -> None:
        try:
            answer = partner.send_photo(batch, name_of(number), photo_of(number))
        except httpx2.TransportError:
            return
        assert answer.status_code in {200, 201}, answer.text
        with lock:
            answered.add(number)
            if len(answered) == after:
                end()

    with ThreadPoolExecutor(SENDERS) as threads:
        list(threads.map(send, numbers))
    return answered


def new_chance() -> random.Random:
    """Return what moments are chosen by, and print its seed: it is shown where a test fails.

    ``CHAOS_SEED`` in the environment chooses the same ones again.
    """
    seed = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(1_000_000))
    print(f"CHAOS_SEED={seed}")  # noqa: T201
    return random.Random(seed)  # noqa: S311


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is so."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds
        time.sleep(0.02)


def name_of(number: int) -> str:
    """Return the name of a photo."""
    return f"{number:05}.jpg"


def photo_of(number: int) -> bytes:
    """Return a photo; each of :data:`KINDS` differs from the others."""
    picture = Image.linear_gradient("L").resize((120, 160)).rotate(45 * (number % KINDS))
    file = io.BytesIO()
    Image.merge("RGB", (picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), picture)).save(
        file, "JPEG"
    )
    return file.getvalue()
