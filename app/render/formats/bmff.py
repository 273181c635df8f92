"""HEIF and AVIF (ISO/IEC 23008-12, MIAF 23000-22, AV1 image format): one picture, as a file of its own.

A file of this kind holds items: coded pictures, pictures made of others, and what goes with them (a film, a
gain map, a depth map, thumbnails, EXIF, XMP). A decoder is given none of that but what the one picture is
made of, in a file written anew: nothing in it can point at what is gone, and no brand promises it. What is
shown:

- **Which picture.** The primary item (``pitm``), whatever it is: a coded picture, a grid, an overlay, even
  one that others call their thumbnail. Of an identity (``iden``) what it is made of; of a tone-mapped picture
  (``tmap``) its base, without the gain map. Where the primary item is of a kind that is not read, the first
  of its alternatives (``altr``) that is. A sequence (``avis``, ``msf1``) is shown by its primary item and its
  film is left out; a film without one is not read.
- **Which codec.** That of the coded items: brands play no part.
- **Which colours.** Those of the primary item, else of the first coded picture that it is made of, else those
  that the AV1 stream names. Of several ``colr`` an ICC profile wins over numbers (nclx), and the first of a
  kind over the next; the numbers still say how RGB is made. Other items' colours are no concern of it.
- **Transparency** is kept, and no other auxiliary picture.
- **Crop and turns** (``clap``, ``irot``, ``imir``) are taken out of the file, since decoders differ in them,
  and applied after it. In HEIF in the order in which they are listed, as libheif does; in AVIF the first of
  each in MIAF's order crop, rotation, mirror, as libavif and with it browsers do. A crop of fractions of
  pixels is rounded as libheif does: the size to the nearest, the place down. What of a crop lies outside of
  the picture is cut off; one that has no pixel inside, or no meaning, is ignored.
- **EXIF** is not read. Its orientation does not count here: MIAF (7.3.6.7) has readers turn by properties
  alone.
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import TYPE_CHECKING

from app.render.colourspace import ColourSpace
from app.render.formats import BrokenContainer, Container, UnknownContainer
from app.render.formats.av1 import colours
from app.render.formats.items import Items
from app.render.formats.parts import CODECS, DERIVED, MAX_DEPTH, Parts
from app.render.formats.rewrite import TURNS, rewrite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.render.formats.items import Property

Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom."""

CLAP = ">8i"
"""Width, height, and how far the middle is moved to the right and down: each a fraction."""
MIAF_ORDER = (b"clap", b"irot", b"imir")
ORIENTATIONS = {
    (0, False): 1,
    (0, True): 2,
    (2, False): 3,
    (2, True): 4,
    (3, True): 5,
    (3, False): 6,
    (1, True): 7,
    (1, False): 8,
}
"""EXIF's number for quarters of a turn, anticlockwise, and a swap of left and right after them."""


def read_bmff(photo: bytes) -> Container:
    """Read the properties, and leave of the file what the picture itself is made of.

    Raises:
        BrokenContainer: Cut short, contradictory, or more than any photo has.
        UnknownContainer: No picture, or one of a kind that is not read.
    """
    items = Items(photo)
    names = _find_picture(items)
    parts = Parts(items, names)
    turns = [found for number in reversed(names) for found in items[number].properties if found.kind in TURNS]
    if parts.codec == "avif":
        firsts = (next((found for found in turns if found.kind == kind), None) for kind in MIAF_ORDER)
        turns = [found for found in firsts if found]
    size = items[parts.base].size()
    view = _View(size)
    for turn in turns:
        view.apply(turn)
    left, top, right, bottom = view.crop
    profile, numbers = _colours(items, parts, names)
    return Container(
        codec=parts.codec,
        width=right - left,
        height=bottom - top,
        streams=False,
        orientation=ORIENTATIONS[view.quarters % 4, view.mirrored],
        profile=profile,
        space=ColourSpace.from_cicp(*numbers) if numbers else None,
        data=rewrite(items, parts),
        crop=None if view.crop == (0, 0, *size) else view.crop,
        decoded_pixels=parts.decoded_pixels,
    )


def _find_picture(items: Items) -> list[int]:
    """Return the numbers of the items that stand for the picture: the outermost first, the picture last."""
    number = _first_known(items)
    names: list[int] = []
    for _ in range(MAX_DEPTH):
        item = items[number]
        if item.kind != b"tmap":
            names.append(number)
        if item.kind not in {b"iden", b"tmap"}:
            return names
        if not item.inputs():
            break
        number = item.inputs()[0]
    raise BrokenContainer


def _first_known(items: Items) -> int:
    """Return the primary item, or the first of its alternatives that is of a kind that is read."""
    known = {*CODECS, *DERIVED, b"tmap"}
    if items[items.primary].kind in known:
        return items.primary
    others: list[int] = next((group for group in items.alternatives if items.primary in group), [])
    for number in others:
        if number in items and items[number].kind in known:
            return number
    raise UnknownContainer


# -- colours ---------------------------------------------------------------


def _colours(items: Items, parts: Parts, names: Sequence[int]) -> tuple[bytes | None, tuple[int, int] | None]:
    """Return the picture's ICC profile, and its primaries and transfer by number, where it has them."""
    coded = parts.first_coded()
    for number in (*names, coded):
        said = [found.body for found in items[number].properties if found.kind == b"colr"]
        profile = next((body[4:] for body in said if body[:4] in {b"prof", b"rICC"}), None)
        numbers = next((body[4:8] for body in said if body[:4] == b"nclx" and len(body) >= 8), None)
        if profile or numbers:
            return profile, _two_numbers(numbers) if numbers else None
    if parts.codec == "avif":
        return None, colours(items.bytes_of(parts.pieces[coded]))
    return None, None


def _two_numbers(body: bytes) -> tuple[int, int]:
    return int.from_bytes(body[:2], "big"), int.from_bytes(body[2:], "big")


# -- crop and turns --------------------------------------------------------


class _View:
    """How the decoded picture is shown: what part of it, and how turned.

    Attributes:
        crop: The part, in the decoded picture.
        quarters: Quarters of a turn that it is given, anticlockwise.
        mirrored: Left and right are swapped after that.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.crop: Rectangle = (0, 0, *size)
        self.quarters = 0
        self.mirrored = False

    def apply(self, turn: Property) -> None:
        """Apply one more property to what is shown so far."""
        if turn.kind == b"clap":
            self._cut(turn.body)
        elif turn.kind == b"irot" and turn.body:
            self.quarters += -(turn.body[0] & 3) if self.mirrored else turn.body[0] & 3
        elif turn.kind == b"imir" and turn.body:
            self.mirrored = not self.mirrored
            if not turn.body[0] & 1:  # top and bottom: the same, turned by a half
                self.quarters += 2

    def _cut(self, clap: bytes) -> None:
        left, top, right, bottom = self.crop
        width, height = right - left, bottom - top
        if self.quarters % 2:
            width, height = height, width
        cut = _clean_aperture(clap, width, height)
        if cut is None:
            return
        if self.mirrored:
            cut = (width - cut[2], cut[1], width - cut[0], cut[3])
        for _ in range(self.quarters % 4):  # back, a quarter clockwise at a time
            cut = (height - cut[3], cut[0], height - cut[1], cut[2])
            width, height = height, width
        self.crop = (left + cut[0], top + cut[1], left + cut[2], top + cut[3])


def _clean_aperture(clap: bytes, width: int, height: int) -> Rectangle | None:
    """Return what a crop leaves of a picture (ISO/IEC 14496-12, 12.1.4.1); None where that is nothing."""
    if len(clap) < struct.calcsize(CLAP):
        return None
    numbers = struct.unpack_from(CLAP, clap)
    if min(numbers[1::2]) <= 0:
        return None
    wide, high, right, down = (Fraction(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))
    across, along = _span(wide, right, width), _span(high, down, height)
    if across[0] >= across[1] or along[0] >= along[1]:
        return None
    return across[0], along[0], across[1], along[1]


def _span(length: Fraction, offset: Fraction, whole: int) -> tuple[int, int]:
    """Return where a span begins and ends whose middle is that far from the middle of a whole."""
    start: int = math.floor((whole - length) / 2 + offset)
    end: int = start + math.floor(length + Fraction(1, 2))
    return max(start, 0), min(end, whole)
