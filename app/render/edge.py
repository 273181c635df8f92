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
    """One of the blurs.

    Attributes:
        sigma: Its standard deviation.
        reach: From where on, outside of the photo, none of the one before is seen.
        side: Pixels of the photo's shorter side while it is made: few are enough for what has no detail.
    """

    sigma: float
    reach: float
    side: int


BLURS = (
    _Blur(sigma=0.01, reach=0.012, side=128),
    _Blur(sigma=0.04, reach=0.05, side=40),
    _Blur(sigma=0.2, reach=0.2, side=16),
)
"""From the photo outwards. What is sharp ends at once: it would be seen drawn out into streaks."""


def surround(photo: Image.Image, place: tuple[int, int], size: int, shorter: float) -> Image.Image:
    """Return a square with a photo in it, sharp, and its edge around it. The photo's pixels stay as they are.

    Args:
        photo: L, RGB, RGBA or CMYK; what is transparent comes to lie on white.
        place: Where it lies in the square: its left and top, pixels.
        size: Side of the square, pixels; the photo lies inside.
        shorter: The shorter side of the whole photo, of which ``photo`` may be a part, in the same pixels.
    """
    square = _continued(_opaque(photo), place, size)
    box = (*place, place[0] + photo.width, place[1] + photo.height)
    near, *farther = BLURS
    # All but what touches the photo is put together from few pixels: a third less time.
    side = _reduced(size, near.side / shorter)
    reduced = resize(square, (side, side))
    backdrop = _blurred(reduced, near, near)
    for blur in farther:
        ramp = _ramp(box, size, side, blur.reach * shorter)
        backdrop = Image.composite(_blurred(reduced, blur, near), backdrop, ramp)
    square.paste(resize(backdrop, square.size), mask=_ramp(box, size, size, near.reach * shorter))
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


def _reduced(size: int, scale: float) -> int:
    return min(max(round(size * scale), 1), size)


def _blurred(image: Image.Image, blur: _Blur, scale: _Blur) -> Image.Image:
    """Blur a picture that is at the scale of one blur, at that of another."""
    side = _reduced(image.width, blur.side / scale.side)
    small = resize(image, (side, side)).filter(ImageFilter.GaussianBlur(blur.sigma * blur.side))
    return resize(small, image.size)


def _ramp(box: tuple[int, int, int, int], size: int, side: int, reach: float) -> Image.Image:
    """Return L: 0 in a box, rising softly to 255 at a distance from it, the larger of across and down.

    Where it rose evenly, the two bends would be seen as lines.

    Args:
        box: In the square.
        size: The square's side.
        side: Pixels of the result's side.
        reach: The distance.
    """
    left, top, right, bottom = box
    places = [(n + 0.5) * size / side for n in range(side)]
    across, down = (
        bytes(_rise(max(start - place, place - stop, 0) / reach) for place in places)
        for start, stop in ((left, right), (top, bottom))
    )
    row = Image.frombytes("L", (side, 1), across).resize((side, side), Image.Resampling.NEAREST)
    column = Image.frombytes("L", (1, side), down).resize((side, side), Image.Resampling.NEAREST)
    return ImageChops.lighter(row, column)


def _rise(share: float) -> int:
    share = min(share, 1)
    return round(255 * share * share * (3 - 2 * share))
