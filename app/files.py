"""The command line's files: photos opened, avatars named and written."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import unicodedata
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.disk import identity, replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from app.spec import Format

STANDARD = "-"
"""What names standard input or output."""


# -- photos ------------------------------------------------------------------------


def open_photo(name: str) -> Any:
    """Open a photo's file, or standard input, to read bytes.

    Raises:
        OSError: It is missing, a folder, or may not be read.
    """
    return click.open_file(name, "rb")


def shown(name: str) -> str:
    """Return a file's name for a terminal: what would move its cursor or colour it is left out."""
    return "".join(
        character if character.isprintable() else "\ufffd" for character in click.format_filename(name)
    )


# -- where avatars go --------------------------------------------------------------


def is_folder(output: str, photos: int) -> bool:
    """Tell whether avatars go to a folder of that name, which need not be there yet, or to that one file.

    A name without an ending is a folder for one photo too: who writes ``*.jpg`` knows not how many there are.

    Raises:
        click.UsageError: It cannot be what that many photos need.
    """
    if not output:
        raise click.UsageError("The name of the output is empty.")
    path = Path(output)
    if output.endswith(os.sep) or path.is_dir():
        return True
    if photos == 1:
        return not path.suffix and output != STANDARD and not path.exists()
    if output == STANDARD or path.exists() or path.suffix.lower() in _formats():
        raise click.UsageError(f"{photos} photos need a folder to go to, and {shown(output)} is none.")
    return True


def name_avatars(photos: Sequence[str], folder: Path, extension: str) -> list[Path]:
    """Return where each photo's avatar goes: ``<stem><extension>``, then ``<stem>-2<extension>`` and so on.

    No two of them have one name, on systems that tell no capitals apart either. What lies in the folder by
    such a name is an earlier avatar, to be replaced; so photos may not lie in it themselves.

    Raises:
        click.UsageError: A photo has no name, lies in the folder, or would be written over by a link.
    """
    if STANDARD in photos:
        raise click.UsageError(
            "A photo from standard input has no name for a file in a folder: name the file."
        )
    if folder.is_dir():
        for beside in {Path(photo).parent for photo in photos}:
            if beside.is_dir() and beside.samefile(folder):
                raise click.UsageError(f"{shown(str(folder))} holds the photos. Choose another folder.")
    targets = [folder / f"{stem}{extension}" for stem in _distinct([Path(photo).stem for photo in photos])]
    sources = {identity(Path(photo)) for photo in photos} - {None}
    for target in targets:
        if identity(target) in sources:
            raise click.UsageError(f"{shown(str(target))} is one of the photos. Choose another folder.")
    return targets


def _distinct(names: Sequence[str]) -> list[str]:
    """Number names that stand for one file on some system."""
    taken: set[str] = set()
    counts: dict[str, int] = {}
    distinct = []
    for name in names:
        plain, candidate = _folded(name), name
        while _folded(candidate) in taken:
            counts[plain] = counts.get(plain, 1) + 1
            candidate = f"{name}-{counts[plain]}"
        taken.add(_folded(candidate))
        distinct.append(candidate)
    return distinct


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def format_by_name(output: Path) -> Format | None:
    """Return the format that a file's name asks for; None for standard output, pipes and devices.

    Raises:
        click.UsageError: The name's ending is no format that is written.
    """
    if output == Path(STANDARD) or (output.exists() and not output.is_file()):
        return None
    formats = _formats()
    try:
        return formats[output.suffix.lower()]
    except KeyError:
        endings = ", ".join(formats)
        ends = f"The name {shown(output.name)} must end in one of: {endings}."
        raise click.UsageError(f"{ends} A folder's name ends in {os.sep}") from None


def _formats() -> dict[str, Format]:
    """Return the formats that are written, by their file names' endings."""
    # Imported here: whoever asks for help need not wait for a library of pictures.
    from app.render.encode import EXTENSIONS  # noqa: PLC0415

    return {**{extension: name for name, extension in EXTENSIONS.items()}, ".jpeg": "jpeg"}


# -- writing -----------------------------------------------------------------------


@contextmanager
def opened_folder(folder: Path) -> Iterator[None]:
    """Make a folder where there is none, and prove that files can be made in it, before the block runs.

    A folder that was made and is empty when the block ends is removed.

    Raises:
        click.FileError: No file can be made in it.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as exc:
            raise click.FileError(str(folder), hint=exc.strerror) from exc
        yield
    finally:
        for place in made:
            # Where something lies in it, or it could not be made, it stays as it is.
            with suppress(OSError):
                place.rmdir()


def write(output: Path, content: bytes) -> None:
    """Write all of ``content`` or nothing: an avatar that is half there replaces no good one.

    A link is followed, and what is no file (a pipe, a device) is written to, never replaced.

    Raises:
        click.FileError: It cannot be written.
    """
    try:
        if output == Path(STANDARD):
            _write_to_stdout(content)
        elif output.exists() and not output.is_file():
            output.write_bytes(content)
        else:
            replace(output.resolve(), [content])
    except OSError as exc:
        raise click.FileError(str(output), hint=exc.strerror) from exc


def _write_to_stdout(content: bytes) -> None:
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    except OSError:
        # What is left in the buffer would be flushed once more at exit, fail again, and hide our exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
