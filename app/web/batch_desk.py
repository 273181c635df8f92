"""What the addresses of batches share: the batches, who may ask for them, and how much at once."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from anyio import CapacityLimiter, to_thread

from app.bulk.bulk import Bulk
from app.errors import Busy, IdempotencyKeyInUse, QuotaUsedUp, TooManyAtOnce
from app.web.state.quotas import PHOTOS_A_DAY, Quotas
from app.web.state.watches import Watches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from app.bulk.batches import Batches
    from app.bulk.opened import Batch, BatchPhoto, Partner
    from app.drawing import Drawing
    from app.settings import Settings
    from app.turns import Party
    from app.web.state.redis import RedisClient

P = ParamSpec("P")
T = TypeVar("T")

# Threads that wait for the ledger or the store. What arrives keeps what is asked for from none, nor the other
# way round; and photos of supporters need no such thread at all.
_WRITERS = 16
_READERS = 16
# A contact sheet of thousands of pictures takes a core for seconds.
_DRAWERS = 1

# ZIPs that arrive. Each takes two or three MB meanwhile, and a thread now and then.
ARCHIVES_EACH = 2
_ARCHIVES = 8
# ZIPs that are taken home. Of a full batch each takes six MB for as long as the line needs, and a picture.
DOWNLOADS_EACH = 4
_DOWNLOADS = 16


class Places:
    """Counts what goes on for partners at the same time, and holds something until it ends.

    Args:
        each: Of one partner, at most.
        in_all: Of all together.
    """

    def __init__(self, each: int, in_all: int) -> None:
        self._each = each
        self._in_all = in_all
        self._by_partner: Counter[str] = Counter()

    def refuse_if_full(self, partner: Partner) -> None:
        """Refuse another one.

        Raises:
            TooManyAtOnce: The partner has as many as it may.
            Busy: All partners together have.
        """
        if self._by_partner[partner.id] >= self._each:
            raise TooManyAtOnce
        if self._by_partner.total() >= self._in_all:
            raise Busy

    @contextmanager
    def held(self, partner: Partner) -> Iterator[None]:
        """Take a place until the block ends.

        Raises:
            TooManyAtOnce: As :meth:`refuse_if_full`.
            Busy: The same.
        """
        self.refuse_if_full(partner)
        self._by_partner[partner.id] += 1
        try:
            yield
        finally:
            self._by_partner[partner.id] -= 1
            self._by_partner += Counter()  # which drops who has none


class BatchDesk:
    """Takes partners' requests to their batches. What blocks there goes through threads of its own.

    Args:
        bulk: The batches, and what draws them.
        quotas: What each key may send.
        max_batch_photos: Of one batch.
        max_archive_bytes: Of one ZIP.

    Attributes:
        quotas, max_batch_photos, max_archive_bytes: The same.
        watches: Who follows which batch.
        archives: Who sends a ZIP.
        downloads: Who takes one home.
        readers: Limits threads that read.
    """

    def __init__(self, bulk: Bulk, quotas: Quotas, max_batch_photos: int, max_archive_bytes: int) -> None:
        self.quotas = quotas
        self.max_batch_photos = max_batch_photos
        self.max_archive_bytes = max_archive_bytes
        self._bulk = bulk
        self.watches = Watches(self._look, self._outcomes)
        self.archives = Places(ARCHIVES_EACH, _ARCHIVES)
        self.downloads = Places(DOWNLOADS_EACH, _DOWNLOADS)
        self.readers = CapacityLimiter(_READERS)
        self._writers = CapacityLimiter(_WRITERS)
        self._drawers = CapacityLimiter(_DRAWERS)
        self._answering: set[tuple[str, str]] = set()

    @classmethod
    def build(cls, settings: Settings, drawing: Drawing, store: RedisClient | None) -> Self:
        """Put the parts together. Nothing is started.

        Raises:
            InvalidSettings: The data folder, the secret or an address cannot be used.
        """
        bulk, quotas = Bulk.build(settings, drawing), Quotas(settings, store)
        return cls(bulk, quotas, settings.max_batch_photos, settings.max_archive_bytes)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Draw what waits, and follow batches, until the block ends. Needs the pool of workers.

        Raises:
            StorageUnavailable: The database does not answer.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._bulk.opened())
            await stack.enter_async_context(self.watches.opened())
            yield self

    def begin_to_stop(self) -> None:
        """Send away who follows batches, and draw nothing more than the photos in hand."""
        self.watches.close()
        self._bulk.stop()

    @property
    def batches(self) -> Batches:
        """The batches themselves. Their methods block: see :meth:`read` and :meth:`write`."""
        return self._bulk.batches

    async def read(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask something of the ledger or the store, in a thread."""
        return await to_thread.run_sync(partial(call, *args, **kwargs), limiter=self.readers)

    async def write(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Change something there, in a thread."""
        return await to_thread.run_sync(partial(call, *args, **kwargs), limiter=self._writers)

    async def draw(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what takes a core for a while, in a thread: one at a time."""
        return await to_thread.run_sync(partial(call, *args, **kwargs), limiter=self._drawers)

    @contextmanager
    def answering(self, partner: Partner, key: str | None) -> Iterator[None]:
        """Answer one request of an Idempotency-Key at a time.

        Where several processes serve, the ledger sees to it that two of them make one batch.

        Raises:
            IdempotencyKeyInUse: Another one is being answered.
        """
        if key is None:
            yield
            return
        request = partner.id, key
        if request in self._answering:
            raise IdempotencyKeyInUse
        self._answering.add(request)
        try:
            yield
        finally:
            self._answering.discard(request)

    async def refuse_if_used_up(self, partner: Partner) -> None:
        """Refuse photos before they are read.

        Raises:
            QuotaUsedUp: The key may send none now.
        """
        state = await self.quotas.state(partner)
        if state.left == 0:
            raise QuotaUsedUp(state.seconds, quota=PHOTOS_A_DAY, limit=state.limit)

    async def _look(self, partner: Partner, batch: str) -> Batch:
        return await self.read(self.batches.get, partner, batch)

    async def _outcomes(self, partner: Partner, batch: str, after: int, limit: int) -> Sequence[BatchPhoto]:
        return await self.read(self.batches.events, partner, batch, after=after, limit=limit)


def party_of(partner: Partner) -> Party:
    """Return the party that a partner is, beside the addresses of supporters.

    So what it sends takes one share of what is short, however many connections it comes by, and from whatever
    addresses.
    """
    return ("partner", partner.id)
