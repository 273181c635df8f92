"""Photo + framing -> square.

The page's preview repeats this arithmetic, so here it is whole. All lengths are in pixels of the upright
photo at full scale, ``W`` x ``H``, y downwards; angles are clockwise::

    spread = |cos rotate| + |sin rotate|        how much wider a turned square's bounding box is
    side   = min(W, H) / spread / zoom          the square's side; zoom 1: the largest that fits, turned
    reach  = side * spread / 2                  half of the bounding box
    low    = min(reach, min(W, H) - reach)      how near to the photo's edges the centre may come
    cx     = clamp(x * W, low, W - low)         the centre, moved in until the box lies inside the photo
    cy     = clamp(y * H, low, H - low)

A point of the avatar at (u, v) from its centre, in sides (-1/2 to 1/2), shows the photo at::

    cx + side * ( u cos rotate + v sin rotate)
    cy + side * (-u sin rotate + v cos rotate)

So a square larger than the photo reaches as far over the edges of the longer side as it must over those of
the shorter one, if it is asked to: a head at the top of a tall photo needs that as much as one at its side.

What lies outside the photo is its edge, blurred: see edge.py. Mirroring comes last: what is at (-u, v) is
shown at (u, v).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from PIL import Image

from app.render.edge import surround
from app.render.resize import Box, resize

if TYPE_CHECKING:
    from app.render.decode import Photo
    from app.spec import AvatarSpec

Matrix = tuple[float, float, float, float]
"""(a, b, c, d): a point (x, y) goes to (a x + b y, c x + d y)."""

STORED: dict[int, Matrix] = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}
"""Where a point of the upright photo lies in the stored one, both from their centres, by EXIF orientation."""

TURNS: dict[Matrix, Image.Transpose | None] = {
    STORED[1]: None,
    STORED[2]: Image.Transpose.FLIP_LEFT_RIGHT,
    STORED[3]: Image.Transpose.ROTATE_180,
    STORED[4]: Image.Transpose.FLIP_TOP_BOTTOM,
    STORED[5]: Image.Transpose.TRANSPOSE,
    STORED[6]: Image.Transpose.ROTATE_270,
    STORED[7]: Image.Transpose.TRANSVERSE,
    STORED[8]: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright whose points have been moved by the matrix: exact, no pixel is resampled."""

MIRROR: Matrix = (-1, 0, 0, 1)


@dataclass(frozen=True)
class Framing:
    """Which square of the upright photo is wanted.

    Attributes:
        cx: Centre, pixels from the left.
        cy: Centre, pixels from the top.
        side: The square's side, pixels.
        cos: Of the angle; exact for quarter turns.
        sin: Of the angle; exact for quarter turns.
    """

    cx: float
    cy: float
    side: float
    cos: float
    sin: float

    @property
    def spread(self) -> float:
        """Side of the bounding box, in sides of the square."""
        return abs(self.cos) + abs(self.sin)


def scale_needed(size: tuple[int, int], spec: AvatarSpec) -> float:
    """Return how far a photo of that size may be shrunk before the avatar loses by it.

    Which way is up does not matter. Above 1 even the whole photo is smaller than the avatar. Where the square
    is larger than the photo, the scale is that of the largest inside it: so the photo need not be decoded
    anew when such a square is chosen.
    """
    largest = spec.model_copy(update={"zoom": None})
    return spec.size / min(frame_square(*size, spec).side, frame_square(*size, largest).side)


def frame_square(width: int, height: int, spec: AvatarSpec) -> Framing:
    """Place the square that a spec asks for in an upright photo of that size.

    It leaves the photo only where it is larger. What the spec leaves open is the middle of the photo, and
    the largest square inside it.
    """
    cos, sin = direction(spec.rotate)
    spread = abs(cos) + abs(sin)
    side = min(width, height) / spread / (1 if spec.zoom is None else spec.zoom)
    reach = side * spread / 2
    low = min(reach, min(width, height) - reach)
    cx = min(max((0.5 if spec.x is None else spec.x) * width, low), width - low)
    cy = min(max((0.5 if spec.y is None else spec.y) * height, low), height - low)
    return Framing(cx, cy, side, cos, sin)


def direction(degrees: float) -> tuple[float, float]:
    """Return cosine and sine, without the rounding that would blur a quarter turn."""
    quarters, rest = divmod(degrees, 90)
    if rest == 0:
        return ((1, 0), (0, 1), (-1, 0), (0, -1))[int(quarters) % 4]
    angle = math.radians(degrees)
    return math.cos(angle), math.sin(angle)


def crop(photo: Photo, spec: AvatarSpec, margin: int = 0) -> Image.Image:
    """Cut the square out, turn it upright and bring it to the avatar's size, in the photo's own colours.

    Cropping and resizing are one step and come first, on the picture as stored; only the small square is
    turned.

    Args:
        photo: From :func:`app.render.decode.decode`.
        spec: What is asked for.
        margin: Pixels of the avatar, on each side, that the frame will hide. They are left out of the square,
            which is smaller by so much and otherwise the same.
    """
    framing = frame_square(*photo.upright_size, spec)
    size = spec.size - 2 * margin
    framing = replace(framing, side=framing.side * size / spec.size)
    to_stored = _product(STORED[photo.orientation], (framing.cos, framing.sin, -framing.sin, framing.cos))
    if spec.flip:
        to_stored = _product(to_stored, MIRROR)
    if to_stored in TURNS:
        square = _cut(photo, framing, size)
        turn = TURNS[to_stored]
        return square if turn is None else square.transpose(turn)
    box = _cut(photo, framing, math.ceil(size * framing.spread))
    return _turn(box, to_stored, framing, size)


def _product(m: Matrix, n: Matrix) -> Matrix:
    return (
        m[0] * n[0] + m[1] * n[2],
        m[0] * n[1] + m[1] * n[3],
        m[2] * n[0] + m[3] * n[2],
        m[2] * n[1] + m[3] * n[3],
    )


def _cut(photo: Photo, framing: Framing, size: int) -> Image.Image:
    """Return the square's bounding box from the stored picture, resized to ``size`` x ``size``."""
    width, height = photo.upright_size
    a, b, c, d = STORED[photo.orientation]
    x, y = framing.cx - width / 2, framing.cy - height / 2
    across, down = photo.image.width / photo.width, photo.image.height / photo.height
    centre_x = (a * x + b * y + photo.width / 2) * across
    centre_y = (c * x + d * y + photo.height / 2) * down
    reach_x = framing.side * framing.spread / 2 * across
    reach_y = framing.side * framing.spread / 2 * down
    box = (centre_x - reach_x, centre_y - reach_y, centre_x + reach_x, centre_y + reach_y)
    return _cut_around(photo.image, box, size)


def _cut_around(image: Image.Image, box: Box, size: int) -> Image.Image:
    """Return a box of a picture, which may reach over its edges, resized to ``size`` x ``size``."""
    across, down = size / (box[2] - box[0]), size / (box[3] - box[1])
    # Where the picture lies in the result. Its edges come between two pixels: half of one would be a line.
    left, right = max(round(-box[0] * across), 0), min(round((image.width - box[0]) * across), size)
    top, bottom = max(round(-box[1] * down), 0), min(round((image.height - box[1]) * down), size)
    piece = resize(image, (right - left, bottom - top), box)
    if piece.size == (size, size):
        return piece
    return surround(piece, (left, top), size, min(image.width * across, image.height * down))


def shrink(photo: Photo, side: int) -> Image.Image:
    """Bring the whole photo to ``side`` pixels on its longer side, never more than it has, still as stored.

    In the photo's own colours; :data:`TURNS` makes it upright.

    Args:
        photo: From :func:`app.render.decode.decode`.
        side: Pixels of the longer side.
    """
    scale = min(side / max(photo.width, photo.height), 1)
    size = max(round(photo.width * scale), 1), max(round(photo.height * scale), 1)
    return resize(photo.image, size)


def _turn(box: Image.Image, to_stored: Matrix, framing: Framing, size: int) -> Image.Image:
    """Turn by any angle: each pixel of the square is looked up in its bounding box, at the same scale."""
    scale = box.width / framing.spread / size
    a, b, c, d = (n * scale for n in to_stored)
    middle, half = box.width / 2, size / 2
    affine = (a, b, middle - (a + b) * half, c, d, middle - (c + d) * half)
    return box.transform((size, size), Image.Transform.AFFINE, affine, Image.Resampling.BICUBIC)
