"""A wire to Redis that can be slow, deaf or cut."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Relay:
    """Passes on what is said between clients and a Redis.

    Attributes:
        delay: Seconds that answers take longer.
        loses: A command whose answers do not arrive, though Redis has carried it out.
        breaks_once: Whether the next thing that is asked closes its connection instead.
    """

    def __init__(self, redis_url: str) -> None:
        self.delay = 0.0
        self.loses: bytes | None = None
        self.breaks_once = False
        self._parts = urlsplit(redis_url)
        self._port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """What clients connect to."""
        return self._parts._replace(netloc=f"127.0.0.1:{self._port}").geturl()

    def cut(self) -> None:
        """Close every connection that there is."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Relay]:
        """Listen until the block ends; again at the same address, if it did before."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", self._port)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await server.wait_closed()
            await asyncio.sleep(0.05)  # in which the connections' tasks end

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        redis_reader, redis_writer = await asyncio.open_connection(
            self._parts.hostname, self._parts.port or 6379
        )
        self._writers |= {writer, redis_writer}
        is_lost = asyncio.Event()
        await asyncio.gather(
            self._ask(reader, redis_writer, is_lost), self._answer(redis_reader, writer, is_lost)
        )

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_lost: asyncio.Event
    ) -> None:
        while chunk := await _read(reader):
            if self.breaks_once:
                self.breaks_once = False
                break
            if self.loses and self.loses in chunk:
                is_lost.set()
            writer.write(chunk)
        writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_lost: asyncio.Event
    ) -> None:
        while chunk := await _read(reader):
            await asyncio.sleep(self.delay)
            if not is_lost.is_set():
                writer.write(chunk)
        writer.close()


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65536)
    except ConnectionError:
        return b""
