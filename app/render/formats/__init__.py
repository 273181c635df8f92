"""The formats of photos that are read, and what a photo's file says of itself before any decoder sees it.

One module per container. Each reads the headers, in bounded time and memory, and gives a :class:`Container`:
the size, what decoding will cost, which way is up, which colours are meant, and the file again with its
metadata left out. Decoders therefore never meet EXIF, XMP, comments, thumbnails, second pictures or later
frames, which is where both the private things and most of the bombs are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from app.render.colourspace import ColourSpace

Codec = Literal["jpeg", "png", "gif", "webp", "avif", "heif"]


@dataclass(frozen=True, slots=True)
class PhotoFormat:
    """A format of photos that is read.

    Attributes:
        name: What people call it.
        codec: What its pixels are coded with.
        signature: What a file of it begins with: a regular expression over its first characters, read as
            Latin-1, that Python and JavaScript understand alike.
        endings: Of files' names, where some systems know a photo of this format by its name only.
    """

    name: str
    codec: Codec
    signature: str
    endings: tuple[str, ...] = ()

    def may_begin(self, photo: bytes) -> bool:
        """Whether a file begins as one of this format does, or of another with the same signature."""
        return re.match(self.signature, photo[:SIGNATURE_BYTES].decode("latin-1")) is not None


SIGNATURE_BYTES = 16
"""More than any signature needs."""

# AVIF and HEIC are brands of one container: which it is, bmff.py finds out.
_BMFF = r"^[\s\S]{4}ftyp"

READ_FORMATS: tuple[PhotoFormat, ...] = (
    PhotoFormat("JPEG", "jpeg", r"^\xff\xd8\xff"),
    PhotoFormat("PNG", "png", r"^\x89PNG\r\n\x1a\n"),
    PhotoFormat("WebP", "webp", r"^RIFF[\s\S]{4}WEBP"),
    PhotoFormat("AVIF", "avif", _BMFF, (".avif",)),
    PhotoFormat("HEIC", "heif", _BMFF, (".heic", ".heif")),
    PhotoFormat("GIF", "gif", "^GIF8[79]a"),
)
"""In the order in which people are told of them: the likeliest first."""

FORMAT_NAMES = tuple(known.name for known in READ_FORMATS)

PICKED_FILES = ("image/*", *(ending for known in READ_FORMATS for ending in known.endings))
"""What systems are asked to offer where a photo is chosen, as HTML's ``accept`` has it."""

PHOTO_SIGNATURE = "|".join(dict.fromkeys(known.signature for known in READ_FORMATS))
"""What a file begins with that may be a photo of any of them."""

MAX_PARTS = 20_000
"""Segments, chunks, blocks or boxes that are walked before a file is called damaged.

A photo has tens, an animation of 10,000 frames 10,000. A step of the walk takes about 0.5 µs, so a file built
of nothing but headers costs 10 ms and not the seconds that 40 MB of them would.
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """How to tell what a file without its end lacks: what is in it comes out the same, whatever follows.

    Attributes:
        data: The file as a decoder is given it, but with noise where the end is missing.
        rows: Stored rows, from the top, that have to be in the file; they come out alike from both.
        scale: At which noise is sure to be seen.
    """

    data: bytes
    rows: int
    scale: float = 1


@dataclass(frozen=True, slots=True)
class Container:
    """A photo's file, understood but not decoded.

    Attributes:
        codec: What its pixels are coded with.
        width: Pixels, as stored (before ``orientation``).
        height: Pixels, as stored.
        streams: The decoder can shrink while it reads, in memory that does not grow with the picture.
        orientation: How the stored picture is to be turned, 1-8 as in EXIF.
        profile: An ICC profile, as found: it may be broken or of another colour model.
        space: Colours named by numbers instead (CICP or PNG's gAMA and cHRM), where there is no profile.
        data: The file, cut down to what a decoder needs.
        crop: Left, top, right and bottom of the part of the decoded picture that is the photo, where that is
            not all of it. ``width`` and ``height`` are of the part.
        decoded_pixels: What the decoder will have to make, where that is more than the photo has.
        place: Where on a canvas of ``width`` x ``height`` the picture lies (left, top), where it may be
            smaller: an animation's first frame. Around it everything is transparent.
        key: The one colour that is transparent, of 16 bits a channel, where a decoder would compare fewer.
        probe: Where the file lacks its end.
    """

    codec: Codec
    width: int
    height: int
    streams: bool
    orientation: int
    profile: bytes | None
    space: ColourSpace | None
    data: bytes
    crop: tuple[int, int, int, int] | None = None
    decoded_pixels: int = 0
    place: tuple[int, int] | None = None
    key: tuple[int, ...] | None = None
    probe: Probe | None = None


class BrokenContainer(Exception):
    """The headers contradict themselves, end too soon, or go on for too long."""


class UnknownContainer(Exception):
    """Not a kind of file that is read."""
