"""The one thing that is wanted from EXIF: which way is up."""

from __future__ import annotations

import struct

ORIENTATION = 0x0112
SHORT = 3
UPRIGHT = 1


def read_orientation(exif: bytes) -> int:
    r"""Return the orientation (1-8) that an EXIF block gives for the main picture.

    Only the first directory is looked at and nothing in it is followed, so a directory that points at itself
    or claims megabytes per tag costs nothing (Pillow reads every value of every tag). A block that is broken,
    or silent, or holds an impossible number means upright: a photo is not refused for its metadata.

    Args:
        exif: A TIFF header and its directories, with or without ``Exif\0\0`` in front.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return UPRIGHT
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(count):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, start + 2 + 12 * entry)
            if tag == ORIENTATION:
                return value if kind == SHORT and 1 <= value <= 8 else UPRIGHT
    except struct.error:
        pass  # cut short before the tag: it says nothing
    return UPRIGHT
