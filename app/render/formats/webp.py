"""WebP (RFC 9649): the canvas, and the chunks of the first frame."""

from __future__ import annotations

import struct

from app.render.formats import MAX_PARTS, BrokenContainer, Container
from app.render.formats.exif import UPRIGHT, read_orientation

PICTURE = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"}
"""What is handed to the decoder, each kind once: of an animation that is the first frame."""
FLAGS_KEPT = 0x12
"""Of the VP8X flags: has alpha, is an animation. Those for ICC, EXIF and XMP go with their chunks."""


def read_webp(photo: bytes) -> Container:
    """Read a WebP's chunks.

    Raises:
        BrokenContainer: Cut short, without a picture, or with more chunks than any photo.
    """
    (riff_size,) = struct.unpack_from("<I", photo, 4)
    end = 8 + riff_size
    if end > len(photo):
        raise BrokenContainer
    chunks: dict[bytes, bytes] = {}
    at = 12
    for _ in range(MAX_PARTS):
        if at + 8 > end:
            break
        kind, size = struct.unpack_from("<4sI", photo, at)
        following = at + 8 + size + size % 2
        if at + 8 + size > end:
            raise BrokenContainer
        if kind in PICTURE or kind in {b"ICCP", b"EXIF"}:
            chunks.setdefault(kind, photo[at + 8 : at + 8 + size])
        at = following
    else:
        raise BrokenContainer
    width, height = _canvas(chunks)
    return Container(
        codec="webp",
        width=width,
        height=height,
        streams=False,
        orientation=read_orientation(chunks[b"EXIF"]) if b"EXIF" in chunks else UPRIGHT,
        profile=chunks.get(b"ICCP"),
        space=None,
        data=_rebuild(chunks),
    )


def _canvas(chunks: dict[bytes, bytes]) -> tuple[int, int]:
    """Return the size that the decoder will allocate."""
    try:
        if b"VP8X" in chunks:
            low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", chunks[b"VP8X"], 4)
            return (high_width << 16 | low_width) + 1, (high_height << 16 | low_height) + 1
        if b"VP8L" in chunks:
            (bits,) = struct.unpack_from("<I", chunks[b"VP8L"], 1)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        width, height = struct.unpack_from("<HH", chunks[b"VP8 "], 6)
    except (KeyError, struct.error) as exc:
        raise BrokenContainer from exc
    return width & 0x3FFF, height & 0x3FFF


def _rebuild(chunks: dict[bytes, bytes]) -> bytes:
    parts = []
    for kind, body in chunks.items():
        if kind not in PICTURE:
            continue
        kept = bytes([body[0] & FLAGS_KEPT]) + body[1:] if kind == b"VP8X" else body
        parts += [struct.pack("<4sI", kind, len(kept)), kept, b"\0" * (len(kept) % 2)]
    size = 4 + sum(map(len, parts))
    return b"".join((struct.pack("<4sI4s", b"RIFF", size, b"WEBP"), *parts))
