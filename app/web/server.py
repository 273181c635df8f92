"""The server process: uvicorn around the application."""

from __future__ import annotations

import resource
import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn, cast

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.errors import RibbonsError
from app.jobs import forbid_core_dumps
from app.logs import configure_logging
from app.settings import InvalidSettings
from app.web.app import create_app

if TYPE_CHECKING:
    import asyncio

    from fastapi import FastAPI
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from app.settings import Settings

# As long as nginx is advised to wait in docs/deploy.md; a phone that is on at all needs a second or two.
_HEADER_SECONDS = 10.0

# Whoever takes nothing of an answer for so long is gone, or wants our memory to fill: a ZIP has 2 MB.
_STALL_SECONDS = 60.0

# Each connection takes one; the usual 1,024 are used up by what one person can open. More than this would
# be of no use, and some systems allow a thousand million.
_OPEN_FILES = 65_536

_log = structlog.get_logger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what was accepted, and return.

    Raises:
        SystemExit: The service could not start (the reason is logged).
    """
    configure_logging(settings)
    forbid_core_dumps()
    _allow_open_files()
    try:
        app = create_app(settings)
        listener = _listen(settings)
    except (InvalidSettings, RibbonsError) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"cannot listen on {settings.host}, port {settings.port}: {error.strerror}")
    # uvicorn, having stopped gracefully, raises the signal again for whoever handled it before: us.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_cleanly)
    host, port, *_ = listener.getsockname()
    _log.info("starting", host=host, port=port, workers=settings.workers)
    try:
        uvicorn.Server(_configuration(app, settings)).run([listener])
    finally:
        _log.info("stopped")


def _refuse(reason: str) -> NoReturn:
    _log.critical("cannot_start", reason=reason)
    sys.exit(1)


def _allow_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(settings: Settings) -> socket.socket:
    """Take the address before anything is started, so that one that is taken is known at once.

    ``::`` is every address of IPv4 too, whatever the system's own default is.
    """
    return socket.create_server(
        (settings.host, settings.port),
        family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
        backlog=2048,
        dualstack_ipv6=settings.host == "::" and socket.has_dualstack_ipv6(),
    )


class _ImpatientProtocol(HttpToolsProtocol):
    """Closes a connection on which headers or an answer stand still: uvicorn waits for ever."""

    _timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        self._start_timer()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._start_timer()

    def on_headers_complete(self) -> None:
        self._stop_timer()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_stall_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_answer(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._stop_stall_timer()
        super().resume_writing()

    def _watch_answer(self, waiting: int) -> None:
        self._stop_stall_timer()
        self._stall_timer = self.loop.call_later(_STALL_SECONDS, self._judge_answer, waiting)

    def _judge_answer(self, waited: int) -> None:
        waiting = self.transport.get_write_buffer_size()
        if waiting < waited:
            self._watch_answer(waiting)
        else:
            self.transport.abort()

    def _stop_stall_timer(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(_HEADER_SECONDS, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # uvicorn declares it wrongly
        if cycle is None or cycle.response_complete:
            self.transport.close()
        else:  # half of the next request came before the answer to this one has gone
            self._start_timer()


def _configuration(app: FastAPI, settings: Settings) -> uvicorn.Config:
    # No limit_concurrency: uvicorn's own refusal is plain text without Retry-After, and says nothing to
    # whoever has not sent headers yet. The desk for uploads and the queue refuse.
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=_ImpatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )


def _exit_cleanly(_signal: int, _frame: object) -> None:
    sys.exit(0)
