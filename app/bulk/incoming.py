"""A ZIP of photos that comes as one stream: kept sealed, piece by piece, until it is whole; then unpacked.

It cannot be unpacked as it comes: which of its bytes are photos, and whether it is sound, is told by the
directory at its end.
"""

from __future__ import annotations

import io
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.bulk.archive import ArchiveLimits, open_archive
from app.errors import (
    ArchiveNotSupported,
    ArchiveTooLarge,
    BatchFull,
    BatchNotFound,
    BatchNotOpen,
    RibbonsError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.bulk.sealing import BatchKey
    from app.bulk.store import Store
    from app.settings import Settings

PIECE_BYTES = 1 << 20
"""Of the ZIP, in one object: what is read at once, and all of it that is in memory."""

_KEPT_PIECES = 4
_FOLDERS = 20_000


@dataclass(frozen=True, slots=True)
class ArchiveReceipt:
    """What a ZIP came to.

    Attributes:
        taken: Photos that are in the batch now.
        skipped: Names of what is no photo and was left out in silence by whoever packed it: resource forks,
            ``Thumbs.db``.
        refused: Names of what was not taken, and why. Those that a photo may have are in the batch, and fail.
    """

    taken: int
    skipped: list[str] = field(default_factory=list)
    refused: list[tuple[str, RibbonsError]] = field(default_factory=list)


class Incoming:
    """Takes a ZIP in for one batch.

    Args:
        store: Where pieces are kept until the end.
        key: The batch's.
        batch: Whose it is.
        settings: Limits.
        receive: Takes one photo in, by name.
        refuse: Keeps the names of those that cannot be taken, and why.
        count_new: Tells how many of some names the batch does not have yet.
        check: Raises where the batch takes nothing any more.
    """

    def __init__(  # noqa: PLR0913 - the last four are the batch's own
        self,
        store: Store,
        key: BatchKey,
        batch: str,
        settings: Settings,
        *,
        receive: Callable[[str, bytes], object],
        refuse: Callable[[Sequence[tuple[str, RibbonsError]]], object],
        count_new: Callable[[Sequence[str]], int],
        check: Callable[[], object],
    ) -> None:
        self._store = store
        self._key = key
        self._folder = f"{batch}/archive/{secrets.token_urlsafe(12)}"
        self._settings = settings
        self._receive = receive
        self._refuse = refuse
        self._count_new = count_new
        self._check = check
        self._piece = bytearray()
        self._pieces: list[str] = []
        self._size = 0

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            ArchiveTooLarge: There are too many.
            BatchNotFound: The batch was erased meanwhile.
            BatchNotOpen: It was started.
            CapacityError: They cannot be kept.
        """
        self._size += len(chunk)
        if self._size > self._settings.max_archive_bytes:
            raise ArchiveTooLarge.over(self._settings.max_archive_bytes)
        self._piece += chunk
        while len(self._piece) >= PIECE_BYTES:
            self._keep(bytes(self._piece[:PIECE_BYTES]))
            del self._piece[:PIECE_BYTES]

    def finish(self, charge: Callable[[int], None] = lambda _photos: None) -> ArchiveReceipt:
        """Unpack what has come. What was kept of it is deleted, however that ends.

        Args:
            charge: Is told how many photos will be new, before the first is taken; what it raises ends the
                whole.

        Raises:
            ArchiveNotSupported: It is no ZIP.
            ArchiveDamaged: Its directory cannot be read.
            ArchiveTooLarge: It unpacks to too much.
            BatchNotOpen: The batch was started meanwhile.
            BatchFull: It has as many photos as it may.
            CapacityError: The store or the ledger failed.
        """
        try:
            if not self._size:
                raise ArchiveNotSupported
            if self._piece:
                self._keep(bytes(self._piece))
            return self._unpack(charge)
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Delete what was kept."""
        self._piece.clear()
        self._store.delete(self._pieces)
        self._pieces.clear()

    def _keep(self, piece: bytes) -> None:
        name = f"{self._folder}/{len(self._pieces)}"
        self._store.put(name, piece, self._key)
        self._pieces.append(name)
        # Afterwards: whoever erases the batch from now on finds the piece.
        self._check()

    def _unpack(self, charge: Callable[[int], None]) -> ArchiveReceipt:
        settings = self._settings
        limits = ArchiveLimits(
            photo_bytes=settings.max_photo_bytes,
            archive_bytes=settings.max_archive_bytes,
            # Photos are packed already.
            unpacked_bytes=2 * settings.max_archive_bytes,
            # macOS lays a second file beside each photo.
            entries=2 * settings.max_batch_photos + _FOLDERS,
        )
        archive = open_archive(
            io.BufferedReader(_Pieces(self._store, self._key, self._pieces, self._size)), limits
        )
        wanted = [entry for entry in archive.entries if not entry.skipped and entry.refusal is None]
        charge(self._count_new([entry.name for entry in wanted]))
        skipped = [entry.name for entry in archive.entries if entry.skipped]
        refused = [(entry.name, entry.refusal) for entry in archive.entries if entry.refusal is not None]
        taken = 0
        for entry in wanted:
            try:
                self._receive(entry.name, archive.read(entry))
            except (BatchNotOpen, BatchNotFound, BatchFull):
                raise
            except RibbonsError as error:
                if error.retry_after is not None:
                    raise
                # Its traceback holds the photo, and all of these errors are kept to the end.
                error.__context__ = None
                refused.append((entry.name, error.with_traceback(None)))
            else:
                taken += 1
        if refused:
            self._refuse(refused)
        return ArchiveReceipt(taken, skipped, refused)


class _Pieces(io.RawIOBase):
    """The pieces as one file that can be read anywhere. A few are in memory."""

    def __init__(self, store: Store, key: BatchKey, pieces: Sequence[str], size: int) -> None:
        super().__init__()
        self._store = store
        self._key = key
        self._pieces = pieces
        self._size = size
        self._at = 0
        self._kept: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._at >= self._size:
            return 0
        index, offset = divmod(self._at, PIECE_BYTES)
        part = self._piece(index)[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _piece(self, index: int) -> bytes:
        if index not in self._kept:
            if len(self._kept) >= _KEPT_PIECES:
                del self._kept[next(iter(self._kept))]
            self._kept[index] = self._store.get(self._pieces[index], self._key)
        return self._kept[index]
