"""How many connections are open, and who gives one up when no more can be."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from app.turns import Ranks

if TYPE_CHECKING:
    import asyncio

    from app.turns import Party


class Connections:
    """Keeps room for whoever comes: a connection takes a file, and the system allows so many of them.

    When all are taken, the oldest of the party that has most is closed for a newcomer whose party has at
    least two fewer. Otherwise the newcomer is closed, as the system would do. Nothing is closed before.

    Args:
        most: Connections that may be open.

    Attributes:
        count: Those that are.
        given_up: How many were closed for one of a party that had fewer.
    """

    def __init__(self, most: int) -> None:
        self.count = 0
        self.given_up = 0
        self._most = most
        self._open: dict[Party, OrderedDict[asyncio.Transport, None]] = {}
        self._by_number = Ranks()

    def add(self, party: Party, transport: asyncio.Transport) -> None:
        """Count a connection, and close it or another one if there are too many."""
        if self.count >= self._most:
            greatest = self._by_number.last_of_most()
            if len(self._open[greatest]) < len(self._open.get(party, ())) + 2:
                transport.abort()
                return
            oldest = next(iter(self._open[greatest]))
            self.given_up += 1
            self.remove(greatest, oldest)
            oldest.abort()
        transports = self._open.setdefault(party, OrderedDict())
        transports[transport] = None
        self.count += 1
        self._by_number.put(party, len(transports))

    def remove(self, party: Party, transport: asyncio.Transport) -> None:
        """Count a connection no more, if it is counted."""
        transports = self._open.get(party, OrderedDict())
        if transport not in transports:
            return
        del transports[transport]
        self.count -= 1
        if transports:
            self._by_number.put(party, len(transports))
        else:
            del self._open[party]
            self._by_number.drop(party)
