"""The server process: uvicorn around the application."""

from __future__ import annotations

import resource
import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

import structlog
import uvicorn

from app.errors import RibbonsError
from app.logs import configure_logging
from app.web.app import create_app

if TYPE_CHECKING:
    from fastapi import FastAPI

    from app.settings import Settings

_log = structlog.get_logger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what was accepted, and return.

    Raises:
        SystemExit: The service could not start (the reason is logged).
    """
    configure_logging(settings)
    # A core dump would write photos to a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        app = create_app(settings)
        listener = _listen(settings)
    except RibbonsError as error:
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


def _listen(settings: Settings) -> socket.socket:
    """Take the address before anything is started, so that one that is taken is known at once."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=2048)


def _configuration(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )


def _exit_cleanly(_signal: int, _frame: object) -> None:
    sys.exit(0)
