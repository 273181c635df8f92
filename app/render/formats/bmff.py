"""HEIF and AVIF (ISO/IEC 14496-12 and 23008-12): brands, sizes, colours by number, and no metadata items."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.render.colourspace import ColourSpace
from app.render.formats import MAX_PARTS, BrokenContainer, Codec, Container, UnknownContainer
from app.render.formats.av1 import largest_frame
from app.render.formats.exif import UPRIGHT

if TYPE_CHECKING:
    from collections.abc import Iterator

AVIF_BRANDS = {b"avif", b"avis"}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
MAX_BRANDS = 64

PARENTS = {b"iprp": 0, b"ipco": 0, b"iinf": 0, b"meta": 4}
"""Boxes whose children are looked at, and the bytes between their header and the first child."""
PICTURE_ITEMS = {b"hvc1", b"av01", b"grid", b"iden", b"iovl"}
"""Items that pixels are made of. All others (EXIF, XMP, whatever else) are emptied."""
MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class _Box:
    """A box: its content is ``[body, end)`` of the file."""

    kind: bytes
    kind_at: int
    body: int
    end: int


def _codec_of(photo: bytes) -> Codec:
    """Tell AVIF and HEIF by the brands in the first box; the first that is known decides."""
    if len(photo) < 16:
        raise UnknownContainer
    (size,) = struct.unpack_from(">I", photo)
    minor = photo[16 : min(size, 16 + 4 * MAX_BRANDS)]
    for brand in (photo[8:12], *(minor[at : at + 4] for at in range(0, len(minor), 4))):
        if brand in AVIF_BRANDS:
            return "avif"
        if brand in HEIF_BRANDS:
            return "heif"
    raise UnknownContainer


def read_bmff(photo: bytes) -> Container:
    """Read the properties, and leave of the file what the picture itself is made of.

    An animation is its primary item, the first frame: its track is blotted out. Orientation is not read here:
    HEIF and AVIF turn pictures by properties of their own (irot, imir), and readers are to leave EXIF's
    orientation alone.

    Raises:
        BrokenContainer: Cut short, contradictory, or with more boxes than any photo.
        UnknownContainer: Neither AVIF nor HEIF, or a film without a still picture.
    """
    codec = _codec_of(photo)
    boxes = list(_boxes(photo))
    items = _read_items(photo, boxes)
    if not items.pictures:
        raise UnknownContainer
    sizes = [_unpack(">II", photo, box.body + 4) for box in boxes if box.kind == b"ispe"]
    if codec == "avif":
        streams = items.streams.values()
        sizes += [largest_frame(b"".join(photo[piece] for piece in pieces)) for pieces in streams]
    # The decoder will give the picture's own size; until then the largest that the file speaks of stands in.
    width, height = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    return Container(
        codec=codec,
        width=width,
        height=height,
        streams=False,
        orientation=UPRIGHT,
        profile=None,
        space=_space(photo, boxes),
        data=_patched(photo, boxes, items),
    )


def _boxes(photo: bytes) -> Iterator[_Box]:
    """Walk over the boxes of the file, and of those that hold others, in the order of the file.

    Raises:
        BrokenContainer: A box that leaves its parent, or too many of them.
    """
    parts = 0
    levels = [(0, len(photo))]
    while levels:
        at, end = levels.pop()
        if at + 8 > end:
            continue
        parts += 1
        if parts > MAX_PARTS:
            raise BrokenContainer
        size, kind = struct.unpack_from(">I4s", photo, at)
        body = at + 8
        if size == 1:
            (size,) = _unpack(">Q", photo, body)
            body += 8
        elif size == 0:
            size = end - at
        if not body - at <= size <= end - at:
            if end == len(photo):
                return  # phones put bytes of their own after the last box
            raise BrokenContainer
        levels.append((at + size, end))
        box = _Box(kind, at + 4, body, at + size)
        yield box
        if kind in PARENTS and len(levels) < MAX_DEPTH:
            skipped = PARENTS[kind]
            if kind == b"iinf":  # version, and with it the width of the count
                skipped = 6 if photo[body : body + 1] == b"\0" else 8
            levels.append((body + skipped, box.end))


def _unpack(form: str, photo: bytes, at: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, photo, at)
    except struct.error as exc:
        raise BrokenContainer from exc


def _space(photo: bytes, boxes: list[_Box]) -> ColourSpace | None:
    for box in boxes:
        if box.kind == b"colr" and photo[box.body : box.body + 4] == b"nclx":
            primaries, transfer = _unpack(">HH", photo, box.body + 4)
            return ColourSpace.from_cicp(primaries, transfer)
    return None


# -- items -----------------------------------------------------------------


@dataclass(slots=True)
class _Items:
    """What the file's items are, and what of the file has to be changed so that only pictures are left.

    Attributes:
        pictures: Items that pixels are made of, by number.
        streams: Of each AV1 picture, where its pieces lie in the file.
        patches: Where to write what, so that all other items are of no known kind and one byte long.
    """

    pictures: set[int] = field(default_factory=set)
    streams: dict[int, list[slice]] = field(default_factory=dict)
    patches: list[tuple[int, bytes]] = field(default_factory=list)


def _read_items(photo: bytes, boxes: list[_Box]) -> _Items:
    items = _Items()
    for box in boxes:
        if box.kind != b"infe":
            continue
        (version,) = _unpack(">B", photo, box.body)
        number, type_at = (">I", box.body + 10) if version == 3 else (">H", box.body + 8)
        kind = photo[type_at : type_at + 4]
        if kind in PICTURE_ITEMS:
            items.pictures.update(_unpack(number, photo, box.body + 4))
        else:
            items.patches.append((type_at, b"skip"))
        if kind == b"av01":
            items.streams[_unpack(number, photo, box.body + 4)[0]] = []
    read = 0
    for box in boxes:
        if box.kind == b"iloc":
            read += _read_locations(photo, box, items)
    if read > len(photo):
        raise BrokenContainer  # extents overlap: more would be read than there is
    return items


def _read_locations(photo: bytes, iloc: _Box, items: _Items) -> int:
    """Gather where items lie; return how many bytes the pictures take together."""
    cursor = _Cursor(photo, iloc.body, iloc.end)
    version = cursor.number(1)
    cursor.number(3)  # flags
    sizes = cursor.number(2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    wide = 4 if version == 2 else 2
    read = 0
    for _ in range(cursor.number(wide)):
        item = cursor.number(wide)
        method = cursor.number(2) & 15 if version else 0
        cursor.number(2)  # data reference
        base = cursor.number(base_size)
        for _ in range(cursor.number(2)):
            cursor.number(index_size if version else 0)
            start = base + cursor.number(offset_size)
            length = cursor.number(length_size) or len(photo)  # 0: all there is
            if item in items.pictures:
                read += length
            elif length_size:
                items.patches.append((cursor.at - length_size, (1).to_bytes(length_size, "big")))
            else:
                raise BrokenContainer
            if item in items.streams:
                if method:
                    raise BrokenContainer  # a coded picture lies in the file, not in another item or box
                items.streams[item].append(slice(start, start + length))
    return read


def _patched(photo: bytes, boxes: list[_Box], items: _Items) -> bytes:
    """Return the file without metadata and tracks. No box changes its length, so every offset stays right.

    Decoders read each item into memory when they open a file, several times over where extents overlap, and
    Pillow parses EXIF; so nothing of it may be there.
    """
    data = bytearray(photo)
    for at, patch in items.patches:
        data[at : at + len(patch)] = patch
    for box in boxes:
        if box.kind == b"moov":
            data[box.kind_at : box.kind_at + 4] = b"free"
        elif box.kind == b"ftyp":  # the brand of a sequence makes libavif look for its track
            data[box.body : box.end] = data[box.body : box.end].replace(b"avis", b"avif")
    return bytes(data[: max(box.end for box in boxes)])


class _Cursor:
    """Reads big-endian numbers one after another, inside a box and no further than MAX_PARTS of them."""

    def __init__(self, photo: bytes, start: int, end: int) -> None:
        self.photo = photo
        self.at = start
        self.end = end
        self.left = 4 * MAX_PARTS

    def number(self, size: int) -> int:
        self.left -= 1
        if self.at + size > self.end or self.left < 0:
            raise BrokenContainer
        self.at += size
        return int.from_bytes(self.photo[self.at - size : self.at], "big")
