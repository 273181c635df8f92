"""Who gets a free worker: jobs wait in lanes, the lanes take turns, and so do the parties in each.

Those who wait with a photo and those who look at a page share the workers fairly, however many there are of
the others. Bulk may have all workers while nobody else wants one, and gets none while somebody does: a photo
or a page waits for no more than the end of one bulk job. Where there is a spare worker it does not even wait
for that: it begins at once, and bulk has one job less as soon as one ends.

A party (``app/turns.py``) is an address here. Whoever fills the queue keeps no other address out of it.
"""

from __future__ import annotations

from enum import StrEnum, unique
from types import MappingProxyType
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from app.errors import Busy, ShuttingDown, TooManyAtOnce
from app.turns import HOUSE, Turns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.errors import CapacityError
    from app.turns import Party


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
    """A job that waits, until it is called: to a slot, or because there is none for it any more."""

    def __init__(self, party: Party) -> None:
        self.party = party
        self.has_slot = False
        self.refusal: CapacityError | None = None
        self._called = anyio.Event()

    async def wait(self) -> None:
        await self._called.wait()

    def call(self) -> None:
        self.has_slot = True
        self._called.set()

    def send_away(self, refusal: CapacityError) -> None:
        self.refusal = refusal
        self._called.set()


class Slots:
    """Hands a fixed number of slots over, one for each worker.

    Of photos and pages, the lane that has fewer slots goes first, and of two that have as many the one that
    was served longer ago. Bulk is served when neither waits. Within a lane the parties take turns, and within
    a party who came first is served first.

    Nobody waits while a slot is free for them: who asks takes it in the same step of the event loop, and who
    gives one back hands it over. So a free slot is bulk's to take at once, but for a spare one.

    Photos and pages never have more slots than there are without the spare ones, which only make up for some
    that bulk still has. Bulk begins nothing while all together have as many as there are without them.

    A lane that is full is not full for a party that has two places fewer than another: there the last comer
    of the one that has most is sent away instead. A party alone may have every place.

    Args:
        total: Slots, without the spare ones.
        queue: Jobs that may wait while all slots are taken.
        spare: More slots, which bulk leaves to others.

    Attributes:
        given_up: How many were sent away while they waited, for one of a party that had fewer places.
        refused: How many were refused because their party had more than its share of the places.
    """

    def __init__(self, total: int, queue: int, spare: int = 0) -> None:
        self.given_up = 0
        self.refused = 0
        self._total = total
        self._spare = spare
        self._free = total + spare
        self._places = total + queue
        self._is_closed = False
        self._lines: dict[Lane, Turns[_Waiter]] = {lane: Turns() for lane in Lane}
        self._turns = [Lane.PHOTO, Lane.PAGE]  # the one that was served longer ago first

    @property
    def free(self) -> int:
        """Slots that nobody has."""
        return self._free

    @property
    def running(self) -> dict[Lane, int]:
        """Jobs that have a slot, by lane."""
        return {lane: line.running for lane, line in self._lines.items()}

    @property
    def waiting(self) -> dict[Lane, int]:
        """Jobs that wait for a slot, by lane."""
        return {lane: line.waiting for lane, line in self._lines.items()}

    def refuse_if_full(self, lane: Lane, party: Party = HOUSE) -> None:
        """Refuse a job before anything is done for it.

        Slots that bulk has count as free, since bulk gets none of them back while others wait; so do those in
        upkeep.

        A party that has more than its share of the places, while others have some too, is told that there are
        too many of it: it would be let in if it had fewer. Where there is nobody else the house is full, and
        so it is told: a crowd behind one address has done nothing wrong.

        Raises:
            Busy: As many jobs wait as may.
            TooManyAtOnce: So do they, and many of them are the party's own.
        """
        if lane not in _AHEAD:
            return
        # What fills the queue, and the lane by itself: pages that come in past one party's many photos, of
        # which none is sent away for a page, are no more than photos could be.
        for lanes in (_AHEAD[lane], (lane,)):
            lines = [self._lines[each] for each in lanes]
            if self._is_full(lanes) and not any(line.outdoes(party) for line in lines):
                if not any(line.has_more_than_its_share(party) for line in lines):
                    raise Busy
                self.refused += party != HOUSE
                raise _too_many(party)

    async def take(self, lane: Lane, party: Party = HOUSE) -> None:
        """Wait for a slot, to be given back with :meth:`give_back`. Whoever is cancelled has none.

        Raises:
            ShuttingDown: There is none any more.
            TooManyAtOnce: The queue was full, and its place went to a party that had fewer.
        """
        await checkpoint_if_cancelled()
        if self._is_closed:
            raise ShuttingDown
        line = self._lines[lane]
        if self._may_start(lane):
            self._free -= 1
            line.start(party)
            self._note_turn(lane)
            return
        self._make_place(lane, party)
        waiter = _Waiter(party)
        line.join(party, waiter)
        try:
            await waiter.wait()
        except BaseException:
            line.leave(party, waiter)
            if waiter.has_slot:  # handed over at the moment of the cancellation
                self.give_back(lane, party)
            raise
        if waiter.refusal is not None:
            raise waiter.refusal

    def give_back(self, lane: Lane, party: Party = HOUSE) -> None:
        """End a job, and hand its slot over to whoever's turn it is."""
        self.keep_for_upkeep(lane, party)
        self.hand_over()

    def keep_for_upkeep(self, lane: Lane, party: Party = HOUSE) -> None:
        """End a job, and keep its slot from others until :meth:`hand_over`."""
        self._lines[lane].end(party)

    def take_for_upkeep(self, *, with_spare: bool = False) -> bool:
        """Take a slot for no job, to be handed over with :meth:`hand_over`; tell whether one was free.

        Args:
            with_spare: Whether as many as there are spare ones may be taken too.
        """
        if self._free <= (0 if with_spare else self._spare):
            return False
        self._free -= 1
        return True

    def hand_over(self) -> None:
        """Give a slot that no job has any more to whoever's turn it is."""
        self._free += 1
        lane = self._next_lane()
        if lane is None:
            return
        self._free -= 1
        self._lines[lane].next().call()
        self._note_turn(lane)

    def close(self) -> None:
        """Send away all who wait, and whoever comes later. Jobs that have a slot may end."""
        self._is_closed = True
        for line in self._lines.values():
            while line.waiting:
                line.last_of_greatest().send_away(ShuttingDown())

    def _may_start(self, lane: Lane) -> bool:
        """Tell whether there is a slot for one more job of a lane."""
        if not self._free:
            return False
        others = self._lines[Lane.PHOTO].running + self._lines[Lane.PAGE].running
        if lane is Lane.BULK:
            return self._lines[lane].running + others < self._total
        return others < self._total

    def _is_full(self, lanes: Sequence[Lane]) -> bool:
        """Tell whether those who wait in some lanes are as many as may."""
        running = self._lines[Lane.PHOTO].running + self._lines[Lane.PAGE].running
        return running + sum(self._lines[lane].waiting for lane in lanes) >= self._places

    def _make_place(self, lane: Lane, party: Party) -> None:
        """Send somebody away if a lane is full by itself, and another party has more places than this one."""
        line = self._lines[lane]
        if lane in _AHEAD and self._is_full((lane,)) and line.outdoes(party):
            self.given_up += 1
            waiter = line.last_of_greatest()
            waiter.send_away(_too_many(waiter.party))

    def _next_lane(self) -> Lane | None:
        wanting = [lane for lane in self._turns if self._lines[lane].waiting and self._may_start(lane)]
        if wanting:
            return min(wanting, key=lambda lane: self._lines[lane].running)  # the first of equals
        return Lane.BULK if self._lines[Lane.BULK].waiting and self._may_start(Lane.BULK) else None

    def _note_turn(self, lane: Lane) -> None:
        if lane in self._turns:
            self._turns.remove(lane)
            self._turns.append(lane)


def _too_many(party: Party) -> CapacityError:
    """Return what somebody is told for what their party has too much of: nothing, if that is the house."""
    return Busy() if party == HOUSE else TooManyAtOnce()
