"""Where the command line takes photos from: a folder and all below it, or a ZIP."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from app.bulk.archive import Archive, ArchiveLimits, open_archive
from app.bulk.names import clean_name, is_photo_name, shown_name
from app.disk import identity, read_file
from app.errors import PhotoUnreadable, RibbonsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.bulk.archive import Entry

# The archive lies on the reader's own disk already, and its photos are unpacked one by one.
_MOST_BYTES = 1_000_000_000_000
_MOST_ENTRIES = 500_000
_MOST_BYTES_OF_DIRECTORY = 128_000_000


class UnusablePlace(Exception):
    """A place on the disk cannot be what the command line was told that it is.

    Says why in English, as all that is said about how a command was called.
    """


@dataclass(frozen=True, slots=True)
class SourcePhoto:
    """A photo that is not read yet.

    Attributes:
        name: With ``/`` between folders; as it may be shown, where it is refused for its name.
        stamp: Changes when the photo does, as far as can be told without reading it.
        refusal: Why it cannot be read, known beforehand.
        read: Returns its bytes, in whichever process (picklable). Raises RibbonsError.
    """

    name: str
    stamp: str
    refusal: RibbonsError | None
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Source:
    """Photos, in an order that is the same each time.

    Attributes:
        place: The folder or the ZIP; absolute, without links in it.
        photos: Sorted by name.
        skipped: Names of files that are left out: what systems lay beside photos, what is hidden, what is no
            file, and links that lead out of the folder.
    """

    place: Path
    photos: tuple[SourcePhoto, ...]
    skipped: tuple[str, ...]


def open_source(place: Path, max_photo_bytes: int, but: Path | None = None) -> Source:
    """Look at what there is. No photo is read yet.

    Args:
        place: The folder or the ZIP.
        max_photo_bytes: What a photo may have.
        but: A file that may lie among the photos and is none: the table.

    Raises:
        UnusablePlace: It is missing, or neither a folder nor a file, or may not be read.
        RibbonsError: It is a file, but no ZIP, or one that is broken.
    """
    real = _found(place)
    return _folder(real, max_photo_bytes, but) if real.is_dir() else _archive(real, max_photo_bytes)


def _found(place: Path) -> Path:
    try:
        real = place.resolve(strict=True)
    except (OSError, RuntimeError) as exc:  # the latter where links lead in circles
        reason = exc.strerror if isinstance(exc, OSError) else os.strerror(errno.ELOOP)
        raise UnusablePlace(f"{place}: {reason}.") from exc
    if not real.is_dir() and not real.is_file():
        raise UnusablePlace(f"{place} is neither a folder nor a ZIP.")
    return real


def _archive(place: Path, max_bytes: int) -> Source:
    limits = ArchiveLimits(
        photo_bytes=max_bytes,
        archive_bytes=_MOST_BYTES,
        unpacked_bytes=_MOST_BYTES,
        entries=_MOST_ENTRIES,
        directory_bytes=_MOST_BYTES_OF_DIRECTORY,
    )
    try:
        with place.open("rb") as file:
            entries = open_archive(file, limits).entries
    except OSError as exc:
        raise UnusablePlace(f"{place}: {exc.strerror}.") from exc
    photos = [
        SourcePhoto(
            entry.name,
            f"{entry.size}-{entry.record.crc:08x}",
            entry.refusal,
            partial(_unpack, place, entry),
        )
        for entry in entries
        if not entry.skipped
    ]
    return Source(place, _sorted(photos), tuple(sorted(entry.name for entry in entries if entry.skipped)))


def _sorted(photos: list[SourcePhoto]) -> tuple[SourcePhoto, ...]:
    return tuple(sorted(photos, key=lambda photo: (photo.name, photo.stamp)))


# -- a folder ----------------------------------------------------------------------


def _folder(root: Path, max_bytes: int, but: Path | None) -> Source:
    files, closed = _files_below(root)
    table = identity(but) if but else None
    photos = [_refused(_name(path, root), PhotoUnreadable()) for path in closed]
    skipped = []
    for path in files:
        name = _name(path, root)
        try:
            status = _status(path, root)
            if status is None or not is_photo_name(name) or (status.st_dev, status.st_ino) == table:
                skipped.append(shown_name(name))
                continue
            stamp = f"{status.st_size}-{status.st_mtime_ns}"
            photos.append(SourcePhoto(clean_name(name), stamp, None, partial(_read, path, max_bytes)))
        except RibbonsError as error:
            photos.append(_refused(name, error))
        except OSError:
            photos.append(_refused(name, PhotoUnreadable()))
    return Source(root, _sorted(photos), tuple(sorted(skipped)))


def _files_below(root: Path) -> tuple[list[Path], list[Path]]:
    """Return what is no folder, and the folders that cannot be read. A link to a folder is not followed.

    Raises:
        UnusablePlace: The first of all cannot be read.
    """
    closed: list[Path] = []
    files = []
    for place, folders, names in os.walk(root, onerror=lambda exc: closed.append(Path(exc.filename))):
        folder = Path(place)
        links = [folder / name for name in folders if (folder / name).is_symlink()]
        files += [folder / name for name in names] + links
    if root in closed:
        raise UnusablePlace(f"{root}: {os.strerror(errno.EACCES)}.")
    return files, closed


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _status(path: Path, root: Path) -> os.stat_result | None:
    """Return what a file is, and None where it is none, or a link out of the folder.

    Raises:
        OSError: Nobody may look.
    """
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError):  # a link that leads nowhere, or in circles
            return None
        if not real.is_relative_to(root):
            return None
        status = real.stat()
    return status if stat.S_ISREG(status.st_mode) else None


def _refused(name: str, error: RibbonsError) -> SourcePhoto:
    return SourcePhoto(shown_name(name), "", error, partial(_refuse, error))


# -- reading, in a worker ----------------------------------------------------------


def _refuse(error: RibbonsError) -> bytes:
    raise error


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        return read_file(path, max_bytes)
    except OSError:
        raise PhotoUnreadable from None


def _unpack(place: Path, entry: Entry) -> bytes:
    try:
        with place.open("rb") as file:
            return Archive(file, (entry,)).read(entry)
    except OSError:
        raise PhotoUnreadable from None
