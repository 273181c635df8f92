"""Files on a disk: a photo read within its limit, and a file written whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from app.errors import PhotoTooManyBytes

if TYPE_CHECKING:
    from collections.abc import Iterable

PART_PREFIX = ".ribbons-"
"""How a file is called until it is whole. Who was killed meanwhile has left it."""


def read_photo(file: BinaryIO, max_bytes: int) -> bytes:
    """Read a photo, but never more of it than one byte past the limit.

    Raises:
        PhotoTooManyBytes: It has more than ``max_bytes`` bytes.
    """
    photo = file.read(max_bytes + 1)
    if len(photo) > max_bytes:
        raise PhotoTooManyBytes.over(max_bytes)
    return photo


def read_file(path: str | Path, max_bytes: int) -> bytes:
    """Read a photo's file, within its limit.

    Raises:
        PhotoTooManyBytes: It has more than ``max_bytes`` bytes.
        OSError: It is missing, a folder, or may not be read.
    """
    with Path(path).open("rb") as file:
        return read_photo(file, max_bytes)


def replace(output: Path, pieces: Iterable[bytes]) -> None:
    """Write all of the pieces to a file, one after the other, or leave what was there.

    A link at ``output`` is replaced, not followed.

    Raises:
        OSError: It cannot be written.
    """
    mode = 0o666 & ~_umask()
    if output.exists():
        if not os.access(output, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        mode = output.stat().st_mode
    # Its name does not hold the output's, which may be as long as a name may be.
    with tempfile.NamedTemporaryFile(dir=output.parent, prefix=PART_PREFIX, delete=False) as file:
        part = Path(file.name)
        try:
            for piece in pieces:
                file.write(piece)
            file.flush()
            # Else a power cut may leave a file of the right name with nothing in it, or a piece.
            os.fsync(file.fileno())
            part.chmod(mode)
            part.replace(output)
        except BaseException:
            # Ctrl-C too leaves nothing behind.
            part.unlink(missing_ok=True)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def identity(path: Path) -> tuple[int, int] | None:
    """Return what a file is known by whatever it is called, or None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
