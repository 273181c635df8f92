from __future__ import annotations

import json
import re
import sys
import tracemalloc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from redis import Redis
from structlog.testing import capture_logs

from app.errors import Busy, ResultGone, StoreUnavailable
from app.spec import AvatarSpec
from app.web.state.redis import RedisClient
from app.web.state.results import MemoryResults, RedisResults, Result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from app.web.state.results import Results

    Opener = Callable[[], AbstractAsyncContextManager[Results]]

SPEC = AvatarSpec(frame="red-ribbons", slogan="الحرية للأسرى", size=64, x=0.25)
RESULT = Result(b"\xff\xd8\n\x00picture\n", SPEC)

NO_TOKENS = [
    "",
    "a",
    "a" * 31,
    "a" * 33,
    "a" * 31 + "\n",
    "a" * 31 + "é",
    "../" * 10 + "aa",
    "٣" * 32,
    "a" * 10**6,
]


def run(main: Callable[[], Awaitable[object]]) -> None:
    """Run a test on the event loop that the service runs on."""
    anyio.run(main, backend_options={"use_uvloop": True})


class Clock:
    """A time that passes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        """Tell it."""
        return self.now


@pytest.fixture(params=["memory", "redis"])
def opened(request: pytest.FixtureRequest) -> Opener:
    """Open results of either kind."""
    if request.param == "memory":
        return MemoryResults(60, 1_000_000).opened
    url, prefix = request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix")

    @asynccontextmanager
    async def open_redis() -> AsyncIterator[Results]:
        async with RedisClient(url, prefix).opened() as store, RedisResults(store, 60).opened() as results:
            yield results

    return open_redis


def test_a_token_leads_to_its_result(opened: Opener) -> None:
    """What was put comes back whole, the same bytes and the same spec, as often as it is asked for."""

    async def main() -> None:
        async with opened() as results:
            token = await results.put(RESULT)
            other = await results.put(Result(b"other", AvatarSpec(frame="red-ribbons")))
            assert await results.get(token) == RESULT
            assert (await results.get(token)).made == RESULT.made
            assert await results.get(other) == Result(b"other", AvatarSpec(frame="red-ribbons"))
            assert results.lifetime == 60

    run(main)


def test_tokens_are_long_and_never_the_same(
    opened: Opener,
) -> None:
    """A token is 32 letters, digits, hyphens or underscores, another one for the same result."""

    async def main() -> None:
        async with opened() as results:
            tokens = {await results.put(RESULT) for _ in range(100)}
        assert len(tokens) == 100
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", token) for token in tokens)

    run(main)


def test_a_deleted_result_is_gone(opened: Opener) -> None:
    """It is gone at once, the others stay, and deleting it again is no error."""

    async def main() -> None:
        async with opened() as results:
            token, other = await results.put(RESULT), await results.put(RESULT)
            await results.delete(token)
            await results.delete(token)
            with pytest.raises(ResultGone):
                await results.get(token)
            assert await results.get(other) == RESULT

    run(main)


@pytest.mark.parametrize("token", NO_TOKENS, ids=lambda token: repr(token[:12]))
def test_what_is_no_token_leads_nowhere(opened: Opener, token: str) -> None:
    """A word that we cannot have made is gone like any other, and deleting it is no error."""

    async def main() -> None:
        async with opened() as results:
            with pytest.raises(ResultGone):
                await results.get(token)
            await results.delete(token)

    run(main)


def test_a_token_that_never_was_leads_nowhere(
    opened: Opener,
) -> None:
    """A guess looks like a result whose time is over."""

    async def main() -> None:
        async with opened() as results:
            with pytest.raises(ResultGone):
                await results.get("A" * 32)
            await results.delete("A" * 32)

    run(main)


# -- in this process -------------------------------------------------------


def test_its_time_is_counted_from_when_it_was_put() -> None:
    """Looking at a result does not keep it longer: it is there a second before the end, not at the end."""

    async def main() -> None:
        clock = Clock()
        results = MemoryResults(900, 1_000_000, clock)
        token = await results.put(RESULT)
        clock.now += 899
        assert await results.get(token) == RESULT
        clock.now += 1
        with pytest.raises(ResultGone):
            await results.get(token)
        await results.delete(token)
        assert (results.held, results.held_bytes, results.evicted) == (0, 0, 0)

    run(main)


def test_pictures_leave_memory_by_themselves() -> None:
    """Soon after the end of a short life nothing holds the bytes any more, though nobody came."""

    async def main() -> None:
        content = bytes(bytearray(b"picture" * 1000))
        before = sys.getrefcount(content)
        async with MemoryResults(0.2, 1_000_000).opened() as results:
            await results.put(Result(content, SPEC))
            assert sys.getrefcount(content) == before + 1
            with anyio.fail_after(10):
                while sys.getrefcount(content) > before:  # noqa: ASYNC110 - nobody tells
                    await anyio.sleep(0.05)

    run(main)


def test_nothing_is_held_after_the_end() -> None:
    """A service that stops lets go of every picture, and counts none of them as thrown out."""

    async def main() -> None:
        results = MemoryResults(60, 1_000_000)
        async with results.opened():
            await results.put(RESULT)
            assert results.held == 1
        assert (results.held, results.held_bytes, results.evicted) == (0, 0, 0)

    run(main)


def test_full_memory_lets_the_least_used_go() -> None:
    """What was looked at last stays; the bytes never pass the limit; who left early is counted."""

    async def main() -> None:
        results = MemoryResults(60, 100_000)
        picture = bytes(30_000)
        first, second, third = [await results.put(Result(picture, SPEC)) for _ in range(3)]
        await results.get(first)
        assert results.evicted == 0
        fourth = await results.put(Result(picture, SPEC))
        assert results.held == 3
        assert 90_000 < results.held_bytes <= 100_000
        assert results.evicted == 1
        with pytest.raises(ResultGone):
            await results.get(second)
        for token in (first, third, fourth):
            assert (await results.get(token)).content == picture

    run(main)


def test_what_has_expired_is_not_counted_as_thrown_out() -> None:
    """Room is made of what is over before anything has to leave early."""

    async def main() -> None:
        clock = Clock()
        results = MemoryResults(60, 100_000, clock)
        for _ in range(3):
            await results.put(Result(bytes(30_000), SPEC))
        clock.now += 60
        await results.put(Result(bytes(30_000), SPEC))
        assert (results.held, results.evicted) == (1, 0)

    run(main)


def test_a_picture_larger_than_the_memory_is_refused() -> None:
    """It throws nobody else out."""

    async def main() -> None:
        results = MemoryResults(60, 100_000)
        token = await results.put(RESULT)
        with pytest.raises(Busy):
            await results.put(Result(bytes(100_000), SPEC))
        assert await results.get(token) == RESULT

    run(main)


def test_what_is_counted_beside_the_bytes_is_enough() -> None:
    """A thousand results with empty pictures take no more memory than is counted for them."""

    async def main() -> None:
        results = MemoryResults(60, 100_000_000)
        await results.put(RESULT)
        tracemalloc.start()
        before, counted = tracemalloc.get_traced_memory()[0], results.held_bytes
        for number in range(1000):
            await results.put(Result(b"", SPEC.model_copy(update={"slogan": f"{number:04}" + "ش" * 56})))
        taken = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert taken < results.held_bytes - counted < 2 * taken

    run(main)


# -- in Redis --------------------------------------------------------------


def test_replicas_answer_for_each_other(redis_url: str, redis_prefix: str) -> None:
    """What one replica made another shows and deletes."""

    async def main() -> None:
        async with (
            RedisClient(redis_url, redis_prefix).opened() as one,
            RedisClient(redis_url, redis_prefix).opened() as other,
        ):
            token = await RedisResults(one, 60).put(RESULT)
            assert await RedisResults(other, 60).get(token) == RESULT
            await RedisResults(other, 60).delete(token)
            with pytest.raises(ResultGone):
                await RedisResults(one, 60).get(token)

    run(main)


def test_redis_holds_no_address_and_nothing_without_an_end(redis_url: str, redis_prefix: str) -> None:
    """Neither keys nor values hold a token, and each key has the time to live that was asked for."""
    tokens: list[str] = []

    async def main() -> None:
        async with RedisClient(redis_url, redis_prefix).opened() as store:
            tokens.append(await RedisResults(store, 900).put(RESULT))

    run(main)
    with Redis.from_url(redis_url) as redis:
        (key,) = redis.scan_iter(f"{redis_prefix}*")
        assert re.fullmatch(rf"{redis_prefix}result:[0-9a-f]{{64}}", key.decode())
        assert 890_000 < redis.pttl(key) <= 900_000
        value = redis.get(key)
    assert tokens[0].encode() not in key + value
    assert value.endswith(b"\n" + RESULT.content)


def test_a_result_leaves_redis_when_its_time_is_over(redis_url: str, redis_prefix: str) -> None:
    """It is gone for whoever asks."""

    async def main() -> None:
        async with RedisClient(redis_url, redis_prefix).opened() as store:
            results = RedisResults(store, 1)
            token = await results.put(RESULT)
            assert await results.get(token) == RESULT
            await anyio.sleep(1.1)
            with pytest.raises(ResultGone):
                await results.get(token)

    run(main)


def test_without_redis_nothing_can_be_reached() -> None:
    """Putting, getting and deleting say "try again", not "gone", and not "we are broken"."""

    async def main() -> None:
        async with RedisClient("redis://127.0.0.1:1").opened() as store:
            results = RedisResults(store, 60)
            for ask in (results.put(RESULT), results.get("A" * 32), results.delete("A" * 32)):
                with pytest.raises(StoreUnavailable):
                    await ask

    run(main)


def _header(**changes: object) -> bytes:
    """Return a value whose header differs from a right one; a None leaves the entry out."""
    header: dict[str, object] = {
        "name": "NAME",
        "spec": SPEC.model_dump(mode="json"),
        "made": 1_700_000_000.5,
        **changes,
    }
    return (
        json.dumps({key: value for key, value in header.items() if value is not None}).encode() + b"\ncanary"
    )


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\n",
        b"canary",
        b"[]\ncanary",
        b"\xff\xfe{\ncanary",
        b"[" * 100_000,
        _header(name="another's"),
        _header(name=None),
        _header(made=None),
        _header(made="canary"),
        _header(spec=None),
        _header(spec={"size": 7}),
        _header(spec={"canary": 1}),
        _header(spec=[]),
    ],
    ids=range(14),
)
def test_a_value_that_is_not_its_own_is_shown_to_nobody(
    redis_url: str, redis_prefix: str, value: bytes
) -> None:
    """A damaged value, one of another version, and the answer to another's question are gone, and noted."""

    async def main() -> None:
        async with RedisClient(redis_url, redis_prefix).opened() as store:
            results = RedisResults(store, 60)
            token = await results.put(RESULT)
            with Redis.from_url(redis_url) as redis:
                (key,) = redis.scan_iter(f"{redis_prefix}*")
                name = key.rpartition(b":")[2]
                redis.set(key, value.replace(b"NAME", name), ex=60)
            with capture_logs() as logs, pytest.raises(ResultGone):
                await results.get(token)
            assert [line["event"] for line in logs] == ["result_unreadable"]
            assert "canary" not in str(logs)

    run(main)
