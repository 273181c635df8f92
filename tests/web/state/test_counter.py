from __future__ import annotations

import json
import os
import time
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from redis import Redis
from structlog.testing import capture_logs

from app.settings import InvalidSettings
from app.web.state import counter as counter_module
from app.web.state.counter import AvatarCounter, CounterFile, Tally
from app.web.state.redis import RedisClient
from tests.web.relay import Relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

LONG_AGO = date(2025, 11, 22)


def run(main: Callable[[], Awaitable[object]]) -> None:
    """Run a test on the event loop that the service runs on."""
    anyio.run(main, backend_options={"use_uvloop": True})


def count(counter: AvatarCounter, avatars: int) -> None:
    """Count so many."""
    for _ in range(avatars):
        counter.count()


def begin(path: Path) -> None:
    """Write what a process before has counted."""
    path.write_text('{"avatars": 1200, "since": "2025-11-22"}')


def kept(path: Path) -> Any:
    """Return what a file says."""
    return json.loads(path.read_text())


async def until(counter: AvatarCounter, total: int) -> None:
    """Wait until a counter says so."""
    with anyio.fail_after(5):
        while counter.total != total:  # noqa: ASYNC110 - there is no event to wait for
            await anyio.sleep(0.02)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a counter's file may be."""
    return tmp_path / "counter.json"


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty times a second is once a second, to save a test's time."""
    monkeypatch.setattr(counter_module, "_SECONDS", 0.05)


def test_it_counts_from_today_and_from_zero() -> None:
    """A number is there at once, and so is the day."""

    async def main() -> None:
        before = datetime.now(UTC).date()
        counter = AvatarCounter()
        assert before <= counter.since <= datetime.now(UTC).date()
        assert counter.total == 0
        async with counter.opened():
            count(counter, 3)
            assert counter.total == 3
            await anyio.sleep(1.2)
            count(counter, 1)
            assert counter.total == 4
        assert counter.total == 4

    run(main)


# -- in a file -------------------------------------------------------------


def test_a_file_outlives_the_process(path: Path) -> None:
    """The next one goes on from where the last one ended, and keeps its day."""

    async def main() -> None:
        begin(path)
        for start in (1200, 1234):
            counter = AvatarCounter(CounterFile(path))
            assert (counter.total, counter.since) == (start, LONG_AGO)
            async with counter.opened():
                count(counter, 34)
        assert kept(path) == {"avatars": 1268, "since": "2025-11-22"}

    run(main)


def test_a_file_is_begun_where_there_is_none(path: Path) -> None:
    """It is there before the first avatar, so that a folder that is read-only is known at the start."""
    counter = AvatarCounter(CounterFile(path))
    assert kept(path) == {"avatars": 0, "since": counter.since.isoformat()}


def test_a_file_is_written_once_a_second_and_only_when_it_changes(path: Path) -> None:
    """A process that is killed loses a second's count, and one at rest writes nothing."""

    async def main() -> None:
        counter = AvatarCounter(CounterFile(path))
        writes: list[Tally] = []
        file: Any = counter._file
        write = CounterFile.write

        class Watched(CounterFile):
            def write(self, tally: Tally) -> None:
                writes.append(tally)
                write(self, tally)

        counter._file = Watched(file.path)
        started = time.monotonic()
        async with counter.opened():
            for _ in range(24):
                count(counter, 10)
                await anyio.sleep(0.1)
            assert 0 < kept(path)["avatars"] <= 240
            assert 1 <= len(writes) <= time.monotonic() - started
            await anyio.sleep(1.2)
            written = len(writes)
            await anyio.sleep(1.2)
            assert len(writes) == written
        assert [tally.avatars for tally in writes][-1] == 240

    run(main)


def test_nothing_else_is_left_beside_the_file(path: Path) -> None:
    """Writing leaves one file, a line of text."""
    CounterFile(path).write(Tally(avatars=7, since=LONG_AGO))
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert path.read_text() == '{"avatars":7,"since":"2025-11-22"}\n'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"12",
        b"{}",
        b"canary",
        b"\xff\xfe",
        b'{"avatars": -1, "since": "2025-11-22"}',
        b'{"avatars": 1.5, "since": "2025-11-22"}',
        b'{"avatars": 1, "since": "yesterday"}',
        b'{"avatars": 1}',
        b'{"avatars": 1, "since": "2025-11-22", "who": "canary"}',
    ],
)
def test_a_file_that_is_something_else_is_left_alone(path: Path, content: bytes) -> None:
    """It may be somebody's work: the service does not start, says which file, and has not touched it."""
    path.write_bytes(content)
    with pytest.raises(InvalidSettings) as caught:
        AvatarCounter(CounterFile(path))
    assert str(caught.value) == (
        f"RIBBONS_COUNTER_FILE: “{path}” holds something else than a count. "
        "Name another file, or remove this one"
    )
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_used_refuses_to_start(path: Path) -> None:
    """No folder, or a folder in its place: the reason is said, in one line."""
    for wrong, reason in (
        (path.parent / "none" / "counter.json", "No such file or directory"),
        (path.parent, "Is a directory"),
    ):
        with pytest.raises(InvalidSettings) as caught:
            AvatarCounter(CounterFile(wrong))
        expected = f"RIBBONS_COUNTER_FILE: “{wrong}” cannot be read and written: {reason}"
        assert str(caught.value) == expected


def test_a_folder_that_cannot_be_written_refuses_to_start(path: Path) -> None:
    """Also where the file is there and can be read: it could never be replaced."""
    begin(path)
    (path.parent / f".{path.name}.part").mkdir()  # root may write everywhere, but not into this
    with pytest.raises(InvalidSettings, match="cannot be read and written"):
        AvatarCounter(CounterFile(path))
    assert kept(path)["avatars"] == 1200


@pytest.mark.usefixtures("often")
def test_a_disk_that_fills_up_costs_no_count(path: Path) -> None:
    """The number goes on, the log says it once, and the file has it all when there is room again."""

    async def main() -> None:
        counter = AvatarCounter(CounterFile(path))
        obstacle = path.parent / f".{path.name}.part"
        with capture_logs() as logs:
            async with counter.opened():
                obstacle.mkdir()
                for _ in range(4):
                    count(counter, 1)
                    await anyio.sleep(0.1)
                assert counter.total == 4
                assert kept(path)["avatars"] == 0
                obstacle.rmdir()
                await anyio.sleep(0.2)
                assert kept(path)["avatars"] == 4
        (line,) = logs
        assert (line["event"], line["reason"]) == ("counter_not_written", os.strerror(21))

    run(main)


# -- in Redis --------------------------------------------------------------


@pytest.mark.usefixtures("often")
def test_replicas_add_up(redis_url: str, redis_prefix: str) -> None:
    """What each made, all of them say; a new one says it from its first moment."""

    async def main() -> None:
        async with (
            RedisClient(redis_url, redis_prefix).opened() as one_store,
            RedisClient(redis_url, redis_prefix).opened() as other_store,
        ):
            one, other = AvatarCounter(store=one_store), AvatarCounter(store=other_store)
            async with one.opened(), other.opened():
                count(one, 30)
                count(other, 4)
                assert one.total == 30, "its own at once"
                await until(one, 34)
                await until(other, 34)
                count(one, 1)
                assert one.total == 35
            newcomer = AvatarCounter(store=one_store)
            async with newcomer.opened():
                assert newcomer.total == 35

    run(main)


def test_the_day_is_the_earliest(redis_url: str, redis_prefix: str, path: Path) -> None:
    """A replica that starts later says since when all of them count."""

    async def main() -> None:
        begin(path)
        async with RedisClient(redis_url, redis_prefix).opened() as store:
            later, first = AvatarCounter(store=store), AvatarCounter(CounterFile(path), store)
            async with later.opened():
                pass
            assert later.since > LONG_AGO
            async with first.opened(), later.opened():
                for counter in (first, later):
                    assert (counter.total, counter.since) == (1200, LONG_AGO)

    run(main)


@pytest.mark.usefixtures("often")
def test_a_redis_that_forgot_is_told_again(redis_url: str, redis_prefix: str) -> None:
    """After Redis was restarted empty, the replicas bring back the number and the day."""

    async def main() -> None:
        async with RedisClient(redis_url, redis_prefix).opened() as store:
            one, other = AvatarCounter(store=store), AvatarCounter(store=store)
            async with one.opened(), other.opened():
                count(one, 50)
                await until(other, 50)
                with Redis.from_url(redis_url) as redis:
                    redis.delete(*redis.scan_iter(f"{redis_prefix}*"))
                count(other, 1)
                await until(one, 51)
                await until(other, 51)

    run(main)


@pytest.mark.usefixtures("often")
def test_what_redis_did_not_hear_is_added_later(redis_url: str, redis_prefix: str) -> None:
    """With Redis away, counting goes on at its usual speed, and all of it arrives when Redis is back."""

    async def main() -> None:
        relay = Relay(redis_url)
        async with relay.opened():
            pass
        async with RedisClient(relay.url, redis_prefix).opened() as store:
            counter = AvatarCounter(store=store)
            async with counter.opened():
                count(counter, 10)
                await anyio.sleep(0.2)
                started = time.perf_counter()
                count(counter, 1000)
                assert time.perf_counter() - started < 0.1
                assert counter.total == 1010
                assert store.failures > 1
                async with relay.opened():
                    await anyio.sleep(0.3)
                    assert store.has_answered
        with Redis.from_url(redis_url) as redis:
            assert redis.hget(f"{redis_prefix}counter", "avatars") == b"1010"

    run(main)


@asynccontextmanager
async def relayed(redis_url: str, prefix: str) -> AsyncIterator[tuple[Relay, RedisClient, AvatarCounter]]:
    """Open a counter with Redis behind a relay that may lose answers."""
    relay = Relay(redis_url)
    async with relay.opened(), RedisClient(relay.url, prefix).opened() as store:
        counter = AvatarCounter(store=store)
        async with counter.opened():
            yield relay, store, counter


@pytest.mark.usefixtures("often")
def test_an_answer_that_is_lost_loses_nothing(
    redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Redis has added unheard is added again, and nothing else is: a handful too many, none too few."""
    monkeypatch.setattr("app.web.state.redis._ANSWER_SECONDS", 0.1)

    async def main() -> None:
        async with relayed(redis_url, redis_prefix) as (relay, store, counter):
            count(counter, 5)
            await anyio.sleep(0.5)
            relay.loses = b"HINCRBY"
            count(counter, 7)
            with anyio.fail_after(5):
                while not store.failures:  # noqa: ASYNC110 - there is no event to wait for
                    await anyio.sleep(0.01)
            relay.loses = None
            count(counter, 8)
        with Redis.from_url(redis_url) as redis:
            avatars = int(redis.hget(f"{redis_prefix}counter", "avatars") or 0)
        assert avatars >= 20
        assert (avatars - 20) % 7 == 0
        assert counter.total == avatars

    run(main)


@pytest.mark.usefixtures("often")
def test_a_redis_that_hangs_is_told_nothing(
    redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it hangs, what it does when it wakes up adds nothing twice."""
    monkeypatch.setattr("app.web.state.redis._ANSWER_SECONDS", 0.1)

    async def main() -> None:
        async with relayed(redis_url, redis_prefix) as (relay, store, counter):
            relay.loses = b"HGETALL"
            count(counter, 7)
            await anyio.sleep(0.6)
            assert store.failures > 1
            assert counter.total == 7
            relay.loses = None
        with Redis.from_url(redis_url) as redis:
            assert redis.hget(f"{redis_prefix}counter", "avatars") == b"7"

    run(main)


def test_the_end_does_not_wait_for_a_redis_that_is_away(path: Path) -> None:
    """Stopping takes no longer, and the file has what Redis has not."""

    async def main() -> None:
        async with RedisClient("redis://127.0.0.1:1").opened() as store:
            counter = AvatarCounter(CounterFile(path), store)
            started = time.monotonic()
            async with counter.opened():
                count(counter, 9)
            assert time.monotonic() - started < 1
        assert kept(path)["avatars"] == 9

    run(main)


def test_redis_knows_nothing_of_who(redis_url: str, redis_prefix: str) -> None:
    """What is kept is a number and a day."""

    async def main() -> None:
        async with RedisClient(redis_url, redis_prefix).opened() as store:
            counter = AvatarCounter(store=store)
            async with counter.opened():
                count(counter, 2)

    run(main)
    with Redis.from_url(redis_url) as redis:
        (key,) = redis.scan_iter(f"{redis_prefix}*")
        kept = redis.hgetall(key)
        assert set(kept) == {b"avatars", b"since"}
        assert kept[b"avatars"] == b"2"


@pytest.mark.usefixtures("often")
def test_a_counter_of_another_kind_ends_nothing(redis_url: str, redis_prefix: str) -> None:
    """Where something else has our name in Redis, avatars are counted in memory, and the failure noted."""

    async def main() -> None:
        with Redis.from_url(redis_url) as redis:
            redis.set(f"{redis_prefix}counter", "canary", ex=60)
        async with RedisClient(redis_url, redis_prefix).opened() as store:
            counter = AvatarCounter(store=store)
            async with counter.opened():
                count(counter, 3)
                await anyio.sleep(0.2)
                assert counter.total == 3
            assert store.failures > 1

    run(main)
