"""Where the command line puts avatars and their report: a folder, or a ZIP that is packed of one."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
import zipfile
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Protocol

from app.bulk.report import MADE_FROM, is_to_go_on, read_report
from app.bulk.sources import UnusablePlace
from app.disk import PART_PREFIX, replace
from app.errors import InvalidName

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from app.bulk.report import ReportRow

REPORT = "report.csv"
"""How the report is called, beside the avatars."""
UNFINISHED = ".unfinished"
"""What follows a ZIP's name in that of the folder in which its avatars are until it is packed."""

# A disk that cannot keep a name says so in one of these ways; so does one on which a file lies where a folder
# would have to be.
_BAD_NAME = frozenset(
    {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.EISDIR, errno.ENOTDIR, errno.EEXIST}
)
_LOCKED = frozenset({errno.EWOULDBLOCK, errno.EACCES})
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a ZIP can tell: when each avatar was made is nobody's business, and the same avatars
make the same ZIP."""


class Destination(Protocol):
    """Where avatars go. What is there already is looked at; nothing is written before :meth:`begin`."""

    leaves_others: bool
    """Whether avatars of an earlier run, that are none of this one's, stay where they are."""

    def check(self, avatars: Collection[str], source: Path) -> None:
        """Prove that nothing will be written over but avatars of an earlier run.

        Args:
            avatars: Names of all that are to be there.
            source: The folder or the ZIP that the photos are in.

        Raises:
            UnusablePlace: Something else would be.
        """

    def earlier(self) -> Mapping[str, Mapping[str, str]]:
        """Return the report's lines of avatars that are there, by what these were made from."""

    def is_final(self, report: bytes, avatars: Collection[str]) -> bool:
        """Tell whether all is here as :meth:`finish` would leave it, where nothing has to be drawn."""

    def begin(self, report: bytes, kept: Collection[ReportRow], avatars: Collection[str]) -> None:
        """Make ready for writing.

        Args:
            report: What is known beforehand, to which lines are added.
            kept: Lines of the avatars that stay as they are, of those from :meth:`earlier`.
            avatars: Names of all that are to be there.

        Raises:
            UnusablePlace: Another process writes here.
            OSError: Nothing can be written.
        """

    def put(self, avatar: str, content: bytes) -> None:
        """Write an avatar whole, or leave what was there.

        Raises:
            InvalidName: The disk cannot keep its name.
            OSError: It cannot be written.
        """

    def note(self, line: bytes) -> None:
        """Add a line to the report. Raises OSError."""

    def finish(self, report: bytes, avatars: Collection[str]) -> None:
        """Write the whole report in place of the lines, and make what is here final. Raises OSError."""

    def read(self, avatar: str) -> bytes:
        """Return an avatar's bytes. Raises OSError."""

    def close(self) -> None:
        """Let others write here."""


def choose_destination(place: Path, source: Path) -> Destination:
    """Return what avatars go to: a ZIP where the name ends so, unless a folder has it; else a folder.

    Args:
        place: Whose name somebody gave. It need not be there.
        source: Where the photos are; absolute, without links in it.

    Raises:
        UnusablePlace: It cannot be that, or lies in the source, or is the source.
    """
    real = place.resolve()
    if real == source or (real.is_relative_to(source) and source.is_dir()):
        raise UnusablePlace(f"{place} lies in the folder of the photos, or is it. Choose another place.")
    if place.suffix.lower() == ".zip" and not real.is_dir():
        if real.exists() and not real.is_file():
            raise UnusablePlace(f"{place} is neither a folder nor a ZIP.")
        return ZipDestination(real)
    if real.exists() and not real.is_dir():
        raise UnusablePlace(f"{place} is a file. Name a folder, or a ZIP, whose name ends in .zip.")
    return FolderDestination(real)


class FolderDestination:
    """Avatars in a folder, and folders below it, with the report beside them.

    Args:
        folder: Absolute. It need not be there.
    """

    leaves_others = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._report: BinaryIO | None = None
        self._lock: int | None = None

    def check(self, avatars: Collection[str], source: Path) -> None:
        """See :meth:`Destination.check`."""
        report = self.folder / REPORT
        is_ours = self._is_ours(report)
        if os.path.lexists(report) and not is_ours:
            raise UnusablePlace(f"{report} is there already, and not made by us. Choose another folder.")
        for folder in self._folders(avatars):
            if folder.resolve().is_relative_to(source):
                raise UnusablePlace(f"{folder} lies in the folder of the photos. Choose another place.")
        for path in map(self.folder.joinpath, avatars):
            if path == source or (not is_ours and os.path.lexists(path)):
                raise UnusablePlace(f"{path} is there already, and not made by us. Choose another folder.")

    def _folders(self, avatars: Collection[str]) -> set[Path]:
        return {(self.folder / avatar).parent for avatar in avatars} | {self.folder}

    @staticmethod
    def _is_ours(report: Path) -> bool:
        try:
            return is_to_go_on(report.read_bytes())
        except OSError:
            return False

    def earlier(self) -> Mapping[str, Mapping[str, str]]:
        """See :meth:`Destination.earlier`."""
        try:
            report = (self.folder / REPORT).read_bytes()
        except OSError:
            return {}
        return {row[MADE_FROM]: row for row in _made(report) if self.has(row["avatar"])}

    def has(self, avatar: str) -> bool:
        """Tell whether an avatar is there. An empty file is what a power cut leaves of one."""
        try:
            status = (self.folder / avatar).lstat()
        except (OSError, ValueError):
            return False
        return stat.S_ISREG(status.st_mode) and status.st_size > 0

    def is_final(self, report: bytes, avatars: Collection[str]) -> bool:  # noqa: ARG002 - the protocol's
        """See :meth:`Destination.is_final`."""
        try:
            return (self.folder / REPORT).read_bytes() == report
        except OSError:
            return False

    def begin(self, report: bytes, kept: Collection[ReportRow], avatars: Collection[str]) -> None:  # noqa: ARG002
        """See :meth:`Destination.begin`."""
        self.claim()
        for folder in self._folders(avatars):
            for left in folder.glob(f"{PART_PREFIX}*"):  # of a run that was killed
                left.unlink(missing_ok=True)
        replace(self.folder / REPORT, [report])
        self._report = (self.folder / REPORT).open("ab")

    def claim(self) -> None:
        """Make the folder, prove that it can be written to, and lock it where its file system can.

        The lock ends with this process, however that ends.

        Raises:
            UnusablePlace: Another process has it.
            OSError: It cannot be made, or not be written to.
        """
        if self._lock is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=self.folder).close()
        self._lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            if exc.errno in _LOCKED:
                raise UnusablePlace(f"Another process is writing to {self.folder}.") from exc

    def put(self, avatar: str, content: bytes) -> None:
        """See :meth:`Destination.put`."""
        path = self.folder / avatar
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, [content])
        except OSError as exc:
            if exc.errno in _BAD_NAME:
                raise InvalidName from exc
            raise

    def note(self, line: bytes) -> None:
        """See :meth:`Destination.note`."""
        if self._report is None:
            raise ValueError("begin() comes first")
        self._report.write(line)
        self._report.flush()

    def finish(self, report: bytes, avatars: Collection[str]) -> None:  # noqa: ARG002 - the protocol's
        """See :meth:`Destination.finish`."""
        replace(self.folder / REPORT, [report])

    def read(self, avatar: str) -> bytes:
        """See :meth:`Destination.read`."""
        return (self.folder / avatar).read_bytes()

    def close(self) -> None:
        """See :meth:`Destination.close`."""
        if self._report is not None:
            with suppress(OSError):  # a full disk was told already
                self._report.close()
            self._report = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class ZipDestination:
    """Avatars in a ZIP, which is packed when all are made, and replaces an earlier one at one moment.

    Until then they lie in a folder beside it, so that a run that was killed can go on.

    Args:
        place: The ZIP; absolute. It need not be there.
    """

    leaves_others = False

    def __init__(self, place: Path) -> None:
        self._place = place
        self._work = FolderDestination(place.with_name(f"{place.name}{UNFINISHED}"))
        self._packed: zipfile.ZipFile | None = None

    def check(self, avatars: Collection[str], source: Path) -> None:
        """See :meth:`Destination.check`."""
        self._work.check(avatars, source)
        try:
            packed = self._open()
            is_ours = packed is None or is_to_go_on(packed.read(REPORT))
        except (OSError, KeyError, zipfile.BadZipFile):
            is_ours = False
        if not is_ours:
            raise UnusablePlace(f"{self._place} is there already, and not made by us. Choose another name.")

    def _open(self) -> zipfile.ZipFile | None:
        if self._packed is None and self._place.exists():
            self._packed = zipfile.ZipFile(self._place)
        return self._packed

    def earlier(self) -> Mapping[str, Mapping[str, str]]:
        """See :meth:`Destination.earlier`."""
        packed = self._open()
        rows = {} if packed is None else {row[MADE_FROM]: row for row in _made(packed.read(REPORT))}
        there = {made: row for made, row in rows.items() if packed and row["avatar"] in packed.NameToInfo}
        return there | dict(self._work.earlier())

    def is_final(self, report: bytes, avatars: Collection[str]) -> bool:
        """See :meth:`Destination.is_final`."""
        packed = self._open()
        if packed is None or self._work.folder.exists():
            return False
        return {*avatars, REPORT} == set(packed.NameToInfo) and packed.read(REPORT) == report

    def begin(self, report: bytes, kept: Collection[ReportRow], avatars: Collection[str]) -> None:
        """See :meth:`Destination.begin`."""
        self._work.claim()
        in_work = self._work.earlier()
        for row in kept:
            # The one in the ZIP is kept. Of another, which a run that was killed has made, nobody knows.
            if row.avatar is not None and row.made_from not in in_work:
                (self._work.folder / row.avatar).unlink(missing_ok=True)
        self._work.begin(report, kept, avatars)

    def put(self, avatar: str, content: bytes) -> None:
        """See :meth:`Destination.put`."""
        self._work.put(avatar, content)

    def note(self, line: bytes) -> None:
        """See :meth:`Destination.note`."""
        self._work.note(line)

    def finish(self, report: bytes, avatars: Collection[str]) -> None:
        """See :meth:`Destination.finish`."""
        self._work.finish(report, avatars)
        self._pack(sorted(avatars))
        shutil.rmtree(self._work.folder)

    def read(self, avatar: str) -> bytes:
        """See :meth:`Destination.read`."""
        packed = self._open()
        if packed is None or self._work.has(avatar):
            return self._work.read(avatar)
        try:
            return packed.read(avatar)
        except (KeyError, zipfile.BadZipFile) as exc:
            raise OSError(errno.EIO, os.strerror(errno.EIO)) from exc

    def _pack(self, avatars: Iterable[str]) -> None:
        part = self._work.folder / f"{PART_PREFIX}zip"
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for name in avatars:
                archive.writestr(_entry(name), self.read(name))
            archive.writestr(_entry(REPORT), self._work.read(REPORT))
        part.replace(self._place)
        self._close_packed()

    def close(self) -> None:
        """See :meth:`Destination.close`."""
        self._close_packed()
        self._work.close()

    def _close_packed(self) -> None:
        if self._packed is not None:
            self._packed.close()
            self._packed = None


def _made(report: bytes) -> Iterator[dict[str, str]]:
    """Yield the lines of a report that tell of an avatar, and of what it was made."""
    return (row for row in read_report(report) if row["outcome"] == "made" and row.get(MADE_FROM))


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    return entry
