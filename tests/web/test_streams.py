from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import CapacityLimiter
from starlette.requests import ClientDisconnect

from app.errors import StorageUnavailable
from app.web.streams import ReadAhead, in_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator


class Source:
    """Yields pieces, and knows how many it was asked for.

    Attributes:
        asked: How many.
        is_closed: Whether nobody will ask for more.
        threads: In which it was asked.
    """

    def __init__(self, count: int, failure: Exception | None = None) -> None:
        self.asked = 0
        self.is_closed = False
        self.threads: set[int] = set()
        self._count = count
        self._failure = failure

    def __iter__(self) -> Iterator[bytes]:
        try:
            for number in range(self._count):
                self.asked += 1
                self.threads.add(threading.get_ident())
                yield b"%d," % number
            if self._failure:
                raise self._failure
        finally:
            self.is_closed = True


class Client:
    """Takes an answer.

    Args:
        leaves_after: Pieces after which it leaves, as a server tells it.
        breaks_after: Pieces after which sending fails.
        slowness: Seconds that each piece takes.
    """

    def __init__(
        self, leaves_after: int | None = None, breaks_after: int | None = None, slowness: float = 0
    ) -> None:
        self.messages: list[dict[str, Any]] = []
        self.ahead: list[int] = []
        self._leaves_after, self._breaks_after, self._slowness = leaves_after, breaks_after, slowness
        self._left = anyio.Event()

    @property
    def body(self) -> bytes:
        """What has come."""
        return b"".join(message.get("body", b"") for message in self.messages)

    @property
    def is_whole(self) -> bool:
        """Whether the answer has ended as it should."""
        last = self.messages[-1]
        return last["type"] == "http.response.body" and not last.get("more_body", False)

    async def receive(self) -> dict[str, Any]:
        """Wait until it leaves."""
        await self._left.wait()
        return {"type": "http.disconnect"}

    def sender(self, source: Source) -> Any:
        """Return what an answer is sent with."""

        async def send(message: Any) -> None:
            pieces = len(self.messages) - 1
            if pieces == self._breaks_after:
                raise ClientDisconnect
            if self._slowness and message["type"] == "http.response.body":
                await anyio.sleep(self._slowness)
                self.ahead.append(source.asked - pieces - 1)
            self.messages.append(message)
            if pieces == self._leaves_after:
                self._left.set()
                await anyio.sleep(0.01)

        return send


def sent(source: Source, **given: Any) -> Client:
    """Send what a source yields to a client."""

    async def main() -> Client:
        client = Client(**given)
        answer = ReadAhead(
            iter(source), CapacityLimiter(1), headers={"X-Own": "yes"}, media_type="text/plain", status=206
        )
        await answer({"type": "http"}, client.receive, client.sender(source))
        return client

    return anyio.run(main)


def test_all_of_it_is_sent_in_order() -> None:
    """With the status and the headers that were given, and read beside the event loop."""
    source = Source(100)
    client = sent(source)
    assert client.messages[0]["status"] == 206
    assert (b"x-own", b"yes") in client.messages[0]["headers"]
    assert client.body == b"".join(b"%d," % number for number in range(100))
    assert client.is_whole
    assert threading.get_ident() not in source.threads


def test_nothing_is_sent_of_nothing() -> None:
    """An empty answer is whole."""
    client = sent(Source(0))
    assert (client.body, client.is_whole) == (b"", True)


def test_one_piece_is_read_ahead() -> None:
    """While another is on its way, so that neither waits; and no more, however slowly they go."""
    source = Source(20)
    client = sent(source, slowness=0.01)
    assert client.is_whole
    assert max(client.ahead) == 1


@pytest.mark.parametrize("how", ["leaves_after", "breaks_after"])
def test_who_leaves_ends_the_reading(how: str) -> None:
    """Told by the server, or by sending that fails."""
    source = Source(1000)
    client = sent(source, **{how: 3})
    assert not client.is_whole
    assert source.asked < 10


@pytest.mark.parametrize("failure", [StorageUnavailable(), ValueError("a secret name")])
def test_a_reading_that_fails_cuts_the_answer(failure: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """It has no end, so that nobody takes a part of it for the whole; what is said names no content."""
    client = sent(Source(3, failure))
    assert client.body == b"0,1,2,"
    assert not client.is_whole
    said = capsys.readouterr().out
    assert "answer_cut" in said
    assert "a secret name" not in said


def test_short_pieces_are_put_together() -> None:
    """Each way through a thread is worth 64 KB; what is long already stays."""
    blocks = list(in_blocks([b"x" * 1000] * 200 + [b"y" * 100_000] + [b"z"]))
    assert b"".join(blocks) == b"x" * 200_000 + b"y" * 100_000 + b"z"
    assert [len(block) >= 65_536 for block in blocks] == [True] * (len(blocks) - 1) + [False]
    assert list(in_blocks([])) == []


def test_many_slow_answers_share_few_threads() -> None:
    """A thread is taken for the time of a read, not for that of an answer."""

    async def main() -> float:
        limit = CapacityLimiter(1)
        start = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                source, client = Source(5), Client(slowness=0.05)
                answer = ReadAhead(iter(source), limit, headers={}, media_type="text/plain")
                tasks.start_soon(answer, {"type": "http"}, client.receive, client.sender(source))
        return time.monotonic() - start

    assert anyio.run(main) < 20 * 5 * 0.05 / 2
