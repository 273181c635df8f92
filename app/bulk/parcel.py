"""A ZIP of which any range of bytes can be made without what comes before it, and whose length is exact.

Its entries are stored as they are, because a picture does not pack any further. Their sizes and checksums are
known beforehand, so nothing has to be built, on a disk or in memory, before the first byte is sent, and a
download that broke off goes on at any byte.

Our own, because no library makes the middle alone: zipstream-ng and stream-zip know the length of stored
entries, zipseeker reads all that lies before a range. The format is PKWARE's APPNOTE 6.3.10; numbers in
brackets name its sections.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# From these on a field says "look into the zip64 one" (4.4.1.4).
_ZIP64_COUNT: Final = 0xFFFF
_ZIP64_BYTES: Final = 0xFFFFFFFF

_VERSION: Final = 20
_ZIP64_VERSION: Final = 45
# Made by a Unix, so that the file's mode is believed, by rules that know UTF-8 names (4.4.2).
_MADE_BY: Final = 3 << 8 | 63
_UTF8_NAME: Final = 1 << 11
_STORED: Final = 0
_MODE: Final = 0o100644 << 16  # a file that its owner may write, and everybody read

_LOCAL = Struct("<4s5H3L2H")  # 4.3.7
_DIRECTORY_ROW = Struct("<4s6H3L5H2L")  # 4.3.12
_ZIP64_OFFSET = Struct("<2HQ")  # 4.5.3, with the one field that needs it
_ZIP64_END = Struct("<4sQ2H2L4Q")  # 4.3.14
_ZIP64_LOCATOR = Struct("<4sLQL")  # 4.3.15
_END = Struct("<4s4H2LH")  # 4.3.16

_FIRST_DAY: Final = datetime(1980, 1, 1, tzinfo=UTC)  # the format knows none before
_LAST_DAY: Final = datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)

# What is sent at once, at least: a header of 60 bytes is not worth a way through threads and sockets.
_CHUNK_BYTES: Final = 65536


class PartChanged(Exception):
    """A part is not what its size and checksum say. What was sent of the ZIP so far is to be thrown away."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file in a parcel.

    Attributes:
        name: With ``/`` between folders; at most 65,535 bytes of UTF-8.
        size: Bytes of its content: fewer than 4 GiB, as they are read into memory whole.
        crc: CRC-32 of the content.
        read: Returns the content.
    """

    name: str
    size: int
    crc: int
    read: Callable[[], bytes]


class StoredPart(NamedTuple):
    """A part by where it rests.

    Attributes:
        name: As of :class:`Part`.
        size: The same.
        crc: The same.
        place: By which it is read.
    """

    name: str
    size: int
    crc: int
    place: str


class PackedParts(Sequence[Part]):
    """Parts of which each is made when it is asked for.

    While somebody takes 50,000 avatars home, for as long as the line needs, 6 MB are kept of them: 20 bytes
    for a part beside its name and place. As objects they had 30 MB.

    Args:
        parts: Are gone through once.
        read: Returns the content, given a place and a size.
    """

    def __init__(self, parts: Iterable[StoredPart], read: Callable[[str, int], bytes]) -> None:
        self._read = read
        self._sizes = array("Q")
        self._crcs = array("I")
        # Where each name stops, and each place: in turns, behind one another in the text.
        self._stops = array("I", [0])
        text = bytearray()
        for part in parts:
            self._sizes.append(part.size)
            self._crcs.append(part.crc)
            for piece in (part.name, part.place):
                text += piece.encode()
                self._stops.append(len(text))
        self._text = bytes(text)

    def __len__(self) -> int:
        return len(self._sizes)

    @overload
    def __getitem__(self, index: int) -> Part: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Part]: ...
    def __getitem__(self, index: int | slice) -> Part | Sequence[Part]:
        """Make a part, or some."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        size, crc = self._sizes[index], self._crcs[index]
        first = 2 * (index % len(self))
        start, middle, stop = self._stops[first : first + 3]
        name, place = self._text[start:middle].decode(), self._text[middle:stop].decode()
        return Part(name, size, crc, partial(self._read, place, size))


class Parcel:
    """A ZIP of parts.

    Args:
        parts: What is in it. They are gone through once, and then asked for one by one as they are sent: for
            very many, give a sequence that makes each when it is asked for. They may not change.
        moment: When its files were made, for whoever unpacks it; without one the format's first day.

    Attributes:
        length: Bytes in all.
        tag: Names the bytes: parcels that differ in a name, a size, a checksum or the moment have others.

    Raises:
        ValueError: A part is 4 GiB or more, or has too long a name.
    """

    def __init__(self, parts: Sequence[Part], moment: datetime | None = None) -> None:
        self._parts = parts
        self._stamp = _dos_stamp(moment or _FIRST_DAY)
        # Where each entry and each row of the directory starts, and at the end where the last one stops:
        # 16 bytes for a part, whatever its name.
        self._entries = array("Q", [0])
        self._rows = array("Q", [0])
        seal = sha256(repr(self._stamp).encode())
        for part in parts:
            self._add(part, seal.update)
        self._directory = self._entries[-1]
        self._tail = _end(len(parts), self._rows[-1], self._directory)
        self.length = self._directory + self._rows[-1] + len(self._tail)
        self.tag = seal.hexdigest()[:32]

    def _add(self, part: Part, seal: Callable[[bytes], None]) -> None:
        start = self._entries[-1]
        if not 0 <= part.size < _ZIP64_BYTES:
            raise ValueError("a part has too many bytes")
        header = self._header(part)
        self._entries.append(start + len(header) + part.size)
        self._rows.append(self._rows[-1] + len(self._row(part, start)))
        seal(header)

    def read(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Make a range of the ZIP, in pieces of some 64 KB or of a whole part.

        Only parts whose content lies in it are read, one at a time, each checked whole before it is given.

        Args:
            start: The first byte.
            stop: The byte after the last one; by default the end.

        Raises:
            ValueError: There is no such range.
            PartChanged: While it is iterated: a part has another size or checksum than was said.
        """
        stop = self.length if stop is None else stop
        if not 0 <= start <= stop <= self.length:
            raise ValueError("there is no such range in this ZIP")
        return _gathered(self._pieces(start, stop))

    def _pieces(self, start: int, stop: int) -> Iterator[bytes]:
        for index in _between(self._entries, start, stop):
            yield from self._entry(index, start, stop)
        for index in _between(self._rows, start - self._directory, stop - self._directory):
            row = self._row(self._parts[index], self._entries[index])
            yield _cut(row, self._directory + self._rows[index], start, stop)
        yield _cut(self._tail, self.length - len(self._tail), start, stop)

    def _entry(self, index: int, start: int, stop: int) -> Iterator[bytes]:
        part, offset = self._parts[index], self._entries[index]
        header = self._header(part)
        content = offset + len(header)
        end = self._entries[index + 1]
        if content + part.size != end:
            raise PartChanged("the parts are not those that were counted")
        yield _cut(header, offset, start, stop)
        if max(start, content) < min(stop, end):
            yield _cut(_checked(part), content, start, stop)

    def _header(self, part: Part) -> bytes:
        name = _encoded(part.name)
        return (
            _LOCAL.pack(
                b"PK\3\4",
                _VERSION,
                _UTF8_NAME,
                _STORED,
                *self._stamp,
                part.crc,
                part.size,
                part.size,
                len(name),
                0,
            )
            + name
        )

    def _row(self, part: Part, offset: int) -> bytes:
        name = _encoded(part.name)
        is_far = offset >= _ZIP64_BYTES
        extra = _ZIP64_OFFSET.pack(1, 8, offset) if is_far else b""
        return (
            _DIRECTORY_ROW.pack(
                b"PK\1\2",
                _MADE_BY,
                _ZIP64_VERSION if is_far else _VERSION,
                _UTF8_NAME,
                _STORED,
                *self._stamp,
                part.crc,
                part.size,
                part.size,
                len(name),
                len(extra),
                0,  # no comment
                0,  # on the first disk
                0,  # not known to be text
                _MODE,
                min(offset, _ZIP64_BYTES),
            )
            + name
            + extra
        )


def _end(count: int, size: int, offset: int) -> bytes:
    """Return what comes after the directory, and says where it is."""
    end = _END.pack(
        b"PK\5\6",
        0,
        0,
        min(count, _ZIP64_COUNT),
        min(count, _ZIP64_COUNT),
        min(size, _ZIP64_BYTES),
        min(offset, _ZIP64_BYTES),
        0,
    )
    if count < _ZIP64_COUNT and size < _ZIP64_BYTES and offset < _ZIP64_BYTES:
        return end
    far_end = _ZIP64_END.pack(
        b"PK\6\6",
        _ZIP64_END.size - 12,  # of what follows this field
        _MADE_BY,
        _ZIP64_VERSION,
        0,
        0,
        count,
        count,
        size,
        offset,
    )
    return far_end + _ZIP64_LOCATOR.pack(b"PK\6\7", 0, offset + size, 1) + end


def _encoded(name: str) -> bytes:
    encoded = name.encode()
    if not 0 < len(encoded) <= 0xFFFF:
        raise ValueError("a part has no name, or one that is too long")
    return encoded


def _dos_stamp(moment: datetime) -> tuple[int, int]:
    """Return time and date as the format has them: to two seconds, without a zone (4.4.6)."""
    when = min(max(moment.astimezone(UTC), _FIRST_DAY), _LAST_DAY)
    time = when.hour << 11 | when.minute << 5 | when.second // 2
    return time, (when.year - 1980) << 9 | when.month << 5 | when.day


def _checked(part: Part) -> bytes:
    content = part.read()
    if len(content) != part.size or zlib.crc32(content) != part.crc:
        raise PartChanged("a part has another size or checksum than was said")
    return content


def _between(starts: array[int], start: int, stop: int) -> Iterator[int]:
    """Yield the numbers of what lies in a range, given where each starts and where the last one stops."""
    first = max(0, bisect_right(starts, start) - 1)
    for index in range(first, len(starts) - 1):
        if starts[index] >= stop:
            return
        yield index


def _cut(piece: bytes, offset: int, start: int, stop: int) -> bytes:
    """Return what lies in a range of a piece that begins at an offset."""
    return piece[max(0, start - offset) : max(0, stop - offset)]


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join pieces to such as are worth being sent."""
    gathered, size = [], 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= _CHUNK_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if size:
        yield b"".join(gathered)
