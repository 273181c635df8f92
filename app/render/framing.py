"""(photo, faces, frame's opening) -> the square. What a spec leaves open of x, y and zoom is chosen here.

The page's choosing.js repeats this arithmetic, so here it is whole. Lengths are in pixels of the photo at
full scale; ``W`` x ``H`` is the upright photo, and ``side``, ``spread``, ``cos``, ``sin`` are crop.py's::

    S    = min(W, H) / spread                           the side at zoom 1
    W' = W |cos| + H |sin|,  H' = W |sin| + H |cos|     the photo turned by ``rotate``, in its bounding box
    u, v, r                                             the frame's circle, in sides; mirrored: 1 - u for u

Faces are boxes in the turned photo. A square is placed so that a point (p, q) of the turned photo comes to
the middle of the circle, or as near as crop.py lets it; ``reach`` is side * spread / 2::

    place(side, p, q):
        a, b = p - (u - 1/2) side - W'/2,  q - (v - 1/2) side - H'/2
        cx, cy = W/2 + a cos + b sin,  H/2 - a sin + b cos        or x W, y H where x, y are given
        cx = clamp(cx, low, W - low),  cy = clamp(cy, low, H - low),  low = min(reach, min(W, H) - reach)
    the circle's middle is then at
        W'/2 + (cx - W/2) cos - (cy - H/2) sin + (u - 1/2) side,
        H'/2 + (cx - W/2) sin + (cy - H/2) cos + (v - 1/2) side

A shape is inside a circle when the ellipse in its box is: of each quarter of the ellipse five points are
looked at. The half axes being w/2 and h/2, and the box's middle (dx, dy) from the circle's::

    (|dx| + w/2 cos t)² + (|dy| + h/2 sin t)² <= radius²       for t = 0, 22.5, 45, 67.5, 90 degrees

With faces::

    group = those of a score from LEAST_SCORE on, or where there is none the first of SECOND_SCORE or more;
            of them the first CROWD, and of these those with at least GROUP of the largest one's area
    head  = from (x - 0.15 w, y - 0.35 h) to (x + 1.15 w, y + 1.10 h)
    room  = clamp(max(size / 1.5, S / 8), 0, S)                the smallest side
    again and again:
        f    = the longest of the group's sides;  want = clamp(f / (SHARE 2 r), room, S)
        p, q = the middle of the box round all shapes of the group
        the first wins, with place(side, p, q), where all shapes of the group are inside:
            1. heads, circle r side:         sides from want down to room by STEP, then from want up to S
            2. faces, circle SEEN r side:    sides from want up to S
            3. faces AIR as large, circle r side:
                                             sides from S up to S / LEAST_ZOOM; of a group to
                                             f / (QUARTER 2 r) at most
        none: one face alone gets S / LEAST_ZOOM, or S where x or y is given; from a group goes the face
              farthest from the middle of all, weighted with their areas (of equally far ones the last)

Without: side = S. Where H' > TALL W', (W'/2, HEAD H') is placed, "head"; else (W'/2, H'/2 + (v - 1/2) side),
so that the middle of the height stays in the middle of the square, "centre".

Where zoom is given, its side is the only one, and 3. is left out. x, y and zoom are rounded to three
decimals, floor(1000 n + 1/2) / 1000: first zoom, of which side comes anew; then x = cx / W and y = cy / H,
which go on by a thousandth towards the middle where crop.py would move them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

from app.frames import UNITS
from app.render.crop import direction
from app.spec import field_range

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from app.frames import Face as Opening
    from app.render.faces import Face
    from app.spec import AvatarSpec

Kind = Literal["faces", "head", "centre", "given"]
"""How a square came about: by the faces found, by where heads are in tall photos, as the middle, as given."""

LEAST_SCORE = 0.7
"""Of a face that counts. At 0.6 large wrong boxes come up beside true faces three times as often."""
SECOND_SCORE = 0.6
"""Of the one face that counts where none reaches LEAST_SCORE: there is no true one beside it to spoil."""
GROUP = 0.25
"""Of the largest face's area: who is smaller stands behind, or passes by."""
CROWD = 24
"""Faces that are looked at, the surest: so it takes a few milliseconds at most, whatever a photo shows."""
SHARE = 0.6
"""Of the circle's diameter that a face is brought to. With its hair a head is 1.45 as high: 0.87."""
QUARTER = 0.25
"""Of the circle's diameter: a smaller face is hardly known again. A group gets a square larger than the photo
only as far as its largest face has that much."""
SEEN = 1.06
"""Of the circle's radius: how far faces may reach before a larger square is needed. Frames keep a little more
free than their circle; of a disc of this radius ours show 99.4 % at least."""
AIR = 1.05
"""How much room a face has that needs a square larger than the photo. Boxes are a few in a hundred off."""
STEP = 0.97
"""Between one side that is tried and the next."""
LEAST_ZOOM = 0.6
"""With it the face of nearly every selfie fits; below it more is blurred edge than photo."""
_, MOST_ZOOM = field_range("zoom")
ENLARGED = 1.5
"""How many pixels of the avatar one of the photo may become at most, for the sake of a small face."""
TALL = 1.1
"""Height to width of a photo in which a head is looked for high up."""
HEAD = 0.30
"""Of a tall photo's height: where its head is, most of the time."""

ABOVE, BELOW, BESIDE = 0.35, 0.10, 0.15
"""Hair, chin and ears: what a head has around a face's box, in heights and widths of it."""

# Cosine and sine of 0, 22.5, 45, 67.5, 90 degrees, written down so that they are the same in every language.
_QUARTER_TURN = (
    (1.0, 0.0),
    (0.9238795325112867, 0.3826834323650898),
    (0.7071067811865476, 0.7071067811865476),
    (0.3826834323650898, 0.9238795325112867),
    (0.0, 1.0),
)
_ROUNDING = 1e-9


class Choice(NamedTuple):
    """Which square is drawn.

    Attributes:
        kind: How it came about.
        x: Its centre, fraction of the upright photo's width.
        y: Likewise, of its height.
        zoom: As in the spec. What was chosen has three decimals, and lies between LEAST_ZOOM and MOST_ZOOM.
    """

    kind: Kind
    x: float
    y: float
    zoom: float

    def __str__(self) -> str:
        """Return it as an item of a structured field (RFC 9651): ``faces; x=0.512; y=0.301; zoom=1.0``."""
        return f"{self.kind}; x={_decimal(self.x)}; y={_decimal(self.y)}; zoom={_decimal(self.zoom)}"


def _decimal(number: float) -> str:
    """Write a decimal of RFC 9651 (4.1.5): three digits of a fraction at the most, and one at the least.

    Zero has no sign, though somebody may have typed one.
    """
    whole, _, fraction = f"{number:z.3f}".partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"


class _Shape(NamedTuple):
    """An ellipse: its middle and its half axes."""

    x: float
    y: float
    across: float
    down: float


def choose(size: tuple[int, int], faces: Sequence[Face], opening: Opening, spec: AvatarSpec) -> Choice:
    """Choose what a spec leaves open of x, y and zoom.

    Args:
        size: Width and height of the upright photo, at least 1.
        faces: In pixels of the upright photo at full scale, turned by ``spec.rotate`` onto its bounding box;
            may reach over its edges. The surest first, as they are found; none where nobody looked for any.
        opening: The circle that the frame keeps free for a face.
        spec: What is asked for. Given values are kept as they are.
    """
    if spec.x is not None and spec.y is not None and spec.zoom is not None:
        return Choice("given", spec.x, spec.y, spec.zoom)
    stage = _Stage(size, opening, spec)
    group = _group(faces)
    if group:
        return stage.choice("faces", *_around(group, stage, spec))
    width, height = stage.turned
    side = stage.largest if stage.given is None else stage.given
    if height > TALL * width:
        return stage.choice("head", side, width / 2, HEAD * height)
    return stage.choice("centre", side, width / 2, height / 2 + (stage.v - 0.5) * side)


def _group(faces: Sequence[Face]) -> list[Face]:
    """Return the faces that the square is chosen for, in the order given."""
    faces = [face for face in faces if face.width > 0 and face.height > 0]
    sure = [face for face in faces if face.score >= LEAST_SCORE][:CROWD]
    if not sure:
        return [face for face in faces[:1] if face.score >= SECOND_SCORE]
    least = GROUP * max(map(_area, sure))
    return [face for face in sure if _area(face) >= least]


def _area(face: Face) -> float:
    return face.width * face.height


def _around(group: list[Face], stage: _Stage, spec: AvatarSpec) -> tuple[float, float, float]:
    """Return a side, and the point that is to come to the circle's middle."""
    while True:
        found = _fitting(group, stage, spec.size)
        if found is not None:
            return found
        if len(group) == 1:
            (face,) = group
            side = stage.largest if spec.x is not None or spec.y is not None else stage.largest / LEAST_ZOOM
            side = side if stage.given is None else stage.given
            return side, face.x + face.width / 2, face.y + face.height / 2
        group = _without_farthest(group)


def _without_farthest(group: list[Face]) -> list[Face]:
    areas = [_area(face) for face in group]
    x = sum(area * (face.x + face.width / 2) for area, face in zip(areas, group, strict=True)) / sum(areas)
    y = sum(area * (face.y + face.height / 2) for area, face in zip(areas, group, strict=True)) / sum(areas)
    farthest, most = 0, 0.0
    for place, face in enumerate(group):
        away = (face.x + face.width / 2 - x) ** 2 + (face.y + face.height / 2 - y) ** 2
        if away >= most:
            farthest, most = place, away
    return group[:farthest] + group[farthest + 1 :]


def _fitting(group: list[Face], stage: _Stage, size: int) -> tuple[float, float, float] | None:
    """Return the first side with which a whole group is inside, and the point for the circle's middle."""
    heads = [_shape(face, ABOVE, BELOW, BESIDE) for face in group]
    faces = [_shape(face) for face in group]
    if stage.given is not None:
        sides = [stage.given]
        return stage.first(heads, sides, stage.r) or stage.first(faces, sides, stage.r * SEEN)
    largest = stage.largest
    room = min(max(size / ENLARGED, largest / MOST_ZOOM), largest)
    longest = max(max(face.width, face.height) for face in group)
    want = min(max(longest / (SHARE * 2 * stage.r), room), largest)
    most = largest / LEAST_ZOOM
    if len(group) > 1:
        most = min(most, longest / (QUARTER * 2 * stage.r))
    airy = [_Shape(face.x, face.y, face.across * AIR, face.down * AIR) for face in faces]
    return (
        stage.first(heads, [want, *_down(want, room), *_up(want, largest)], stage.r)
        or stage.first(faces, [want, *_up(want, largest)], stage.r * SEEN)
        or stage.first(airy, _up(largest, most), stage.r)
    )


def _shape(face: Face, above: float = 0, below: float = 0, beside: float = 0) -> _Shape:
    x = face.x + face.width / 2
    y = face.y + face.height * (1 + below - above) / 2
    return _Shape(x, y, face.width * (1 + 2 * beside) / 2, face.height * (1 + above + below) / 2)


def _down(side: float, least: float) -> Iterator[float]:
    """Yield sides below one, to ``least`` itself."""
    while side > least:
        side = max(side * STEP, least)
        yield side


def _up(side: float, most: float) -> Iterator[float]:
    """Yield sides above one, to ``most`` itself."""
    while side < most:
        side = min(side / STEP, most)
        yield side


class _Stage:
    """A photo, a frame's circle, and what is given: places squares.

    Attributes:
        turned: Width and height of the turned photo's bounding box.
        v: Of the circle's middle, in sides.
        r: The circle's radius, in sides.
        largest: The side at zoom 1.
        given: The side, where zoom is given.
    """

    def __init__(self, size: tuple[int, int], opening: Opening, spec: AvatarSpec) -> None:
        self._size = width, height = size
        self._cos, self._sin = direction(spec.rotate)
        cos, sin = abs(self._cos), abs(self._sin)
        self._spread = cos + sin
        self._spec = spec
        u = opening.center[0] / UNITS
        self._u = 1 - u if spec.flip else u
        self.v = opening.center[1] / UNITS
        self.r = opening.radius / UNITS
        self.turned = (width * cos + height * sin, width * sin + height * cos)
        self.largest = min(width, height) / self._spread
        self.given = None if spec.zoom is None else self.largest / spec.zoom

    def first(
        self, shapes: list[_Shape], sides: Iterator[float] | list[float], radius: float
    ) -> tuple[float, float, float] | None:
        """Return the first side with which all shapes are inside, with their middle, or None.

        Args:
            shapes: At least one.
            sides: What is tried, in this order.
            radius: Of the circle, in sides.
        """
        left = min(shape.x - shape.across for shape in shapes)
        right = max(shape.x + shape.across for shape in shapes)
        top = min(shape.y - shape.down for shape in shapes)
        bottom = max(shape.y + shape.down for shape in shapes)
        p, q = (left + right) / 2, (top + bottom) / 2
        extent = max(right - left, bottom - top)
        for side in sides:
            # What is wider than the circle needs no closer look.
            if extent <= 2 * radius * side and _inside(shapes, self._middle(side, p, q), radius * side):
                return side, p, q
        return None

    def choice(self, kind: Kind, side: float, p: float, q: float) -> Choice:
        """Return a square with that point in the circle's middle, or as near as may be."""
        zoom = _rounded(self.largest / side) if self._spec.zoom is None else self._spec.zoom
        side = self.largest / zoom
        cx, cy = self._placed(side, p, q)
        low = self._low(side)
        x = _thousandth(cx, self._size[0], low) if self._spec.x is None else self._spec.x
        y = _thousandth(cy, self._size[1], low) if self._spec.y is None else self._spec.y
        return Choice(kind, x, y, zoom)

    def _low(self, side: float) -> float:
        """Return how near to the photo's edges a square's centre may lie."""
        reach = side * self._spread / 2
        return min(reach, min(self._size) - reach)

    def _placed(self, side: float, p: float, q: float) -> tuple[float, float]:
        (width, height), (cos, sin), (x, y) = self._size, (self._cos, self._sin), (self._spec.x, self._spec.y)
        a = p - (self._u - 0.5) * side - self.turned[0] / 2
        b = q - (self.v - 0.5) * side - self.turned[1] / 2
        cx = width / 2 + a * cos + b * sin if x is None else x * width
        cy = height / 2 - a * sin + b * cos if y is None else y * height
        low = self._low(side)
        return min(max(cx, low), width - low), min(max(cy, low), height - low)

    def _middle(self, side: float, p: float, q: float) -> tuple[float, float]:
        """Return where the circle's middle lies in the turned photo."""
        cx, cy = self._placed(side, p, q)
        a, b = cx - self._size[0] / 2, cy - self._size[1] / 2
        return (
            self.turned[0] / 2 + a * self._cos - b * self._sin + (self._u - 0.5) * side,
            self.turned[1] / 2 + a * self._sin + b * self._cos + (self.v - 0.5) * side,
        )


def _inside(shapes: list[_Shape], middle: tuple[float, float], radius: float) -> bool:
    for shape in shapes:
        dx, dy = abs(shape.x - middle[0]), abs(shape.y - middle[1])
        for cos, sin in _QUARTER_TURN:
            if (dx + shape.across * cos) ** 2 + (dy + shape.down * sin) ** 2 > radius**2:
                return False
    return True


def _rounded(n: float) -> float:
    return math.floor(n * 1000 + 0.5) / 1000


def _thousandth(centre: float, length: int, low: float) -> float:
    """Return a centre as a fraction of the photo's side that crop.py leaves where it is.

    The middle is a thousandth too, and no square has to leave it: so towards it there is always one.
    """
    fraction = _rounded(centre / length)
    if fraction * length < low - _ROUNDING * length:
        return _rounded(fraction + 0.001)
    if fraction * length > length - low + _ROUNDING * length:
        return _rounded(fraction - 0.001)
    return fraction
