"""What the engine has done: photos drawn, and what falls due by the clock."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from standardwebhooks import Webhook

from app.bulk import work as module
from app.bulk.opened import BatchRequest
from app.bulk.shown import ShownBatch
from app.bulk.store import new_batch_id
from app.bulk.webhooks import Delivery
from app.errors import (
    BatchNotFound,
    DeadlineExceeded,
    InternalError,
    ShuttingDown,
    StorageFull,
    StorageUnavailable,
    WorkerDied,
)
from tests.bulk.desks import opened_desk, small_photo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from app.bulk.opened import BatchPhoto, Partner
    from app.errors import RibbonsError
    from tests.bulk.desks import Desk

SPEC = (("frame", "red-ribbons"), ("size", "64"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Batches in a folder."""
    with opened_desk(tmp_path) as opened:
        yield opened


@pytest.fixture
def partner(desk: Desk) -> Partner:
    """Somebody with a key."""
    return desk.partner()


def running(desk: Desk, partner: Partner, *names: str, **asked: Any) -> str:
    """Make a batch of small photos and start it; return its id."""
    batch = desk.batches.create(partner, BatchRequest(**{"spec": SPEC, **asked})).id
    for name in names:
        desk.batches.receive_photo(partner, batch, name, small_photo())
    desk.batches.start(partner, batch)
    return batch


def objects(desk: Desk) -> list[str]:
    """What lies in the store."""
    store = desk.settings.data_folder / "store"
    return sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.is_file())


def photos(desk: Desk, partner: Partner, batch: str) -> list[BatchPhoto]:
    """All photos of a batch."""
    return desk.batches.photos(partner, batch, after=0, limit=100)


def always(error: RibbonsError) -> Callable[[], None]:
    """Return what raises it each time."""

    def fail() -> None:
        raise error

    return fail


def test_drawing_twice_gives_one_avatar_and_one_outcome(desk: Desk, partner: Partner) -> None:
    """Whoever takes over from a process that died does again what it had done."""
    batch = running(desk, partner, "a.jpg", "b.jpg")
    for _ in range(2):
        desk.drawer.draw(batch, [1, 2], lambda: False)
    told = desk.batches.get(partner, batch)
    assert (told.state, told.done, told.revision) == ("done", 2, 2)
    assert len(objects(desk)) == 4  # photo and avatar of each


def test_two_that_draw_the_same_photo_write_the_same(desk: Desk, partner: Partner) -> None:
    """The one who comes second leaves what the first one wrote, and deletes nothing."""
    batch = running(desk, partner, "a.jpg")
    (task,) = desk.batches.tasks(batch, [1])
    desk.drawer.draw(batch, [1], lambda: False)
    first, _ = desk.batches.avatar(partner, batch, "a.jpg")
    desk.drawer._draw_one(*task)
    second, _ = desk.batches.avatar(partner, batch, "a.jpg")
    assert first == second
    assert desk.batches.get(partner, batch).revision == 1


def test_stopping_ends_after_the_photo_in_hand(desk: Desk, partner: Partner) -> None:
    """The rest waits for whoever goes on."""
    batch = running(desk, partner, "a.jpg", "b.jpg", "c.jpg")
    asked: list[None] = []

    def is_stopping() -> bool:
        asked.append(None)
        return len(asked) > 2

    desk.drawer.draw(batch, [1, 2, 3], is_stopping)
    told = desk.batches.get(partner, batch)
    assert (told.state, told.done, told.waiting) == ("running", 2, 1)


@pytest.mark.parametrize("error", [WorkerDied(), DeadlineExceeded(seconds=10)], ids=lambda error: error.code)
def test_a_photo_that_ends_its_worker_is_given_up_after_two_tries(
    desk: Desk, partner: Partner, error: RibbonsError
) -> None:
    """And its neighbours are drawn."""
    batch = running(desk, partner, "a.jpg", "b.jpg")
    tries: list[None] = []

    def fail() -> None:
        tries.append(None)
        raise error

    desk.pool.before = fail
    desk.drawer.draw(batch, [1], lambda: False)
    desk.pool.before = lambda: None
    desk.drawer.draw(batch, [2], lambda: False)
    first, second = photos(desk, partner, batch)
    assert len(tries) == 2
    assert (first.state, second.state) == ("failed", "done")
    assert first.error is not None
    assert first.error.code == error.code


def test_a_worker_that_dies_once_costs_nobody_a_picture(desk: Desk, partner: Partner) -> None:
    """The system may have ended it for the sake of others."""
    batch = running(desk, partner, "a.jpg")
    errors = [WorkerDied()]

    def fail() -> None:
        if errors:
            raise errors.pop()

    desk.pool.before = fail
    desk.drawer.draw(batch, [1], lambda: False)
    assert photos(desk, partner, batch)[0].state == "done"


def test_a_bug_of_ours_is_told_of_its_photo_alone(desk: Desk, partner: Partner) -> None:
    """As an internal error."""
    batch = running(desk, partner, "a.jpg")
    desk.pool.before = always(InternalError())
    desk.drawer.draw(batch, [1], lambda: False)
    (photo,) = photos(desk, partner, batch)
    assert photo.error is not None
    assert photo.error.code == "internal_error"


def test_an_end_of_the_service_is_no_outcome(desk: Desk, partner: Partner) -> None:
    """The photo waits for the next start."""
    batch = running(desk, partner, "a.jpg")
    desk.pool.before = always(ShuttingDown())
    with pytest.raises(ShuttingDown):
        desk.drawer.draw(batch, [1], lambda: False)
    assert photos(desk, partner, batch)[0].state == "waiting"
    assert desk.batches.get(partner, batch).trouble is None


@pytest.mark.parametrize("error", [StorageFull(), StorageUnavailable()], ids=lambda error: error.code)
def test_a_store_that_fails_stops_the_batch_and_says_why(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch, error: RibbonsError
) -> None:
    """It goes on by itself when there is room again, and the reason is gone."""
    batch = running(desk, partner, "a.jpg")
    with monkeypatch.context() as patch:
        patch.setattr(desk.holdings.store, "put", lambda *_: always(error)())
        with pytest.raises(type(error)):
            desk.drawer.draw(batch, [1], lambda: False)
    told = desk.batches.get(partner, batch)
    assert (told.state, told.trouble, told.waiting) == ("running", error.code, 1)
    desk.drawer.draw(batch, [1], lambda: False)
    told = desk.batches.get(partner, batch)
    assert (told.state, told.trouble, told.done) == ("done", None, 1)


def test_nothing_stays_of_a_batch_that_is_erased_while_it_is_drawn(desk: Desk, partner: Partner) -> None:
    """What was in hand is drawn, and deleted again."""
    batch = running(desk, partner, "a.jpg", "b.jpg")
    desk.pool.before = lambda: desk.batches.erase(partner, batch)
    desk.drawer.draw(batch, [1], lambda: False)
    desk.pool.before = lambda: pytest.fail("drawn for nobody")
    desk.drawer.draw(batch, [2], lambda: False)
    assert objects(desk) == []
    assert desk.holdings.ledger.all_batches() == set()


def test_a_late_drawer_leaves_what_was_recorded(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its picture is another one: of two machines, or two releases, that draw the same photo."""
    batch = running(desk, partner, "a.jpg")
    (late,) = desk.batches.tasks(batch, [1])
    desk.draw()
    first = desk.batches.avatar(partner, batch, "a.jpg")
    outcome = desk.drawer._outcome

    def drawn(*task: Any) -> Any:
        told, made = outcome(*task)
        assert made is not None
        return told, (replace(made[0], content=made[0].content + b"!"), made[1])

    monkeypatch.setattr(desk.drawer, "_outcome", drawn)
    before = objects(desk)
    desk.drawer._draw_one(*late)
    assert desk.batches.avatar(partner, batch, "a.jpg") == first
    assert Image.open(io.BytesIO(desk.batches.thumbnail(partner, batch, "a.jpg"))).size == (160, 160)
    assert objects(desk) == before


def test_what_is_framed_anew_while_it_is_drawn_is_drawn_again(desk: Desk, partner: Partner) -> None:
    """An avatar with the old crop is not kept."""
    batch = running(desk, partner, "a.jpg")
    desk.draw()
    desk.batches.reframe(partner, batch, "a.jpg", [("zoom", "2")])
    (task,) = desk.batches.tasks(batch, [1])
    desk.draw()
    desk.batches.reframe(partner, batch, "a.jpg", [("zoom", "3")])
    desk.drawer._draw_one(*task)  # with zoom 2, late
    assert photos(desk, partner, batch)[0].state == "waiting"
    desk.draw()
    (photo,) = photos(desk, partner, batch)
    assert photo.framing is not None
    assert photo.framing.zoom == 3.0
    assert len([name for name in objects(desk) if "avatars" in name]) == 1
    assert desk.batches.avatar(partner, batch, "a.jpg")[0]


def test_a_photo_whose_bytes_are_gone_fails_by_itself(desk: Desk, partner: Partner) -> None:
    """After a power cut, say."""
    batch = running(desk, partner, "a.jpg", "b.jpg")
    (first, _) = [name for name in objects(desk) if "photos" in name]
    (desk.settings.data_folder / "store" / first).unlink()
    desk.draw()
    told = desk.batches.get(partner, batch)
    assert (told.state, told.done, told.failed) == ("done", 1, 1)


# -- by the clock ----------------------------------------------------------


def test_a_batch_is_erased_when_its_time_is_over(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whichever process looks first, however far the batch is."""
    batch = running(desk, partner, "a.jpg")
    expires = desk.batches.get(partner, batch).expires.timestamp()
    monkeypatch.setattr("time.time", lambda: expires - 1)
    desk.upkeep.tick()
    assert desk.batches.get(partner, batch).id == batch
    monkeypatch.setattr("time.time", lambda: expires + 1)
    desk.upkeep.tick()
    with pytest.raises(BatchNotFound):
        desk.batches.get(partner, batch)
    assert objects(desk) == []
    assert desk.holdings.ledger.all_batches() == set()


def test_a_start_that_was_broken_off_goes_on(desk: Desk, partner: Partner) -> None:
    """Between the word that it is started and the queue's."""
    batch = running(desk, partner, "a.jpg")
    desk.queue.chunks.clear()
    with desk.holdings.ledger._writing() as connection:
        connection.exec_driver_sql("UPDATE batches SET enqueued = 0, touched = 0")
    desk.upkeep.tick()
    assert [chunk[0] for chunk in desk.queue.chunks] == [batch]
    desk.draw()
    desk.upkeep.tick()
    assert desk.queue.chunks == []


def test_a_batch_of_which_nothing_is_heard_is_enqueued_once_more(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever became of its chunks."""
    running(desk, partner, "a.jpg")
    desk.queue.chunks.clear()
    desk.upkeep.tick()
    assert desk.queue.chunks == []
    monkeypatch.setattr(module, "_IDLE_SECONDS", -1)
    desk.upkeep.tick()
    assert [chunk[2:] for chunk in desk.queue.chunks] == [([[1]], 1)]


def test_a_batch_that_cannot_be_erased_holds_up_no_other(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the end of others nor what else is due; what failed is told, and tried again."""
    first, second = (running(desk, partner, "a.jpg") for _ in range(2))
    left = running(desk, partner, "a.jpg")
    with desk.holdings.ledger._writing() as connection:
        connection.exec_driver_sql(
            f"UPDATE batches SET expires = CASE id WHEN '{left}' THEN expires ELSE 1 END, "  # noqa: S608
            "enqueued = 0, touched = 0"
        )
    desk.queue.chunks.clear()
    delete = desk.holdings.store.delete_batch
    stuck = desk.holdings.ledger.expired(2.0)[0]

    def fail(batch: str) -> None:
        if batch == stuck:
            raise StorageUnavailable
        delete(batch)

    monkeypatch.setattr(desk.holdings.store, "delete_batch", fail)
    with pytest.raises(StorageUnavailable):
        desk.upkeep.tick()
    assert desk.holdings.ledger.all_batches() == {stuck, left}
    assert [chunk[0] for chunk in desk.queue.chunks] == [left]
    monkeypatch.undo()
    desk.upkeep.tick()
    assert desk.holdings.ledger.all_batches() == {left}
    assert {first, second} >= {stuck}


def test_what_nobody_knows_of_is_swept_out(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects of a batch that the ledger does not know; and no others."""
    batch = running(desk, partner, "a.jpg")
    desk.upkeep.tick()  # which begins with it: a service may be started anew every hour
    key, nobodys = desk.holdings.vault.new_key(), new_batch_id()
    desk.holdings.store.put("backups/monday/1", b"somebody else's, in the same bucket", key)
    desk.holdings.store.put(f"{nobodys}/photos/x", b"photo", key)
    desk.upkeep.tick()
    assert set(desk.holdings.store.batches()) == {batch, nobodys, "backups"}
    monkeypatch.setattr(desk.upkeep, "_next_orphans", 0.0)
    desk.upkeep.tick()
    assert set(desk.holdings.store.batches()) == {batch, "backups"}


# -- webhooks --------------------------------------------------------------


class Server:
    """Stands for partners' servers."""

    def __init__(self, *outcomes: Delivery) -> None:
        self.outcomes = list(outcomes)
        self.heard: list[tuple[str, str, bytes, str]] = []

    def deliver(self, url: str, message: str, body: bytes, secret: str, now: datetime) -> Delivery:
        """Take a message."""
        assert now.tzinfo is not None
        self.heard.append((url, message, body, secret))
        return self.outcomes.pop(0)


HOOK = "https://partner.example/done"


def test_a_partner_is_told_once_what_a_get_would_tell(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its batch is done, with a secret of its own."""
    server = Server(Delivery("delivered"))
    monkeypatch.setattr(module, "deliver", server.deliver)
    batch = running(desk, partner, "a.jpg", webhook=HOOK)
    desk.upkeep.tick()
    assert server.heard == []
    desk.draw()
    desk.upkeep.tick()
    desk.upkeep.tick()
    ((url, message, body, secret),) = server.heard
    assert (url, message) == (HOOK, f"{batch}_done")
    assert body == ShownBatch.of(desk.batches.get(partner, batch)).model_dump_json().encode()
    assert secret == desk.holdings.vault.webhook_secret(partner.id)
    Webhook(secret)


def test_a_partner_is_not_told_of_what_is_drawn_anew(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A photo is framed anew just before: the partner is told when it is drawn, and of nothing else."""
    server = Server(Delivery("delivered"))
    monkeypatch.setattr(module, "deliver", server.deliver)
    batch = running(desk, partner, "a.jpg", webhook=HOOK)
    desk.draw()
    told = desk.batches.told

    def just_before(name: str) -> Any:
        monkeypatch.setattr(desk.batches, "told", told)
        desk.batches.reframe(partner, batch, "a.jpg", [("zoom", "2")])
        return told(name)

    monkeypatch.setattr(desk.batches, "told", just_before)
    desk.upkeep.tick()
    assert server.heard == []
    desk.draw()
    later = time.time() + 120
    monkeypatch.setattr(time, "time", lambda: later)
    desk.upkeep.tick()
    ((_, _, body, _),) = server.heard
    assert b'"state":"done"' in body


def test_a_partner_that_does_not_hear_is_told_again(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the same id, until it has heard or it is given up."""
    server = Server(*[Delivery("failed")] * 3, Delivery("delivered"))
    monkeypatch.setattr(module, "deliver", server.deliver)
    waits = iter([0.0, 0.0, 0.0])
    monkeypatch.setattr(module, "next_try", lambda _tries, _wait: next(waits))
    running(desk, partner, "a.jpg", webhook=HOOK)
    desk.draw()
    for _ in range(6):
        desk.upkeep.tick()
        time.sleep(0.01)
    assert len({message for _, message, _, _ in server.heard}) == 1
    assert len(server.heard) == 4


@pytest.mark.parametrize("outcome", [Delivery("gone"), Delivery("failed")], ids=lambda one: one.outcome)
def test_a_partner_that_wants_no_more_is_left_alone(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch, outcome: Delivery
) -> None:
    """When it says so, or after a day of tries."""
    server = Server(outcome)
    monkeypatch.setattr(module, "deliver", server.deliver)
    monkeypatch.setattr(module, "next_try", lambda _tries, _wait: None)
    running(desk, partner, "a.jpg", webhook=HOOK)
    desk.draw()
    for _ in range(3):
        desk.upkeep.tick()
    assert len(server.heard) == 1


def test_a_batch_without_a_webhook_tells_nobody(
    desk: Desk, partner: Partner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is not looked at again."""
    monkeypatch.setattr(module, "deliver", lambda *_: pytest.fail("nobody is to be told"))
    running(desk, partner, "a.jpg")
    desk.draw()
    desk.upkeep.tick()
    assert desk.holdings.ledger.to_notify(time.time() + 10) == []
