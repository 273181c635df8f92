"""A request's body -> the photo's bytes and the fields beside it, in memory only, under every limit.

Written on the streaming parser of python-multipart rather than on Starlette's form, which keeps files over
1 MiB in a temporary file: a photo must not touch a disk.
"""

from __future__ import annotations

import io
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NoReturn, Self
from urllib.parse import quote

import anyio
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import (
    PHOTO_FIELD,
    EncodingNotSupported,
    FieldProblem,
    InvalidSpec,
    MalformedRequest,
    PhotoMissing,
    PhotoTooManyBytes,
    RibbonsError,
    UploadTimedOut,
)
from app.web.http.encodings import BrokenEncodingError, decode_text, decoder_of, encoding_name
from app.web.http.places import Places

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from python_multipart.multipart import MultipartCallbacks
    from starlette.requests import Request

    from app.turns import Party
    from app.web.http.places import Arrival

MAX_FIELDS = 32
"""Three times as many as there are."""

MAX_FIELD_BYTES = 4096
"""Sixty characters of four bytes, percent-encoded or not, many times over."""

_FORM_OVERHEAD = MAX_FIELDS * (MAX_FIELD_BYTES + 1024)

_PART_HEADERS = frozenset(
    {b"content-disposition", b"content-type", b"content-transfer-encoding", b"content-encoding"}
)

_CHARSET_FIELD = "_charset_"
"""A browser's way of telling what its form is in (RFC 7578, 4.6)."""

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Upload:
    """What a request brought.

    Attributes:
        photo: At least one byte; of what format is not known yet.
        fields: The form's other fields, in order; none for a raw body.
    """

    photo: bytes
    fields: Fields


class UploadDesk:
    """Takes photos in, so many at a time and in so much memory.

    Args:
        max_photo_bytes: Largest photo.
        max_uploads: Photos that may be arriving at once.
        memory_bytes: Memory for the photos that are arriving and those that wait to be drawn.
        timeout: Seconds in which a photo has to arrive.

    Attributes:
        places: Who has a place and memory.
    """

    def __init__(self, *, max_photo_bytes: int, max_uploads: int, memory_bytes: int, timeout: float) -> None:
        self.max_photo_bytes = max_photo_bytes
        self.timeout = timeout
        self.places = Places(max_uploads, memory_bytes)

    def receive(
        self, request: Request, settings: Sequence[str], party: Party
    ) -> AbstractAsyncContextManager[Upload]:
        """Read the request's body, a photo or a form. It counts against the memory until the block ends.

        Args:
            request: Whose body it is.
            settings: The names of the fields that a form may have beside the photo. One of another name is
                still handed over if it is short text, to be told with whatever else is wrong.
            party: Who sends it.

        Raises:
            InvalidSpec: A field of an unknown name is no short text.
            Busy: Too many photos are arriving, or their memory is used up; or its place went to another,
                because it came much more slowly than others.
            TooManyAtOnce: So it is, or its place went to another, and the party has more than its share.
            PhotoMissing: There was no photo, or an empty one.
            PhotoTooManyBytes: The photo is too large; known from the headers where they tell.
            MalformedRequest: The form cannot be read, or holds more than a form of ours; or a part is not in
                the encoding that it names.
            EncodingNotSupported: The body or a part is packed (Content-Encoding), or a part is encoded in an
                unknown way.
            UploadTimedOut: The body did not arrive in time.
        """
        refuse_packed(request)
        content_type, options = parse_options_header(request.headers.get("content-type"))
        if content_type == b"multipart/form-data":
            form = _FormReceiver(options.get(b"boundary", b""), self.max_photo_bytes, settings)
            over = partial(PhotoTooManyBytes.over, self.max_photo_bytes)
            refuse_by_length(request, self.max_photo_bytes + _FORM_OVERHEAD, over)
            return self._receive(request, form, party)
        return self.receive_body(request, party)

    def receive_body(
        self, request: Request, party: Party, most: Most | None = None
    ) -> AbstractAsyncContextManager[Upload]:
        """Read a body that is the file itself, whatever type it says that it has.

        Its bytes count against the memory until the block ends. Its content type is not looked at: curl calls
        every ``--data-binary`` a form, phones send none.

        Args:
            request: Whose body it is.
            party: Who sends it.
            most: What it may be, where it is no photo.

        Raises:
            RibbonsError: As :meth:`receive`.
        """
        most = most or Most.of_photo(self.max_photo_bytes)
        refuse_packed(request)
        refuse_by_length(request, most.bytes, most.over)
        return self._receive(request, _RawReceiver(most), party)

    @asynccontextmanager
    async def _receive(
        self, request: Request, receiver: _RawReceiver | _FormReceiver, party: Party
    ) -> AsyncIterator[Upload]:
        scope = anyio.CancelScope()
        with self.places.held(party, scope.cancel) as arrival:
            try:
                with scope:
                    upload = await self._take_in(request, receiver, arrival)
                if arrival.refusal is not None:
                    raise arrival.refusal
            except RibbonsError as error:
                # Their frames hold the photo, of which soon nothing is counted any more; and the error lives
                # until its answer has been read, which takes seconds where the rest of the photo still comes.
                error.__context__ = None
                raise error.with_traceback(None)  # noqa: B904 - it is the same one
            finally:
                del receiver
            yield upload

    async def _take_in(
        self, request: Request, receiver: _RawReceiver | _FormReceiver, arrival: Arrival
    ) -> Upload:
        """Receive a photo that has a place, and give the place back."""
        try:
            with anyio.fail_after(self.timeout):
                async for chunk in request.stream():
                    self.places.hold(arrival, len(chunk))
                    receiver.write(chunk)
        except TimeoutError:
            raise UploadTimedOut(seconds=self.timeout) from None
        finally:
            self.places.leave(arrival)
        return receiver.finish()


def refuse_packed(request: Request) -> None:
    """Refuse a body by its Content-Encoding.

    Raises:
        EncodingNotSupported: It has one.
    """
    _refuse_packed(",".join(request.headers.getlist("content-encoding")))


def refuse_by_length(request: Request, most: int, over: Callable[[], RibbonsError]) -> None:
    """Refuse a body that its headers tell to be too long, before any of it is read.

    Args:
        request: Whose body it is.
        most: Bytes that it may have.
        over: Makes the error for more.
    """
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most:
        raise over()


def _refuse_packed(codings: str) -> None:
    """Refuse a body or a part by its Content-Encoding.

    Photos are packed already, and what unpacks to gigabytes would need limits.
    """
    if {coding.strip().lower() for coding in codings.split(",")} - {"", "identity"}:
        raise EncodingNotSupported.of(codings)


@dataclass(frozen=True, slots=True)
class Most:
    """What a file may be: so many bytes, and at least one.

    Attributes:
        bytes: As many as it may have.
        over: Makes the error for more.
        none: Makes the error for an empty one.
    """

    bytes: int
    over: Callable[[], RibbonsError]
    none: Callable[[], RibbonsError]

    @classmethod
    def of_photo(cls, most: int) -> Self:
        """Return what a photo may be."""
        return cls(most, partial(PhotoTooManyBytes.over, most), PhotoMissing)


class _Photo:
    """The photo's bytes, as they come."""

    name = PHOTO_FIELD

    def __init__(self, most: Most) -> None:
        self._most = most
        # Grows in place and hands its bytes over without a copy; chunks in a list would be held twice
        # while they are joined.
        self._buffer = io.BytesIO()

    def write(self, chunk: bytes) -> None:
        if self._buffer.tell() + len(chunk) > self._most.bytes:
            raise self._most.over()
        self._buffer.write(chunk)

    def refuse(self, fault: Callable[[], RibbonsError]) -> NoReturn:
        raise fault() from None

    def read(self) -> bytes:
        photo = self._buffer.getvalue()
        if not photo:
            raise self._most.none()
        return photo


class _RawReceiver:
    """A body that is the photo itself, or another file."""

    def __init__(self, most: Most) -> None:
        self._photo = _Photo(most)

    def write(self, chunk: bytes) -> None:
        self._photo.write(chunk)

    def finish(self) -> Upload:
        return Upload(self._photo.read(), ())


class _FormReceiver:
    """A ``multipart/form-data`` body (RFC 7578): the part ``photo``, and text fields."""

    def __init__(self, boundary: bytes, max_photo_bytes: int, settings: Sequence[str]) -> None:
        if not boundary:
            raise MalformedRequest
        self._form = _Form(max_photo_bytes, settings)
        try:
            self._parser = MultipartParser(boundary, self._form.callbacks())
        except FormParserError:
            raise MalformedRequest from None

    def write(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError:
            # Its text quotes the body.
            raise MalformedRequest from None

    def finish(self) -> Upload:
        return self._form.read()


class _Form:
    """What the parser has found so far.

    A part is the photo by its name alone, and any other is text, whatever file name or type it claims. The
    parser holds this, and this must not hold it: a photo in a cycle of references outlives its answer.
    """

    def __init__(self, max_photo_bytes: int, settings: Sequence[str]) -> None:
        self._most = Most.of_photo(max_photo_bytes)
        self._settings = settings
        self._photo: _Photo | None = None
        self._fields: list[_Field] = []
        self._complete = False
        self._on_part_begin()

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }

    def read(self) -> Upload:
        if not self._complete:
            raise MalformedRequest
        told = [field.text("") for field in self._fields if field.name == _CHARSET_FIELD]
        charset = told[0] if told else ""
        fields = [(field.name, field.text(charset)) for field in self._fields if field.name != _CHARSET_FIELD]
        if self._photo is None:
            raise PhotoMissing
        return Upload(self._photo.read(), tuple(fields))

    def _on_part_begin(self) -> None:
        self._header, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._part: _Photo | _Field | None = None

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if (name := self._header.lower()) in _PART_HEADERS:
            if name == b"content-encoding" and name in self._headers:
                self._value = self._headers[name] + b"," + self._value
            self._headers[name] = self._value
        self._header, self._value = b"", b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = utf8_name(options.get(b"name", b""))
        if name == PHOTO_FIELD:
            if self._photo is not None:
                raise MalformedRequest
            self._part = self._photo = _Photo(self._most)
        elif name and len(self._fields) < MAX_FIELDS:
            _, options = parse_options_header(self._headers.get(b"content-type"))
            is_known = name in self._settings or name == _CHARSET_FIELD
            unknown = None if is_known else FieldProblem.of_form(name, self._settings)
            self._part = _Field(name, options.get(b"charset", b"").decode("latin-1"), unknown)
            self._fields.append(self._part)
        else:
            raise MalformedRequest
        _refuse_packed(self._headers.get(b"content-encoding", b"").decode("latin-1"))
        self._decoder = decoder_of(self._headers.get(b"content-transfer-encoding", b""))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._write(self._decoder.decode, data[start:end])

    def _on_part_end(self) -> None:
        self._write(self._decoder.finish)

    def _write(self, decode: Callable[..., bytes], *encoded: bytes) -> None:
        if self._part is None:
            raise MalformedRequest
        try:
            self._part.write(decode(*encoded))
        except BrokenEncodingError:
            encoding = encoding_name(self._headers[b"content-transfer-encoding"])
            self._part.refuse(partial(MalformedRequest.not_in_encoding, self._part.name, encoding))

    def _on_end(self) -> None:
        self._complete = True


class _Field:
    """A text field, as it comes.

    Attributes:
        name: As it was sent.
        unknown: What is told of it when it is unreadable, where there is no field of that name: whoever sends
            a photo in ``file`` is not to be told that it has to be text.
    """

    def __init__(self, name: str, charset: str, unknown: FieldProblem | None) -> None:
        self.name = name
        self.unknown = unknown
        self._charset = charset
        self._bytes = bytearray()

    def write(self, chunk: bytes) -> None:
        self._bytes += chunk
        if len(self._bytes) > MAX_FIELD_BYTES:
            self.refuse(partial(MalformedRequest.in_field, self.name))

    def refuse(self, fault: Callable[[], RibbonsError]) -> NoReturn:
        raise (InvalidSpec([self.unknown]) if self.unknown else fault()) from None

    def text(self, charset: str) -> str:
        """Return it, decoded by its own charset, or else the form's, or else as UTF-8."""
        named = self._charset or charset
        try:
            return decode_text(bytes(self._bytes), named)
        except (KeyError, UnicodeDecodeError):
            if named:
                self.refuse(partial(MalformedRequest.not_in_charset, self.name, named))
            self.refuse(partial(MalformedRequest.in_field, self.name))


def utf8_name(raw: bytes) -> str:
    """Return a field's name.

    Raises:
        MalformedRequest: It is not in UTF-8; told percent-encoded, as every reader can be shown it.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise MalformedRequest.in_field(quote(raw)) from None
