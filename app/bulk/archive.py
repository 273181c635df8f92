"""ZIP -> photos: one after the other, each in bounded memory, from an archive that nobody trusts.

What is wrong with the archive itself refuses it whole, before any of it is unpacked; what is wrong with one entry
is told of that entry and loses nothing else. No file is ever written, so no name and no link can lead anywhere.
"""

from __future__ import annotations

import io
import re
import stat
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.bulk.directory import (
    ENCRYPTED_FLAGS,
    LOCAL_BYTES,
    data_start,
    find_directory,
    read_directory,
)
from app.bulk.encodings import guess_encoding
from app.bulk.names import clean_name, fold, is_photo_name, shown_name
from app.errors import (
    ArchiveDamaged,
    ArchiveTooLarge,
    EntryNotSupported,
    InvalidName,
    NameRepeated,
    PhotoDamaged,
    PhotoNotSupported,
    PhotoTooManyBytes,
    RibbonsError,
)
from app.render.formats import FORMAT_NAMES, READ_FORMATS, SIGNATURE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import BinaryIO

    from app.bulk.directory import Record

_STORED, _DEFLATED = 0, 8
_PIECE = 1 << 16
_MOST_EXPANSION = 1032
"""Of deflate: one bit for each run of 258 bytes."""
_RATIO = 200
"""Above which an entry, or all of them, are a bomb. Photos are packed already: theirs is about 1, and a plain
colour's is large, but not its size."""
_SMALL = 1_000_000
"""Bytes below which an entry's ratio says nothing."""

# Systems of 4.4.2 in whose names "\" stands between folders; and those whose attributes are Unix modes.
_WINDOWS = frozenset({0, 10, 11, 14})
_UNIX = frozenset({3, 19})
_OLD_ENCODINGS = ("cp437", "cp1252", "cp1256", "cp720")
"""In which names are that are not UTF-8: ZIP's own, then those of Windows' programs, and of DOS in Arabic."""
_OTHER_ARCHIVE = re.compile(r"\.(zip|zipx|jar|rar|7z|tar|gz|tgz|bz2|xz|zst|cab|iso)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How much of an archive is taken. MB are 1,000,000 bytes.

    Attributes:
        photo_bytes: Of one photo.
        archive_bytes: Of the archive.
        unpacked_bytes: Of all its photos, unpacked.
        entries: Photos, folders, and what systems lay beside them: macOS one for each photo.
        directory_bytes: Of the archive's directory: some 100 for each entry.
    """

    photo_bytes: int = 40_000_000
    archive_bytes: int = 20_000_000_000
    unpacked_bytes: int = 40_000_000_000
    entries: int = 120_000
    directory_bytes: int = 64_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A file in an archive.

    Attributes:
        name: Cleaned; as it may be shown, where it is refused for its name.
        refusal: Why it is not read, whatever is in it.
        skipped: It is no photo, but what a system laid beside photos.
        size: Bytes of its content, by the archive's word.
    """

    name: str
    refusal: RibbonsError | None
    skipped: bool
    size: int
    record: Record = field(repr=False)
    end: int = field(repr=False)


class Archive:
    """The photos of a ZIP.

    Attributes:
        entries: In the order in which they lie in the file, so that reading them in turn reads it once.
    """

    def __init__(self, file: BinaryIO, entries: Sequence[Entry], photo_bytes: int) -> None:
        self.entries = entries
        self._file = file
        self._photo_bytes = photo_bytes

    def read(self, entry: Entry) -> bytes:
        """Return an entry's content: as many bytes as it said, with the checksum that it said.

        What is no photo by its first bytes, such as another archive, is not unpacked any further.

        Raises:
            PhotoTooManyBytes: It is larger than a photo may be.
            PhotoNotSupported: It begins as no photo does.
            ArchiveDamaged: It is not what the archive says of it.
            RibbonsError: Its refusal, where it has one.
        """
        if entry.refusal:
            raise entry.refusal
        if entry.skipped:
            raise PhotoNotSupported(formats=FORMAT_NAMES)
        content = self._unpacked(entry)
        if zlib.crc32(content) != entry.record.crc:
            raise ArchiveDamaged
        return content

    def _unpacked(self, entry: Entry) -> bytes:
        self._file.seek(entry.record.offset)
        start = data_start(_whole(self._file, LOCAL_BYTES), entry.record)
        if start + entry.record.packed > entry.end:
            raise ArchiveDamaged
        self._file.seek(start)
        if entry.record.method == _STORED:
            return self._stored(entry)
        return self._inflated(entry)

    def _stored(self, entry: Entry) -> bytes:
        head = _whole(self._file, min(SIGNATURE_BYTES, entry.size))
        _check_beginning(head)
        return head + _whole(self._file, entry.size - len(head))

    def _inflated(self, entry: Entry) -> bytes:
        """Unpack an entry, never more of it than it said, and a piece at a time."""
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        content = io.BytesIO()
        left = entry.record.packed
        while not unpacker.eof:
            piece = unpacker.unconsumed_tail or self._file.read(min(_PIECE, left))
            if not unpacker.unconsumed_tail:
                left -= len(piece)
            if not piece:
                raise ArchiveDamaged
            is_first = content.tell() < SIGNATURE_BYTES
            try:
                content.write(unpacker.decompress(piece, min(_PIECE, entry.size - content.tell() + 1)))
            except zlib.error:
                raise ArchiveDamaged from None
            if content.tell() > entry.size:
                raise ArchiveDamaged
            if is_first and content.tell() >= min(SIGNATURE_BYTES, entry.size):
                _check_beginning(content.getbuffer()[:SIGNATURE_BYTES].tobytes())
        if content.tell() != entry.size or left or unpacker.unused_data:
            raise ArchiveDamaged
        return content.getvalue()


def open_archive(file: BinaryIO, limits: ArchiveLimits) -> Archive:
    """Open a ZIP: read its directory, and decide what of it may be read.

    Args:
        file: Seekable. It stays open, and belongs to the archive from now on.
        limits: Checked before the work that they bound.

    Raises:
        ArchiveNotSupported: It is no ZIP.
        ArchiveDamaged: It is broken, contradicts itself, or is built to do harm.
        ArchiveTooLarge: It has more bytes or more entries than are taken, or unpacks to more.
    """
    if file.seek(0, io.SEEK_END) > limits.archive_bytes:
        raise ArchiveTooLarge.over(limits.archive_bytes)
    directory = find_directory(file)
    records = list(read_directory(file, directory, limits.entries, limits.directory_bytes))
    records.sort(key=lambda record: record.offset)
    ends = [record.offset for record in records[1:]] + [directory.start]
    for record, end in zip(records, ends, strict=True):
        if record.offset + LOCAL_BYTES + len(record.raw_name) + record.packed > end <= directory.start:
            raise ArchiveDamaged  # two entries share their bytes, or one has the directory's
    entries = _entries(records, ends, limits)
    _check_total(entries, limits, directory.start)
    return Archive(file, entries, limits.photo_bytes)


def _entries(records: Sequence[Record], ends: Sequence[int], limits: ArchiveLimits) -> list[Entry]:
    unknown = (record.raw_name for record in records if record.name is None)
    encoding = _encoding(list(unknown))
    seen: set[str] = set()
    entries = []
    for record, end in zip(records, ends, strict=True):
        name = _name(record, encoding)
        if name.endswith("/") and not record.size:
            continue  # a folder
        entry = _entry(record, end, name, limits)
        key = fold(entry.name)
        if not entry.refusal and not entry.skipped and key in seen:
            entry = Entry(entry.name, NameRepeated(), False, record.size, record, end)
        seen.add(key)
        entries.append(entry)
    return entries


def _entry(record: Record, end: int, name: str, limits: ArchiveLimits) -> Entry:
    is_skipped = not is_photo_name(name)
    try:
        cleaned = clean_name(name)
        refusal = None if is_skipped else _refusal(record, name, limits)
    except InvalidName as error:
        cleaned = shown_name(name)
        refusal = None if is_skipped else error
    return Entry(cleaned, refusal, is_skipped, record.size, record, end)


def _refusal(record: Record, name: str, limits: ArchiveLimits) -> RibbonsError | None:
    """Return why an entry is not read, by what the directory says of it."""
    kind = stat.S_IFMT(record.attributes >> 16) if record.system in _UNIX else 0
    if kind not in {0, stat.S_IFREG} or name.endswith("/") or _OTHER_ARCHIVE.search(name):
        return PhotoNotSupported(formats=FORMAT_NAMES)
    if record.flags & ENCRYPTED_FLAGS or record.method not in {_STORED, _DEFLATED}:
        return EntryNotSupported()
    if record.size > limits.photo_bytes:
        return PhotoTooManyBytes.over(limits.photo_bytes)
    is_stored = record.method == _STORED
    if (is_stored and record.size != record.packed) or record.size > _MOST_EXPANSION * record.packed:
        return ArchiveDamaged()
    if record.size > _SMALL and record.size > _RATIO * record.packed:
        return PhotoDamaged()
    return None


def _check_total(entries: Iterable[Entry], limits: ArchiveLimits, length: int) -> None:
    """Check what all photos unpack to. None can unpack to more than it said, so this bounds what they do."""
    total = sum(entry.size for entry in entries if not entry.refusal and not entry.skipped)
    if total > limits.unpacked_bytes:
        raise ArchiveTooLarge.over(limits.unpacked_bytes)
    if total > 100 * _SMALL and total > _RATIO * length:
        raise ArchiveDamaged


def _encoding(names: list[bytes]) -> str:
    """Return in which encoding names are that do not say so: macOS writes UTF-8, and does not say so."""
    try:
        b"\n".join(names).decode()
    except UnicodeDecodeError:
        return guess_encoding(names, _OLD_ENCODINGS) or "cp437"
    return "utf-8"


def _name(record: Record, encoding: str) -> str:
    name = record.raw_name.decode(encoding, errors="replace") if record.name is None else record.name
    return name.replace("\\", "/") if record.system in _WINDOWS else name


def _whole(file: BinaryIO, count: int) -> bytes:
    """Read so many bytes."""
    content = file.read(count)
    if len(content) != count:
        raise ArchiveDamaged
    return content


def _check_beginning(head: bytes) -> None:
    if head and not any(known.may_begin(head) for known in READ_FORMATS):
        raise PhotoNotSupported(formats=FORMAT_NAMES)
