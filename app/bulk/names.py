"""Names of photos and of their avatars: what is kept of a name, and which two are the same.

A name is kept as it came. macOS writes accents and vowel marks apart from their letters (NFD) where other
systems compose them (NFC), so two spellings are compared by :func:`fold`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from app.errors import InvalidName

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

PART_BYTES = 255
"""Of a file's or a folder's name, in UTF-8: more than this no usual file system keeps."""
NAME_BYTES = 1024
"""Of a name with its folders, in UTF-8: S3 keeps no more."""

_DRIVE = re.compile(r"[A-Za-z]:")
_SEPARATORS = re.compile(r"[/\\]")
# Control characters, halves of surrogate pairs (a name that is no Unicode), and what ends a line.
_NOT_KEPT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_EXTENSION = re.compile(r"(?<=[^/])\.(?=[0-9]*[A-Za-z])[0-9A-Za-z]{1,5}$")

SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
"""What systems lay beside photos, in lower case: previews, folders' settings. Partners' page is told them."""
SYSTEM_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin", "system volume information"})
"""The same of folders, with all that lies in them: resource forks, previews, what was deleted."""


def clean_name(name: str) -> str:
    r"""Return a photo's name as it is kept: folders with ``/`` between them, else as it came.

    A ``\`` is left where it is, since other systems than Windows have it in names; but no name leads out of
    its folder on a system that takes it for a separator.

    Raises:
        InvalidName: It is empty, too long, absolute, leads upwards, or has characters that nothing can keep.
    """
    if name.startswith(("/", "\\")) or _DRIVE.match(name) or _NOT_KEPT.search(name):
        raise InvalidName
    if ".." in _SEPARATORS.split(name):
        raise InvalidName
    parts = [part for part in name.split("/") if part not in {"", "."}]
    cleaned = "/".join(parts)
    # Without a "." before it, what follows may look absolute: "./C:/x".
    if not parts or _DRIVE.match(cleaned) or cleaned.startswith("\\"):
        raise InvalidName
    if max(map(_length, parts)) > PART_BYTES or _length(cleaned) > NAME_BYTES:
        raise InvalidName
    return cleaned


def shown_name(name: str) -> str:
    """Return a name that may not be kept, as it can be shown: on one line, and not for longer than a line."""
    return _NOT_KEPT.sub("\ufffd", name[:200]) or "\ufffd"


def fold(name: str) -> str:
    """Return what two spellings of one name have in common. Capitals stay: some systems tell them apart."""
    return unicodedata.normalize("NFC", name)


def is_photo_name(name: str) -> bool:
    """Whether a name is not one of those that systems lay beside photos for themselves.

    macOS's resource forks (``__MACOSX/…``, ``._x``) and ``.DS_Store``, Windows' ``Thumbs.db`` and
    ``desktop.ini``, previews of network disks, and all that is hidden (``.x``).
    """
    *folders, file = name.split("/")
    is_hidden = any(len(part) > 1 and part[0] == "." != part[1] for part in (*folders, file))
    is_systems = any(folder.casefold() in SYSTEM_FOLDERS for folder in folders)
    return not (is_hidden or is_systems or file.casefold() in SYSTEM_FILES)


def avatar_names(names: Iterable[str], extension: str) -> dict[str, str]:
    """Name the avatars of photos: ``a/b.heic`` becomes ``a/b.jpg``.

    No two are one file, nor one file and a folder, on any system: also where capitals, or composed letters,
    are not told apart. Photos of which only the extension differs keep it: ``b.heic.jpg``, ``b.png.jpg``;
    what is then still alike gets a number: ``b.png-2.jpg``. The same photos get the same names, in whichever
    order they come.

    Args:
        names: Of photos, cleaned. One that comes twice is one photo.
        extension: Of the avatars, without its dot.

    Returns:
        The avatar's name for each photo's.
    """
    photos = sorted(set(names), key=lambda name: (_key(name), name))
    short = {name: _named(_stem(name), extension) for name in photos}
    count: dict[str, int] = {}
    for name in short.values():
        count[_key(name)] = count.get(_key(name), 0) + 1
    taken = {_key(folder) for name in photos for folder in _folders(name)}
    alone = {name for name in photos if count[_key(short[name])] == 1 and _key(short[name]) not in taken}
    taken |= {_key(short[name]) for name in alone}
    chosen = {}
    numbers: dict[str, int] = {}
    for name in photos:
        chosen[name] = short[name] if name in alone else _free_name(name, extension, taken, numbers)
        taken.add(_key(chosen[name]))
    return chosen


def _free_name(name: str, extension: str, taken: Collection[str], numbers: dict[str, int]) -> str:
    """Return the first name that nothing else has. Numbers go on where the last search ended."""
    whole = _named(name, extension)
    number = numbers.get(_key(whole), 1)
    candidate = whole if number == 1 else _named(name, extension, number)
    while _key(candidate) in taken:
        number += 1
        candidate = _named(name, extension, number)
    numbers[_key(whole)] = number
    return candidate


def _named(stem: str, extension: str, number: int = 1) -> str:
    """Return a file's name: as much of the stem as leaves room for what follows it."""
    ending = f".{extension}" if number == 1 else f"-{number}.{extension}"
    folder, slash, file = stem.rpartition("/")
    kept = file.encode()[: PART_BYTES - len(ending.encode())].decode(errors="ignore")
    return f"{folder}{slash}{kept}{ending}"


def _stem(name: str) -> str:
    return _EXTENSION.sub("", name)


def _folders(name: str) -> Iterator[str]:
    """Yield the folders that a file lies in, from the innermost one."""
    folder = name.rpartition("/")[0]
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]


def _key(name: str) -> str:
    """Return what names have in common that are one on some system (Unicode's D145: canonical caseless)."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def _length(text: str) -> int:
    return len(text.encode())
