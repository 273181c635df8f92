"""Turns by address, from outside: the attacks of ``tests/soak/test_turns.py`` in little.

A server with few places is as short of them before thirty as a large one before thousands. What is asserted
is who is served, and in which order: how long it takes says more about what else the machine does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest
import uvloop

from tests.crowds import (
    ATTACKER,
    HEALTH,
    Door,
    Supporter,
    ask_all,
    at_rate,
    in_parts,
    new_words,
    photo,
    trickle,
    under,
    until_nothing_is_held,
)
from tests.photos import detailed, heic, save
from tests.proxies import documented_proxy
from tests.servers import hanging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.crowds import Attack
    from tests.servers import Serve, Server

pytestmark = pytest.mark.xdist_group("turns")  # one server for the file

_UPLOADS = 16
_QUEUE = 4

_SMALL = photo(save(detailed((128, 128)), "JPEG"), "size=64")
_HEIC = photo(heic(), "size=64")
_few_new_pixels = partial(new_words, 64)
_SUPPORTERS = [Supporter(f"127.0.0.{number}", lambda: _SMALL) for number in (2, 3)]


@pytest.fixture(scope="module")
def server(serve: Serve) -> Iterator[Server]:
    """A server with few places of every kind."""
    with serve(
        workers=1, queue=_QUEUE, max_uploads=_UPLOADS, deadline=60, trusted_proxies="127.0.0.1"
    ) as server:
        yield server


@pytest.fixture
def door(server: Server) -> Iterator[Door]:
    """The way to it; at the end nobody may have left anything behind."""
    yield Door(server.port)
    until_nothing_is_held(server)


@pytest.fixture
def proxied(door: Door, certificates: Path, tmp_path: Path) -> Iterator[Door]:
    """The way through the documented nginx."""
    with documented_proxy(tmp_path, certificates, door.port) as proxy:
        yield Door(proxy.port, proxy.tls)


async def _until(server: Server, name: str, value: float, **labels: str) -> None:
    await asyncio.to_thread(server.until_metric, name, value, **labels)


def _served_while_places_are_short(server: Server, door: Door, attack: Attack) -> None:
    """Have an attack take all places; supporters are served all the same."""

    async def served() -> Counter[int]:
        async with under(attack, door):
            await _until(server, "ribbons_uploads_arriving", _UPLOADS)
            return Counter(answer.status for answer in await ask_all(_SUPPORTERS, door, times=5))

    assert uvloop.run(served()) == {200: 10}


def test_uploads_that_trickle_from_one_address_give_their_places_up(server: Server, door: Door) -> None:
    """To whoever has fewer, at once."""
    _served_while_places_are_short(server, door, trickle([ATTACKER], 30))


def test_uploads_that_trickle_from_ten_addresses_give_their_places_up(server: Server, door: Door) -> None:
    """Each has few, and still more than a supporter."""
    addresses = [f"127.0.1.{number}" for number in range(1, 11)]
    _served_while_places_are_short(server, door, trickle(addresses, 3))


def test_uploads_that_trickle_through_the_proxy_give_their_places_up(server: Server, proxied: Door) -> None:
    """The proxy says whose they are."""
    _served_while_places_are_short(server, proxied, trickle([ATTACKER], 30))


def test_senders_who_take_long_keep_nobody_out(server: Server, door: Door) -> None:
    """Thirty at once, who give the worker next to nothing to do."""
    parts = in_parts(_SMALL, 4)
    _served_while_places_are_short(server, door, at_rate(20, lambda: parts, pause=0.5))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        pytest.param(_few_new_pixels, lambda: _SMALL, id="a photo, overlays"),
        pytest.param(_few_new_pixels, _few_new_pixels, id="an overlay, overlays"),
        pytest.param(lambda: _HEIC, lambda: _SMALL, id="a photo, HEIC"),
    ],
)
def test_whoever_comes_last_is_drawn_for_before_the_rest_of_another(
    server: Server, door: Door, theirs: Callable[[], bytes], ours: Callable[[], bytes]
) -> None:
    """What has begun comes to its end; then it is the turn of another address, and the queue is not full."""

    async def in_order() -> list[str]:
        served: list[str] = []

        async def ask(address: str, request: Callable[[], bytes]) -> None:
            answer = await door.ask(address, request())
            if answer.status == 200:
                served.append(address)

        async with asyncio.TaskGroup() as tasks:
            with hanging(server):
                for _ in range(3 * _QUEUE):
                    tasks.create_task(ask(ATTACKER, theirs))
                await _until_heard(door)
                tasks.create_task(ask(_SUPPORTERS[0].address, ours))
                await _until_heard(door)
        return served

    assert _SUPPORTERS[0].address in uvloop.run(in_order())[:2]


def test_one_address_alone_has_all_places(server: Server, door: Door) -> None:
    """Many phones share it: as many of their photos wait as may, and all are drawn."""

    async def served() -> list[int]:
        with hanging(server):
            crowd = [asyncio.create_task(door.ask(ATTACKER, _SMALL)) for _ in range(1 + _QUEUE)]
            await _until(server, "ribbons_jobs_waiting", _QUEUE, lane="photo")
        return [(await answer).status for answer in crowd]

    assert uvloop.run(served()) == [200] * (1 + _QUEUE)


async def _until_heard(door: Door) -> None:
    """Wait until the server has read what was sent before: it listens to all in turn."""
    for _ in range(3):
        assert (await door.ask("127.0.0.1", HEALTH)).status == 200
