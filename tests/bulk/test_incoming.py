"""A ZIP of photos that comes as one stream."""

from __future__ import annotations

import io
import random
import zipfile
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from app.bulk.incoming import PIECE_BYTES
from app.bulk.opened import BatchRequest
from app.bulk.report import read_report
from app.errors import (
    ArchiveDamaged,
    ArchiveNotSupported,
    ArchiveTooLarge,
    BatchFull,
    BatchNotFound,
    BatchNotOpen,
    QuotaUsedUp,
)
from tests.bulk.desks import opened_desk, small_photo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from app.bulk.incoming import Incoming
    from app.bulk.opened import Partner
    from tests.bulk.desks import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Batches in a folder."""
    with opened_desk(tmp_path) as opened:
        yield opened


@pytest.fixture
def partner(desk: Desk) -> Partner:
    """Somebody with a key."""
    return desk.partner()


def packed(**files: bytes) -> bytes:
    """Return a ZIP."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def writer(desk: Desk, partner: Partner) -> tuple[str, Incoming]:
    """Make a batch, and what takes a ZIP in for it."""
    batch = desk.batches.create(partner, BatchRequest()).id
    return batch, desk.batches.archive_writer(partner, batch)


def stored(desk: Desk, batch: str, kind: str) -> list[Path]:
    """Return the objects of a kind."""
    return list((desk.settings.data_folder / "store" / batch / kind).rglob("*"))


def test_photos_of_a_zip_are_the_batchs(desk: Desk, partner: Partner) -> None:
    """In pieces of any size as they come; nothing of the ZIP itself stays."""
    noise = small_photo() + random.Random(1).randbytes(2 * PIECE_BYTES + 12345)  # noqa: S311 - no secret
    archive = packed(
        **{"قسم/أ.jpg": small_photo(), "b.jpg": noise, "Thumbs.db": b"x", "__MACOSX/._b.jpg": b"x"}
    )
    batch, incoming = writer(desk, partner)
    cuts = [0, 1, 100, PIECE_BYTES, PIECE_BYTES + 1, len(archive)]
    for start, stop in pairwise(cuts):
        incoming.write(archive[start:stop])
    charged: list[int] = []

    receipt = incoming.finish(charged.append)

    assert charged == [2]
    assert receipt.taken == 2
    assert sorted(receipt.skipped) == ["Thumbs.db", "__MACOSX/._b.jpg"]
    assert receipt.refused == []
    photos = desk.batches.photos(partner, batch, after=0, limit=10)
    assert {photo.name for photo in photos} == {"قسم/أ.jpg", "b.jpg"}
    assert [path for path in stored(desk, batch, "archive") if path.is_file()] == []
    number = next(photo.number for photo in photos if photo.name == "b.jpg")
    (task,) = desk.holdings.ledger.photos_after(batch, number - 1, 1)
    opened = desk.batches._open(partner, batch)
    assert desk.holdings.store.get(f"{batch}/photos/{task.token}", opened.key) == noise


def test_what_is_wrong_with_one_entry_costs_that_entry(desk: Desk, partner: Partner) -> None:
    """It is named, with the reason."""
    archive = packed(**{"../a.jpg": b"x", "b.jpg": small_photo()})
    _, incoming = writer(desk, partner)
    incoming.write(archive)
    receipt = incoming.finish()
    assert receipt.taken == 1
    assert [error.code for _, error in receipt.refused] == ["invalid_name"]


def test_what_is_refused_is_not_kept(desk: Desk, partner: Partner) -> None:
    """An error's traceback would hold its photo, and a ZIP may have thousands that are refused."""
    _, incoming = writer(desk, partner)
    incoming.write(packed(**{"a.jpg": b"no photo", "b.jpg": b"none either"}))
    receipt = incoming.finish()
    assert [error.code for _, error in receipt.refused] == ["photo_not_supported"] * 2
    assert not any(error.__traceback__ or error.__context__ for _, error in receipt.refused)


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"", ArchiveNotSupported), (b"no ZIP", ArchiveNotSupported), (packed(a=b"x")[:-5], ArchiveDamaged)],
    ids=["nothing", "no ZIP", "cut short"],
)
def test_what_is_no_zip_is_told_and_deleted(
    desk: Desk, partner: Partner, content: bytes, error: type[Exception]
) -> None:
    """And the batch is as it was."""
    batch, incoming = writer(desk, partner)
    incoming.write(content)
    with pytest.raises((error, ArchiveNotSupported)):
        incoming.finish()
    assert desk.batches.get(partner, batch).received == 0
    assert [path for path in stored(desk, batch, "archive") if path.is_file()] == []


def test_a_zip_has_so_many_bytes(tmp_path: Path) -> None:
    """Known as they come."""
    with opened_desk(tmp_path, max_archive_bytes=1000) as desk:
        _, incoming = writer(desk, desk.partner())
        incoming.write(bytes(1000))
        with pytest.raises(ArchiveTooLarge):
            incoming.write(b"x")


def test_one_that_is_broken_off_leaves_nothing(desk: Desk, partner: Partner) -> None:
    """Not a piece."""
    batch, incoming = writer(desk, partner)
    incoming.write(bytes(3 * PIECE_BYTES))
    assert len([path for path in stored(desk, batch, "archive") if path.is_file()]) == 3
    incoming.abandon()
    assert [path for path in stored(desk, batch, "archive") if path.is_file()] == []


def test_nothing_is_taken_that_is_not_paid_for(desk: Desk, partner: Partner) -> None:
    """All photos of a ZIP are charged before the first is taken."""
    batch, incoming = writer(desk, partner)
    incoming.write(packed(**{"a.jpg": small_photo(), "b.jpg": small_photo()}))

    def charge(photos: int) -> None:
        raise QuotaUsedUp(60, quota="photos-a-day", limit=photos)

    with pytest.raises(QuotaUsedUp):
        incoming.finish(charge)
    assert desk.batches.get(partner, batch).received == 0


def test_a_batch_that_is_full_says_so(tmp_path: Path) -> None:
    """What fitted in stays."""
    with opened_desk(tmp_path, max_batch_photos=1) as desk:
        partner = desk.partner()
        batch, incoming = writer(desk, partner)
        incoming.write(packed(**{"a.jpg": small_photo(), "b.jpg": small_photo()}))
        with pytest.raises(BatchFull):
            incoming.finish()
        assert desk.batches.get(partner, batch).received == 1


def test_a_zip_ends_with_its_batch(desk: Desk, partner: Partner) -> None:
    """Nothing more is written of a batch that was erased, or started, while its ZIP comes."""
    batch, incoming = writer(desk, partner)
    incoming.write(bytes(2 * PIECE_BYTES))
    desk.batches.erase(partner, batch)
    with pytest.raises(BatchNotFound):
        incoming.write(bytes(PIECE_BYTES))
    incoming.abandon()
    assert not [path for path in stored(desk, batch, "archive") if path.is_file()]

    batch, incoming = writer(desk, partner)
    desk.batches.start(partner, batch, without_missing=True)
    with pytest.raises(BatchNotOpen):
        incoming.write(bytes(PIECE_BYTES))
    incoming.abandon()


def test_photos_that_are_sent_again_are_charged_once(desk: Desk, partner: Partner) -> None:
    """A ZIP whose line broke has to be sent from its beginning."""
    batch, incoming = writer(desk, partner)
    charged: list[int] = []
    for files in (("a.jpg", "b.jpg"), ("a.jpg", "b.jpg", "c.jpg"), ("c.jpg",)):
        incoming = desk.batches.archive_writer(partner, batch)
        incoming.write(packed(**dict.fromkeys(files, small_photo())))
        incoming.finish(charged.append)
    assert charged == [2, 1, 0]
    assert desk.batches.get(partner, batch).received == 3


def test_what_cannot_be_taken_of_a_zip_fails_with_its_reason(desk: Desk, partner: Partner) -> None:
    """It was sent, so nobody is told to send it; and every name that a table has is in the report."""
    batch, incoming = writer(desk, partner)
    desk.batches.set_table(partner, batch, b"photo,id\nx.jpg,1\nok.jpg,2\n", {})
    incoming.write(packed(**{"x.jpg": b"no photo", "y.jpg": b"no photo", "ok.jpg": small_photo()}))
    receipt = incoming.finish()
    assert (receipt.taken, [name for name, _ in receipt.refused]) == (1, ["x.jpg", "y.jpg"])
    told = desk.batches.get(partner, batch)
    assert (told.received, told.missing) == (3, 0)
    desk.batches.start(partner, batch)
    desk.draw()
    told = desk.batches.get(partner, batch)
    assert (told.state, told.done, told.failed) == ("done", 1, 2)
    rows = read_report(b"".join(desk.batches.report(partner, batch, "en")))
    assert {row["photo"]: (row["outcome"], row["error"]) for row in rows} == {
        "x.jpg": ("failed", "photo_not_supported"),
        "ok.jpg": ("made", ""),
        "y.jpg": ("failed", "photo_not_supported"),
    }


def test_a_photo_takes_the_place_of_one_that_was_refused(desk: Desk, partner: Partner) -> None:
    """And one that is in order is not lost to a broken one of its name that comes later."""
    batch, incoming = writer(desk, partner)
    incoming.write(packed(**{"x.jpg": b"no photo"}))
    incoming.finish()
    desk.batches.receive_photo(partner, batch, "x.jpg", small_photo())
    again = desk.batches.archive_writer(partner, batch)
    again.write(packed(**{"x.jpg": b"no photo"}))
    again.finish()
    desk.batches.start(partner, batch)
    desk.draw()
    assert desk.batches.get(partner, batch).done == 1
