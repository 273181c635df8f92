"""Turns by address: what a supporter gets while somebody else attacks.

Each test asks the same things on an idle server and beside the attack, in the same run, because machines
differ. ``tests/web/test_turns.py`` has the same attacks in little, for every run.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Protocol

import pytest
import uvloop

from tests import crowds
from tests.crowds import (
    ATTACKER,
    Door,
    Supporter,
    ask_all,
    at_rate,
    in_parts,
    new_words,
    photo,
    trickle,
    under,
)
from tests.heif_files import Style, build, coded_heic, grid, pixi
from tests.photos import detailed, save
from tests.proxies import documented_proxy
from tests.soak.figures import Figures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.crowds import Answer, Attack
    from tests.servers import Serve, Server

    Note = Callable[[Figures], None]


pytestmark = [pytest.mark.soak, pytest.mark.timeout(240)]

_WORKERS = 2
_SUPPORTERS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")

_IDLE_SECONDS = 12
_ATTACKED_SECONDS = 24

_PAUSE = 0.3
"""Seconds between two requests of a supporter, so that they are no crowd themselves."""


@pytest.fixture(scope="module")
def server(serve: Serve) -> Iterator[Server]:
    """A server without any setting but how many workers it has."""
    with serve(workers=_WORKERS) as server:
        yield server


@pytest.fixture(scope="module")
def narrow(serve: Serve) -> Iterator[Server]:
    """One that has places for half of the slow uploads, and believes the proxy."""
    with serve(workers=_WORKERS, max_uploads=256, trusted_proxies="127.0.0.1") as server:
        yield server


@pytest.fixture(scope="module")
def proxied(narrow: Server, certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The way to it through the documented nginx."""
    with documented_proxy(tmp_path_factory.mktemp("nginx"), certificates, narrow.port) as proxy:
        yield Door(proxy.port, proxy.tls)


@pytest.fixture(scope="module")
def phone_photo() -> bytes:
    """12 megapixels in 3 MB, as phones make them."""
    return save(detailed((4032, 3024)), "JPEG", quality=75)


@pytest.fixture(scope="module")
def small_photo() -> bytes:
    """One that takes next to nothing to draw."""
    return save(detailed((128, 128)), "JPEG")


@pytest.fixture(scope="module")
def heic() -> bytes:
    """A HEIC of 7.9 megapixels, which takes two thirds as long as a phone's of 12.

    Nothing here can write HEVC, so it is one small picture, 961 times.
    """
    side, (width, height) = 31, (128, 64)
    tiles = range(2, 2 + side**2)
    whole = grid(side, side, (side * width, side * height), tiles, pixi())
    return build({1: whole, **dict.fromkeys(tiles, coded_heic())}, style=Style(brands=(b"heic", b"mif1")))


class Compare(Protocol):
    """Measures and judges a trial at a server, straight or through another door."""

    def __call__(self, trial: Trial, server: Server, door: Door | None = None) -> None:
        """Fail where a supporter was not served, or had to wait for too long."""


@pytest.fixture
def compare(note: Note) -> Compare:
    """Ask on an idle server, then beside an attack; note the figures, and judge them."""

    def compare(trial: Trial, server: Server, door: Door | None = None) -> None:
        found = uvloop.run(trial.run(door or Door(server.port)))
        for figures in found:
            note(figures)
        crowds.until_nothing_is_held(server)
        for figures in found:
            assert figures.share >= 0.99, str(figures)
            assert figures.longer <= figures.drawing, str(figures)

    return compare


@dataclass(frozen=True)
class Trial:
    """An attack, and those who want something meanwhile.

    Attributes:
        name: Of the attack, in the table.
        attack: What is done.
        supporters: Those beside it, by what they ask for.
        drawn: Makes a request for the longest drawing that goes on then.
        head_start: Seconds after which the attack is at its worst.
    """

    name: str
    attack: Attack
    supporters: Mapping[str, Sequence[Supporter]]
    drawn: Callable[[], bytes]
    head_start: float

    async def run(self, door: Door) -> list[Figures]:
        """Measure; a line for each thing that supporters ask for."""
        await self._all_ask(door, 1)
        alone = await Supporter(_SUPPORTERS[0], self.drawn).ask(door, times=5)
        idle = await self._all_ask(door, _IDLE_SECONDS)
        async with under(self.attack, door) as attacker:
            await asyncio.sleep(self.head_start)
            attacked = await self._all_ask(door, _ATTACKED_SECONDS)
        drawing = median(answer.seconds for answer in alone)
        return [
            Figures(self.name, asks, idle[asks], attacked[asks], drawing, dict(attacker))
            for asks in self.supporters
        ]

    async def _all_ask(self, door: Door, seconds: float) -> dict[str, list[Answer]]:
        answers = await asyncio.gather(
            *(ask_all(supporters, door, seconds=seconds) for supporters in self.supporters.values())
        )
        return dict(zip(self.supporters, answers, strict=True))


def _with(request: Callable[[], bytes], addresses: Sequence[str] = _SUPPORTERS) -> list[Supporter]:
    return [Supporter(address, request, _PAUSE) for address in addresses]


def test_uploads_of_one_byte_a_second_keep_nobody_out(
    compare: Compare, narrow: Server, phone_photo: bytes
) -> None:
    """Five hundred from one address, where there are places for half of them."""
    ask = partial(photo, phone_photo)
    trial = Trial("500 uploads of a byte a second", trickle([ATTACKER], 500), {"photo": _with(ask)}, ask, 4)
    compare(trial, narrow)


def test_uploads_of_one_byte_a_second_from_many_addresses_keep_nobody_out(
    compare: Compare, narrow: Server, phone_photo: bytes
) -> None:
    """As many, each from an address of its own: none has much, but all are slower than anybody else."""
    ask = partial(photo, phone_photo)
    addresses = [f"127.0.{net}.{number}" for net in (1, 2) for number in range(1, 251)]
    trial = Trial("the same from 500 addresses", trickle(addresses, 1), {"photo": _with(ask)}, ask, 8)
    compare(trial, narrow)


def test_uploads_of_one_byte_a_second_through_the_proxy_keep_nobody_out(
    compare: Compare, narrow: Server, proxied: Door, phone_photo: bytes
) -> None:
    """The proxy lets ten a second in: after half a minute all places are taken."""
    ask = partial(photo, phone_photo)
    trial = Trial("500 behind nginx", trickle([ATTACKER], 500), {"photo": _with(ask)}, ask, 30)
    compare(trial, narrow, proxied)


def test_overlays_with_new_words_keep_nobody_waiting(
    compare: Compare, server: Server, phone_photo: bytes
) -> None:
    """Thirty a second, each most of a second of work: neither with a photo nor with words of one's own."""
    supporters = {
        "photo": _with(partial(photo, phone_photo), _SUPPORTERS[:2]),
        "words of their own": _with(new_words, _SUPPORTERS[2:]),
    }
    trial = Trial("30 new overlays a second", at_rate(30, lambda: [new_words()]), supporters, new_words, 4)
    compare(trial, server)


def test_photos_that_take_long_keep_nobody_waiting(
    compare: Compare, server: Server, phone_photo: bytes, heic: bytes
) -> None:
    """As much work as six HEIC of 12 megapixels a second."""
    heavy = photo(heic)
    supporters = {"photo": _with(partial(photo, phone_photo))}
    trial = Trial("9 HEIC a second", at_rate(9, lambda: [heavy]), supporters, lambda: heavy, 4)
    compare(trial, server)


def test_senders_who_take_long_keep_nobody_out(
    compare: Compare, server: Server, phone_photo: bytes, small_photo: bytes
) -> None:
    """Eighty a second, of eight seconds each: 640 at once, who give the workers next to nothing to do."""
    parts = in_parts(photo(small_photo, "size=64"), 9)
    ask = partial(photo, phone_photo)
    attack = at_rate(80, lambda: parts, pause=1)
    compare(Trial("80 senders a second of 8 s", attack, {"photo": _with(ask)}, ask, 10), server)


def test_one_address_gets_all_there_is(server: Server, phone_photo: bytes) -> None:
    """Eight behind one carrier's address are drawn for as fast as eight with addresses of their own.

    With half of the workers they would have half as much.
    """
    many = [f"127.0.3.{number}" for number in range(1, 9)]

    async def drawn(addresses: Sequence[str]) -> int:
        senders = [Supporter(address, partial(photo, phone_photo)) for address in addresses]
        answers = await ask_all(senders, Door(server.port), seconds=4)
        assert all(answer.status == 200 for answer in answers)
        return len(answers)

    async def in_turns() -> list[tuple[int, int]]:
        return [(await drawn(many[:1] * len(many)), await drawn(many)) for _ in range(5)]

    assert median(one / others for one, others in uvloop.run(in_turns())) >= 0.8
    crowds.until_nothing_is_held(server)
