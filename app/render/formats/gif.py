"""GIF: the screen, and the way to the first picture (GIF89a).

Where the rules leave a choice, it is read as Chromium shows it (version 156, tried by drawing made files):

- The screen around a first picture that is smaller is transparent, whatever the background colour.
- A picture that reaches over its screen makes the screen larger.
- The first picture is whole when every pixel of it came. The code that ends it, the trailer and whatever
  stands between may be missing, cut or rubbish. With a pixel less it is damaged.
"""

from __future__ import annotations

import struct
from dataclasses import replace

from app.render.formats import MAX_PARTS, BrokenContainer, Container, Probe
from app.render.formats.exif import UPRIGHT

EXTENSION, IMAGE = 0x21, 0x2C
GRAPHIC_CONTROL = 0xF9
BLOCK = 255
"""Bytes that a sub-block holds at most."""
MAX_BLOCKS = 200_000
"""Sub-blocks of a picture that are walked: 50 MB of full ones, in 20 ms."""


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
    # The decoder gets a screen of the picture's own size: it would fill a larger one with the first colour.
    size = struct.pack("<2H", frame_width, frame_height)
    return Container(
        codec="gif",
        width=max(width, left + frame_width),
        height=max(height, top + frame_height),
        streams=False,
        orientation=UPRIGHT,
        profile=None,
        space=None,
        data=b"".join(
            (
                *(photo[:6], size, photo[10:screen_end], control),
                *(photo[at : at + 1], bytes(4), size, memoryview(photo)[at + 9 :]),
            )
        ),
        place=(left, top),
    )


def lend_end(container: Container) -> Container:
    """Give a picture whose blocks are cut an end; its decoder wants each of them complete.

    Raises:
        BrokenContainer: Nothing is cut.
    """
    data = container.data
    at = 13 + _table_bytes(data[10])
    if data[at] == EXTENSION:
        at = _skip_blocks(data, at + 2)
    at += 11 + _table_bytes(data[at + 9])
    for _ in range(MAX_BLOCKS):
        if at >= len(data):
            break
        if data[at] == 0:
            raise BrokenContainer
        at += 1 + data[at]
    else:
        raise BrokenContainer
    missing = at - len(data)
    lent, noise = (fill * missing + bytes([BLOCK]) + fill * BLOCK + b"\0;" for fill in (b"\0", b"\xff"))
    return replace(container, data=data + lent, probe=Probe(data + noise, container.height))


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
