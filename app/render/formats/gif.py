"""GIF: the screen, and the way to the first picture (GIF89a)."""

from __future__ import annotations

import struct

from app.render.formats import MAX_PARTS, BrokenContainer, Container
from app.render.formats.exif import UPRIGHT

EXTENSION, IMAGE = 0x21, 0x2C
GRAPHIC_CONTROL = 0xF9


def read_gif(photo: bytes) -> Container:
    """Read a GIF up to its first picture; comments and other extensions on the way are left out.

    Raises:
        BrokenContainer: Cut short, without a picture, or with more blocks before it than any photo.
    """
    if len(photo) < 13:
        raise BrokenContainer
    width, height, flags = struct.unpack_from("<HHB", photo, 6)
    screen_end = 13 + _table_bytes(flags)
    at, control = screen_end, b""
    for _ in range(MAX_PARTS):
        kind = photo[at : at + 2]
        if kind[:1] == bytes([IMAGE]):
            break
        if len(kind) < 2 or kind[0] != EXTENSION:
            raise BrokenContainer
        end = _skip_blocks(photo, at + 2)
        if kind[1] == GRAPHIC_CONTROL:
            control = photo[at:end]  # holds the transparent colour; the last one before the picture counts
        at = end
    else:
        raise BrokenContainer
    if at + 10 > len(photo):
        raise BrokenContainer
    left, top, frame_width, frame_height = struct.unpack_from("<4H", photo, at + 1)
    return Container(
        codec="gif",
        # A picture that does not fit its screen makes the screen larger, as in Pillow.
        width=max(width, left + frame_width),
        height=max(height, top + frame_height),
        streams=False,
        orientation=UPRIGHT,
        profile=None,
        space=None,
        data=b"".join((photo[:screen_end], control, memoryview(photo)[at:])),
    )


def _table_bytes(flags: int) -> int:
    """Return how long the colour table is that a descriptor's flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _skip_blocks(photo: bytes, at: int) -> int:
    """Return where a chain of sub-blocks ends: each begins with its length, and 0 is the last."""
    for _ in range(MAX_PARTS):
        if at >= len(photo):
            break
        length = photo[at]
        at += 1 + length
        if length == 0:
            return at
    raise BrokenContainer
