"""Outlines bent onto a baseline.

Points and vectors are complex numbers, x + iy. On the straight line the unit is the em, x rightwards and y
upwards from the baseline's left end; the artwork has its own units, y downwards.

Nothing here knows of text: what is bent may be any outline.
"""

from __future__ import annotations

from itertools import pairwise
from math import ceil, cos, sin, sqrt
from typing import TYPE_CHECKING, Protocol

from app.frames import Arc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from app.frames import Line, TextStyle

Box = tuple[float, float, float, float]
"""Around ink: lowest x, lowest y, highest x, highest y."""
Cubic = tuple[complex, complex, complex, complex]
"""A Bézier curve: start, two control points, end."""
Contour = list[Cubic]
"""A closed outline: each curve begins where the one before it ends."""

TOLERANCE = 0.01
"""How far a bent curve may lie from its true place, in the artwork's units: 0.02 pixels at 2048."""


# -- curves -----------------------------------------------------------------------


def ink_box(contours: Iterable[Contour]) -> Box:
    """Return the exact lowest x, lowest y, highest x and highest y of curves, in their unit.

    That is left, bottom, right and top on the straight line, where y goes upwards; left, top, right and
    bottom in the artwork. Zeros where there are no curves.
    """
    curves = [curve for contour in contours for curve in contour]
    if not curves:
        return 0.0, 0.0, 0.0, 0.0
    left, right = _extent([(a.real, b.real, c.real, d.real) for a, b, c, d in curves])
    low, high = _extent([(a.imag, b.imag, c.imag, d.imag) for a, b, c, d in curves])
    return left, low, right, high


def _extent(curves: Sequence[tuple[float, float, float, float]]) -> tuple[float, float]:
    """Return the range of one coordinate over cubics."""
    low = min(curve[3] for curve in curves)
    high = max(curve[3] for curve in curves)
    for curve in curves:
        # A curve stays within its control points; few reach beyond what is known already.
        if min(curve) < low or max(curve) > high:
            values = [point_at(t, *curve).real for t in _turning_points(*curve)]
            low, high = min(low, *values), max(high, *values)
    return low, high


def _turning_points(p0: float, p1: float, p2: float, p3: float) -> list[float]:
    """Return where a cubic's derivative is zero, and its ends."""
    a, b, c = p3 - p0 + 3 * (p1 - p2), 2 * (p0 - 2 * p1 + p2), p1 - p0
    roots: list[float] = []
    if abs(a) < 1e-12:
        roots = [-c / b] if abs(b) > 1e-12 else []
    elif (discriminant := b * b - 4 * a * c) >= 0:
        roots = [(-b + sign * sqrt(discriminant)) / (2 * a) for sign in (-1, 1)]
    return [0.0, 1.0, *(root for root in roots if 0 < root < 1)]


def point_at(t: float, p0: complex, p1: complex, p2: complex, p3: complex) -> complex:
    """Return the point of a Bézier curve at ``t``, 0-1."""
    u = 1 - t
    return u * u * u * p0 + 3 * u * t * (u * p1 + t * p2) + t * t * t * p3


def _velocity_at(t: float, p0: complex, p1: complex, p2: complex, p3: complex) -> complex:
    """Return a third of a curve's derivative at ``t``: the way to the next control point."""
    u = 1 - t
    return u * u * (p1 - p0) + 2 * u * t * (p2 - p1) + t * t * (p3 - p2)


# -- the baseline -----------------------------------------------------------------


def neutral_height(box: Box) -> float:
    """Return the height above the baseline, in ems, at which letters keep their width on an arc.

    Bending narrows what is nearer to the circle's centre and widens what is farther. Halfway up the ink, tops
    are changed as much as feet, and the letter as a whole keeps its width.

    Args:
        box: The ink on the straight line: left, bottom, right and top, in ems.
    """
    return (box[1] + box[3]) / 2


def outward_sign(arc: Arc) -> int:
    """Return 1 where an arc's letters stand away from the circle's centre, -1 where they stand towards it."""
    return 1 if arc.side == "top" else -1


class Warp(Protocol):
    """Carries points of the straight line, in ems, to the artwork, in its units."""

    def __call__(self, point: complex, /) -> tuple[complex, complex, complex]:
        """Return where a point comes to lie, and what an em rightwards and an em upwards become there."""


def baseline_warp(style: TextStyle, box: Box, size: float) -> Warp:
    """Return the warp that lays the straight line on a baseline, its ink's middle on the baseline's middle.

    Args:
        style: Gives the baseline, and its shift.
        box: The ink on the straight line: left, bottom, right and top, in ems.
        size: Units per em, above 0. On an arc, less than what takes the ink's middle to the circle's centre.
    """
    centre = (box[0] + box[2]) / 2
    if isinstance(style.baseline, Arc):
        return _arc(style.baseline, style.shift, centre, neutral_height(box), size)
    return _line(style.baseline, style.shift, centre, size)


def _arc(arc: Arc, shift: float, centre: float, middle: float, size: float) -> Warp:
    outwards = outward_sign(arc)
    origin = complex(*arc.center)
    radius = arc.radius - outwards * shift
    turn = size / (radius + outwards * size * middle)  # radians per em

    def place(point: complex) -> tuple[complex, complex, complex]:
        angle = (point.real - centre) * turn
        ray = complex(sin(angle), -outwards * cos(angle))
        distance = radius + outwards * size * point.imag
        return origin + distance * ray, outwards * distance * turn * ray * 1j, outwards * size * ray

    return place


def _line(line: Line, shift: float, centre: float, size: float) -> Warp:
    start, end = complex(*line.start), complex(*line.end)
    right = size * (end - start) / abs(end - start)
    up = right * -1j
    origin = (start + end) / 2 - centre * right - shift / size * up

    def place(point: complex) -> tuple[complex, complex, complex]:
        return origin + point.real * right + point.imag * up, right, up

    return place


# -- the bend ---------------------------------------------------------------------


def bend(contours: Iterable[Contour], warp: Warp) -> list[Contour]:
    """Carry contours to the artwork, each curve to about :data:`TOLERANCE` of its true place.

    Args:
        contours: On the straight line, in ems.
        warp: Where they go.

    Returns:
        As many contours, in the artwork's units, with curves split where one cubic cannot follow the bend.
    """
    return [[bent for curve in contour for bent in _bend_curve(curve, warp)] for contour in contours]


def _bend_curve(curve: Cubic, warp: Warp) -> list[Cubic]:
    """Return the curves that follow a bent curve within :data:`TOLERANCE`.

    Each has the bent curve's own direction and speed at both ends, so that smooth outlines stay smooth. What
    it strays by between them falls with the fourth power of the number of curves; so one measurement, in the
    middle, gives the number.
    """
    whole = _follow(curve, warp, 1)
    middle, _, _ = warp(point_at(0.5, *curve))
    strays = abs(point_at(0.5, *whole[0]) - middle)
    if strays <= TOLERANCE:
        return whole
    return _follow(curve, warp, ceil((strays / TOLERANCE) ** 0.25))


def _follow(curve: Cubic, warp: Warp, count: int) -> list[Cubic]:
    """Approximate a bent curve by ``count`` cubics that share its points and velocities at their ends."""
    nodes = []
    for index in range(count + 1):
        point, right, up = warp(point_at(index / count, *curve))
        velocity = _velocity_at(index / count, *curve) / count
        nodes.append((point, velocity.real * right + velocity.imag * up))
    return [(a, a + at_a, b - at_b, b) for (a, at_a), (b, at_b) in pairwise(nodes)]


def path_data(contour: Contour) -> str:
    """Write a closed contour, of one curve or more, as SVG path data, to a hundredth of a unit."""
    start = contour[0][0]
    curves = "".join(
        f"C{a.real:.2f} {a.imag:.2f} {b.real:.2f} {b.imag:.2f} {c.real:.2f} {c.imag:.2f}"
        for _, a, b, c in contour
    )
    return f"M{start.real:.2f} {start.imag:.2f}{curves}Z"
