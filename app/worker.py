"""``ribbons worker``: draws batches, without a page or an API, beside the service or on another machine."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

import anyio
import structlog

from app.bulk.bulk import Bulk
from app.drawing import Drawing
from app.errors import RibbonsError
from app.jobs import forbid_core_dumps, keep_freed_memory
from app.lifetime import end, end_at_once, take_short_turns, why_not_started
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
    take_short_turns()
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
        _refuse(why_not_started(group))
    _log.info("stopped")
    end()


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
            end_at_once(1)


def _refuse(reason: str) -> NoReturn:
    _log.critical("cannot_start", reason=reason)
    sys.exit(1)
