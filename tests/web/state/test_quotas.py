from __future__ import annotations

import re
import time
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from redis import Redis

from app.bulk.opened import Partner
from app.errors import QuotaUsedUp
from app.settings import load_settings
from app.web.state.quotas import Quotas, QuotaState, _Window
from app.web.state.redis import RedisClient
from tests.servers import free_port
from tests.web.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DAY = 86_400

# A structured field (RFC 9651): a list of one string with parameters that are integers.
POLICY = re.compile(r'"([a-z-]+)";q=(\d{1,15});w=(\d{1,15})')
LIMIT = re.compile(r'"([a-z-]+)";r=(\d{1,15});t=(\d{1,15})')


def partner(photos_a_day: int | None = 10, number: int = 1) -> Partner:
    """Return a partner who may send so many photos a day."""
    return Partner(f"p_{number}", "Somebody", photos_a_day, datetime.now(UTC))


def memory() -> Quotas:
    """Return quotas that this process counts alone."""
    return Quotas(load_settings(photos_a_day=7), None)


def run(main: Callable[[], Awaitable[object]]) -> None:
    """Run a test on the event loop that the service runs on."""
    anyio.run(main, backend_options={"use_uvloop": True})


class Clock:
    """The time of day, as the library reads it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000 // DAY * DAY + 0.0  # a midnight
        monkeypatch.setattr(time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands at midnight until it is moved."""
    return Clock(monkeypatch)


def test_photos_are_counted(clock: Clock) -> None:
    """What is taken is no longer left, and more than is left is refused with all that a client needs."""
    clock.now += 3600

    async def main() -> None:
        quotas = memory()
        assert await quotas.state(partner()) == QuotaState(10, 10, DAY)
        state = await quotas.take(partner(), 3)
        assert (state.limit, state.left) == (10, 7)
        await quotas.take(partner(), 7)
        with pytest.raises(QuotaUsedUp) as refused:
            await quotas.take(partner())
        assert refused.value.params == {"quota": "photos-a-day", "limit": 10}
        # All counts until midnight, and a tenth of it for a tenth of the day after that.
        assert refused.value.seconds == pytest.approx(DAY - 3600, abs=2)
        assert (await quotas.state(partner())).left == 0

    run(main)


def test_all_or_none(clock: Clock) -> None:
    """Of photos that do not all fit none is counted."""
    clock.now += 1

    async def main() -> None:
        quotas = memory()
        await quotas.take(partner(), 6)
        for _ in range(3):
            with pytest.raises(QuotaUsedUp):
                await quotas.take(partner(), 5)
        assert (await quotas.take(partner(), 4)).left == 0

    run(main)


def test_nothing_is_always_left(clock: Clock) -> None:
    """No photos may always be taken; fewer than none never."""
    clock.now += 1

    async def main() -> None:
        quotas = memory()
        await quotas.take(partner(), 10)
        assert (await quotas.take(partner(), 0)).left == 0
        with pytest.raises(ValueError, match="not given back"):
            await quotas.take(partner(), -1)

    run(main)


def test_more_than_ever_may_be(clock: Clock) -> None:
    """More photos at once than a day's are refused, and do not take what is there."""
    clock.now += 1

    async def main() -> None:
        quotas = memory()
        with pytest.raises(QuotaUsedUp) as refused:
            await quotas.take(partner(), 11)
        assert refused.value.seconds == DAY
        assert (await quotas.state(partner())).left == 10

    run(main)


def test_whose_quota_it_is() -> None:
    """Each key has its own count, and the settings' number where it has none of its own."""

    async def main() -> None:
        quotas = memory()
        await quotas.take(partner(number=1), 10)
        assert (await quotas.take(partner(number=2), 10)).left == 0
        assert (await quotas.take(partner(None, number=3), 7)).left == 0
        with pytest.raises(QuotaUsedUp):
            await quotas.take(partner(None, number=3))

    run(main)


def test_another_number_for_a_key_goes_on_counting(clock: Clock) -> None:
    """A key whose number is changed has used what it has used."""
    clock.now += 1

    async def main() -> None:
        quotas = memory()
        await quotas.take(partner(10), 10)
        assert (await quotas.state(partner(100))).left == 90
        assert (await quotas.state(partner(5))).left == 0

    run(main)


def test_nobody_has_twice_the_quota_at_midnight(clock: Clock) -> None:
    """Who has used all just before midnight has nothing just after it, and gets it back evenly."""

    async def main() -> None:
        quotas = memory()
        clock.now += DAY - 1
        await quotas.take(partner(100), 100)
        clock.now += 2
        assert (await quotas.state(partner(100))).left == 1
        clock.now += DAY / 2
        assert (await quotas.state(partner(100))).left == 51
        await quotas.take(partner(100), 51)
        with pytest.raises(QuotaUsedUp):
            await quotas.take(partner(100))
        clock.now += 2 * DAY
        assert (await quotas.state(partner(100))).left == 100

    run(main)


def test_little_is_kept(clock: Clock) -> None:
    """A hundred thousand photos of a key take two numbers, and none when they are over."""

    async def main() -> None:
        quotas = memory()
        for _ in range(4):
            for _ in range(50):
                await quotas.take(partner(100_000), 100)
            clock.now += DAY
        await anyio.lowlevel.checkpoint()
        storage = vars(quotas._storage)
        assert len(storage["storage"]) <= 3
        assert not storage["events"]
        clock.now += 3 * DAY
        await quotas.take(partner(number=2))
        await anyio.sleep(0.01)
        assert len(storage["storage"]) == len(storage["expirations"]) == 1

    run(main)


def test_many_at_once() -> None:
    """However many ask at the same moment, no more is taken than there is, and no less."""

    async def main() -> None:
        await crowd(memory())

    run(main)


async def crowd(quotas: Quotas) -> None:
    """Take 7 photos 50 times at once, of 100."""
    outcomes: Counter[bool] = Counter()

    async def take() -> None:
        try:
            await quotas.take(partner(100), 7)
        except QuotaUsedUp:
            outcomes[False] += 1
        else:
            outcomes[True] += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(take)
    assert outcomes == {True: 14, False: 36}
    assert (await quotas.state(partner(100))).left == 2


@given(
    before=st.integers(0, 200),
    now=st.integers(0, 200),
    into=st.floats(0, DAY - 1),
    limit=st.integers(1, 150),
    photos=st.integers(1, 150),
)
@examples(max_examples=500)
def test_waiting_as_told_is_enough_and_hardly_more(
    before: int, now: int, into: float, limit: int, photos: int
) -> None:
    """After the seconds that are told so many photos may be taken, and a few seconds before they may not."""
    window = _Window(before, DAY - into if before else 0.0, now, 2 * DAY - into)
    if photos > limit:
        assert window.seconds_until(photos, limit) == DAY
        return
    seconds = window.seconds_until(photos, limit)
    assert left_after(window, seconds + 1e-6, limit) >= photos
    if seconds > 1:
        assert left_after(window, seconds - 1.001, limit) < photos


def left_after(window: _Window, seconds: float, limit: int) -> int:
    """Return what is left later, if nothing is taken: the library's sum, in the windows it would have."""
    until_over = window.now_seconds - DAY
    if seconds < until_over:
        return window._replace(before_seconds=max(0.0, window.before_seconds - seconds)).left(limit)
    return _Window(window.now, max(0.0, window.now_seconds - seconds), 0, DAY).left(limit)


@pytest.mark.parametrize("taken", [0, 1, 9, 10])
def test_headers(clock: Clock, taken: int) -> None:
    """Headers name the quota, its number, its day, what is left and for how long no more than that is."""
    clock.now += DAY / 2

    async def main() -> None:
        quotas = memory()
        headers = (await quotas.take(partner(), taken)).headers
        assert set(headers) == {"RateLimit-Policy", "RateLimit"}
        policy, limit = (POLICY.fullmatch(headers["RateLimit-Policy"]), LIMIT.fullmatch(headers["RateLimit"]))
        assert policy is not None
        assert limit is not None
        assert policy.groups() == ("photos-a-day", "10", "86400")
        assert limit.group(1, 2) == ("photos-a-day", str(10 - taken))
        assert 0 < int(limit.group(3)) <= DAY

    run(main)


def test_a_refusal_does_not_call_back_too_early(clock: Clock) -> None:
    """Retry-After is not before the end of the window that RateLimit tells (draft, section 6)."""

    async def main() -> None:
        quotas = memory()
        for _ in range(40):
            clock.now += 5000
            state = await quotas.state(partner())
            for photos in range(1, 12):
                if photos > (state.left or 0):
                    with pytest.raises(QuotaUsedUp) as refused:
                        await quotas.take(partner(), photos)
                    assert refused.value.seconds >= state.seconds or state.left == 10
            await quotas.take(partner(), min(1, state.left or 0))

    run(main)


def shared(url: str, prefix: str) -> RedisClient:
    """Return a client of Redis under names of the test's own."""
    return RedisClient(url, prefix)


def test_replicas_count_together(redis_url: str, redis_prefix: str) -> None:
    """What one replica has taken is not left to another one, and a new one finds it too."""

    async def main() -> None:
        settings = load_settings()
        async with shared(redis_url, redis_prefix).opened() as one:
            async with shared(redis_url, redis_prefix).opened() as other:
                here, there = Quotas(settings, one), Quotas(settings, other)
                assert await here.state(partner()) == QuotaState(10, 10, DAY)
                assert (await here.take(partner(), 6)).left == 4
                assert (await there.state(partner())).left == 4
                with pytest.raises(QuotaUsedUp) as refused:
                    await there.take(partner(), 5)
                assert DAY <= refused.value.seconds <= 2 * DAY
                assert (await there.take(partner(), 4)).left == 0
            assert (await Quotas(settings, one).state(partner())).left == 0
            assert one.failures == other.failures == 0

    run(main)


def test_many_at_once_in_redis(redis_url: str, redis_prefix: str) -> None:
    """However many ask Redis at the same moment, no more is taken than there is, and no less."""

    async def main() -> None:
        async with shared(redis_url, redis_prefix).opened() as store:
            await crowd(Quotas(load_settings(), store))

    run(main)


def test_names_in_redis(redis_url: str, redis_prefix: str) -> None:
    """Redis holds no partner's id or name, all its names begin as they should, and leave by themselves."""

    async def main() -> None:
        async with shared(redis_url, redis_prefix).opened() as store:
            await Quotas(load_settings(), store).take(partner(number=4711), 3)

    run(main)
    with Redis.from_url(redis_url) as redis:
        names = [name.decode() for name in redis.scan_iter(f"{redis_prefix}*")]
        assert [name.startswith(f"{redis_prefix}quotas:") for name in names] == [True]
        assert "4711" not in names[0]
        assert 0 < redis.ttl(names[0]) <= 2 * DAY


def test_everything_passes_while_redis_is_out_of_reach() -> None:
    """A partner whose count cannot be read may go on, is told the policy alone, and the fault is counted."""

    async def main() -> None:
        async with shared(f"redis://127.0.0.1:{free_port()}", "test:").opened() as store:
            quotas = Quotas(load_settings(), store)
            state = await quotas.take(partner(), 1_000_000)
            assert state == await quotas.state(partner())
            assert state.left is None
            assert state.headers == {"RateLimit-Policy": '"photos-a-day";q=10;w=86400'}
            assert store.failures == 2

    run(main)


def test_a_redis_that_hangs_holds_nobody(redis_url: str, redis_prefix: str) -> None:
    """One that takes a question and never answers costs seconds, and counts on when it is well."""

    async def main() -> None:
        relay = Relay(redis_url)
        async with relay.opened(), shared(relay.url, redis_prefix).opened() as store:
            quotas = Quotas(load_settings(), store)
            assert (await quotas.take(partner(), 3)).left == 7
            relay.loses = b"EVALSHA"
            started = time.monotonic()
            assert (await quotas.take(partner())).left is None
            assert time.monotonic() - started < 5
            relay.loses = None
            assert (await quotas.take(partner())).left == 5, "what it did not confirm it has counted"

    run(main)


def test_a_redis_that_was_restarted(redis_url: str, redis_prefix: str) -> None:
    """One that has forgotten the library's commands is given them again."""

    async def main() -> None:
        async with shared(redis_url, redis_prefix).opened() as store:
            quotas = Quotas(load_settings(), store)
            await quotas.take(partner(), 3)
            await anyio.to_thread.run_sync(partial(forget_scripts, redis_url))
            assert (await quotas.take(partner())).left == 6
            assert store.failures == 0

    run(main)


def forget_scripts(url: str) -> None:
    """Have a Redis forget all scripts."""
    with Redis.from_url(url) as redis:
        redis.script_flush()
