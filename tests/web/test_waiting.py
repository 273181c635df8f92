"""Those who do not go on, and those who wait for their turn: nobody else waits for them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from functools import partial
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, cast

import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from app.settings import load_settings
from app.web import server as server_module
from app.web import wire
from app.web.connections import Connections
from app.web.http.client import Parties
from app.web.pacer import Pacer
from app.web.wire import HEAD_SECONDS, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Send

    from app.turns import Party
    from app.web.metrics import Metrics


class Slow:
    """A service whose answers take longer than a head may, and the connections to it."""

    def __init__(self, *trusted: str, seconds: float = 0.6) -> None:
        self.pacer = Pacer()
        self.connections = Connections(100)
        self._seconds = seconds
        self._trusted = [ip_network(proxy) for proxy in trusted]
        self._state = ServerState()

    async def answer(self, _scope: object, _receive: object, send: Send) -> None:
        """Answer late."""
        await asyncio.sleep(self._seconds)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def meanwhile(self) -> None:
        """Do what happens when all has been sent."""

    async def ask(self, *pieces: bytes, pause: float = 0) -> tuple[bytes, float]:
        """Send pieces on one connection, and return what came until it ended, and in how many seconds."""
        config = uvicorn.Config(
            cast("Any", self.answer),
            interface="asgi3",
            lifespan="off",
            log_config=None,
            timeout_keep_alive=1,
        )
        config.load()
        made = partial(
            Wire,
            H11Protocol,
            cast("Metrics", None),
            self.pacer,
            Parties(self._trusted),
            self.connections,
            config=config,
            server_state=self._state,
            app_state={},
        )
        server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        start = time.monotonic()
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause)
        await self.meanwhile()
        came = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        server.close()
        return came, time.monotonic() - start


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", b"GET / HTT", GET[:-2], b"\r\n"])
def test_a_head_that_does_not_come_is_not_waited_for(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-sent requests would take up every connection that the system allows."""
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.3)
    came, seconds = asyncio.run(Slow().ask(sent))
    assert came == b""
    assert 0.2 < seconds < 10


class Stuck(Pacer):
    """Lets nothing begin before some seconds have gone, and counts what would."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.begun = 0
        self._seconds = seconds

    def begin(self, work: Callable[[], None], party: Party, *, is_urgent: bool = False) -> bool:
        """Let it wait."""
        del party, is_urgent
        self.begun += 1
        asyncio.get_running_loop().call_later(self._seconds, work)
        return False


def test_who_waits_for_a_turn_is_not_taken_for_one_who_does_not_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A head that has come, and is not heard yet, has come."""
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.3)
    slow = Slow(seconds=0)
    slow.pacer = Stuck(0.6)
    came, _ = asyncio.run(slow.ask(GET))
    assert came.startswith(b"HTTP/1.1 200")


def test_a_body_waits_for_no_turns() -> None:
    """A photo of dozens of pieces would wait as often as dozens of pages."""
    slow = Slow(seconds=1)
    slow.pacer = stuck = Stuck(0.1)
    post = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 40\r\n\r\n"
    came, _ = asyncio.run(slow.ask(post, *[b"12345678"] * 5, pause=0.15))
    assert came.startswith(b"HTTP/1.1 200")
    # The head, and the connection's end.
    assert stuck.begun <= 2


def test_a_head_may_come_in_pieces_and_an_answer_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the head has to hurry: it is not cut off for an answer that takes longer."""
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.3)
    came, _ = asyncio.run(Slow().ask(GET[:10], GET[10:] + GET[:9], pause=0.01))
    assert came.startswith(b"HTTP/1.1 200")
    assert came.endswith(b"ok")


@pytest.mark.parametrize(("trusted", "parties"), [((), 1), (("127.0.0.0/8",), 2)])
def test_turns_are_taken_by_who_came_over_a_proxy(
    monkeypatch: pytest.MonkeyPatch, trusted: tuple[str, ...], parties: int
) -> None:
    """It has few connections, and each of them brings requests of many."""
    slow = Slow(*trusted, seconds=0)
    seen = []
    begin = slow.pacer.begin

    def noted(work: Callable[[], None], party: Party, *, is_urgent: bool = False) -> bool:
        seen.append(party)
        return begin(work, party, is_urgent=is_urgent)

    monkeypatch.setattr(slow.pacer, "begin", noted)
    asks = [
        GET[:-2] + b"X-Forwarded-For: %b\r\n\r\n" % claims
        for claims in (b"6.6.6.6, 192.0.2.1", b"192.0.2.2", b"192.0.2.1\r\nConnection: close")
    ]
    came, _ = asyncio.run(slow.ask(*asks, pause=0.1))
    assert came.count(b"HTTP/1.1 200") == 3
    assert len(set(seen)) == parties
    assert seen[0] == seen[-1]


class Stopping(Slow):
    """A service that is told to stop while requests wait for their turn."""

    async def meanwhile(self) -> None:
        """Stop as uvicorn does; then let the turn come."""
        (protocol,) = self._state.connections
        protocol.shutdown()
        await asyncio.sleep(0.05)
        self.pacer._go_on()


@pytest.mark.parametrize(
    ("sent", "expected"), [(GET, b"ok"), (GET + GET, b"ok"), (GET[:9], b""), (b"\r\n", b"")]
)
def test_what_has_come_is_answered_before_the_service_ends(sent: bytes, expected: bytes) -> None:
    """Of 300 who asked when it was told to stop, 284 got nothing at all."""
    stopping = Stopping(seconds=0)
    stopping.pacer._is_busy = True
    came, seconds = asyncio.run(stopping.ask(sent, pause=0.05))
    assert came.endswith(expected)
    assert came.count(b"HTTP/1.1 200") == bool(expected)
    assert stopping.connections.count == 0
    assert seconds < HEAD_SECONDS, "nobody waits for what does not come"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone has it")
@pytest.mark.parametrize("reads", [False, True])
def test_a_reader_who_takes_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch, *, reads: bool) -> None:
    """The system ends its connection; one who takes a little, and again a little, keeps it."""
    monkeypatch.setattr(server_module, "_READER_SECONDS", 1)
    stop = threading.Event()

    def take_a_little(reader: socket.socket) -> None:
        while reads and not stop.wait(0.2) and reader.recv(40_000):
            pass

    with server_module._listen(load_settings(port=0)) as listener, socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        reader.connect(listener.getsockname())
        sender, _ = listener.accept()
        thread = threading.Thread(target=take_a_little, args=(reader,))
        thread.start()
        ended = None
        sender.settimeout(0)
        start = time.monotonic()
        while time.monotonic() - start < (2.5 if reads else 20) and ended is None:
            try:
                sender.send(b"x" * 65_536)
            except BlockingIOError:
                time.sleep(0.02)
            except OSError as error:
                ended = error
        sender.close()
        stop.set()
        thread.join()
    assert (ended is None) == reads
