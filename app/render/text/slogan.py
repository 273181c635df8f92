"""Text to an outline: order, shaping, fit and the bend onto the baseline.

Renderers that set text on a path place each glyph rigidly, which breaks the joins of Arabic into steps. Here
the text is shaped once, on a straight line, with HarfBuzz; then every curve of every glyph is bent onto the
baseline, so that what joins on the line joins on the arc.

Three coordinate systems follow one another: a font's units; the straight line, in ems, x rightwards and y
upwards from the baseline's left end; and the artwork's units, y downwards.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise
from math import ceil, cos, dist, inf, radians, sin, sqrt
from typing import TYPE_CHECKING, Protocol

import uharfbuzz as hb
from arabic_reshaper import ArabicReshaper

from app.errors import MissingGlyphs, SloganDoesNotFit
from app.frames import Arc
from app.render.text.bidi import bidi_classes, first_strong, visual_runs
from app.texts.languages import RIGHT_TO_LEFT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from app.frames import Line, TextStyle
    from app.render.text.bidi import Direction

Box = tuple[float, float, float, float]
Cubic = tuple[complex, complex, complex, complex]
"""A Bézier curve: start, two control points, end. Points and vectors are complex numbers, x + iy."""
Contour = list[Cubic]

TOLERANCE = 0.01
"""How far a bent curve may lie from its true place, in the artwork's units: 0.02 pixels at 2048."""

AXIS = 0.225
"""Height above the baseline, in ems, that keeps its place when width makes text smaller than height would.
Found by eye in Cairo: on the baseline itself, small words sit at their band's edge.
"""

# A hashtag or a mention. Python's \w has no combining marks, so accents and harakat, and joiners, are added.
_TAG = re.compile(r"(?<!\w)[#@][\w\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0670\u200c\u200d]+")
_FIRST_STRONG_ISOLATE, _POP_DIRECTIONAL_ISOLATE = "\u2068", "\u2069"


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


def set_slogan(text: str, style: TextStyle, fonts_folder: Path) -> Outline:
    """Set one line of text as large as its place allows.

    The ink is centred on the baseline. Its size is the largest, up to ``style.largest``, at which

    - it is no wider than the line is long, or takes no more than the arc's ``span``; and
    - moved by ``style.shift``, it rises no more than ``above`` and falls no more than ``below`` from the
      baseline where the frame drew it: the room belongs to the artwork and does not move with the words.

    Text that has to be smaller for its width shrinks towards its :data:`AXIS`, and so stays in the middle of
    the room.

    Text without ink, such as a lone joiner, gives an empty path.

    Args:
        text: In logical order. UAX #9 orders it, with hashtags and mentions isolated (HL4), so that their
            sign stands where their own words start, whatever is around them. The first strong character
            gives the base direction, those of tags last; ``style.language`` where there is none.
        style: How to set it.
        fonts_folder: Holds the fonts that the style names.

    Raises:
        MissingGlyphs: No font has some of the characters.
        SloganDoesNotFit: It would have to be smaller than ``style.smallest``.
    """
    case = _TypeCase([_Font(fonts_folder / name) for name in style.fonts])
    line = _compose(_itemise(text, style.language, case))
    size = _fit(line.box, style)
    if size < style.smallest:
        raise SloganDoesNotFit
    raised = _raise(style, line.box, size)
    if (raised_size := _fit(line.box, raised)) >= style.smallest:
        style, size = raised, raised_size
    return _bend(line, _baseline(style, line.box, size), size)


# -- text to items ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Segment:
    """What HarfBuzz is told about a stretch of text.

    Attributes:
        rtl: Whether it reads right to left.
        script: ISO 15924 code; None where there is no script, as in digits alone.
        language: BCP 47 code.
    """

    rtl: bool
    script: str | None
    language: str


@dataclass(frozen=True, slots=True)
class _Item:
    """What is shaped in one go: ``context[start:end]``, joined to its neighbours in ``context``."""

    context: str
    start: int
    end: int
    segment: _Segment
    font: _Font


def _itemise(text: str, language: str, case: _TypeCase) -> list[_Item]:
    """Split a text by direction, script and font; the items come from left to right."""
    base = base_direction(text, language)
    text = _isolate_tags(text)
    scripts = _scripts(text)
    items: list[_Item] = []
    for run in visual_runs(text, base):
        rtl = run.level % 2 == 1
        in_run: list[_Item] = []
        start = 0
        for script, group in groupby(_inherit(scripts, run.start, run.end)):
            end = start + len(list(group))
            segment = _Segment(rtl=rtl, script=script, language=language)
            in_run += case.items(text[run.start : run.end], start, end, segment)
            start = end
        items += reversed(in_run) if rtl else in_run
    if case.missing:
        missing = (character for character in dict.fromkeys(text) if character in case.missing)
        raise MissingGlyphs(characters=tuple(map(_describe, missing)))
    return items


def _isolate_tags(text: str) -> str:
    """Put hashtags and mentions between isolates, as HL4 of UAX #9 allows."""
    return _TAG.sub(rf"{_FIRST_STRONG_ISOLATE}\g<0>{_POP_DIRECTIONAL_ISOLATE}", text)


def base_direction(text: str, language: str) -> Direction:
    """Return the direction of the first strong character outside tags, or inside, or else the language's."""
    for candidate in (_isolate_tags(text), text):
        direction = first_strong(bidi_classes(candidate))
        if direction is not None:
            return direction
    return 1 if language.partition("-")[0].lower() in RIGHT_TO_LEFT else 0


def _scripts(text: str) -> list[str | None]:
    """Return the script of each character; None for those that scripts share."""
    scripts = []
    buffer = hb.Buffer()
    for character in text:
        buffer.reset()
        buffer.add_str(character)
        buffer.guess_segment_properties()
        scripts.append(buffer.script)
    return scripts


def _inherit(scripts: Sequence[str | None], start: int, end: int) -> list[str | None]:
    """Give shared characters of ``[start, end)`` a script: of what is before them, or else after them.

    Text of the same run comes before the rest: a bracket that stands among Arabic is set as Arabic, even if
    what it closes is Latin.
    """
    nearest = [*scripts[start:end], *reversed(scripts[:start]), *scripts[end:]]
    current = next(filter(None, nearest), None)
    inherited = []
    for script in scripts[start:end]:
        current = script or current
        inherited.append(current)
    return inherited


class _TypeCase:
    """The fonts of a style, in order of preference.

    Attributes:
        missing: The characters that were asked for in vain.
    """

    def __init__(self, fonts: Sequence[_Font]) -> None:
        self._fonts = fonts
        self.missing: set[str] = set()

    def items(self, context: str, start: int, end: int, segment: _Segment) -> list[_Item]:
        """Choose fonts for ``context[start:end]``; the items come in logical order.

        A word stays in one font where any font has all of it. What is not a word (spaces, digits,
        punctuation) keeps to the font beside it.
        """
        words = list(_units(context, start, end, words=True))
        first_word = next((span for span in words if _is_word(context[slice(*span)])), None)
        home = self._find(context[slice(*first_word)], segment) if first_word else None
        items: list[_Item] = []
        for word in words:
            text = context[slice(*word)]
            font = self._find(text, segment, None if _is_word(text) else home)
            for span in [word] if font else _units(context, *word, words=False):
                part = context[slice(*span)]
                home = font or self._find(part, segment) or self._miss(part, segment)
                if items and items[-1].font is home:
                    items[-1] = replace(items[-1], end=span[1])
                else:
                    items.append(_Item(context, *span, segment, home))
        return items

    def _find(self, text: str, segment: _Segment, preferred: _Font | None = None) -> _Font | None:
        fonts = [preferred, *self._fonts] if preferred else self._fonts
        return next((font for font in fonts if font.draws(text, segment)), None)

    def _miss(self, cluster: str, segment: _Segment) -> _Font:
        """Note what of a base with its marks cannot be drawn by the font that has the base."""
        font = self._find(cluster[0], segment) or self._fonts[0]
        self.missing |= {character for character in cluster if not font.draws(character, segment)}
        return font


def _units(text: str, start: int, end: int, *, words: bool) -> Iterator[tuple[int, int]]:
    """Split ``text[start:end]`` into words, numbers and other characters, or else into single characters.

    Marks and joiners stay with what they follow.
    """
    begin = start
    kind = ""
    for index in range(start, end):
        category = unicodedata.category(text[index])
        if category[0] == "M" or category == "Cf":
            continue
        goes_on = words and category[0] == kind and kind in "LN"
        if index > begin and not goes_on:
            yield begin, index
            begin = index
        kind = category[0]
    yield begin, end


def _is_word(text: str) -> bool:
    return any(map(str.isalpha, text))


def _describe(character: str) -> str:
    """Show a character with its code point, a mark on a dotted circle."""
    carrier = "\u25cc" if unicodedata.category(character).startswith("M") else ""
    return f"{carrier}{character} (U+{ord(character):04X})"


# -- items to a straight line ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _StraightLine:
    """Shaped text on a straight baseline, in ems.

    Attributes:
        contours: The outlines of all glyphs; outer ones run clockwise.
        box: Left, bottom, right and top of the ink.
    """

    contours: list[Contour]
    box: Box


def _compose(items: Iterable[_Item]) -> _StraightLine:
    """Shape items and lay their glyphs out from left to right."""
    contours: list[Contour] = []
    x = 0.0
    for item in items:
        font = item.font
        glyphs = font.shape(item.context, item.start, item.end, item.segment)
        for info, position in zip(glyphs.glyph_infos, glyphs.glyph_positions, strict=True):
            at = complex(x + position.x_offset / font.em, position.y_offset / font.em)
            contours += font.draw(info.codepoint, at)
            x += position.x_advance / font.em
    return _StraightLine(contours, _ink_box(contours))


class _Font:
    """A font file, opened for shaping and for drawing.

    Attributes:
        em: Font units per em.
    """

    def __init__(self, path: Path) -> None:
        self._face = hb.Face(hb.Blob.from_file_path(str(path)))
        self._font = hb.Font(self._face)
        self._draw_funcs = _draw_funcs()
        self.em: int = self._face.upem

    def shape(self, context: str, start: int, end: int, segment: _Segment) -> hb.Buffer:
        """Turn ``context[start:end]`` into positioned glyphs, from left to right, in font units.

        A font that joins Arabic itself gets the text as it is. One that has presentation forms only gets
        those, still in logical order: HarfBuzz finds nothing to join in them and only lays them out.
        """
        buffer = hb.Buffer()
        if segment.script == "Arab" and not self._joins_arabic:
            buffer.add_str(self._reshaper.reshape(context[start:end]))
        else:
            buffer.add_str(context, start, end - start)
        buffer.direction = "rtl" if segment.rtl else "ltr"
        if segment.script:
            buffer.script = segment.script
        buffer.language = segment.language
        hb.shape(self._font, buffer)
        return buffer

    def draws(self, text: str, segment: _Segment) -> bool:
        """Tell whether no glyph is missing for a text; joiners and directional marks need none."""
        return all(info.codepoint for info in self.shape(text, 0, len(text), segment).glyph_infos)

    def draw(self, glyph: int, at: complex) -> list[Contour]:
        """Return a glyph's outline with its origin moved to ``at``, in ems; outer contours run clockwise."""
        pen = _Pen(at, self.em)
        self._font.draw_glyph(glyph, self._draw_funcs, pen)
        # Fonts disagree on which way contours run, and some (Aref Ruqaa, Reem Kufi) within themselves. Where
        # two glyphs overlap at a join, opposite ways would cancel out and leave a hole.
        if sum(map(_doubled_area, pen.contours)) > 0:
            return [[curve[::-1] for curve in reversed(contour)] for contour in pen.contours]
        return pen.contours

    @cached_property
    def _joins_arabic(self) -> bool:
        """Whether OpenType substitutions join its Arabic letters."""
        scripts = self._face.get_table_script_tags("GSUB")
        script = next((tag for tag in ("arab", "DFLT") if tag in scripts), None)
        if script is None:
            return False
        return {"init", "fina"} <= set(self._face.get_language_feature_tags("GSUB", scripts.index(script)))

    @cached_property
    def _reshaper(self) -> ArabicReshaper:
        # By default it drops harakat, and draws the name of God as one character that few fonts have.
        return ArabicReshaper({"delete_harakat": False, "ARABIC LIGATURE ALLAH": False})


class _Pen:
    """Collects a glyph's contours as cubics.

    Args:
        origin: Where the glyph stands, in ems.
        em: Font units per em.
    """

    def __init__(self, origin: complex, em: int) -> None:
        self.contours: list[Contour] = []
        self._origin = origin
        self._em = em
        self._at = origin

    def move_to(self, x: float, y: float) -> None:
        self.contours.append([])
        self._at = self._point(x, y)

    def line_to(self, x: float, y: float) -> None:
        end = self._point(x, y)
        third = (end - self._at) / 3
        self._add(self._at + third, end - third, end)

    def cubic_to(self, *coordinates: float) -> None:
        x1, y1, x2, y2, x3, y3 = coordinates
        self._add(self._point(x1, y1), self._point(x2, y2), self._point(x3, y3))

    def _add(self, first: complex, second: complex, end: complex) -> None:
        self.contours[-1].append((self._at, first, second, end))
        self._at = end

    def _point(self, x: float, y: float) -> complex:
        return self._origin + complex(x, y) / self._em


def _draw_funcs() -> hb.DrawFuncs:
    """Lead HarfBuzz's callbacks to a pen. It closes contours by a line, and gives quadratics as cubics."""
    funcs = hb.DrawFuncs()
    funcs.set_move_to_func(lambda x, y, pen: pen.move_to(x, y))
    funcs.set_line_to_func(lambda x, y, pen: pen.line_to(x, y))
    funcs.set_cubic_to_func(lambda *given: given[-1].cubic_to(*given[:-1]))
    return funcs


def _doubled_area(contour: Contour) -> float:
    """Return twice the signed area of a contour's control polygon, positive where it runs anticlockwise."""
    return sum((a.conjugate() * b).imag for curve in contour for a, b in pairwise(curve))


def _ink_box(contours: Iterable[Contour]) -> Box:
    """Return the exact lowest and highest x and y of curves; zeros where there are none."""
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
            values = [_point(t, *curve).real for t in _turning_points(*curve)]
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


def _point(t: float, p0: complex, p1: complex, p2: complex, p3: complex) -> complex:
    """Return the point of a curve at ``t``."""
    u = 1 - t
    return u * u * u * p0 + 3 * u * t * (u * p1 + t * p2) + t * t * t * p3


def _velocity(t: float, p0: complex, p1: complex, p2: complex, p3: complex) -> complex:
    """Return a third of a curve's derivative at ``t``: the way to the next control point."""
    u = 1 - t
    return u * u * (p1 - p0) + 2 * u * t * (p2 - p1) + t * t * (p3 - p2)


# -- the fit -----------------------------------------------------------------------


def _fit(box: Box, style: TextStyle) -> float:
    """Return the largest size that the room allows, in units per em. Closed form: each limit is linear.

    Args:
        box: The ink on the straight line, in ems.
        style: Gives the room.
    """
    return min(_fit_height(box, style), _fit_width(box, style))


def _fit_height(box: Box, style: TextStyle) -> float:
    _, bottom, _, top = box
    return min(
        style.largest,
        _largest(top, style.above + style.shift),
        _largest(-bottom, style.below - style.shift),
    )


def _fit_width(box: Box, style: TextStyle) -> float:
    left, _, right, _ = box
    baseline = style.baseline
    if not isinstance(baseline, Arc):
        return _largest(right - left, _length(baseline))
    # On the arc, the width of the ink is taken where its middle height comes to lie: size * width has to be
    # within span * (radius + outwards * size * middle).
    span, outwards = radians(baseline.span), _outwards(baseline)
    radius = baseline.radius - outwards * style.shift
    return _largest(right - left - outwards * span * _middle(box), span * radius)


def _raise(style: TextStyle, box: Box, size: float) -> TextStyle:
    """Move the baseline towards the letters' heads, by what their axis sank when width made them smaller."""
    return style.model_copy(update={"shift": style.shift - AXIS * (_fit_height(box, style) - size)})


def _largest(extent: float, room: float) -> float:
    """Return the largest size at which an extent, in ems, is within the room, in units."""
    return room / extent if extent > 0 else inf


def _middle(box: Box) -> float:
    """Return the height at which letters keep their width on an arc.

    Bending narrows what is nearer to the circle's centre and widens what is farther. Halfway up the ink, tops
    are changed as much as feet, and the letter as a whole keeps its width.
    """
    return (box[1] + box[3]) / 2


def _outwards(arc: Arc) -> int:
    """Tell whether letters stand away from the circle's centre (1) or towards it (-1)."""
    return 1 if arc.side == "top" else -1


def _length(line: Line) -> float:
    return dist(line.start, line.end)


# -- the bend ----------------------------------------------------------------------


class _Baseline(Protocol):
    """Carries points of the straight line to the artwork."""

    def __call__(self, point: complex, /) -> tuple[complex, complex, complex]:
        """Return where a point comes to lie, and what an em rightwards and an em upwards become there."""


def _baseline(style: TextStyle, box: Box, size: float) -> _Baseline:
    """Lay the line down, with the middle of its ink on the middle of the baseline."""
    centre = (box[0] + box[2]) / 2
    if isinstance(style.baseline, Arc):
        return _arc(style.baseline, style.shift, centre, _middle(box), size)
    return _line(style.baseline, style.shift, centre, size)


def _arc(arc: Arc, shift: float, centre: float, middle: float, size: float) -> _Baseline:
    outwards = _outwards(arc)
    origin = complex(*arc.center)
    radius = arc.radius - outwards * shift
    turn = size / (radius + outwards * size * middle)  # radians per em

    def place(point: complex) -> tuple[complex, complex, complex]:
        angle = (point.real - centre) * turn
        ray = complex(sin(angle), -outwards * cos(angle))
        distance = radius + outwards * size * point.imag
        return origin + distance * ray, outwards * distance * turn * ray * 1j, outwards * size * ray

    return place


def _line(line: Line, shift: float, centre: float, size: float) -> _Baseline:
    start, end = complex(*line.start), complex(*line.end)
    right = size * (end - start) / abs(end - start)
    up = right * -1j
    origin = (start + end) / 2 - centre * right - shift / size * up

    def place(point: complex) -> tuple[complex, complex, complex]:
        return origin + point.real * right + point.imag * up, right, up

    return place


def _bend(line: _StraightLine, baseline: _Baseline, size: float) -> Outline:
    """Carry every contour to the artwork."""
    contours = [
        [bent for curve in contour for bent in _bend_curve(curve, baseline)] for contour in line.contours
    ]
    if not contours:
        place, _, _ = baseline(0)
        return Outline("", size, (place.real, place.imag, place.real, place.imag))
    return Outline("".join(map(_path_data, contours)), size, _ink_box(contours))


def _bend_curve(curve: Cubic, baseline: _Baseline) -> list[Cubic]:
    """Return the curves that follow a bent curve within :data:`TOLERANCE`.

    Each has the bent curve's own direction and speed at both ends, so that smooth outlines stay smooth. What
    it strays by between them falls with the fourth power of the number of curves; so one measurement, in the
    middle, gives the number.
    """
    whole = _follow(curve, baseline, 1)
    middle, _, _ = baseline(_point(0.5, *curve))
    strays = abs(_point(0.5, *whole[0]) - middle)
    if strays <= TOLERANCE:
        return whole
    return _follow(curve, baseline, ceil((strays / TOLERANCE) ** 0.25))


def _follow(curve: Cubic, baseline: _Baseline, count: int) -> list[Cubic]:
    """Approximate a bent curve by ``count`` cubics that share its points and velocities at their ends."""
    nodes = []
    for index in range(count + 1):
        point, right, up = baseline(_point(index / count, *curve))
        velocity = _velocity(index / count, *curve) / count
        nodes.append((point, velocity.real * right + velocity.imag * up))
    return [(a, a + at_a, b - at_b, b) for (a, at_a), (b, at_b) in pairwise(nodes)]


def _path_data(contour: Contour) -> str:
    """Write a contour as SVG path data, to a hundredth of a unit."""
    start = contour[0][0]
    curves = "".join(
        f"C{a.real:.2f} {a.imag:.2f} {b.real:.2f} {b.imag:.2f} {c.real:.2f} {c.imag:.2f}"
        for _, a, b, c in contour
    )
    return f"M{start.real:.2f} {start.imag:.2f}{curves}Z"
