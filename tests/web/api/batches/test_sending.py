from __future__ import annotations

import base64
import hashlib
import io
import secrets
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx2
import pytest
from openpyxl import Workbook

from app.web.api.batches.sending import MOST_TOLD
from tests.partners import PartnerProgram, new_partner_key
from tests.web.api.batches.conftest import (
    MAX_ARCHIVE_BYTES,
    MAX_BATCH_PHOTOS,
    MAX_PHOTO_BYTES,
    zipped,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Serve, Server


HELD_SECONDS = 0.7
"""That a short request may wait beside work in threads, on a machine that has other tests to run."""


def digest_of(content: bytes, name: str = "sha-256") -> str:
    """Return a body's ``Content-Digest``."""
    digest = hashlib.new(name.replace("-", ""), content).digest()
    return f"{name}=:{base64.b64encode(digest).decode()}:"


def names_in(partner: PartnerProgram, batch: str) -> list[str]:
    """Return the names of all photos of a batch."""
    names, path = [], f"{batch}/photos?limit=1000"
    while path:
        page = partner.get(path).json()
        names += [photo["name"] for photo in page["photos"]]
        path = page["next"]
    return names


def code_of(answer: httpx2.Response, status: int) -> str:
    """Return the code of a problem that has a status."""
    assert answer.status_code == status, answer.text
    code: str = answer.json()["code"]
    return code


# -- photos ----------------------------------------------------------------


def test_a_photo_is_new_once(partner: PartnerProgram, batch: str, photo: bytes) -> None:
    """201 and where it is; sent again it replaces itself, with 200."""
    first = partner.send_photo(batch, "staff/a.jpg", photo)
    assert first.status_code == 201
    assert first.headers["location"] == f"{batch}/photos/staff/a.jpg"
    assert first.json() == {
        "number": 1,
        "name": "staff/a.jpg",
        "state": "waiting",
        "error": None,
        "framing": None,
        "doubtful": False,
        "seconds": None,
        "avatar": None,
    }
    again = partner.send_photo(batch, "staff/a.jpg", photo)
    assert (again.status_code, again.json()["number"]) == (200, 1)
    assert "location" not in again.headers
    assert partner.shown(batch)["received"] == 1


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg",
        "a/b/c.jpg",
        "أبو علي/صورة ١.heic",
        "Zoe\u0308.jpg",
        "100% sure?.jpg",
        "a#b&c=d;e.jpg",
        "x+y.jpg",
        "framing",
        "photos/framing",
        "%2e%2e.jpg",
        "no extension",
        "a\ufffdb.jpg",
        "😀.png",
        "quo'te\".jpg",
    ],
)
def test_a_photo_keeps_its_name(partner: PartnerProgram, batch: str, photo: bytes, name: str) -> None:
    """In any script, with folders, and with what addresses have a use for."""
    sent = partner.put(f"{batch}/photos/{quote(name, safe='/')}", content=photo)
    assert sent.status_code == 201, sent.text
    assert sent.json()["name"] == name
    assert names_in(partner, batch) == [name]
    found = partner.get(sent.headers["location"].replace("/photos/", "/avatars/", 1))
    assert code_of(found, 404) == "batch_photo_not_found"  # it is not drawn yet


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "%2e%2e/a.jpg",
        "a/%2e%2e/%2e%2e/b.jpg",
        "%2fetc%2fpasswd/..%2f..%2fx",
        "a%00b.jpg",
        "a%09b.jpg",
        "x" * 256 + ".jpg",
        "y/" * 600 + "a.jpg",
        "%ff.jpg",
        "a%ef%bf%bd%ff.jpg",
    ],
)
def test_a_name_that_no_photo_may_have_is_refused(
    partner: PartnerProgram, batch: str, photo: bytes, path: str
) -> None:
    """422, before the photo is read. Names that are not in UTF-8 would become one, and photos be lost."""
    answer = partner.put(f"{batch}/photos/{path}", content=photo)
    assert code_of(answer, 422) == "invalid_name"
    assert names_in(partner, batch) == []


def test_a_name_that_is_not_in_utf8_is_nobody_elses(
    partner: PartnerProgram, batch: str, photo: bytes
) -> None:
    """Servers make U+FFFD of its bytes: it neither shows nor frames a photo that is really called so."""
    assert partner.send_photo(batch, "\ufffd.jpg", photo).status_code == 201
    partner.start(batch)
    for method, path, body, status in (
        ("GET", "avatars/{}", None, 200),
        ("GET", "thumbnails/{}", None, 200),
        ("POST", "photos/{}/framing", {"zoom": 2}, 202),
    ):
        refused = partner.request(method, f"{batch}/{path.format('%ff.jpg')}", json=body)
        assert code_of(refused, 422) == "invalid_name", path
        taken = partner.request(method, f"{batch}/{path.format(quote(chr(0xFFFD)) + '.jpg')}", json=body)
        assert taken.status_code == status, path


@pytest.mark.parametrize(
    "content_type", [None, "image/jpeg", "application/x-www-form-urlencoded", "text/plain; charset=x"]
)
def test_the_body_is_the_photo_whatever_it_is_called(
    partner: PartnerProgram, batch: str, photo: bytes, content_type: str | None
) -> None:
    """Curl calls everything a form."""
    headers = {"Content-Type": content_type} if content_type else {}
    assert partner.send_photo(batch, "a.jpg", photo, **headers).status_code == 201


def test_a_form_is_refused(partner: PartnerProgram, batch: str, photo: bytes) -> None:
    """Kept as it came it would fail, with 3,000 others, when the batch is done."""
    for path in ("photos/a.jpg", "archive", "table"):
        answer = partner.put(f"{batch}/{path}", files={"photo": ("a.jpg", photo)})
        assert code_of(answer, 400) == "malformed_request"
        assert "not in a form" in answer.json()["detail"]


def test_what_cannot_be_taken_is_refused(partner: PartnerProgram, batch: str, photo: bytes) -> None:
    """Nothing, too much (told or not), what is packed: each as for a single avatar, and nothing is left."""
    large = bytes(MAX_PHOTO_BYTES + 1)
    assert code_of(partner.send_photo(batch, "a.jpg", b""), 400) == "photo_missing"
    assert code_of(partner.send_photo(batch, "a.jpg", large), 413) == "photo_too_many_bytes"
    in_chunks = partner.put(f"{batch}/photos/a.jpg", content=iter([large]))
    assert code_of(in_chunks, 413) == "photo_too_many_bytes"
    packed = partner.send_photo(batch, "a.jpg", photo, **{"Content-Encoding": "gzip"})
    assert code_of(packed, 415) == "encoding_not_supported"
    assert partner.shown(batch)["received"] == 0


def test_a_batch_takes_so_many(partner: PartnerProgram, photo: bytes) -> None:
    """The next one is refused; what is there may be sent again."""
    batch = partner.new_batch()
    full = zipped({f"{number}.jpg": photo for number in range(MAX_BATCH_PHOTOS)})
    assert partner.put(f"{batch}/archive", content=full).json()["taken"] == MAX_BATCH_PHOTOS
    assert code_of(partner.send_photo(batch, "one more.jpg", photo), 422) == "batch_full"
    assert partner.send_photo(batch, "0.jpg", photo).status_code == 200
    partner.delete(batch)


def test_nothing_comes_after_the_start(partner: PartnerProgram, done: str, photo: bytes) -> None:
    """409, for photos, archives and tables: whoever is late needs another batch."""
    for path, content in (
        ("photos/late.jpg", photo),
        ("photos/a.jpg", photo),
        ("archive", zipped({"late.jpg": photo})),
        ("table", b"photo\r\na.jpg\r\n"),
    ):
        assert code_of(partner.put(f"{done}/{path}", content=content), 409) == "batch_not_open"


# -- what came is what was sent --------------------------------------------


def test_a_digest_is_checked(partner: PartnerProgram, batch: str, photo: bytes) -> None:
    """RFC 9530: by each algorithm that is known; where one does not fit, nothing is taken."""
    right = [digest_of(photo), digest_of(photo, "sha-512"), f"md5=:AAAA:, {digest_of(photo)}"]
    for number, digest in enumerate(right):
        sent = partner.send_photo(batch, f"{number}.jpg", photo, **{"Content-Digest": digest})
        assert sent.status_code == 201
    both = f"{digest_of(photo)}, {digest_of(b'other', 'sha-512')}"
    for digest in (digest_of(b"other"), both):
        refused = partner.send_photo(batch, "x.jpg", photo, **{"Content-Digest": digest})
        assert code_of(refused, 400) == "digest_mismatch"
    for digest in ("x", "sha-256=abc", "sha-256=:a b:", "sha-256=:abc:", ","):
        refused = partner.send_photo(batch, "x.jpg", photo, **{"Content-Digest": digest})
        assert code_of(refused, 400) == "malformed_request"
    assert partner.shown(batch)["received"] == 3


def test_a_digest_of_an_archive_and_a_table_is_checked(
    partner: PartnerProgram, batch: str, photo: bytes
) -> None:
    """The same: of a ZIP that came otherwise no photo is taken."""
    for path, content in (("archive", zipped({"a.jpg": photo})), ("table", b"photo\r\na.jpg\r\n")):
        wrong = partner.put(f"{batch}/{path}", content=content, headers={"Content-Digest": digest_of(b"x")})
        assert code_of(wrong, 400) == "digest_mismatch"
        assert names_in(partner, batch) == []
    for path, content in (("archive", zipped({"a.jpg": photo})), ("table", b"photo\r\na.jpg\r\n")):
        headers = {"Content-Digest": digest_of(content)}
        assert partner.put(f"{batch}/{path}", content=content, headers=headers).status_code == 200


def cut_off(server: Server, partner: PartnerProgram, path: str, body: bytes, sent: int) -> None:
    """Send a part of a body and break the line, in one of the ways in which lines break."""
    head = (
        f"PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {partner.headers['authorization']}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + body[:sent])
        match sent % 3:
            case 0:  # with a reset, and what was on the way is gone
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case 1:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(0.2)
                    connection.recv(100)
            case _:
                time.sleep(0.02)


def test_a_hundred_broken_uploads_lose_nothing_and_double_nothing(
    batch_server: Server, partner: PartnerProgram, photo: bytes
) -> None:
    """Cut anywhere, behind the last byte too, many at a time, and sent again: each is there once, whole."""
    batch = partner.new_batch()
    photos = {f"folder {number % 7}/{number}.jpg": photo + secrets.token_bytes(64) for number in range(100)}

    def send(number: int, name: str) -> None:
        path, content = f"{batch}/photos/{quote(name)}", photos[name]
        cuts = (0, len(content) // 2, len(content) - 1, len(content), number * len(content) // 100)
        for cut in cuts[number % 5 :]:
            cut_off(batch_server, partner, path, content, cut)
        sent = partner.send_photo(batch, name, content, **{"Content-Digest": digest_of(content)})
        assert sent.status_code in {200, 201}, sent.text

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(send, *each) for each in enumerate(photos)]:
            done.result()
    assert sorted(names_in(partner, batch)) == sorted(photos)
    shown = partner.start(batch)
    assert (shown["received"], shown["done"], shown["failed"]) == (100, 100, 0)


def test_a_broken_upload_leaves_nothing(
    batch_server: Server, partner: PartnerProgram, batch: str, photo: bytes
) -> None:
    """No photo of a name whose bytes did not all come, and no memory that stays taken."""
    for number in range(6):
        cut_off(batch_server, partner, f"{batch}/photos/{number}.jpg", photo, len(photo) - 1 - number)
    batch_server.until_metric("ribbons_uploads_arriving", 0)
    batch_server.until_metric("ribbons_upload_held_bytes", 0)
    assert names_in(partner, batch) == []


# -- quotas ----------------------------------------------------------------


@pytest.fixture
def poor(batch_server: Server, batch_data: Path) -> Iterator[PartnerProgram]:
    """A partner who may send three photos a day."""
    with PartnerProgram(batch_server.url, new_partner_key(batch_data, photos_a_day=3)) as program:
        yield program


def test_every_answer_tells_what_is_left(poor: PartnerProgram, photo: bytes) -> None:
    """Also an error's: RateLimit-Policy and RateLimit, of the key that came with the request."""
    batch = poor.new_batch()
    for answer in (poor.get(batch), poor.get(f"{batch}x"), poor.post("/v1/batches", content=b"[")):
        assert answer.headers["ratelimit-policy"] == '"photos-a-day";q=3;w=86400'
        assert answer.headers["ratelimit"].startswith('"photos-a-day";r=3;t=')
    sent = poor.send_photo(batch, "a.jpg", photo)
    assert sent.headers["ratelimit"].startswith('"photos-a-day";r=2;t=')


def test_a_key_sends_so_many_photos_a_day(batch_server: Server, poor: PartnerProgram, photo: bytes) -> None:
    """Each counts once, however often it is sent or breaks off; then 429, and what is there goes on."""
    batch = poor.new_batch()
    cut_off(batch_server, poor, f"{batch}/photos/0.jpg", photo, 100)
    for name in ("0.jpg", "1.jpg", "1.jpg", "0.jpg", "2.jpg"):
        assert poor.send_photo(batch, name, photo).is_success
    refused = poor.send_photo(batch, "3.jpg", photo)
    assert code_of(refused, 429) == "quota_used_up"
    assert 0 < int(refused.headers["retry-after"]) <= 2 * 86_400
    assert refused.headers["ratelimit"].startswith('"photos-a-day";r=0;t=')
    assert poor.send_photo(batch, "2.jpg", photo).status_code == 200
    archive = poor.put(f"{batch}/archive", content=zipped({"4.jpg": photo}))
    assert code_of(archive, 429) == "quota_used_up"
    assert poor.start(batch)["done"] == 3


def test_an_archive_is_taken_whole_or_not_at_all_by_its_quota(poor: PartnerProgram, photo: bytes) -> None:
    """Of four photos none is taken where three may come, and three are."""
    batch = poor.new_batch()
    four = poor.put(f"{batch}/archive", content=zipped({f"{n}.jpg": photo for n in range(4)}))
    assert code_of(four, 429) == "quota_used_up"
    assert names_in(poor, batch) == []
    three = poor.put(f"{batch}/archive", content=zipped({f"{n}.jpg": photo for n in range(3)}))
    assert (three.status_code, three.json()["taken"]) == (200, 3)
    assert three.headers["ratelimit"].startswith('"photos-a-day";r=0;t=')


# -- archives --------------------------------------------------------------


def test_an_archive_is_taken_and_the_rest_is_named(partner: PartnerProgram, batch: str, photo: bytes) -> None:
    """What is no photo is skipped, what may not be is refused with its reason, in the reader's language."""
    content = zipped(
        {
            "a.jpg": photo,
            "folder/b.jpg": photo,
            "__MACOSX/._a.jpg": b"x",
            "Thumbs.db": b"x",
            "../out.jpg": photo,
            "large.jpg": bytes(MAX_PHOTO_BYTES + 1),
        }
    )
    answer = partner.put(f"{batch}/archive", content=content, headers={"Accept-Language": "fr"})
    assert answer.status_code == 200, answer.text
    receipt = answer.json()
    assert receipt["taken"] == 2
    assert (receipt["skipped_in_all"], receipt["refused_in_all"]) == (2, 2)
    assert sorted(receipt["skipped"]) == ["Thumbs.db", "__MACOSX/._a.jpg"]
    codes = {refusal["name"].split("/")[-1]: refusal["error"]["code"] for refusal in receipt["refused"]}
    assert codes == {"out.jpg": "invalid_name", "large.jpg": "photo_too_many_bytes"}
    english = partner.put(f"{batch}/archive", content=content).json()
    assert english["refused"][0]["error"]["detail"]
    # What has a name that may be kept fails in the end, and is in the report.
    assert sorted(names_in(partner, batch)) == ["a.jpg", "folder/b.jpg", "large.jpg"]


def test_an_archive_names_the_first_thousand(partner: PartnerProgram, batch: str, photo: bytes) -> None:
    """Of what it refused and of what it skipped; and it counts all. No answer becomes as large as a ZIP."""
    wrong = {f"../{number}.jpg": b"x" for number in range(MOST_TOLD + 2)}
    unseen = {f"__MACOSX/._{number}.jpg": b"x" for number in range(MOST_TOLD + 3)}
    answer = partner.put(f"{batch}/archive", content=zipped({"a.jpg": photo, **wrong, **unseen}))
    receipt = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert (receipt["taken"], receipt["refused_in_all"], receipt["skipped_in_all"]) == (
        1,
        MOST_TOLD + 2,
        MOST_TOLD + 3,
    )
    assert [refusal["name"] for refusal in receipt["refused"]] == list(wrong)[:MOST_TOLD]
    assert receipt["skipped"] == list(unseen)[:MOST_TOLD]


def test_an_archive_comes_as_a_stream(partner: PartnerProgram, batch: str, photo: bytes) -> None:
    """In chunks of no told length, however they are cut."""
    content = zipped({f"{number}.jpg": photo for number in range(20)})
    pieces = [content[at : at + 7001] for at in range(0, len(content), 7001)]
    answer = partner.put(f"{batch}/archive", content=iter(pieces))
    assert (answer.status_code, answer.json()["taken"]) == (200, 20)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 415, "archive_not_supported"),
        (b"no zip at all", 415, "archive_not_supported"),
        (zipped({"a.jpg": b"x"})[:-1], 422, "archive_damaged"),
    ],
    ids=["nothing", "text", "cut off"],
)
def test_what_is_no_archive_is_refused(
    partner: PartnerProgram, batch: str, content: bytes, status: int, code: str
) -> None:
    """And nothing of it is left."""
    assert code_of(partner.put(f"{batch}/archive", content=content), status) == code
    assert names_in(partner, batch) == []


def test_an_archive_that_is_too_large_is_refused(partner: PartnerProgram, batch: str) -> None:
    """From its headers, or when too much of it has come; and a packed one."""
    content = bytes(MAX_ARCHIVE_BYTES + 1)
    assert code_of(partner.put(f"{batch}/archive", content=content), 413) == "archive_too_large"
    in_chunks = partner.put(f"{batch}/archive", content=iter([content]))
    assert code_of(in_chunks, 413) == "archive_too_large"
    packed = partner.put(f"{batch}/archive", content=b"x", headers={"Content-Encoding": "br"})
    assert code_of(packed, 415) == "encoding_not_supported"


def stored_files(data: Path) -> int:
    """Return how many objects the store has."""
    return sum(path.is_file() for path in (data / "store").rglob("*"))


def test_a_broken_archive_leaves_nothing(
    batch_server: Server, batch_data: Path, partner: PartnerProgram, batch: str, photo: bytes
) -> None:
    """What had come of it is deleted, and its place is free."""
    content = zipped({f"{number}.jpg": bytes(100_000) for number in range(25)})
    before = stored_files(batch_data)
    for sent in (0, 1_000_000, 2_400_000, len(content) - 1):
        cut_off(batch_server, partner, f"{batch}/archive", content, sent)
    small = zipped({"a.jpg": photo})
    start = time.monotonic()
    while (answer := partner.put(f"{batch}/archive", content=small)).status_code == 429:
        assert time.monotonic() - start < 10
    assert answer.json()["taken"] == 1
    start = time.monotonic()
    while stored_files(batch_data) > before + 1:
        assert time.monotonic() - start < 10, "pieces of archives are left"
        time.sleep(0.05)
    assert names_in(partner, batch) == ["a.jpg"]


def test_a_partner_sends_two_archives_at_once(
    batch_server: Server, partner: PartnerProgram, other: PartnerProgram, batch: str, photo: bytes
) -> None:
    """A third one is refused while they come, with when to try again; another partner's is not."""
    content = zipped({"a.jpg": photo})
    with ExitStack() as held:
        for _ in range(2):
            connection = socket.create_connection(("127.0.0.1", batch_server.port))
            held.enter_context(connection)
            head = (
                f"PUT {batch}/archive HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
                f"Authorization: {partner.headers['authorization']}\r\nExpect: 100-continue\r\n\r\n"
            )
            connection.sendall(head.encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")  # it has its place
        refused = partner.put(f"{batch}/archive", content=content)
        assert code_of(refused, 429) == "too_many_at_once"
        assert int(refused.headers["retry-after"]) > 0
        others = other.new_batch()
        assert other.put(f"{others}/archive", content=content).status_code == 200
    start = time.monotonic()
    while partner.put(f"{batch}/archive", content=content).status_code != 200:
        assert time.monotonic() - start < 10


def test_a_body_that_stands_still_is_given_up(serve: Serve, tmp_path: Path, photo: bytes) -> None:
    """Photos have so many seconds; of an archive each MB has, so that a long one may take its time."""
    data = tmp_path / "data"
    with (
        serve(batches="true", data_folder=str(data), upload_timeout=1) as server,
        PartnerProgram(server.url, new_partner_key(data)) as program,
    ):
        batch = program.new_batch()

        def dripping(seconds: float, count: int) -> Iterator[bytes]:
            for _ in range(count):
                yield bytes(1 << 20)
                time.sleep(seconds)

        assert code_of(program.put(f"{batch}/archive", content=dripping(0.4, 5)), 415)
        for path in ("archive", "photos/a.jpg", "table"):
            still = program.put(f"{batch}/{path}", content=stalled(photo))
            assert code_of(still, 408) == "upload_timed_out"
        assert stored_files(data) == 0


def stalled(content: bytes) -> Iterator[bytes]:
    """Yield the half of a photo, and wait."""
    yield content[: len(content) // 2]
    time.sleep(2.5)


def test_a_batch_pushes_no_supporter_out(serve: Serve, tmp_path: Path, photo: bytes) -> None:
    """Whatever a partner has on the way is one party's: of its places a supporter's photo gets one."""
    data = tmp_path / "data"
    with (
        serve(batches="true", data_folder=str(data), max_uploads=4, deadline=60) as server,
        PartnerProgram(server.url, new_partner_key(data)) as program,
        ExitStack() as held,
    ):
        batch = program.new_batch()
        for number in range(4):
            connection = socket.create_connection(("127.0.0.1", server.port))
            held.enter_context(connection)
            head = (
                f"PUT {batch}/photos/{number}.jpg HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
                f"Authorization: {program.headers['authorization']}\r\n\r\n"
            )
            connection.sendall(head.encode() + photo)
        server.until_metric("ribbons_uploads_arriving", 4)
        refused = program.send_photo(batch, "4.jpg", photo)
        assert code_of(refused, 503) == "busy"
        made = httpx2.post(f"{server.url}/v1/avatars?size=64", content=photo, timeout=60)
        assert made.status_code == 200


# -- tables ----------------------------------------------------------------


def test_a_table_says_what_each_photo_shall_be(partner: PartnerProgram, batch: str, photo: bytes) -> None:
    """By the photo's name; its rows that are wrong are told, with line and reason, and the rest counts."""
    for name in ("a.jpg", "b.jpg"):
        partner.send_photo(batch, name, photo)
    table = "photo,size,id\r\na.jpg,64,1\r\nb.jpg,huge,2\r\nb.jpg,64,3\r\n"
    answer = partner.put(f"{batch}/table", content=table.encode())
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["rows"] == 3
    assert told["problems_in_all"] == len(told["problems"])
    assert {problem["line"] for problem in told["problems"]} >= {3}
    assert all(problem["photo"] == "b.jpg" and problem["error"]["code"] for problem in told["problems"])


def test_a_table_that_is_all_wrong_holds_nobody_up(serve: Serve, tmp_path: Path) -> None:
    """Of 30,000 wrong rows the first thousand are told, and how many there are; meanwhile others are served.

    To put all of them in words on the loop took more than a second, in which nobody had an answer.
    """
    rows = 30_000
    table = "photo,size\r\n" + "".join(f"{number}.jpg,huge\r\n" for number in range(rows))
    with (
        serve(batches="true", data_folder=str(tmp_path), deadline=60) as server,
        PartnerProgram(server.url, new_partner_key(tmp_path)) as partner,
        ThreadPoolExecutor(1) as thread,
        httpx2.Client(base_url=server.url) as supporter,
    ):
        batch = partner.new_batch()
        sent = thread.submit(partner.put, f"{batch}/table", content=table.encode())
        longest = 0.0
        while not sent.done():
            start = time.monotonic()
            assert supporter.get("/healthz").status_code == 200
            longest = max(longest, time.monotonic() - start)
        told = sent.result().json()
    assert (told["rows"], told["problems_in_all"]) == (rows, rows)
    assert [problem["line"] for problem in told["problems"]] == list(range(2, MOST_TOLD + 2))
    assert longest < HELD_SECONDS


def test_columns_are_named_by_a_mapping(partner: PartnerProgram, batch: str, photo: bytes) -> None:
    """In any script, and in a spreadsheet as in CSV."""
    partner.send_photo(batch, "a.jpg", photo)
    book = Workbook()
    sheet = book.create_sheet(index=0)
    for row in (("الملف", "شعار", "رقم"), ("a.jpg", "حرية", 7)):
        sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    params = {"column": ["photo=الملف", "slogan=شعار"]}
    answer = partner.put(f"{batch}/table", content=file.getvalue(), params=params)
    assert (answer.status_code, answer.json()) == (
        200,
        {"rows": 1, "problems": [], "problems_in_all": 0},
    )


@pytest.mark.parametrize(
    ("columns", "status", "code"),
    [
        (["colour=c"], 422, "invalid_spec"),
        (["photo"], 422, "invalid_spec"),
        (["photo=a", "photo=b"], 422, "invalid_spec"),
        ([f"c{number}=x" for number in range(40)], 422, "invalid_spec"),
        (["photo=nowhere"], 422, "table_not_readable"),
    ],
)
def test_a_mapping_that_maps_nothing_is_refused(
    partner: PartnerProgram, batch: str, columns: list[str], status: int, code: str
) -> None:
    """With what is wrong with it."""
    answer = partner.put(f"{batch}/table", content=b"photo\r\na.jpg\r\n", params={"column": columns})
    assert code_of(answer, status) == code


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"name\r\nx\r\n", b"photo,photo\r\na,b\r\n"])
def test_what_is_no_table_is_refused(partner: PartnerProgram, batch: str, content: bytes) -> None:
    """422, with the reason."""
    answer = partner.put(f"{batch}/table", content=content)
    assert code_of(answer, 422) == "table_not_readable"


def test_a_table_of_more_photos_than_a_batch_has_is_refused(partner: PartnerProgram, batch: str) -> None:
    """413."""
    rows = "".join(f"{number}.jpg\r\n" for number in range(MAX_BATCH_PHOTOS + 1))
    answer = partner.put(f"{batch}/table", content=f"photo\r\n{rows}".encode())
    assert code_of(answer, 413) == "table_too_large"


# -- another crop ----------------------------------------------------------


def test_a_photo_is_framed_anew(partner: PartnerProgram, photo: bytes) -> None:
    """Drawn again with what is asked for, and nothing else of the batch is."""
    batch = partner.new_batch()
    for name in ("a.jpg", "folder/b c.jpg"):
        partner.send_photo(batch, name, photo)
    partner.start(batch)
    before = partner.get(f"{batch}/avatars/folder/b%20c.jpg").content
    untouched = partner.get(f"{batch}/avatars/a.jpg").content
    answer = partner.post(
        f"{batch}/photos/folder/b%20c.jpg/framing", json={"x": 0.2, "y": 0.3, "zoom": 2, "flip": True}
    )
    assert (answer.status_code, answer.json()["name"]) == (202, "folder/b c.jpg")
    shown = partner.until_done(batch)
    assert shown["done"] == 2
    photos = {each["name"]: each for each in partner.get(f"{batch}/photos").json()["photos"]}
    assert photos["folder/b c.jpg"]["framing"] == {"kind": "given", "x": 0.2, "y": 0.3, "zoom": 2.0}
    assert partner.get(f"{batch}/avatars/folder/b%20c.jpg").content != before
    assert partner.get(f"{batch}/avatars/a.jpg").content == untouched


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({"x": 2}, {"x": "out_of_range"}),
        ({"x": "left", "zoom": 0}, {"x": "not_a_number", "zoom": "out_of_range"}),
        ({"size": 64, "y": None}, {"size": "unknown"}),
        ({"flip": []}, {"flip": "not_a_value"}),
    ],
)
def test_a_framing_that_is_wrong_is_refused(
    partner: PartnerProgram, done: str, body: dict[str, Any], wrong: dict[str, str]
) -> None:
    """Every field is named, and nothing is drawn."""
    answer = partner.post(f"{done}/photos/a.jpg/framing", json=body)
    assert code_of(answer, 422) == "invalid_spec"
    assert {fault["field"]: fault["code"] for fault in answer.json()["fields"]} == wrong
    assert partner.shown(done)["state"] == "done"


def test_a_photo_that_is_not_there_cannot_be_framed(
    partner: PartnerProgram, done: str, batch: str, photo: bytes
) -> None:
    """404; and 409 for one that was not drawn yet."""
    answer = partner.post(f"{done}/photos/nobody.jpg/framing", json={"x": 0.5})
    assert code_of(answer, 404) == "batch_photo_not_found"
    partner.send_photo(batch, "a.jpg", photo)
    answer = partner.post(f"{batch}/photos/a.jpg/framing", json={"x": 0.5})
    assert code_of(answer, 409) == "batch_not_done"
