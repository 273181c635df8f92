from __future__ import annotations

import io
import itertools
import random
import shutil
import subprocess
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, overload

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.bulk.batches import avatar_object
from app.bulk.parcel import PackedParts, Parcel, Part, PartChanged, StoredPart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GIB = 1 << 30

NAMES = ("a.jpg", "أسرى/صورة.jpg", "Ünï/cödé.jpg", "e\u0301.jpg", "日本/🕊.webp", "report.csv")

READERS = (["unzip", "-tqq"], ["bsdtar", "-xOf"], ["7z", "t", "-bd"], ["jar", "-tf"])


def part(name: str, content: bytes) -> Part:
    """Return a part as the ledger would describe it."""
    return Part(name, len(content), zlib.crc32(content), lambda: content)


def whole(parcel: Parcel) -> bytes:
    """Return all of a ZIP."""
    return b"".join(parcel.read(0, parcel.length))


def never() -> bytes:
    """Stand for a part that must not be read."""
    pytest.fail("this part lies outside of the range")


class Fakes(Sequence[Part]):
    """Parts that are made as they are asked for, all of one content that is as long as is wanted."""

    def __init__(self, amount: int, size: int) -> None:
        self.amount = amount
        self.size = size
        self.crc = zlib.crc32(bytes(size)) if size < 1_000_000 else 0
        self.reads = 0

    def __len__(self) -> int:
        return self.amount

    @overload
    def __getitem__(self, index: int) -> Part: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Part]: ...
    def __getitem__(self, index: int | slice) -> Part | Sequence[Part]:
        assert isinstance(index, int)
        if index >= self.amount:
            raise IndexError
        return Part(f"folder/{index:06}.jpg", self.size, self.crc, self._read)

    def _read(self) -> bytes:
        self.reads += 1
        return bytes(self.size)


class Remote(io.RawIOBase):
    """A parcel as a file of which only what is asked for is made."""

    def __init__(self, parcel: Parcel) -> None:
        self.parcel = parcel
        self.place = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from anywhere."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        self.place = offset + (0, self.place, self.parcel.length)[whence]
        return self.place

    def tell(self) -> int:
        """Return the place."""
        return self.place

    def readinto(self, buffer: Any) -> int:
        """Make as many bytes as there is room for."""
        stop = min(self.parcel.length, self.place + len(buffer))
        content = b"".join(self.parcel.read(self.place, stop))
        buffer[: len(content)] = content
        self.place = stop
        return len(content)


def test_python_reads_it() -> None:
    """The standard library finds every part with its name, its content, its mode and its moment."""
    contents = {name: name.encode() * 7 for name in NAMES}
    moment = datetime(2026, 3, 4, 5, 6, 8, tzinfo=UTC)
    parcel = Parcel([part(*pair) for pair in contents.items()], moment)
    packed = whole(parcel)
    assert len(packed) == parcel.length
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == contents
        for info in archive.infolist():
            assert info.external_attr >> 16 == 0o100644
            assert info.date_time == (2026, 3, 4, 5, 6, 8)
            assert info.flag_bits == 0x800
            assert info.extract_version == 20, "no zip64 where none is needed"


@pytest.mark.parametrize("names", [NAMES, ()], ids=["some", "none"])
def test_other_programs_read_it(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Programs that people unpack with, as many of them as are here, find no fault in it."""
    file = tmp_path / "avatars.zip"
    file.write_bytes(whole(Parcel([part(name, name.encode()) for name in names])))
    found = [command for command in READERS if shutil.which(command[0])]
    if not found:
        pytest.skip("nothing here that reads a ZIP; install unzip")
    for command in found:
        done = subprocess.run([*command, file], capture_output=True, check=False)
        empty_is_a_warning = command[0] == "unzip" and not names
        assert done.returncode == (1 if empty_is_a_warning else 0), done.stdout + done.stderr


def test_unzip_writes_the_names(tmp_path: Path) -> None:
    """Names in any script come out of unzip as they went in."""
    if shutil.which("unzip") is None:
        pytest.skip("no unzip here")
    file = tmp_path / "avatars.zip"
    file.write_bytes(whole(Parcel([part(name, name.encode()) for name in NAMES])))
    subprocess.run(["unzip", "-qq", file, "-d", tmp_path / "out"], check=True, env={"LC_ALL": "C.UTF-8"})
    for name in NAMES:
        assert (tmp_path / "out" / name).read_bytes() == name.encode()
        assert (tmp_path / "out" / name).stat().st_mode & 0o777 == 0o644


parcels = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), st.binary(max_size=300)
    ),
    max_size=12,
).map(lambda pairs: Parcel([part(*pair) for pair in pairs]))


@given(parcels, st.data())
@settings(max_examples=200, deadline=None)
def test_any_range_is_that_of_the_whole(parcel: Parcel, data: st.DataObject) -> None:
    """A range has the bytes that the whole has there, wherever it begins and stops."""
    packed = whole(parcel)
    assert len(packed) == parcel.length
    start = data.draw(st.integers(0, parcel.length))
    stop = data.draw(st.integers(start, parcel.length))
    assert b"".join(parcel.read(start, stop)) == packed[start:stop]


def test_every_range_of_a_small_one() -> None:
    """Each of the ranges of a ZIP with an empty and a full part is right, to the byte."""
    parcel = Parcel([part("a", b""), part("b", b"xy")])
    packed = whole(parcel)
    for start, stop in itertools.combinations_with_replacement(range(parcel.length + 1), 2):
        assert b"".join(parcel.read(start, stop)) == packed[start:stop]


def test_large_parts_in_pieces() -> None:
    """Parts beyond what is sent at once come whole, and small ones are sent together."""
    rng = random.Random(5)  # noqa: S311 - no secret
    contents = [rng.randbytes(size) for size in (200_000, 10, 65_536, 0, 3)]
    parcel = Parcel([part(str(number), content) for number, content in enumerate(contents)])
    pieces = list(parcel.read())
    assert b"".join(pieces) == whole(parcel)
    assert len(pieces) == 3


@pytest.mark.parametrize(("start", "stop"), [(-1, 1), (2, 1), (0, 1_000_000), (1_000_000, 1_000_001)])
def test_no_such_range(start: int, stop: int) -> None:
    """A range that is not there is refused at once, before anything is iterated."""
    with pytest.raises(ValueError, match="no such range"):
        Parcel([part("a", b"a")]).read(start, stop)


def test_only_what_lies_in_the_range_is_read() -> None:
    """A range reads the parts whose content it has, and no other; the directory none."""
    content = bytes(1000)
    crc = zlib.crc32(content)
    parts = [Part(f"{number}", 1000, crc, never) for number in range(10)]
    parts[4] = part("4", content)
    parcel = Parcel(parts)
    entry = 30 + 1 + 1000
    assert b"".join(parcel.read(4 * entry, 5 * entry + 31)) == whole_of(parts[4]) + header_of(parts[5])
    assert b"".join(parcel.read(10 * entry)).startswith(b"PK\1\2")


def whole_of(one: Part) -> bytes:
    """Return a part with its header."""
    return whole(Parcel([one]))[: 30 + len(one.name.encode()) + one.size]


def header_of(one: Part) -> bytes:
    """Return a part's header alone."""
    return b"".join(Parcel([one]).read(0, 30 + len(one.name.encode())))


@pytest.mark.parametrize(
    ("content", "fault"), [(b"abcd", "another byte"), (b"abc", "too short"), (b"abcde\0", "too long")]
)
def test_a_part_that_changed_breaks_the_stream(content: bytes, fault: str) -> None:
    """A ZIP whose part is not what was said is not finished: whoever reads it sees it break."""
    parcel = Parcel([part("a", b"1"), Part("b", 5, zlib.crc32(b"abcde"), lambda: content)])
    stream = parcel.read()
    with pytest.raises(PartChanged):
        list(stream)
    assert b"".join(parcel.read(0, 32)) == whole_of(part("a", b"1")), fault


def test_parts_that_are_exchanged_break_the_stream() -> None:
    """Parts that are others than when the length was reckoned are found out before they are read."""
    parts = [part("a", b"1")]
    parcel = Parcel(parts)
    parts[0] = part("a", b"22")
    with pytest.raises(PartChanged):
        list(parcel.read())


@pytest.mark.parametrize("wrong", [Part("a", -1, 0, never), Part("a", 4 * GIB, 0, never)])
def test_a_part_of_no_possible_size(wrong: Part) -> None:
    """A part of less than nothing, or of 4 GiB, is refused when the parcel is made."""
    with pytest.raises(ValueError, match="too many bytes"):
        Parcel([wrong])


@pytest.mark.parametrize("name", ["", "a" * 65_536])
def test_a_part_of_no_possible_name(name: str) -> None:
    """A name that the format has no room for is refused when the parcel is made."""
    with pytest.raises(ValueError, match="name"):
        Parcel([part(name, b"")])


@pytest.mark.parametrize(
    ("moment", "kept"),
    [
        (None, (1980, 1, 1, 0, 0, 0)),
        (datetime(1970, 1, 1, tzinfo=UTC), (1980, 1, 1, 0, 0, 0)),
        (datetime(2200, 1, 1, tzinfo=UTC), (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_moments_that_the_format_has_not(moment: datetime | None, kept: tuple[int, ...]) -> None:
    """No moment, or one outside of the format's years, becomes the nearest one that it has."""
    with zipfile.ZipFile(io.BytesIO(whole(Parcel([part("a", b"")], moment)))) as archive:
        assert archive.infolist()[0].date_time == kept


def test_the_tag_names_the_bytes() -> None:
    """Two parcels have one tag when they have the same bytes, and another when anything differs."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    alike = [Parcel([part("a", b"1"), part("b", b"2")], moment).tag for _ in range(2)]
    assert alike[0] == alike[1]
    others = [
        Parcel([part("a", b"1")], moment),
        Parcel([part("a", b"1"), part("b", b"3")], moment),
        Parcel([part("b", b"2"), part("a", b"1")], moment),
        Parcel([part("a", b"1"), part("b", b"2")]),
    ]
    assert len({alike[0], *(other.tag for other in others)}) == 5


@pytest.mark.parametrize("count", [65_534, 65_535, 65_536])
def test_very_many_parts(count: int) -> None:
    """From 65,535 entries on there is a zip64 record, and not before; Python reads both."""
    parcel = Parcel(Fakes(count, 0))
    packed = whole(parcel)
    assert len(packed) == parcel.length
    assert (b"PK\6\6" in packed) == (count >= 65_535)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert len(archive.infolist()) == count
        assert archive.read(f"folder/{count - 1:06}.jpg") == b""


def test_beyond_four_gigabytes() -> None:
    """Entries that begin beyond 4 GiB are found by Python, with zip64 fields on these alone."""
    size = 900_000
    parcel = Parcel(Fakes(5_000, size))
    assert parcel.length > 4 * GIB
    with zipfile.ZipFile(io.BufferedReader(Remote(parcel), 1_000_000)) as archive:
        infos = archive.infolist()
        far = [info for info in infos if info.header_offset >= 0xFFFFFFFF]
        assert {info.extract_version for info in far} == {45}
        assert {info.extract_version for info in infos[: -len(far)]} == {20}
        assert archive.read(infos[0]) == archive.read(infos[-1]) == bytes(size)


def test_as_many_as_a_batch_may_have() -> None:
    """Of 50,000 pictures of 300 KB the first byte comes at once, from any place, in little memory."""
    fakes = Fakes(50_000, 300_000)
    started = time.perf_counter()
    next(Parcel(fakes).read())
    assert time.perf_counter() - started < 2  # 0.15 s, with the machine to itself
    tracemalloc.start()
    try:
        parcel = Parcel(fakes)
        for start in range(0, parcel.length, parcel.length // 20):
            next(parcel.read(start))
        list(parcel.read(parcel.length - 5_000_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert parcel.length > 15_000_000_000
    assert fakes.reads < 50
    assert peak < 10_000_000


def stored(count: int, size: int) -> Iterator[StoredPart]:
    """Yield parts by where they rest, in names and places as long as those of a batch."""
    crc = zlib.crc32(bytes(size))
    for number in range(count):
        place = avatar_object("b_4pT0yWq8rK2mZcVnB1xYzA", number, "q3Vt0bYx7LkZ")
        yield StoredPart(f"staff/الأعضاء/{number:06}.jpg", size, crc, place)


def test_packed_parts_are_the_parts() -> None:
    """Each has its name, size, checksum and content, from both ends, and a ZIP of them is the same ZIP."""
    contents = {name: name.encode() * number for number, name in enumerate(NAMES)}
    places = {f"place/{name}": content for name, content in contents.items()}

    def read(place: str, size: int) -> bytes:
        assert len(places[place]) == size
        return places[place]

    packed = PackedParts(
        (
            StoredPart(name, len(content), zlib.crc32(content), f"place/{name}")
            for name, content in contents.items()
        ),
        read,
    )
    plain = [part(*pair) for pair in contents.items()]
    assert len(packed) == len(plain)
    assert [(one.name, one.size, one.crc, one.read()) for one in packed] == [
        (one.name, one.size, one.crc, one.read()) for one in plain
    ]
    assert packed[-1].name == plain[-1].name
    assert [one.name for one in packed[1:3]] == [one.name for one in plain[1:3]]
    with pytest.raises(IndexError):
        packed[len(plain)]
    with pytest.raises(IndexError):
        PackedParts([], read)[0]
    assert whole(Parcel(packed)) == whole(Parcel(plain))


def test_a_full_batch_is_kept_in_little() -> None:
    """While 50,000 avatars are taken home a few MB are held: there are several such downloads at once."""
    tracemalloc.start()
    try:
        parcel = Parcel(PackedParts(stored(50_000, 0), lambda _place, _size: b""))
        stream = parcel.read()
        next(stream)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 7_000_000  # 6 MB; as objects they had 30
    assert peak < 14_000_000


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_all_of_a_full_batch() -> None:
    """50,000 pictures of 300 KB are streamed in the memory of a few, and Python finds no fault in any."""
    parcel = Parcel(Fakes(50_000, 300_000))
    process = psutil.Process()
    before = process.memory_info().rss
    most = length = 0
    for number, piece in enumerate(parcel.read()):
        length += len(piece)
        if number % 1000 == 0:
            most = max(most, process.memory_info().rss)
    assert length == parcel.length
    assert most - before < 20_000_000
    with zipfile.ZipFile(io.BufferedReader(Remote(parcel), 1_000_000)) as archive:
        assert len(archive.infolist()) == 50_000
        assert archive.testzip() is None
