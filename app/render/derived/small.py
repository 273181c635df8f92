"""A small picture of a finished avatar, by which somebody looks through thousands of them."""

from __future__ import annotations

from PIL import Image

from app.render.encode import encode_jpeg
from app.render.resize import resize

SIDE = 160
"""Pixels along a side: twice what a page shows it at, so that it is sharp on a phone's screen."""

_QUALITY = 80
_GROUND = "white"


def draw_small(avatar: Image.Image) -> bytes:
    """Draw an avatar small, on white where it is transparent.

    Args:
        avatar: RGB or RGBA, a square: as it was before it was encoded, since to decode it again takes twice
            as long as the rest of this.

    Returns:
        A JPEG of :data:`SIDE` pixels along a side, nothing in it but pixels.
    """
    small = resize(avatar, (SIDE, SIDE), soft=True)
    if small.mode == "RGBA":
        canvas = Image.new("RGB", small.size, _GROUND)
        canvas.paste(small, mask=small)
        small = canvas
    return encode_jpeg(small, _QUALITY, "4:2:0")
