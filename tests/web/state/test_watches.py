from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.lowlevel
import pytest

from app.errors import BatchNotFound, Busy, ShuttingDown, StorageUnavailable, TooManyAtOnce
from app.web.state import watches
from app.web.state.watches import MOST_EACH, Watches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


@dataclass(frozen=True)
class Partner:
    """Whose a batch is."""

    id: str = "p_1"


@dataclass(frozen=True)
class Batch:
    """A batch, as far as it matters here."""

    id: str = "b_1"
    state: str = "running"
    done: int = 0


@dataclass(frozen=True)
class Photo:
    """An outcome."""

    event: int


class Ledger:
    """What is looked at.

    Attributes:
        batch: As it is; None once it is erased.
        events: How many outcomes there are.
        looks: How often the batch was looked at.
        failure: What the next looks end with.
    """

    def __init__(self) -> None:
        self.batch: Batch | None = Batch()
        self.events = 0
        self.looks = 0
        self.failure: Exception | None = None

    async def look(self, _partner: Any, _batch: str) -> Any:
        """Return the batch."""
        await anyio.lowlevel.checkpoint()
        self.looks += 1
        if self.failure:
            raise self.failure
        if self.batch is None:
            raise BatchNotFound
        return self.batch

    async def outcomes(self, _partner: Any, _batch: str, after: int, limit: int) -> Sequence[Any]:
        """Return outcomes."""
        await anyio.lowlevel.checkpoint()
        return [Photo(number) for number in range(after + 1, min(self.events, after + limit) + 1)]


PARTNER = cast("Any", Partner())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look a hundred times a second."""
    monkeypatch.setattr(watches, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(watches, "_TROUBLE_SECONDS", 0.01)


def run(test: Callable[[Watches, Ledger], Awaitable[None]]) -> None:
    """Run a test in which batches may be followed."""

    async def main() -> None:
        ledger = Ledger()
        followed = Watches(ledger.look, ledger.outcomes)
        with anyio.fail_after(10):
            async with followed.opened():
                await test(followed, ledger)

    anyio.run(main)


def test_a_change_wakes_whoever_follows() -> None:
    """Outcomes and counts come together, the last outcome before the word that it is done."""

    async def test(followed: Watches, ledger: Ledger) -> None:
        assert ledger.batch
        with followed.following(PARTNER, cast("Any", ledger.batch), 0) as watch:
            change = watch.change()
            ledger.events, ledger.batch = 3, replace(ledger.batch, state="done", done=3)
            await change.wait()
            assert cast("Any", watch.batch) == ledger.batch
            assert [photo.event for photo in await watch.after(0)] == [1, 2, 3]
            assert [photo.event for photo in await watch.after(2)] == [3]
            assert watch.reached == 3

    run(test)


def test_nothing_new_wakes_nobody() -> None:
    """However often it is looked at."""

    async def test(followed: Watches, ledger: Ledger) -> None:
        with followed.following(PARTNER, cast("Any", ledger.batch), 0) as watch:
            change = watch.change()
            await anyio.sleep(0.1)
            assert ledger.looks > 2
            assert not change.is_set()

    run(test)


def test_a_batch_is_looked_at_once_for_all() -> None:
    """By a hundred as by one; and by nobody when the last has left."""

    async def test(followed: Watches, ledger: Ledger) -> None:
        async def follow() -> None:
            with followed.following(PARTNER, cast("Any", ledger.batch), 0):
                await anyio.sleep(0.3)

        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(follow)
        assert 5 < ledger.looks < 40
        await anyio.sleep(0.05)
        looks = ledger.looks
        await anyio.sleep(0.1)
        assert ledger.looks == looks

    run(test)


def test_who_is_far_behind_reads_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a batch so many outcomes are kept; nobody misses one for that."""
    monkeypatch.setattr(watches, "_KEPT", 100)

    async def test(followed: Watches, ledger: Ledger) -> None:
        ledger.events = 2345
        with followed.following(PARTNER, cast("Any", ledger.batch), 0) as watch:
            await watch.change().wait()
            seen: list[int] = []
            while (seen[-1] if seen else 0) < watch.reached:
                seen += [photo.event for photo in await watch.after(seen[-1] if seen else 0)]
            assert seen == list(range(1, 2346))

    run(test)


def test_who_comes_later_with_less_reads_for_itself() -> None:
    """The watch begins where the first one was; another may know less."""

    async def test(followed: Watches, ledger: Ledger) -> None:
        ledger.events = 10
        with (
            followed.following(PARTNER, cast("Any", ledger.batch), 8),
            followed.following(PARTNER, cast("Any", ledger.batch), 2) as watch,
        ):
            await watch.change().wait()
            assert [photo.event for photo in await watch.after(2)] == list(range(3, 11))
            assert [photo.event for photo in await watch.after(9)] == [10]

    run(test)


def test_what_all_are_told_is_made_once() -> None:
    """By the first of a hundred who ask; anew after the next look, and for who is told something else."""

    async def test(followed: Watches, ledger: Ledger) -> None:
        made: list[str] = []
        told: list[bytes] = []

        async def make(what: str) -> bytes:
            await anyio.sleep(0.01)
            made.append(what)
            return what.encode()

        async def ask(key: str) -> None:
            told.append(await watch.once(key, lambda: make(key)))

        with followed.following(PARTNER, cast("Any", ledger.batch), 0) as watch:
            for looks in (1, 2):
                async with anyio.create_task_group() as tasks:
                    for _ in range(100):
                        tasks.start_soon(ask, "ar")
                        tasks.start_soon(ask, "en")
                assert sorted(made) == ["ar"] * looks + ["en"] * looks
                assert (told.count(b"ar"), told.count(b"en")) == (100 * looks, 100 * looks)
                change = watch.change()
                ledger.events += 1
                await change.wait()

    run(test)


def test_who_leaves_while_it_is_made_leaves_it_to_the_next() -> None:
    """As does one with whom it fails."""

    async def test(followed: Watches, ledger: Ledger) -> None:
        told: list[bytes] = []
        scope = anyio.CancelScope()

        async def never() -> bytes:
            await anyio.sleep_forever()
            raise AssertionError

        async def fails() -> bytes:
            await anyio.lowlevel.checkpoint()
            raise StorageUnavailable

        async def makes() -> bytes:
            await anyio.lowlevel.checkpoint()
            return b"it"

        async def leave() -> None:
            with scope:
                await watch.once("key", never)

        async def fail() -> None:
            with pytest.raises(StorageUnavailable):
                await watch.once("key", fails)

        async def stay() -> None:
            told.append(await watch.once("key", makes))

        with followed.following(PARTNER, cast("Any", ledger.batch), 0) as watch:
            async with anyio.create_task_group() as tasks:
                for one in (leave, fail, stay, stay):
                    tasks.start_soon(one)
                await anyio.sleep(0.05)
                assert not told
                scope.cancel()
        assert told == [b"it", b"it"]

    run(test)


def test_of_what_was_told_little_is_kept() -> None:
    """However many are told something else: the oldest is made anew for whoever wants it."""

    async def test(followed: Watches, ledger: Ledger) -> None:
        async def make() -> bytes:
            await anyio.lowlevel.checkpoint()
            return b"it"

        with followed.following(PARTNER, cast("Any", ledger.batch), 0) as watch:
            for number in range(1000):
                assert await watch.once(number, make) == b"it"
            assert len(watch._made) <= watches._MADE

    run(test)


def test_a_ledger_that_fails_is_asked_again() -> None:
    """Nobody is sent away for it."""

    async def test(followed: Watches, ledger: Ledger) -> None:
        ledger.failure = StorageUnavailable()
        with followed.following(PARTNER, cast("Any", ledger.batch), 0) as watch:
            change = watch.change()
            await anyio.sleep(0.1)
            assert ledger.looks > 2
            ledger.failure, ledger.events = None, 1
            await change.wait()
            assert not watch.is_over
            assert watch.reached == 1

    run(test)


def test_an_erased_batch_sends_everybody_away() -> None:
    """And one that is followed afterwards is looked at anew."""

    async def test(followed: Watches, ledger: Ledger) -> None:
        batch = cast("Any", ledger.batch)
        with followed.following(PARTNER, batch, 0) as watch:
            change = watch.change()
            ledger.batch = None
            await change.wait()
            assert watch.is_over
            with followed.following(PARTNER, batch, 0) as another:
                assert another is not watch

    run(test)


def test_a_bug_ends_the_stream_and_not_the_service() -> None:
    """What nobody has thought of sends those away who follow that batch; others go on."""

    async def test(followed: Watches, ledger: Ledger) -> None:
        batch = cast("Any", ledger.batch)
        with followed.following(PARTNER, batch, 0) as watch:
            change = watch.change()
            ledger.failure = KeyError("nobody has thought of it")
            await change.wait()
            assert watch.is_over
        ledger.failure = None
        with followed.following(PARTNER, batch, 0) as another:
            change = another.change()
            ledger.events = 1
            await change.wait()
            assert not another.is_over

    run(test)


def test_the_end_sends_everybody_away() -> None:
    """Those who follow, and those who would."""

    async def test(followed: Watches, ledger: Ledger) -> None:
        with followed.following(PARTNER, cast("Any", ledger.batch), 0) as watch:
            change = watch.change()
            followed.close()
            assert change.is_set()
            assert watch.is_over
            with pytest.raises(ShuttingDown):
                followed.refuse_if_full(PARTNER)
        with followed.following(PARTNER, cast("Any", Batch("b_2")), 0) as late:
            assert late.is_over

    run(test)


def test_followers_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many of one partner, and so many of all; whoever leaves makes room."""
    monkeypatch.setattr(watches, "MOST", MOST_EACH + 2)

    async def test(followed: Watches, _ledger: Ledger) -> None:
        other = cast("Any", Partner("p_2"))
        places = [followed.held(PARTNER) for _ in range(MOST_EACH)]
        for place in places:
            followed.refuse_if_full(PARTNER)
            place.__enter__()
        with pytest.raises(TooManyAtOnce):
            followed.refuse_if_full(PARTNER)
        with followed.held(other), followed.held(other), pytest.raises(Busy):
            followed.refuse_if_full(other)
        followed.refuse_if_full(other)
        for place in places:
            place.__exit__(None, None, None)
        assert followed.followers == 0
        await anyio.lowlevel.checkpoint()

    run(test)
