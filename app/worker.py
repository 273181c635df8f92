"""``ribbons worker``: draws batches, without a page or an API, beside the service or on another machine."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, NoReturn

import anyio
import structlog

from app.bulk.bulk import Bulk
from app.drawing import Drawing
from app.errors import RibbonsError
from app.faults import Fault
from app.jobs import forbid_core_dumps, keep_freed_memory
from app.logs import configure_logging
from app.settings import InvalidSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from app.settings import Settings

# So that a service on the same machine has the processor when it wants it: somebody waits there, and nobody
# waits here.
_NICENESS = 5

# Some programs, such as timeout(1), send a signal to a process and then to its whole group.
_ECHO_SECONDS = 0.5

# Threads that have nothing left to do end within a moment; one that waits for a database does not.
_LAST_SECONDS = 1.0

_log = structlog.get_logger(__name__)


def work(settings: Settings) -> None:
    """Draw what is enqueued until SIGTERM or SIGINT; then finish the photos in hand, and return.

    A second signal ends the process at once, which loses nothing either: another one does its photos again.

    Raises:
        SystemExit: It could not start (the reason is logged).
    """
    configure_logging(settings)
    forbid_core_dumps()
    keep_freed_memory()
    os.nice(_NICENESS)
    try:
        drawing = Drawing.build(settings)
        bulk = Bulk.build(settings, drawing)
    except (InvalidSettings, RibbonsError) as error:
        _refuse(str(error))
    _log.info("worker_starting", workers=settings.workers)
    try:
        anyio.run(_draw, drawing, bulk, backend_options={"use_uvloop": True})
    except BaseExceptionGroup as group:
        _refuse(_reason(group))
    _log.info("stopped")
    _end()


async def _draw(drawing: Drawing, bulk: Bulk) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as tasks:
            async with drawing.pool.opened(), bulk.opened():
                _log.info("worker_ready")
                await anext(aiter(signals))
                _log.info("worker_stopping")
                tasks.start_soon(_end_at_the_next, signals)
            tasks.cancel_scope.cancel()


async def _end_at_the_next(signals: AsyncIterable[signal.Signals]) -> None:
    start = time.monotonic()
    async for _ in signals:
        if time.monotonic() - start > _ECHO_SECONDS:
            logging.shutdown()
            os._exit(1)


def _reason(group: BaseExceptionGroup) -> str:
    """Say why it did not start. The pool and the engine are started in groups of tasks."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, InvalidSettings | RibbonsError):
        return str(error)
    fault = Fault.of(error)
    return f"{fault.kind} at {fault.place}"


def _refuse(reason: str) -> NoReturn:
    _log.critical("cannot_start", reason=reason)
    sys.exit(1)


def _end() -> None:
    """Return when no other thread keeps the process, or end it in spite of those that do.

    DBOS has threads that try for ever to write down what they have done: while its database is away, nothing
    else would end them. What they would write another process does again.
    """
    deadline = time.monotonic() + _LAST_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                logging.shutdown()
                os._exit(0)
