"""WebP (RFC 9649): the canvas, and the chunks of the first frame.

Where the rules leave a choice, it is read as Chromium shows it (version 156, tried by drawing made files):

- The canvas around an animation's first frame is transparent, whatever ANIM names as the background.
- EXIF turns nothing, as in every browser's decoder for WebP: the photo stays as stored.
- What follows the picture may be cut or missing, and so may the byte that pads it (Chromium waits for the
  rest and shows nothing). A picture that is cut itself is damaged: the end of its chunk holds its last rows.
  Bytes behind the length that the header gives are passed over.
"""

from __future__ import annotations

import struct

from app.render.formats import MAX_PARTS, BrokenContainer, Container
from app.render.formats.exif import UPRIGHT

PICTURE = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"}
"""What makes the picture, each kind once: of an animation that is the first frame."""
ANIMATED, ALPHA = 0x02, 0x10
"""Of the VP8X flags. Those for ICC, EXIF and XMP go with their chunks."""
FRAME_HEADER = 16
"""Bytes of an ANMF chunk before the frame's own chunks: place, size, duration, flags."""

Chunks = dict[bytes, bytes]


def read_webp(photo: bytes) -> Container:
    """Read a WebP's chunks.

    Raises:
        BrokenContainer: Cut short, without a picture, or with more chunks than any photo.
    """
    (riff_size,) = struct.unpack_from("<I", photo, 4)
    chunks = _read_chunks(photo, 12, 8 + riff_size)
    width, height = _canvas(chunks)
    place = None
    picture = {kind: body for kind, body in chunks.items() if kind in PICTURE}
    if b"ANMF" in chunks:
        place, picture = _first_frame(chunks)
    return Container(
        codec="webp",
        width=width,
        height=height,
        streams=False,
        orientation=UPRIGHT,
        profile=chunks.get(b"ICCP"),
        space=None,
        data=_rebuild(picture),
        place=place,
    )


def _read_chunks(photo: bytes, at: int, end: int) -> Chunks:
    """Return the first chunk of each kind that is wanted.

    Args:
        photo: Chunks, of which those from ``at`` to ``end`` are read.
        at: Where they begin.
        end: Where their container says that they end, be it behind the file's own end.

    Raises:
        BrokenContainer: A part of the picture that is cut; a chunk that does not fit into its container; more
            chunks than any photo.
    """
    chunks: Chunks = {}
    for _ in range(MAX_PARTS):
        if at + 8 > min(end, len(photo)):
            return chunks
        kind, size = struct.unpack_from("<4sI", photo, at)
        body = photo[at + 8 : at + 8 + size]
        if at + 8 + size > end or (len(body) < size and kind in PICTURE - chunks.keys()):
            raise BrokenContainer
        if len(body) == size and kind in PICTURE | {b"ICCP"}:
            chunks.setdefault(kind, body)
        at += 8 + size + size % 2
    raise BrokenContainer


def _canvas(chunks: Chunks) -> tuple[int, int]:
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


def _first_frame(chunks: Chunks) -> tuple[tuple[int, int], Chunks]:
    """Return where on the canvas an animation's first frame lies, and its own chunks.

    Raises:
        BrokenContainer: It is no animation, or also a still picture; or the frame reaches over the canvas.
    """
    body = chunks[b"ANMF"]
    animated = len(body) >= FRAME_HEADER and b"ANIM" in chunks and chunks.get(b"VP8X", b"\0")[0] & ANIMATED
    if not animated or b"VP8 " in chunks or b"VP8L" in chunks:
        raise BrokenContainer
    left, top, width, height = (int.from_bytes(body[n : n + 3], "little") for n in (0, 3, 6, 9))
    left, top, width, height = 2 * left, 2 * top, width + 1, height + 1
    canvas_width, canvas_height = _canvas(chunks)
    if left + width > canvas_width or top + height > canvas_height:
        raise BrokenContainer
    frame = _read_chunks(body, FRAME_HEADER, len(body))
    picture: Chunks = {kind: frame[kind] for kind in (b"ALPH", b"VP8 ", b"VP8L") if kind in frame}
    if b"ALPH" in picture:
        # Only next to the extended header is it looked at.
        picture = {b"VP8X": bytes([ALPHA, 0, 0, 0]) + body[6:12], **picture}
    return (left, top), picture


def _rebuild(chunks: Chunks) -> bytes:
    parts = []
    for kind, body in chunks.items():
        kept = bytes([body[0] & (ANIMATED | ALPHA)]) + body[1:] if kind == b"VP8X" else body
        parts += [struct.pack("<4sI", kind, len(kept)), kept, b"\0" * (len(kept) % 2)]
    size = 4 + sum(map(len, parts))
    return b"".join((struct.pack("<4sI4s", b"RIFF", size, b"WEBP"), *parts))
