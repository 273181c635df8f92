"""How a process of ours starts and ends: why it could not start, and an end in spite of its threads."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time

from app.errors import StorageFull, StorageUnavailable
from app.settings import InvalidSettings

# Python's own is ten times as long. A request waited so long, several times, for each thread that drew:
# its batch was told in 0.2 s, and is in 0.07 (99 of 100, on cores with five times their work).
_TURN_SECONDS = 0.0005

# Threads that have nothing left to do end within a moment; one that waits for a database does not.
_LAST_SECONDS = 1.0


def take_short_turns() -> None:
    """Have this process's threads give way to each other often: for one of them somebody waits."""
    sys.setswitchinterval(_TURN_SECONDS)


def why_not_started(error: BaseException) -> str:
    """Say to whoever runs it why a process could not start.

    Args:
        error: What was raised; its parts are started in groups of tasks, which raise groups.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, InvalidSettings | StorageFull | StorageUnavailable):
        return str(error)
    return "its workers, its counter or its store did not start."


def end(code: int = 0) -> None:
    """Return when no other thread keeps this process, or end it in spite of those that do.

    DBOS has threads that try for ever to write down what they have done: while its database is away, nothing
    else would end them. What they would write another process does again.

    Args:
        code: What it ends with, where it has to be ended.
    """
    deadline = time.monotonic() + _LAST_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                end_at_once(code)


def end_at_once(code: int) -> None:
    """End this process as it is; what was logged is written."""
    logging.shutdown()
    os._exit(code)
