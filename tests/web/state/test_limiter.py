from __future__ import annotations

import contextlib
import gc
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from app.errors import Busy, TooManyAtOnce
from app.web.state.limiter import DerivedLimiter, OverlayLimiter

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """What uvicorn runs on."""
    return "asyncio"


class Crowd:
    """Takes turns, keeps them until it is told to go on, and notes who holds one."""

    def __init__(self, limiter: DerivedLimiter) -> None:
        self.limiter = limiter
        self.holding: list[str] = []
        self.most: dict[str, int] = {}
        self.most_at_once = 0
        self.refused = 0

    async def ask(self, token: str, go_on: anyio.Event | None = None) -> None:
        """Take a turn, and keep it."""
        try:
            async with self.limiter.turn(token, token):
                self.holding.append(token)
                self.most[token] = max(self.most.get(token, 0), self.holding.count(token))
                self.most_at_once = max(self.most_at_once, len(self.holding))
                await (go_on.wait() if go_on else anyio.lowlevel.checkpoint())
                self.holding.remove(token)
        except Busy:
            self.refused += 1


async def test_files_of_one_avatar_are_drawn_one_after_the_other() -> None:
    """A hundred requests for one avatar are never two at work, and each comes to its turn."""
    crowd = Crowd(DerivedLimiter(4, 60))
    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(crowd.ask, "a")
    assert (crowd.most, crowd.refused) == ({"a": 1}, 0)


async def test_all_avatars_together_have_a_few_turns() -> None:
    """However many avatars there are, three are drawn from at a time: no more, and no less."""
    crowd = Crowd(DerivedLimiter(3, 60))
    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(crowd.ask, str(number))
    assert (crowd.most_at_once, len(crowd.most), crowd.refused) == (3, 50, 0)


async def test_a_crowd_for_one_avatar_is_one_among_those_who_wait() -> None:
    """Who asks a hundred times is not a hundred places ahead of who asks once."""
    crowd, go_on = Crowd(DerivedLimiter(1, 60)), anyio.Event()
    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(crowd.ask, "greedy", go_on)
        await anyio.wait_all_tasks_blocked()
        order: list[str] = []
        tasks.start_soon(partial(_note, crowd.limiter, "other", order))
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(partial(_note, crowd.limiter, "greedy", order))
        await anyio.wait_all_tasks_blocked()
        go_on.set()
    assert order == ["other", "greedy"]


async def _note(limiter: DerivedLimiter, token: str, order: list[str]) -> None:
    async with limiter.turn(token, token):
        order.append(token)


@pytest.mark.parametrize("token", ["a", "b"], ids=["the same avatar", "another one"])
async def test_nobody_waits_for_ever(token: str) -> None:
    """Who gets no turn in time is told to come again, and leaves no place taken."""
    crowd, go_on = Crowd(DerivedLimiter(1, 0.01)), anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(crowd.ask, "a", go_on)
        await anyio.wait_all_tasks_blocked()
        await crowd.ask(token)
        assert (crowd.refused, crowd.holding) == (1, ["a"])
        go_on.set()
    await crowd.ask(token)
    assert (crowd.refused, crowd.most[token]) == (1, 1)


@pytest.mark.parametrize("token", ["a", "b"], ids=["the same avatar", "another one"])
async def test_whoever_leaves_is_not_waited_for(token: str) -> None:
    """A client that leaves, at work or in the queue, gives its turn to the next one."""
    crowd = Crowd(DerivedLimiter(1, 60))
    async with anyio.create_task_group() as holder:
        holder.start_soon(crowd.ask, "a", anyio.Event())
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as waiter:
            waiter.start_soon(crowd.ask, token)
            await anyio.wait_all_tasks_blocked()
            waiter.cancel_scope.cancel()
        holder.cancel_scope.cancel()
    with anyio.fail_after(5):
        await crowd.ask(token)
    assert crowd.holding == ["a"], "the one who left"


async def test_what_fails_gives_its_turn_back() -> None:
    """A picture that could not be drawn is no reason to draw no other."""
    limiter = DerivedLimiter(1, 60)
    with anyio.fail_after(5):
        for _ in range(3):
            with pytest.raises(LookupError):
                async with limiter.turn("a", "b"):
                    raise LookupError


async def test_no_avatar_is_remembered() -> None:
    """A service that runs for months keeps nothing of the pictures that it has drawn."""
    crowd = Crowd(DerivedLimiter(2, 60))
    for number in range(10):
        await crowd.ask(str(number))
    gc.collect()
    assert len(crowd.limiter._own) == 0


async def test_addresses_take_turns_at_avatars_files() -> None:
    """Who asks for a file of each of fifty pictures is not fifty places ahead of who has one."""
    limiter, order, go_on = DerivedLimiter(1, 60), [], anyio.Event()

    async def ask(token: str, party: str) -> None:
        async with limiter.turn(token, party):
            order.append(party)
            await go_on.wait()

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(ask, f"token {number}", "greedy")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask, "another token", "other")
        await anyio.wait_all_tasks_blocked()
        go_on.set()
    assert order == ["greedy", "other", *["greedy"] * 49]


# -- frames' pictures --------------------------------------------------------


async def test_addresses_take_turns_at_overlays() -> None:
    """A few at a time; who has asked for fifty pictures gives places up to who asks for one."""
    limiter, order, go_on = OverlayLimiter(2, 10, 60), [], anyio.Event()

    async def ask(party: str) -> None:
        try:
            limiter.refuse_if_full(party)
            async with limiter.turn(party):
                order.append(party)
                await go_on.wait()
        except (Busy, TooManyAtOnce) as error:
            order.append(f"{party}: {error.code}")

    async with anyio.create_task_group() as tasks:
        for _ in range(14):
            tasks.start_soon(ask, "greedy")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask, "other")
        tasks.start_soon(ask, "greedy")
        await anyio.wait_all_tasks_blocked()
        go_on.set()
    assert order[:4] == ["greedy", "greedy", "greedy: busy", "greedy: busy"]
    assert sorted(order[4:6]) == ["greedy: too_many_at_once"] * 2
    assert order[6:] == ["other", *["greedy"] * 9]
    assert (limiter.slots.free, limiter.slots.given_up, limiter.slots.refused) == (2, 1, 1)


async def test_nobody_waits_for_an_overlay_for_ever() -> None:
    """Who gets no turn in time is told to come again, and whoever leaves or fails gives theirs back."""
    limiter = OverlayLimiter(1, 10, 0.01)
    for error in (LookupError, None):
        with contextlib.suppress(LookupError):
            async with limiter.turn("a"):
                with pytest.raises(Busy):
                    async with limiter.turn("b"):
                        pass
                if error:
                    raise error
    assert limiter.slots.free == 1
