"""Type specimens: fonts, baselines and styles that text is set in, and how its outline is measured."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from app.frames import Arc, Line, TextStyle

if TYPE_CHECKING:
    from app.render.text.slogan import Outline

CAIRO = "cairo/Cairo_900Black.ttf"
AMIRI = "amiri/Amiri_700Bold.ttf"
KUFI = "noto-kufi-arabic/NotoKufiArabic_900Black.ttf"
SANS = "noto-sans/NotoSans_900Black.ttf"
REEM_KUFI = "reem-kufi/ReemKufi_700Bold.ttf"
RUQAA = "aref-ruqaa/ArefRuqaa_700Bold.ttf"
NASTALIQ = "noto-nastaliq-urdu/NotoNastaliqUrdu_700Bold.ttf"

LINE = Line(kind="line", start=(100, 500), end=(900, 500))
TOP = Arc(kind="arc", center=(500, 500), radius=400, side="top", span=120)
BOTTOM = Arc(kind="arc", center=(500, 500), radius=430, side="bottom", span=120)
SLOGAN = "الحرية للأسرى"

ROUNDING = 0.011
"""Path data are written to a hundredth of a unit; a fitted edge may be off by that and the tolerance."""


def style(**changes: Any) -> TextStyle:
    """Return a roomy style with some values changed."""
    values: dict[str, Any] = {
        "fonts": (CAIRO,),
        "largest": 80,
        "smallest": 10,
        "above": 200,
        "below": 200,
        "shift": 0,
        "baseline": LINE,
        "language": "ar",
    }
    return TextStyle(**(values | changes))


def ends(outline: Outline) -> list[complex]:
    """Return the points at which an outline's curves end."""
    pairs = re.findall(r"(-?[\d.]+) (-?[\d.]+)(?=[MCZ])", outline.d)
    return [complex(float(x), float(y)) for x, y in pairs]


def height(point: complex, baseline: Arc | Line) -> float:
    """Return how far a point is above a baseline (for lines: a horizontal one)."""
    if isinstance(baseline, Line):
        return baseline.start[1] - point.imag
    distance = abs(point - complex(*baseline.center))
    return distance - baseline.radius if baseline.side == "top" else baseline.radius - distance
