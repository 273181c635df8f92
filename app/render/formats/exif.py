"""The one thing that is wanted from EXIF: which way is up.

As Chromium turns pictures (version 156, tried by drawing made files), so that an avatar stands as its photo
does in the page:

- The tag counts as EXIF defines it: one SHORT, 1 to 8, in the first directory, complete. A LONG, two values,
  0 or 9 say nothing, and the next such tag is asked.
- JPEG: the first Exif segment that holds anything counts, though it is broken or silent; a second one never.
- PNG: an eXIf chunk before the picture's data, the first whose checksum is right.
- WebP and GIF stay as stored: browsers do not read a WebP's EXIF, and GIF has none.
"""

from __future__ import annotations

import struct

ORIENTATION = 0x0112
SHORT = 3
UPRIGHT = 1

_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


def read_orientation(exif: bytes) -> int:
    """Return the orientation (1-8) that an EXIF block gives for the main picture.

    Only the first directory is looked at and nothing in it is followed, so a directory that points at itself
    or claims megabytes per tag costs nothing (Pillow reads every value of every tag). A block that is broken,
    or silent, or holds an impossible number means upright: a photo is not refused for its metadata.

    Args:
        exif: A TIFF header and its directories.
    """
    order = _ORDERS.get(exif[:4])
    if order is None:
        return UPRIGHT
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        for entry in range(count):
            tag, kind, values, value = struct.unpack_from(order + "HHIH2x", exif, start + 2 + 12 * entry)
            if (tag, kind, values) == (ORIENTATION, SHORT, 1) and 1 <= value <= 8:
                return int(value)
    except struct.error:
        pass  # cut short before the tag: it says nothing
    return UPRIGHT
