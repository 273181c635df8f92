"""Whose turn it is, without a worker: what holds a slot here is a task, or nobody at all."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Busy, ShuttingDown, TooManyAtOnce
from app.lanes import Lane, Slots
from app.turns import HOUSE

pytestmark = pytest.mark.anyio

PHOTO, PAGE, BULK = Lane.PHOTO, Lane.PAGE, Lane.BULK
NONE = dict.fromkeys(Lane, 0)


@pytest.fixture
def anyio_backend() -> str:
    """What uvicorn runs on."""
    return "asyncio"


class Crowd:
    """Jobs that wait in lanes, and who of them was served in which order.

    Attributes:
        served: The lanes of the jobs that got a slot, and their numbers in order of coming.
        refused: Those of the jobs that were told that there is none.
    """

    def __init__(self, total: int, queue: int = 100, spare: int = 0) -> None:
        self.slots = Slots(total, queue, spare)
        self.served: list[tuple[Lane, int]] = []
        self.refused: list[tuple[Lane, int]] = []
        self.jobs: list[tuple[Lane, asyncio.Task[None]]] = []

    @property
    def lanes(self) -> list[Lane]:
        """The lanes of the jobs that were served, in order."""
        return [lane for lane, _ in self.served]

    async def come(self, *lanes: Lane) -> None:
        """Let jobs come, one after the other, and keep their slots."""
        for lane in lanes:
            self.jobs.append((lane, asyncio.create_task(self._take(lane, len(self.jobs)))))
        await self.settle()

    async def _take(self, lane: Lane, number: int) -> None:
        try:
            await self.slots.take(lane)
        except ShuttingDown:
            self.refused.append((lane, number))
        else:
            self.served.append((lane, number))

    async def settle(self) -> None:
        """Let everything happen that can."""
        for _ in range(5):
            await checkpoint()

    async def serve(self, running: Lane) -> Lane:
        """End a job of a lane, and return the lane that got its slot."""
        before = len(self.served)
        self.slots.give_back(running)
        await self.settle()
        (lane,) = self.lanes[before:]
        return lane


# -- turns -----------------------------------------------------------------


@pytest.mark.parametrize("lane", Lane)
async def test_free_slots_are_taken_at_once_by_any_lane(lane: Lane) -> None:
    """While nobody else wants a worker, each lane may have all of them: bulk does not leave one idle."""
    crowd = Crowd(3)
    await crowd.come(*[lane] * 5)
    assert crowd.slots.running == {**NONE, lane: 3}
    assert crowd.slots.waiting == {**NONE, lane: 2}
    assert crowd.slots.free == 0
    for _ in range(5):
        crowd.slots.give_back(lane)
        await crowd.settle()
    assert crowd.served == [(lane, number) for number in range(5)]
    assert (crowd.slots.free, crowd.slots.running, crowd.slots.waiting) == (3, NONE, NONE)


async def test_in_a_lane_who_came_first_is_served_first() -> None:
    """No lane is a lottery."""
    crowd = Crowd(1)
    await crowd.come(PHOTO, *[PHOTO, PAGE, BULK] * 4)
    running = PHOTO
    for _ in range(12):
        running = await crowd.serve(running)
    for lane in Lane:
        numbers = [number for served, number in crowd.served if served is lane]
        assert numbers == sorted(numbers)
        assert len(numbers) == 4 + (lane is PHOTO)


@pytest.mark.parametrize(("many", "few"), [(PHOTO, PAGE), (PAGE, PHOTO)])
@pytest.mark.parametrize("total", [1, 2, 3, 8])
async def test_a_flood_of_one_lane_does_not_hold_the_other_up(many: Lane, few: Lane, total: int) -> None:
    """Who comes last and alone, after fifty of the others, gets the next slot."""
    crowd = Crowd(total)
    await crowd.come(*[many] * 50, few)
    assert await crowd.serve(many) is few
    assert await crowd.serve(few) is many


@pytest.mark.parametrize("total", [1, 2, 3, 4])
async def test_two_floods_share_the_slots(total: int) -> None:
    """Where both lanes are full each has half of the slots, and half of the turns."""
    crowd = Crowd(total)
    await crowd.come(*[PHOTO] * 60, *[PAGE] * 60)
    running = [PHOTO] * total
    for turn in range(40):
        running.append(await crowd.serve(running.pop(0)))
        if turn >= total:
            assert abs(running.count(PHOTO) - running.count(PAGE)) <= total % 2
    assert abs(crowd.lanes[total:].count(PHOTO) - 20) <= total


async def test_the_lane_with_fewer_slots_goes_first() -> None:
    """Long jobs of one lane leave the slots that become free to the other, until it has as many."""
    crowd = Crowd(4)
    await crowd.come(*[PAGE] * 10, *[PHOTO] * 10)
    assert [await crowd.serve(PAGE) for _ in range(2)] == [PHOTO, PHOTO]
    # Two and two. Whichever ends a job gets the slot back, because the other lane has more then.
    assert [await crowd.serve(lane) for lane in (PHOTO, PHOTO, PAGE, PAGE)] == [PHOTO, PHOTO, PAGE, PAGE]


async def test_of_equals_the_lane_that_was_served_longer_ago_goes_first() -> None:
    """With one worker the lanes take turns, whoever came first; what bulk had in between changes nothing."""
    for first, second in ((PHOTO, PAGE), (PAGE, PHOTO)):
        crowd = Crowd(1)
        await crowd.come(first, BULK, first, second, first, second)
        running, order = first, []
        for _ in range(5):
            running = await crowd.serve(running)
            order.append(running)
        assert order == [second, first, second, first, BULK]
        await crowd.come(first, second)
        assert await crowd.serve(BULK) is second


# -- bulk ------------------------------------------------------------------


async def test_bulk_gets_no_slot_while_anybody_else_waits() -> None:
    """Neither its number, nor its having come first, nor its having no slot gives it a turn."""
    crowd = Crowd(2)
    await crowd.come(PHOTO, PHOTO, *[BULK] * 30, *[PHOTO, PAGE] * 10)
    running = [PHOTO, PHOTO]
    for _ in range(20):
        running.append(await crowd.serve(running.pop(0)))
        assert crowd.slots.running[BULK] == 0
    assert [await crowd.serve(lane) for lane in running] == [BULK, BULK]


@pytest.mark.parametrize("lane", [PHOTO, PAGE])
async def test_somebody_who_comes_during_bulk_waits_for_one_of_its_jobs(lane: Lane) -> None:
    """Bulk has every slot; the first that it gives back is not bulk's again."""
    crowd = Crowd(3)
    await crowd.come(*[BULK] * 20, lane, lane)
    assert [await crowd.serve(BULK) for _ in range(3)] == [lane, lane, BULK]
    assert crowd.slots.running == {**NONE, lane: 2, BULK: 1}
    await crowd.come(lane)
    assert [await crowd.serve(BULK), await crowd.serve(lane), await crowd.serve(lane)] == [lane, BULK, BULK]


# -- fullness --------------------------------------------------------------


def refusing(slots: Slots) -> set[Lane]:
    """Return the lanes that are full."""
    full = set()
    for lane in Lane:
        try:
            slots.refuse_if_full(lane)
        except Busy:
            full.add(lane)
    return full


@pytest.mark.parametrize("queue", [0, 1, 3])
@pytest.mark.parametrize(
    ("coming", "full"),
    [(PHOTO, {PHOTO, PAGE}), (PAGE, {PAGE}), (BULK, set())],
    ids=["photos", "pages", "bulk"],
)
async def test_a_lane_is_full_when_those_ahead_of_it_are_many(
    coming: Lane, full: set[Lane], queue: int
) -> None:
    """Photos that wait keep photos and pages out, pages that wait only pages, and bulk nobody."""
    crowd = Crowd(2, queue)
    await crowd.come(*[PHOTO] * 2)
    await crowd.come(*[coming] * (queue - 1))
    assert refusing(crowd.slots) == (set() if queue else {PHOTO, PAGE})
    if queue:
        await crowd.come(coming)
        assert refusing(crowd.slots) == full
        await crowd.serve(PHOTO)
        assert refusing(crowd.slots) == set()


async def test_a_page_counts_photos_and_pages_together() -> None:
    """Two and two fill a queue of four for pages; for photos there are two places."""
    crowd = Crowd(1, 4)
    await crowd.come(PAGE, PHOTO, PAGE, PHOTO, PAGE)
    assert refusing(crowd.slots) == {PAGE}
    await crowd.come(PHOTO, PHOTO)
    assert refusing(crowd.slots) == {PAGE, PHOTO}


async def test_bulk_takes_nobodys_place() -> None:
    """Slots that bulk has count as free, since those who come get the next ones."""
    crowd = Crowd(2, 0)
    await crowd.come(*[BULK] * 9)
    assert refusing(crowd.slots) == set()
    await crowd.come(PHOTO)
    assert refusing(crowd.slots) == set()
    await crowd.come(PAGE)
    assert refusing(crowd.slots) == {PAGE}
    assert [await crowd.serve(BULK) for _ in range(2)] == [PHOTO, PAGE]
    assert refusing(crowd.slots) == {PHOTO, PAGE}


async def test_a_full_lane_still_takes_who_does_not_ask() -> None:
    """A photo that was let in before may come when the queue is full."""
    crowd = Crowd(1, 1)
    await crowd.come(*[PHOTO] * 5)
    assert crowd.slots.waiting[PHOTO] == 4
    assert refusing(crowd.slots) == {PHOTO, PAGE}


# -- spare slots -----------------------------------------------------------


async def test_a_spare_slot_is_for_those_who_come_while_bulk_has_the_others() -> None:
    """A photo begins at once, and bulk gives way with the next job that ends; a second one waits for that."""
    crowd = Crowd(2, spare=1)
    await crowd.come(*[BULK] * 4)
    assert crowd.slots.running == {**NONE, BULK: 2}
    await crowd.come(PHOTO)
    assert crowd.slots.running == {**NONE, BULK: 2, PHOTO: 1}
    await crowd.come(PAGE)
    assert crowd.slots.waiting == {**NONE, BULK: 2, PAGE: 1}
    assert await crowd.serve(BULK) is PAGE
    # Three are at work, and nobody of bulk begins before there is one.
    crowd.slots.give_back(BULK)
    await crowd.settle()
    assert crowd.slots.running == {**NONE, PHOTO: 1, PAGE: 1}
    assert await crowd.serve(PHOTO) is BULK
    assert await crowd.serve(PAGE) is BULK
    assert crowd.slots.running == {**NONE, BULK: 2}


async def test_without_bulk_a_spare_slot_is_nobodys() -> None:
    """Photos and pages are drawn by as many workers as the settings say."""
    crowd = Crowd(2, spare=1)
    await crowd.come(PHOTO, PAGE, PHOTO)
    assert crowd.slots.running == {**NONE, PHOTO: 1, PAGE: 1}
    await crowd.come(BULK, BULK)
    assert crowd.slots.running == {**NONE, PHOTO: 1, PAGE: 1}


async def test_upkeep_leaves_spare_slots_alone_unless_it_is_asked_for_them() -> None:
    """Their workers are not started before there is bulk."""
    slots = Slots(2, 10, spare=1)
    assert [slots.take_for_upkeep() for _ in range(3)] == [True, True, False]
    assert [slots.take_for_upkeep(with_spare=True) for _ in range(2)] == [True, False]
    for _ in range(3):
        slots.hand_over()
    assert slots.free == 3


@settings(max_examples=200, deadline=None)
@given(
    total=st.integers(1, 3),
    spare=st.integers(0, 2),
    steps=st.lists(st.tuples(st.booleans(), st.sampled_from(Lane)), max_size=40),
)
async def test_nobody_waits_for_a_slot_that_is_theirs(
    total: int, spare: int, steps: list[tuple[bool, Lane]]
) -> None:
    """Whoever comes and goes: no lane has more than it may, and what may start has started."""
    crowd = Crowd(total, spare=spare)
    slots = crowd.slots
    for is_coming, lane in steps:
        if is_coming:
            await crowd.come(lane)
        elif slots.running[lane]:
            slots.give_back(lane)
            await crowd.settle()
        others = slots.running[PHOTO] + slots.running[PAGE]
        assert max(others, slots.running[BULK]) <= total
        assert slots.free == total + spare - others - slots.running[BULK] >= 0
        assert not any(slots.waiting[lane] and slots._may_start(lane) for lane in Lane)
    for _, task in crowd.jobs:
        task.cancel()
    await crowd.settle()


# -- parties ---------------------------------------------------------------


class Parties:
    """Jobs of named parties, each of which keeps the slot that it gets.

    Attributes:
        served: The parties of the jobs that got a slot, in order.
        sent_away: Those of the jobs that had to go, and what they were told.
    """

    def __init__(self, total: int, queue: int) -> None:
        self.slots = Slots(total, queue)
        self.served: list[tuple[Lane, str]] = []
        self.sent_away: list[tuple[str, type[Exception]]] = []
        self.jobs: list[asyncio.Task[None]] = []

    async def come(self, lane: Lane, parties: str) -> None:
        """Let jobs come, one after the other."""
        for party in parties:
            self.jobs.append(asyncio.create_task(self._take(lane, party)))
            for _ in range(5):
                await checkpoint()

    async def _take(self, lane: Lane, party: str) -> None:
        try:
            await self.slots.take(lane, party)
        except (ShuttingDown, TooManyAtOnce, Busy) as error:
            self.sent_away.append((party, type(error)))
        else:
            self.served.append((lane, party))

    async def serve(self) -> str:
        """End the jobs in the order of their start until nobody waits, and return the parties in order."""
        ended = 0
        while ended < len(self.served):
            self.slots.give_back(*self.served[ended])
            ended += 1
            for _ in range(5):
                await checkpoint()
        return "".join(party for _, party in self.served)

    def refusal(self, lane: Lane, party: str) -> type[Exception] | None:
        """Return what a newcomer would be told."""
        try:
            self.slots.refuse_if_full(lane, party)
        except (Busy, TooManyAtOnce) as error:
            return type(error)
        return None


@pytest.mark.parametrize("lane", Lane)
async def test_parties_take_turns_in_a_lane(lane: Lane) -> None:
    """Whoever has sent fifty waits behind nobody more than whoever has sent one, and the other way round."""
    crowd = Parties(1, 100)
    await crowd.come(lane, "a" * 20 + "bb" + "c")
    assert await crowd.serve() == "abcab" + "a" * 18
    assert (crowd.slots.free, crowd.slots.running, crowd.slots.waiting) == (1, NONE, NONE)


async def test_lanes_take_turns_before_parties_do() -> None:
    """A flood of one address in one lane costs the other lane no more than another address would."""
    crowd = Parties(1, 100)
    await crowd.come(PHOTO, "aaaab")
    await crowd.come(PAGE, "cc")
    await crowd.serve()
    assert crowd.served == [(PHOTO, "a"), (PAGE, "c"), (PHOTO, "b"), (PAGE, "c")] + [(PHOTO, "a")] * 3


async def test_a_full_queue_is_not_full_for_who_has_less() -> None:
    """The last comer of the greatest gives up its place, and is told why."""
    crowd = Parties(1, 4)
    await crowd.come(PHOTO, "aaaaa")
    assert [crowd.refusal(PHOTO, party) for party in "ab"] == [Busy, None]
    await crowd.come(PHOTO, "b")
    assert crowd.sent_away == [("a", TooManyAtOnce)]
    assert crowd.slots.waiting[PHOTO] == 4
    assert [crowd.refusal(PHOTO, party) for party in "abc"] == [TooManyAtOnce, None, None]
    await crowd.come(PHOTO, "bc")
    assert crowd.sent_away == [("a", TooManyAtOnce)] * 3
    # Two, two and one.
    assert [crowd.refusal(PHOTO, party) for party in "abcd"] == [TooManyAtOnce, TooManyAtOnce, Busy, None]
    await crowd.come(PHOTO, "d")
    assert crowd.sent_away[3:] == [("a", TooManyAtOnce)]
    # The one that runs, two, one and one.
    assert [crowd.refusal(PHOTO, party) for party in "abcde"] == [Busy, TooManyAtOnce, Busy, Busy, None]
    assert (crowd.slots.given_up, crowd.slots.refused) == (4, 4)
    await crowd.serve()
    assert (crowd.slots.free, crowd.slots.running, crowd.slots.waiting) == (1, NONE, NONE)


async def test_a_crowd_behind_one_address_may_have_everything() -> None:
    """Where nobody else is, the house is full and nobody is to blame."""
    crowd = Parties(2, 30)
    await crowd.come(PHOTO, "a" * 32)
    assert crowd.slots.waiting[PHOTO] == 30
    assert (crowd.refusal(PHOTO, "a"), crowd.sent_away) == (Busy, [])


async def test_a_crowd_of_many_addresses_sends_nobody_away() -> None:
    """Each has one: the first who came keep their places."""
    crowd = Parties(1, 3)
    await crowd.come(PHOTO, "abcd")
    assert {crowd.refusal(PHOTO, party) for party in "abcde"} == {Busy}
    await crowd.come(PHOTO, "e")
    assert (crowd.sent_away, crowd.slots.waiting[PHOTO]) == ([], 4)


async def test_a_page_comes_in_past_one_addresss_photos_and_sends_none_away() -> None:
    """Its own address' photos keep it out, another's do not; pages give way to pages only, as photos do."""
    crowd = Parties(1, 4)
    await crowd.come(PHOTO, "aaaaa")
    assert [crowd.refusal(PAGE, party) for party in "ab"] == [Busy, None]
    await crowd.come(PAGE, "bbbb")
    assert crowd.sent_away == []
    assert [crowd.refusal(PAGE, party) for party in "abc"] == [None, Busy, None]
    await crowd.come(PAGE, "c")
    assert crowd.sent_away == [("b", TooManyAtOnce)]
    assert crowd.slots.waiting == {**NONE, PHOTO: 4, PAGE: 4}


async def test_the_house_is_told_of_no_address() -> None:
    """What is drawn for all may have to wait, but nobody has done wrong."""
    crowd = Parties(1, 2)
    await crowd.come(PAGE, "a")
    waiting = [asyncio.create_task(crowd._take(PAGE, HOUSE)) for _ in range(2)]
    await checkpoint()
    await checkpoint()
    assert crowd.refusal(PAGE, HOUSE) is Busy
    await crowd.come(PAGE, "b")
    assert crowd.sent_away == [(HOUSE, Busy)]
    await crowd.serve()
    assert all(task.done() for task in waiting)


async def test_bulk_takes_turns_and_is_never_full() -> None:
    """Two who send thousands each have every other worker, and nobody is sent away."""
    crowd = Parties(1, 2)
    await crowd.come(BULK, "aaaabbbb")
    assert (crowd.refusal(BULK, "a"), crowd.sent_away) == (None, [])
    assert await crowd.serve() == "abababab"


@pytest.mark.parametrize("first", ["cancel", "evict", "cancel, evict in the next step"])
async def test_a_waiter_that_is_cancelled_as_it_is_sent_away_leaks_nothing(first: str) -> None:
    """Either is the end of it."""
    crowd = Parties(1, 2)
    await crowd.come(PHOTO, "aaa")
    if first != "evict":
        crowd.jobs[2].cancel()
    if first == "cancel, evict in the next step":
        await checkpoint()
    await crowd.come(PHOTO, "b")
    if first == "evict":
        crowd.jobs[2].cancel()
    await crowd.serve()
    assert (crowd.slots.free, crowd.slots.running, crowd.slots.waiting) == (1, NONE, NONE)
    assert len(crowd.slots._lines[PHOTO]._holding) == 0


# -- upkeep ----------------------------------------------------------------


async def test_a_slot_in_upkeep_is_nobodys() -> None:
    """It counts in no lane and fills no queue, and then goes to whoever's turn it is."""
    crowd = Crowd(2, 0)
    assert [crowd.slots.take_for_upkeep() for _ in range(3)] == [True, True, False]
    assert (crowd.slots.free, crowd.slots.running, refusing(crowd.slots)) == (0, NONE, set())
    await crowd.come(BULK, PAGE)
    assert crowd.slots.waiting == {**NONE, BULK: 1, PAGE: 1}
    crowd.slots.hand_over()
    await crowd.settle()
    assert crowd.lanes == [PAGE]
    crowd.slots.keep_for_upkeep(PAGE)
    assert (crowd.slots.free, crowd.slots.running) == (0, NONE)
    crowd.slots.hand_over()
    crowd.slots.hand_over()
    await crowd.settle()
    assert (crowd.lanes, crowd.slots.free) == ([PAGE, BULK], 1)


# -- cancellation ----------------------------------------------------------

# What happens within one step of the event loop, in this order: a waiter is cancelled, a slot is given back.
MOMENTS = [
    ["cancel"],
    ["cancel", "give back"],
    ["give back", "cancel"],
    ["cancel", "step", "give back"],
    ["give back", "step", "cancel"],
    ["cancel", "cancel", "give back"],
    ["give back", "cancel", "cancel"],
]


@pytest.mark.parametrize("lane", Lane)
@pytest.mark.parametrize("moment", MOMENTS, ids=", ".join)
async def test_a_waiter_that_is_cancelled_leaks_nothing(lane: Lane, moment: list[str]) -> None:
    """Cancelled before, while or after it is handed a slot: it has one or another has, and none is lost."""
    crowd = Crowd(1)
    await crowd.come(PHOTO, lane, lane)
    waiter = crowd.jobs[1][1]
    for event in moment:
        match event:
            case "cancel":
                waiter.cancel()
            case "give back":
                crowd.slots.give_back(PHOTO)
            case _:
                await crowd.settle()
    await crowd.settle()
    got_it = (lane, 1) in crowd.served
    assert waiter.cancelled() is not got_it
    assert got_it is (moment == ["give back", "step", "cancel"])
    if "give back" not in moment:
        crowd.slots.give_back(PHOTO)
    elif got_it:
        crowd.slots.give_back(lane)
    await crowd.settle()
    assert crowd.served[-1] == (lane, 2)
    assert (crowd.slots.running, crowd.slots.waiting) == ({**NONE, lane: 1}, NONE)
    crowd.slots.give_back(lane)
    assert (crowd.slots.free, crowd.slots.running) == (1, NONE)


@pytest.mark.parametrize("give_back_first", [True, False])
async def test_a_scope_that_ends_as_a_slot_comes_leaks_nothing(*, give_back_first: bool) -> None:
    """Deadlines and clients that leave cancel by scopes: whoever says that it has a slot has it."""
    slots = Slots(1, 1)
    await slots.take(PHOTO)
    has_slot = False

    async def wait() -> None:
        nonlocal has_slot
        await slots.take(PAGE)
        has_slot = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        if give_back_first:
            slots.give_back(PHOTO)
        tasks.cancel_scope.cancel()
        if not give_back_first:
            slots.give_back(PHOTO)
    assert slots.waiting == NONE
    assert slots.running == {**NONE, PAGE: int(has_slot)}
    assert slots.free == 1 - has_slot


async def test_who_is_cancelled_already_takes_no_slot() -> None:
    """Nothing is drawn for a client that has left before it asks."""
    slots = Slots(1, 1)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await slots.take(PHOTO)
    assert scope.cancelled_caught
    assert (slots.free, slots.running) == (1, NONE)


async def test_a_crowd_that_is_cancelled_as_slots_come_leaves_the_rest_in_order() -> None:
    """Each slot goes on until it comes to somebody who is still there."""
    crowd = Crowd(3)
    await crowd.come(*[PAGE] * 3, *[PHOTO] * 20)
    for _ in range(3):
        crowd.slots.give_back(PAGE)
    for _, waiter in crowd.jobs[3:18]:
        waiter.cancel()
    await crowd.settle()
    await crowd.settle()
    assert crowd.served[3:] == [(PHOTO, number) for number in (18, 19, 20)]
    assert (crowd.slots.running[PHOTO], crowd.slots.waiting[PHOTO]) == (3, 2)


# -- the end ---------------------------------------------------------------


async def test_closing_sends_all_away_who_wait_and_who_come() -> None:
    """In every lane; who has a slot keeps it, and gives it back as always."""
    crowd = Crowd(1)
    await crowd.come(PHOTO, *Lane, *Lane)
    crowd.slots.close()
    await crowd.settle()
    assert (crowd.served, len(crowd.refused)) == ([(PHOTO, 0)], 6)
    assert (crowd.slots.running, crowd.slots.waiting) == ({**NONE, PHOTO: 1}, NONE)
    await crowd.come(*Lane)
    assert len(crowd.refused) == 9
    crowd.slots.give_back(PHOTO)
    assert (crowd.slots.free, crowd.slots.running) == (1, NONE)
    for lane in Lane:
        with pytest.raises(ShuttingDown):
            await crowd.slots.take(lane)
    assert crowd.slots.free == 1


@pytest.mark.parametrize("moment", [["close", "cancel"], ["cancel", "close"], ["give back", "close"]])
async def test_closing_at_the_moment_of_something_else_leaks_nothing(moment: list[str]) -> None:
    """A waiter that was handed a slot before the end has it; a cancelled one is cancelled."""
    crowd = Crowd(1)
    await crowd.come(PHOTO, PAGE)
    for event in moment:
        match event:
            case "close":
                crowd.slots.close()
            case "cancel":
                crowd.jobs[1][1].cancel()
            case _:
                crowd.slots.give_back(PHOTO)
    await crowd.settle()
    assert ((PAGE, 1) in crowd.served) is ("give back" in moment)
    assert crowd.refused == []
    crowd.slots.give_back(crowd.lanes[-1])
    assert (crowd.slots.free, crowd.slots.running, crowd.slots.waiting) == (1, NONE, NONE)


# -- all of it at once -----------------------------------------------------

EVENTS = st.one_of(
    st.tuples(st.just("come"), st.sampled_from(list(Lane))),
    st.tuples(st.just("end"), st.integers(0, 99)),
    st.tuples(st.just("leave"), st.integers(0, 99)),
    st.tuples(st.just("step"), st.just(0)),
)


@settings(max_examples=300, deadline=None)
@given(total=st.integers(1, 3), events=st.lists(EVENTS, max_size=60))
def test_whatever_happens_the_rules_hold(total: int, events: list[tuple[str, Any]]) -> None:
    """No slot is lost or idle while somebody waits, none is had twice, and bulk goes last."""
    asyncio.run(_happen(total, events))


async def _happen(total: int, events: list[tuple[str, Any]]) -> None:
    crowd, ended = Crowd(total), 0
    for what, which in events:
        if what == "come":
            crowd.jobs.append((which, asyncio.create_task(crowd._take(which, len(crowd.jobs)))))
        elif what == "leave" and crowd.jobs:
            crowd.jobs[which % len(crowd.jobs)][1].cancel()
        elif what == "end" and ended < len(crowd.served):
            _give_back(crowd.slots, crowd.lanes[ended])
            ended += 1
        elif what == "step":
            await checkpoint()
        assert crowd.slots.free + sum(crowd.slots.running.values()) == total
        assert not crowd.slots.free or crowd.slots.waiting == NONE
    await crowd.settle()
    while ended < len(crowd.served):
        _give_back(crowd.slots, crowd.lanes[ended])
        ended += 1
        await crowd.settle()
    assert (crowd.slots.free, crowd.slots.running, crowd.slots.waiting) == (total, NONE, NONE)
    left = {number for number, (_, task) in enumerate(crowd.jobs) if task.cancelled()}
    assert {number for _, number in crowd.served} == set(range(len(crowd.jobs))) - left
    for lane in Lane:
        numbers = [number for served, number in crowd.served if served is lane]
        assert numbers == sorted(numbers)


def _give_back(slots: Slots, lane: Lane) -> None:
    """End a job, and look at whom its slot goes to."""
    waited = slots.waiting
    slots.give_back(lane)
    served = [lane for lane in Lane if slots.waiting[lane] < waited[lane]]
    assert len(served) == any(waited.values())
    if BULK in served:
        assert waited[PHOTO] == waited[PAGE] == 0
    elif served and waited[PHOTO] and waited[PAGE]:
        other = PAGE if served == [PHOTO] else PHOTO
        assert slots.running[served[0]] - 1 <= slots.running[other]
