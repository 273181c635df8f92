"""A small picture of a finished avatar, by which somebody looks through thousands of them."""

from __future__ import annotations

from PIL import Image

from app.render.decode import decode, identify
from app.render.encode import encode_jpeg
from app.render.limits import Limits
from app.render.resize import resize

SIDE = 160
"""Pixels along a side: twice what a page shows it at, so that it is sharp on a phone's screen."""

_QUALITY = 80
_GROUND = "white"


def draw_small(avatar: bytes) -> bytes:
    """Draw an avatar small, on white where it is transparent.

    Args:
        avatar: One of ours, a square in any format; met as warily as any photo.

    Returns:
        A JPEG of :data:`SIDE` pixels along a side, nothing in it but pixels.

    Raises:
        PhotoError: It is not whole.
    """
    limits = Limits()
    container = identify(avatar, limits)
    # A JPEG comes as large as it has to, or a little larger: most of the work is done by its decoder.
    picture = decode(container, min(1.0, SIDE / container.width), limits).image
    if picture.mode == "RGBA":
        canvas = Image.new("RGB", picture.size, _GROUND)
        canvas.paste(picture, mask=picture)
        picture = canvas
    return encode_jpeg(resize(picture, (SIDE, SIDE)), _QUALITY, "4:2:0")
