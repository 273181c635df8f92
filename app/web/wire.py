"""What is not HTTP never reaches the application: uvicorn refuses it in plain text, told as a problem here.

A layer between a connection and uvicorn's protocol, made of asyncio's interfaces alone. It changes no byte of
a request: where one ends is for one parser alone to say, or requests could be smuggled in. Empty lines before
one are no part of it.

Many who ask at the same moment take turns here, by address (``pacer.py``), and whoever begins a request has
to finish its head.
"""

from __future__ import annotations

import asyncio
import random
import re
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import structlog
from h11 import DONE, IDLE, SEND_BODY, LocalProtocolError

from app.errors import AddressNotEncoded, AddressTooLong, HeadersTooLarge, MalformedRequest
from app.texts.languages import PAGE_LANGUAGES, PROGRAM_LANGUAGE
from app.web.http.negotiation import negotiate
from app.web.http.problems import problem_response
from app.web.middleware import MAX_HEAD_BYTES, SECURITY_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from h11 import Connection

    from app.errors import RibbonsError
    from app.web.connections import Connections
    from app.web.http.client import Parties
    from app.web.metrics import Metrics
    from app.web.pacer import Pacer

_log = structlog.get_logger(__name__)

# Each chunk of a body costs h11 and uvicorn 9 microseconds (benchmarks/chunks.py), however short it is. Some
# may be short. If a body has many, they have to have so many bytes on an average, and there is an end to
# them: a photo of 4 MB that is sent line by line has 16,000. There is none where they are so long that what
# is in them costs more: a partner's ZIP of gigabytes comes in any number of those.
_MANY_CHUNKS = 200
_SHORTEST_CHUNK = 128
_MOST_CHUNKS = 20_000
_LONG_CHUNK = 4096
# What stands before a chunk, and never before a line of a photo or a form but by chance.
_CHUNK = re.compile(rb"\r\n[0-9A-Fa-f]{1,16}(?:;[^\r\n]*)?\r\n")
# To look through all of a photo of 3 MB takes 3 ms. So pieces of what comes at once stand for the rest, at
# places that nobody can know before.
_PIECES, _PIECE = 3, 4096

# Whatever the application answers has this header (a test holds it): what has not is uvicorn's own.
_REFUSAL = b"HTTP/1.1 400 "
_OURS = b"x-content-type-options:"

HEAD_SECONDS = 10.0
"""In which a request's head has to arrive, from the connection or from the head's first byte. As nginx's
``client_header_timeout`` in docs/deploy.md."""

# Who watches over the service must not take it for dead because others ask much of it.
_PROBES = (b"GET /healthz ", b"HEAD /healthz ")

_EMPTY_LINE = b"\r\n"
_EMPTY_LINES = re.compile(rb"\A(?:\r\n)+")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_TARGET = re.compile(rb"[A-Za-z]+ (.*?)(?: HTTP/\d\.\d)?\r?")
_NOT_ENCODED = re.compile(rb"[^\x21-\x7e]")
_FORWARDED_FOR = re.compile(rb"\nx-forwarded-for:([^\r\n]*)", re.IGNORECASE)
_ACCEPT_LANGUAGE = re.compile(rb"\naccept-language:([^\r\n]*)", re.IGNORECASE)


class Wire(asyncio.Protocol):
    """A connection, on which uvicorn's refusals are told as problems.

    Args:
        uvicorns: Makes uvicorn's protocol for a connection.
        metrics: Counts what is refused.
        pacer: Of all connections: says whose request is next.
        parties: Tells whose they are.
        connections: Counts them, and closes some when there are too many.
        given: What uvicorn gives it.
    """

    def __init__(
        self,
        uvicorns: Callable[..., asyncio.Protocol],
        metrics: Metrics,
        pacer: Pacer,
        parties: Parties,
        connections: Connections,
        **given: Any,
    ) -> None:
        protocol: Any = uvicorns(**given)
        self._protocol: asyncio.Protocol = protocol
        self._parser: Connection = protocol.conn
        # uvicorn would begin a request that came with the one before in the same pass that has answered that.
        self._go_on = protocol.handle_events
        protocol.handle_events = self._handle_events
        # And it would close a connection whose request has come, and is not heard yet.
        self._shut_down = protocol.shutdown
        protocol.shutdown = self._shut_down_when_heard
        self._metrics = metrics
        self._pacer = pacer
        self._parties = parties
        self._connections = connections
        self._heard = _Heard()
        self._is_hearing = False
        self._ended = False
        self._is_last = False
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._pacer.let_in()
        self._transport = cast("asyncio.Transport", transport)
        peer = (transport.get_extra_info("peername") or ("",))[0]
        # Who holds the connection, and whose request is on it: of a proxy's, each may be another's.
        self._holder = self._party = self._parties.named(peer)
        self._proxy = peer if self._parties.believes(peer) else None
        self._answers = _Answers(self._transport, self._heard, self._metrics, self._end)
        self._protocol.connection_made(cast("asyncio.Transport", self._answers))
        self._watch_head()
        self._connections.add(self._holder, self._transport)

    def data_received(self, data: bytes) -> None:
        """Pass on what came: more of a body at once, what begins a request when its turn has come.

        Meanwhile no more is read. A piece of a body costs little; a photo comes in dozens of them, and would
        take dozens of turns.
        """
        if self._parser.their_state is SEND_BODY and not self._answers.is_held:
            self._hear(data)
            return
        if self._proxy is not None and self._is_between_requests():
            self._party = self._parties.named(self._proxy, _forwarded_for(data))
        is_urgent = data.startswith(_PROBES)
        if not self._pacer.begin(partial(self._hear, data), self._party, is_urgent=is_urgent):
            self._answers.hold_reading()

    def _hear(self, data: bytes) -> None:
        self._answers.release_reading()
        # Closed meanwhile: nobody is there any more, or nobody is answered any more.
        if self._ended or self._transport.is_closing():
            return
        self._pass_on(data)
        if self._is_last and not self._ended:
            self._shut_down()

    def _pass_on(self, data: bytes) -> None:
        if data.startswith(_EMPTY_LINE) and self._is_between_requests():
            # To be ignored (RFC 9112, 2.2), and h11 refuses them: old programs send one behind a body.
            # One that came together with the body is h11's already, and stays refused.
            data = _EMPTY_LINES.sub(b"", data, count=1)
            if not data:
                return
        self._heard.take(data)
        if self._heard.is_in_crumbs:
            self._answers.refuse()
            return
        self._is_hearing = True
        try:
            self._protocol.data_received(data)
        except LocalProtocolError:
            # uvicorn refuses a body that goes wrong even where the answer has begun, and h11 does not let it.
            self._transport.close()
            self._end()
        finally:
            self._is_hearing = False
            self._watch_head()

    def _shut_down_when_heard(self) -> None:
        """End when the service does: after the answer to what has come."""
        if self._answers.is_held:
            self._is_last = True
        else:
            self._shut_down()

    def _handle_events(self) -> None:
        if self._is_hearing:
            self._go_on()
        else:
            self._pacer.begin(self._handle_more, self._party)

    def _handle_more(self) -> None:
        if not self._ended:
            self._go_on()

    def _is_between_requests(self) -> bool:
        """Whether uvicorn's parser, which says where a request ends, has nothing of another one yet."""
        return self._parser.their_state in {IDLE, DONE} and not self._parser.trailing_data[0]

    def _watch_head(self) -> None:
        """Wait for the end of a head for so long, and no longer."""
        if self._ended or self._parser.their_state is not IDLE:
            self._stop_watching()
        elif self._patience is None:
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(HEAD_SECONDS, self._lose_patience)

    def _lose_patience(self) -> None:
        self._patience = None
        if self._answers.is_held:  # it has come; that it has to wait for its turn is no fault of theirs
            self._watch_head()
        else:
            self._transport.close()

    def _stop_watching(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """End, when the turn for it has come: whatever works for this connection gives up then."""
        self._connections.remove(self._holder, self._transport)
        self._heard.forget()
        self._answers.are_lost = True
        self._stop_watching()
        self._pacer.begin(partial(self._end, exc), self._party)

    def _end(self, exc: Exception | None = None) -> None:
        if not self._ended:
            self._ended = True
            self._stop_watching()
            self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()


class _Heard:
    """What came since the last answer.

    Attributes:
        head: The beginning of it, up to the end of the first head and no longer than a head may be.
    """

    def __init__(self) -> None:
        self.head = bytearray()
        self._whole = False
        self._chunks = self._sampled = self._came = 0

    def take(self, data: bytes) -> None:
        """Take more of it."""
        if not self._whole:
            self.head += data[: MAX_HEAD_BYTES + 1 - len(self.head)]
            if end := _BLANK_LINE.search(self.head):
                self._whole = True
                del self.head[end.end() :]
        self._came += len(data)
        for piece in _samples(data):
            self._sampled += len(piece)
            self._chunks += len(_CHUNK.findall(piece))

    def forget(self) -> None:
        """Begin anew: there is an answer to this."""
        self.head.clear()
        self._whole = False
        self._chunks = self._sampled = self._came = 0

    @property
    def is_in_crumbs(self) -> bool:
        """Whether a body comes in so many and so short chunks that they cost others their time."""
        if self._chunks <= _MANY_CHUNKS:
            return False
        mean = self._sampled / self._chunks
        return mean < max(_SHORTEST_CHUNK, min(self._came / _MOST_CHUNKS, _LONG_CHUNK))


def _samples(data: bytes) -> Iterator[bytes]:
    if len(data) <= _PIECES * _PIECE:
        yield data
        return
    for _ in range(_PIECES):
        at = random.randrange(len(data) - _PIECE)  # noqa: S311 - hard to guess is enough
        yield data[at : at + _PIECE]


def _forwarded_for(data: bytes) -> list[str]:
    """Return what a proxy says in the head of a request, where all of the head has come at once."""
    end = _BLANK_LINE.search(data, 0, MAX_HEAD_BYTES)
    claims = _FORWARDED_FOR.findall(data, 0, end.start() + 1) if end else []
    return [claim.decode("latin-1") for claim in claims]


class _Answers:
    """The connection's way out.

    Args:
        transport: To whoever asks.
        heard: What came since the last answer; forgotten with each.
        metrics: Counts what is refused.
        on_refused: To be called when a refusal is out. The application may be at work on the request whose
            body went wrong, and must not answer it, too.

    Attributes:
        are_lost: Whether nobody is there any more to take them.
        is_held: Whether something that has come waits for its turn, and nothing more is read.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        heard: _Heard,
        metrics: Metrics,
        on_refused: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._heard = heard
        self._metrics = metrics
        self._on_refused = on_refused
        self._refused = False
        self._begun = False
        self.is_held = False
        self._is_paused = False
        self.are_lost = False

    def write(self, data: bytes) -> None:
        if self._refused or self.are_lost:
            return
        if data.startswith(_REFUSAL) and _OURS not in data:
            self._refused = True
            data = self._tell()
        self._begun = True
        self._heard.forget()
        self._transport.write(data)

    def _tell(self) -> bytes:
        head = bytes(self._heard.head)
        error = _fault(head)
        status, answer = _refusal(error, head)
        self._metrics.request_answered("other", "unmatched", status, 0)
        _log.info(
            "request", method="other", route="unmatched", status=status, milliseconds=0, code=error.code
        )
        return answer

    def refuse(self) -> None:
        """Refuse in the middle of a request; in the middle of an answer there is no place for another one."""
        if not self._begun:
            self.write(_REFUSAL)
        self._refused = True
        self.close()

    def close(self) -> None:
        self._transport.close()
        if self._refused:
            self._on_refused()

    # Reading goes on when neither uvicorn wants it to pause nor something that has come waits for its turn.

    def pause_reading(self) -> None:
        self._is_paused = True
        self._let_read()

    def resume_reading(self) -> None:
        self._is_paused = False
        self._let_read()

    def hold_reading(self) -> None:
        """Read no more for now, whatever uvicorn wants."""
        self.is_held = True
        self._let_read()

    def release_reading(self) -> None:
        """Read again, if uvicorn wants to."""
        if self.is_held:
            self.is_held = False
            self._let_read()

    def _let_read(self) -> None:
        if self._transport.is_closing():
            return
        if self.is_held or self._is_paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _refusal(error: RibbonsError, head: bytes) -> tuple[int, bytes]:
    """Return status and whole answer to what could not be parsed, in the language that it asks for."""
    accepted = _ACCEPT_LANGUAGE.search(head)
    wanted = accepted[1].decode("latin-1") if accepted else None
    answer = problem_response(error, negotiate(wanted, tuple(PAGE_LANGUAGES), PROGRAM_LANGUAGE))
    answer.headers.update(
        {
            **SECURITY_HEADERS,
            "Access-Control-Allow-Origin": "*",
            "Connection": "close",
            "Date": formatdate(usegmt=True),
        }
    )
    lines = [f"HTTP/1.1 {answer.status_code} {HTTPStatus(answer.status_code).phrase}".encode()]
    lines += [name + b": " + value for name, value in answer.raw_headers]
    body = b"" if head.startswith(b"HEAD ") else bytes(answer.body)
    return answer.status_code, b"\r\n".join((*lines, b"", body))


def _fault(head: bytes) -> RibbonsError:
    """Say as well as can be told what is wrong with the beginning of a request that was refused."""
    line, _, rest = head.partition(b"\n")
    if len(head) > MAX_HEAD_BYTES and not _BLANK_LINE.search(head):
        return HeadersTooLarge.over(MAX_HEAD_BYTES) if rest else AddressTooLong.over(MAX_HEAD_BYTES)
    target = _TARGET.fullmatch(line)
    return AddressNotEncoded() if target and _NOT_ENCODED.search(target[1]) else MalformedRequest()
