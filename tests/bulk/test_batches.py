"""What partners may do with their batches, from the first request to the last byte."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from app.bulk import batches as module
from app.bulk.batches import CHUNK, _chunks
from app.bulk.opened import BatchRequest
from app.bulk.partners import add_partner
from app.bulk.report import read_report
from app.errors import (
    BatchEmpty,
    BatchFull,
    BatchIncomplete,
    BatchNotDone,
    BatchNotFound,
    BatchNotOpen,
    BatchPhotoNotFound,
    IdempotencyKeyReused,
    InvalidName,
    InvalidSpec,
    KeyNotKnown,
    PhotoTooManyBytes,
    QuotaUsedUp,
    StorageUnavailable,
)
from tests.bulk.desks import opened_desk, small_photo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from app.bulk.opened import Batch, Partner
    from tests.bulk.desks import Desk

SPEC = (("frame", "red-ribbons"), ("size", "128"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Batches in a folder."""
    with opened_desk(tmp_path) as opened:
        yield opened


@pytest.fixture
def partner(desk: Desk) -> Partner:
    """Somebody with a key."""
    return desk.partner()


def send(desk: Desk, partner: Partner, *names: str, **asked: Any) -> Batch:
    """Make a batch of small photos."""
    batch = desk.batches.create(partner, BatchRequest(**{"spec": SPEC, **asked}))
    for name in names:
        desk.batches.receive_photo(partner, batch.id, name, small_photo())
    return batch


def done(desk: Desk, partner: Partner, *names: str, **asked: Any) -> Batch:
    """Make a batch of small photos, and have it drawn."""
    batch = send(desk, partner, *names, **asked)
    desk.batches.start(partner, batch.id)
    desk.draw()
    return desk.batches.get(partner, batch.id)


# -- keys ------------------------------------------------------------------


def test_a_key_opens_its_own_partner(desk: Desk) -> None:
    """With the name that it was made with, in any script."""
    made, key = add_partner(desk.holdings.ledger, desk.holdings.vault, "نقابة الصحفيين", 500)
    found = desk.batches.partner_of(key)
    assert (found.id, found.name, found.photos_a_day) == (made.id, "نقابة الصحفيين", 500)


@pytest.mark.parametrize("key", ["", "rrk_", "rrk_" + "a" * 38, "ключ", "x" * 10_000])
def test_what_is_no_key_opens_nothing(desk: Desk, key: str) -> None:
    """Nor does one that was revoked, and nobody is told which it is."""
    partner, real = add_partner(desk.holdings.ledger, desk.holdings.vault, "A", None)
    with pytest.raises(KeyNotKnown):
        desk.batches.partner_of(key)
    desk.holdings.ledger.revoke_partner(partner.id)
    with pytest.raises(KeyNotKnown):
        desk.batches.partner_of(real)


def test_another_partners_batch_is_not_there(desk: Desk, partner: Partner) -> None:
    """By none of the ways that lead to a batch."""
    batch = done(desk, partner, "a.jpg").id
    other = desk.partner("Another")
    ways: list[Callable[[], object]] = [
        lambda: desk.batches.get(other, batch),
        lambda: desk.batches.receive_photo(other, batch, "b.jpg", b"x"),
        lambda: desk.batches.archive_writer(other, batch),
        lambda: desk.batches.set_table(other, batch, b"photo\na.jpg\n", {}),
        lambda: desk.batches.start(other, batch),
        lambda: desk.batches.photos(other, batch, after=0, limit=1),
        lambda: desk.batches.events(other, batch, after=0, limit=1),
        lambda: desk.batches.report(other, batch, "en"),
        lambda: desk.batches.parcel(other, batch),
        lambda: desk.batches.avatar(other, batch, "a.jpg"),
        lambda: desk.batches.thumbnail(other, batch, "a.jpg"),
        lambda: desk.batches.contact_sheet(other, batch),
        lambda: desk.batches.reframe(other, batch, "a.jpg", []),
        lambda: desk.batches.download_token(other, batch, "avatars.zip", "en"),
        lambda: desk.batches.erase(other, batch),
    ]
    for way in ways:
        with pytest.raises(BatchNotFound):
            way()
    assert desk.batches.all(other) == []
    assert desk.batches.get(partner, batch).done == 1


# -- a batch's life --------------------------------------------------------


def test_a_batch_from_the_first_photo_to_the_zip(desk: Desk, partner: Partner) -> None:
    """Names in any script and folder come back, each with a picture of the size that was asked for."""
    names = ["موظفون/أحمد.jpg", "b.heic", "b.png", "Zoë.jpeg"]
    batch = done(desk, partner, *names)
    assert (batch.state, batch.received, batch.done, batch.failed, batch.waiting) == ("done", 4, 4, 0, 0)
    packed = b"".join(desk.batches.parcel(partner, batch.id).read())
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["موظفون/أحمد.jpg", "b.heic.jpg", "b.png.jpg", "Zoë.jpg"]
        pictures = [Image.open(io.BytesIO(archive.read(name))) for name in archive.namelist()]
    assert {picture.size for picture in pictures} == {(128, 128)}
    avatar, media_type = desk.batches.avatar(partner, batch.id, "b.heic")
    assert media_type == "image/jpeg"
    assert Image.open(io.BytesIO(avatar)).size == (128, 128)
    assert Image.open(io.BytesIO(desk.batches.thumbnail(partner, batch.id, "b.heic"))).size == (160, 160)


def test_a_table_says_what_each_photo_is_to_be(desk: Desk, partner: Partner) -> None:
    """Its fields win over the batch's, and its own columns come back in the report."""
    batch = send(desk, partner, "a.jpg", "b.jpg").id
    table = b"photo,user id,size,format\nb.jpg,0017,64,png\n"
    receipt = desk.batches.set_table(partner, batch, table, {})
    assert (receipt.rows, receipt.problems) == (1, [])
    desk.batches.start(partner, batch)
    desk.draw()
    png, media_type = desk.batches.avatar(partner, batch, "b.jpg")
    assert media_type == "image/png"
    assert Image.open(io.BytesIO(png)).size == (64, 64)
    report = b"".join(desk.batches.report(partner, batch, "en")).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(report)))
    assert [(row["photo"], row["user id"], row["avatar"], row["outcome"]) for row in rows] == [
        ("a.jpg", "", "a.jpg", "made"),
        ("b.jpg", "0017", "b.png", "made"),
    ]


def test_names_are_one_name_however_they_are_composed(desk: Desk, partner: Partner) -> None:
    """A table from Windows (NFC) finds the photo from a Mac (NFD), which keeps its own spelling."""
    batch = send(desk, partner, "Zoe\u0308.jpg").id
    desk.batches.set_table(partner, batch, "photo,size\nZo\u00eb.jpg,64\n".encode(), {})
    desk.batches.start(partner, batch)
    desk.draw()
    (photo,) = desk.batches.photos(partner, batch, after=0, limit=10)
    assert (photo.name, photo.state) == ("Zoe\u0308.jpg", "done")
    content, _ = desk.batches.avatar(partner, batch, "Zo\u00eb.jpg")
    assert Image.open(io.BytesIO(content)).size == (64, 64)


def test_what_cannot_be_drawn_is_told_and_spoils_nothing_else(desk: Desk, partner: Partner) -> None:
    """A file that is no photo, and a row that asks for what there is not."""
    batch = send(desk, partner, "a.jpg", "b.jpg", "c.jpg").id
    desk.batches.receive_photo(partner, batch, "b.jpg", b"no photo at all")
    receipt = desk.batches.set_table(partner, batch, b"photo,size\nc.jpg,12\n", {})
    assert [(problem.line, problem.photo) for problem in receipt.problems] == [(2, "c.jpg")]
    desk.batches.start(partner, batch)
    desk.draw()
    told = desk.batches.get(partner, batch)
    assert (told.state, told.done, told.failed) == ("done", 1, 2)
    photos = {photo.name: photo for photo in desk.batches.photos(partner, batch, after=0, limit=10)}
    errors = {name: photo.error.code if photo.error else None for name, photo in photos.items()}
    assert errors == {"a.jpg": None, "b.jpg": "photo_not_supported", "c.jpg": "invalid_spec"}
    assert photos["b.jpg"].avatar is None
    with pytest.raises(BatchPhotoNotFound):
        desk.batches.avatar(partner, batch, "b.jpg")
    with zipfile.ZipFile(io.BytesIO(b"".join(desk.batches.parcel(partner, batch).read()))) as archive:
        assert archive.namelist() == ["a.jpg"]


def test_missing_photos_are_numbered_as_the_table_has_them(desk: Desk, partner: Partner) -> None:
    """So a report is in the order of the table; of two rows for one photo the first counts."""
    batch = send(desk, partner).id
    desk.batches.set_table(partner, batch, b"photo,size\nc.jpg,64\na.jpg,65\nc.jpg,66\nb.jpg,67\n", {})
    photos = desk.batches.photos(partner, batch, after=0, limit=10)
    assert [(photo.name, photo.cells[1]) for photo in photos] == [
        ("c.jpg", "64"),
        ("a.jpg", "65"),
        ("b.jpg", "67"),
    ]


def test_a_row_that_cannot_be_read_spoils_its_photo_alone(desk: Desk, partner: Partner) -> None:
    """It is told at once and in the report; a row that names no photo is told, and is none."""
    batch = send(desk, partner, "a.jpg", "b.jpg").id
    receipt = desk.batches.set_table(partner, batch, b"photo,size\na.jpg,64,too,many\nb.jpg,64\n,64\n", {})
    assert [(problem.line, problem.error.code) for problem in receipt.problems] == [
        (2, "invalid_row"),
        (4, "invalid_row"),
    ]
    assert desk.batches.get(partner, batch).missing == 0
    desk.batches.start(partner, batch)
    desk.draw()
    photos = desk.batches.photos(partner, batch, after=0, limit=10)
    assert [(photo.name, photo.state) for photo in photos] == [("a.jpg", "failed"), ("b.jpg", "done")]
    assert photos[0].error is not None
    assert "more cells" in photos[0].error.text("en")


def test_a_row_without_a_folder_finds_the_only_photo_of_its_name(desk: Desk, partner: Partner) -> None:
    """As on the command line; one that could be of several photos is of none."""
    batch = send(desk, partner, "all/Zoe\u0308.jpg", "x/b.jpg", "y/b.jpg", "all/c.jpg").id
    table = "photo,size\nZo\u00eb.jpg,64\nb.jpg,65\nall/c.jpg,66\nc.jpg,67\n".encode()
    desk.batches.set_table(partner, batch, table, {})
    with pytest.raises(BatchIncomplete) as caught:
        desk.batches.start(partner, batch)
    assert caught.value.params == {"missing": 2, "names": ("b.jpg", "c.jpg")}
    desk.batches.start(partner, batch, without_missing=True)
    desk.draw()
    sizes = {}
    for photo in desk.batches.photos(partner, batch, after=0, limit=10):
        if photo.state == "done":
            content, _ = desk.batches.avatar(partner, batch, photo.name)
            sizes[photo.name] = (Image.open(io.BytesIO(content)).width, photo.cells[1:] or None)
    assert sizes == {
        "all/Zoe\u0308.jpg": (64, ("64",)),
        "x/b.jpg": (128, None),
        "y/b.jpg": (128, None),
        "all/c.jpg": (66, ("66",)),
    }


def test_what_is_missing_is_named_before_the_start(desk: Desk, partner: Partner) -> None:
    """Of a table's rows by name; of an expected number, how many. Without them it goes, when that is said."""
    batch = send(desk, partner, "a.jpg", expected=5).id
    desk.batches.set_table(partner, batch, b"photo\na.jpg\nb.jpg\n", {})
    with pytest.raises(BatchIncomplete) as caught:
        desk.batches.start(partner, batch)
    assert caught.value.params == {"missing": 4, "names": ("b.jpg",)}
    assert desk.batches.get(partner, batch).missing == 4

    assert desk.batches.start(partner, batch, without_missing=True).state == "running"
    desk.draw()
    rows = read_report(b"".join(desk.batches.report(partner, batch, "en")))
    assert [(row["photo"], row["outcome"]) for row in rows] == [("a.jpg", "made"), ("b.jpg", "missing")]


def test_a_batch_without_a_photo_is_done_at_once(desk: Desk, partner: Partner) -> None:
    """Where that is meant, there is nothing to wait for."""
    batch = send(desk, partner)
    assert desk.batches.start(partner, batch.id, without_missing=True).state == "done"
    assert b"".join(desk.batches.parcel(partner, batch.id).read())[:4] == b"PK\x05\x06"


def test_a_batch_without_photos_is_not_started_by_mistake(desk: Desk, partner: Partner) -> None:
    """It would be done at once, and take nothing any more."""
    batch = desk.batches.create(partner, BatchRequest()).id
    with pytest.raises(BatchEmpty):
        desk.batches.start(partner, batch)
    assert desk.batches.get(partner, batch).state == "open"
    assert desk.batches.start(partner, batch, without_missing=True).state == "done"


@pytest.mark.parametrize("name", ["Thumbs.db", "trip/.DS_Store", "__MACOSX/a.jpg", "._a.jpg"])
def test_what_systems_lay_beside_photos_is_not_taken_for_one(desk: Desk, partner: Partner, name: str) -> None:
    """It is left out of folders and ZIPs; sent by itself it is refused, not told as a failure in the end."""
    batch = desk.batches.create(partner, BatchRequest()).id
    with pytest.raises(InvalidName):
        desk.batches.has_photo(partner, batch, name)
    with pytest.raises(InvalidName):
        desk.batches.receive_photo(partner, batch, name, b"x")
    assert desk.batches.get(partner, batch).received == 0


def test_a_photo_is_kept_where_nobody_knows_whether_it_was_written_down(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to a commit is lost with a connection: what was acknowledged before may be named by then."""
    batch = send(desk, partner, "a.jpg")
    put = desk.holdings.ledger.put_photo

    def put_photo(*given: Any) -> Any:
        put(*given)
        raise StorageUnavailable

    monkeypatch.setattr(desk.holdings.ledger, "put_photo", put_photo)
    with pytest.raises(StorageUnavailable):
        desk.batches.receive_photo(partner, batch.id, "a.jpg", small_photo())
    desk.batches.start(partner, batch.id)
    desk.draw()
    assert desk.batches.get(partner, batch.id).done == 1


def test_a_row_that_is_no_photos_is_in_the_report(desk: Desk, partner: Partner) -> None:
    """One that names a photo again, or none: all ids of a directory come back, each with an outcome."""
    batch = send(desk, partner, "a.jpg").id
    for table in (b"photo,id\n,0\n", b"photo,id\na.jpg,1\na.jpg,2\n,3\n"):
        desk.batches.set_table(partner, batch, table, {})
    desk.batches.start(partner, batch)
    desk.draw()
    report = b"".join(desk.batches.report(partner, batch, "en"))
    rows = list(csv.DictReader(io.StringIO(report.decode("utf-8-sig"))))
    assert [(row["id"], row["outcome"], row["error"]) for row in rows] == [
        ("1", "made", ""),
        ("2", "failed", "name_repeated"),
        ("3", "failed", "invalid_row"),
    ]
    desk.batches.erase(partner, batch)


def test_nothing_comes_after_the_start(desk: Desk, partner: Partner) -> None:
    """Neither a photo nor a table nor an archive; and to start it again changes nothing."""
    batch = done(desk, partner, "a.jpg").id
    with pytest.raises(BatchNotOpen):
        desk.batches.receive_photo(partner, batch, "b.jpg", small_photo())
    with pytest.raises(BatchNotOpen):
        desk.batches.set_table(partner, batch, b"photo\na.jpg\n", {})
    with pytest.raises(BatchNotOpen):
        desk.batches.archive_writer(partner, batch)
    assert desk.batches.start(partner, batch).state == "done"
    assert desk.queue.chunks == []


def test_a_photo_that_comes_during_the_start_is_drawn_too(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are chosen anew when something arrived while they were."""
    batch = send(desk, partner, "a.jpg").id
    start, tries = desk.holdings.ledger.start, []

    def late(of: str, targets: dict[int, bytes], columns: bytes | None) -> bool:
        tries.append(len(targets))
        if len(tries) == 1:
            desk.batches.receive_photo(partner, batch, "late.jpg", small_photo())
        return start(of, targets, columns)

    monkeypatch.setattr(desk.holdings.ledger, "start", late)
    desk.batches.start(partner, batch)
    desk.draw()
    assert tries == [1, 2]
    assert desk.batches.get(partner, batch).done == 2


def test_chunks_are_small_in_a_small_batch(desk: Desk, partner: Partner) -> None:
    """So that all cores have something to do until the end, and a large one is not a thousand errands."""
    batch = send(desk, partner, *(f"{number}.jpg" for number in range(3)))
    desk.batches.start(partner, batch.id)
    ((name, of, chunks, generation),) = desk.queue.chunks
    assert (name, of, generation) == (batch.id, partner.id, 0)
    assert chunks == [[1], [2], [3]]


def test_the_same_request_makes_one_batch(desk: Desk, partner: Partner) -> None:
    """By its Idempotency-Key; which another request may not have."""
    first = desk.batches.create(partner, BatchRequest(spec=SPEC), ("key", b"print"))
    again = desk.batches.create(partner, BatchRequest(spec=SPEC), ("key", b"print"))
    assert again.id == first.id
    with pytest.raises(IdempotencyKeyReused):
        desk.batches.create(partner, BatchRequest(), ("key", b"another print"))
    assert desk.batches.create(desk.partner("B"), BatchRequest(), ("key", b"print")).id != first.id


def test_a_request_cannot_be_guessed_from_what_is_kept_of_it(desk: Desk, partner: Partner) -> None:
    """Neither its key nor what it asked for: both may hold an organisation's name."""
    asked = hashlib.sha256(b"what was asked for").digest()
    desk.batches.create(partner, BatchRequest(spec=SPEC), ("staff-2026", asked))
    with desk.holdings.ledger._reading() as connection:
        ((digest, fingerprint),) = connection.exec_driver_sql("SELECT digest, fingerprint FROM requests")
    assert digest != hashlib.sha256(b"staff-2026").digest()
    assert fingerprint != asked


def test_all_that_is_wrong_with_a_request_is_named_at_once(desk: Desk, partner: Partner) -> None:
    """The spec's fields and the webhook's address."""
    wrong = BatchRequest(spec=(("size", "1"), ("colour", "red")), webhook="http://localhost/done")
    with pytest.raises(InvalidSpec) as caught:
        desk.batches.create(partner, wrong)
    assert {problem.field for problem in caught.value.problems} == {"size", "colour", "webhook"}


def test_a_partner_has_so_many_batches_at_once(tmp_path: Path) -> None:
    """Done ones do not count."""
    with opened_desk(tmp_path, batches_at_once=2) as desk:
        partner = desk.partner()
        done(desk, partner, "a.jpg")
        for _ in range(2):
            send(desk, partner)
        with pytest.raises(QuotaUsedUp) as caught:
            send(desk, partner)
    assert caught.value.params == {"quota": "batches-at-once", "limit": 2}
    assert caught.value.seconds > 0


def test_a_batch_takes_so_many_photos(tmp_path: Path) -> None:
    """And of one that is refused, nothing stays in the store."""
    with opened_desk(tmp_path, max_batch_photos=1) as desk:
        partner = desk.partner()
        batch = send(desk, partner, "a.jpg").id
        with pytest.raises(BatchFull, match="at most 1"):
            desk.batches.receive_photo(partner, batch, "b.jpg", small_photo())
        assert len(list((tmp_path / "data" / "store").rglob("photos/*"))) == 1


def test_a_photo_has_so_many_bytes_and_a_name(tmp_path: Path) -> None:
    """What leads out of a folder is no name."""
    with opened_desk(tmp_path, max_photo_bytes=1000) as desk:
        partner = desk.partner()
        batch = send(desk, partner).id
        with pytest.raises(PhotoTooManyBytes):
            desk.batches.receive_photo(partner, batch, "b.jpg", bytes(1001))
        for name in ("", "../b.jpg", "a/../../b.jpg", "a\x00.jpg"):
            with pytest.raises(InvalidName):
                desk.batches.receive_photo(partner, batch, name, b"x")
        assert desk.batches.get(partner, batch).received == 0


def test_a_photo_sent_again_replaces_itself(desk: Desk, partner: Partner, tmp_path: Path) -> None:
    """Its first bytes are gone, and it counts once."""
    batch = send(desk, partner, "a.jpg").id
    photo, is_new = desk.batches.receive_photo(partner, batch, "a.jpg", small_photo("red", (300, 300)))
    assert (photo.number, is_new) == (1, False)
    assert desk.batches.get(partner, batch).received == 1
    assert len(list((tmp_path / "data" / "store").rglob("photos/*"))) == 1


# -- what is told ----------------------------------------------------------


def test_photos_and_events_come_in_pages(desk: Desk, partner: Partner) -> None:
    """By number and by the order of outcomes; nothing is left out, nothing comes twice."""
    batch = send(desk, partner, *(f"{number}.jpg" for number in range(5))).id
    assert desk.batches.events(partner, batch, after=0, limit=10) == []
    desk.batches.start(partner, batch)
    desk.draw()
    first = desk.batches.photos(partner, batch, after=0, limit=3)
    rest = desk.batches.photos(partner, batch, after=first[-1].number, limit=3)
    assert [photo.number for photo in (*first, *rest)] == [1, 2, 3, 4, 5]
    events = desk.batches.events(partner, batch, after=2, limit=10)
    assert [photo.event for photo in events] == [3, 4, 5]
    assert all(photo.framing and photo.doubtful and photo.seconds for photo in events)


def test_rate_and_time_left_are_told_while_it_runs(desk: Desk, partner: Partner) -> None:
    """And neither before nor after."""
    batch = send(desk, partner, *(f"{number}.jpg" for number in range(4))).id
    assert desk.batches.get(partner, batch).rate is None
    desk.batches.start(partner, batch)
    _, _, chunks, _ = desk.queue.chunks[0]
    for chunk in chunks[:3]:
        desk.drawer.draw(batch, chunk, lambda: False)
    told = desk.batches.get(partner, batch)
    assert (told.state, told.done, told.waiting) == ("running", 3, 1)
    assert told.rate is not None
    assert told.rate > 0
    assert told.seconds_left == pytest.approx(1 / told.rate)
    with pytest.raises(BatchNotDone):
        desk.batches.parcel(partner, batch)
    desk.draw()
    assert desk.batches.get(partner, batch).rate is None


def test_a_batch_says_when_it_is_erased(tmp_path: Path) -> None:
    """By the setting, from when it was made."""
    with opened_desk(tmp_path, batch_lifetime=3600) as desk:
        batch = send(desk, desk.partner())
    assert batch.expires - batch.created == pytest.approx(timedelta(hours=1), abs=timedelta(seconds=5))
    assert batch.created.tzinfo is UTC
    assert batch.created <= datetime.now(UTC)


# -- another crop ----------------------------------------------------------


def test_one_photo_is_framed_anew(desk: Desk, partner: Partner) -> None:
    """It is drawn with the crop that is asked for, and its old picture is gone from every place."""
    batch = done(desk, partner, "a.jpg", "b.jpg").id
    before = avatars(desk, batch)

    photo = desk.batches.reframe(partner, batch, "a.jpg", [("x", "0.5"), ("y", "0.9"), ("zoom", "2")])

    assert (photo.state, photo.event, photo.version) == ("waiting", 0, 2)
    assert desk.batches.get(partner, batch).state == "running"
    with pytest.raises(BatchPhotoNotFound):
        desk.batches.avatar(partner, batch, "a.jpg")
    assert [chunk[2:] for chunk in desk.queue.chunks] == [([[1]], 1)]
    desk.draw()
    assert desk.batches.get(partner, batch).state == "done"
    (again,) = desk.batches.events(partner, batch, after=2, limit=10)
    assert again.framing is not None
    assert (again.name, again.framing.kind, again.framing.zoom, again.doubtful) == (
        "a.jpg",
        "given",
        2.0,
        False,
    )
    assert Image.open(io.BytesIO(desk.batches.avatar(partner, batch, "a.jpg")[0])).size == (128, 128)
    after = avatars(desk, batch)
    assert [name.partition(".")[0] for name in after] == ["1", "2"]
    assert (after[0] != before[0], after[1] == before[1]) == (True, True)


def avatars(desk: Desk, batch: str) -> list[str]:
    """Return the names of the objects that hold a batch's avatars."""
    return sorted(path.name for path in (desk.settings.data_folder / "store" / batch / "avatars").iterdir())


def test_photos_framed_at_the_same_time_are_all_drawn(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is framed while another one is being enqueued: it used to wait for ten minutes."""
    batch = done(desk, partner, "a.jpg", "b.jpg").id
    enqueue = desk.queue.enqueue

    def interrupted(*args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(desk.queue, "enqueue", enqueue)
        desk.batches.reframe(partner, batch, "a.jpg", [("zoom", "3")])
        enqueue(*args, **kwargs)

    monkeypatch.setattr(desk.queue, "enqueue", interrupted)
    desk.batches.reframe(partner, batch, "b.jpg", [("zoom", "2")])

    assert sorted(chunk[2:] for chunk in desk.queue.chunks) == [([[1]], 2), ([[2]], 1)]
    desk.draw()
    assert desk.batches.get(partner, batch).state == "done"


def test_a_batch_that_is_erased_while_it_is_enqueued_leaves_no_chunk(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would look for its rows any more."""
    batch = send(desk, partner, "a.jpg").id
    enqueue = desk.queue.enqueue

    def late(*args: Any, **kwargs: Any) -> None:
        desk.batches.erase(partner, batch)
        enqueue(*args, **kwargs)

    monkeypatch.setattr(desk.queue, "enqueue", late)
    with pytest.raises(BatchNotFound):
        desk.batches.start(partner, batch)
    assert desk.queue.forgotten == [batch, batch]


def test_framing_is_refused_in_words(desk: Desk, partner: Partner) -> None:
    """A field that is no framing, a value out of range, a photo that is not there or not drawn yet."""
    batch = send(desk, partner, "a.jpg").id
    with pytest.raises(BatchNotDone):
        desk.batches.reframe(partner, batch, "a.jpg", [("zoom", "2")])
    desk.batches.start(partner, batch)
    desk.draw()
    with pytest.raises(InvalidSpec) as caught:
        desk.batches.reframe(partner, batch, "a.jpg", [("zoom", "99"), ("slogan", "x"), ("colour", "x")])
    assert {problem.field for problem in caught.value.problems} == {"zoom", "slogan", "colour"}
    with pytest.raises(BatchPhotoNotFound):
        desk.batches.reframe(partner, batch, "b.jpg", [])
    assert desk.batches.get(partner, batch).state == "done"


def test_a_photo_that_nobody_sent_is_not_framed(desk: Desk, partner: Partner) -> None:
    """It is told as one that is not there: to wait for it, and ask again, would be of no use."""
    batch = send(desk, partner, "a.jpg").id
    desk.batches.set_table(partner, batch, b"photo\na.jpg\nb.jpg\n", {})
    desk.batches.start(partner, batch, without_missing=True)
    desk.draw()
    with pytest.raises(BatchPhotoNotFound):
        desk.batches.reframe(partner, batch, "b.jpg", [("zoom", "2")])


def test_a_photo_that_failed_may_be_framed_anew(desk: Desk, partner: Partner) -> None:
    """Its failure is taken back until it is drawn, and told again."""
    batch = send(desk, partner, "a.jpg").id
    desk.batches.receive_photo(partner, batch, "a.jpg", b"no photo")
    desk.batches.start(partner, batch)
    desk.draw()
    photo = desk.batches.reframe(partner, batch, "a.jpg", [("zoom", "2")])
    assert (photo.state, photo.error) == ("waiting", None)
    assert desk.batches.get(partner, batch).failed == 0
    desk.draw()
    assert desk.batches.get(partner, batch).failed == 1


# -- what is taken home ----------------------------------------------------


def test_a_word_stands_for_the_key_for_one_file(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one batch, for a while, in a language, until the key is revoked."""
    batch = done(desk, partner, "a.jpg").id
    token, until = desk.batches.download_token(partner, batch, "avatars.zip", "ar")
    who, language = desk.batches.by_token(token, batch, "avatars.zip")
    assert (who.id, language) == (partner.id, "ar")
    assert until > datetime.now(UTC)
    for wrong in (
        (token, batch, "report.csv"),
        (token, "b_another", "avatars.zip"),
        (token[:-2], batch, "avatars.zip"),
        ("", batch, "avatars.zip"),
        ("ü", batch, "avatars.zip"),
    ):
        with pytest.raises(KeyNotKnown):
            desk.batches.by_token(*wrong)
    with monkeypatch.context() as patch:
        patch.setattr("time.time", lambda: until.timestamp() + 1)
        with pytest.raises(KeyNotKnown):
            desk.batches.by_token(token, batch, "avatars.zip")
    desk.holdings.ledger.revoke_partner(partner.id)
    with pytest.raises(KeyNotKnown):
        desk.batches.by_token(token, batch, "avatars.zip")


def test_a_contact_sheet_shows_them_all(desk: Desk, partner: Partner) -> None:
    """As one WebP; of a batch that is not done there is none."""
    batch = send(desk, partner, "a.jpg", "b.jpg").id
    with pytest.raises(BatchNotDone):
        desk.batches.contact_sheet(partner, batch)
    desk.batches.start(partner, batch)
    desk.draw()
    with Image.open(io.BytesIO(desk.batches.contact_sheet(partner, batch))) as sheet:
        assert sheet.format == "WEBP"
        assert sheet.width > sheet.height >= 100


# -- the end ---------------------------------------------------------------


def test_erased_means_no_object_no_row_and_no_key(desk: Desk, partner: Partner) -> None:
    """And nothing that was asked for before is done any more."""
    batch = done(desk, partner, "a.jpg", "b.jpg").id
    desk.batches.erase(partner, batch)
    with pytest.raises(BatchNotFound):
        desk.batches.get(partner, batch)
    with pytest.raises(BatchNotFound):
        desk.batches.erase(partner, batch)
    assert desk.queue.forgotten == [batch]
    assert desk.holdings.ledger.all_batches() == set()
    assert desk.holdings.ledger.photos_after(batch, 0, 10) == []
    assert list(desk.holdings.store.batches()) == []


def test_a_report_of_a_batch_that_is_erased_meanwhile_is_cut(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not end as if it were whole."""
    monkeypatch.setattr(module, "PAGE", 1)
    batch = done(desk, partner, "a.jpg", "b.jpg").id
    lines = desk.batches.report(partner, batch, "en")
    assert b"photo" in next(lines)
    assert b"a.jpg" in next(lines)
    desk.batches.erase(partner, batch)
    with pytest.raises(BatchNotFound):
        list(lines)


def test_an_end_that_was_broken_off_is_finished(desk: Desk, partner: Partner) -> None:
    """The key goes first: with it gone nobody finds the batch, and the next tick deletes the rest."""
    batch = done(desk, partner, "a.jpg").id
    desk.holdings.ledger.forget_key(batch)
    with pytest.raises(BatchNotFound):
        desk.batches.get(partner, batch)
    assert list(desk.holdings.store.batches()) == [batch]
    desk.upkeep.tick()
    assert list(desk.holdings.store.batches()) == []
    assert desk.holdings.ledger.all_batches() == set()


# -- chunks ----------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 799, 3000, 50_000])
def test_chunks_have_each_photo_once_and_become_smaller(count: int) -> None:
    """Whoever is the last to draw does not draw alone for long; and they are not too many."""
    numbers = list(range(1, count + 1))
    chunks = list(_chunks(numbers, 16))
    assert [number for chunk in chunks for number in chunk] == numbers
    sizes = [len(chunk) for chunk in chunks]
    assert sizes[:-1] == sorted(sizes[:-1], reverse=True)
    assert max(sizes, default=0) <= CHUNK
    assert max(sizes[-5:], default=0) <= max(1, min(8, count / 100))
    assert len(sizes) >= min(count, 16)
    assert len(chunks) < count / CHUNK + 60
