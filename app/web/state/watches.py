"""Who follows a batch, and what they are told: each batch is looked at once for all who follow it."""

from __future__ import annotations

from collections import Counter, deque
from contextlib import asynccontextmanager, contextmanager
from itertools import takewhile
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import Lock

from app.errors import BatchNotFound, Busy, CapacityError, ShuttingDown, TooManyAtOnce
from app.faults import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Sequence

    from anyio.abc import TaskGroup

    from app.bulk.opened import Batch, BatchPhoto, Partner

    Look = Callable[[Partner, str], Awaitable[Batch]]
    Outcomes = Callable[[Partner, str, int, int], Awaitable[Sequence[BatchPhoto]]]

MOST = 2000
"""Who may follow batches at once. Each takes a connection, two tasks and some 50 KB."""
MOST_EACH = 100
"""Of one partner."""

_LOOK_SECONDS = 1.0
"""Between two looks at a batch, which is how often its counts are told at most."""
_TROUBLE_SECONDS = 5.0
"""The same, while the ledger cannot be reached."""

PAGE = 500
"""Outcomes that are read at once."""
_KEPT = 2000
"""Outcomes of a batch that are kept for who is a little behind. Who is more behind reads for itself."""

_MADE = 16
"""Answers to one look that are kept for all who follow: outcomes in eight languages, and the batch itself."""

_log = structlog.get_logger(__name__)


class _Made:
    """What is made once for all who ask for it."""

    def __init__(self) -> None:
        self.lock = Lock(fast_acquire=True)
        self.content: bytes | None = None


class Watch:
    """A batch that is followed.

    Attributes:
        batch: As it was at the last look.
        is_over: Whether nothing more comes: it was erased, or the service stops.
    """

    def __init__(self, partner: Partner, batch: Batch, after: int, outcomes: Outcomes) -> None:
        self.batch = batch
        self.is_over = False
        self.followers = 0
        self._partner = partner
        self._outcomes = outcomes
        self._floor = after  # all that came after it is kept
        self._kept: deque[BatchPhoto] = deque()
        self._changed = anyio.Event()
        self._made: dict[Hashable, _Made] = {}

    @property
    def reached(self) -> int:
        """The last outcome that is kept."""
        return self._kept[-1].event if self._kept else self._floor

    async def after(self, event: int) -> Sequence[BatchPhoto]:
        """Return the outcomes that came after one, or the first of them."""
        if event < self._floor:
            return await self._outcomes(self._partner, self.batch.id, event, PAGE)
        # From the end: mostly a few are new, of two thousand that a hundred followers would look through.
        return list(takewhile(lambda photo: photo.event > event, reversed(self._kept)))[::-1]

    async def once(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return what is told of the last look, made once for all who are told the same.

        Args:
            key: What it is, among what is told of one look.
            make: Makes it. Where that fails, or whoever asked first leaves meanwhile, the next one does.
        """
        made = self._made.get(key)
        if made is None:
            made = self._made[key] = _Made()
            if len(self._made) > _MADE:
                del self._made[next(iter(self._made))]
        async with made.lock:
            if made.content is None:
                made.content = await make()
        return made.content

    def change(self) -> anyio.Event:
        """Return what is set at the next change. To be taken before one looks, or one could miss it."""
        return self._changed

    async def look(self, look: Look) -> None:
        """Look at the batch once, and wake whoever follows it if something has changed."""
        batch = await look(self._partner, self.batch.id)
        # Looked at afterwards, so that of a batch that is done the last outcome is among them.
        has_more = False
        while photos := await self._outcomes(self._partner, batch.id, self.reached, PAGE):
            has_more = True
            self._keep(photos)
            if len(photos) < PAGE:
                break
        if has_more or batch != self.batch:
            self.batch = batch
            self._wake()

    def end(self) -> None:
        """Send everybody away."""
        self.is_over = True
        self._wake()

    def _keep(self, photos: Sequence[BatchPhoto]) -> None:
        self._kept += photos
        while len(self._kept) > _KEPT:
            self._floor = self._kept.popleft().event

    def _wake(self) -> None:
        self._made = {}
        self._changed.set()
        self._changed = anyio.Event()


class Watches:
    """Those of all batches that are followed here.

    Args:
        look: Returns a batch.
        outcomes: Returns photos of a batch by outcome.
    """

    def __init__(self, look: Look, outcomes: Outcomes) -> None:
        self._look = look
        self._outcomes = outcomes
        self._watches: dict[str, Watch] = {}
        self._by_partner: Counter[str] = Counter()
        self._tasks: TaskGroup | None = None

    @property
    def followers(self) -> int:
        """How many follow batches here."""
        return self._by_partner.total()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Look at batches until the block ends."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                self.close()
                tasks.cancel_scope.cancel()

    def close(self) -> None:
        """Send everybody away: a stream without an end would hold the service up when it stops."""
        self._tasks = None
        for watch in self._watches.values():
            watch.end()

    def refuse_if_full(self, partner: Partner) -> None:
        """Refuse another follower.

        Raises:
            TooManyAtOnce: The partner has many.
            Busy: All partners together have.
            ShuttingDown: The service stops.
        """
        if self._tasks is None:
            raise ShuttingDown
        if self._by_partner[partner.id] >= MOST_EACH:
            raise TooManyAtOnce
        if self.followers >= MOST:
            raise Busy

    @contextmanager
    def held(self, partner: Partner) -> Iterator[None]:
        """Count a partner's follower until the block ends."""
        self._by_partner[partner.id] += 1
        try:
            yield
        finally:
            self._by_partner[partner.id] -= 1
            self._by_partner += Counter()  # which drops who has none

    @contextmanager
    def following(self, partner: Partner, batch: Batch, after: int) -> Iterator[Watch]:
        """Look at a batch until the block ends.

        Args:
            partner: Whose it is.
            batch: As it is now.
            after: The last outcome that is known already.
        """
        watch = self._watches.get(batch.id)
        if watch is None:
            watch = self._watches[batch.id] = Watch(partner, batch, after, self._outcomes)
            if self._tasks is None:
                watch.end()
            else:
                self._tasks.start_soon(self._keep_looking, watch)
        watch.followers += 1
        try:
            yield watch
        finally:
            watch.followers -= 1

    async def _keep_looking(self, watch: Watch) -> None:
        """Look at a batch for as long as it is there and anybody follows it."""
        try:
            while watch.followers and not watch.is_over:
                seconds = _LOOK_SECONDS
                try:
                    await watch.look(self._look)
                except CapacityError as error:
                    seconds = _TROUBLE_SECONDS
                    _log.warning("batch_not_seen", code=error.code)
                except BatchNotFound:
                    break
                except Exception as exc:  # noqa: BLE001 - told; it would end the service with all its tasks
                    fault = Fault.of(exc)
                    _log.error("watch_failed", kind=fault.kind, place=fault.place)
                    break
                await anyio.sleep(seconds)
        finally:
            del self._watches[watch.batch.id]
            watch.end()
