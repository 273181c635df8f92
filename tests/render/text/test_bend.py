"""The bend: where outlines come to lie on lines and arcs."""

from __future__ import annotations

from math import atan2, cos, radians, sin
from typing import TYPE_CHECKING

import pytest

from app.frames import Arc, Line
from app.render.text.bend import TOLERANCE, baseline_warp, bend, point_at
from app.render.text.shaping import Font, FontStack, itemise, lay_out
from app.render.text.slogan import fit, set_slogan
from tests.render.text.specimens import (
    AMIRI,
    BOTTOM,
    CAIRO,
    LINE,
    NASTALIQ,
    ROUNDING,
    RUQAA,
    SLOGAN,
    TOP,
    ends,
    style,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_slanted_line_only_turns_the_text(fonts: Path) -> None:
    """Text on a slanted line is the text of a level line, turned about the middle."""
    turn = complex(cos(radians(30)), -sin(radians(30)))
    start, end = 500 + 500j - 400 * turn, 500 + 500j + 400 * turn
    slanted = Line(kind="line", start=(start.real, start.imag), end=(end.real, end.imag))
    level, turned = (set_slogan(SLOGAN, style(baseline=line, shift=9), fonts) for line in (LINE, slanted))
    for before, after in zip(ends(level), ends(turned), strict=True):
        assert after == pytest.approx(500 + 500j + (before - 500 - 500j) * turn, abs=ROUNDING)


def test_letters_keep_their_width_on_arcs(fonts: Path) -> None:
    """Halfway up the ink, text on either arc is as wide as on a line."""
    level = set_slogan(SLOGAN, style(), fonts)
    width, middle = level.box[2] - level.box[0], 500 - (level.box[1] + level.box[3]) / 2
    for arc, outwards in ((TOP, 1), (BOTTOM, -1)):
        points = [z - (500 + 500j) for z in ends(set_slogan(SLOGAN, style(baseline=arc), fonts))]
        angles = [atan2(z.real, -outwards * z.imag) for z in points]
        assert (max(angles) - min(angles)) * (arc.radius + outwards * middle) == pytest.approx(
            width, abs=0.05
        )


@pytest.mark.parametrize("radius", [90, 430])
@pytest.mark.parametrize("side", ["top", "bottom"])
@pytest.mark.parametrize("font", [CAIRO, AMIRI, NASTALIQ, RUQAA])
def test_bent_curves_lie_where_they_should(radius: float, side: str, font: str, fonts: Path) -> None:
    """Every point of every curve is within the tolerance of the place that the baseline gives it."""
    arc = Arc(kind="arc", center=(500, 500), radius=radius, side=side, span=300)  # type: ignore[arg-type]  # parametrised
    bent = style(fonts=(font,), baseline=arc, above=80, below=80, largest=120, smallest=1)
    line = lay_out(itemise("الحُرِّيَّة @Sag ـــ", "ar", FontStack([Font(fonts / font)])))
    warp = baseline_warp(bent, line.box, fit(line.box, bent))
    strays = 0.0
    for curve in (curve for contour in line.contours for curve in contour):
        (pieces,) = bend([[curve]], warp)
        for index in range(len(pieces) * 8 + 1):
            piece, t = min(index // 8, len(pieces) - 1), index / 8
            expected, _, _ = warp(point_at(t / len(pieces), *curve))
            strays = max(strays, abs(point_at(t - piece, *pieces[piece]) - expected))
    assert 0 < strays < 1.2 * TOLERANCE


@pytest.mark.parametrize("baseline", [LINE, TOP, BOTTOM], ids=["line", "top", "bottom"])
def test_the_box_is_the_inks(baseline: Arc | Line, fonts: Path) -> None:
    """The box is around every point where curves end, and each side is reached by some curve."""
    outline = set_slogan("Cœurs حرية", style(baseline=baseline), fonts)
    xs, ys = [z.real for z in ends(outline)], [z.imag for z in ends(outline)]
    left, top, right, bottom = outline.box
    assert left == pytest.approx(min(xs), abs=2)
    assert right == pytest.approx(max(xs), abs=2)
    assert top == pytest.approx(min(ys), abs=2)
    assert bottom == pytest.approx(max(ys), abs=2)
    assert left - ROUNDING <= min(xs) <= max(xs) <= right + ROUNDING
    assert top - ROUNDING <= min(ys) <= max(ys) <= bottom + ROUNDING
