"""A ZIP's directory, read without trust: what it says of itself is checked before it is read, and bounded.

A ZIP is read from its end (APPNOTE.TXT 6.3.10)::

    entry entry …  directory  [zip64 end record, its locator]  end record [comment]

The end record says where the directory is, how long, and of how many entries. All of that is attacked: by end
records that lie, or of which one is hidden in the comment of another; by entries that share their bytes (a bomb:
https://www.bamsoftware.com/hacks/zipbomb/); by a million entries. Python's own reader takes most of that, and
loads the whole directory at once.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from app.errors import ArchiveDamaged, ArchiveNotSupported, ArchiveTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_SIGNATURE = b"PK\x06\x06"
_RECORD = struct.Struct("<4s6H3L5H2L")
_RECORD_SIGNATURE = b"PK\x01\x02"
_LOCAL = struct.Struct("<4s5H3L2H")
LOCAL_SIGNATURE = b"PK\x03\x04"
LOCAL_BYTES = _LOCAL.size

_COMMENT_BYTES = 0xFFFF
_16_BITS, _32_BITS = 0xFFFF, 0xFFFFFFFF
_ZIP64_EXTRA, _UNICODE_PATH_EXTRA = 0x0001, 0x7075
_PIECE = 1 << 16

_UTF8_FLAG = 1 << 11
ENCRYPTED_FLAGS = 1 | 1 << 6 | 1 << 13
"""Of an entry, of a strongly encrypted one, and of one whose directory is masked."""


class Record(NamedTuple):
    """An entry, as the directory has it.

    Attributes:
        raw_name: As it is written.
        name: The same, where it is said to be Unicode; else None.
        system: Of the program that made it (4.4.2): decides what ``attributes`` mean.
        flags: Bits of 4.4.4.
        method: Of compression (4.4.5).
        crc: CRC-32 of the content.
        packed: Bytes in the ZIP.
        size: Bytes of the content.
        attributes: As the system has them.
        offset: Where the entry begins, in the file.
    """

    raw_name: bytes
    name: str | None
    system: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    attributes: int
    offset: int


@dataclass(frozen=True, slots=True)
class Directory:
    """Where a ZIP's directory is.

    Attributes:
        start: Its first byte in the file.
        size: Its bytes.
        entries: How many it has.
        prefix: Bytes before the ZIP, as a self-extracting one has: what its offsets leave out.
    """

    start: int
    size: int
    entries: int
    prefix: int


def find_directory(file: BinaryIO) -> Directory:
    """Find a ZIP's directory, and check what its end says of it.

    Raises:
        ArchiveNotSupported: It is no ZIP.
        ArchiveDamaged: It has no end, or more than one; it is one of several files; or what it says is wrong.
    """
    length = file.seek(0, 2)
    tail_start = max(0, length - _END.size - _COMMENT_BYTES - _LOCATOR.size)
    tail = _read_at(file, tail_start, length - tail_start)
    ends = list(_ends(tail))
    if not ends:
        if _read_at(file, 0, 4) in {LOCAL_SIGNATURE, b"PK\x07\x08"}:
            raise ArchiveDamaged
        raise ArchiveNotSupported
    if len(ends) > 1:
        raise ArchiveDamaged  # which one is true, no two programs agree on
    (place,) = ends
    _, disk, first_disk, here, entries, size, offset, _ = _END.unpack_from(tail, place)
    end = tail_start + place
    if end >= _LOCATOR.size and tail[place - _LOCATOR.size : place].startswith(_LOCATOR_SIGNATURE):
        end, wide = _wide_end(file, tail[place - _LOCATOR.size : place], end - _LOCATOR.size)
        said = (disk, first_disk, here, entries, size, offset)
        masks = (*[_16_BITS] * 4, *[_32_BITS] * 2)
        if any(a not in {b, mask} for a, b, mask in zip(said, wide, masks, strict=True)):
            raise ArchiveDamaged
        disk, first_disk, here, entries, size, offset = wide
    start = end - size
    if disk or first_disk or here != entries or start < offset:
        raise ArchiveDamaged
    return Directory(start, size, entries, start - offset)


def _ends(tail: bytes) -> Iterator[int]:
    """Yield where end records are whose comment reaches to the end of the file."""
    place = tail.rfind(_END_SIGNATURE)
    while place >= 0:
        if place + _END.size <= len(tail):
            comment = _END.unpack_from(tail, place)[-1]
            if place + _END.size + comment == len(tail):
                yield place
        place = tail.rfind(_END_SIGNATURE, 0, place + 3)


def _wide_end(file: BinaryIO, locator: bytes, place: int) -> tuple[int, tuple[int, ...]]:
    """Return where the zip64 end record is, and what it says: it ends where its locator begins."""
    _, disk, offset, disks = _LOCATOR.unpack(locator)
    # Where bytes were put before the ZIP, the offset is wrong, and only a record of the usual size is found.
    for start in (offset, place - _END64.size):
        if not 0 <= start <= place - _END64.size:
            continue
        record = _read_at(file, start, _END64.size)
        signature, size, *_ = _END64.unpack(record)
        if signature == _END64_SIGNATURE and start + 12 + size == place and disk == 0 and disks <= 1:
            return start, _END64.unpack(record)[4:]
    raise ArchiveDamaged


def read_directory(
    file: BinaryIO, directory: Directory, most_entries: int, most_bytes: int
) -> Iterator[Record]:
    """Yield the entries of a directory, in its order.

    Args:
        file: The ZIP.
        directory: Found by :func:`find_directory`.
        most_entries: More are refused before one is read.
        most_bytes: Of the directory; more are refused, too.

    Raises:
        ArchiveTooLarge: More entries, or a longer directory, than is read.
        ArchiveDamaged: It is not what its end says.
    """
    if directory.entries > most_entries or directory.size > most_bytes:
        raise ArchiveTooLarge.over(most_bytes)
    if directory.entries * _RECORD.size > directory.size:
        raise ArchiveDamaged
    pieces = _Pieces(file, directory.start, directory.size)
    for _ in range(directory.entries):
        fields = _RECORD.unpack(pieces.take(_RECORD.size))
        name, extra, comment = fields[10:13]
        if fields[0] != _RECORD_SIGNATURE:
            raise ArchiveDamaged
        yield _record(fields, pieces.take(name), pieces.take(extra), directory.prefix)
        pieces.take(comment)
    if pieces.left:
        raise ArchiveDamaged


def _record(fields: tuple[int, ...], raw_name: bytes, extra: bytes, prefix: int) -> Record:
    _, made_by, _, flags, method, _, _, crc, packed, size, *_ = fields
    attributes, offset = fields[-2:]
    blocks = dict(_extra_blocks(extra))
    wide = blocks.get(_ZIP64_EXTRA, b"")
    values = []
    for value in (size, packed, offset):
        if value == _32_BITS and len(wide) >= 8:
            value, wide = int.from_bytes(wide[:8], "little"), wide[8:]  # noqa: PLW2901
        values.append(value)
    size, packed, offset = values
    name = _unicode_name(raw_name, flags, blocks.get(_UNICODE_PATH_EXTRA, b""))
    return Record(raw_name, name, made_by >> 8, flags, method, crc, packed, size, attributes, prefix + offset)


def _extra_blocks(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield what an extra field is made of, as far as it is whole. Later blocks of a kind count for nothing."""
    found = []
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        if place + 4 + length > len(extra):
            break
        found.append((kind, extra[place + 4 : place + 4 + length]))
        place += 4 + length
    return reversed(found)


def _unicode_name(raw_name: bytes, flags: int, extra: bytes) -> str | None:
    """Return a name that says that it is UTF-8: by its flag, or by Info-ZIP's extra field (4.6.9)."""
    if extra[:1] == b"\x01" and int.from_bytes(extra[1:5], "little") == zlib.crc32(raw_name):
        raw_name, flags = extra[5:], _UTF8_FLAG
    if not flags & _UTF8_FLAG and not raw_name.isascii():
        return None
    try:
        return raw_name.decode()
    except UnicodeDecodeError:
        return None


def data_start(header: bytes, record: Record) -> int:
    """Return where an entry's data begin, as its own header has it.

    Args:
        header: The first :data:`LOCAL_BYTES` bytes of the entry.
        record: What the directory says of it.

    Raises:
        ArchiveDamaged: It is no header, or one of another entry.
    """
    if len(header) != LOCAL_BYTES:
        raise ArchiveDamaged
    signature, _, flags, method, *_, name, extra = _LOCAL.unpack(header)
    if signature != LOCAL_SIGNATURE or method != record.method or (flags ^ record.flags) & ENCRYPTED_FLAGS:
        raise ArchiveDamaged
    return record.offset + LOCAL_BYTES + int(name) + int(extra)


class _Pieces:
    """The bytes of a directory, in pieces of 64 KiB: never more of them than that are in memory."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file = file
        self._unread = size
        self._piece = b""
        self._place = 0
        file.seek(start)

    @property
    def left(self) -> int:
        """How many have not been taken."""
        return self._unread + len(self._piece) - self._place

    def take(self, count: int) -> bytes:
        """Return the next bytes.

        Raises:
            ArchiveDamaged: There are not so many.
        """
        if count > self.left:
            raise ArchiveDamaged
        while len(self._piece) - self._place < count:
            more = self._file.read(min(_PIECE, self._unread))
            if not more:
                raise ArchiveDamaged
            self._unread -= len(more)
            self._piece, self._place = self._piece[self._place :] + more, 0
        self._place += count
        return self._piece[self._place - count : self._place]


def _read_at(file: BinaryIO, place: int, count: int) -> bytes:
    """Read so many bytes, or fewer at the end of the file."""
    file.seek(place)
    return file.read(count)
