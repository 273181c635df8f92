from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from app.web.state.kept_bytes import KeptBytes

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """What uvicorn runs on."""
    return "asyncio"


class Drawer:
    """Draws, and counts."""

    def __init__(self, size: int = 1) -> None:
        self.drawings = 0
        self.size = size

    async def __call__(self) -> bytes:
        """Draw."""
        self.drawings += 1
        await anyio.lowlevel.checkpoint()
        return bytes(self.size)


async def test_many_who_ask_at_once_cost_one_drawing() -> None:
    """The first view of a busy page draws each frame once."""
    cache, got, drawn = KeptBytes(1000), [], anyio.Event()
    drawings = 0

    async def draw() -> bytes:
        nonlocal drawings
        drawings += 1
        await drawn.wait()
        return b"picture"

    async def ask() -> None:
        got.append(await cache.get("a", draw))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        assert cache.making == 1
        drawn.set()
    assert (got, drawings, cache.making) == ([b"picture"] * 20, 1, 0)


async def test_pictures_do_not_wait_for_each_other() -> None:
    """A slow drawing holds up nobody who wants another one."""
    cache = KeptBytes(1000)

    async def never() -> bytes:
        await anyio.sleep_forever()
        raise AssertionError

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.get, "a", never)
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(1):
            assert await cache.get("b", Drawer()) == b"\0"
        tasks.cancel_scope.cancel()


async def test_when_the_one_who_draws_leaves_the_next_one_draws() -> None:
    """Nobody goes without because somebody else has closed the page."""
    cache, got = KeptBytes(1000), []

    async def never() -> bytes:
        await anyio.sleep_forever()
        raise AssertionError

    async def ask() -> None:
        got.append(await cache.get("a", Drawer()))

    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as leaving:
            async with anyio.create_task_group() as first:
                first.start_soon(cache.get, "a", never)
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
                leaving.cancel()
    assert got == [b"\0"]


async def test_a_failure_is_not_kept() -> None:
    """What went wrong once is tried again."""
    cache = KeptBytes(1000)

    async def fail() -> bytes:
        raise LookupError

    with pytest.raises(LookupError):
        await cache.get("a", fail)
    assert await cache.get("a", Drawer()) == b"\0"


async def test_memory_is_bounded_and_what_is_asked_for_stays() -> None:
    """The least recently used goes first; what is too large is handed out and not kept."""
    cache = KeptBytes(max_bytes=100)
    page, other = Drawer(30), Drawer(30)
    for number in range(50):
        await cache.get("page", page)
        await cache.get(str(number), other)
    assert (page.drawings, other.drawings) == (1, 50)
    large = Drawer(101)
    assert await cache.get("large", large) == await cache.get("large", large) == bytes(101)
    assert large.drawings == 2
    await cache.get("page", page)
    assert page.drawings == 1
