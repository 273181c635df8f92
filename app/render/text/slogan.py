"""A slogan set into its place in a frame, as large as fits.

Renderers that set text on a path place each glyph rigidly, which breaks the joins of Arabic into steps. Here
the text is shaped once, on a straight line (``shaping.py``); then every curve of every glyph is bent onto the
baseline (``bend.py``), so that what joins on the line joins on the arc.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import dist, inf, radians
from typing import TYPE_CHECKING

from app.errors import SloganDoesNotFit
from app.frames import Arc
from app.render.text.bend import baseline_warp, bend, ink_box, neutral_height, outward_sign, path_data
from app.render.text.shaping import Font, FontStack, itemise, lay_out

if TYPE_CHECKING:
    from app.frames import FontsFolder, Line, TextStyle
    from app.render.text.bend import Box
    from app.render.text.shaping import StraightLine

AXIS = 0.225
"""Height above the baseline, in ems, that keeps its place when width makes text smaller than height would.
Found by eye in Cairo: on the baseline itself, small words sit at their band's edge.
"""


@dataclass(frozen=True)
class Outline:
    """A slogan, ready to be filled.

    Attributes:
        d: SVG path data in the artwork's units, to be filled ``nonzero``: glyphs overlap where they join.
        size: Units per em that the text was set at.
        box: Left, top, right and bottom of its ink, in the artwork's units.
    """

    d: str
    size: float
    box: Box


def set_slogan(text: str, style: TextStyle, fonts_folder: FontsFolder) -> Outline:
    """Set one line of text as large as its place allows.

    The ink is centred on the baseline. Its size is the largest, up to ``style.largest``, at which

    - it is no wider than the line is long, or takes no more than the arc's ``span``; and
    - it is no higher than the room, which reaches from ``above`` to ``below`` the baseline where the frame
      drew it: the room belongs to the artwork and does not move with the words.

    The words stand where ``style.shift`` puts them. Those that would leave the room there, such as ones with
    signs far below or above, stand as near to that place as the room allows. Text that has to be smaller for
    its width shrinks towards its :data:`AXIS`, and so stays in the middle of the room.

    Text without ink, such as a lone joiner, gives an empty path.

    Args:
        text: In logical order. UAX #9 orders it, with the tokens of ``tokens.py`` kept whole. The first
            strong character gives the base direction, those of names last; ``style.language`` where there is
            none.
        style: How to set it.
        fonts_folder: Holds the fonts that the style names.

    Raises:
        MissingGlyphs: No font has some of the characters.
        SloganDoesNotFit: It would have to be smaller than ``style.smallest``.
    """
    stack = FontStack(open_fonts(style, fonts_folder))
    line = lay_out(itemise(text, style.language, stack))
    placed = place(line.box, style)
    size = fit(line.box, placed)
    if size < style.smallest:
        raise SloganDoesNotFit
    return _bend(line, placed, size)


def open_fonts(style: TextStyle, fonts_folder: FontsFolder) -> list[Font]:
    """Return a style's fonts and then its fallback, in order of preference."""
    own = [Font(fonts_folder / name) for name in style.fonts]
    return own + [Font(fonts_folder / fallback.font, fallback.scale) for fallback in style.fallback]


def _bend(line: StraightLine, style: TextStyle, size: float) -> Outline:
    """Bend a line onto the baseline; without ink, the box is the middle of the baseline, of no size."""
    warp = baseline_warp(style, line.box, size)
    contours = bend(line.contours, warp)
    if not contours:
        place, _, _ = warp(0)
        return Outline("", size, (place.real, place.imag, place.real, place.imag))
    return Outline("".join(map(path_data, contours)), size, ink_box(contours))


# -- the fit -----------------------------------------------------------------------


def place(box: Box, style: TextStyle) -> TextStyle:
    """Return the style with the shift at which ink is largest in its room.

    Args:
        box: The ink on the straight line: left, bottom, right and top, in ems.
        style: Gives the room, and the shift to keep to where the ink allows it.
    """
    _, bottom, _, top = box
    tallest = min(style.largest, _largest(top - bottom, style.above + style.below))
    placed = _moved(style, _into_room(style.shift, box, style, tallest))
    size = fit(box, placed)
    # Towards the letters' heads, by what their axis sank when width made them smaller.
    raised = _moved(style, _into_room(placed.shift - AXIS * (tallest - size), box, style, size))
    return raised if fit(box, raised) >= style.smallest else placed


def _into_room(shift: float, box: Box, style: TextStyle, size: float) -> float:
    """Return the shift nearest to a given one that keeps ink, no higher than the room, inside it."""
    _, bottom, _, top = box
    return min(max(shift, size * top - style.above), size * bottom + style.below)


def _moved(style: TextStyle, shift: float) -> TextStyle:
    return style.model_copy(update={"shift": shift})


def fit(box: Box, style: TextStyle) -> float:
    """Return the largest size that the room allows at the style's own shift, in units per em.

    Closed form: each limit is linear.

    Args:
        box: The ink on the straight line: left, bottom, right and top, in ems.
        style: Gives the room.

    Returns:
        At most ``style.largest``; zero or less where the shift has used up the room. It may be less than
        ``style.smallest``: that is for the caller to refuse.
    """
    _, bottom, _, top = box
    return min(
        style.largest,
        _largest(top, style.above + style.shift),
        _largest(-bottom, style.below - style.shift),
        _fit_width(box, style),
    )


def _fit_width(box: Box, style: TextStyle) -> float:
    left, _, right, _ = box
    baseline = style.baseline
    if not isinstance(baseline, Arc):
        return _largest(right - left, _length(baseline))
    # On the arc, the width of the ink is taken where its middle height comes to lie: size * width has to be
    # within span * (radius + outwards * size * middle).
    span, outwards = radians(baseline.span), outward_sign(baseline)
    radius = baseline.radius - outwards * style.shift
    return _largest(right - left - outwards * span * neutral_height(box), span * radius)


def _largest(extent: float, room: float) -> float:
    """Return the largest size at which an extent, in ems, is within the room, in units."""
    return room / extent if extent > 0 else inf


def _length(line: Line) -> float:
    return dist(line.start, line.end)
