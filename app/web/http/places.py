"""Places and memory for photos that arrive: who gets them, and who gives them up when they are short.

A place costs little: a connection, a task, and what the sender's next bytes need. So there are many, and when
all are taken two kinds of upload give theirs up to a newcomer:

1. The slowest of the party that has most, where it has at least two more than the newcomer's.
2. Failing that, one that has had time and is much slower than the rest, or stands still, of a party that has
   no fewer than the newcomer's. While places are free a slow phone keeps its own.

Memory is kept free: of a party with several photos, those that arrive may only fill as much that some stays
for others. Failing that, the largest that still arrives of the party that has most gives up what it holds,
where that leaves it no less than the newcomer's has; failing that, a slow one. A photo that has all arrived
keeps its memory, because it cannot be asked for twice.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import contextmanager
from operator import attrgetter
from statistics import median
from typing import TYPE_CHECKING

from app.errors import Busy, TooManyAtOnce
from app.turns import Ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from app.errors import CapacityError
    from app.turns import Party

GRACE_SECONDS = 5.0
"""Over so long a pace is taken, and so long nobody is compared with the rest: a phone that changes masts is
silent for seconds."""

LEAST_PACE = 500
"""Bytes a second below which an upload stands still whatever the others do, or five hundred who do would make
each other look fast. A photo of 60 KB would take all of the two minutes that it has
(``RIBBONS_UPLOAD_TIMEOUT``)."""

START_SECONDS = 1.0
"""Time to begin: the first kilobytes of a body come right behind the request's head."""

_MUCH_SLOWER = 1 / 4
"""Of the median pace."""

_TO_WHAT_IS_FREE = 8
"""A party with several photos may hold so many times the memory that is left then: eight ninths of all when
it is alone, and less the more others have, so that something is left for whoever comes."""

_STEP_BYTES = 1_000_000
"""Parties that differ by less have as much memory: so there are few numbers to look at."""

_LOOK_SECONDS = 1.0

_PACE = attrgetter("pace")
_HELD = attrgetter("held")


class Arrival:
    """A photo that arrives, or has arrived and waits to be drawn.

    Attributes:
        party: Who sends it.
        stop: Ends its receiving.
        refusal: Why it had to give its place up, if it had to.
        held: Its bytes that are counted.
        pace: Bytes a second, when it was measured last.
    """

    def __init__(self, party: Party, stop: Callable[[], None]) -> None:
        self.party = party
        self.stop = stop
        self.refusal: CapacityError | None = None
        self.held = 0
        self.pace = 0.0
        self._begun = self._window = time.monotonic()
        self._before = self._in_window = 0

    def add(self, count: int) -> None:
        """Count bytes that came."""
        self._move_window(time.monotonic())
        self.held += count
        self._in_window += count

    def age(self, now: float) -> float:
        """Return for how many seconds it has been arriving."""
        return now - self._begun

    def measure(self, now: float) -> float:
        """Set and return its pace: bytes a second, over the last seconds of its time."""
        self._move_window(now)
        into = (now - self._window) / GRACE_SECONDS
        over = min(max(self.age(now), 0.1), GRACE_SECONDS)
        self.pace = (self._before * (1 - into) + self._in_window) / over
        return self.pace

    def _move_window(self, now: float) -> None:
        passed = int((now - self._window) / GRACE_SECONDS)
        if passed:
            self._before = self._in_window if passed == 1 else 0
            self._in_window = 0
            self._window += passed * GRACE_SECONDS


class _Holder:
    """What a party has here."""

    def __init__(self) -> None:
        self.photos = 0
        self.bytes = self.arriving_bytes = 0
        # Those with a place, in order of coming; and those of them that were there when it was looked last,
        # the slowest and the largest at the end.
        self.arriving: OrderedDict[Arrival, None] = OrderedDict()
        self.by_pace: OrderedDict[Arrival, None] = OrderedDict()
        self.by_held: OrderedDict[Arrival, None] = OrderedDict()


class Places:
    """Counts places and memory, and hands them from one party to another.

    Args:
        most: Photos that may be arriving at once.
        memory_bytes: Memory for the photos that are arriving and those that wait to be drawn.

    Attributes:
        arriving: Photos that have a place.
        held_bytes: Memory that is taken.
        given_up: How many lost their place or memory, by why: their party had more than others, or they were
            slower than others.
        refused: How many got none because their party had more than its share.
    """

    def __init__(self, most: int, memory_bytes: int) -> None:
        self.arriving = 0
        self.held_bytes = 0
        self.given_up = {"share": 0, "slow": 0}
        self.refused = 0
        self._most = most
        self._memory_bytes = memory_bytes
        self._holders: dict[Party, _Holder] = {}
        self._by_places = Ranks()
        self._by_memory = Ranks()
        self._looked = float("-inf")
        # Those that were slow at the last look, by pace and by memory: who gives up first at the end.
        self._slow: OrderedDict[Arrival, None] = OrderedDict()
        self._slow_and_large: OrderedDict[Arrival, None] = OrderedDict()

    @contextmanager
    def held(self, party: Party, stop: Callable[[], None]) -> Iterator[Arrival]:
        """Take a place for a photo; its bytes count until the block ends.

        Args:
            party: Who sends it.
            stop: Is called if it has to give its place up before it has arrived.

        Raises:
            Busy: There is none.
            TooManyAtOnce: There is none for a party that has so many.
        """
        if self.arriving >= self._most:
            self._clear_place(party)
        arrival = Arrival(party, stop)
        holder = self._holders.setdefault(party, _Holder())
        holder.photos += 1
        holder.arriving[arrival] = None
        self.arriving += 1
        self._rank(party)
        try:
            yield arrival
        finally:
            self.leave(arrival)
            self._forget_bytes(arrival)
            holder.photos -= 1
            if not holder.photos:
                del self._holders[party]

    def leave(self, arrival: Arrival) -> None:
        """Give a photo's place back, if it still has it. What arrived of it is held on."""
        holder = self._holders[arrival.party]
        if arrival not in holder.arriving:
            return
        for arrivals in (
            holder.arriving,
            holder.by_pace,
            holder.by_held,
            self._slow,
            self._slow_and_large,
        ):
            arrivals.pop(arrival, None)
        self.arriving -= 1
        holder.arriving_bytes -= arrival.held
        self._rank(arrival.party)

    def hold(self, arrival: Arrival, count: int) -> None:
        """Count bytes of a photo that came.

        Raises:
            Busy: Memory is used up, or was wanted by others more than by this one.
            TooManyAtOnce: So much of it is the party's own that it gets no more; or its place was.
        """
        if arrival.refusal is not None:
            raise arrival.refusal
        holder = self._holders[arrival.party]
        if not self._has_memory(holder, count):
            self._clear_memory(arrival, count)
            if not self._has_memory(holder, count):
                has_more = holder.photos > 1 and holder.bytes * len(self._holders) > self.held_bytes
                raise self._refusal(is_own_doing=has_more)
        arrival.add(count)
        holder.bytes += count
        holder.arriving_bytes += count
        self.held_bytes += count
        self._by_memory.put(arrival.party, holder.arriving_bytes // _STEP_BYTES)

    def _has_memory(self, holder: _Holder, count: int) -> bool:
        left = self._memory_bytes - self.held_bytes - count
        # Who sends one photo may have all there is.
        return left >= 0 and (holder.photos == 1 or holder.bytes + count <= _TO_WHAT_IS_FREE * left)

    def _clear_place(self, party: Party) -> None:
        """Take a place from somebody for a newcomer of a party."""
        mine = self._places_of(party)
        greatest = self._by_places.last_of_most()
        if self._places_of(greatest) >= mine + 2:
            self._send_away(self._slowest_of(greatest), "share", TooManyAtOnce())
            return
        self._look()
        slow = next(reversed(self._slow), None)
        if slow is None or self._places_of(slow.party) < mine:
            raise self._refusal(is_own_doing=mine * len(self._by_places) > self.arriving)
        self._send_away(slow, "slow", Busy())

    def _clear_memory(self, arrival: Arrival, count: int) -> None:
        """Take memory from somebody who holds as much as is wanted, if there is one who has to give it up."""
        self._look()
        mine = self._holders[arrival.party].bytes
        greatest = self._holders[self._by_memory.last_of_most()]
        largest = next(reversed(greatest.by_held), None)
        if largest is not None and largest.held >= count and greatest.bytes - largest.held >= mine + count:
            self._send_away(largest, "share", TooManyAtOnce())
            return
        slow = next(reversed(self._slow_and_large), None)
        if slow is None or slow is arrival or slow.held < count:
            return
        if self._holders[slow.party].bytes >= mine:
            self._send_away(slow, "slow", Busy())

    def _send_away(self, arrival: Arrival, why: str, refusal: CapacityError) -> None:
        """Take a photo's place and memory away. Its receiver comes to know of it in the loop's next step."""
        self.given_up[why] += 1
        self.leave(arrival)
        self._forget_bytes(arrival)
        arrival.refusal = refusal
        arrival.stop()

    def _forget_bytes(self, arrival: Arrival) -> None:
        self._holders[arrival.party].bytes -= arrival.held
        self.held_bytes -= arrival.held
        arrival.held = 0

    def _rank(self, party: Party) -> None:
        holder = self._holders[party]
        if holder.arriving:
            self._by_places.put(party, len(holder.arriving))
            self._by_memory.put(party, holder.arriving_bytes // _STEP_BYTES)
        else:
            self._by_places.drop(party)
            self._by_memory.drop(party)

    def _refusal(self, *, is_own_doing: bool) -> CapacityError:
        if not is_own_doing:
            return Busy()
        self.refused += 1
        return TooManyAtOnce()

    def _places_of(self, party: Party) -> int:
        holder = self._holders.get(party)
        return len(holder.arriving) if holder else 0

    def _slowest_of(self, party: Party) -> Arrival:
        """Return the slowest of a party that has places; or the last, where none was there at the look."""
        self._look()
        holder = self._holders[party]
        return next(reversed(holder.by_pace or holder.arriving))

    def _look(self) -> None:
        """Look who is slow, of all that arrive: once a second at most, and only while there is too little."""
        now = time.monotonic()
        if now < self._looked + _LOOK_SECONDS:
            return
        self._looked = now
        everyone: list[Arrival] = []
        for holder in self._holders.values():
            for arrival in holder.arriving:
                arrival.measure(now)
            holder.by_pace = OrderedDict.fromkeys(sorted(holder.arriving, key=_PACE, reverse=True))
            holder.by_held = OrderedDict.fromkeys(sorted(holder.arriving, key=_HELD))
            everyone += holder.by_pace
        seasoned = [arrival.pace for arrival in everyone if arrival.age(now) >= GRACE_SECONDS]
        slow_pace = _MUCH_SLOWER * median(seasoned) if seasoned else 0
        slow = [
            arrival
            for arrival in everyone
            if (arrival.pace < LEAST_PACE and arrival.age(now) >= START_SECONDS)
            or (arrival.pace < slow_pace and arrival.age(now) >= GRACE_SECONDS)
        ]
        self._slow = OrderedDict.fromkeys(sorted(slow, key=_PACE, reverse=True))
        self._slow_and_large = OrderedDict.fromkeys(sorted(slow, key=_HELD))
