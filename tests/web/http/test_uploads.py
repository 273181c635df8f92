from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from starlette.requests import Request

from app.errors import (
    Busy,
    EncodingNotSupported,
    FieldProblem,
    InvalidSpec,
    MalformedRequest,
    PhotoMissing,
    PhotoTooManyBytes,
    RibbonsError,
    TooManyAtOnce,
    UploadTimedOut,
)
from app.turns import HOUSE
from app.web.http.uploads import MAX_FIELD_BYTES, MAX_FIELDS, Upload, UploadDesk

if TYPE_CHECKING:
    from collections.abc import Callable

BOUNDARY = "----abc"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
LIMIT = 100_000
SETTINGS = ("lang", "slogan", "size")


def desk_of(**changes: float) -> UploadDesk:
    """Return a desk with small limits."""
    values: dict[str, Any] = {
        "max_photo_bytes": LIMIT,
        "max_uploads": 2,
        "memory_bytes": 4 * LIMIT,
        "timeout": 5,
    }
    return UploadDesk(**{**values, **changes})


def part(name: str, value: bytes, filename: str | None = None, *headers: str) -> bytes:
    """Return one part of a form."""
    suffix = "" if filename is None else f'; filename="{filename}"'
    lines = [f"--{BOUNDARY}", f'Content-Disposition: form-data; name="{name}"{suffix}', *headers, "", ""]
    return "\r\n".join(lines).encode() + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    """Return a whole form."""
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def request_of(
    waiting: list[bytes], content_type: str | None, headers: dict[str, str] | None = None, pause: float = 0
) -> Request:
    """Return a request that takes its body out of a list of chunks, ``pause`` seconds apart."""
    given = {**({} if content_type is None else {"content-type": content_type}), **(headers or {})}

    async def receive() -> dict[str, Any]:
        await anyio.sleep(pause)
        chunk = waiting.pop(0) if waiting else b""
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    scope = {
        "type": "http",
        "method": "POST",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    return Request(scope, receive)


def received(
    body: bytes | list[bytes],
    content_type: str | None = FORM,
    *,
    desk: UploadDesk | None = None,
    headers: dict[str, str] | None = None,
    pause: float = 0,
) -> Upload:
    """Send a body and return what arrived."""
    chunks = [body] if isinstance(body, bytes) else body

    async def main() -> Upload:
        request = request_of(chunks, content_type, headers, pause)
        async with (desk or desk_of()).receive(request, SETTINGS, HOUSE) as upload:
            return upload

    return anyio.run(main)


def in_pieces(body: bytes, size: int) -> list[bytes]:
    """Cut a body up."""
    return [body[start : start + size] for start in range(0, len(body), size)]


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_a_form_brings_photo_and_fields_however_it_is_cut_up(size: int) -> None:
    """The network may split a form anywhere: in a boundary, a header or a character."""
    photo = bytes(range(256)) * 4 + b"\r\n--" + BOUNDARY[:-1].encode()
    body = form(part("slogan", "غزة".encode()), part("photo", photo, "IMG_1.HEIC"), part("size", b"300"))
    assert received(in_pieces(body, size)) == Upload(photo, (("slogan", "غزة"), ("size", "300")))


@pytest.mark.parametrize(
    "content_type", [None, "", "image/jpeg", "application/octet-stream", "application/x-www-form-urlencoded"]
)
def test_any_other_body_is_the_photo_itself(content_type: str | None) -> None:
    """Phones send no type; curl calls whatever it sends a form."""
    assert received([b"\xff\xd8", b"rest"], content_type) == Upload(b"\xff\xd8rest", ())


def test_a_photo_is_known_by_its_field_alone() -> None:
    """Some share sheets send no file name; what it is, its bytes say."""
    assert received(form(part("photo", b"bytes"))).photo == b"bytes"


def test_a_field_that_is_given_twice_arrives_twice() -> None:
    """The spec, not the form, says that this is wrong."""
    body = form(part("size", b"1"), part("photo", b"x", "a"), part("size", b"2"))
    assert received(body).fields == (("size", "1"), ("size", "2"))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", None),
        (b"", "image/jpeg"),
        (form(), FORM),
        (form(part("size", b"300")), FORM),
        (form(part("photo", b"", "")), FORM),
        (form(part("photo", b"")), FORM),
    ],
)
def test_no_photo(body: bytes, content_type: str | None) -> None:
    """A form without a photo, an empty file and an empty body are the same thing to a supporter."""
    with pytest.raises(PhotoMissing):
        received(body, content_type)


WHOLE = form(part("photo", b"x" * 100, "a"))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", FORM),
        (WHOLE, "multipart/form-data"),
        (WHOLE, "multipart/form-data; boundary="),
        (WHOLE, f"multipart/form-data; boundary={'b' * 1000}"),
        (WHOLE, "multipart/form-data; boundary=another"),
        (WHOLE[:-30], FORM),
        (b"not a form", FORM),
        (form(part("photo", b"x", "a"), part("photo", b"y", "b")), FORM),
        (form(part("", b"x"), part("photo", b"x", "a")), FORM),
        (f"--{BOUNDARY}\r\n\r\nnameless\r\n--{BOUNDARY}--\r\n".encode(), FORM),
        (f"--{BOUNDARY}\r\n{'A' * 100_000}: b\r\n\r\n".encode(), FORM),
        (form(part("slogan", b"\xff\xfe")), FORM),
        (form(*[part(f"f{number}", b"") for number in range(MAX_FIELDS + 1)]), FORM),
        (form(part("slogan", b"a" * (MAX_FIELD_BYTES + 1))), FORM),
    ],
    ids=[
        "empty",
        "no boundary",
        "empty boundary",
        "huge boundary",
        "other boundary",
        "cut short",
        "no form",
        "two photos",
        "field without a name",
        "part without a name",
        "huge header",
        "not UTF-8",
        "too many fields",
        "huge field",
    ],
)
def test_a_form_that_cannot_be_read(body: bytes, content_type: str) -> None:
    """Whatever is wrong with a form is one clean error, and never a library's."""
    with pytest.raises(MalformedRequest) as caught:
        received(body, content_type)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "value",
    [
        part("slogan", b"\xff\xfe"),
        part("slogan", b"a" * (MAX_FIELD_BYTES + 1)),
        part("slogan", "غزة".encode("cp1256")),
        part("slogan", "غزة".encode(), None, "Content-Type: text/plain; charset=klingon"),
        part("slogan", b"+2YTZhg-", None, "Content-Type: text/plain; charset=utf-7"),
        part("slogan", b"2LrYstip2", None, "Content-Transfer-Encoding: base64"),
        part("slogan", b"=D8=BA" * 200, None, "Content-Transfer-Encoding: quoted-printable"),
        part("slogan", b"YWE=" * 2000, None, "Content-Transfer-Encoding: base64"),
        part("slogan", bytes(range(256)), "photo.jpg", "Content-Type: image/jpeg"),
    ],
)
def test_a_field_that_cannot_be_read_is_named(value: bytes) -> None:
    """Not text, not in its charset or an unknown one, badly encoded, or far longer than any."""
    with pytest.raises(MalformedRequest) as caught:
        received(form(value, part("photo", b"x", "a")))
    assert caught.value.params["field"] == "slogan"
    assert "slogan" in caught.value.text("en")
    assert "slogan" in caught.value.text("ar") != caught.value.text("en")


@pytest.mark.parametrize("charset", ["klingon", "utf-7", "windows-1252", "KLINGON"])
@pytest.mark.parametrize("of_form", [True, False])
def test_a_charset_that_cannot_be_read_is_named(charset: str, *, of_form: bool) -> None:
    """To programs: one that is not known, or one that the text is not in; told for its part or the form."""
    raw = b"\x81\xff"
    if of_form:
        body = form(part("slogan", raw), part("_charset_", charset.encode()), part("photo", b"x"))
    else:
        header = f"Content-Type: text/plain; charset={charset}"
        body = form(part("slogan", raw, None, header), part("photo", b"x"))
    with pytest.raises(MalformedRequest) as caught:
        received(body)
    assert caught.value.params == {"field": "slogan", "charset": charset.lower()}
    assert "UTF-8" in caught.value.text("en")
    told = "It could not be read in the charset that it names: {charset}."
    assert caught.value.hint_text("en") == told.format(charset=charset.lower())


def test_a_field_that_names_no_charset_is_told_none() -> None:
    """Nor one that is too long to be read in any."""
    header = "Content-Type: text/plain; charset=windows-1252"
    for value in (part("slogan", b"\x81"), part("slogan", b"a" * (MAX_FIELD_BYTES + 1), None, header)):
        with pytest.raises(MalformedRequest) as caught:
            received(form(value, part("photo", b"x")))
        assert caught.value.params == {"field": "slogan"}
        assert "photo" in str(caught.value.hint_text("en"))


@pytest.mark.parametrize(
    "value",
    [
        part("file", bytes(range(256)), "b.jpg"),
        part("file", b"\xff", None),
        part("file", bytes(10_000), "b"),
        part("file", b"/9j/", None, "Content-Transfer-Encoding: base64"),
        part("file", b"*", None, "Content-Transfer-Encoding: base64"),
        part("file", "غزة".encode("cp1256"), None, "Content-Type: text/plain; charset=klingon"),
    ],
)
def test_an_unreadable_field_of_an_unknown_name_is_unknown(value: bytes) -> None:
    """Beside the photo or without one."""
    for parts in ((value,), (part("photo", b"x", "a"), value), (value, part("photo", b"x", "a"))):
        with pytest.raises(InvalidSpec) as caught:
            received(form(*parts))
        problem = FieldProblem.of("file", "unknown", choices=("photo", *SETTINGS))
        assert caught.value.problems == (problem,)
        assert "“photo”" in str(caught.value.hint_text("en"))
        assert "photo" in str(caught.value.hint_text("ar"))


def test_a_photo_in_another_field_is_refused_while_it_arrives() -> None:
    """Not a byte more of it is gathered than a field may have."""
    chunks = in_pieces(form(part("file", bytes(LIMIT), "a.jpg")), 1000)
    everything = len(chunks)
    with pytest.raises(InvalidSpec):
        received(chunks)
    assert everything - len(chunks) <= MAX_FIELD_BYTES // 1000 + 2


def test_a_name_that_is_not_utf8_is_told_percent_encoded() -> None:
    """As it would be written in a query; no reader can be shown its bytes."""
    named = part("slogan", b"x").replace(b"slogan", "شعار".encode("cp1256"))
    with pytest.raises(MalformedRequest) as caught:
        received(form(named, part("photo", b"x", "a")))
    assert caught.value.params == {"field": "%D4%DA%C7%D1"}


def test_a_name_is_told_in_part_where_it_is_long() -> None:
    """An answer never grows with what was wrong."""
    with pytest.raises(InvalidSpec) as caught:
        received(form(part("a" * 1000, b"\xff"), part("photo", b"x", "a")))
    assert caught.value.params == {"fields": ("a" * 64,)}


def test_ten_thousand_fields_are_refused_while_they_arrive() -> None:
    """A form of many fields is not read to its end."""
    body = form(*[part(f"f{number}", b"") for number in range(10_000)])
    chunks = in_pieces(body, 1000)
    with pytest.raises(MalformedRequest):
        received(chunks, desk=desk_of(memory_bytes=len(body)))
    assert len(chunks) > len(body) // 1000 * 0.9


@pytest.mark.parametrize("content_type", [FORM, "image/jpeg"])
def test_the_largest_photo_is_taken_and_one_byte_more_is_not(content_type: str) -> None:
    """The limit counts the photo's own bytes, in both ways of sending it."""

    def body(size: int) -> bytes:
        photo = b"x" * size
        return form(part("photo", photo, "a")) if content_type == FORM else photo

    assert len(received(in_pieces(body(LIMIT), 5000), content_type).photo) == LIMIT
    with pytest.raises(PhotoTooManyBytes) as caught:
        received(in_pieces(body(LIMIT + 1), 5000), content_type)
    assert caught.value.params == {"limit_mb": 0.1}


@pytest.mark.parametrize("content_type", [FORM, "image/jpeg"])
def test_a_length_that_is_too_large_is_refused_unread(content_type: str) -> None:
    """The headers tell; not a byte of the body is asked for."""
    headers = {"content-length": str(10 * LIMIT)}
    chunks = [b"x"]
    with pytest.raises(PhotoTooManyBytes):
        received(chunks, content_type, headers=headers)
    assert chunks == [b"x"]


def test_a_length_that_is_no_number_is_left_to_the_server() -> None:
    """What cannot be a length does not decide anything here."""
    assert received(b"x", "image/jpeg", headers={"content-length": "-1"}).photo == b"x"


def test_a_photo_that_comes_too_slowly_is_given_up() -> None:
    """A connection that trickles keeps its place for so long and no longer."""
    desk = desk_of(timeout=0.2)
    chunks = [b"x"] * 1000
    with pytest.raises(UploadTimedOut) as caught:
        received(chunks, "image/jpeg", desk=desk, pause=0.01)
    assert len(chunks) > 900
    assert caught.value.params == {"seconds": 0.2}
    assert (desk.places.arriving, desk.places.held_bytes) == (0, 0)


def at_once(
    desk: UploadDesk, requests: list[Request], hold: float = 0, parties: str = ""
) -> list[Upload | RibbonsError]:
    """Send requests at the same time, and keep each for a while; return what became of them."""
    results: list[Upload | RibbonsError] = []

    async def send(request: Request, party: str) -> None:
        try:
            async with desk.receive(request, SETTINGS, party) as upload:
                results.append(upload)
                await anyio.sleep(hold)
        except RibbonsError as error:
            results.append(error)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for request, party in zip(requests, parties or "a" * len(requests), strict=True):
                tasks.start_soon(send, request, party)

    anyio.run(main)
    return results


def test_only_so_many_photos_arrive_at_once() -> None:
    """One more than may is refused at once; the others are not disturbed."""
    desk = desk_of(max_uploads=2)
    results = at_once(desk, [request_of([b"x"], None, pause=0.1) for _ in range(3)])
    assert [type(result) for result in results] == [Busy, Upload, Upload]
    assert desk.places.arriving == 0


def test_memory_is_bounded_over_all_photos_until_they_are_drawn() -> None:
    """Bytes count from their arrival until the avatar is made, and are then given back."""
    desk = desk_of(max_uploads=10, memory_bytes=250)
    requests = [request_of([b"x" * 100], None) for _ in range(3)]
    results = at_once(desk, requests, hold=0.1)
    assert sorted(type(result).__name__ for result in results) == ["Busy", "Upload", "Upload"]
    assert desk.places.held_bytes == 0
    assert received(b"x" * 250, None, desk=desk).photo


def test_places_and_memory_come_back_after_any_error() -> None:
    """No failed upload leaves anything behind."""
    desk = desk_of()
    for body, content_type in ((b"bad", FORM), (b"", None), (b"x" * (LIMIT + 1), None), (WHOLE[:50], FORM)):
        with pytest.raises(RibbonsError):
            received(body, content_type, desk=desk)
    assert (desk.places.arriving, desk.places.held_bytes) == (0, 0)


def test_who_loses_a_place_is_told_at_once() -> None:
    """While it waits for bytes that do not come; its memory is free, and the newcomer's photo arrives."""
    desk = desk_of(max_uploads=3, timeout=30)
    requests = [request_of([b"x"] * 2, None, pause=pause) for pause in (0.2, 0.2, 0.2, 0)]
    results = at_once(desk, requests, parties="aaab")
    assert [type(result) for result in results] == [TooManyAtOnce, Upload, Upload, Upload]
    assert (desk.places.arriving, desk.places.held_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("body", "content_type", "pause"),
    [
        ([b"x" * LIMIT, b"x"], None, 0),
        ([b"x" * LIMIT, b"x"], None, 1),
        ([form(part("photo", b"x" * (LIMIT // 2)))[:-20] + b"rest"], FORM, 0),
    ],
    ids=["too large", "too slow", "broken"],
)
def test_an_error_holds_no_photo(body: list[bytes], content_type: str | None, pause: float) -> None:
    """It lives until its answer has been read, for which a sender may take its time."""
    with pytest.raises(RibbonsError) as caught:
        received(body, content_type, desk=desk_of(timeout=0.5), pause=pause)
    error = caught.value
    assert error.__context__ is None
    seen: list[object] = []
    trace = error.__traceback__
    while trace is not None:
        seen += trace.tb_frame.f_locals.values()
        trace = trace.tb_next
    assert not {type(value).__name__ for value in seen} & {"_RawReceiver", "_FormReceiver", "_Photo"}


# -- parts in odd clothes ----------------------------------------------------

PHOTO = bytes(range(256)) * 20
WORDS = "غزة في القلب"


def with_lines(encoded: bytes, length: int = 76, end: bytes = b"\r\n") -> bytes:
    """Break into lines, as programs that write mails do."""
    return end.join(in_pieces(encoded, length)) + end


def quoted(raw: bytes) -> bytes:
    """Return quoted-printable as written for bytes: ends of lines are encoded too."""
    return with_lines(b"".join(b"=%02X" % byte for byte in raw), 75, b"=\r\n")


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("binary", bytes),
        ("8bit", bytes),
        ("7bit", bytes),
        ("BINARY", bytes),
        ("", bytes),
        ("base64", base64.b64encode),
        ("Base64", lambda raw: with_lines(base64.b64encode(raw))),
        ("base64", lambda raw: with_lines(base64.b64encode(raw), 64, b"\n")),
        ('"base64"; x=y', lambda raw: b" " + base64.b64encode(raw) + b"\t\r\n\r\n"),
        ("base64", lambda raw: base64.b64encode(raw).rstrip(b"=")),
        ("base64", base64.urlsafe_b64encode),
        ("base64", lambda raw: with_lines(base64.urlsafe_b64encode(raw).rstrip(b"="))),
        ("quoted-printable", quoted),
        ("Quoted-Printable", lambda raw: quoted(raw).lower()),
        ("quoted-printable", lambda raw: quoted(raw).replace(b"=\r\n", b"= \t\n")),
        ("quoted-printable", binascii.b2a_qp),
    ],
)
def test_an_encoded_part_is_decoded(encoding: str, encode: Callable[[bytes], bytes], size: int) -> None:
    """The photo and the words alike, however the network cuts them up."""
    header = f"Content-Transfer-Encoding: {encoding}"
    photo = bytes(range(32, 127)) * 50 if encode is binascii.b2a_qp else PHOTO
    body = form(
        part("slogan", encode(WORDS.encode()), None, header), part("photo", encode(photo), "a.jpg", header)
    )
    if size == 1:  # only as much of it as says the same in a second
        body = form(part("slogan", encode(WORDS.encode()), None, header), part("photo", b"x"))
        photo = b"x"
    assert received(in_pieces(body, size)) == Upload(photo, (("slogan", WORDS),))


@pytest.mark.parametrize(
    "broken",
    [
        b"/9j/4",
        b"/9j/4A==/9j/",
        b"/9j/4A==/9",
        b"/9j/=4AA",
        b"/9j/4===",
        b"/9j/4AA==",
        b"/9j/\xff4AA",
        b"/9j/4*AA",
        b"=",
        b"====",
        b"\xff\xd8\xff\xe0\x00\x10JFIF",
    ],
)
@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize("name", ["photo", "slogan"])
def test_a_part_that_is_not_in_its_encoding_is_named(broken: bytes, name: str, size: int) -> None:
    """Cut short, with something behind its end, or with what is no letter of it; the photo may be whole."""
    value = part(name, broken, "a.jpg", 'Content-Transfer-Encoding: "Base64"; x=y')
    with pytest.raises(MalformedRequest) as caught:
        received(in_pieces(form(value, part("photo", b"x") if name == "slogan" else b""), size))
    assert caught.value.__cause__ is None
    assert caught.value.params == {"field": name, "encoding": "base64"}
    assert caught.value.text("en") == f"The field “{name}” is not in the encoding that it names: base64."


@pytest.mark.parametrize("name", ["photo", "slogan"])
@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Encoding: gzip"],
        ["content-encoding: GZIP"],
        ["Content-Encoding: identity, br"],
        ["Content-Encoding: gzip", "Content-Encoding: identity"],
        ["Content-Encoding: identity", "Content-Encoding: deflate"],
        ["Content-Encoding: gzip", "Content-Transfer-Encoding: base64"],
    ],
)
def test_a_part_that_is_packed_is_refused(name: str, lines: list[str]) -> None:
    """As a body is by the same header; what was named is told."""
    with pytest.raises(EncodingNotSupported) as caught:
        received(form(part(name, b"x", "a", *lines), part("photo", b"x")))
    told = str(caught.value.params["encoding"])
    assert told == ",".join(
        line.partition(": ")[2].lower() for line in lines if line.lower().startswith("content-encoding")
    )


@pytest.mark.parametrize("coding", ["identity", "Identity", "", " identity , "])
def test_a_part_that_is_not_packed_may_say_so(coding: str) -> None:
    """The photo and the words alike."""
    header = f"Content-Encoding: {coding}"
    body = form(part("slogan", b"x", None, header), part("photo", b"y", "a", header))
    assert received(body) == Upload(b"y", (("slogan", "x"),))


@pytest.mark.parametrize("name", ["photo", "slogan"])
@pytest.mark.parametrize("encoding", ["uuencode", "x-gzip", "ietf-token", "غ", "a" * 1000])
def test_an_unknown_encoding_of_a_part_is_named(name: str, encoding: str) -> None:
    """As much of it as can be a name."""
    body = form(part(name, b"x", None, f"Content-Transfer-Encoding: {encoding}"), part("photo", b"x"))
    with pytest.raises(EncodingNotSupported) as caught:
        received(body)
    told = str(caught.value.params["encoding"])
    assert told == (encoding if encoding.isascii() else "??")[:40]
    assert told in str(caught.value.hint_text("en"))


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_the_limit_is_of_the_photos_own_bytes(encoding: str) -> None:
    """As they are when decoded; and nothing is decoded past it."""
    encode = base64.b64encode if encoding == "base64" else quoted
    header = f"Content-Transfer-Encoding: {encoding}"
    desk = desk_of(memory_bytes=10 * LIMIT)
    body = form(part("photo", encode(bytes(LIMIT)), "a", header))
    assert received(in_pieces(body, 5000), desk=desk).photo == bytes(LIMIT)
    chunks = in_pieces(form(part("photo", encode(bytes(2 * LIMIT)), "a", header)), 5000)
    everything = len(chunks)
    with pytest.raises(PhotoTooManyBytes):
        received(chunks, desk=desk)
    assert len(chunks) > everything * 0.4


def test_quoted_printable_without_lines_is_not_gathered() -> None:
    """A line has an end (RFC 5322, 2.1.1): what has none is refused before it fills a memory."""
    chunks = in_pieces(
        form(part("photo", b"a" * LIMIT, "a", "Content-Transfer-Encoding: quoted-printable")), 500
    )
    everything = len(chunks)
    with pytest.raises(MalformedRequest) as caught:
        received(chunks)
    assert caught.value.params == {"field": "photo", "encoding": "quoted-printable"}
    assert len(chunks) > everything - 10


@pytest.mark.parametrize("line", [b" \r\n", b"\n", b"=41=\r\n"])
def test_quoted_printable_of_nothing_but_ends_of_lines_is_refused(line: bytes) -> None:
    """Each costs a microsecond: 40 MB of them would be 15 seconds."""
    encoded = line * (LIMIT // len(line))
    chunks = in_pieces(form(part("photo", encoded, "a", "Content-Transfer-Encoding: quoted-printable")), 5000)
    everything = len(chunks)
    with pytest.raises(MalformedRequest) as caught:
        received(chunks)
    assert caught.value.params == {"field": "photo", "encoding": "quoted-printable"}
    assert len(chunks) > everything / 2


@pytest.mark.parametrize("filename", ["", "slogan.txt", "صورة.txt", "C:\\words.txt", "blob"])
def test_a_field_with_a_file_name_is_a_field(filename: str) -> None:
    """Libraries for Swift and Java give each part one."""
    value = part("slogan", WORDS.encode(), filename, "Content-Type: text/plain")
    assert received(form(value, part("photo", b"x", "a"))).fields == (("slogan", WORDS),)


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("utf-8", "utf-8"),
        ("UTF8", "utf-8"),
        ('"utf-8"', "utf-8"),
        ("us-ascii", "utf-8"),
        ("windows-1256", "cp1256"),
        ("CP1256", "cp1256"),
        ("ISO-8859-6", "iso8859-6"),
        ("utf-16", "utf-16"),
        ("UTF-16LE", "utf-16-le"),
    ],
)
def test_a_field_is_read_in_its_own_charset(charset: str, codec: str) -> None:
    """Old programs and their default say what they have written it in."""
    words = "سلام"
    header = f"Content-Type: text/plain; charset={charset}"
    body = form(part("slogan", words.encode(codec), None, header), part("photo", b"x"))
    assert received(body).fields == (("slogan", words),)


@pytest.mark.parametrize(
    ("charset", "raw", "words"),
    [
        ("iso-8859-1", b"libert\xe9", "liberté"),
        ("iso-8859-1", b"l\x92ami \x80", "l’ami €"),
        ("iso-8859-15", b"5 \xa4", "5 €"),
        ("windows-1252", b"\x93oui\x94", "“oui”"),
        ("iso-8859-9", b"\xf6zg\xfcrl\xfck \xfe", "özgürlük ş"),
        ("windows-1254", b"\xf0", "ğ"),
    ],
)
def test_a_western_field_is_read_in_its_own_charset(charset: str, raw: bytes, words: str) -> None:
    """Latin 1 as browsers read it."""
    body = form(
        part("slogan", raw, None, f"Content-Type: text/plain; charset={charset}"), part("photo", b"x")
    )
    assert received(body).fields == (("slogan", words),)


def test_a_form_may_say_which_charset_it_is_in() -> None:
    """``_charset_`` (RFC 7578, 4.6) is no setting, and a part's own charset goes before it."""
    body = form(
        part("slogan", "سلام".encode("cp1256")),
        part("lang", b"ar", None, "Content-Type: text/plain; charset=utf-8"),
        part("_charset_", b"windows-1256"),
        part("photo", b"x"),
    )
    assert received(body).fields == (("slogan", "سلام"), ("lang", "ar"))


@pytest.mark.parametrize("content_type", [FORM, "image/jpeg"])
@pytest.mark.parametrize(
    "coding", ["gzip", "x-gzip", "deflate", "br", "zstd", "GZIP", "gzip, identity", "\x1b[1m"]
)
def test_a_packed_body_is_refused_unread(content_type: str, coding: str) -> None:
    """What its packing is called is told, and no byte is asked for."""
    chunks = [WHOLE]
    with pytest.raises(EncodingNotSupported) as caught:
        received(chunks, content_type, headers={"content-encoding": coding})
    assert chunks == [WHOLE]
    assert str(caught.value.params["encoding"]).isprintable()


@pytest.mark.parametrize("coding", ["identity", "Identity", "", "identity, identity"])
def test_a_body_that_is_not_packed_may_say_so(coding: str) -> None:
    """``identity`` is no packing."""
    assert received(WHOLE, headers={"content-encoding": coding}).photo == b"x" * 100


@pytest.mark.parametrize(
    "disposition",
    [
        'form-data; name="photo"; filename="صورة.jpg"',
        'form-data; name="photo"; filename="a\\"b; name=slogan.jpg"',
        "form-data; name=\"photo\"; filename*=UTF-8''%D8%B5.jpg",
        "form-data; name=photo; filename=a.jpg",
        "FORM-DATA;NAME=photo",
        'form-data; filename="name=x"; name="photo"',
    ],
)
def test_a_photos_file_name_may_be_anything(disposition: str) -> None:
    """It is not looked at, in any letters and any quotes."""
    body = f"--{BOUNDARY}\r\ncontent-disposition: {disposition}\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode()
    assert received(body).photo == b"x"
