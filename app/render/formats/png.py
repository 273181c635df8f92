"""PNG and APNG (W3C PNG, third edition): the chunks that make the picture or name its colours.

Where a file breaks the rules, it is read as Chromium shows it (version 156, tried by drawing made files):

- **The end.** A picture is whole when every row of it came (of an interlaced one, every row of every pass).
  IEND, the checksums of data and what follows the data may be missing, cut or rubbish. Cut a row earlier, it
  is damaged; only where its compressed data ends as it should, but too early, rows that never were are black.
- **The first frame.** An APNG whose default image is not part of the animation (no fcTL before IDAT) shows
  the animation's first frame, where fcTL puts it, the rest of the canvas transparent. Where that frame does
  not fit or has no data, the default image stands.
- **Transparency.** The first tRNS counts, before IDAT and behind PLTE, with the right checksum. A key is
  compared by all bits; one that is too short, or that no pixel of that depth can equal, is ignored, and so
  are values for more colours than the palette has.
- **Colours and orientation** count before IDAT and with the right checksum, the first of each kind.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.render.colourspace import ColourSpace
from app.render.formats import MAX_PARTS, BrokenContainer, Container
from app.render.formats.exif import UPRIGHT, read_orientation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

MAX_PROFILE_BYTES = 4_000_000
"""Size of an unpacked ICC profile. Printers' CMYK tables, the largest in use, take about 2.7 MB."""

GREY, RGB, PALETTE = 0, 2, 3
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, 4: 2, 6: 4}
"""Values of a pixel, by colour type."""
SAID = {b"iCCP", b"cICP", b"sRGB", b"gAMA", b"cHRM", b"eXIf", b"acTL"}
"""Chunks before the picture that say something of it."""
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""What each pass of an interlaced picture takes: first column and row, and every which after it (Adam7)."""
IEND_BYTES = 12
MAX_COLOURS = 256
"""Of a palette."""
MAX_FILTER = 4
"""The last of the filters that a row's first byte may name."""
PIECE = 1 << 20
"""Bytes that are packed or unpacked at once."""


@dataclass(slots=True)
class _Still:
    """What the walk has gathered so far."""

    width: int
    height: int
    depth: int
    colour: int
    rest: bytes
    palette: bytes = b""
    transparency: bytes = b""
    said: dict[bytes, bytes] = field(default_factory=dict)
    data: list[bytes | memoryview] = field(default_factory=list)
    frame: bytes = b""
    frame_data: list[bytes] = field(default_factory=list)
    frames: int = 0


def read_png(photo: bytes) -> Container:
    """Read a PNG's chunks.

    Raises:
        BrokenContainer: Cut short, without a picture, or with more chunks than any photo.
    """
    still = _read_header(photo)
    _walk(photo, still)
    if not still.data or (still.colour == PALETTE and not still.palette):
        raise BrokenContainer
    said, space = still.said, _space(still.said)
    # cICP comes first (PNG, third edition, 4.3); the profile beside it is for programs that do not know it.
    named = b"cICP" in said and space is not None
    profile = _unpack_profile(said[b"iCCP"]) if b"iCCP" in said and not named else None
    data, size, place = still.data, (still.width, still.height), None
    if frame := _frame_apart(still):
        data, size, place = [_chunk(b"IDAT", body) for body in still.frame_data], frame[:2], frame[2:]
    key = _key(still)
    return Container(
        codec="png",
        width=still.width,
        height=still.height,
        streams=False,
        orientation=read_orientation(said[b"eXIf"]) if b"eXIf" in said else UPRIGHT,
        profile=profile,
        space=space,
        data=_file(still, data, size),
        place=place,
        key=key,
        # A key of several channels has the picture decoded twice: the upper bytes, and the lower ones.
        decoded_pixels=2 * still.width * still.height if key and len(key) > 1 else 0,
    )


def _file(still: _Still, data: Sequence[bytes | memoryview], size: tuple[int, int]) -> bytes:
    """Return a PNG of nothing but a picture of that size."""
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", struct.pack(">IIBB", *size, still.depth, still.colour) + still.rest),
            _chunk(b"PLTE", still.palette) if still.palette else b"",
            _transparency(still),
            *data,
            _chunk(b"IEND", b""),
        )
    )


def rows_alone(data: bytes) -> bytes | None:
    """Return a PNG from :func:`read_png` without what its compressed data has behind the last row.

    None if a row is missing. Decoders then give all rows and miss the end; with a wrong checksum there, they
    would lose the last row.
    """
    still = _read_header(data)
    _walk(data, still)
    packed = b"".join(chunk[8:-4] for chunk in still.data)
    passes = _passes(still)
    length, rows, at = 0, 0, 0
    try:
        for piece, taken in _inflate(packed):
            rest = piece
            while rest:
                if at == length * rows:
                    if not passes:
                        break
                    (length, rows), at = passes.pop(), 0
                part = rest[: length * rows - at]
                if max(part[-at % length :: length], default=0) > MAX_FILTER:
                    return None
                at += len(part)
                rest = rest[len(part) :]
            if at == length * rows and not passes:
                head = len(data) - IEND_BYTES - sum(map(len, still.data))
                return b"".join((data[:head], _chunk(b"IDAT", packed[:taken]), data[-IEND_BYTES:]))
    except zlib.error:
        pass
    return None


def _inflate(packed: bytes) -> Iterator[tuple[bytes, int]]:
    """Unpack compressed data in pieces as far as it goes, without asking for the checksum behind it.

    Yields:
        A piece, and how much of the compressed data has been used for all of them.

    Raises:
        zlib.error: It is broken.
    """
    method, flags = packed[:2].ljust(2, b"\0")
    if (method << 8 | flags) % 31 or method & 15 != zlib.DEFLATED or flags & 0x20:
        raise zlib.error
    unpacker = zlib.decompressobj(-(8 + (method >> 4)))
    for at in range(2, len(packed), PIECE):
        rest = packed[at : at + PIECE]
        end = at + len(rest)
        while rest and not unpacker.eof:  # behind its end nothing is eaten any more
            piece = unpacker.decompress(rest, PIECE)
            rest = unpacker.unconsumed_tail
            yield piece, end - len(rest) - len(unpacker.unused_data)
        if unpacker.eof:
            return
    while piece := unpacker.decompress(b"", PIECE):
        yield piece, len(packed)


def _read_header(photo: bytes) -> _Still:
    if len(photo) < 33 or photo[12:16] != b"IHDR":
        raise BrokenContainer
    width, height, depth, colour = struct.unpack_from(">IIBB", photo, 16)
    if not _is_intact(photo, 8, 33):
        raise BrokenContainer
    return _Still(width, height, depth, colour, photo[26:29])


def _walk(photo: bytes, still: _Still) -> None:
    """Sort every chunk up to IEND, or to where the file ends, into ``still``."""
    at, view = 33, memoryview(photo)
    for _ in range(MAX_PARTS):
        length, kind = struct.unpack_from(">I4s", photo, at) if at + 8 <= len(photo) else (0, b"")
        end = at + 12 + length
        if not kind.isalpha() or end > len(photo):
            _end_early(kind, view[at + 8 :], length, still)
            return
        if kind == b"IEND":
            return
        if kind == b"IDAT":
            still.data.append(view[at:end])
        elif kind in {b"fcTL", b"fdAT"}:
            _sort_frame(kind, photo[at + 8 : end - 4], still)
        elif not still.data:
            _sort(kind, photo, (at, end), still)
        at = end
    raise BrokenContainer


def _end_early(kind: bytes, rest: memoryview, length: int, still: _Still) -> None:
    """Take what there is of the last chunk: a file that is cut behind its picture's rows is whole."""
    if kind == b"IDAT":
        still.data.append(_chunk(b"IDAT", bytes(rest[:length])))
    elif kind == b"fdAT":
        _sort_frame(kind, bytes(rest[:length]), still)


def _sort(kind: bytes, photo: bytes, place: tuple[int, int], still: _Still) -> None:
    start, end = place
    body = photo[start + 8 : end - 4]
    if kind == b"PLTE" and still.colour == PALETTE and not still.palette:
        if len(body) % 3 or not _is_intact(photo, start, end):
            raise BrokenContainer
        still.palette = body[: 3 << still.depth]
    elif kind == b"tRNS":
        in_order = still.palette or still.colour != PALETTE
        if in_order and not still.transparency and _is_intact(photo, start, end):
            if still.colour == PALETTE and len(body) > MAX_COLOURS:
                raise BrokenContainer
            still.transparency = body
    elif kind in SAID and kind not in still.said and _is_intact(photo, start, end):
        still.said[kind] = body


def _sort_frame(kind: bytes, body: bytes, still: _Still) -> None:
    """Keep the first frame, if it is one apart from the default image."""
    if kind == b"fcTL":
        still.frames += 1
        if still.frames == 1 and still.data:
            still.frame = body
    elif still.frame and still.frames == 1:
        still.frame_data.append(body[4:])


def _frame_apart(still: _Still) -> tuple[int, int, int, int] | None:
    """Return width, height, left and top of the animation's first frame, if the default image is another."""
    if len(still.frame) != 26 or not still.frame_data or not any(still.said.get(b"acTL", b"")[:4]):
        return None
    width, height, left, top = struct.unpack_from(">4I", still.frame, 4)
    if not width or not height or left + width > still.width or top + height > still.height:
        return None
    return width, height, left, top


def _is_intact(photo: bytes, start: int, end: int) -> bool:
    """Whether a chunk's checksum is right."""
    return photo[end - 4 : end] == struct.pack(">I", zlib.crc32(memoryview(photo)[start + 4 : end - 4]))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return b"".join(
        (struct.pack(">I", len(body)), kind, body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))))
    )


def _transparency(still: _Still) -> bytes:
    """Return a tRNS chunk as the decoder wants it: a key among the values that it will compare with."""
    if still.colour == PALETTE:
        alphas = still.transparency[: len(still.palette) // 3]
        return _chunk(b"tRNS", alphas) if alphas else b""
    values = _key_values(still)
    if not values or still.depth == 16:
        return b""
    # The decoder spreads 2 and 4 bits over the whole range of a byte; 1 bit it leaves as it is.
    scale = 255 // ((1 << still.depth) - 1) if still.depth > 1 else 1
    return _chunk(b"tRNS", struct.pack(f">{len(values)}H", *(value * scale for value in values)))


def _key(still: _Still) -> tuple[int, ...] | None:
    """Return the key of a picture of 16 bits: of each value the decoder compares the upper 8."""
    return (_key_values(still) or None) if still.depth == 16 else None


def _key_values(still: _Still) -> tuple[int, ...]:
    """Return the colour that is transparent, one value a channel; nothing if no pixel can have it."""
    channels = CHANNELS[still.colour] if still.colour in {GREY, RGB} else 0
    if not channels or len(still.transparency) < 2 * channels:
        return ()
    values = struct.unpack_from(f">{channels}H", still.transparency)
    if still.depth < 16:
        values = tuple(value & 0xFF for value in values)
    return values if max(values) < 1 << still.depth else ()


def _passes(still: _Still) -> list[tuple[int, int]]:
    """Return bytes of a row (its filter's first) and number of rows of each pass, the first one last."""
    bits = still.depth * CHANNELS[still.colour]
    found = []
    for left, top, across, down in PASSES if still.rest[2] else ((0, 0, 1, 1),):
        columns, rows = -(-(still.width - left) // across), -(-(still.height - top) // down)
        if columns > 0 and rows > 0:
            found.append((1 + (columns * bits + 7) // 8, rows))
    return found[::-1]


def _unpack_profile(body: bytes) -> bytes | None:
    """Unpack an iCCP chunk: a name, 0, the method (0: deflate) and the packed profile; None if broken."""
    _, _, packed = body.partition(b"\0")
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if unpacker.eof else None


def _space(said: dict[bytes, bytes]) -> ColourSpace | None:
    """Return the colours that are named by numbers, in the order of precedence of the PNG specification."""
    if len(said.get(b"cICP", b"")) == 4:
        primaries, transfer, _, _ = said[b"cICP"]
        return ColourSpace.from_cicp(primaries, transfer)
    if b"sRGB" in said or b"iCCP" in said:
        return None
    gamma = struct.unpack(">I", said[b"gAMA"])[0] / 100_000 if len(said.get(b"gAMA", b"")) == 4 else None
    chroma = said.get(b"cHRM", b"")
    numbers = [n / 100_000 for n in struct.unpack(">8I", chroma)] if len(chroma) == 32 else None
    return ColourSpace.from_png(gamma, numbers)
