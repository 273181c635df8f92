from __future__ import annotations

from typing import Any

import anyio
import pytest
from starlette.requests import Request

from app.errors import (
    Busy,
    MalformedRequest,
    PhotoMissing,
    PhotoTooManyBytes,
    RibbonsError,
    UploadTimedOut,
)
from app.web.http.uploads import MAX_FIELD_BYTES, MAX_FIELDS, Upload, UploadDesk

BOUNDARY = "----abc"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
LIMIT = 100_000


def desk_of(**changes: float) -> UploadDesk:
    """Return a desk with small limits."""
    values: dict[str, Any] = {
        "max_photo_bytes": LIMIT,
        "max_uploads": 2,
        "memory_bytes": 4 * LIMIT,
        "timeout": 5,
    }
    return UploadDesk(**{**values, **changes})


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    """Return one part of a form."""
    suffix = "" if filename is None else f'; filename="{filename}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{suffix}\r\n\r\n'
    return head.encode() + value + b"\r\n"


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
        async with (desk or desk_of()).receive(request) as upload:
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
        (form(part("photo", b"x", "a"), part("size", b"300", "size.txt")), FORM),
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
        "another file",
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
    assert (desk.arriving, desk.held_bytes) == (0, 0)


def at_once(desk: UploadDesk, requests: list[Request], hold: float = 0) -> list[Upload | RibbonsError]:
    """Send requests at the same time, and keep each for a while; return what became of them."""
    results: list[Upload | RibbonsError] = []

    async def send(request: Request) -> None:
        try:
            async with desk.receive(request) as upload:
                results.append(upload)
                await anyio.sleep(hold)
        except RibbonsError as error:
            results.append(error)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for request in requests:
                tasks.start_soon(send, request)

    anyio.run(main)
    return results


def test_only_so_many_photos_arrive_at_once() -> None:
    """One more than may is refused at once; the others are not disturbed."""
    desk = desk_of(max_uploads=2)
    results = at_once(desk, [request_of([b"x"], None, pause=0.1) for _ in range(3)])
    assert [type(result) for result in results] == [Busy, Upload, Upload]
    assert desk.arriving == 0


def test_memory_is_bounded_over_all_photos_until_they_are_drawn() -> None:
    """Bytes count from their arrival until the avatar is made, and are then given back."""
    desk = desk_of(max_uploads=10, memory_bytes=250)
    requests = [request_of([b"x" * 100], None) for _ in range(3)]
    results = at_once(desk, requests, hold=0.1)
    assert sorted(type(result).__name__ for result in results) == ["Busy", "Upload", "Upload"]
    assert desk.held_bytes == 0
    assert received(b"x" * 250, None, desk=desk).photo


def test_places_and_memory_come_back_after_any_error() -> None:
    """No failed upload leaves anything behind."""
    desk = desk_of()
    for body, content_type in ((b"bad", FORM), (b"", None), (b"x" * (LIMIT + 1), None), (WHOLE[:50], FORM)):
        with pytest.raises(RibbonsError):
            received(body, content_type, desk=desk)
    assert (desk.arriving, desk.held_bytes) == (0, 0)
