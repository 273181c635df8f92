"""Crowds of clients in one process, each with an address of its own: those who attack and those who do not.

Linux has all of 127.0.0.0/8 for its own, so a client may come from any address of it. A client here takes so
little of the CPU that it may stand beside the server it asks.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.proxies import HOST

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterable, Sequence

    from tests.servers import Server

ATTACKER = "127.0.0.66"

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

# Finished avatars; and when a counter began, which the client of Prometheus calls a gauge.
_NOT_HELD = re.compile("^ribbons_results_|_created$")

_OWN = {"ribbons_connections_open": 1}
"""What is held for whoever asks."""

_new = itertools.count()


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: Of HTTP; 0 where the connection ended without one.
        seconds: From the attempt to connect to the end of the answer.
    """

    status: int
    seconds: float


@dataclass(frozen=True)
class Door:
    """Where clients of a server ask.

    Attributes:
        port: Of 127.0.0.1.
        tls: How it is encrypted, where it is.
    """

    port: int
    tls: ssl.SSLContext | None = None

    async def ask(self, address: str, *parts: bytes, pause: float = 0) -> Answer:
        """Send a request and read all of its answer.

        Args:
            address: Whom to be.
            parts: The request. Nothing more of it is sent once the answer has begun.
            pause: Seconds before each part but the first.
        """
        start = time.monotonic()
        status = 0
        with suppress(OSError):
            async with self._connection(address) as (reader, writer):
                writer.write(parts[0])
                status = await _send_on(reader, writer, parts[1:], pause)
                while await reader.read(65_536):
                    pass
        return Answer(status, time.monotonic() - start)

    @asynccontextmanager
    async def _connection(self, address: str) -> AsyncIterator[_Streams]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            local_addr=(address, 0),
            ssl=self.tls,
            server_hostname=HOST if self.tls else None,
        )
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def _send_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, parts: Iterable[bytes], pause: float
) -> int:
    """Send part after part until the answer begins, and return its status."""
    answer = asyncio.ensure_future(reader.readline())
    try:
        for part in parts:
            await asyncio.wait([answer], timeout=pause)
            if answer.done():
                break
            writer.write(part)
        line = await answer
    finally:
        answer.cancel()
    return int(line.split()[1]) if line.startswith(b"HTTP/1.1 ") else 0


# -- what is asked for ---------------------------------------------------------


def photo(content: bytes, query: str = "size=1080", length: int | None = None) -> bytes:
    """Return a request that brings a photo, or as much of it as there is of a length that is promised."""
    promised = len(content) if length is None else length
    return _head("POST", f"/v1/avatars?{query}", f"Content-Length: {promised}\r\n") + content


def in_parts(request: bytes, number: int) -> list[bytes]:
    """Cut a request into so many parts of about the same length."""
    cuts = [len(request) * cut // number for cut in range(number + 1)]
    return [request[start:end] for start, end in itertools.pairwise(cuts)]


def new_words(side: int = 2048) -> bytes:
    """Return a request for a frame with words that nobody has asked for before."""
    words = quote(f"الحرية {next(_new)}")
    return _head("GET", f"/v1/frames/red-ribbons/overlay.webp?size={side}&slogan={words}")


def _head(method: str, path: str, headers: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{headers}\r\n".encode()


HEALTH = _head("GET", "/healthz")
"""A request that takes nothing but the server's attention."""


# -- those who attack ----------------------------------------------------------

_COMES_AGAIN_SECONDS = 5
"""After a refusal: as long as the service itself, without a proxy, reads on from whoever it has refused."""

Attack = Callable[[Door, Counter[int]], Coroutine[None, None, None]]
"""Goes on until it is cancelled, and counts the answers by their status."""


def trickle(addresses: Sequence[str], each: int) -> Attack:
    """Return an attack by uploads of one byte a second, so many from each address.

    One that is refused is followed by another one. Not at once: on a machine that attacks itself, hundreds of
    TLS handshakes a second would be what is measured.
    """

    async def one(door: Door, answers: Counter[int], address: str, delay: float) -> None:
        await asyncio.sleep(delay)
        byte = b"x"
        while True:
            start = photo(byte, length=100_000)
            answer = await door.ask(address, start, *itertools.repeat(byte, 3600), pause=1)
            answers[answer.status] += 1
            await asyncio.sleep(_COMES_AGAIN_SECONDS)

    async def attack(door: Door, answers: Counter[int]) -> None:
        uploads = [address for address in addresses for _ in range(each)]
        async with asyncio.TaskGroup() as tasks:
            # Not all in the same moment of each second.
            for number, address in enumerate(uploads):
                tasks.create_task(one(door, answers, address, number / len(uploads)))

    return attack


def at_rate(per_second: float, request: Callable[[], Sequence[bytes]], pause: float = 0) -> Attack:
    """Return an attack by so many requests a second, whether or not there are answers.

    Args:
        per_second: How many begin.
        request: Makes one, in parts.
        pause: Seconds between the parts.
    """

    async def one(door: Door, answers: Counter[int]) -> None:
        answer = await door.ask(ATTACKER, *request(), pause=pause)
        answers[answer.status] += 1

    async def attack(door: Door, answers: Counter[int]) -> None:
        start = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in itertools.count():
                await asyncio.sleep(start + number / per_second - time.monotonic())
                tasks.create_task(one(door, answers))

    return attack


@asynccontextmanager
async def under(attack: Attack, door: Door) -> AsyncIterator[Counter[int]]:
    """Attack while the block runs. Gives the answers that the attacker has had, by their status."""
    answers: Counter[int] = Counter()
    task = asyncio.create_task(attack(door, answers))
    try:
        yield answers
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


# -- those who do not ----------------------------------------------------------


@dataclass(frozen=True)
class Supporter:
    """Somebody who asks for one thing after another.

    Attributes:
        address: Who they are.
        request: Makes what they ask for.
        pause: Seconds between an answer and the next request.
    """

    address: str
    request: Callable[[], bytes]
    pause: float = 0

    async def ask(self, door: Door, times: float = math.inf, seconds: float = math.inf) -> list[Answer]:
        """Ask so many times, but for so long at most, and return the answers."""
        answers: list[Answer] = []
        end = time.monotonic() + seconds
        while len(answers) < times and time.monotonic() < end:
            answers.append(await door.ask(self.address, self.request()))
            await asyncio.sleep(self.pause)
        return answers


async def ask_all(
    supporters: Iterable[Supporter], door: Door, times: float = math.inf, seconds: float = math.inf
) -> list[Answer]:
    """Let several ask beside each other, and return the answers of all."""
    answers = await asyncio.gather(*(supporter.ask(door, times, seconds) for supporter in supporters))
    return list(itertools.chain.from_iterable(answers))


# -- what is left of them ------------------------------------------------------


def until_nothing_is_held(server: Server) -> None:
    """Wait until every gauge of what a server has in hand for others is zero."""
    end = time.monotonic() + 30
    while held := _held(server):
        assert time.monotonic() < end, held
        time.sleep(0.1)


def _held(server: Server) -> dict[str, float]:
    return {
        f"{sample.name}{sample.labels}": sample.value
        for family in server.metrics()
        if family.type == "gauge" and family.name.startswith("ribbons_") and not _NOT_HELD.search(family.name)
        for sample in family.samples
        if sample.value > _OWN.get(sample.name, 0)
    }
