"""The whole photo, as a browser can show it: upright, in sRGB, a JPEG with nothing in it but pixels.

For photos that a browser cannot decode itself, as most cannot decode HEIC.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from PIL import Image

from app.render.colour import to_srgb
from app.render.crop import STORED, TURNS, shrink
from app.render.decode import decode, identify
from app.render.encode import encode_jpeg
from app.render.limits import Limits

if TYPE_CHECKING:
    from app.render.decode import Photo

SMALLEST, LARGEST, DEFAULT = 64, 4096, 2048
"""Pixels of the longer side. 4096 x 4096 is the most that a canvas on iOS holds."""

QUALITY, SUBSAMPLING = 85, "4:2:0"
"""Three phone photos of 2048 x 1536 px have 530 to 700 KB, with whole chroma a fifth to a quarter more. What
that is for, the edge of the ribbon's red, is not in here: the frame is laid over what is cut out of this."""

ROWS = 512
"""Rows that are converted to sRGB at a time: inks without a profile take 50 bytes a pixel on the way."""


def make_rendition(photo: bytes, side: int = DEFAULT, limits: Limits = Limits()) -> bytes:  # noqa: B008 - frozen
    """Make a photo into a plain JPEG of itself, whole.

    Args:
        photo: The file's bytes, of any origin.
        side: Pixels of its longer side, :data:`SMALLEST` to :data:`LARGEST`; it is never enlarged.
        limits: How large the photo may be.

    Raises:
        PhotoError: The photo cannot be read; nothing else is raised for what a photo holds.
    """
    container = identify(photo, limits)
    picture = decode(container, min(side / max(container.width, container.height), 1), limits)
    shown = _in_srgb(shrink(picture, side), picture)
    turn = TURNS[STORED[picture.orientation]]
    if turn is not None:
        shown = shown.transpose(turn)
    return encode_jpeg(shown, QUALITY, SUBSAMPLING)


def _in_srgb(stored: Image.Image, photo: Photo) -> Image.Image:
    canvas = Image.new("RGB", stored.size)  # a canvas of its own: no file's metadata hangs on it
    for top, bottom in pairwise([*range(0, stored.height, ROWS), stored.height]):
        canvas.paste(to_srgb(stored.crop((0, top, stored.width, bottom)), photo.profile), (0, top))
    return canvas
