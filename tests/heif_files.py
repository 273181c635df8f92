"""HEIF and AVIF files of any items, built box by box."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.photos import QUADRANTS_HEIC, box, save

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from PIL import Image

Places = dict[int, list[tuple[int, int]]]
"""Where the pieces of each item begin in the payload, and how long they are."""
ALPHA_HEIC = QUADRANTS_HEIC.with_name("quadrants-alpha.heic")
ALPHA_URN = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"
DEPTH_URN = b"urn:mpeg:mpegB:cicp:systems:auxiliary:depth"


@dataclass(frozen=True)
class Item:
    """An item to be written.

    Attributes:
        kind: Such as ``av01``.
        body: Its bytes. Items with the very same bytes share them, where the file is built so.
        properties: Boxes, in their order.
        essential: Kinds of properties that are marked so; crops and turns always are.
        references: The items that it names, by the kind of the reference.
        in_idat: Its bytes lie in ``idat``.
        flags: 1: hidden.
    """

    kind: bytes
    body: bytes = b""
    properties: tuple[bytes, ...] = ()
    references: Mapping[bytes, Sequence[int]] = field(default_factory=dict)
    essential: frozenset[bytes] = frozenset({b"clap", b"irot", b"imir"})
    in_idat: bool = False
    flags: int = 0


@dataclass(frozen=True)
class Style:
    """How a file is written, of the ways that the standard leaves open.

    Attributes:
        brands: The first is the major one.
        iloc: Version 0, 1 or 2.
        infe: Version 2 or 3.
        wide: Property links of two bytes, item references of four, boxes with 64 bits of size.
        fillers: Properties that nobody uses, before the others.
        extents: Pieces that every item is cut into.
        open_end: The lengths of the last item's pieces are written as 0.
        shared: Equal bytes are stored once.
        data_first: ``mdat`` before ``meta``.
    """

    brands: tuple[bytes, ...] = (b"avif", b"mif1", b"miaf")
    iloc: int = 1
    infe: int = 2
    wide: bool = False
    fillers: int = 0
    extents: int = 1
    open_end: bool = False
    shared: bool = True
    data_first: bool = False


PLAIN = Style()


def build(
    items: Mapping[int, Item],
    primary: int = 1,
    style: Style = PLAIN,
    *,
    groups: Sequence[bytes] = (),
    after: bytes = b"",
) -> bytes:
    """Return a file of items.

    Args:
        items: By number.
        primary: The item to be shown.
        style: How it is written.
        groups: Boxes of ``grpl``.
        after: Boxes behind all others.
    """
    ftyp = box(b"ftyp", style.brands[0] + bytes(4) + b"".join(style.brands[1:]))
    mdat, idat, places = _payload(items, style)
    head = 16 if style.wide else 8

    def meta(start: int) -> bytes:
        return _meta(items, primary, style, groups, idat, places, start)

    before = len(ftyp) if style.data_first else len(ftyp) + len(meta(0))
    described = meta(before + head)
    data = _large_box(b"mdat", mdat) if style.wide else box(b"mdat", mdat)
    return ftyp + (data + described if style.data_first else described + data) + after


def _payload(
    items: Mapping[int, Item], style: Style
) -> tuple[bytes, bytes, dict[int, list[tuple[int, int]]]]:
    stored = {False: b"", True: b""}
    known: dict[tuple[bool, bytes], list[tuple[int, int]]] = {}
    places = {}
    for number, item in items.items():
        key = (item.in_idat, item.body)
        if not (style.shared and key in known):
            step = max(1, -(-len(item.body) // style.extents))
            found = []
            for at in range(0, len(item.body), step):
                piece = item.body[at : at + step]
                found.append((len(stored[item.in_idat]), len(piece)))
                stored[item.in_idat] += piece + (b"\xee" * 5 if style.extents > 1 else b"")
            known[key] = found
        places[number] = known[key]
    return stored[False], stored[True], places


def _large_box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body


def _meta(  # noqa: PLR0917 - a file's parts, in their order
    items: Mapping[int, Item],
    primary: int,
    style: Style,
    groups: Sequence[bytes],
    idat: bytes,
    places: Places,
    start: int,
) -> bytes:
    named = b""
    for number, item in items.items():
        for kind, targets in item.references.items():
            form = f">{'I' if style.wide else 'H'}H{len(targets)}{'I' if style.wide else 'H'}"
            named += box(kind, struct.pack(form, number, len(targets), *targets))
    form = ">IIH4sx" if style.infe == 3 else ">IHH4sx"
    entries = b"".join(
        box(b"infe", struct.pack(form, style.infe << 24 | item.flags, number, 0, item.kind))
        for number, item in items.items()
    )
    wide_primary = style.infe == 3
    return box(
        b"meta",
        bytes(4)
        + box(b"hdlr", bytes(8) + b"pict" + bytes(13))
        + box(b"pitm", struct.pack(">II" if wide_primary else ">IH", wide_primary << 24, primary))
        + _iloc(items, style, places, start)
        + box(b"iinf", struct.pack(">IH", 0, len(items)) + entries)
        + (box(b"iref", struct.pack(">I", style.wide << 24) + named) if named else b"")
        + _properties(items, style)
        + (box(b"grpl", b"".join(groups)) if groups else b"")
        + (box(b"idat", idat) if idat else b""),
    )


def _iloc(items: Mapping[int, Item], style: Style, places: Places, start: int) -> bytes:
    number_form = ">I" if style.iloc == 2 else ">H"
    body = struct.pack(">IBB", style.iloc << 24, 0x44, 0x40 if style.iloc else 0)
    body += struct.pack(number_form, len(items))
    for number, item in items.items():
        base = 0 if item.in_idat else start
        body += struct.pack(number_form, number)
        if style.iloc:
            body += struct.pack(">HHI", int(item.in_idat), 0, base)
            base = 0
        else:
            body += struct.pack(">H", 0)
        body += struct.pack(">H", len(places[number]))
        for offset, length in places[number]:
            to_the_end = style.open_end and number == max(items)
            body += struct.pack(">II", base + offset, 0 if to_the_end else length)
    return box(b"iloc", body)


def _properties(items: Mapping[int, Item], style: Style) -> bytes:
    stored: dict[bytes, int] = {}
    links = b""
    for number in sorted(items):
        item = items[number]
        links += struct.pack(">IB" if style.wide else ">HB", number, len(item.properties))
        for described in item.properties:
            index = stored.setdefault(described, style.fillers + len(stored) + 1)
            essential = described[4:8] in item.essential
            if style.wide or style.fillers:
                links += struct.pack(">H", index | essential << 15)
            else:
                links += struct.pack(">B", index | essential << 7)
    flags = 1 if style.wide or style.fillers else 0
    ipma = box(b"ipma", struct.pack(">II", style.wide << 24 | flags, len(items)) + links)
    return box(b"iprp", box(b"ipco", box(b"free", b"") * style.fillers + b"".join(stored)) + ipma)


# -- items --------------------------------------------------------------------


def ispe(width: int, height: int) -> bytes:
    """Return the property of a size."""
    return box(b"ispe", struct.pack(">III", 0, width, height))


def pixi(channels: int = 3) -> bytes:
    """Return the property of 8 bits in each channel."""
    return box(b"pixi", bytes(4) + bytes([channels]) + b"\x08" * channels)


def auxc(urn: bytes) -> bytes:
    """Return the property that says what an auxiliary picture is for."""
    return box(b"auxC", bytes(4) + urn + b"\0")


def clap(width: str, height: str, right: str = "0", down: str = "0") -> bytes:
    """Return the property of a crop: its size, and how far its middle is from the picture's; also ``1/2``."""
    numbers = (int(n) for text in (width, height, right, down) for n in (*text.split("/"), "1")[:2])
    return box(b"clap", struct.pack(">8i", *numbers))


def coded_avif(image: Image.Image, *properties: bytes) -> Item:
    """Return a picture as an item of AV1; a grey one has one channel."""
    grey = image.mode == "L"
    sample = save(image, "AVIF", quality=95, subsampling="4:0:0" if grey else "4:4:4", max_threads=1)
    return taken_from(sample, image.size, pixi(1 if grey else 3), *properties)


def taken_from(sample: bytes, size: tuple[int, int], *properties: bytes) -> Item:
    """Return the only picture of an AVIF as an item with other properties."""
    described = (_boxes_of(sample, b"av1C")[0], ispe(*size), *properties)
    return Item(b"av01", sample.rpartition(b"mdat")[2], described)


def coded_heic(*properties: bytes, alpha: bool = False) -> Item:
    """Return ``quadrants((128, 64))`` as an item of HEVC; or a grey picture: white, black."""
    picture, both = _payload_of(QUADRANTS_HEIC), _payload_of(ALPHA_HEIC)
    configuration = _boxes_of(ALPHA_HEIC.read_bytes(), b"hvcC")[alpha]
    body = both.removeprefix(picture) if alpha else picture
    described = (configuration, ispe(128, 64), pixi(1 if alpha else 3), *properties)
    return Item(b"hvc1", body, described)


def _payload_of(sample: Path) -> bytes:
    """Return what is in ``mdat``: the coded pictures, one after another."""
    return sample.read_bytes().partition(b"mdat")[2]


def _boxes_of(sample: bytes, kind: bytes) -> list[bytes]:
    found, at = [], sample.find(kind)
    while at >= 0:
        found.append(sample[at - 4 : at - 4 + int.from_bytes(sample[at - 4 : at], "big")])
        at = sample.find(kind, at + 1)
    return found


def grid(rows: int, columns: int, size: tuple[int, int], tiles: Sequence[int], *properties: bytes) -> Item:
    """Return a picture made of tiles."""
    payload = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size)
    return Item(b"grid", payload, (ispe(*size), *properties), {b"dimg": tiles})


def altr(*numbers: int) -> bytes:
    """Return a group of alternatives."""
    return box(b"altr", struct.pack(f">III{len(numbers)}I", 0, 900, len(numbers), *numbers))
