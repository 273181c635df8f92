"""A ZIP's directory and what its entries hold, read without trust: everything is bounded before it is read.

A ZIP is read from its end (APPNOTE.TXT 6.3.10)::

    entry entry …  directory  [zip64 end record, its locator]  end record [comment]

The end record says where the directory is, how long, and of how many entries. All of that is attacked: by end
records that lie, or that hide in the comment of another; by entries that share their bytes (David Fifield's
bomb, https://www.bamsoftware.com/hacks/zipbomb/); by a million entries. Python's own reader trusts most of
that, and loads the whole directory at once.
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
_WIDE_END = struct.Struct("<4sQ2H2L4Q")
_WIDE_END_SIGNATURE = b"PK\x06\x06"
_RECORD = struct.Struct("<4s6H3L5H2L")
_RECORD_SIGNATURE = b"PK\x01\x02"
_HEADER = struct.Struct("<4s5H3L2H")
_HEADER_SIGNATURE = b"PK\x03\x04"
_SPANNED_SIGNATURE = b"PK\x07\x08"

_16_BITS, _32_BITS = 0xFFFF, 0xFFFFFFFF
_LAP = _32_BITS + 1
_WIDE_EXTRA, _UNICODE_PATH_EXTRA = 0x0001, 0x7075
_PIECE = 1 << 16

_UTF8_FLAG = 1 << 11
ENCRYPTED_FLAGS = 1 | 1 << 6 | 1 << 13
"""Of an entry, of a strongly encrypted one, and of one whose directory is masked."""
STORED, DEFLATED = 0, 8
"""The methods of compression that are read."""

LONGEST_NAME = 1024
"""Bytes of a name that are read, and one more: nothing keeps a longer one."""


class Record(NamedTuple):
    """An entry, as the directory has it.

    Attributes:
        raw_name: As it is written; the beginning of it, where it is longer than :data:`LONGEST_NAME`.
        name: The same, where it says that it is Unicode, and is; else None.
        system: Of the program that made it (4.4.2): decides what ``attributes`` mean.
        flags: Bits of 4.4.4.
        method: Of compression (4.4.5).
        crc: CRC-32 of the content.
        packed: Bytes in the ZIP.
        size: Bytes of the content.
        attributes: As the system has them.
        offset: Where the entry begins, in the file.
        end: Where the next one begins, or the directory: it ends there or before.
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
    end: int = 0

    @property
    def least_end(self) -> int:
        """Where it ends at the earliest: its own header repeats its name, and may have more."""
        return self.offset + _HEADER.size + len(self.raw_name) + self.packed


@dataclass(frozen=True, slots=True)
class _Directory:
    """Where a directory is.

    Attributes:
        start: Its first byte in the file.
        size: Its bytes.
        entries: How many it has, by its word.
        prefix: Bytes before the ZIP, as a self-extracting one has: its offsets leave them out.
        is_narrow: Its numbers have 32 bits, and that of its entries has 16. The archiver of macOS cuts to
            that what is larger, in ZIPs of more than 4 GiB or 65,535 entries.
    """

    start: int
    size: int
    entries: int
    prefix: int
    is_narrow: bool


def read_directory(file: BinaryIO, most_entries: int, most_bytes: int) -> list[Record]:
    """Read a ZIP's directory.

    Args:
        file: The ZIP, seekable.
        most_entries: More are refused before one is read, and at the latest when there are more.
        most_bytes: Of the directory; a longer one is refused before it is read.

    Returns:
        Its entries, in the order in which they lie in the file. No two share bytes. One that goes beyond the
        entries' part of the file ends behind its ``end``.

    Raises:
        ArchiveNotSupported: It is no ZIP.
        ArchiveDamaged: It has no end, or several; it is one of several files; or it contradicts itself.
        ArchiveTooLarge: More entries, or a longer directory, than is read.
    """
    directory = _find(file)
    if directory.entries > most_entries or directory.size > most_bytes:
        raise ArchiveTooLarge.over(most_bytes)
    if directory.entries * _RECORD.size > directory.size:
        raise ArchiveDamaged
    records: list[Record] = []
    for record in _records(file, directory):
        if len(records) == most_entries:
            raise ArchiveTooLarge.over(most_bytes)
        records.append(record)
    surplus = len(records) - directory.entries
    if surplus % (_16_BITS + 1) if directory.is_narrow else surplus:
        raise ArchiveDamaged
    if not records and directory.start:
        raise ArchiveDamaged  # something is there, and hidden
    return _with_ends(records, directory.start)


def unpack(file: BinaryIO, record: Record) -> Iterator[bytes]:
    """Yield what an entry holds, in pieces of at most 64 KiB: never more bytes than the directory says.

    Args:
        file: The ZIP. It must not be moved until the last piece is there.
        record: Of an entry that is stored or deflated.

    Raises:
        ArchiveDamaged: It lies elsewhere than the directory says, or has another size or checksum.
    """
    file.seek(record.offset)
    header = _exactly(file, _HEADER.size)
    signature, _, flags, method, *_, name, extra = _HEADER.unpack(header)
    start = record.offset + len(header) + name + extra
    is_same = method == record.method and not (flags ^ record.flags) & ENCRYPTED_FLAGS
    if signature != _HEADER_SIGNATURE or not is_same or start + record.packed > record.end:
        raise ArchiveDamaged
    file.seek(start)
    crc = size = 0
    for piece in _inflated(file, record) if method == DEFLATED else _pieces(file, record.packed):
        size += len(piece)
        if size > record.size:
            raise ArchiveDamaged
        crc = zlib.crc32(piece, crc)
        yield piece
    if size != record.size or crc != record.crc:
        raise ArchiveDamaged


def _with_ends(records: list[Record], directory_start: int) -> list[Record]:
    """Return the entries in the order in which they lie, with their ends.

    Raises:
        ArchiveDamaged: Two of them share bytes.
    """
    found: list[Record] = []
    end = directory_start
    for record in sorted(records, key=lambda record: record.offset, reverse=True):
        if record.least_end > end < directory_start:
            raise ArchiveDamaged
        found.append(record._replace(end=end))
        end = min(record.offset, directory_start)
    found.reverse()
    return found


def _find(file: BinaryIO) -> _Directory:
    """Find a ZIP's directory, and check what the end says of it."""
    length = file.seek(0, 2)
    tail_start = max(0, length - _LOCATOR.size - _END.size - _16_BITS)
    file.seek(tail_start)
    tail = _exactly(file, length - tail_start)
    places = list(_end_records(tail))
    if not places:
        file.seek(0)
        if file.read(4) in {_HEADER_SIGNATURE, _SPANNED_SIGNATURE}:
            raise ArchiveDamaged
        raise ArchiveNotSupported
    if len(places) > 1:
        raise ArchiveDamaged  # which of them counts, no two programs agree on
    place = places[0]
    said = _END.unpack_from(tail, place)[1:7]
    end = tail_start + place
    locator = tail[max(0, place - _LOCATOR.size) : place]
    is_wide = locator.startswith(_LOCATOR_SIGNATURE)
    if is_wide:
        end, wide = _wide_end(file, locator, end - _LOCATOR.size)
        masks = (*[_16_BITS] * 4, *[_32_BITS] * 2)
        if any(a not in {b, mask} for a, b, mask in zip(said, wide, masks, strict=True)):
            raise ArchiveDamaged
        said = wide
    disk, first_disk, here, entries, size, offset = said
    start = end - size
    if disk or first_disk or here != entries or start < offset:
        raise ArchiveDamaged
    prefix = start - offset
    if not is_wide and prefix % _LAP == 0:
        prefix = 0  # the offset is cut
    return _Directory(start, size, entries, prefix, not is_wide)


def _end_records(tail: bytes) -> Iterator[int]:
    """Yield where end records are whose comment reaches to the end of the file."""
    place = tail.rfind(_END_SIGNATURE)
    while place >= 0:
        if place + _END.size <= len(tail):
            comment = _END.unpack_from(tail, place)[-1]
            if place + _END.size + comment == len(tail):
                yield place
        place = tail.rfind(_END_SIGNATURE, 0, place + 3)


def _wide_end(file: BinaryIO, locator: bytes, place: int) -> tuple[int, tuple[int, ...]]:
    """Return where the zip64 end record is, and what it says. It ends where its locator begins."""
    _, disk, offset, disks = _LOCATOR.unpack(locator)
    # With bytes before the ZIP the offset is wrong, and only a record of the usual size is found. Windows
    # counts no disks, where one is right.
    for start in (offset, place - _WIDE_END.size):
        if 0 <= start <= place - _WIDE_END.size and not disk and disks <= 1:
            file.seek(start)
            signature, size, _, _, *said = _WIDE_END.unpack(_exactly(file, _WIDE_END.size))
            if signature == _WIDE_END_SIGNATURE and start + 12 + size == place:
                return start, tuple(said)
    raise ArchiveDamaged


def _records(file: BinaryIO, directory: _Directory) -> Iterator[Record]:
    """Yield the entries of a directory, in its own order."""
    file.seek(directory.start)
    source = _Source(_pieces(file, directory.size))
    place = 0
    while not source.is_empty:
        fields = _RECORD.unpack(source.take(_RECORD.size))
        if fields[0] != _RECORD_SIGNATURE:
            raise ArchiveDamaged
        name, extra, comment = fields[10:13]
        record = _record(fields, source.take(name), source.take(extra), directory.prefix)
        source.take(comment)
        if directory.is_narrow and directory.start > _LAP:
            # Its offset is cut: it lies behind the one before it, as the archiver of macOS lays them.
            laps = max(0, -((record.offset - place) // _LAP))
            record = record._replace(offset=record.offset + laps * _LAP)
            place = record.least_end
        yield record


def _record(fields: tuple[int, ...], raw_name: bytes, extra: bytes, prefix: int) -> Record:
    _, made_by, _, flags, method, _, _, crc, packed, size, *_, attributes, offset = fields
    blocks = _extra_blocks(extra)
    wide = blocks.get(_WIDE_EXTRA, b"")
    values = []
    for value in (size, packed, offset):
        is_wide = value == _32_BITS and len(wide) >= 8
        values.append(int.from_bytes(wide[:8], "little") if is_wide else value)
        wide = wide[8:] if is_wide else wide
    size, packed, offset = values
    name = _unicode_name(raw_name, flags, blocks.get(_UNICODE_PATH_EXTRA, b""))
    raw_name = raw_name[: LONGEST_NAME + 1]
    return Record(raw_name, name, made_by >> 8, flags, method, crc, packed, size, attributes, offset + prefix)


def _extra_blocks(extra: bytes) -> dict[int, bytes]:
    """Return what an extra field is made of, as far as it is whole: of each kind the first."""
    blocks: dict[int, bytes] = {}
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, place)
        if place + 4 + length > len(extra):
            break
        blocks.setdefault(kind, extra[place + 4 : place + 4 + length])
        place += 4 + length
    return blocks


def _unicode_name(raw_name: bytes, flags: int, extra: bytes) -> str | None:
    """Return a name that says that it is UTF-8: by its flag, or by Info-ZIP's extra field (4.6.9)."""
    if extra[:1] == b"\x01" and int.from_bytes(extra[1:5], "little") == zlib.crc32(raw_name):
        raw_name, flags = extra[5:], _UTF8_FLAG
    if len(raw_name) > LONGEST_NAME or not (flags & _UTF8_FLAG or raw_name.isascii()):
        return None
    try:
        return raw_name.decode()
    except UnicodeDecodeError:
        return None


def _inflated(file: BinaryIO, record: Record) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    source = _pieces(file, record.packed)
    while not unpacker.eof:
        packed = unpacker.unconsumed_tail or next(source, b"")
        try:
            piece = unpacker.decompress(packed, _PIECE)
        except zlib.error:
            raise ArchiveDamaged from None
        # Without more to read it may still have something to say.
        if not (packed or piece or unpacker.eof):
            raise ArchiveDamaged
        if piece:
            yield piece
    if unpacker.unused_data or next(source, b""):
        raise ArchiveDamaged


def _pieces(file: BinaryIO, count: int) -> Iterator[bytes]:
    """Yield the next so many bytes, in pieces."""
    while count:
        piece = file.read(min(_PIECE, count))
        if not piece:
            raise ArchiveDamaged
        count -= len(piece)
        yield piece


def _exactly(file: BinaryIO, count: int) -> bytes:
    return b"".join(_pieces(file, count))


class _Source:
    """Bytes that come in pieces, and are taken in others."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""
        self._place = 0

    @property
    def is_empty(self) -> bool:
        """Whether all were taken."""
        return not self._fill(1)

    def take(self, count: int) -> bytes:
        """Return the next so many.

        Raises:
            ArchiveDamaged: There are fewer.
        """
        if not self._fill(count):
            raise ArchiveDamaged
        self._place += count
        return self._held[self._place - count : self._place]

    def _fill(self, count: int) -> bool:
        while len(self._held) - self._place < count:
            piece = next(self._pieces, b"")
            if not piece:
                return False
            self._held, self._place = self._held[self._place :] + piece, 0
        return True
