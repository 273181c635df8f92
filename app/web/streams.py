"""Long answers, read in threads while they are sent: never whole in memory, never on a disk."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from app.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from anyio import CancelScope, CapacityLimiter
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from starlette.types import Receive, Scope, Send

_BLOCK_BYTES = 65_536

_log = structlog.get_logger(__name__)


class ReadAhead(Response):
    """Sends what an iterator yields. While one piece is on its way the next is read, and no more than that.

    A client that leaves ends the reading. Where the reading fails, the connection is closed before the
    answer's end, so that nobody takes a part of it for the whole.

    Args:
        pieces: Is asked in threads, since it blocks.
        threads: Limits how many such threads there are.
        status: The answer's.
        headers: The same. Without a length it goes out in chunks.
        media_type: The same.
    """

    def __init__(
        self,
        pieces: Iterator[bytes],
        threads: CapacityLimiter,
        *,
        status: int = 200,
        headers: Mapping[str, str],
        media_type: str,
    ) -> None:
        self.status_code = status
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)
        self._pieces = pieces
        self._threads = threads
        self._is_read = False

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        is_sent = False
        ahead, coming = anyio.create_memory_object_stream[bytes](0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_stop_when_left, receive, tasks.cancel_scope)
            tasks.start_soon(self._read, ahead)
            is_sent = await _pass_on(coming, send)
            tasks.cancel_scope.cancel()
        if is_sent and self._is_read:
            await send({"type": "http.response.body", "body": b""})

    async def _read(self, ahead: MemoryObjectSendStream[bytes]) -> None:
        read = partial(next, self._pieces, None)
        try:
            with ahead:
                while (piece := await to_thread.run_sync(read, limiter=self._threads)) is not None:
                    await ahead.send(piece)
            self._is_read = True
        except Exception as exc:  # noqa: BLE001 - whatever it is, the answer has begun
            fault = Fault.of(exc)
            _log.warning("answer_cut", kind=fault.kind, place=fault.place)


async def _pass_on(coming: MemoryObjectReceiveStream[bytes], send: Send) -> bool:
    """Send each piece as it comes, and tell whether all have been sent."""
    with coming:
        try:
            async for piece in coming:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (ClientDisconnect, OSError):
            return False
    return True


async def _stop_when_left(receive: Receive, scope: CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def in_blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Put short pieces together, so that each is worth its way through a thread."""
    block = bytearray()
    for piece in pieces:
        block += piece
        if len(block) >= _BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
