"""Render jobs in processes that can be killed, with a deadline and a bounded queue.

Each worker is a process of ``anyio.to_process``. A job that hangs, crashes or is killed costs its own request
only: its process is replaced in the background, before another job needs it. Whose turn it is to get a
worker, ``app/lanes.py`` says.
"""

from __future__ import annotations

import math
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, Self, TypeVar

import anyio
import structlog
from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

from app.errors import Busy, DeadlineExceeded, InternalError, RibbonsError, ShuttingDown, WorkerDied
from app.faults import Fault
from app.jobs import Allowance, JobFailed, perform
from app.lanes import Lane, Slots
from app.turns import HOUSE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from anyio.abc import TaskGroup

    from app.turns import Party

T = TypeVar("T")
Error = TypeVar("Error", bound=BaseException)

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
        queue: Photos and pages that may wait while all of them are busy.
        deadline: Seconds that a job may run, and seconds that a photo or a page may wait before it runs.
        memory_bytes: Memory for data that one process may take.
        warm_up: A job that loads into a fresh process what every later job needs.
        spare: More processes, for photos and pages while bulk has the others. They are started with bulk's
            first job, and end some minutes after its last.
    """

    def __init__(  # noqa: PLR0913 - all by their names
        self,
        *,
        workers: int,
        queue: int,
        deadline: float,
        memory_bytes: int,
        warm_up: Callable[[], object],
        spare: int = 0,
    ) -> None:
        self.deadline = deadline
        self.lost: dict[Loss, int] = {"deadline": 0, "died": 0}
        self._slots = Slots(workers, queue, spare)
        self._memory_bytes = memory_bytes
        self._warm_up = warm_up
        self._background: TaskGroup | None = None
        self._last_success = float("-inf")
        self._last_bulk = float("-inf")
        self._has_spare = False

    @property
    def running(self) -> Mapping[Lane, int]:
        """Jobs that run now, in every lane."""
        return self._slots.running

    @property
    def waiting(self) -> Mapping[Lane, int]:
        """Jobs that wait for a process, in every lane."""
        return self._slots.waiting

    @property
    def given_up(self) -> int:
        """Jobs that waited and were sent away, for one of an address that had fewer."""
        return self._slots.given_up

    @property
    def refused(self) -> int:
        """Jobs that were refused because their address had more than its share of the queue."""
        return self._slots.refused

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
            await self._warm_up_all()
            self._background = tasks
            tasks.start_soon(self._keep_warm)
            try:
                yield self
            finally:
                self._background = None
                self._slots.close()
                tasks.cancel_scope.cancel()

    def refuse_if_full(self, lane: Lane, party: Party = HOUSE) -> None:
        """Refuse a job before its photo is taken in, or anything else is done for it.

        A photo is refused when as many photos wait as may, a page when as many photos and pages do, and bulk
        never: whoever sends bulk bounds it. Nobody is refused for what one other party has too much of.

        Raises:
            Busy: The queue is full.
            TooManyAtOnce: It is, and the party has more than its share of it.
            ShuttingDown: The pool is closed.
        """
        if self._background is None:
            raise ShuttingDown
        self._slots.refuse_if_full(lane, party)

    async def run(self, job: Callable[[], T], lane: Lane, party: Party = HOUSE) -> T:
        """Run a job in a worker and return what it returns.

        A full queue refuses nobody as they come here: whoever has sent a whole photo is not sent away because
        it has filled up meanwhile. Callers ask before (:meth:`refuse_if_full`), and the limits on uploads
        bound how many photos arrive together; or callers bound by other means how many they are. Only of the
        party that has most is one sent away, for one of a party that has fewer.

        A caller that is cancelled while it waits gives its place up at once. While its job runs, the job is
        left to finish: drawing takes a tenth of a second of CPU, replacing a killed process more than one.

        Args:
            job: What to run.
            lane: Whom the job makes wait. Bulk waits for as long as others want the workers.
            party: Whose turn in the lane it takes.

        Raises:
            Busy: No worker was free before the deadline; not in bulk.
            TooManyAtOnce: Its place in a full queue went to a party that had fewer.
            ShuttingDown: The pool is closed, or was closed before a worker was free.
            DeadlineExceeded: The job ran longer than the deadline; its process was killed.
            WorkerDied: The process ended before the job did.
            InternalError: The job raised something that is not ours (logged).
            RibbonsError: What the job itself raised.
        """
        if self._background is None:
            raise ShuttingDown
        with anyio.move_on_after(math.inf if lane is Lane.BULK else self.deadline) as wait:
            await self._slots.take(lane, party)
        if wait.cancelled_caught:
            raise Busy
        if lane is Lane.BULK:
            self._have_spare()
        result = await self._run_in_slot(job, lane, party)
        self._last_success = time.monotonic()
        return result

    async def _run_in_slot(self, job: Callable[[], T], lane: Lane, party: Party) -> T:
        """Run a job and give its slot back: at once, or when the process that it cost has been replaced."""
        try:
            result = await self._run_in_process(job, self.deadline)
        except (DeadlineExceeded, WorkerDied):
            if self._background is None:
                self._slots.give_back(lane, party)
            else:
                self._slots.keep_for_upkeep(lane, party)
                self._background.start_soon(self._replace)
            raise
        except BaseException:
            self._slots.give_back(lane, party)
            raise
        self._slots.give_back(lane, party)
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
            self._note_loss("deadline")
            raise DeadlineExceeded(seconds=seconds) from None
        except (BrokenWorkerProcess, OSError):
            # OSError: the system would not start a process.
            self._note_loss("died")
            raise WorkerDied from None
        except RibbonsError as error:
            raise _without_past(error) from None
        except JobFailed as exc:
            fault = _without_past(exc).fault
            _log.error("job_failed", kind=fault.kind, place=fault.place)
            raise InternalError from None
        return result

    def _note_loss(self, loss: Loss) -> None:
        self.lost[loss] += 1
        _log.warning("worker_lost", reason=loss)

    async def _replace(self) -> None:
        """Start a process for a slot that has lost its own, then hand the slot over.

        So a job never waits for a start within its own deadline. (A start must not be cancelled either:
        anyio leaves a process that was not yet ready to itself.)
        """
        # Where that fails, the next job in this slot, or the next round, starts the process.
        await self._try_to_warm_up(1)

    def _have_spare(self) -> None:
        """See that the spare processes run, now that bulk does."""
        self._last_bulk = time.monotonic()
        if not self._has_spare and self._background is not None:
            self._has_spare = True
            self._background.start_soon(self._try_to_warm_up)

    async def _keep_warm(self) -> None:
        """Keep idle workers from being ended, and replace those that were."""
        while True:
            await anyio.sleep(_IDLE_SECONDS)
            self._has_spare = time.monotonic() - self._last_bulk < _IDLE_SECONDS
            await self._try_to_warm_up()

    async def _try_to_warm_up(self, kept: int = 0) -> None:
        """Warm up in the background, where nothing that fails may end the service."""
        try:
            await self._warm_up_all(kept)
        except* RibbonsError:
            pass  # noted already
        except* Exception as group:  # noqa: BLE001 - logged, whatever it is
            fault = Fault.of(group)
            _log.error("warm_up_failed", kind=fault.kind, place=fault.place)

    async def _warm_up_all(self, kept: int = 0) -> None:
        """Use slots that are kept, and all that are free, at the same moment; hand each over when it is done.

        Idle processes answer at once; as each can answer but one, missing ones are started.
        """
        while self._slots.take_for_upkeep(with_spare=self._has_spare):
            kept += 1
        async with anyio.create_task_group() as tasks:
            for _ in range(kept):
                tasks.start_soon(self._warm_up_slot)

    async def _warm_up_slot(self) -> None:
        try:
            await self._run_in_process(self._warm_up, _START_SECONDS)
        finally:
            self._slots.hand_over()


def _without_past(error: Error) -> Error:
    """Take the traceback off an exception that a job raised.

    anyio keeps the exception in a variable of the frame that raises it, and the photo in the same frame: a
    cycle of references, in which the photo would outlive its answer.
    """
    return error.with_traceback(None)
