"""The server process: uvicorn around the application."""

from __future__ import annotations

import errno
import gc
import resource
import signal
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import structlog
import uvicorn

from app.bulk.ledger import make_folder
from app.errors import RibbonsError
from app.jobs import forbid_core_dumps, keep_freed_memory
from app.lifetime import end, take_short_turns, why_not_started
from app.logs import configure_logging
from app.settings import InvalidSettings
from app.web.app import create_app
from app.web.connections import Connections
from app.web.middleware import MAX_HEAD_BYTES
from app.web.pacer import Pacer
from app.web.wire import Wire

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from fastapi import FastAPI

    from app.settings import Settings
    from app.web.service import Service

# Each connection takes one; the usual 1,024 are used up by what one person can open. More than this would
# be of no use, and some systems allow a thousand million.
_OPEN_FILES = 65_536

# Three for each worker, those of Redis, and those that a connection has for a moment beside its own.
_OWN_FILES = 500

# A reader who takes nothing of an answer for so long is gone, or never meant to take it; who takes a little
# now and then may take as long as it needs. The system looks to it (tcp(7)), also where all of the answer is
# in its buffers already. As nginx's send_timeout in docs/deploy.md.
_READER_SECONDS = 60

# Whoever sets one of these wants batches, and is told why there cannot be any.
_OF_BATCHES = {"batches", "data_folder", "jobs_url", "store_url", "secret", "secret_file"}

_log = structlog.get_logger(__name__)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish what was accepted, and return.

    Raises:
        SystemExit: The service could not start (the reason is logged).
    """
    configure_logging(settings)
    forbid_core_dumps()
    keep_freed_memory()  # each photo passes through this process too
    take_short_turns()
    files = _allow_open_files(settings)
    settings = _with_batches_where_it_can(settings)
    try:
        app = create_app(settings)
        listener = _listen(settings)
    except (InvalidSettings, RibbonsError) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(_why_not_listening(settings, error))
    # uvicorn, having stopped gracefully, raises the signal again for whoever handled it before: us.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _exit_cleanly)
    host, port, *_ = listener.getsockname()
    _log.info("starting", host=host, port=port, workers=settings.workers)
    announce = partial(_announce, settings, own_url(settings.host, port))
    try:
        _Server(_configuration(app, settings, _connections(files)), app, announce).run([listener])
    finally:
        _log.info("stopped")
        end()


def _with_batches_where_it_can(settings: Settings) -> Settings:
    """Leave batches out where there is no place for them, and nobody has said a word of them.

    A container without a volume serves supporters as it always did.
    """
    if not settings.batches or _OF_BATCHES & settings.model_fields_set:
        return settings
    try:
        make_folder(settings.data_folder)
    except InvalidSettings as error:
        _log.warning("batches_off", reason=str(error))
        return settings.model_copy(update={"batches": False})
    return settings


def _announce(settings: Settings, url: str) -> None:
    _log.info("ready", url=url)
    if settings.batches:
        # As README's two commands leave it, or as it is installed.
        command = ".venv/bin/ribbons" if Path(".venv/bin/ribbons").exists() else "ribbons"
        _log.info("partners_ready", url=f"{url}partners", command=f"{command} keys add NAME")


class _Server(uvicorn.Server):
    """Says when the first request would be answered: its workers are warm, and it listens."""

    def __init__(self, configuration: uvicorn.Config, app: FastAPI, announce: Callable[[], None]) -> None:
        super().__init__(configuration)
        self._app = app
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so; or say in words that a part did not start, which uvicorn does in a traceback."""
        try:
            await super().startup(sockets)
        except SystemExit as error:
            _log.critical("cannot_start", reason=getattr(self._app.state, "refusal", why_not_started(error)))
            raise
        # What is there now stays. To look through all of it for cycles takes 60 ms, in which nothing else
        # runs; what requests leave behind is looked through in less than one.
        gc.collect()
        gc.freeze()
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop: first those who would listen for ever, and batches, so that nobody is waited for in vain."""
        service: Service = self._app.state.service
        service.begin_to_stop()
        await super().shutdown(sockets)


def own_url(host: str, port: int) -> str:
    """Return the address at which a browser on this machine finds the page.

    Args:
        host: What the service was told to listen on; an address of every interface is not one to open.
        port: What it listens on.
    """
    if host in {"127.0.0.1", "0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "localhost"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _why_not_listening(settings: Settings, error: OSError) -> str:
    """Say why there is no listening there, and what to do about it."""
    host, port = settings.host, settings.port
    another = "choose another: RIBBONS_PORT, --port, or make run PORT=8123"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken by another program. Stop it, or {another}."
    if error.errno == errno.EACCES:
        return f"port {port} is for the system's own services. Above 1023 {another}."
    if error.errno in {errno.EADDRNOTAVAIL, socket.EAI_NONAME}:
        return (
            f"{host} is no address of this machine. RIBBONS_HOST, --host, or make run HOST=… takes 127.0.0.1 "
            "for this machine alone, or 0.0.0.0 for all of its addresses."
        )
    return f"cannot listen on {host}, port {port}: {error.strerror}."


def _refuse(reason: str) -> NoReturn:
    _log.critical("cannot_start", reason=reason)
    sys.exit(1)


def _allow_open_files(settings: Settings) -> int:
    """Raise the limit as far as the system lets us, and warn if uploads alone could use it up.

    Where it is used up nobody is answered any more, not even refused.

    Returns:
        How many files may be open.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    allowed = max(soft, wanted)
    if allowed < 2 * settings.max_uploads:
        _log.warning("few_open_files", allowed=allowed, uploads=settings.max_uploads)
    return allowed


def _connections(files: int) -> Connections:
    """Return what counts connections: a quarter of a few files is left for our own, and 500 of many."""
    return Connections(files - min(files // 4, _OWN_FILES))


def _listen(settings: Settings) -> socket.socket:
    """Take the address before anything is started, so that one that is taken is known at once.

    ``::`` is every address of IPv4 too, whatever the system's own default is.
    """
    listener = socket.create_server(
        (settings.host, settings.port),
        family=socket.AF_INET6 if ":" in settings.host else socket.AF_INET,
        backlog=2048,
        dualstack_ipv6=settings.host == "::" and socket.has_dualstack_ipv6(),
    )
    # Each connection inherits it. Linux alone has it, and nothing else is served from.
    if sys.platform == "linux":
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _READER_SECONDS * 1000)
    return listener


def _configuration(app: FastAPI, settings: Settings, connections: Connections) -> uvicorn.Config:
    # No limit_concurrency: uvicorn's own refusal is plain text without Retry-After, and says nothing to
    # whoever has not sent headers yet. The desk for uploads and the queue refuse. uvicorn waits for ever for
    # headers that do not come, and for answers to be taken: the wire and the listener see to that.
    #
    # h11 takes 0.2 to 0.3 ms of CPU more for a request than httptools, and as long for a photo of 3 MB. With
    # httptools uvicorn drops the body of every request that offers an upgrade, as Java's HttpClient does with
    # each (Kludex/uvicorn#2722).
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="h11",
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )
    config.load()
    service = app.state.service
    service.metrics.watch_connections(connections)
    wire = partial(Wire, config.http_protocol_class, service.metrics, Pacer(), service.parties, connections)
    config.http_protocol_class = cast("type[asyncio.Protocol]", wire)
    return config


def _exit_cleanly(_signal: int, _frame: object) -> None:
    sys.exit(0)
