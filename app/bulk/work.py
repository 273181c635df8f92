"""What the engine has done: photos drawn, and what falls due by the clock. Wherever there is room."""

from __future__ import annotations

import secrets
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from app.bulk.batches import avatar_object
from app.bulk.outcomes import Entry, Outcome, pack
from app.bulk.sealing import SealBroken
from app.bulk.shown import ShownBatch
from app.bulk.store import ObjectMissing, is_batch_id
from app.bulk.webhooks import deliver, next_try
from app.errors import (
    BatchPhotoNotFound,
    DeadlineExceeded,
    InternalError,
    PhotoError,
    RibbonsError,
    SpecError,
    StorageFull,
    StorageUnavailable,
    WorkerDied,
)
from app.lanes import Lane
from app.spec import parse_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from anyio.from_thread import BlockingPortal

    from app.bulk.batches import Batches, Holdings, Task
    from app.bulk.ledger import PhotoState
    from app.bulk.opened import Opened
    from app.drawing import Drawing
    from app.render.avatar import Avatar

DEATHS = 2
"""Processes that a photo may cost before it is told that no avatar can be made of it."""

_IDLE_SECONDS = 600.0
"""After which a running batch of which nothing was heard is enqueued once more: nothing waits for ever,
whatever became of the word that it is there."""

_LEFT_SECONDS = 15.0
"""That others leave a batch to whoever has begun to enqueue it: 50,000 photos take a few seconds."""

_ORPHANS_SECONDS = 3600.0
_REQUEST_SECONDS = 86_400.0
"""That an Idempotency-Key is remembered (the draft leaves it to the service)."""
_NOTICE_SECONDS = 60.0
"""That others leave a partner to whoever has begun to tell it."""
_NOTICES = 16
"""Partners that one process tells at once."""

_TOKEN_BYTES = 9
"""Of chance in the name of an avatar's object."""

_READ_AT_ONCE = 10
"""Photos whose rows are read together. What becomes of them meanwhile is seen when they are drawn: a photo
that is not waited for any more is drawn in vain."""

_log = structlog.get_logger(__name__)


class Drawer:
    """Draws the photos of batches with a pool of workers, in the lane of bulk.

    Args:
        batches: What is to be drawn.
        holdings: Where photos come from, and avatars and outcomes go.
        drawing: The pool, and what it draws with.
    """

    def __init__(self, batches: Batches, holdings: Holdings, drawing: Drawing) -> None:
        self._batches = batches
        self._ledger = holdings.ledger
        self._store = holdings.store
        self._drawing = drawing
        self.portal: BlockingPortal | None = None

    def draw(self, batch: str, numbers: Sequence[int], is_stopping: Callable[[], bool]) -> None:
        """Draw what still waits of some photos of a batch. To do it again, or twice at once, does no harm.

        Args:
            batch: The batch; nothing is drawn of one that is erased.
            numbers: The photos'.
            is_stopping: Whether to stop after the photo in hand.

        Raises:
            CapacityError: The store or the database failed, or this process is ending. What is left waits.
        """
        for start in range(0, len(numbers), _READ_AT_ONCE):
            with self._troubles(batch):
                for task, opened in self._batches.tasks(batch, numbers[start : start + _READ_AT_ONCE]):
                    if is_stopping():
                        return
                    self._draw_one(task, opened)

    @contextmanager
    def _troubles(self, batch: str) -> Iterator[None]:
        """Write down why a batch does not go on, where that can be written."""
        try:
            yield
        except (StorageFull, StorageUnavailable) as error:
            with suppress(RibbonsError):
                self._ledger.note_trouble(batch, error.code)
            raise

    def _draw_one(self, task: Task, opened: Opened) -> None:
        outcome, drawn = self._outcome(task, opened)
        name = None
        if drawn is not None and outcome.entry is not None:
            avatar, small = drawn
            name = avatar_object(task.batch, task.number, outcome.entry.token)
            self._store.put(name, avatar.content, opened.key, small)
        sealed = opened.seal_of("outcome", task.number, pack(outcome))
        state: PhotoState = "failed" if outcome.error else "done"
        # Its batch was erased, or it was framed anew, or somebody else has drawn it meanwhile.
        if not self._ledger.record(task.batch, task.number, task.version, state, sealed) and name:
            self._store.delete([name])

    def _outcome(self, task: Task, opened: Opened) -> tuple[Outcome, tuple[Avatar, bytes] | None]:
        if task.problem is not None:
            return Outcome(error=task.problem), None
        start = time.perf_counter()
        try:
            photo = self._store.get(task.photo, opened.key)
            drawn = self._draw(task, photo, opened.row.partner)
        except (ObjectMissing, SealBroken):
            return Outcome(error=BatchPhotoNotFound()), None
        except (PhotoError, SpecError, WorkerDied, DeadlineExceeded, InternalError) as error:
            return Outcome(error=error, seconds=time.perf_counter() - start), None
        avatar, _ = drawn
        seconds = round(sum(avatar.seconds.values()), 4)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        entry = Entry(task.avatar, len(avatar.content), zlib.crc32(avatar.content), token)
        return Outcome(framing=avatar.framing, seconds=seconds, entry=entry), drawn

    def _draw(self, task: Task, photo: bytes, partner: str) -> tuple[Avatar, bytes]:
        spec = parse_spec(task.given.items(), self._drawing.frames)
        job = partial(self._drawing.studio.draw_for_batch, photo, spec)
        if self.portal is None:
            raise RuntimeError("nobody has opened what draws")
        while True:
            try:
                return self.portal.call(partial(self._drawing.pool.run, job, Lane.BULK, partner))
            except (WorkerDied, DeadlineExceeded):
                if self._ledger.note_death(task.batch, task.number) >= DEATHS:
                    raise


class Upkeep:
    """What falls due by the clock. Any number of processes may see to it at once.

    Args:
        batches: Whose time it is.
        holdings: Where they rest.
    """

    def __init__(self, batches: Batches, holdings: Holdings) -> None:
        self._batches = batches
        self._ledger = holdings.ledger
        self._store = holdings.store
        self._vault = holdings.vault
        self._next_orphans = time.monotonic()

    def tick(self) -> None:
        """Erase what has expired, go on with what was broken off, and tell partners whose batch is done.

        Raises:
            CapacityError: The store or the database failed; the next tick sees to the rest.
        """
        now = time.time()
        _all_of(partial(errand, now) for errand in (self._erase, self._go_on, self._notify_all, self._tidy))

    def _erase(self, now: float) -> None:
        _all_of(partial(self._batches.erase_any, batch) for batch in self._ledger.expired(now))

    def _go_on(self, now: float) -> None:
        left = self._ledger.to_enqueue(now - _LEFT_SECONDS, now - _IDLE_SECONDS)
        _all_of(partial(self._batches.enqueue_anew, row) for row in left)

    def _tidy(self, now: float) -> None:
        if time.monotonic() >= self._next_orphans:
            self._next_orphans = time.monotonic() + _ORPHANS_SECONDS
            self._sweep(now)

    def _notify_all(self, now: float) -> None:
        """Tell some partners side by side: a server that hangs holds up nothing but the next tick."""
        claimed = (
            row
            for row in self._ledger.to_notify(now)
            if self._ledger.claim_notice(row.id, now, now + _NOTICE_SECONDS)
        )
        if rows := list(islice(claimed, _NOTICES)):
            with ThreadPoolExecutor(len(rows), "webhook") as threads:
                list(threads.map(lambda row: self._notify(row.id, row.partner, row.notify_tries + 1), rows))

    def _notify(self, batch: str, partner: str, tries: int) -> None:
        told = self._batches.told(batch)
        # One that is drawn anew since it was claimed is told when it is done again: the word for that stays.
        if told is None or told.state != "done":
            return
        if told.request.webhook is None:
            self._ledger.settle_notice(batch, None)
            return
        body = ShownBatch.of(told).model_dump_json().encode()
        secret = self._vault.webhook_secret(partner)
        # One id however often it is tried: by it the partner knows that it has been told already.
        message = f"{batch}_done"
        delivery = deliver(told.request.webhook, message, body, secret, datetime.now(UTC))
        wait = next_try(tries, delivery.wait) if delivery.outcome == "failed" else None
        self._ledger.settle_notice(batch, None if wait is None else time.time() + wait)
        if delivery.outcome != "delivered":
            again_in = None if wait is None else round(wait)
            _log.warning("webhook_failed", outcome=delivery.outcome, tries=tries, again_in=again_in)

    def _sweep(self, now: float) -> None:
        """Delete what lies in the store of batches that the ledger does not know: somebody died between."""
        self._ledger.forget_requests(now - _REQUEST_SECONDS)
        # First what is there: a batch that is made meanwhile is in the ledger before anything of it is here.
        there = set(filter(is_batch_id, self._store.batches()))
        for batch in there - self._ledger.all_batches():
            self._store.delete_batch(batch)


def _all_of(errands: Iterable[Callable[[], object]]) -> None:
    """Run all errands, and then raise what the first of those that failed has raised.

    One that fails whenever it is tried would otherwise keep all behind it from ever being done.
    """
    failures: list[Exception] = []
    for errand in errands:
        try:
            errand()
        except Exception as exc:  # noqa: BLE001 - raised again below
            failures.append(exc)
    if failures:
        raise failures[0]
