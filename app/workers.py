"""Render jobs in processes that can be killed, with a deadline and a bounded queue.

Each worker is a process of ``anyio.to_process``. A job that hangs, crashes or is killed costs its own request
only: its process is replaced in the background, before another job needs it.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, Self, TypeVar

import anyio
import structlog
from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

from app.errors import Busy, DeadlineExceeded, InternalError, RibbonsError, ShuttingDown, WorkerDied
from app.jobs import Allowance, JobFailed, perform

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

T = TypeVar("T")

Loss = Literal["deadline", "died"]

# anyio ends a worker that was idle for five minutes as soon as another one is used, and nobody notices one
# that was killed while idle. A new one takes more than a second of CPU to start and to draw its first
# overlay. So all of them are used once a minute.
_IDLE_SECONDS = 60
# The parent kills at the deadline; a worker ends itself this much later if no parent did.
_GRACE_SECONDS = 2
# More than a second of CPU, and on a machine that is busy with other things several by the clock.
_START_SECONDS = 30

_log = structlog.get_logger(__name__)


class WorkerPool:
    """A fixed number of worker processes and a queue in front of them.

    Jobs are picklable callables without arguments (a :func:`functools.partial` of a function at the top of a
    module).

    Args:
        workers: Processes.
        queue: Jobs that may wait while all of them are busy.
        deadline: Seconds that a job may run, and seconds that it may wait before it runs.
        memory_bytes: Memory for data that one process may take.
        warm_up: A job that loads into a fresh process what every later job needs.
    """

    def __init__(
        self,
        *,
        workers: int,
        queue: int,
        deadline: float,
        memory_bytes: int,
        warm_up: Callable[[], object],
    ) -> None:
        self.deadline = deadline
        self.lost: dict[Loss, int] = {"deadline": 0, "died": 0}
        self._places = workers + queue
        self._accepted = 0
        self._slots = CapacityLimiter(workers)
        self._memory_bytes = memory_bytes
        self._warm_up = warm_up
        self._worker_lost = anyio.Event()
        self._open = False
        self._last_success = float("-inf")

    @property
    def running(self) -> int:
        """Jobs that run now."""
        return self._slots.borrowed_tokens

    @property
    def waiting(self) -> int:
        """Jobs that wait for a process."""
        return self._slots.statistics().tasks_waiting

    def succeeded_within(self, seconds: float) -> bool:
        """Tell whether a job has succeeded that recently."""
        return time.monotonic() - self._last_success < seconds

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Start every process, warm it up, and keep it so until the block ends.

        Raises:
            ExceptionGroup: Of what :meth:`run` raises: a process could not be started or warmed up.
        """
        async with anyio.create_task_group() as tasks:
            await self._warm_idle_workers()
            self._open = True
            tasks.start_soon(self._keep_warm)
            try:
                yield self
            finally:
                self._open = False
                tasks.cancel_scope.cancel()

    def refuse_if_full(self) -> None:
        """Say early what :meth:`run` would say now.

        Raises:
            Busy: The queue is full.
            ShuttingDown: The pool is closed.
        """
        if not self._open:
            raise ShuttingDown
        if self._accepted >= self._places:
            raise Busy

    async def run(self, job: Callable[[], T]) -> T:
        """Run a job in a worker and return what it returns.

        A caller that is cancelled while it waits gives its place up at once. While its job runs, the job is
        left to finish: drawing takes a tenth of a second of CPU, replacing a killed process more than one.

        Raises:
            Busy: The queue is full, or no worker was free before the deadline.
            ShuttingDown: The pool is closed.
            DeadlineExceeded: The job ran longer than the deadline; its process was killed.
            WorkerDied: The process ended before the job did.
            InternalError: The job raised something that is not ours (logged).
            RibbonsError: What the job itself raised.
        """
        self.refuse_if_full()
        self._accepted += 1
        try:
            with anyio.move_on_after(self.deadline) as wait:
                await self._slots.acquire()
            if wait.cancelled_caught:
                raise Busy
            try:
                result = await self._run_in_process(job, self.deadline)
            finally:
                self._slots.release()
        finally:
            self._accepted -= 1
        self._last_success = time.monotonic()
        return result

    async def _run_in_process(self, job: Callable[[], T], seconds: float) -> T:
        """Run a job for a caller that holds a slot."""
        allowance = Allowance(seconds + _GRACE_SECONDS, self._memory_bytes)
        try:
            with anyio.CancelScope(shield=True), anyio.fail_after(seconds):
                # The slot is the limit; a limiter of one's own never waits.
                result = await to_process.run_sync(
                    perform, job, allowance, cancellable=True, limiter=CapacityLimiter(1)
                )
        except TimeoutError:
            self._replace("deadline")
            raise DeadlineExceeded(seconds=f"{seconds:g}") from None
        except (BrokenWorkerProcess, OSError):
            # OSError: the system would not start a process.
            self._replace("died")
            raise WorkerDied from None
        except JobFailed as exc:
            _log.error("job_failed", kind=exc.fault.kind, place=exc.fault.place)
            raise InternalError from None
        return result

    def _replace(self, loss: Loss) -> None:
        self.lost[loss] += 1
        _log.warning("worker_lost", reason=loss)
        self._worker_lost.set()

    async def _keep_warm(self) -> None:
        """Replace lost workers at once, and keep idle ones from being ended."""
        while True:
            with anyio.move_on_after(_IDLE_SECONDS):
                await self._worker_lost.wait()
            self._worker_lost = anyio.Event()
            try:
                await self._warm_idle_workers()
            except* RibbonsError:
                # Logged where it happened; the next job or the next round starts the process anew.
                await anyio.sleep(1)

    async def _warm_idle_workers(self) -> None:
        """Use every free slot at the same moment: idle processes answer, missing ones are started."""
        async with anyio.create_task_group() as tasks:
            for _ in range(int(self._slots.available_tokens)):
                tasks.start_soon(self._warm_one)

    async def _warm_one(self) -> None:
        async with self._slots:
            await self._run_in_process(self._warm_up, _START_SECONDS)
