"""Jobs here are functions of the standard library: they pickle, and workers need import nothing for them."""

from __future__ import annotations

import gc
import math
import os
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import psutil
import pytest
import structlog

from app import workers
from app.errors import (
    Busy,
    DeadlineExceeded,
    InternalError,
    InvalidFrame,
    PhotoDamaged,
    RibbonsError,
    ShuttingDown,
    TooManyAtOnce,
    WorkerDied,
)
from app.frames import FrameLibrary
from app.lanes import Lane
from app.render.avatar import make_avatar
from app.render.overlay import Overlays
from app.spec import AvatarSpec
from app.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

MB = 1_000_000


@asynccontextmanager
async def pool_of(
    workers: int = 1, *, queue: int = 8, deadline: float = 10, memory_bytes: int = 400 * MB, spare: int = 0
) -> AsyncIterator[WorkerPool]:
    """Open a pool whose workers warm up with nothing."""
    pool = WorkerPool(
        workers=workers,
        queue=queue,
        deadline=deadline,
        memory_bytes=memory_bytes,
        warm_up=os.getpid,
        spare=spare,
    )
    async with pool.opened():
        yield pool


def in_loop(main: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine function on the loop that the server uses."""
    anyio.run(main, backend_options={"use_uvloop": True})


async def outcome(pool: WorkerPool, job: Callable[[], Any], lane: Lane = Lane.PHOTO) -> object:
    """Return what a job returns or raises."""
    try:
        return await pool.run(job, lane)
    except Exception as exc:  # noqa: BLE001 - whatever it is, a test asks for it
        return exc


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something to become true."""
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await anyio.sleep(0.005)


def living(processes: list[psutil.Process]) -> set[int]:
    """Return the ids of those that live; one that nobody has reaped yet does not."""
    alive = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                alive.add(process.pid)
    return alive


@pytest.fixture
def children() -> Callable[[], set[int]]:
    """Tells the ids of the processes that were started since the test began, and that live."""
    others = living(psutil.Process().children())
    return lambda: living(psutil.Process().children()) - others


def test_it_returns_what_the_job_returns() -> None:
    """A job runs in another process, and its result comes back."""

    async def main() -> None:
        async with pool_of() as pool:
            assert await pool.run(partial(math.factorial, 5), Lane.PHOTO) == 120
            assert await pool.run(os.getpid, Lane.PHOTO) != os.getpid()
            assert pool.succeeded_within(1)

    in_loop(main)


def test_every_worker_is_warm_before_the_first_job(children: Callable[[], set[int]]) -> None:
    """All processes exist when the pool opens; jobs that run together start no more of them."""

    async def main() -> None:
        async with pool_of(2) as pool:
            warm = children()
            assert len(warm) == 2
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(pool.run, partial(time.sleep, 0.05), Lane.PHOTO)
            assert children() == warm

    in_loop(main)


def test_our_errors_cross_the_process_boundary() -> None:
    """An error of ours arrives with its parameters; it is no fault of the worker."""

    async def main() -> None:
        async with pool_of() as pool:
            error = await outcome(pool, partial(FrameLibrary, [Path("/nowhere")], Path("/nowhere")))
            assert isinstance(error, InvalidFrame)
            assert error.params["frame"] == "nowhere"
            assert pool.lost == {"deadline": 0, "died": 0}

    in_loop(main)


def test_a_foreign_exception_becomes_an_internal_error_without_its_words() -> None:
    """The log names type and place; the exception's text, which may quote a photo, is nowhere."""

    async def main() -> None:
        async with pool_of() as pool:
            with structlog.testing.capture_logs() as lines:
                error = await outcome(pool, partial(int, "canary"))
            assert isinstance(error, InternalError)
            assert "canary" not in repr(lines) + repr(error) + repr(error.__context__)
            (line,) = lines
            assert line["kind"] == "builtins.ValueError"
            assert await pool.run(os.getpid, Lane.PHOTO)

    in_loop(main)


def test_a_job_that_failed_is_forgotten(frames: FrameLibrary) -> None:
    """No cycle of references keeps the job, and the photo in it, when it raised something."""
    photo = b"x" * 5 * MB
    no_photo = partial(make_avatar, photo, AvatarSpec(frame="red-ribbons"), Overlays(frames))
    jobs: list[Callable[[], Any]] = [partial(int, photo), no_photo]
    kept = []

    async def main() -> None:
        async with pool_of() as pool:
            for job in jobs:
                before = tracemalloc.get_traced_memory()[0]
                assert isinstance(await outcome(pool, job), RibbonsError)
                kept.append(tracemalloc.get_traced_memory()[0] - before)

    tracemalloc.start()
    gc.disable()
    try:
        in_loop(main)
    finally:
        gc.enable()
        tracemalloc.stop()
    assert max(kept) < MB


def test_a_worker_that_exits_by_itself_does_not_end_the_server() -> None:
    """SystemExit inside a job is a failed job, not an exit of the parent."""

    async def main() -> None:
        async with pool_of() as pool:
            assert isinstance(await outcome(pool, sys.exit), InternalError)
            assert await pool.run(os.getpid, Lane.PHOTO)

    in_loop(main)


def test_a_hung_job_is_killed_at_the_deadline(children: Callable[[], set[int]]) -> None:
    """Only its own caller waits, until the deadline; the process is replaced and the next job runs."""

    async def main() -> None:
        async with pool_of(2, deadline=0.5) as pool:
            hung = await pool.run(os.getpid, Lane.PHOTO)
            start = time.monotonic()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_expect, pool, partial(time.sleep, 60), DeadlineExceeded)
                await until(lambda: pool.running[Lane.PHOTO] == 1)
                assert await pool.run(os.getpid, Lane.PHOTO)
            assert 0.4 < time.monotonic() - start < 20  # and not the minute that the job wanted
            assert pool.lost["deadline"] == 1
            await until(lambda: len(children()) == 2)
            assert hung not in children()
            assert await pool.run(os.getpid, Lane.PHOTO)

    in_loop(main)


async def _expect(pool: WorkerPool, job: Callable[[], Any], kind: type[Exception]) -> None:
    assert isinstance(await outcome(pool, job), kind)


@pytest.mark.parametrize(
    "job",
    [partial(os._exit, 3), os.abort, partial(signal.raise_signal, signal.SIGKILL)],
    ids=["exits", "aborts", "is killed"],
)
def test_a_worker_that_dies_costs_its_own_job_only(job: Callable[[], Any]) -> None:
    """The caller is told to try again, and the next job runs in a fresh process."""

    async def main() -> None:
        async with pool_of() as pool:
            error = await outcome(pool, job)
            assert isinstance(error, WorkerDied)
            assert error.retry_after
            assert await pool.run(partial(abs, -1), Lane.PHOTO) == 1
            assert pool.lost["died"] == 1

    in_loop(main)


def test_a_lost_worker_is_replaced_before_it_is_needed(children: Callable[[], set[int]]) -> None:
    """The new process is started in the background, so that no supporter waits for it."""

    async def main() -> None:
        async with pool_of(2) as pool:
            await outcome(pool, os.abort)
            await until(lambda: len(children()) == 2)
            await until(lambda: pool._slots.free == 2)

    in_loop(main)


def test_a_worker_killed_while_idle_costs_no_job(children: Callable[[], set[int]]) -> None:
    """A process that ends between jobs is noticed and replaced."""

    async def main() -> None:
        async with pool_of() as pool:
            os.kill(await pool.run(os.getpid, Lane.PHOTO), signal.SIGKILL)
            await until(lambda: not children())
            assert await pool.run(os.getpid, Lane.PHOTO)

    in_loop(main)


def test_idle_workers_are_kept(monkeypatch: pytest.MonkeyPatch, children: Callable[[], set[int]]) -> None:
    """Processes that rest longer than anyio keeps them are there, the same ones, when a rush comes."""
    monkeypatch.setattr(anyio.to_process, "WORKER_MAX_IDLE_TIME", 3)
    monkeypatch.setattr(workers, "_IDLE_SECONDS", 0.2)

    async def main() -> None:
        async with pool_of(2) as pool:
            before = children()
            await anyio.sleep(4)
            await pool.run(os.getpid, Lane.PHOTO)
            assert children() == before

    in_loop(main)


def test_a_worker_killed_while_idle_is_replaced_before_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, children: Callable[[], set[int]]
) -> None:
    """The regular round finds out that a process is gone and starts another."""
    monkeypatch.setattr(workers, "_IDLE_SECONDS", 0.1)

    async def main() -> None:
        async with pool_of(2):
            first, second = children()
            os.kill(first, signal.SIGKILL)
            await until(lambda: first not in children())
            await until(lambda: len(children()) == 2)
            assert second in children()

    in_loop(main)


def test_a_worker_outlives_the_clock_of_its_last_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock by which a worker ends itself stops with the job: resting is no hanging."""
    monkeypatch.setattr(workers, "_GRACE_SECONDS", 0.1)
    monkeypatch.setattr(workers, "_START_SECONDS", 10)

    async def main() -> None:
        async with pool_of(deadline=0.5) as pool:
            before = await pool.run(os.getpid, Lane.PHOTO)
            await anyio.sleep(1.5)
            assert await pool.run(os.getpid, Lane.PHOTO) == before
            assert pool.lost == {"deadline": 0, "died": 0}

    in_loop(main)


def test_what_fails_in_the_background_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in keeping workers warm, on every round or after a loss, is logged, and the pool goes on."""
    monkeypatch.setattr(workers, "_IDLE_SECONDS", 0.1)

    async def fail(job: object, _seconds: float) -> None:
        if job is os.abort:
            raise WorkerDied
        raise KeyError("canary")

    async def main() -> None:
        async with pool_of(2) as pool:
            with structlog.testing.capture_logs() as lines, monkeypatch.context() as patch:
                patch.setattr(pool, "_run_in_process", fail)
                assert isinstance(await outcome(pool, os.abort), WorkerDied)
                await until(lambda: len(lines) >= 3)
            assert {line["event"] for line in lines} == {"warm_up_failed"}
            assert "canary" not in repr(lines)
            await until(lambda: pool._slots.free == 2)
            assert await pool.run(os.getpid, Lane.PHOTO)

    in_loop(main)


def test_another_party_waits_for_one_job_however_many_the_first_has_sent() -> None:
    """Its job is next, and in a full queue the last of the others gives its place up."""
    order: list[object] = []

    async def come(pool: WorkerPool, party: str) -> None:
        try:
            await pool.run(partial(time.sleep, 0.1), Lane.PHOTO, party)
        except TooManyAtOnce as error:
            order.append(error.code)
        else:
            order.append(party)

    async def main() -> None:
        async with pool_of(1, queue=3) as pool:
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(come, pool, "greedy")
                await until(lambda: pool.waiting[Lane.PHOTO] == 3)
                pool.refuse_if_full(Lane.PHOTO, "other")
                tasks.start_soon(come, pool, "other")
            assert order == ["too_many_at_once", "greedy", "other", "greedy", "greedy"]
            assert (pool.given_up, pool.refused, pool._slots.free) == (1, 0, 1)

    in_loop(main)


def test_a_full_queue_refuses() -> None:
    """Who asks is refused at once when as many wait as may; whoever was let in before that is drawn."""

    async def main() -> None:
        async with pool_of(1, queue=1) as pool:
            async with anyio.create_task_group() as tasks:
                for _ in range(2):
                    tasks.start_soon(pool.run, partial(time.sleep, 0.3), Lane.PHOTO)
                await until(lambda: (pool.running[Lane.PHOTO], pool.waiting[Lane.PHOTO]) == (1, 1))
                with pytest.raises(Busy):
                    pool.refuse_if_full(Lane.PHOTO)
                with pytest.raises(Busy):
                    pool.refuse_if_full(Lane.PAGE)
                pool.refuse_if_full(Lane.BULK)
                assert isinstance(await outcome(pool, os.getpid), int)
            pool.refuse_if_full(Lane.PHOTO)
            assert await pool.run(os.getpid, Lane.PHOTO)

    in_loop(main)


def test_nobody_waits_longer_than_the_deadline_for_a_worker() -> None:
    """A job that finds no free worker in time is refused as busy, without having run."""

    async def main() -> None:
        async with pool_of(1, deadline=1) as pool, anyio.create_task_group() as tasks:
            tasks.start_soon(_expect, pool, partial(time.sleep, 60), DeadlineExceeded)
            await until(lambda: pool.running[Lane.PHOTO] == 1)
            # Past its deadline the only worker is replaced, with another that takes its time to warm up.
            pool._warm_up = partial(time.sleep, 3)
            assert isinstance(await outcome(pool, os.abort), Busy)
            assert pool.lost["died"] == 0

    in_loop(main)


def test_bulk_waits_longer_than_the_deadline_for_a_worker() -> None:
    """Photos may keep bulk waiting for minutes: nothing has failed, and nothing is to be tried again."""

    async def main() -> None:
        async with pool_of(1, deadline=1) as pool, anyio.create_task_group() as tasks:
            pool._warm_up = partial(time.sleep, 2)
            assert isinstance(await outcome(pool, os.abort), WorkerDied)
            tasks.start_soon(_expect, pool, os.abort, Busy)
            assert isinstance(await outcome(pool, os.getpid, Lane.BULK), int)
            assert pool.lost["died"] == 1

    in_loop(main)


def test_a_photo_waits_for_one_bulk_job_at_most() -> None:
    """However much bulk there is, the next worker is for whoever waits for a picture, and none is refused."""

    async def main() -> None:
        ended: list[Lane] = []

        async def send(pool: WorkerPool, lane: Lane, job: Callable[[], Any]) -> None:
            await pool.run(job, lane)
            ended.append(lane)

        async with pool_of(1, queue=0) as pool, anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(send, pool, Lane.BULK, partial(time.sleep, 0.1))
            await until(lambda: len(ended) == 2)
            assert (pool.running[Lane.BULK], pool.waiting[Lane.BULK]) == (1, 7)
            for lane in (Lane.PHOTO, Lane.PHOTO, Lane.PAGE):
                pool.refuse_if_full(lane)
                tasks.start_soon(send, pool, lane, os.getpid)
            await until(lambda: len(ended) == 13)
            assert ended[2:6] == [Lane.BULK, Lane.PHOTO, Lane.PAGE, Lane.PHOTO]
            await until(lambda: pool._slots.free == 1)
            assert pool.running == pool.waiting == dict.fromkeys(Lane, 0)

    in_loop(main)


def test_a_worker_that_is_replaced_runs_nobodys_job() -> None:
    """While a process starts anew its slot is nobody's, and is counted in no lane."""

    async def main() -> None:
        async with pool_of(1, queue=0) as pool, anyio.create_task_group() as tasks:
            pool._warm_up = partial(time.sleep, 0.5)
            assert isinstance(await outcome(pool, os.abort, Lane.BULK), WorkerDied)
            assert (pool._slots.free, sum(pool.running.values())) == (0, 0)
            pool.refuse_if_full(Lane.PHOTO)
            tasks.start_soon(_expect_result, pool, partial(abs, -1))
            await until(lambda: pool.waiting[Lane.PHOTO] == 1)
            await until(lambda: pool._slots.free == 1)

    in_loop(main)


def test_a_caller_that_leaves_the_queue_frees_its_place_at_once() -> None:
    """Cancelling a job that waits lets another one in, and never runs the first."""

    async def main() -> None:
        async with pool_of(1, queue=1) as pool, anyio.create_task_group() as tasks:
            tasks.start_soon(pool.run, partial(time.sleep, 0.4), Lane.PHOTO)
            await until(lambda: pool.running[Lane.PHOTO] == 1)
            with anyio.move_on_after(0.1):
                await pool.run(os.abort, Lane.PHOTO)
            assert pool.waiting[Lane.PHOTO] == 0
            pool.refuse_if_full(Lane.PHOTO)
            assert await pool.run(os.getpid, Lane.PHOTO)
            assert pool.lost["died"] == 0

    in_loop(main)


def test_a_running_job_is_left_to_finish_when_its_caller_leaves() -> None:
    """Cancelling a job that runs keeps its process: drawing costs less than replacing a process."""

    async def main() -> None:
        async with pool_of() as pool:
            before = await pool.run(os.getpid, Lane.PHOTO)
            start = time.monotonic()
            with anyio.move_on_after(0.05):
                await pool.run(partial(time.sleep, 0.3), Lane.PHOTO)
            assert time.monotonic() - start > 0.25
            assert await pool.run(os.getpid, Lane.PHOTO) == before

    in_loop(main)


def test_a_job_over_its_memory_is_a_damaged_photo() -> None:
    """Memory is bounded in the worker: the photo is given up, and the process lives on."""

    async def main() -> None:
        async with pool_of() as pool:
            before = await pool.run(os.getpid, Lane.PHOTO)
            assert isinstance(await outcome(pool, partial(bytes, 1000 * MB)), PhotoDamaged)
            assert await pool.run(os.getpid, Lane.PHOTO) == before

    in_loop(main)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_a_worker_that_crashes_leaves_no_dump() -> None:
    """Its memory holds a photo; neither a file nor a program that collects dumps may have it."""
    dumpable = partial(eval, "__import__('ctypes').CDLL(None).prctl(3, 0, 0, 0, 0)")  # PR_GET_DUMPABLE

    async def main() -> None:
        async with pool_of() as pool:
            assert await pool.run(dumpable, Lane.PHOTO) == 0
            assert await pool.run(partial(resource.getrlimit, resource.RLIMIT_CORE), Lane.PHOTO) == (0, 0)

    in_loop(main)


def test_a_closed_pool_refuses() -> None:
    """Before it opens and after it has closed, a pool takes no job."""

    async def main() -> None:
        pool = WorkerPool(workers=1, queue=1, deadline=1, memory_bytes=400 * MB, warm_up=os.getpid)
        with pytest.raises(ShuttingDown):
            pool.refuse_if_full(Lane.PHOTO)
        async with pool.opened():
            pool.refuse_if_full(Lane.PHOTO)
        assert isinstance(await outcome(pool, os.getpid), ShuttingDown)

    in_loop(main)


@pytest.mark.parametrize("lane", Lane)
def test_who_waits_when_the_pool_closes_is_told(lane: Lane) -> None:
    """Nobody waits for workers that are going; the job that runs is left to finish."""

    async def main() -> None:
        outcomes: list[object] = []

        async def note(pool: WorkerPool, job: Callable[[], Any]) -> None:
            outcomes.append(await outcome(pool, job, lane))

        async with anyio.create_task_group() as tasks:
            async with pool_of(1) as pool:
                tasks.start_soon(note, pool, partial(time.sleep, 0.3))
                tasks.start_soon(note, pool, os.getpid)
                await until(lambda: (pool.running[lane], pool.waiting[lane]) == (1, 1))
            with pytest.raises(ShuttingDown):
                pool.refuse_if_full(lane)
        told, done = outcomes
        assert (type(told), done) == (ShuttingDown, None)

    in_loop(main)


def test_it_does_not_open_when_workers_cannot_warm_up() -> None:
    """A service whose workers cannot draw does not start."""

    async def main() -> None:
        pool = WorkerPool(workers=2, queue=1, deadline=5, memory_bytes=400 * MB, warm_up=os.abort)
        with pytest.raises(ExceptionGroup) as caught:
            async with pool.opened():
                pass
        assert caught.group_contains(WorkerDied)

    in_loop(main)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_workers_outlive_a_signal_to_the_group(number: signal.Signals) -> None:
    """Ctrl-C in a terminal reaches the workers too; their parent decides when they end."""

    async def main() -> None:
        async with pool_of() as pool:
            before = await pool.run(os.getpid, Lane.PHOTO)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_expect_result, pool, partial(time.sleep, 0.3))
                await until(lambda: pool.running[Lane.PHOTO] == 1)
                os.kill(before, number)
            os.kill(before, number)
            assert await pool.run(os.getpid, Lane.PHOTO) == before

    in_loop(main)


def test_a_spare_process_draws_while_bulk_has_the_others(children: Callable[[], set[int]]) -> None:
    """It starts with bulk's first job, so that nobody who comes later waits for that, and no sooner."""

    async def main() -> None:
        async with pool_of(1, spare=1) as pool, anyio.create_task_group() as tasks:
            assert len(children()) == 1
            tasks.start_soon(pool.run, partial(time.sleep, 3), Lane.BULK)
            await until(lambda: len(children()) == 2)
            # It is warm as soon as it may be used.
            await until(lambda: pool._slots.free == 1)
            warm = children()
            assert await pool.run(os.getpid, Lane.PHOTO) in warm
            assert pool.running == {Lane.PHOTO: 0, Lane.PAGE: 0, Lane.BULK: 1}
            assert children() == warm

    in_loop(main)


def test_spare_processes_are_not_kept_when_bulk_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """While there is bulk they are used now and then, as the others are; afterwards they are left to end."""
    monkeypatch.setattr("app.workers._IDLE_SECONDS", 0.3)

    async def main() -> None:
        async with pool_of(1, spare=1) as pool:
            await pool.run(os.getpid, Lane.BULK)
            assert pool._has_spare
            await until(lambda: not pool._has_spare)
            await pool.run(os.getpid, Lane.PHOTO)
            assert not pool._has_spare

    in_loop(main)


async def _expect_result(pool: WorkerPool, job: Callable[[], Any]) -> None:
    assert not isinstance(await outcome(pool, job), Exception)


_ORPHAN = """
import os, time
from functools import partial
import anyio
from app.frames import FrameLibrary
from app import workers
from app.lanes import Lane
from app.workers import WorkerPool
async def main():
    pool = WorkerPool(workers=2, queue=1, deadline=1, memory_bytes=400_000_000, warm_up=os.getpid)
    async with pool.opened(), anyio.create_task_group() as tasks:
        tasks.start_soon(pool.run, partial(time.sleep, 60), Lane.PHOTO)
        await anyio.sleep(0.2)
        print("running", flush=True)
        await anyio.sleep(60)
anyio.run(main)
"""


def test_no_worker_outlives_a_killed_parent() -> None:
    """After kill -9 of the parent, idle workers end at once, and a hung one by its own clock."""
    with subprocess.Popen([sys.executable, "-c", _ORPHAN], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"running\n"
        workers = psutil.Process(parent.pid).children()
        assert len(workers) == 2
        parent.kill()
        parent.wait()
    start = time.monotonic()
    while len(living(workers)) > 1:
        assert time.monotonic() - start < 20
        time.sleep(0.02)
    while living(workers):
        assert time.monotonic() - start < 30  # and not the minute that its job wanted
        time.sleep(0.05)
