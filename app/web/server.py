"""The server process: uvicorn around the application."""

from __future__ import annotations

import resource
import signal
import sys
from typing import TYPE_CHECKING

import structlog
import uvicorn

from app.errors import RibbonsError
from app.logs import configure_logging
from app.web.app import create_app

if TYPE_CHECKING:
    from app.settings import Settings


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what was accepted, and return.

    Raises:
        SystemExit: The service could not start (the reason is logged).
    """
    configure_logging(settings)
    log = structlog.get_logger(__name__)
    # A core dump would write photos to a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        app = create_app(settings)
    except RibbonsError as error:
        log.critical("cannot_start", reason=str(error))
        sys.exit(1)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
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
    # uvicorn, having stopped gracefully, raises the signal again for whoever handled it before: us.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_cleanly)
    log.info("starting", host=settings.host, port=settings.port, workers=settings.workers)
    uvicorn.Server(config).run()
    log.info("stopped")


def _exit_cleanly(_signal: int, _frame: object) -> None:
    sys.exit(0)
