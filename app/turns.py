"""Whose turn it is among parties that want the same thing, however much each of them wants.

A party is whoever is to have one share: an address today. Between parties nobody is ahead for having asked
more often, and what is short is taken from whoever has most. A party that is alone has everything.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

    Party = Hashable

W = TypeVar("W")

HOUSE: Final = "house"
"""The party of what no address alone has asked for: a probe, what all visitors see, the command line."""


class Ranks:
    """Parties by a number of theirs; of equals, in the order in which they came to it.

    Each step takes the same time however many parties there are, but for the least and the most: those look
    at the numbers that there are. Of ``n`` things that parties have, that is √2n at most.
    """

    def __init__(self) -> None:
        self._numbers: dict[Party, int] = {}
        self._parties: dict[int, OrderedDict[Party, None]] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def put(self, party: Party, number: int) -> None:
        """Give a party its number, and the last place among those that have the same."""
        self.drop(party)
        self._numbers[party] = number
        self._parties.setdefault(number, OrderedDict())[party] = None

    def drop(self, party: Party) -> None:
        """Forget a party, if it is known."""
        number = self._numbers.pop(party, None)
        if number is not None:
            same = self._parties[number]
            del same[party]
            if not same:
                del self._parties[number]

    def first_of_least(self) -> Party:
        """Return the party with the least number, of several the one that has it for longest."""
        return next(iter(self._parties[min(self._parties)]))

    def last_of_most(self) -> Party:
        """Return the party with the largest number, of several the one that came to it last."""
        return next(reversed(self._parties[max(self._parties)]))


class Turns(Generic[W]):
    """Those who wait, and how much each party has already.

    The next turn is the party's that has least, and of equals the one whose turn is longest ago: a party that
    has just got or just given back something goes behind all others that have as much. Within a party, who
    came first is served first.

    Nothing is kept of a party that waits for nothing and has nothing.
    """

    def __init__(self) -> None:
        self.waiting = 0
        self.running = 0
        self._waiters: dict[Party, OrderedDict[W, None]] = {}
        self._running: dict[Party, int] = {}
        self._holding: dict[Party, int] = {}
        # Of those who wait: by what they have, and by what they have and wait for.
        self._by_running = Ranks()
        self._by_holding = Ranks()

    def holds(self, party: Party) -> int:
        """Return how many places a party has: what it has got, and what it waits for."""
        return self._holding.get(party, 0)

    def has_more_than_its_share(self, party: Party) -> bool:
        """Tell whether a party has more places than there would be for each if all had as many."""
        return self.holds(party) * len(self._holding) > self.waiting + self.running

    def join(self, party: Party, waiter: W) -> None:
        """Let somebody wait."""
        self.waiting += 1
        waiters = self._waiters.setdefault(party, OrderedDict())
        waiters[waiter] = None
        self._hold(party, 1)
        if len(waiters) == 1:
            self._by_running.put(party, self._running.get(party, 0))

    def leave(self, party: Party, waiter: W) -> bool:
        """Let somebody wait no longer, and tell whether they did."""
        waiters = self._waiters.get(party, OrderedDict())
        if waiter not in waiters:
            return False
        del waiters[waiter]
        self.waiting -= 1
        if not waiters:
            del self._waiters[party]
            self._by_running.drop(party)
        self._hold(party, -1)
        return True

    def start(self, party: Party) -> None:
        """Give something to a party that need not wait."""
        self.running += 1
        self._run(party, 1)
        self._hold(party, 1)

    def end(self, party: Party) -> None:
        """Take something back that a party has got."""
        self.running -= 1
        self._run(party, -1)
        self._hold(party, -1)

    def next(self) -> W:
        """Return whose turn it is. It has got what it waited for, until :meth:`end`.

        Raises:
            LookupError: Nobody waits.
        """
        if not self.waiting:
            raise LookupError
        party = self._by_running.first_of_least()
        waiter = next(iter(self._waiters[party]))
        self.leave(party, waiter)
        self.start(party)
        return waiter

    def outdoes(self, party: Party) -> bool:
        """Tell whether somebody waits whose party has at least two places more than this one.

        By two, so that a place that changes hands makes them more equal, and does not change hands again.
        """
        return bool(self.waiting) and self.holds(self._by_holding.last_of_most()) >= self.holds(party) + 2

    def last_of_greatest(self) -> W:
        """Return the last comer of the party that has most of those that wait; it waits no longer.

        Raises:
            LookupError: Nobody waits.
        """
        if not self.waiting:
            raise LookupError
        party = self._by_holding.last_of_most()
        waiter = next(reversed(self._waiters[party]))
        self.leave(party, waiter)
        return waiter

    def _run(self, party: Party, more: int) -> None:
        _count(self._running, party, more)
        if party in self._waiters:
            self._by_running.put(party, self._running.get(party, 0))

    def _hold(self, party: Party, more: int) -> None:
        _count(self._holding, party, more)
        if party in self._waiters:
            self._by_holding.put(party, self._holding[party])
        else:
            self._by_holding.drop(party)


def _count(counts: dict[Party, int], party: Party, more: int) -> None:
    """Count up or down, and keep no zero."""
    counts[party] = counts.get(party, 0) + more
    if not counts[party]:
        del counts[party]
