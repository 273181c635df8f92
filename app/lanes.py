"""Who gets a free worker: jobs wait in lanes, and the lanes take turns.

Those who wait with a photo and those who look at a page share the workers fairly, however many there are of
the others. Bulk may have all workers while nobody else wants one, and gets none while somebody does: a photo
or a page waits for no more than the end of one bulk job.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import StrEnum, unique
from types import MappingProxyType
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from app.errors import Busy, ShuttingDown

if TYPE_CHECKING:
    from collections.abc import Mapping


@unique
class Lane(StrEnum):
    """What a job is for. The values are labels in ``/metrics``.

    Attributes:
        PHOTO: Somebody has sent a photo and waits for what is made of it.
        PAGE: Somebody looks at a page, or opens a file that is drawn for them; so does a probe.
        BULK: Nobody waits.
    """

    PHOTO = "photo"
    PAGE = "page"
    BULK = "bulk"


# Whose jobs fill the queue for whom. Pages that wait keep no photo out. For bulk the queue is never full:
# whoever sends it bounds it.
_AHEAD: Mapping[Lane, tuple[Lane, ...]] = MappingProxyType(
    {Lane.PHOTO: (Lane.PHOTO,), Lane.PAGE: (Lane.PHOTO, Lane.PAGE)}
)


class _Waiter:
    """A job that waits, until it is called: to a slot, or because there is none any more."""

    def __init__(self) -> None:
        self.has_slot = False
        self._called = anyio.Event()

    async def wait(self) -> None:
        await self._called.wait()

    def call(self, *, has_slot: bool) -> None:
        self.has_slot = has_slot
        self._called.set()


class Slots:
    """Hands a fixed number of slots over, one for each worker.

    Within a lane, who came first is served first. Of photos and pages, the lane that has fewer slots goes
    first, and of two that have as many the one that was served longer ago. Bulk is served when neither waits.

    Nobody waits while a slot is free: who asks takes it in the same step of the event loop, and who gives one
    back hands it over. So a free slot is bulk's to take at once.

    Args:
        total: Slots.
        queue: Jobs that may wait while all slots are taken.
    """

    def __init__(self, total: int, queue: int) -> None:
        self._free = total
        self._places = total + queue
        self._is_closed = False
        self._running = dict.fromkeys(Lane, 0)
        self._queues: dict[Lane, OrderedDict[_Waiter, None]] = {lane: OrderedDict() for lane in Lane}
        self._turns = [Lane.PHOTO, Lane.PAGE]  # the one that was served longer ago first

    @property
    def free(self) -> int:
        """Slots that nobody has."""
        return self._free

    @property
    def running(self) -> dict[Lane, int]:
        """Jobs that have a slot, by lane."""
        return self._running.copy()

    @property
    def waiting(self) -> dict[Lane, int]:
        """Jobs that wait for a slot, by lane."""
        return {lane: len(queue) for lane, queue in self._queues.items()}

    def refuse_if_full(self, lane: Lane) -> None:
        """Refuse a job before anything is done for it.

        Slots that bulk has count as free, since bulk gets none of them back while others wait; so do those in
        upkeep.

        Raises:
            Busy: As many jobs wait as may.
        """
        if lane not in _AHEAD:
            return
        running = self._running[Lane.PHOTO] + self._running[Lane.PAGE]
        if running + sum(len(self._queues[ahead]) for ahead in _AHEAD[lane]) >= self._places:
            raise Busy

    async def take(self, lane: Lane) -> None:
        """Wait for a slot, to be given back with :meth:`give_back`. Whoever is cancelled has none.

        Raises:
            ShuttingDown: There is none any more.
        """
        await checkpoint_if_cancelled()
        if self._is_closed:
            raise ShuttingDown
        if self._free:
            self._free -= 1
            self._note_start(lane)
            return
        waiter = _Waiter()
        self._queues[lane][waiter] = None
        try:
            await waiter.wait()
        except BaseException:
            self._queues[lane].pop(waiter, None)
            if waiter.has_slot:  # handed over at the moment of the cancellation
                self.give_back(lane)
            raise
        if not waiter.has_slot:
            raise ShuttingDown

    def give_back(self, lane: Lane) -> None:
        """End a job, and hand its slot over to whoever's turn it is."""
        self.keep_for_upkeep(lane)
        self.hand_over()

    def keep_for_upkeep(self, lane: Lane) -> None:
        """End a job, and keep its slot from others until :meth:`hand_over`."""
        self._running[lane] -= 1

    def take_for_upkeep(self) -> bool:
        """Take a slot for no job, to be handed over with :meth:`hand_over`; tell whether one was free."""
        if not self._free:
            return False
        self._free -= 1
        return True

    def hand_over(self) -> None:
        """Give a slot that no job has any more to whoever's turn it is."""
        lane = self._next_lane()
        if lane is None:
            self._free += 1
            return
        waiter, _ = self._queues[lane].popitem(last=False)
        self._note_start(lane)
        waiter.call(has_slot=True)

    def close(self) -> None:
        """Send away all who wait, and whoever comes later. Jobs that have a slot may end."""
        self._is_closed = True
        for queue in self._queues.values():
            while queue:
                waiter, _ = queue.popitem(last=False)
                waiter.call(has_slot=False)

    def _next_lane(self) -> Lane | None:
        wanting = [lane for lane in self._turns if self._queues[lane]]
        if wanting:
            return min(wanting, key=self._running.__getitem__)  # the first of equals
        return Lane.BULK if self._queues[Lane.BULK] else None

    def _note_start(self, lane: Lane) -> None:
        self._running[lane] += 1
        if lane in self._turns:
            self._turns.remove(lane)
            self._turns.append(lane)
