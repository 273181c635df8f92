"""ZIP -> photos: one after the other, each in bounded memory, out of an archive that nobody trusts.

What is wrong with the archive itself refuses it whole, before any of it is unpacked; what is wrong with one
entry is told of that entry, and loses nothing else. No file is ever written, so no name and no link leads
anywhere.
"""

from __future__ import annotations

import io
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.bulk.directory import (
    DEFLATED,
    ENCRYPTED_FLAGS,
    LONGEST_NAME,
    STORED,
    read_directory,
    unpack,
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

_DENSEST = 1032
"""How much larger deflate can make what it unpacks: two bits for each run of 258 bytes."""
_RATIO = 200
"""Above which an entry, or all of them, are a bomb. Photos are packed already: theirs is about 1."""
_SMALL = 1_000_000
"""Bytes of an entry up to which its ratio says nothing: a photo of a plain colour packs well."""
_LITTLE = 100 * _SMALL
"""The same, of all entries."""

# Of 4.4.2: systems in whose names "\" stands between folders, and those whose attributes are a Unix mode.
_WINDOWS = frozenset({0, 10, 11, 14})
_UNIX = frozenset({3, 19})
_FOLDER_ATTRIBUTE = 0x10
_OLD_ENCODINGS = ("cp437", "cp1252", "cp1256", "cp720")
"""Of names that are not UTF-8: ZIP's own, then those of Windows, and of DOS where it was Arabic."""
_ARCHIVE_ENDING = re.compile(r"\.(zipx?|jar|rar|7z|tar|t?gz|bz2|xz|zst|cab|iso)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How much of an archive is taken. Each is checked before the work that it bounds.

    Attributes:
        photo_bytes: Of one photo; MB are 1,000,000 bytes.
        archive_bytes: Of the archive.
        unpacked_bytes: Of all its photos, unpacked.
        entries: Photos, folders, and what systems lay beside them: macOS a file for each photo.
        directory_bytes: Of the archive's directory, which has about 100 for each entry.
    """

    photo_bytes: int = 40_000_000
    archive_bytes: int = 20_000_000_000
    unpacked_bytes: int = 40_000_000_000
    entries: int = 120_000
    directory_bytes: int = 32_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A file in an archive.

    Attributes:
        name: Cleaned; where it is refused for its name, as it may be shown.
        refusal: Why it is not read, whatever it holds.
        skipped: It is no photo, but what a system laid beside photos. It is not read either.
        size: Bytes that it holds, by the archive's word.
    """

    name: str
    refusal: RibbonsError | None
    skipped: bool
    size: int
    record: Record = field(repr=False)


class Archive:
    """The photos of a ZIP. One thread at a time may read them.

    Attributes:
        entries: In the order in which they lie in the file: read in turn, they read it once, from its
        beginning.
    """

    def __init__(self, file: BinaryIO, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self._file = file

    def read(self, entry: Entry) -> bytes:
        """Return what an entry holds: as many bytes as it says, which a photo may have, and in memory once.

        What is no photo by its first bytes, such as another archive, is unpacked no further.

        Raises:
            ArchiveDamaged: It is not what the archive says of it.
            PhotoNotSupported: It begins as no photo does, or is to be skipped.
            RibbonsError: Its refusal, where it has one; ``PhotoTooManyBytes`` among them.
        """
        if entry.refusal:
            raise entry.refusal
        if entry.skipped:
            raise _not_a_photo()
        # Of the size that it will have: a growing one would be copied when it is whole.
        content = io.BytesIO(bytes(entry.size))
        unseen = SIGNATURE_BYTES
        for piece in unpack(self._file, entry.record):
            content.write(piece)
            if unseen and content.tell() >= min(unseen, entry.size):
                unseen = 0
                _check_beginning(content.getvalue()[:SIGNATURE_BYTES])
        return content.getvalue()


def open_archive(file: BinaryIO, limits: ArchiveLimits) -> Archive:
    """Open a ZIP: read its directory, and decide what of it may be read.

    Args:
        file: Seekable. It stays open, and is the archive's from now on.
        limits: How much is taken.

    Raises:
        ArchiveNotSupported: It is no ZIP.
        ArchiveDamaged: It is broken, contradicts itself, or is built to do harm.
        ArchiveTooLarge: It has more bytes or entries than are taken, or unpacks to more.
    """
    length = file.seek(0, io.SEEK_END)
    if length > limits.archive_bytes:
        raise ArchiveTooLarge.over(limits.archive_bytes)
    try:
        records = read_directory(file, limits.entries, limits.directory_bytes)
    except ArchiveTooLarge:
        raise ArchiveTooLarge.over(limits.archive_bytes) from None  # what is told is what people can divide
    entries = _entries(records, limits.photo_bytes)
    _check_total(entries, limits.unpacked_bytes, length)
    return Archive(file, entries)


def _entries(records: Sequence[Record], photo_bytes: int) -> list[Entry]:
    encoding = _encoding([record.raw_name for record in records if record.name is None])
    seen: set[str] = set()
    entries = []
    for record in records:
        name = _name(record, encoding)
        if _is_folder(record, name):
            continue
        entries.append(_entry(record, name, photo_bytes, seen))
    return entries


def _entry(record: Record, name: str, photo_bytes: int, seen: set[str]) -> Entry:
    if not is_photo_name(name):
        return Entry(shown_name(name), None, skipped=True, size=record.size, record=record)
    refusal: RibbonsError | None
    try:
        cleaned = clean_name(name)
    except InvalidName as error:
        cleaned, refusal = shown_name(name), error
    else:
        is_new = fold(cleaned) not in seen
        refusal = _refusal(record, name, photo_bytes) if is_new else NameRepeated()
        seen.add(fold(cleaned))
    return Entry(cleaned, refusal, skipped=False, size=record.size, record=record)


def _refusal(record: Record, name: str, photo_bytes: int) -> RibbonsError | None:
    """Return why an entry is not read, by what the directory says of it."""
    is_other = record.system in _UNIX and stat.S_IFMT(record.attributes >> 16) not in {0, stat.S_IFREG}
    if is_other or name.endswith("/") or _ARCHIVE_ENDING.search(name):
        return _not_a_photo()  # a link, a device, a folder with something in it, another archive
    if record.flags & ENCRYPTED_FLAGS or record.method not in {STORED, DEFLATED}:
        return EntryNotSupported()
    if record.size > photo_bytes:
        return PhotoTooManyBytes.over(photo_bytes)
    is_stored_as_other = record.method == STORED and record.size != record.packed
    if is_stored_as_other or record.size > _DENSEST * record.packed or record.least_end > record.end:
        return ArchiveDamaged()
    if record.size > _SMALL and record.size > _RATIO * record.packed:
        return PhotoDamaged()
    return None


def _check_total(entries: Iterable[Entry], most: int, length: int) -> None:
    """Check what all photos unpack to: as none unpacks to more than it says, in truth and by their word."""
    total = sum(entry.size for entry in entries if not entry.refusal and not entry.skipped)
    if total > most:
        raise ArchiveTooLarge.over(most)
    if total > _LITTLE and total > _RATIO * length:
        raise ArchiveDamaged


def _encoding(names: Iterable[bytes]) -> str:
    """Return the encoding of names that do not say which. That of macOS is UTF-8, and it does not say so."""
    whole = [name for name in names if len(name) <= LONGEST_NAME]
    try:
        b"\n".join(whole).decode()
    except UnicodeDecodeError:
        return guess_encoding(whole, _OLD_ENCODINGS) or "cp437"
    return "utf-8"


def _name(record: Record, encoding: str) -> str:
    name = record.name
    if name is None:
        name = record.raw_name.decode(encoding, errors="replace")
    return name.replace("\\", "/") if record.system in _WINDOWS else name


def _is_folder(record: Record, name: str) -> bool:
    is_marked = record.system in _WINDOWS and record.attributes & _FOLDER_ATTRIBUTE
    return not record.size and (name.endswith("/") or bool(is_marked))


def _check_beginning(head: bytes) -> None:
    if not any(known.may_begin(head) for known in READ_FORMATS):
        raise _not_a_photo()


def _not_a_photo() -> PhotoNotSupported:
    return PhotoNotSupported(formats=FORMAT_NAMES)
