"""Who gives a connection up when there are too many."""

from __future__ import annotations

import asyncio
import random

from app.web.connections import Connections


class Transport(asyncio.Transport):
    """One that is closed, or not."""

    def __init__(self) -> None:
        super().__init__()
        self.is_aborted = False

    def abort(self) -> None:
        """Close it."""
        self.is_aborted = True


def come(connections: Connections, party: str, number: int = 1) -> list[Transport]:
    """Let some connections come from one address."""
    transports = [Transport() for _ in range(number)]
    for transport in transports:
        connections.add(party, transport)
    return transports


def test_one_address_may_have_every_connection_until_another_comes() -> None:
    """Its oldest are closed then, until both have as many; and whoever comes when all are taken is, too."""
    connections = Connections(4)
    crowd = come(connections, "a", 4)
    assert not any(each.is_aborted for each in crowd)
    assert come(connections, "a")[0].is_aborted
    others = come(connections, "b", 3)
    assert [each.is_aborted for each in crowd] == [True, True, False, False]
    assert [each.is_aborted for each in others] == [False, False, True]
    assert (connections.count, connections.given_up) == (4, 2)


def test_connections_are_counted_exactly() -> None:
    """However they come and go, also those that were closed here, of which the loop tells later."""
    rng = random.Random(1)  # noqa: S311 - no secret
    connections = Connections(5)
    known: list[tuple[str, Transport]] = []
    for _ in range(500):
        if rng.random() < 0.6:
            party = rng.choice("aaab") + str(rng.randrange(3))
            known.append((party, come(connections, party)[0]))
        elif known:
            connections.remove(*known.pop(rng.randrange(len(known))))
        assert connections.count == sum(not transport.is_aborted for _, transport in known) <= 5
    assert connections.given_up > 10
    for party, transport in known:
        connections.remove(party, transport)
    assert connections.count == len(connections._open) == len(connections._by_number) == 0
