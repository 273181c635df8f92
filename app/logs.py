"""Structured logs on standard error, which say nothing of who came or what they sent.

Programs read them as JSON, a line an event. On a terminal a person does, and gets sentences.

Our own lines are built of named values that are chosen one by one. Lines of libraries are reduced to their
first line, and their tracebacks to a type and a place, because a library quotes what it chokes on.
"""

from __future__ import annotations

import atexit
import logging
import os
import select
import sys
from collections import deque
from contextlib import suppress
from io import UnsupportedOperation
from string import Formatter
from typing import TYPE_CHECKING, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter

from app.faults import Fault
from app.settings import takes_colour

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import EventDict, Processor, WrappedLogger

    from app.settings import Settings

# uvicorn puts addresses, ports and counts into its lines, and nothing of a request at this level.
_TRUSTED_LIBRARIES = ("uvicorn",)


# What a pipe that is ready takes at once (PIPE_BUF, pipe(7)), and what may wait for it: 2,000 of our lines.
_PIECE_BYTES = 4096
_WAITING_BYTES = 500_000
_LAST_SECONDS = 1.0

# What a person reads. Values that a sentence does not name follow it; other events stay as they are.
_SENTENCES: Mapping[str, str] = {
    "starting": "Starting on {host}, port {port}; workers: {workers}.",
    "ready": "Ready. Open {url} in a browser; Ctrl-C stops it.",
    "partners_ready": "Organisations bring many photos to {url}. Their key is made by {command}",
    "batches_off": "No batches of organisations are taken, as there is no place to keep them. {reason}",
    "few_open_files": "Only {allowed} files may be open (ulimit -Hn), too few for {uploads} uploads. "
    "Raise that, or lower RIBBONS_MAX_UPLOADS to half of it.",
    "cannot_start": "Red Ribbons cannot start: {reason}",
    "request": "{method} {route} {status} in {milliseconds} ms",
    "worker_starting": "Starting to draw batches; workers: {workers}.",
    "worker_ready": "Ready: batches are drawn here. Ctrl-C stops it.",
    "worker_stopping": "Finishing the photos in hand. Ctrl-C again ends it at once.",
    "stopped": "Stopped.",
    "chunks_taken_over": "A process has died. What it was drawing is drawn by others; chunks: {chunks}.",
    "chunk_put_off": "Photos of a batch wait, and are tried again: {reason}.",
    "secret_made": "A secret was made in {file}. Whoever has this file can read the batches; without it none "
    "can be read. A disk that is taken away with both shows them: to prevent that, give RIBBONS_SECRET from "
    "elsewhere. At least keep a copy of this file apart from the data.",
    "store_failed": "What keeps the batches' photos fails: {code} ({kind}). Said once a minute.",
}


def configure_logging(settings: Settings) -> None:
    """Send every log line of this process through one formatter. To be called once, by a program."""
    is_read_by_people = settings.log_format == "console" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    stamp = (
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
        if is_read_by_people
        else structlog.processors.TimeStamper(fmt="iso", utc=True)
    )
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, stamp, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderers: list[Processor] = (
        [
            _in_words,
            structlog.dev.ConsoleRenderer(
                colors=takes_colour(sys.stderr), pad_event_to=0, pad_level=False, sort_keys=False
            ),
        ]
        if is_read_by_people
        else [structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    handler = logging.StreamHandler(_never_waiting(sys.stderr))
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, stamp, _reduce],
            processors=[ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for library in ("uvicorn", "uvicorn.error", "uvicorn.access", "python_multipart"):
        # They warn of requests that are malformed: what any stranger can fill a log with. Ours counts them.
        logging.getLogger(library).setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(max(logging.WARNING, root.level))


def _never_waiting(stream: TextIO) -> TextIO | PatientStream:
    """Return what writes to a stream without waiting, where the system can tell whether it would."""
    try:
        patient = PatientStream(stream.fileno())
    except (UnsupportedOperation, ValueError, AttributeError):  # no file at all, or closed
        return stream
    atexit.register(patient.finish)
    return patient


class PatientStream:
    """Writes lines to a file that may be a pipe whose reader has stopped: nobody waits for it.

    A service that waited would stand still with whoever collects its logs, or when somebody presses Ctrl-S in
    its terminal. Lines wait instead, for the next one or the end, and what is too much for that is counted.

    Args:
        descriptor: The open file. It is left as it is: others may write to it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLOUT)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._lost = 0

    def write(self, text: str) -> None:
        """Take a line, and write what can be written now."""
        self.flush()
        line = text.encode("utf-8", "backslashreplace")
        if self._waiting_bytes + len(line) > _WAITING_BYTES:
            self._lost += 1
        else:
            self._add(line)
        self.flush()

    def flush(self) -> None:
        """Write on, if whoever reads has gone on."""
        self._write_on(0)

    def finish(self) -> None:
        """Write what still waits, for a moment at the most."""
        self._write_on(_LAST_SECONDS)

    def _add(self, line: bytes) -> None:
        if self._lost:
            line = b'{"event": "log_lines_lost", "lines": %d}\n' % self._lost + line
            self._lost = 0
        self._waiting.extend(
            line[start : start + _PIECE_BYTES] for start in range(0, len(line), _PIECE_BYTES)
        )
        self._waiting_bytes += len(line)

    def _write_on(self, seconds: float) -> None:
        while self._waiting and self._ready.poll(seconds * 1000):
            piece = self._waiting.popleft()
            self._waiting_bytes -= len(piece)
            # Whoever read it is gone: so is the line, as it is with any other handler.
            with suppress(OSError):
                os.write(self._descriptor, piece)


def _in_words(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Say in a sentence what a person waits for, and leave out what is not there."""
    sentence = _SENTENCES.get(event["event"], "")
    named = {name for _, name, _, _ in Formatter().parse(sentence)}
    rest = {name: value for name, value in event.items() if name not in named and value is not None}
    return {**rest, "event": sentence.format_map(event) or event["event"]}


def _reduce(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep of a library's line what cannot hold a photo's bytes or a supporter's words."""
    record: logging.LogRecord = event["_record"]
    trusted = record.name.startswith(_TRUSTED_LIBRARIES)
    message = event["event"] if trusted else str(record.msg)
    first_line = message.partition("\n")[0]
    event["event"] = "(a traceback, withheld)" if "Traceback" in first_line else first_line
    event["library"] = record.name
    event.pop("stack_info", None)
    exception = record.exc_info[1] if record.exc_info else None
    if exception is not None:
        fault = Fault.of(exception)
        event.update(kind=fault.kind, place=fault.place)
    event.pop("exc_info", None)
    record.exc_info = record.exc_text = record.stack_info = None
    return event
