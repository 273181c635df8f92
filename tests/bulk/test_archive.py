from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import time
import tracemalloc
import unicodedata
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bulk.archive import Archive, ArchiveLimits, Entry, open_archive
from app.errors import (
    ArchiveDamaged,
    ArchiveNotSupported,
    ArchiveTooLarge,
    EntryNotSupported,
    InvalidName,
    NameRepeated,
    PhotoDamaged,
    PhotoNotSupported,
    PhotoTooManyBytes,
    RibbonsError,
)
from tests.zips import (
    MACOS,
    PHOTO,
    UNIX,
    UTF8_FLAG,
    WINDOWS,
    Zip,
    Zipped,
    deflated,
    descriptor,
    directory_record,
    end_record,
    extra,
    local_record,
    small_zip,
    unicode_path,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMITS = ArchiveLimits()
MB = 1_000_000
ROOT = Path(__file__).parent.parent.parent

GOOD = Zipped(b"good.jpg")
LARGE = PHOTO + random.Random(1).randbytes(300_000)  # noqa: S311 - noise, no secret


def opened(content: bytes, limits: ArchiveLimits = LIMITS) -> Archive:
    """Open a ZIP that is in memory."""
    return open_archive(io.BytesIO(content), limits)


def fate(entry: Entry, archive: Archive) -> object:
    """Return what an entry holds, or the kind of error that it comes to."""
    try:
        return archive.read(entry)
    except RibbonsError as error:
        return type(error)


def fates(content: bytes, limits: ArchiveLimits = LIMITS) -> dict[str, object]:
    """Return what became of each entry."""
    archive = opened(content, limits)
    return {entry.name: fate(entry, archive) for entry in archive.entries}


def names(*entries: Zipped) -> list[str]:
    """Return the names of a ZIP's entries."""
    return [entry.name for entry in opened(small_zip(*entries)).entries]


def written_by_python(method: int) -> bytes:
    """Return a ZIP as Python writes it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("people/", b"")
        archive.writestr("people/ahmad.jpg", LARGE)
        archive.writestr("people/سلمى.jpg", PHOTO)
    return file.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_photos_come_out_as_they_went_in(method: int) -> None:
    """Stored or deflated, with their folders in their names; folders themselves are no entries."""
    assert fates(written_by_python(method)) == {"people/ahmad.jpg": LARGE, "people/سلمى.jpg": PHOTO}


def test_entries_come_in_the_order_in_which_they_lie() -> None:
    """Whatever the order of the directory: so the file is read from its beginning to its end."""
    first, second = Zipped(b"z.jpg"), Zipped(b"a.jpg")
    body = local_record(first) + local_record(second)
    directory = directory_record(second, len(local_record(first))) + directory_record(first, 0)
    archive = opened(body + directory + end_record(2, len(directory), len(body)))
    assert [entry.name for entry in archive.entries] == ["z.jpg", "a.jpg"]
    assert [archive.read(entry) for entry in archive.entries] == [PHOTO, PHOTO]


def test_an_empty_zip_has_no_photos() -> None:
    """It is a ZIP, and nothing is wrong with it."""
    assert not opened(Zip().build()).entries


def test_an_empty_photo_has_no_bytes() -> None:
    """What that means, is told where photos are drawn."""
    assert fates(small_zip(Zipped(b"a.jpg", b""), Zipped(b"b.jpg", b"", method=8))) == {
        "a.jpg": b"",
        "b.jpg": b"",
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"P",
        PHOTO * 10,
        b"Rar!\x1a\x07\x01\x00" + bytes(100),
        b"7z\xbc\xaf\x27\x1c" + bytes(100),
        b"\x1f\x8b\x08" + bytes(100),
        bytes(100_000),
        b"PK\x05\x06" + bytes(17),
    ],
    ids=["nothing", "a-byte", "a-photo", "rar", "7z", "gzip", "zeros", "half-an-end"],
)
def test_what_is_no_zip_is_told_as_such(content: bytes) -> None:
    """Another archive, a photo, or nothing at all."""
    with pytest.raises(ArchiveNotSupported):
        opened(content)


def test_a_zip_without_its_end_is_damaged() -> None:
    """Wherever it was cut, except that its end alone makes an empty one."""
    content = small_zip(GOOD, Zipped(b"more.jpg", LARGE))
    for length in (10, 100, len(content) // 2, len(content) - 23, len(content) - 1):
        with pytest.raises(ArchiveDamaged):
            opened(content[:length])


def test_a_zip_without_its_beginning_is_damaged() -> None:
    """Its directory begins before the file does."""
    content = small_zip(GOOD, GOOD)
    with pytest.raises(ArchiveDamaged):
        opened(content[30:])


# -- names -------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../evil.jpg", "a/../../evil.jpg", "/etc/evil.jpg", "C:/evil.jpg", "c:evil.jpg"]
)
@pytest.mark.parametrize("system", [UNIX, WINDOWS])
def test_a_name_that_leads_elsewhere_is_refused(name: str, system: int) -> None:
    """Upwards, to the root, or to another drive; its neighbours are read."""
    hostile = Zipped(name.encode(), system=system)
    assert fates(small_zip(hostile, GOOD)) == {name: InvalidName, "good.jpg": PHOTO}


@pytest.mark.parametrize(
    "name", ["..\\evil.jpg", "a\\..\\..\\evil.jpg", "\\\\host\\evil.jpg", "C:\\evil.jpg"]
)
@pytest.mark.parametrize("system", [UNIX, WINDOWS])
def test_so_is_one_that_does_on_windows_only(name: str, system: int) -> None:
    """Whichever system wrote it."""
    archive = opened(small_zip(Zipped(name.encode(), system=system), GOOD))
    assert [type(entry.refusal) for entry in archive.entries] == [InvalidName, type(None)]


@pytest.mark.parametrize(
    "name", [b"", b"a\0.jpg", b"a\n.jpg", b"\x7f", b"a/" + b"x" * 300 + b".jpg", b"./", b"/"]
)
def test_a_name_that_nothing_can_keep_is_refused(name: bytes) -> None:
    """Empty, with control characters, or too long; what is shown of it is one short line."""
    archive = opened(small_zip(Zipped(name), GOOD))
    refused = archive.entries[0]
    assert isinstance(refused.refusal, InvalidName)
    assert len(refused.name) <= 200
    assert refused.name.isprintable()
    assert archive.read(archive.entries[1]) == PHOTO


def test_a_name_of_64_kb_is_refused() -> None:
    """And the names beside it are still read as what they are."""
    long = Zipped(b"\xd8" * 65_535)
    assert names(long, Zipped("صورة.jpg".encode()))[1] == "صورة.jpg"
    assert isinstance(opened(small_zip(long)).entries[0].refusal, InvalidName)


def test_windows_folders_are_folders() -> None:
    r"""A ``\`` of Windows divides them; of another system it belongs to the name."""
    assert names(Zipped(b"team\\a.jpg", system=WINDOWS)) == ["team/a.jpg"]
    assert names(Zipped(b"team\\a.jpg", system=UNIX)) == ["team\\a.jpg"]


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Hélène Müller.jpg".encode("cp437"), "Hélène Müller.jpg"),
        ("Zoë Ñandú.jpg".encode("cp437"), "Zoë Ñandú.jpg"),
        ("الحرية للأسرى.jpg".encode("cp1256"), "الحرية للأسرى.jpg"),
        ("صورة أحمد-1.jpg".encode("cp720"), "صورة أحمد-1.jpg"),
        ("Jörg Größe.jpg".encode("cp1252"), "Jörg Größe.jpg"),
        ("سلمى.jpg".encode(), "سلمى.jpg"),
        (unicodedata.normalize("NFD", "Zoë.jpg").encode(), unicodedata.normalize("NFD", "Zoë.jpg")),
    ],
    ids=["cp437", "cp437-2", "cp1256", "cp720", "cp1252", "utf-8", "utf-8-nfd"],
)
def test_names_without_a_flag_are_read_in_their_encoding(raw: bytes, name: str) -> None:
    """That of old programs, in Latin and Arabic; or UTF-8, as macOS writes it."""
    assert names(Zipped(raw, system=WINDOWS)) == [name]


def test_one_name_tells_the_encoding_of_all() -> None:
    """A ZIP is written by one program: what is short is read as the longer ones are."""
    raw = [name.encode("cp1256") for name in ("الحرية.jpg", "ع.jpg", "صور/محمد.jpg")]
    assert names(*map(Zipped, raw)) == ["الحرية.jpg", "ع.jpg", "صور/محمد.jpg"]


def test_the_flag_says_utf_8() -> None:
    """Beside names in another encoding; where it says so wrongly, it is guessed as they are."""
    flagged = Zipped("سلمى.jpg".encode(), flags=UTF8_FLAG)
    lying = Zipped("محمود.jpg".encode("cp1256"), flags=UTF8_FLAG)
    assert names(flagged, lying) == ["سلمى.jpg", "محمود.jpg"]


def test_the_unicode_path_says_the_name() -> None:
    """Info-ZIP's field wins over the old name that it belongs to, and only over that."""
    raw = b"____.jpg"
    right = Zipped(raw, extra=extra(0x5455, b"\x01abcd") + unicode_path(raw, "سلمى.jpg"))
    stale = Zipped(b"renamed.jpg", extra=unicode_path(raw, "سلمى.jpg"))
    hostile = Zipped(b"x.jpg", extra=unicode_path(b"x.jpg", "../x.jpg"))
    archive = opened(small_zip(right, stale, hostile))
    assert [entry.name for entry in archive.entries] == ["سلمى.jpg", "renamed.jpg", "../x.jpg"]
    assert isinstance(archive.entries[2].refusal, InvalidName)


@pytest.mark.parametrize("torn", [b"\x01", b"\x75\x70\xff\xff\x01", b"\x01\x00\x10\x00" + bytes(3), bytes(5)])
def test_a_torn_extra_field_is_left_out(torn: bytes) -> None:
    """It says nothing, and the photo is read."""
    assert fates(small_zip(Zipped(b"a.jpg", extra=torn, local_extra=torn))) == {"a.jpg": PHOTO}


def test_of_one_name_the_first_photo_counts() -> None:
    """Also where it is spelled in two ways (NFC, NFD); the second one is told."""
    composed, apart = (unicodedata.normalize(form, "Zoë.jpg") for form in ("NFC", "NFD"))
    other = PHOTO + b"2"
    content = small_zip(
        *(Zipped(n.encode(), c) for n, c in ((composed, PHOTO), (apart, other), ("ZOË.jpg", other)))
    )
    archive = opened(content)
    assert [fate(entry, archive) for entry in archive.entries] == [PHOTO, NameRepeated, other]


# -- what is no photo ----------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "__MACOSX/._a.jpg",
        "._a.jpg",
        "people/.DS_Store",
        "Thumbs.db",
        "a/desktop.ini",
        ".hidden/a.jpg",
        "@eaDir/a.jpg",
    ],
)
def test_what_systems_lay_beside_photos_is_skipped(name: str) -> None:
    """It is no error, it is said, and it is not read."""
    archive = opened(small_zip(Zipped(name.encode()), GOOD))
    skipped, good = archive.entries
    assert (skipped.name, skipped.skipped, skipped.refusal) == (name, True, None)
    assert fate(skipped, archive) is PhotoNotSupported
    assert not good.skipped


@pytest.mark.parametrize("kind", [0o120000, 0o060000, 0o020000, 0o010000, 0o140000, 0o040000])
@pytest.mark.parametrize("system", [UNIX, MACOS])
def test_links_and_devices_are_no_photos(kind: int, system: int) -> None:
    """Nor are pipes, sockets, and folders that hold something; whatever they hold is not read."""
    special = Zipped(b"link.jpg", system=system, attributes=(kind | 0o777) << 16)
    archive = opened(small_zip(special, GOOD))
    assert isinstance(archive.entries[0].refusal, PhotoNotSupported)
    assert fate(archive.entries[0], archive) is PhotoNotSupported
    assert archive.read(archive.entries[1]) == PHOTO


def test_only_unix_has_unix_modes() -> None:
    """What another system wrote there means something else."""
    assert fates(small_zip(Zipped(b"a.jpg", system=WINDOWS, attributes=0o120777 << 16))) == {"a.jpg": PHOTO}


def test_folders_are_no_entries() -> None:
    """By their names, or by Windows' attribute; what has something in it is no folder."""
    marked = Zipped(b"folder", b"", system=WINDOWS, attributes=0x10)
    assert names(Zipped(b"a/", b""), marked) == []
    assert fates(small_zip(Zipped(b"a/"))) == {"a": PhotoNotSupported}


@pytest.mark.parametrize("name", ["more.zip", "photo.jpg"])
@pytest.mark.parametrize("method", [0, 8])
def test_a_zip_inside_is_not_opened(name: str, method: int) -> None:
    """It is no photo, whatever it is called."""
    inner = small_zip(*(Zipped(b"%d.jpg" % number) for number in range(1000)))
    content = small_zip(Zipped(name.encode(), inner, method=method), GOOD)
    assert fates(content) == {name: PhotoNotSupported, "good.jpg": PHOTO}


@pytest.mark.parametrize("flags", [1, 1 | 1 << 6, 1 << 13])
def test_an_encrypted_photo_is_refused(flags: int) -> None:
    """By the old way, by a strong one, or with its record masked."""
    assert fates(small_zip(Zipped(b"a.jpg", flags=flags), GOOD)) == {
        "a.jpg": EntryNotSupported,
        "good.jpg": PHOTO,
    }


@pytest.mark.parametrize("method", [1, 6, 9, 12, 14, 93, 95, 98, 99, 65_535])
def test_other_methods_are_refused(method: int) -> None:
    """Among them 99, which is AES, and those whose unpackers take as much memory as a file asks for."""
    content = small_zip(Zipped(b"a.jpg", method=method), GOOD)
    assert fates(content) == {"a.jpg": EntryNotSupported, "good.jpg": PHOTO}


# -- lies ------------------------------------------------------------------------


@pytest.mark.parametrize("method", [0, 8])
@pytest.mark.parametrize(
    "lie",
    [
        {"crc": 1},
        {"size": len(PHOTO) - 1},
        {"size": len(PHOTO) + 1},
        {"size": 0},
        {"packed": 5},
    ],
    ids=["crc", "smaller", "larger", "nothing", "cut"],
)
def test_an_entry_that_lies_loses_only_itself(method: int, lie: dict[str, int]) -> None:
    """About its checksum, or what it holds."""
    liar = Zipped(b"liar.jpg", method=method, **lie)  # type: ignore[arg-type]
    assert fates(small_zip(GOOD, liar, Zipped(b"last.jpg"))) == {
        "good.jpg": PHOTO,
        "liar.jpg": ArchiveDamaged,
        "last.jpg": PHOTO,
    }


@pytest.mark.parametrize(
    "data",
    [
        deflated(PHOTO)[:-2],
        deflated(PHOTO) + b"more",
        b"\xff" * 20,
        b"\x06" + bytes(30),
        deflated(PHOTO + b"more"),
        b"\x00\x00\x00\xff\xff" * 10_000,
    ],
    ids=["cut", "more-behind", "no-deflate", "bad-block", "more-inside", "empty-blocks"],
)
def test_bad_deflate_loses_only_its_entry(data: bytes) -> None:
    """Cut, followed by something, or never deflated at all."""
    bad = Zipped(b"bad.jpg", method=8, data=data)
    assert fates(small_zip(bad, GOOD)) == {"bad.jpg": ArchiveDamaged, "good.jpg": PHOTO}


def test_an_entrys_own_header_may_say_nothing_else() -> None:
    """Another method, or encryption, or no header at all: programs would not agree on what it holds."""
    entries = (GOOD, Zipped(b"other.jpg"))
    content = bytearray(small_zip(*entries))
    place = len(local_record(GOOD))
    for at, value in ((place + 8, 8), (place + 6, 1), (place, 0)):
        changed = bytearray(content)
        changed[at] = value
        assert fates(bytes(changed)) == {"good.jpg": PHOTO, "other.jpg": ArchiveDamaged}


def test_an_entrys_own_header_may_not_reach_into_the_next() -> None:
    """Its name and extra field are not counted in the directory, so that bytes could be shared there."""
    content = bytearray(small_zip(GOOD, Zipped(b"next.jpg")))
    content[28:30] = struct.pack("<H", 1)
    assert fates(bytes(content)) == {"good.jpg": ArchiveDamaged, "next.jpg": PHOTO}


@pytest.mark.parametrize("offset", [0xFFFFFFFE, 500, 10_000])
def test_an_entry_that_lies_nowhere_loses_only_itself(offset: int) -> None:
    """Behind the file's end, or in the directory."""
    assert fates(small_zip(GOOD, Zipped(b"away.jpg", offset=offset))) == {
        "good.jpg": PHOTO,
        "away.jpg": ArchiveDamaged,
    }


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("method", [0, 8])
def test_sizes_may_stand_behind_the_content(method: int, *, signed: bool) -> None:
    """As programs write that cannot go back (data descriptors), with their signature or without."""
    streamed = descriptor(Zipped(b"a.jpg", LARGE, method=method), signed=signed)
    assert fates(small_zip(streamed, GOOD)) == {"a.jpg": LARGE, "good.jpg": PHOTO}


# -- the end record ----------------------------------------------------------------


@pytest.mark.parametrize(
    "lie",
    [
        {"count": 0},
        {"count": 1},
        {"count": 3},
        {"count": 65_535},
        {"size": 0},
        {"size": 10},
        {"size": 0xFFFFFFFF},
        {"offset": 0xFFFFFFFF},
        {"offset": 100_000},
        {"disk": 1},
    ],
    ids=str,
)
def test_an_end_record_that_lies_refuses_the_zip(lie: dict[str, int]) -> None:
    """About its entries, its directory, or that it is one of several files."""
    with pytest.raises((ArchiveDamaged, ArchiveTooLarge)):
        opened(Zip((GOOD, Zipped(b"b.jpg")), **lie).build())  # type: ignore[arg-type]


def test_a_comment_is_a_comment() -> None:
    """Of any length, and with what looks like records in it."""
    for comment in (
        b"made by hand",
        b"x" * 65_535,
        b"PK\x05\x06 and PK\x01\x02",
        end_record(9, 9, 9)[:-2] + b"\xff\xff",
    ):
        assert fates(Zip((GOOD,), comment=comment).build()) == {"good.jpg": PHOTO}


def test_two_end_records_refuse_the_zip() -> None:
    """One in the other's comment: programs would not agree on which photos are in it."""
    inner = small_zip(Zipped(b"other.jpg"))
    with pytest.raises(ArchiveDamaged):
        opened(Zip((GOOD,), comment=inner).build())
    with pytest.raises(ArchiveDamaged):
        opened(Zip((GOOD,), comment=end_record(0, 0, 0)).build())


@pytest.mark.parametrize("counts_from", [0, 5000], ids=["from-the-file", "from-the-zip"])
@pytest.mark.parametrize("wide", [True, False])
def test_bytes_before_the_zip_are_no_part_of_it(counts_from: int, *, wide: bool) -> None:
    """As of one that unpacks itself, whichever way its offsets count."""
    program = b"MZ" + bytes(4998)
    content = Zip((GOOD, Zipped(b"b.jpg", LARGE)), before=program, counts_from=counts_from, wide=wide).build()
    assert fates(content) == {"good.jpg": PHOTO, "b.jpg": LARGE}


def test_zip64_is_read() -> None:
    """Also of entries that would not need it."""
    wide_extra = extra(1, struct.pack("<2Q", len(LARGE), len(LARGE)))
    entry = Zipped(b"a.jpg", LARGE, size=0xFFFFFFFF, packed=0xFFFFFFFF, extra=wide_extra)
    assert fates(Zip((entry, GOOD), wide=True).build()) == {"a.jpg": LARGE, "good.jpg": PHOTO}


def test_zip64_beyond_4_gb_is_read(tmp_path: Path) -> None:
    """Of a file with a hole, which takes no room."""
    beyond = 5 << 30
    late = Zipped(b"late.jpg", offset=0xFFFFFFFF, extra=extra(1, struct.pack("<Q", beyond)))
    path = tmp_path / "large.zip"
    with path.open("w+b") as file:
        file.write(local_record(GOOD))
        file.seek(beyond)
        file.write(local_record(late))
        start = file.tell()
        directory = directory_record(GOOD, 0) + directory_record(late, 0xFFFFFFFF)
        file.write(directory)
        file.write(
            Zip(count=2, size=len(directory), offset=start, wide=True, wide_offset=file.tell()).build()
        )
        archive = open_archive(file, LIMITS)
        assert [archive.read(entry) for entry in archive.entries] == [PHOTO, PHOTO]


def test_what_macos_cuts_is_read(tmp_path: Path) -> None:
    """Its archiver writes no zip64: offsets beyond 4 GiB lack what does not fit into 32 bits."""
    places = (0, 3 << 30, 5 << 30, 9 << 30, 14 << 30)
    entries = [Zipped(b"%d.jpg" % number, system=UNIX) for number in range(len(places))]
    with (tmp_path / "large.zip").open("w+b") as file:
        for entry, place in zip(entries, places, strict=True):
            file.seek(place)
            file.write(local_record(entry))
        start = file.tell()
        directory = b"".join(directory_record(e, place) for e, place in zip(entries, places, strict=True))
        file.write(directory + end_record(len(entries), len(directory), start))
        archive = open_archive(file, LIMITS)
        found = [(entry.name, fate(entry, archive)) for entry in archive.entries]
    # From one to the next may be 4 GiB at most: behind a video of more than that, nothing is found.
    assert found == [*((f"{number}.jpg", PHOTO) for number in range(4)), ("4.jpg", ArchiveDamaged)]


def test_more_entries_than_16_bits_hold_are_counted() -> None:
    """Their number is cut by macOS, too; no other number is taken for theirs."""
    entries = tuple(Zipped(b"%d/" % number, b"") for number in range(66_000))
    content = Zip((*entries, GOOD)).build()
    assert fates(content, ArchiveLimits(entries=70_000)) == {"good.jpg": PHOTO}
    with pytest.raises(ArchiveDamaged):
        opened(Zip((*entries, GOOD), count=66_000 - 65_536).build())
    with pytest.raises(ArchiveTooLarge):
        opened(content, ArchiveLimits(entries=66_000))


@pytest.mark.parametrize(
    "lie",
    [
        {"wide_said": (2**63, 100, 0)},
        {"wide_said": (2, 2**63, 0)},
        {"wide_said": (2, 100, 2**63)},
        {"wide_said": (0, 0, 0)},
        {"wide_offset": 2**63},
        {"wide_offset": 0},
        {"count": 1},
    ],
    ids=str,
)
def test_zip64_that_lies_refuses_the_zip(lie: dict[str, int]) -> None:
    """About its entries, its directory, or where its own record is; but that one stands where it has to."""
    content = Zip((GOOD, Zipped(b"b.jpg")), wide=True, **lie).build()  # type: ignore[arg-type]
    if "wide_offset" in lie:
        assert fates(content) == {"good.jpg": PHOTO, "b.jpg": PHOTO}
    else:
        with pytest.raises((ArchiveDamaged, ArchiveTooLarge)):
            opened(content)


def test_zip64_and_the_old_end_record_agree() -> None:
    """What the old one has room for, it has to say alike."""
    content = bytearray(Zip((GOOD,), wide=True).build())
    for place, right, wrong in ((-14, 1, 2), (-12, 1, 2)):
        content[place : place + 2] = struct.pack("<H", right)
        assert fates(bytes(content)) == {"good.jpg": PHOTO} or place == -14
        changed = bytearray(content)
        changed[place : place + 2] = struct.pack("<H", wrong)
        with pytest.raises(ArchiveDamaged):
            opened(bytes(changed))


# -- bombs -------------------------------------------------------------------------


def overlapping(count: int, kernel: bytes) -> bytes:
    """Return a bomb of entries that hold the same bytes (all of one, as the simplest of Fifield's)."""
    entry = Zipped(b"0.jpg", kernel, method=8)
    body = local_record(entry)
    directory = b"".join(
        directory_record(Zipped(b"%d.jpg" % number, kernel, method=8), 0) for number in range(count)
    )
    return body + directory + end_record(count, len(directory), len(body))


def quoting(count: int, kernel: bytes) -> bytes:
    """Return Fifield's bomb: each entry quotes the next one's header, and so holds all that follow."""
    packed = deflated(kernel)
    records: list[tuple[Zipped, int]] = []
    body = b""
    for number in reversed(range(count)):
        if not body:
            entry = Zipped(b"%04d" % number, kernel, method=8)
            body = local_record(entry)
        else:
            header = local_record(records[-1][0])[: 30 + 4]
            quote = b"\x00" + struct.pack("<2H", len(header), len(header) ^ 0xFFFF) + header
            content = header + records[-1][0].content
            entry = Zipped(b"%04d" % number, content, method=8, data=quote + records[-1][0].body)
            body = local_record(entry)[:34] + quote + body[0:0] + body
        records.append((entry, len(body)))
    assert packed in body
    directory = b"".join(directory_record(entry, len(body) - place) for entry, place in reversed(records))
    return body + directory + end_record(count, len(directory), len(body))


@pytest.mark.parametrize("bomb", [overlapping, quoting])
def test_entries_that_share_bytes_refuse_the_zip(bomb: object) -> None:
    """David Fifield's bombs, which Python's own reader of our version takes for a good ZIP."""
    content = bomb(50, PHOTO * 1000)  # type: ignore[operator]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert len(archive.namelist()) == 50
    with pytest.raises(ArchiveDamaged):
        opened(content)


def test_an_entry_inside_another_refuses_the_zip() -> None:
    """Its bytes would be read twice."""
    inner = local_record(Zipped(b"in.jpg"))
    outer = Zipped(b"out.jpg", PHOTO + inner)
    content = Zip((outer, Zipped(b"in.jpg", offset=30 + 7 + len(PHOTO)))).build()
    # The second one's own place lies between, so that the directory is where the end says.
    with pytest.raises(ArchiveDamaged):
        opened(content)


def test_an_entry_that_packs_too_well_is_refused() -> None:
    """A photo never does; unless it is small, as one of a plain colour."""
    bomb = Zipped(b"bomb.jpg", PHOTO + bytes(30 * MB), method=8)
    plain = Zipped(b"plain.jpg", PHOTO + bytes(900_000), method=8)
    found = fates(small_zip(bomb, plain))
    assert found == {"bomb.jpg": PhotoDamaged, "plain.jpg": plain.content}


def test_many_small_entries_that_pack_too_well_refuse_the_zip() -> None:
    """Each of them may be a photo; all of them are a bomb."""
    plain = Zipped(b"", PHOTO + bytes(900_000), method=8)
    data = plain.body
    entries = tuple(
        Zipped(b"%d.jpg" % n, data=data, method=8, size=900_053, crc=plain.said[0]) for n in range(200)
    )
    with pytest.raises(ArchiveDamaged):
        opened(Zip(entries).build())


def test_a_photo_that_is_too_large_is_refused_unread() -> None:
    """By its own word, of whatever it holds; in truth it cannot be larger than that."""
    limits = ArchiveLimits(photo_bytes=1000)
    large = Zipped(b"large.jpg", PHOTO + bytes(1000))
    liar = Zipped(b"liar.jpg", PHOTO + bytes(1000), size=900, packed=len(PHOTO) + 1000)
    deflated_liar = Zipped(b"liar2.jpg", LARGE[:5000], method=8, size=900)
    assert fates(small_zip(large, liar, deflated_liar, GOOD), limits) == {
        "large.jpg": PhotoTooManyBytes,
        "liar.jpg": ArchiveDamaged,
        "liar2.jpg": ArchiveDamaged,
        "good.jpg": PHOTO,
    }


def test_a_zip_that_is_too_large_is_refused() -> None:
    """By its bytes, by what it unpacks to, by its entries, or by its directory."""
    content = small_zip(*(Zipped(b"%d.jpg" % number) for number in range(100)))
    assert len(opened(content, ArchiveLimits(entries=100)).entries) == 100
    for limits in (
        ArchiveLimits(archive_bytes=len(content) - 1),
        ArchiveLimits(unpacked_bytes=100 * len(PHOTO) - 1),
        ArchiveLimits(entries=99),
        ArchiveLimits(directory_bytes=5000),
    ):
        with pytest.raises(ArchiveTooLarge):
            opened(content, limits)


def test_a_million_entries_are_refused_at_once() -> None:
    """Before one of them is read, if they are counted rightly; else when there are too many."""
    record = directory_record(Zipped(b"a.jpg", b""), 0)
    count = 1_000_000
    directory = record * count
    honest = (
        directory
        + Zip(count=count, size=len(directory), offset=0, wide=True, wide_offset=len(directory)).build()
    )
    cut = directory + end_record(count, len(directory), 0)
    for content in (honest, cut):
        for limits in (LIMITS, ArchiveLimits(directory_bytes=100 * MB)):
            started = time.process_time()
            tracemalloc.start()
            with pytest.raises((ArchiveTooLarge, ArchiveDamaged)):
                opened(content, limits)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 18 * MB + len(content)
            assert time.process_time() - started < 20


MEMORY_SCRIPT = """
import resource, sys
from app.bulk.archive import ArchiveLimits, open_archive
from app.errors import RibbonsError
limits = ArchiveLimits(photo_bytes=8_000_000)
with open(sys.argv[1], "rb") as file:
    archive = open_archive(file, limits)
    import tracemalloc
    tracemalloc.start()
    for entry in archive.entries:
        try:
            size = len(archive.read(entry))
        except RibbonsError as error:
            size = 0
            del error
        print(entry.name, size, tracemalloc.get_traced_memory()[1])
        tracemalloc.reset_peak()
"""


def test_a_photo_is_in_memory_once(tmp_path: Path) -> None:
    """While it is read, nothing is as large as it but itself, deflated or stored, honest or not."""
    noise = PHOTO + random.Random(3).randbytes(8 * MB - len(PHOTO))  # noqa: S311 - noise, no secret
    liar = Zipped(b"liar.jpg", noise + bytes(50 * MB), method=8, size=8 * MB)
    entries = (Zipped(b"stored.jpg", noise), Zipped(b"deflated.jpg", noise, method=8), liar)
    path = tmp_path / "photos.zip"
    path.write_bytes(small_zip(*entries))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_SCRIPT, path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found = {name: (int(size), int(peak)) for name, size, peak in map(str.split, done.stdout.splitlines())}
    assert {name: size for name, (size, _) in found.items()} == {
        "stored.jpg": 8 * MB,
        "deflated.jpg": 8 * MB,
        "liar.jpg": 0,
    }
    assert all(peak < 8 * MB + 500_000 for _, peak in found.values())


class Counting(io.BytesIO):
    """A file that counts what is read, and how often somebody goes elsewhere in it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.read_bytes = 0
        self.backwards = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, in pieces that are shorter than what is asked for, as a file over a network may."""
        content = super().read(min(10_000, size) if size and size > 0 else size)
        self.read_bytes += len(content)
        return content

    def seek(self, place: int, whence: int = 0, /) -> int:
        """Go to a place."""
        self.backwards += whence == 0 and place < self.tell()
        return super().seek(place, whence)


def test_reading_in_turn_reads_the_file_once() -> None:
    """Forwards, and the directory not again."""
    content = small_zip(*(Zipped(b"%d.jpg" % number, LARGE[: 1000 + number]) for number in range(500)))
    file = Counting(content)
    archive = open_archive(file, LIMITS)
    file.read_bytes = file.backwards = 0
    assert all(len(archive.read(entry)) == 1000 + place for place, entry in enumerate(archive.entries))
    assert file.read_bytes < len(content)
    assert file.backwards <= 1


# -- whatever comes -------------------------------------------------------------------


BASES = (
    small_zip(
        GOOD, Zipped("صورة.jpg".encode(), LARGE[:3000], method=8), descriptor(Zipped(b"c.jpg", method=8))
    ),
    Zip((GOOD, Zipped(b"b.jpg", extra=extra(1, bytes(24)))), wide=True, comment=b"PK\x05\x06").build(),
    written_by_python(zipfile.ZIP_DEFLATED)[-600:],
    Zip((GOOD,), before=b"MZ" * 100, counts_from=200).build(),
)


def read_all(content: bytes) -> Sequence[object]:
    """Read what can be read; anything but an error of ours fails the test."""
    try:
        archive = opened(content, ArchiveLimits(photo_bytes=MB))
    except RibbonsError as error:
        return [type(error)]
    return [fate(entry, archive) for entry in archive.entries]


@settings(max_examples=400, deadline=2000)
@given(
    st.sampled_from(BASES),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8),
    st.floats(0, 1),
)
def test_changed_bytes_come_to_errors_of_ours(
    base: bytes, changes: list[tuple[float, int]], cut: float
) -> None:
    """In bounded time; what is read nevertheless is what went in, since its checksum says so."""
    content = bytearray(base)
    for place, value in changes:
        content[int(place * (len(content) - 1))] = value
    whole = {PHOTO, LARGE, LARGE[:3000], b""}
    for length in (len(content), int(cut * len(content))):
        for found in read_all(bytes(content[:length])):
            if isinstance(found, bytes) and found not in whole:
                assert zlib.crc32(found).to_bytes(4, "little") in content


@settings(max_examples=200, deadline=2000)
@given(st.binary(max_size=300), st.integers(0, 3), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_any_directory_comes_to_errors_of_ours(directory: bytes, count: int, size: int, offset: int) -> None:
    """Of bytes by chance behind a right signature, with an end that is right or not."""
    noise = b"PK\x01\x02" + directory
    assert read_all(noise + end_record(count, len(noise), 0)) is not None
    assert read_all(noise + end_record(count, size, offset)) is not None
