"""The tables, on SQLite and on PostgreSQL: each rule is one transaction."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event

from app.bulk import ledger as tables
from app.bulk.ledger import (
    BatchGone,
    Changed,
    Ledger,
    NotOpen,
    SealedRow,
    TooManyBatches,
    TooManyPhotos,
    make_folder,
    metadata,
)
from app.errors import StorageFull, StorageUnavailable
from app.settings import InvalidSettings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST = 1000


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """A ledger with its tables made."""
    given = {"data_folder": tmp_path / "data"}
    if request.param == "postgresql":
        given["jobs_url"] = request.getfixturevalue("database")
    made = Ledger.build(load_settings(**given))
    made.migrate()
    yield made
    made.close()


def new_batch(name: str = "b_1", **values: Any) -> dict[str, Any]:
    """The columns of a batch that is open."""
    return {
        "id": name,
        "partner": "p_1",
        "state": "open",
        "wrapped_key": b"wrapped",
        "request": b"sealed",
        "expires": time.time() + 100,
        **values,
    }


def send(ledger: Ledger, *names: str, batch: str = "b_1") -> list[int]:
    """Have photos arrive; return their numbers."""
    return [ledger.put_photo(batch, name.encode(), b"name", name, MOST)[0].number for name in names]


def running(ledger: Ledger, *names: str) -> list[int]:
    """A batch that was started with some photos; their numbers."""
    ledger.add_batch(new_batch(), 8, None)
    numbers = send(ledger, *names)
    assert ledger.start("b_1", dict.fromkeys(numbers, b"target"))
    return numbers


def row_of(ledger: Ledger, batch: str = "b_1") -> sa.Row[Any]:
    """The batch, which has to be there."""
    row = ledger.batch(batch)
    assert row is not None
    return row


def test_the_steps_make_the_tables_that_the_code_knows(ledger: Ledger) -> None:
    """Nobody changes a table here without a migration, or the other way round."""
    engine = ledger._engine.execution_options(schema_translate_map=None)
    with engine.connect() as connection:
        if ledger.is_shared:
            connection.exec_driver_sql(f"SET search_path TO {tables.SCHEMA}")
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_photos_that_arrive_at_once_are_all_counted(ledger: Ledger) -> None:
    """Each has a number of its own, whether the table named it before or not, and none is refused."""
    ledger.add_batch(new_batch(), 8, None)
    names = [f"{number}.jpg" for number in range(160)]
    rows = [SealedRow(name.encode(), b"name", b"row") for name in names[::2]]
    ledger.put_table("b_1", b"columns", rows, MOST)
    threads = 16
    barrier = threading.Barrier(threads)

    def arrive(some: list[str]) -> list[int]:
        barrier.wait(timeout=30)
        return send(ledger, *some)

    with ThreadPoolExecutor(threads) as pool:
        numbers = [
            number
            for some in pool.map(arrive, (names[n::threads] for n in range(threads)))
            for number in some
        ]
    assert sorted(numbers) == list(range(1, len(names) + 1))
    batch = row_of(ledger)
    assert (batch.received, batch.missing, batch.numbers) == (len(names), 0, len(names))


def test_the_files_are_closed_to_others(tmp_path: Path) -> None:
    """Also in a folder that was there before, and that others may look into."""
    tmp_path.chmod(0o755)
    ledger = Ledger.build(load_settings(data_folder=tmp_path))
    ledger.migrate()
    ledger.add_batch(new_batch(), 8, None)
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("ledger.sqlite*")}
    ledger.close()
    assert set(modes) == {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"}
    assert set(modes.values()) == {0o600}


def test_what_was_promised_outlives_a_power_cut(tmp_path: Path) -> None:
    """A photo that was answered for is on the disk; an outcome, of which there are many, would come again."""
    ledger = Ledger.build(load_settings(data_folder=tmp_path))
    ledger.migrate()
    said: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "synchronous" in statement:
            said.append(statement.rsplit(maxsplit=1)[-1])

    event.listen(ledger._engine, "before_cursor_execute", hear)
    ledger.add_batch(new_batch(), 8, None)
    (number,) = send(ledger, "a")
    ledger.start("b_1", {number: b"target"})
    assert said == ["FULL"] * 3
    ledger.record("b_1", number, 1, "done", b"outcome")
    ledger.forget_key("b_1")
    assert said[3:] == ["NORMAL", "FULL"]
    ledger.close()


def test_two_may_bring_the_tables_up_to_date_at_once(tmp_path: Path) -> None:
    """Of several that start at the same moment one makes the tables, and the others find them."""
    settings = load_settings(data_folder=tmp_path)
    faults: list[BaseException] = []

    def start() -> None:
        ledger = Ledger.build(settings)
        try:
            ledger.migrate()
            ledger.all_batches()
        except Exception as exc:  # noqa: BLE001 - told below
            faults.append(exc)
        finally:
            ledger.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


def test_a_key_is_found_by_its_digest_until_it_is_revoked(ledger: Ledger) -> None:
    """A revoked key finds nobody, and is listed all the same."""
    ledger.add_partner("p_1", b"digest", b"sealed", 50)
    found = ledger.partner_by_digest(b"digest")
    assert found is not None
    assert (found.id, found.photos_a_day) == ("p_1", 50)
    assert ledger.partner_by_digest(b"another") is None
    assert ledger.revoke_partner("p_1")
    assert not ledger.revoke_partner("p_1")
    assert ledger.partner_by_digest(b"digest") is None
    assert ledger.partner("p_1") is None
    assert [row.id for row in ledger.all_partners()] == ["p_1"]


def test_a_partner_has_no_more_batches_than_it_may(ledger: Ledger) -> None:
    """Open and running ones count, those that are done do not."""
    ledger.add_batch(new_batch("b_1"), 2, None)
    ledger.add_batch(new_batch("b_2"), 2, None)
    with pytest.raises(TooManyBatches):
        ledger.add_batch(new_batch("b_3"), 2, None)
    assert ledger.start("b_1", {})  # without a photo it is done at once
    ledger.add_batch(new_batch("b_3"), 2, None)
    ledger.add_batch(new_batch("b_4", partner="p_2"), 2, None)
    assert [row.id for row in ledger.batches_of("p_1")] == ["b_3", "b_2", "b_1"]


def test_the_same_request_twice_makes_one_batch(ledger: Ledger) -> None:
    """Also when both come at the same moment."""
    made: list[str | None] = []

    def ask(name: str) -> None:
        before = ledger.add_batch(new_batch(name), 8, (b"key", b"fingerprint"))
        made.append(before.batch if before else None)

    threads = [threading.Thread(target=ask, args=(f"b_{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (batch,) = ledger.all_batches()
    assert sorted(made, key=str) == [None, *[batch] * 5] or made.count(None) == 1
    assert {name for name in made if name} == {batch}
    ledger.add_batch(new_batch("b_9", partner="p_2"), 8, (b"key", b"fingerprint"))
    assert ledger.all_batches() == {batch, "b_9"}


def test_a_photo_replaces_itself(ledger: Ledger) -> None:
    """Sent again it keeps its number, and tells where its bytes were before."""
    ledger.add_batch(new_batch(), 8, None)
    first, before = ledger.put_photo("b_1", b"folded", b"name", "one", MOST)
    assert before is None
    again, before = ledger.put_photo("b_1", b"folded", b"name", "two", MOST)
    assert (again.number, again.version, again.token, before) == (first.number, 2, "two", "one")
    assert (row_of(ledger).received, row_of(ledger).missing) == (1, 0)


def test_a_table_names_photos_that_have_not_come(ledger: Ledger) -> None:
    """Another table takes its place: what only the first one named is not waited for any more."""
    ledger.add_batch(new_batch(), 8, None)
    send(ledger, "a", "b")
    rows = [SealedRow(name.encode(), b"name", name.encode() * 2) for name in "bcd"]
    ledger.put_table("b_1", b"columns", rows, MOST)
    assert (row_of(ledger).received, row_of(ledger).missing) == (2, 2)
    assert [row.folded for row in ledger.missing_photos("b_1", 10)] == [b"c", b"d"]
    send(ledger, "c")
    assert (row_of(ledger).received, row_of(ledger).missing) == (3, 1)

    ledger.put_table("b_1", b"columns", [SealedRow(b"a", b"name", b"new")], MOST)

    rests = {row.folded: row.row for row in ledger.photos_after("b_1", 0, 10)}
    assert rests == {b"a": b"new", b"b": None, b"c": None}
    assert (row_of(ledger).received, row_of(ledger).missing) == (3, 0)


def test_a_batch_takes_no_more_than_it_may(ledger: Ledger) -> None:
    """Photos and rows without a photo count alike; one that replaces itself does not."""
    ledger.add_batch(new_batch(), 8, None)
    ledger.put_photo("b_1", b"a", b"name", "t", 2)
    ledger.put_photo("b_1", b"b", b"name", "t", 2)
    ledger.put_photo("b_1", b"b", b"name", "t", 2)
    with pytest.raises(TooManyPhotos):
        ledger.put_photo("b_1", b"c", b"name", "t", 2)
    with pytest.raises(TooManyPhotos):
        ledger.put_table("b_1", b"columns", [SealedRow(b"c", b"name", b"row")], 2)
    assert row_of(ledger).received == 2


def test_a_started_batch_takes_nothing(ledger: Ledger) -> None:
    """Neither photos nor a table; to start it again changes nothing."""
    running(ledger, "a")
    with pytest.raises(NotOpen):
        send(ledger, "b")
    with pytest.raises(NotOpen):
        ledger.put_table("b_1", b"columns", [], MOST)
    assert not ledger.start("b_1", {})


def test_a_photo_that_comes_while_names_are_chosen_is_not_forgotten(ledger: Ledger) -> None:
    """The start fails, and is tried again with all of them."""
    ledger.add_batch(new_batch(), 8, None)
    (number,) = send(ledger, "a")
    send(ledger, "b")
    with pytest.raises(Changed):
        ledger.start("b_1", {number: b"target"})
    assert row_of(ledger).state == "open"


def test_outcomes_are_numbered_in_the_order_in_which_they_are_written(ledger: Ledger) -> None:
    """Several writers leave no gap, no number twice, and the batch is done with the last of them."""
    numbers = running(ledger, *map(str, range(40)))
    assert ledger.waiting_numbers("b_1") == numbers

    def write(some: list[int]) -> None:
        for number in some:
            state: tables.PhotoState = "failed" if number % 5 == 0 else "done"
            assert ledger.record("b_1", number, 1, state, b"outcome")

    threads = [threading.Thread(target=write, args=(numbers[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    row = row_of(ledger)
    assert (row.state, row.done, row.failed, row.events) == ("done", 32, 8, 40)
    assert row.finished is not None
    assert [photo.event for photo in ledger.outcomes_after("b_1", 0, 100)] == list(range(1, 41))
    assert [photo.event for photo in ledger.outcomes_after("b_1", 38, 100)] == [39, 40]
    assert [photo.event for photo in ledger.outcomes_after("b_1", 3, 2)] == [4, 5]


def test_an_outcome_counts_once(ledger: Ledger) -> None:
    """A second one of the same photo changes nothing, nor does one of an older version."""
    first, second = running(ledger, "a", "b")
    assert ledger.record("b_1", first, 1, "done", b"one")
    assert not ledger.record("b_1", first, 1, "failed", b"two")
    assert not ledger.record("b_1", second, 7, "done", b"of another version")
    row = row_of(ledger)
    assert (row.state, row.done, row.failed, row.events) == ("running", 1, 0, 1)
    (photo,) = ledger.photos_after("b_1", first - 1, 1)
    assert photo.outcome == b"one"


def test_a_photo_is_drawn_anew(ledger: Ledger) -> None:
    """The batch runs again until it is drawn, with a new number for its outcome; its end is told once."""
    first, second = running(ledger, "a", "b")
    assert ledger.draw_anew("b_1", first, b"wishes") is None  # it has not been drawn at all
    ledger.record("b_1", first, 1, "done", b"outcome")
    ledger.record("b_1", second, 1, "failed", b"outcome")
    now = time.time()
    assert ledger.claim_notice("b_1", now, now + 60)
    ledger.settle_notice("b_1", None)

    anew = ledger.draw_anew("b_1", first, b"wishes")

    assert anew is not None
    assert (anew.before.state, anew.before.version) == ("done", 1)
    row = row_of(ledger)
    assert (row.state, row.done, row.failed, row.enqueued) == ("running", 0, 1, 0)
    assert ledger.waiting_numbers("b_1") == [first]
    assert ledger.record("b_1", first, 2, "done", b"outcome")
    row = row_of(ledger)
    assert (row.state, row.done, row.failed, row.events) == ("done", 1, 1, 3)
    assert row.notify_at is None


def test_a_running_batch_is_enqueued_until_somebody_has(ledger: Ledger) -> None:
    """And once more when nothing was heard of it for long."""
    running(ledger, "a")
    soon = time.time() + 1
    assert ledger.to_enqueue(0, 0) == []  # whoever started it may be about to
    assert [row.id for row in ledger.to_enqueue(soon, 0)] == ["b_1"]
    assert ledger.take_generation("b_1") == 0
    ledger.note_enqueued("b_1", 0)
    assert ledger.to_enqueue(soon, 0) == []
    assert [row.generation for row in ledger.to_enqueue(soon, soon)] == [1]


def test_nobody_calls_enqueued_what_came_after_they_had_looked(ledger: Ledger) -> None:
    """Neither what another one enqueues at the same time, nor a photo that is drawn anew meanwhile."""
    (first,) = running(ledger, "a")
    slow, quick = ledger.take_generation("b_1"), ledger.take_generation("b_1")
    assert (slow, quick) == (0, 1)
    ledger.note_enqueued("b_1", 0)
    assert not row_of(ledger).enqueued
    ledger.record("b_1", first, 1, "done", b"outcome")
    anew = ledger.draw_anew("b_1", first, b"wishes")
    assert anew is not None
    assert anew.generation == 2
    ledger.note_enqueued("b_1", 1)
    assert not row_of(ledger).enqueued
    ledger.note_enqueued("b_1", 2)
    assert row_of(ledger).enqueued
    assert ledger.take_generation("b_2") is None


def test_trouble_is_told_until_a_photo_is_drawn(ledger: Ledger) -> None:
    """Whoever asks sees why it does not go on."""
    first, _ = running(ledger, "a", "b")
    ledger.note_trouble("b_1", "storage_full")
    assert row_of(ledger).trouble == "storage_full"
    ledger.record("b_1", first, 1, "done", b"outcome")
    assert row_of(ledger).trouble is None


def test_deaths_of_processes_are_counted(ledger: Ledger) -> None:
    """Of each photo by itself, and from the start when it is drawn anew."""
    first, second = running(ledger, "a", "b")
    assert [ledger.note_death("b_1", first) for _ in range(2)] == [1, 2]
    assert ledger.note_death("b_1", second) == 1
    assert ledger.note_death("b_1", 99) == 0


def test_a_partner_is_told_by_one(ledger: Ledger) -> None:
    """Who claims it first has it for a while; then it falls to others."""
    running(ledger)
    now = time.time()
    assert [row.id for row in ledger.to_notify(now + 1)] == ["b_1"]
    assert ledger.claim_notice("b_1", now + 1, now + 60)
    assert not ledger.claim_notice("b_1", now + 1, now + 60)
    assert ledger.claim_notice("b_1", now + 61, now + 120)
    assert row_of(ledger).notify_tries == 2
    ledger.settle_notice("b_1", None)
    assert ledger.to_notify(now + 1000) == []


def test_nothing_is_written_of_a_batch_without_its_key(ledger: Ledger) -> None:
    """From the moment at which the key is gone there is no such batch, but for whoever erases the rest."""
    (number,) = running(ledger, "a")
    assert ledger.forget_key("b_1")
    assert ledger.batch("b_1") is None
    assert ledger.batches_of("p_1") == []
    assert not ledger.record("b_1", number, 1, "done", b"outcome")
    for refused in (
        lambda: send(ledger, "b"),
        lambda: ledger.put_table("b_1", b"columns", [], MOST),
        lambda: ledger.start("b_1", {}),
        lambda: ledger.draw_anew("b_1", number, b"wishes"),
    ):
        with pytest.raises(BatchGone):
            refused()
    assert ledger.expired(time.time()) == ["b_1"]
    ledger.forget_batch("b_1")
    assert ledger.all_batches() == set()
    with ledger._engine.connect() as connection:
        for table in (tables.batches, tables.photos, tables.requests):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0


def test_a_batch_expires(ledger: Ledger) -> None:
    """However far it is."""
    ledger.add_batch(new_batch("b_1", expires=100.0), 8, None)
    ledger.add_batch(new_batch("b_2", expires=300.0), 8, None)
    assert ledger.expired(200.0) == ["b_1"]


def test_idempotency_keys_are_forgotten(ledger: Ledger) -> None:
    """After their time the same key makes a new batch."""
    ledger.add_batch(new_batch("b_1"), 8, (b"key", b"fingerprint"))
    ledger.forget_requests(time.time() + 1)
    assert ledger.add_batch(new_batch("b_2"), 8, (b"key", b"fingerprint")) is None


def test_pace_looks_at_the_last_outcomes(ledger: Ledger) -> None:
    """None without any; else since when, and how many."""
    numbers = running(ledger, "a", "b", "c")
    assert ledger.pace("b_1", 0) is None
    for number in numbers:
        ledger.record("b_1", number, 1, "done", b"outcome")
    pace = ledger.pace("b_1", 3)
    assert pace is not None
    assert (pace[1], pace[0] <= time.time()) == (2, True)
    assert ledger.pace("b_1", 3, window=2) is not None


def test_what_is_deleted_is_overwritten(tmp_path: Path) -> None:
    """SQLite leaves no trace of a row in its file or its log."""
    ledger = Ledger.build(load_settings(data_folder=tmp_path))
    ledger.migrate()
    ledger.add_batch(new_batch(wrapped_key=b"THE-WRAPPED-KEY-OF-A-BATCH"), 8, None)

    def traces() -> int:
        return sum(file.read_bytes().count(b"THE-WRAPPED-KEY") for file in tmp_path.glob("ledger.sqlite*"))

    assert traces() > 0
    ledger.forget_key("b_1")
    assert traces() == 0
    ledger.close()


def test_a_database_that_is_gone_is_told_as_such() -> None:
    """Nobody sees the database's own words, which quote what was written."""
    ledger = Ledger.build(load_settings(jobs_url="postgresql://nobody@127.0.0.1:1/none"))
    with pytest.raises(StorageUnavailable):
        ledger.all_batches()
    ledger.close()


def test_so_many_batches_at_once_hold_for_many_at_once(ledger: Ledger) -> None:
    """Requests at the same moment do not each count before the others have made theirs."""
    refused: list[str] = []

    def ask(name: str) -> None:
        try:
            ledger.add_batch(new_batch(name), 2, None)
        except TooManyBatches:
            refused.append(name)

    threads = [threading.Thread(target=ask, args=(f"b_{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(ledger.all_batches()), len(refused)) == (2, 6)


def test_a_table_that_comes_at_the_start_is_not_passed_over(ledger: Ledger) -> None:
    """It may name as many photos as the one before, by other numbers and with other formats."""
    ledger.add_batch(new_batch(), 8, None)
    ledger.put_table("b_1", b"first", [SealedRow(b"a", b"name", b"row")], MOST)
    targets = dict.fromkeys((photo.number for photo in ledger.photos_after("b_1", 0, 9)), b"target")
    ledger.put_table("b_1", b"second", [SealedRow(b"b", b"name", b"row")], MOST)
    with pytest.raises(Changed):
        ledger.start("b_1", targets, b"first")


def test_a_partner_is_not_told_of_a_batch_that_runs_again(ledger: Ledger) -> None:
    """What is told is that it is done: so it waits until it is."""
    (first,) = running(ledger, "a")
    ledger.record("b_1", first, 1, "done", b"outcome")
    now = time.time()
    assert [row.id for row in ledger.to_notify(now)] == ["b_1"]
    ledger.draw_anew("b_1", first, b"wishes")
    assert ledger.to_notify(now) == []
    ledger.record("b_1", first, 2, "done", b"outcome")
    assert [row.id for row in ledger.to_notify(now)] == ["b_1"]


def test_no_free_connection_is_told_as_a_database_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy has another kind of error for that, and the driver, asked directly, one of its own."""
    ledger = Ledger.build(load_settings(data_folder=tmp_path))
    ledger.migrate()
    with monkeypatch.context() as patch:
        patch.setattr(ledger._engine.pool, "_timeout", 0.01)
        held = [ledger._engine.connect() for _ in range(15)]
        with pytest.raises(StorageUnavailable):
            ledger.all_batches()
        for connection in held:
            connection.close()
    with pytest.raises(StorageUnavailable), ledger._faults():
        raise sqlite3.OperationalError("database is locked")
    ledger.close()


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    """It is another error than a database out of reach, and what was there stays."""
    ledger = Ledger.build(load_settings(data_folder=tmp_path))
    ledger.migrate()
    ledger.add_batch(new_batch(), 8, None)

    def limit(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite takes it as the pages that there are

    event.listen(ledger._engine, "connect", limit)
    ledger.close()
    with pytest.raises(StorageFull):
        ledger.put_photo("b_1", b"folded", bytes(1_000_000), "token", MOST)
    assert row_of(ledger).received == 0
    ledger.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """With the setting that is at fault, and why."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InvalidSettings, match=r"RIBBONS_DATA_FOLDER.*Not a directory"):
        make_folder(tmp_path / "file" / "data")
    make_folder(tmp_path / "made" / "data")
    assert (tmp_path / "made" / "data").stat().st_mode & 0o077 == 0
