from __future__ import annotations

import csv
import io
import random
import socket
import time
import zipfile
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx2
import pytest
from PIL import Image

from app.web.batch_desk import DOWNLOADS_EACH
from tests.web.api.batches.test_sending import code_of

if TYPE_CHECKING:
    from tests.partners import PartnerProgram
    from tests.servers import Server

AVATARS = {"a.jpg", "staff/Abu Ali.jpg", "staff/هدى.jpg", "b.jpg", "c.jpg"}


@pytest.fixture(scope="session")
def archive(partner: PartnerProgram, done: str) -> bytes:
    """All avatars of the batch that is done."""
    return partner.get(f"{done}/avatars.zip").content


# -- all avatars -----------------------------------------------------------


def test_all_avatars_come_in_a_zip(partner: PartnerProgram, done: str) -> None:
    """Under the photos' names; its length is told, and the batch's own name is the file's."""
    answer = partner.get(f"{done}/avatars.zip")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "private, no-store"
    assert "filename*=UTF-8''%D9%81" in answer.headers["content-disposition"]
    assert answer.headers["etag"].startswith('"')
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        assert found.testzip() is None
        assert set(found.namelist()) == AVATARS
        for name in AVATARS:
            assert found.read(name) == partner.get(f"{done}/avatars/{name}").content


def test_any_part_of_it_is_what_lies_there(partner: PartnerProgram, done: str, archive: bytes) -> None:
    """Of any place and length, as a download that goes on asks for it."""
    chance = random.Random(7)  # noqa: S311 - the same in every run
    length = len(archive)
    ranges = [(0, 0), (0, length - 1), (length - 1, length - 1), (length // 2, length + 1000)]
    ends = [sorted(chance.sample(range(length), 2)) for _ in range(30)]
    ranges += [(first, last) for first, last in ends]
    for first, last in ranges:
        answer = partner.get(f"{done}/avatars.zip", headers={"Range": f"bytes={first}-{last}"})
        last_there = min(last, length - 1)
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {first}-{last_there}/{length}"
        assert int(answer.headers["content-length"]) == last_there - first + 1
        assert answer.content == archive[first : last_there + 1]
    for asked, part in (
        (f"bytes={length - 5}-", archive[-5:]),
        ("bytes=-5", archive[-5:]),
        (f"bytes=-{length * 2}", archive),
        ("BYTES = 3 - 4", archive[3:5]),
    ):
        answer = partner.get(f"{done}/avatars.zip", headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, part)


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,4-5", "bytes=5-4", "bytes=-", "items=0-1", "bytes=a-b", "x", ""]
)
def test_what_is_no_range_gets_all_of_it(
    partner: PartnerProgram, done: str, archive: bytes, asked: str
) -> None:
    """As HTTP has it; several ranges at once do, too."""
    answer = partner.get(f"{done}/avatars.zip", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, archive)


def test_a_part_behind_the_end_is_none(partner: PartnerProgram, done: str, archive: bytes) -> None:
    """416, and how long it is: whoever has all of it knows that it has."""
    for asked in (f"bytes={len(archive)}-", "bytes=999999999999-", "bytes=-0"):
        answer = partner.get(f"{done}/avatars.zip", headers={"Range": asked})
        assert code_of(answer, 416) == "range_not_satisfiable"
        assert answer.headers["content-range"] == f"bytes */{len(archive)}"


def test_a_download_goes_on_only_with_the_same(partner: PartnerProgram, done: str, archive: bytes) -> None:
    """If-Range: with another ETag all of it comes, so that nobody puts halves of two together."""
    tag = partner.head(f"{done}/avatars.zip").headers["etag"]
    headers = {"Range": "bytes=10-", "If-Range": tag}
    assert partner.get(f"{done}/avatars.zip", headers=headers).status_code == 206
    for other in ('"other"', f"W/{tag}", "Thu, 26 Nov 2026 10:00:00 GMT"):
        answer = partner.get(f"{done}/avatars.zip", headers={**headers, "If-Range": other})
        assert (answer.status_code, answer.content) == (200, archive)


def test_who_has_it_need_not_load_it_again(partner: PartnerProgram, done: str) -> None:
    """If-None-Match: 304."""
    tag = partner.head(f"{done}/avatars.zip").headers["etag"]
    for condition, status in ((tag, 304), (f'"x", {tag}', 304), ("*", 304), ('"x"', 200)):
        answer = partner.get(f"{done}/avatars.zip", headers={"If-None-Match": condition})
        assert answer.status_code == status
        assert answer.headers["etag"] == tag


def test_another_crop_makes_it_another_file(partner: PartnerProgram, photo: bytes) -> None:
    """With another ETag."""
    batch = partner.new_batch()
    partner.send_photo(batch, "a.jpg", photo)
    partner.start(batch)
    before = partner.head(f"{batch}/avatars.zip").headers["etag"]
    partner.post(f"{batch}/photos/a.jpg/framing", json={"zoom": 2})
    partner.until_done(batch)
    assert partner.head(f"{batch}/avatars.zip").headers["etag"] != before


def test_a_head_tells_what_would_come(partner: PartnerProgram, done: str, archive: bytes) -> None:
    """Without reading any of it."""
    answer = partner.head(f"{done}/avatars.zip")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len(archive)


def noise(side: int) -> bytes:
    """A photo of which a large avatar becomes a large file."""
    file = io.BytesIO()
    Image.merge("RGB", [Image.effect_noise((side, side), 128) for _ in range(3)]).save(file, "JPEG")
    return file.getvalue()


def test_a_partner_takes_a_few_home_at_once(
    batch_server: Server, partner: PartnerProgram, other: PartnerProgram, done: str
) -> None:
    """One more is refused, with when to try again; another partner's is not, and who leaves makes room."""
    large = partner.new_batch(spec={"size": 2048, "format": "png", "faces": "off"})
    assert partner.send_photo(large, "a.jpg", noise(400)).status_code == 201
    assert partner.send_photo(large, "b.jpg", noise(400)).status_code == 201
    partner.start(large)
    # Not by HEAD: what is read ahead of its answer's end keeps its place for a moment more.
    first = partner.get(f"{large}/avatars.zip", headers={"Range": "bytes=0-0"})
    assert int(first.headers["content-range"].rpartition("/")[2]) > 8_000_000
    with ExitStack() as held:
        for _ in range(DOWNLOADS_EACH):
            connection = held.enter_context(socket.socket())
            # What the systems between take in would else be all of it.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", batch_server.port))
            head = (
                f"GET {large}/avatars.zip HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: {partner.headers['authorization']}\r\n\r\n"
            )
            connection.sendall(head.encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
        refused = partner.get(f"{done}/avatars.zip")
        assert code_of(refused, 429) == "too_many_at_once"
        assert int(refused.headers["retry-after"]) > 0
        # Nor does a browser get an address that would show it a problem in the page's place.
        address = partner.post(f"{done}/downloads", json={"file": "avatars.zip"})
        assert code_of(address, 429) == "too_many_at_once"
        assert partner.post(f"{done}/downloads", json={"file": "report.csv"}).status_code == 201
        others = other.new_batch()
        other.post(f"{others}/start?without_missing=true")
        other.until_done(others)
        assert other.get(f"{others}/avatars.zip").status_code == 200
        assert partner.get(f"{done}/report.csv").status_code == 200
    start = time.monotonic()
    while partner.get(f"{done}/avatars.zip").status_code != 200:
        assert time.monotonic() - start < 10
        time.sleep(0.05)


def test_no_place_is_kept_of_what_is_over(partner: PartnerProgram, done: str, archive: bytes) -> None:
    """Neither by one that has come whole, nor by one that was answered with no bytes or refused."""
    tag = partner.head(f"{done}/avatars.zip").headers["etag"]
    asked: list[tuple[dict[str, str], int]] = [
        ({}, 200),
        ({"If-None-Match": tag}, 304),
        ({"Range": f"bytes={len(archive)}-"}, 416),
    ]
    for _ in range(DOWNLOADS_EACH + 1):
        for headers, status in asked:
            assert partner.get(f"{done}/avatars.zip", headers=headers).status_code == status


def test_what_is_not_done_is_not_handed_over(partner: PartnerProgram, batch: str, photo: bytes) -> None:
    """409, and when to ask again."""
    partner.send_photo(batch, "a.jpg", photo)
    for path in ("avatars.zip", "contact-sheet.webp"):
        answer = partner.get(f"{batch}/{path}")
        assert code_of(answer, 409) == "batch_not_done"
        assert int(answer.headers["retry-after"]) > 0
    asked = partner.post(f"{batch}/downloads", json={"file": "avatars.zip"})
    assert code_of(asked, 409) == "batch_not_done"


# -- the report ------------------------------------------------------------


def rows_of(answer: httpx2.Response) -> list[dict[str, str]]:
    """Return the rows of a report."""
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_the_report_has_a_row_for_each_photo(partner: PartnerProgram, done: str) -> None:
    """Each once, with what became of it, in the language that was asked for."""
    answer = partner.get(f"{done}/report.csv", headers={"Accept-Language": "ar"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-language"] == "ar"
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["content-disposition"].startswith("attachment")
    rows = {row["photo"]: row for row in rows_of(answer)}
    assert rows.keys() == AVATARS | {"notes.txt"}
    assert rows["notes.txt"]["error"] == "photo_not_supported"
    english = {row["photo"]: row for row in rows_of(partner.get(f"{done}/report.csv"))}
    assert english["notes.txt"]["error_text"] != rows["notes.txt"]["error_text"] != ""


def test_the_report_keeps_a_tables_own_columns(partner: PartnerProgram, photo: bytes) -> None:
    """So that a directory's own number of a person survives; and what is missing has a row, too."""
    batch = partner.new_batch()
    partner.send_photo(batch, "a.jpg", photo)
    partner.put(f"{batch}/table", content="photo,رقم\r\na.jpg,=1+1\r\nb.jpg,7\r\n".encode())
    partner.post(f"{batch}/start?without_missing=true")
    partner.until_done(batch)
    rows = {row["photo"]: row for row in rows_of(partner.get(f"{batch}/report.csv"))}
    assert (rows["a.jpg"]["رقم"], rows["a.jpg"]["outcome"]) == ("'=1+1", "made")
    assert (rows["b.jpg"]["رقم"], rows["b.jpg"]["outcome"]) == ("7", "missing")


def test_a_report_may_be_had_at_any_time(partner: PartnerProgram, batch: str, photo: bytes) -> None:
    """Before the start, too."""
    assert partner.get(f"{batch}/report.csv").status_code == 200
    partner.send_photo(batch, "a.jpg", photo)
    (row,) = rows_of(partner.get(f"{batch}/report.csv"))
    assert row["photo"] == "a.jpg"


# -- pictures --------------------------------------------------------------


def picture(answer: httpx2.Response, kind: str) -> Image.Image:
    """Return the picture that an answer is."""
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "private, no-store"
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    assert (image.format, answer.headers["content-type"]) == (kind, f"image/{kind.lower()}")
    return image


def test_avatars_come_one_by_one(partner: PartnerProgram, done: str) -> None:
    """By the photo's name: whole, and small."""
    for name in AVATARS:
        assert picture(partner.get(f"{done}/avatars/{name}"), "JPEG").size == (64, 64)
        assert picture(partner.get(f"{done}/thumbnails/{name}"), "JPEG").size == (160, 160)


def test_a_contact_sheet_shows_all(partner: PartnerProgram, done: str) -> None:
    """On one picture, to be looked at."""
    answer = partner.get(f"{done}/contact-sheet.webp")
    assert answer.headers["content-disposition"].startswith("inline")
    assert min(picture(answer, "WEBP").size) > 100


@pytest.mark.parametrize("name", ["notes.txt", "nobody.jpg", "", "%00", "%ff"])
@pytest.mark.parametrize("kind", ["avatars", "thumbnails"])
def test_what_is_not_there_is_not_found(partner: PartnerProgram, done: str, kind: str, name: str) -> None:
    """A photo of which none could be made, one that was never sent, and what is no name at all."""
    answer = partner.get(f"{done}/{kind}/{name}")
    assert answer.status_code in {404, 422}
    assert answer.json()["code"] in {"batch_photo_not_found", "invalid_name"}


# -- addresses for browsers ------------------------------------------------


def test_a_browser_saves_from_an_address(
    batch_server: Server, partner: PartnerProgram, done: str, archive: bytes
) -> None:
    """Without a key, and in parts, for as long as it is said; and no cache keeps it."""
    made = partner.post(f"{done}/downloads", json={"file": "avatars.zip"})
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    assert datetime.fromisoformat(made.json()["expires"]) > datetime.now(UTC)
    url = batch_server.url + made.json()["url"]
    answer = httpx2.get(url, timeout=30)
    assert (answer.status_code, answer.content) == (200, archive)
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["x-robots-tag"] == "noindex"
    part = httpx2.get(url, headers={"Range": "bytes=10-19"}, timeout=30)
    assert (part.status_code, part.content) == (206, archive[10:20])
    assert httpx2.head(url, timeout=30).headers["content-length"] == str(len(archive))


def test_an_address_keeps_its_language(batch_server: Server, partner: PartnerProgram, done: str) -> None:
    """A browser that is led there asks in the language of its own windows."""
    headers = {"Accept-Language": "ar"}
    made = partner.post(f"{done}/downloads", json={"file": "report.csv"}, headers=headers).json()
    answer = httpx2.get(batch_server.url + made["url"], headers={"Accept-Language": "fr"}, timeout=30)
    assert (answer.status_code, answer.headers["content-language"]) == (200, "ar")


def test_an_address_is_good_for_one_file_of_one_batch(
    batch_server: Server, partner: PartnerProgram, done: str, photo: bytes
) -> None:
    """Not for another file, another batch or anything else; changed it is good for nothing."""
    made = partner.post(f"{done}/downloads", json={"file": "report.csv"}).json()
    token = made["url"].partition("token=")[2]
    another = partner.new_batch()
    partner.send_photo(another, "a.jpg", photo)
    for path in (
        f"{done}/avatars.zip?token={token}",
        f"{another}/report.csv?token={token}",
        f"{done}/report.csv?token={token[:-2]}",
        f"{done}/report.csv?token=",
        f"{done}/report.csv?token=%C3%BC",
        f"{done}/report.csv?token={'A' * 3000}",
    ):
        answer = httpx2.get(batch_server.url + path, timeout=30)
        assert code_of(answer, 401) == "key_not_known"
    for path in ("", "/photos", "/contact-sheet.webp", "/avatars/a.jpg"):
        answer = httpx2.get(f"{batch_server.url}{done}{path}?token={token}", timeout=30)
        assert code_of(answer, 401) == "key_missing"


def test_an_address_ends_with_its_batch(batch_server: Server, partner: PartnerProgram) -> None:
    """404, once it is erased."""
    batch = partner.new_batch()
    url = batch_server.url + partner.post(f"{batch}/downloads", json={"file": "report.csv"}).json()["url"]
    assert httpx2.get(url, timeout=30).status_code == 200
    partner.delete(batch)
    assert code_of(httpx2.get(url, timeout=30), 404) == "batch_not_found"


@pytest.mark.parametrize("file", ["photos", "", None, "avatars.zip.exe", ["report.csv"]])
def test_there_are_two_such_files(partner: PartnerProgram, done: str, file: object) -> None:
    """422 for any other."""
    answer = partner.post(f"{done}/downloads", json={"file": file})
    assert code_of(answer, 422) == "invalid_spec"
    assert answer.json()["fields"][0]["field"] == "file"
