"""What lies around a photo that is smaller than its square: its own edge, enlarged and blurred.

A point outside the photo shows the point at a quarter of its distance inside: the edge, mirrored and
enlarged. So the colours meet where the photo ends, and no line is seen there. A plain mirror would show a
second forehead above one that is cut off; a quarter of it is still hair. The farther from the photo, the more
it is blurred, so that nobody takes it for a part of the photo.

All of it depends on the photo alone, not on the square, so that nothing changes while a square is moved. The
page's edge.js does the same. Lengths are in shares of the photo's shorter side.
"""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image, ImageChops, ImageFilter

from app.render.colour import WHITE
from app.render.resize import resize

ENLARGED = 4
"""How many times the edge is enlarged, away from the photo."""


class _Blur(NamedTuple):
    """One of the two blurs.

    Attributes:
        sigma: Its standard deviation.
        reach: From where on, outside of the photo, nothing else is seen.
        side: Pixels of the photo's shorter side while it is made: few are enough for what has no detail.
    """

    sigma: float
    reach: float
    side: int


BLURS = (_Blur(sigma=0.014, reach=0.02, side=96), _Blur(sigma=0.12, reach=0.12, side=24))
"""Near the photo, and farther off."""


def surround(photo: Image.Image, place: tuple[int, int], size: int, shorter: float) -> Image.Image:
    """Return a square with a photo in it, sharp, and its edge around it. The photo's pixels stay as they are.

    Args:
        photo: L, RGB, RGBA or CMYK; what is transparent comes to lie on white.
        place: Where it lies in the square: its left and top, pixels.
        size: Side of the square, pixels; the photo lies inside.
        shorter: The shorter side of the whole photo, of which ``photo`` may be a part, in the same pixels.
    """
    square = _continued(_opaque(photo), place, size)
    outside = _Distances((*place, place[0] + photo.width, place[1] + photo.height), size)
    # Both are made before the first is laid on: of what they are made there is then no second copy.
    layers = [_blurred(square, blur.sigma * blur.side, shorter / blur.side) for blur in BLURS]
    for blur, layer in zip(BLURS, layers, strict=True):
        square.paste(resize(layer, square.size), mask=outside.ramp(blur.reach * shorter))
    return square


def _opaque(photo: Image.Image) -> Image.Image:
    if photo.mode != "RGBA":
        return photo
    return Image.composite(photo.convert("RGB"), Image.new("RGB", photo.size, WHITE), photo.getchannel("A"))


def _continued(photo: Image.Image, place: tuple[int, int], size: int) -> Image.Image:
    """Return the square with the photo in it and its edges around it.

    First to its sides, then above and below all of that, so that corners are filled too.
    """
    (left, top), (width, height) = place, photo.size
    right, bottom = left + width, top + height
    square = Image.new(photo.mode, (size, size))
    square.paste(photo, place)
    flip = Image.Transpose.FLIP_LEFT_RIGHT
    for start, stop, is_before in ((0, left, True), (right, size, False)):
        if start < stop:
            depth = _depth(stop - start, width)
            edge = (left, top, left + depth, bottom) if is_before else (right - depth, top, right, bottom)
            strip = square.crop(edge).transpose(flip)
            square.paste(resize(strip, (stop - start, height)), (start, top))
    flip = Image.Transpose.FLIP_TOP_BOTTOM
    for start, stop, is_before in ((0, top, True), (bottom, size, False)):
        if start < stop:
            depth = _depth(stop - start, height)
            edge = (0, top, size, top + depth) if is_before else (0, bottom - depth, size, bottom)
            strip = square.crop(edge).transpose(flip)
            square.paste(resize(strip, (size, stop - start)), (0, start))
    return square


def _depth(gap: int, available: int) -> int:
    return max(1, min(round(gap / ENLARGED), available))


def _blurred(image: Image.Image, sigma: float, reduction: float) -> Image.Image:
    """Return a square picture at a reduced scale, to which ``sigma`` belongs, blurred."""
    side = max(round(image.width / reduction), 1)
    return resize(image, (side, side)).filter(ImageFilter.GaussianBlur(sigma))


class _Distances:
    """How far each point of a square is from a box in it, the larger of across and down."""

    def __init__(self, box: tuple[int, int, int, int], size: int) -> None:
        left, top, right, bottom = box
        self._across = [max(left - n, n + 1 - right, 0) for n in range(size)]
        self._down = [max(top - n, n + 1 - bottom, 0) for n in range(size)]
        self._size = size

    def ramp(self, reach: float) -> Image.Image:
        """Return L: 0 in the box, rising evenly to 255 at that many pixels from it."""
        across, down = (
            bytes(min(round(255 * distance / reach), 255) for distance in distances)
            for distances in (self._across, self._down)
        )
        size = (self._size, self._size)
        row = Image.frombytes("L", (self._size, 1), across).resize(size, Image.Resampling.NEAREST)
        column = Image.frombytes("L", (1, self._size), down).resize(size, Image.Resampling.NEAREST)
        return ImageChops.lighter(row, column)
