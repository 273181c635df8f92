"""What a photo's file says of itself, read before any decoder sees it.

One module per container. Each reads the headers, in bounded time and memory, and gives a :class:`Container`:
the size, what decoding will cost, which way is up, which colours are meant, and the file again with its
metadata left out. Decoders therefore never meet EXIF, XMP, comments, thumbnails, second pictures or later
frames, which is where both the private things and most of the bombs are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from app.render.colourspace import ColourSpace

Codec = Literal["jpeg", "png", "gif", "webp", "avif", "heif"]

MAX_PARTS = 20_000
"""Segments, chunks, blocks or boxes that are walked before a file is called damaged.

A photo has tens, an animation of 10,000 frames 10,000. A step of the walk takes about 0.5 µs, so a file built
of nothing but headers costs 10 ms and not the seconds that 40 MB of them would.
"""


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
    """

    codec: Codec
    width: int
    height: int
    streams: bool
    orientation: int
    profile: bytes | None
    space: ColourSpace | None
    data: bytes


class BrokenContainer(Exception):
    """The headers contradict themselves, end too soon, or go on for too long."""


class UnknownContainer(Exception):
    """Not a kind of file that is read."""
