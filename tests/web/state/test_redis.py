from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from structlog.testing import capture_logs

from app.errors import StoreUnavailable
from app.settings import InvalidSettings
from app.web.state import redis as shared
from app.web.state.redis import RedisClient
from tests.web.relay import Relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from structlog.typing import EventDict


def run(main: Callable[[], Awaitable[object]]) -> None:
    """Run a test on the event loop that the service runs on."""
    anyio.run(main, backend_options={"use_uvloop": True})


@asynccontextmanager
async def redis_that_says(answer: bytes) -> AsyncIterator[str]:
    """Give the address of a Redis that says the same to whatever it is asked."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            questions = chunk.count(b"*")
            writer.write((b"+OK\r\n" if b"SETINFO" in chunk else answer) * max(1, questions))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.sleep(0.05)


def test_a_value_is_there_until_it_is_deleted(redis_url: str, redis_prefix: str) -> None:
    """What was put is given back, to another client too, and is gone when it is deleted, even twice."""

    async def main() -> None:
        async with RedisClient(redis_url, redis_prefix).opened() as one:
            async with RedisClient(redis_url, redis_prefix).opened() as other:
                answered = [one.has_answered]
                await one.put("a", b"\x00\xff", 60)
                assert [*answered, one.has_answered] == [False, True]
                assert await other.get("a") == b"\x00\xff"
                await other.delete("a")
                await other.delete("a")
            assert await one.get("a") is None
            assert one.failures == 0

    run(main)


def test_a_value_leaves_by_itself(redis_url: str, redis_prefix: str) -> None:
    """Redis forgets a value when its time is over, with nobody there to delete it."""

    async def main() -> None:
        async with RedisClient(redis_url, redis_prefix).opened() as store:
            await store.put("a", b"1", 1)
            assert await store.get("a") == b"1"
            await anyio.sleep(1.1)
            assert await store.get("a") is None

    run(main)


def test_nobody_listens() -> None:
    """A Redis that is not there is unavailable at once, counted, and never an error of another kind."""

    async def main() -> None:
        async with RedisClient("redis://127.0.0.1:1").opened() as store:
            started = time.monotonic()
            for ask in (store.ping(), store.get("a"), store.put("a", b"", 1), store.delete("a")):
                with pytest.raises(StoreUnavailable):
                    await ask
            assert time.monotonic() - started < 1
            assert store.failures == 4
            assert not store.has_answered

    run(main)


def test_a_redis_that_hangs_is_left_in_time(redis_url: str, redis_prefix: str) -> None:
    """One that takes a question and never answers holds nobody for more than four seconds."""

    async def main() -> None:
        relay = Relay(redis_url)
        async with relay.opened(), RedisClient(relay.url, redis_prefix).opened() as store:
            await store.ping()
            relay.loses = b"GET"
            started = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await store.get("a")
            assert 1.5 < time.monotonic() - started < 4.5
            relay.loses = None
            assert await store.get("a") is None, "and it is asked again when it is well"

    run(main)


@pytest.mark.parametrize(
    "answer",
    [
        b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        b"-NOAUTH Authentication required.\r\n",
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
        b"nonsense\r\n",
    ],
)
def test_a_redis_that_refuses_is_unavailable(answer: bytes) -> None:
    """Full, locked, loading, read-only or no Redis at all: each is StoreUnavailable."""

    async def main() -> None:
        async with redis_that_says(answer) as url, RedisClient(url).opened() as store:
            with pytest.raises(StoreUnavailable):
                await store.put("a", b"1", 60)

    run(main)


def test_a_restart_is_not_noticed(redis_url: str, redis_prefix: str) -> None:
    """Connections that died while they rested, or as they are used, are replaced without a failure."""

    async def main() -> None:
        relay = Relay(redis_url)
        async with relay.opened(), RedisClient(relay.url, redis_prefix).opened() as store:
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(store.ping)
            relay.cut()
            await anyio.sleep(0.05)
            for _ in range(8):
                await store.ping()
            relay.breaks_once = True  # one that looked alive
            await store.ping()
            assert not relay.breaks_once
            assert store.failures == 0

    run(main)


def test_nobody_gets_the_answer_to_anothers_question(redis_url: str, redis_prefix: str) -> None:
    """Whoever leaves while Redis answers leaves no answer behind for the next to find."""

    async def main() -> None:
        relay = Relay(redis_url)
        async with relay.opened(), RedisClient(relay.url, redis_prefix).opened() as store:
            names = [f"{number}" for number in range(10)]
            for name in names:
                await store.put(name, name.encode() * 100_000, 60)
            relay.delay = 0.02
            for name in names:
                with anyio.move_on_after(0.01) as scope:
                    await store.get(f"{9 - int(name)}")
                assert scope.cancelled_caught
                assert await store.get(name) == name.encode() * 100_000
            assert store.failures == 0

    run(main)


def test_more_questions_than_connections_wait(
    redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rush of two hundred is answered, none of it refused."""
    # How fast sixty megabytes come says more about the machine.
    for limit in ("_CONNECT_SECONDS", "_ANSWER_SECONDS", "_CALL_SECONDS"):
        monkeypatch.setattr(shared, limit, 60.0)

    async def main() -> None:
        async with RedisClient(redis_url, redis_prefix).opened() as store:
            await store.put("a", b"1" * 300_000, 60)
            async with anyio.create_task_group() as tasks:
                for _ in range(200):
                    tasks.start_soon(store.get, "a")
            assert store.failures == 0

    run(main)


def test_the_log_says_what_failed_and_nothing_of_it() -> None:
    """One line a minute, with the kind of failure; no password, no name and no value."""
    lines: list[EventDict] = []

    async def main() -> None:
        answer = b"-WRONGPASS canary-answer\r\n"
        with capture_logs() as logs:
            async with redis_that_says(answer) as url:
                secret = url.replace("redis://", "redis://user:canary-password@")
                async with RedisClient(secret).opened() as store:
                    for _ in range(3):
                        with pytest.raises(StoreUnavailable):
                            await store.put("canary-name", b"canary-value", 60)
            lines.extend(logs)

    run(main)
    (line,) = lines
    assert line["event"] == "redis_failed"
    assert line["failures"] == 1
    assert "AuthenticationError" in line["kind"]
    assert "canary" not in str(line)


def test_options_of_another_scheme_refuse_to_start() -> None:
    """TLS options on a plain connection are told at once, without the address."""
    with pytest.raises(InvalidSettings) as caught:
        RedisClient("redis://:canary@localhost?ssl_ca_certs=/x")
    assert str(caught.value) == "RIBBONS_REDIS_URL: has options that do not go with its scheme"
