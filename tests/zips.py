"""ZIPs, record by record (APPNOTE.TXT), so that each may lie: no program would write what the tests need."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from functools import cached_property

PHOTO = b"\xff\xd8\xff\xe0" + b"a photo, to all who look at its first bytes only"
"""Begins as a JPEG does."""

UTF8_FLAG = 1 << 11
DESCRIPTOR_FLAG = 1 << 3
UNIX, WINDOWS, MACOS = 3, 0, 19


@dataclass(frozen=True)
class Zipped:
    """An entry. What is None is true; what is given is written, whether it is true or not.

    Attributes:
        name: As its records have it.
        content: What it holds.
        method: Of compression: 8 deflates the content, every other one writes it as it is.
        flags: Of its records.
        system: Of the program that wrote it.
        attributes: As the system has them.
        size: Of its content.
        packed: Bytes that hold it.
        crc: Of its content.
        offset: Where the directory says that it begins.
        extra: Of its record in the directory.
        local_extra: Of its own header.
        descriptor: Behind its content.
        data: In the place of its content, packed.
    """

    name: bytes
    content: bytes = PHOTO
    method: int = 0
    flags: int = 0
    system: int = UNIX
    attributes: int = 0o100644 << 16
    size: int | None = None
    packed: int | None = None
    crc: int | None = None
    offset: int | None = None
    extra: bytes = b""
    local_extra: bytes = b""
    descriptor: bytes = b""
    data: bytes | None = None

    @cached_property
    def body(self) -> bytes:
        """Its content, packed."""
        if self.data is not None:
            return self.data
        return deflated(self.content) if self.method == 8 else self.content

    @property
    def said(self) -> tuple[int, int, int]:
        """Checksum, packed size and size, as its records have them."""
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        packed = len(self.body) if self.packed is None else self.packed
        return crc, packed, len(self.content) if self.size is None else self.size


@dataclass(frozen=True)
class Zip:
    """A ZIP. What is None is true; what is given is written, whether it is true or not.

    Attributes:
        entries: In the order in which they lie.
        before: Bytes before it.
        comment: Of the end record.
        count: Of entries, by the end record.
        size: Of the directory, likewise.
        offset: Of the directory, likewise.
        disk: The number of the file among several.
        wide: It has zip64's end record and locator, which have the true numbers, and the end record none.
        wide_said: What zip64's end record says instead: count, size and offset.
        wide_offset: Where the locator says that it is.
        counts_from: The byte from which offsets count: 0, or the ZIP's own first one.
    """

    entries: tuple[Zipped, ...] = ()
    before: bytes = b""
    comment: bytes = b""
    count: int | None = None
    size: int | None = None
    offset: int | None = None
    disk: int = 0
    wide: bool = False
    wide_said: tuple[int, int, int] | None = None
    wide_offset: int | None = None
    counts_from: int = 0

    def build(self) -> bytes:
        """Return the file."""
        made = bytearray(self.before)
        directory = bytearray()
        for entry in self.entries:
            place = len(made) - self.counts_from if entry.offset is None else entry.offset
            made += local_record(entry)
            directory += directory_record(entry, place)
        start = len(made) - self.counts_from
        return bytes(made + directory + self._end(start, len(directory)))

    def _end(self, start: int, length: int) -> bytes:
        count = len(self.entries) if self.count is None else self.count
        size = length if self.size is None else self.size
        offset = start if self.offset is None else self.offset
        ends = b""
        if self.wide:
            ends = wide_end(self.wide_said or (count, size, offset))
            place = start + length if self.wide_offset is None else self.wide_offset
            ends += struct.pack("<4sLQL", b"PK\x06\x07", 0, place, 1)
            count, size, offset = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
        return ends + end_record(count, size, offset, self.comment, disk=self.disk)


def deflated(content: bytes) -> bytes:
    """Deflate, without zlib's header."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def local_record(entry: Zipped) -> bytes:
    """Return what an entry's place in the file has."""
    crc, packed, size = entry.said
    if entry.flags & DESCRIPTOR_FLAG:
        crc = packed = size = 0
    lengths = (len(entry.name), len(entry.local_extra))
    header = struct.pack(
        "<4s5H3L2H",
        b"PK\x03\x04",
        20,
        entry.flags,
        entry.method,
        0,
        33,
        crc,
        packed & 0xFFFFFFFF,
        size & 0xFFFFFFFF,
        *lengths,
    )
    return header + entry.name + entry.local_extra + entry.body + entry.descriptor


def directory_record(entry: Zipped, offset: int) -> bytes:
    """Return what the directory has of an entry."""
    crc, packed, size = entry.said
    sizes = (packed & 0xFFFFFFFF, size & 0xFFFFFFFF)
    lengths = (len(entry.name), len(entry.extra), 0)
    made_by = entry.system << 8 | 20
    header = struct.pack(
        "<4s6H3L5H2L",
        b"PK\x01\x02",
        made_by,
        20,
        entry.flags,
        entry.method,
        0,
        33,
        crc,
        *sizes,
        *lengths,
        0,
        0,
        entry.attributes,
        offset & 0xFFFFFFFF,
    )
    return header + entry.name + entry.extra


def end_record(count: int, size: int, offset: int, comment: bytes = b"", *, disk: int = 0) -> bytes:
    """Return an end record."""
    numbers = (disk, disk, count & 0xFFFF, count & 0xFFFF, size & 0xFFFFFFFF, offset & 0xFFFFFFFF)
    return struct.pack("<4s4H2LH", b"PK\x05\x06", *numbers, len(comment)) + comment


def wide_end(said: tuple[int, int, int]) -> bytes:
    """Return zip64's end record."""
    count, size, offset = said
    return struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)


def descriptor(entry: Zipped, *, signed: bool = True) -> Zipped:
    """Return the entry with its sizes behind its content, where programs put them that write to a stream."""
    crc, packed, size = entry.said
    numbers = struct.pack("<3L", crc, packed, size)
    marked = (b"PK\x07\x08" if signed else b"") + numbers
    return replace(entry, flags=entry.flags | DESCRIPTOR_FLAG, descriptor=marked)


def extra(kind: int, content: bytes) -> bytes:
    """Return a block of an extra field."""
    return struct.pack("<2H", kind, len(content)) + content


def unicode_path(raw_name: bytes, name: str, *, crc: int | None = None) -> bytes:
    """Return Info-ZIP's extra field, which has the name in UTF-8 beside one in an old encoding."""
    checksum = zlib.crc32(raw_name) if crc is None else crc
    return extra(0x7075, b"\x01" + struct.pack("<L", checksum) + name.encode())


def small_zip(*entries: Zipped) -> bytes:
    """Return a ZIP of entries, without a lie in it."""
    return Zip(entries).build()
