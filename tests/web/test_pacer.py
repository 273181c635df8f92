"""Many who ask at the same moment."""

from __future__ import annotations

import asyncio
import re
from functools import partial

from app.web.pacer import Pacer


def test_one_piece_of_work_begins_in_each_pass_of_the_loop() -> None:
    """The loop looks around after each, in order; what is urgent goes before what waits."""
    happened: list[str] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def look_around() -> None:
            happened.append("|")
            if len(happened) < 16:
                loop.call_soon(look_around)

        pacer = Pacer()
        done = [pacer.begin(partial(happened.append, str(number)), "a") for number in range(4)]
        assert done == [True, False, False, False]
        assert not pacer.begin(partial(happened.append, "!"), "a", is_urgent=True)
        look_around()
        while len(happened) < 16:  # noqa: ASYNC110 - it counts passes
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert pacer.begin(partial(happened.append, "idle again"), "a")

    asyncio.run(run())
    assert re.match(r"0\|+!\|1\|2\|3\|+idle again$", "".join(happened))


def order_of(*works: tuple[str, bool]) -> str:
    """Return in which order works begin that come while another one is under way."""
    begun: list[str] = []

    async def run() -> None:
        pacer = Pacer()
        pacer.begin(lambda: None, "before")
        for party, is_urgent in works:
            pacer.begin(partial(begun.append, party), party, is_urgent=is_urgent)
        while len(begun) < len(works):  # noqa: ASYNC110 - it counts passes
            await asyncio.sleep(0)

    asyncio.run(run())
    return "".join(begun)


def test_who_has_hundreds_of_connections_has_one_turn() -> None:
    """A supporter's request would else wait for one of each of them."""
    assert order_of(*[("a", False)] * 5, ("b", False), ("c", False), ("b", False)) == "abcabaaa"


def test_who_calls_all_it_asks_for_urgent_keeps_nobody_out() -> None:
    """Hundreds who ask for /healthz, in turn, would else be answered alone; and among them is a probe."""
    flood = [("a", True)] * 5
    assert order_of(*flood, ("b", False), ("B", True), ("b", False), ("b", False)) == "abBbabaaa"


def test_the_same_work_may_wait_twice() -> None:
    """Two calls of one method of one connection are two pieces of work."""
    begun: list[int] = []

    async def run() -> None:
        pacer = Pacer()
        twice = partial(begun.append, 1)
        for work in (partial(begun.clear), twice, twice):
            pacer.begin(work, "a")
        await asyncio.sleep(0.05)
        assert pacer.begin(partial(begun.append, 2), "a"), "nobody waits any more"

    asyncio.run(run())
    assert begun == [1, 1, 2]


def test_who_comes_is_let_in_before_the_next_piece_of_work() -> None:
    """But not without end: a flood of connections does not keep those out who are in."""
    passes = 0

    async def run() -> None:
        nonlocal passes
        pacer = Pacer()
        done = asyncio.Event()
        pacer.begin(lambda: None, "a")
        pacer.begin(done.set, "a")
        while not done.is_set():
            pacer.let_in()
            await asyncio.sleep(0)
            passes += 1

    asyncio.run(run())
    assert Pacer._MOST_LET_IN <= passes <= Pacer._MOST_LET_IN + 3
