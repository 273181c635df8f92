"""An office that has batches drawn by workers, and counts what comes back: for tests of what may go wrong.

It makes batches, sends photos and starts them, as the service does; processes of ``ribbons worker`` draw them
from the same database and store.
"""

from __future__ import annotations

import io
import secrets
import sqlite3
import time
from contextlib import ExitStack, closing
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from PIL import Image

from app.bulk.batches import Batches, Holdings, add_partner
from app.bulk.ledger import Ledger
from app.bulk.opened import BatchRequest
from app.bulk.sealing import open_vault
from app.bulk.store import Store
from app.drawing import Drawing
from app.errors import StorageUnavailable
from app.settings import load_settings
from app.spec import parse_spec
from tests.databases import connected, new_database

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from app.bulk.opened import BatchPhoto
    from tests.s3 import S3Server

SPEC = (("frame", "red-ribbons"), ("size", "64"), ("faces", "off"))
KINDS = 8
"""Photos that differ. A batch has each of them many times, under other names."""


class _Nobody:
    """Stands for an engine that is out of reach: what is started waits until a worker looks for it."""

    def enqueue(self, *_: object) -> None:
        raise StorageUnavailable

    def forget(self, _batch: str) -> None:
        raise StorageUnavailable


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
        self._drawing = Drawing.build(self.settings)
        self.batches = Batches(self.holdings, self._drawing.frames, _Nobody(), self.settings)
        self.partner, self.key = add_partner(self.holdings.ledger, self.holdings.vault, "Solidarity", None)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a worker needs to draw these batches."""
        return {f"RIBBONS_{name.upper()}": value for name, value in self._given.items()} | self._more

    def start(self, photos: int, given: Sequence[tuple[str, str]] = SPEC) -> str:
        """Send a batch of so many photos and start it; return its id."""
        batch = self.batches.create(self.partner, BatchRequest(spec=tuple(given))).id
        for number in range(photos):
            self.batches.receive_photo(self.partner, batch, name_of(number), photo_of(number))
        # As if the service had died right after the start.
        try:
            self.batches.start(self.partner, batch)
        except StorageUnavailable:
            return batch
        raise AssertionError("somebody has enqueued it")

    def wait(self, batch: str, photos: int, seconds: float = 90) -> None:
        """Wait until so many photos of a batch have an outcome."""
        start = time.monotonic()
        while (told := self.batches.get(self.partner, batch)).done + told.failed < photos:
            assert time.monotonic() - start < seconds, f"{told.done} of {photos} were drawn: {told}"
            time.sleep(0.05)

    def chunks(self, batch: str) -> list[str]:
        """Return the states of a batch's chunks, as the engine's database has them."""
        query = "SELECT status FROM {}workflow_status WHERE workflow_uuid LIKE '{}/%'"
        if self.settings.jobs_url is not None:
            with connected(self.settings.jobs_url.get_secret_value()) as database:
                return [row[0] for row in database.execute(query.format("dbos.", batch).encode())]
        with closing(sqlite3.connect(self.settings.data_folder / "jobs.sqlite")) as file:
            return [row[0] for row in file.execute(query.format("", batch))]

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
        assert {kind: kinds.count(kind) for kind in set(kinds)} == {
            "photos": count,
            "avatars": count,
            "thumbs": count,
        }

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
