"""PNG and APNG (W3C PNG, third edition): the chunks that make the picture or name its colours."""

from __future__ import annotations

import struct
import zlib

from app.render.colourspace import ColourSpace
from app.render.formats import MAX_PARTS, BrokenContainer, Container
from app.render.formats.exif import UPRIGHT, read_orientation

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

MAX_PROFILE_BYTES = 4_000_000
"""Size of an unpacked ICC profile. Printers' CMYK tables, the largest in use, take about 2.7 MB."""

PICTURE = {b"PLTE", b"tRNS", b"IDAT"}
"""What is handed to the decoder. An APNG without its animation chunks is its first frame."""
COLOUR = {b"iCCP", b"cICP", b"sRGB", b"gAMA", b"cHRM"}


def read_png(photo: bytes) -> Container:
    """Read a PNG's chunks.

    Raises:
        BrokenContainer: Cut short, without a picture, or with more chunks than any photo.
    """
    kept: list[bytes | memoryview] = [_SIGNATURE]
    said: dict[bytes, bytes] = {}
    width, height = _read_header(photo)
    view = memoryview(photo)
    at = len(_SIGNATURE)
    for _ in range(MAX_PARTS):
        if at + 12 > len(photo):
            raise BrokenContainer
        length, kind = struct.unpack_from(">I4s", photo, at)
        end = at + 12 + length
        if end > len(photo):
            raise BrokenContainer
        if kind == b"tRNS" and photo[24] == 16:
            kept.append(_transparent_colour(photo[at + 8 : end - 4]))
        elif kind in PICTURE or kind in {b"IHDR", b"IEND"}:
            kept.append(view[at:end])
        elif kind in COLOUR or kind == b"eXIf":
            said.setdefault(kind, photo[at + 8 : end - 4])
        if kind == b"IEND":
            break
        at = end
    else:
        raise BrokenContainer
    space = _space(said)
    # cICP comes first (PNG, third edition, 4.3); the profile beside it is for programs that do not know it.
    named = b"cICP" in said and space is not None
    profile = _unpack_profile(said[b"iCCP"]) if b"iCCP" in said and not named else None
    return Container(
        codec="png",
        width=width,
        height=height,
        streams=False,
        orientation=read_orientation(said[b"eXIf"]) if b"eXIf" in said else UPRIGHT,
        profile=profile,
        space=space,
        data=b"".join(kept),
    )


def _read_header(photo: bytes) -> tuple[int, int]:
    if len(photo) < 33 or photo[12:16] != b"IHDR":
        raise BrokenContainer
    width, height = struct.unpack_from(">II", photo, 16)
    return width, height


def _transparent_colour(colour: bytes) -> bytes:
    """Return a tRNS chunk for a picture of 16 bits whose decoder keeps the upper 8, and compares those."""
    body = b"".join(bytes([0, upper]) for upper in colour[::2])
    return struct.pack(">I", len(body)) + b"tRNS" + body + struct.pack(">I", zlib.crc32(b"tRNS" + body))


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
