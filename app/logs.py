"""Structured logs on standard error, which say nothing of who came or what they sent.

Our own lines are built of named values that are chosen one by one. Lines of libraries are reduced to their
first line, and their tracebacks to a type and a place, because a library quotes what it chokes on.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog
from structlog.stdlib import ProcessorFormatter

from app.faults import Fault

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

    from app.settings import Settings

# uvicorn puts addresses, ports and counts into its lines, and nothing of a request at this level.
_TRUSTED_LIBRARIES = ("uvicorn",)


def configure_logging(settings: Settings) -> None:
    """Send every log line of this process through one formatter. To be called once, by a program."""
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, stamp, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderer = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, stamp, _reduce],
            processors=[ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    for library in ("uvicorn", "uvicorn.error", "uvicorn.access", "python_multipart"):
        # They warn of requests that are malformed: what any stranger can fill a log with. Ours counts them.
        logging.getLogger(library).setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(max(logging.WARNING, root.level))


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
