"""Structured logs on standard error, which say nothing of who came or what they sent.

Programs read them as JSON, a line an event. On a terminal a person does, and gets sentences.

Our own lines are built of named values that are chosen one by one. Lines of libraries are reduced to their
first line, and their tracebacks to a type and a place, because a library quotes what it chokes on.
"""

from __future__ import annotations

import logging
import sys
from string import Formatter
from typing import TYPE_CHECKING

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


# What a person reads. Values that a sentence does not name follow it; other events stay as they are.
_SENTENCES: Mapping[str, str] = {
    "starting": "Starting on {host}, port {port}; workers: {workers}.",
    "ready": "Ready. Open {url} in a browser; Ctrl-C stops it.",
    "few_open_files": "Only {allowed} files may be open (ulimit -Hn), too few for {uploads} uploads. "
    "Raise that, or lower RIBBONS_MAX_UPLOADS to half of it.",
    "cannot_start": "Red Ribbons cannot start: {reason}",
    "request": "{method} {route} {status} in {milliseconds} ms",
    "stopped": "Stopped.",
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
    handler = logging.StreamHandler(sys.stderr)
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
