"""What is not HTTP never reaches the application: uvicorn refuses it in plain text, told as a problem here.

A layer between a connection and uvicorn's protocol, made of asyncio's interfaces alone. It changes no byte of
a request: where one ends is for one parser alone to say, or requests could be smuggled in.
"""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from h11 import LocalProtocolError

from app.errors import AddressNotEncoded, AddressTooLong, HeadersTooLarge, MalformedRequest
from app.texts.languages import PAGE_LANGUAGES, PROGRAM_LANGUAGE
from app.web.http.negotiation import negotiate
from app.web.http.problems import problem_response
from app.web.middleware import MAX_HEAD_BYTES, SECURITY_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.errors import RibbonsError

# h11 takes 10 microseconds for each chunk of a body, however short. Of so many bytes at a time the lines have
# at least so many on average, as those of a form do; a photo has no lines.
_MANY_BYTES = 12_288
_SHORTEST_LINE = 16

# Whatever the application answers has this header (a test holds it): what has not is uvicorn's own.
_REFUSAL = b"HTTP/1.1 400 "
_OURS = b"x-content-type-options:"

_BLANK_LINE = re.compile(rb"\n\r?\n")
_TARGET = re.compile(rb"[A-Za-z]+ (.*?)(?: HTTP/\d\.\d)?\r?")
_NOT_ENCODED = re.compile(rb"[^\x21-\x7e]")
_ACCEPT_LANGUAGE = re.compile(rb"\naccept-language:([^\r\n]*)", re.IGNORECASE)


class Wire(asyncio.Protocol):
    """A connection, on which uvicorn's refusals are told as problems.

    Args:
        uvicorns: Makes uvicorn's protocol for a connection.
        given: What uvicorn gives it.
    """

    def __init__(self, uvicorns: Callable[..., asyncio.Protocol], **given: Any) -> None:
        self._protocol = uvicorns(**given)
        self._head = bytearray()
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._answers = _Answers(self._transport, self._head, self._end)
        self._protocol.connection_made(cast("asyncio.Transport", self._answers))

    def data_received(self, data: bytes) -> None:
        """Pass on what came, and keep as much of it as a head may have, until something is answered."""
        if (room := MAX_HEAD_BYTES + 1 - len(self._head)) > 0:
            self._head += data[:room]
        if _has_short_lines(data):
            self._answers.refuse()
            return
        try:
            self._protocol.data_received(data)
        except LocalProtocolError:
            # uvicorn refuses a body that goes wrong even where the answer has begun, and h11 does not let it.
            self._transport.close()
            self._end()

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._head.clear()
        self._end(exc)

    def _end(self, exc: Exception | None = None) -> None:
        if not self._ended:
            self._ended = True
            self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()


class _Answers:
    """The connection's way out.

    Args:
        transport: To whoever asks.
        head: What came since the last answer; emptied with each.
        on_refused: To be called when a refusal is out. The application may be at work on the request whose
            body went wrong, and must not answer it, too.
    """

    def __init__(self, transport: asyncio.Transport, head: bytearray, on_refused: Callable[[], None]) -> None:
        self._transport = transport
        self._head = head
        self._on_refused = on_refused
        self._refused = False

    def write(self, data: bytes) -> None:
        if self._refused:
            return
        if data.startswith(_REFUSAL) and _OURS not in data:
            self._refused = True
            data = _refusal(bytes(self._head))
        self._head.clear()
        self._transport.write(data)

    def refuse(self) -> None:
        self.write(_REFUSAL)
        self.close()

    def close(self) -> None:
        self._transport.close()
        if self._refused:
            self._on_refused()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _has_short_lines(data: bytes) -> bool:
    if len(data) < _MANY_BYTES:
        return False
    # Samples: to count in all of a photo of 3 MB takes 3 ms.
    part = _MANY_BYTES // 3
    middle = len(data) // 2
    samples = data[:part] + data[middle : middle + part] + data[-part:]
    return samples.count(b"\r\n") * _SHORTEST_LINE > len(samples)


def _refusal(head: bytes) -> bytes:
    """Return a whole answer to what could not be parsed, in the language that it asks for if it does."""
    accepted = _ACCEPT_LANGUAGE.search(head)
    wanted = accepted[1].decode("latin-1") if accepted else None
    answer = problem_response(_fault(head), negotiate(wanted, tuple(PAGE_LANGUAGES), PROGRAM_LANGUAGE))
    answer.headers.update({**SECURITY_HEADERS, "Access-Control-Allow-Origin": "*", "Connection": "close"})
    lines = [f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}".encode()]
    lines += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join((*lines, b"", bytes(answer.body)))


def _fault(head: bytes) -> RibbonsError:
    """Say as well as can be told what is wrong with the beginning of a request that was refused."""
    line, _, rest = head.partition(b"\n")
    if len(head) > MAX_HEAD_BYTES and not _BLANK_LINE.search(head):
        return HeadersTooLarge.over(MAX_HEAD_BYTES) if rest else AddressTooLong.over(MAX_HEAD_BYTES)
    target = _TARGET.fullmatch(line)
    return AddressNotEncoded() if target and _NOT_ENCODED.search(target[1]) else MalformedRequest()
