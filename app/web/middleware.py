"""What surrounds every request, as plain ASGI: Starlette's BaseHTTPMiddleware hides a client that leaves."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import anyio
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, HTTPConnection

from app.errors import AddressTooLong, HeadersTooLarge, InternalError, MalformedRequest
from app.faults import Fault
from app.web.http.client import is_secure
from app.web.http.problems import language_of, problem_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from app.errors import RibbonsError
    from app.web.metrics import Metrics

MAX_HEAD_BYTES = 32_768
"""A request's line and headers. What nginx takes, too (``large_client_header_buffers``, 4 of 8 KB)."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
_CLIENT_LEFT = 499

# A refused upload is read on for so long, so that the client gets to see the answer: closing a connection
# with unread bytes in it resets it, and browsers then show an error of their own.
_DRAIN_SECONDS = 5.0

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""What every answer carries, unless its route chose its own."""

_ABSOLUTE = re.compile(r"https?://[^/]*", re.IGNORECASE)

# A year. Not for subdomains: whether they have TLS is not ours to say.
_STRICT_TRANSPORT = "max-age=31536000"

_log = structlog.get_logger(__name__)


class Observe:
    """One log line and one count per request.

    Never logged: address, path, query, file name, user agent, or a word of what was sent. The route is its
    template; a path that matches none is ``unmatched``.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or pass the lifespan through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        finally:
            self._report(exchange)

    def _report(self, exchange: _Exchange) -> None:
        seconds = time.perf_counter() - exchange.start
        status = exchange.status or _CLIENT_LEFT
        self.metrics.request_answered(exchange.method, _route(exchange.scope), status, seconds)
        _log.info(
            "request",
            method=exchange.method,
            route=_route(exchange.scope),
            status=status,
            milliseconds=round(seconds * 1000, 1),
            code=exchange.scope["state"].get("problem"),
            bytes_in=exchange.bytes_in,
            bytes_out=exchange.bytes_out,
        )


class _Exchange:
    """A request and its answer, counted as they pass."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.scope.setdefault("state", {})
        self.start = time.perf_counter()
        self.status: int | None = None
        self.bytes_in = self.bytes_out = 0
        self._receive = receive
        self._send = send

    @property
    def method(self) -> str:
        method: str = self.scope["method"]
        return method if method in _METHODS else "other"

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.bytes_out += len(message.get("body", b""))
        await self._send(message)


def _route(scope: Scope) -> str:
    """Return the route's template; for static files, the folder that they are served from."""
    if path := getattr(scope.get("route"), "path", None):
        return str(path)
    return scope.get("root_path") or "unmatched"


def put_by(scope: Scope, headers: Mapping[str, str]) -> None:
    """Have headers on the answer to a request, whatever its answer will be; see :class:`AddHeaders`."""
    scope["state"].setdefault("headers", {}).update(headers)


class AddHeaders:
    """Adds what was put by while a request was worked on: an error's answer has it, too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or pass the lifespan through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_them(message: Message) -> None:
            if message["type"] == "http.response.start" and (headers := scope["state"].get("headers")):
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self.app(scope, receive, send_with_them)


class OpenToSites(CORSMiddleware):
    """Lets other sites read what is answered; not the files of our own pages.

    Browsers ask for modules and fonts as for another site's, and each answer would carry 200 bytes for it.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["path"].startswith("/static/"):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class SecureHeaders:
    """Headers that every answer carries, unless its route chose its own.

    Args:
        app: The application.
        public_url: The address that supporters know, where it was set.
    """

    def __init__(self, app: ASGIApp, public_url: str | None = None) -> None:
        self.app = app
        self._always_secure = (public_url or "").startswith("https:")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or pass the lifespan through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        secure = self._always_secure or is_secure(HTTPConnection(scope))

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if secure:
                    headers.setdefault("Strict-Transport-Security", _STRICT_TRANSPORT)
            await send(message)

        await self.app(scope, receive, send_secured)


class DrainRefusedBodies:
    """Reads on, for a while and into nothing, when an answer is ready before the body has arrived.

    A client that waits for ``100 Continue`` (curl does, for large bodies) and was not asked for the body yet
    sends none, and is left at that.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or pass the lifespan through."""
        if scope["type"] != "http" or not _has_body(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        body = _Body(receive, waits=Headers(scope=scope).get("expect", "").lower() == "100-continue")

        async def send_then_drain(message: Message) -> None:
            if message["type"] == "http.response.start" and body.is_coming:
                MutableHeaders(scope=message)["Connection"] = "close"
            if message["type"] == "http.response.body" and not message.get("more_body") and body.is_coming:
                await send({**message, "more_body": True})
                await body.drain()
                message = {"type": "http.response.body"}
            await send(message)

        await self.app(scope, body.receive, send_then_drain)


class _Body:
    """A request's body, of which it is known whether more of it is on the way."""

    def __init__(self, receive: Receive, *, waits: bool) -> None:
        self.is_coming = not waits
        self._waits = waits
        self._receive = receive

    async def receive(self) -> Message:
        if self._waits:  # uvicorn tells the client to send it now
            self._waits, self.is_coming = False, True
        message = await self._receive()
        self.is_coming = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def drain(self) -> None:
        with anyio.move_on_after(_DRAIN_SECONDS):
            while self.is_coming:
                await self.receive()


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


class KeepToHttp:
    """Sees to what uvicorn's parser leaves to the application (RFC 9112).

    An address with scheme and host is taken as its path (3.2.2). A body whose length is told in two ways is
    refused, and its connection closed: another program on the way may go by the other one (6.1). So are
    a head that is too long and another version of HTTP than 1, from a client that begins with HTTP/2 unasked.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or pass the lifespan through."""
        if scope["type"] == "http":
            if (error := _breach(scope)) is not None:
                scope["state"]["problem"] = error.code
                answer = problem_response(error, language_of(HTTPConnection(scope)))
                answer.headers["Connection"] = "close"
                await answer(scope, receive, send)
                return
            if absolute := _ABSOLUTE.match(scope["path"]):
                scope["path"] = scope["path"][absolute.end() :] or "/"
        await self.app(scope, receive, send)


def _breach(scope: Scope) -> RibbonsError | None:
    """Return what a request's head has against it."""
    names = {name for name, _ in scope["headers"]}
    version = scope.get("http_version", "1.1")
    if {b"content-length", b"transfer-encoding"} <= names or not version.startswith("1."):
        return MalformedRequest()
    address = len(scope["path"]) + len(scope.get("query_string", b""))
    if address > MAX_HEAD_BYTES:
        return AddressTooLong.over(MAX_HEAD_BYTES)
    # A colon, a space and the end of a line.
    if address + sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > MAX_HEAD_BYTES:
        return HeadersTooLarge.over(MAX_HEAD_BYTES)
    return None


class AnswerHead:
    """Answers HEAD as GET without the body (RFC 9110, 9.3.2), wherever GET is taken: FastAPI does not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or pass the lifespan through."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        # A copy: the server looks at its own scope to know that it has to leave the body out.
        as_get = {**scope, "method": "GET"}
        is_answered = False

        async def send_head(message: Message) -> None:
            nonlocal is_answered
            if is_answered:
                # All has been told. What would go on for gigabytes, or has no end, goes on for nobody.
                raise ClientDisconnect
            if message["type"] == "http.response.body":
                is_answered = True
                message = {"type": "http.response.body", "body": b""}
            # Whoever observes the request from outside knows it by its route.
            scope.update({name: as_get[name] for name in ("route", "root_path") if name in as_get})
            await send(message)

        await self.app(as_get, receive, send_head)


class AnswerCrashes:
    """The last line of defence: a bug becomes a problem for the client and a log line without its words.

    The innermost of all, so that its answers pass through the others as every answer does.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or pass the lifespan through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        except ClientDisconnect:
            # Nobody is there to be answered.
            pass
        except Exception as exc:  # noqa: BLE001 - logged and answered, whatever it is
            fault = Fault.of(exc)
            _log.error("request_failed", route=_route(scope), kind=fault.kind, place=fault.place)
            if not started:
                scope["state"]["problem"] = InternalError.code
                answer = problem_response(InternalError(), language_of(HTTPConnection(scope)))
                await answer(scope, receive, send)
