"""Text to a straight line: order, fonts, shaping and glyphs.

Text is split by direction, script and font; HarfBuzz shapes each piece, and the glyphs' outlines come to lie
on one straight line. Glyphs are shaped in a font's units; on the line the unit is the em, x rightwards and y
upwards from the baseline's left end.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import uharfbuzz as hb

from app.errors import MissingGlyphs
from app.render.text.bend import ink_box
from app.render.text.bidi import bidi_classes, first_strong, visual_runs
from app.render.text.tokens import resolve_tokens
from app.texts.languages import RIGHT_TO_LEFT
from app.texts.signs import NUMBER_SIGNS, code_points, signs_with

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from arabic_reshaper import ArabicReshaper

    from app.render.text.bend import Box, Contour
    from app.render.text.bidi import Direction


# -- text to items ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Segment:
    """What HarfBuzz is told about a stretch of text: its segment properties.

    Attributes:
        rtl: Whether it reads right to left.
        script: ISO 15924 code; None where there is no script, as in digits alone.
        language: BCP 47 code.
    """

    rtl: bool
    script: str | None
    language: str


@dataclass(frozen=True, slots=True)
class Item:
    """What is shaped in one go: ``context[start:end]``, joined to its neighbours in ``context``.

    Attributes:
        context: A run of one direction, in logical order.
        start: Index in ``context``, from 0.
        end: Index in ``context``, exclusive.
        segment: The same for all of it.
        font: What it is drawn with.
    """

    context: str
    start: int
    end: int
    segment: Segment
    font: Font


def itemise(text: str, language: str, stack: FontStack) -> list[Item]:
    """Split a text by direction, script and font.

    Args:
        text: In logical order. UAX #9 orders it, with the tokens of ``tokens.py`` kept whole.
        language: BCP 47 code: chooses forms, and the base direction where the text has none.
        stack: The fonts to choose from; a new one for each text, since it remembers what was missing.

    Returns:
        The items from left to right.

    Raises:
        MissingGlyphs: No font has some of the characters.
    """
    base = base_direction(text, language)
    text, classes = resolve_tokens(text)
    scripts = _scripts(text)
    stack.settle(text, _inherit(scripts, 0, len(text)), language)
    items: list[Item] = []
    for run in visual_runs(text, base, classes):
        rtl = run.level % 2 == 1
        in_run: list[Item] = []
        start = 0
        for script, group in groupby(_inherit(scripts, run.start, run.end)):
            end = start + len(list(group))
            segment = Segment(rtl=rtl, script=script, language=language)
            in_run += stack.items(text[run.start : run.end], start, end, segment)
            start = end
        items += reversed(in_run) if rtl else in_run
    if stack.missing:
        missing = "".join(character for character in text if character in stack.missing)
        raise MissingGlyphs(characters=signs_with(text, stack.missing), codes=code_points(missing))
    return items


def base_direction(text: str, language: str) -> Direction:
    """Return a text's base direction, 0 from left to right or 1 from right to left.

    It is that of the first strong character outside names (handles, addresses, hashtags), or inside, or else
    the language's.

    Args:
        text: In logical order.
        language: BCP 47 code.
    """
    _, outside_names = resolve_tokens(text)
    for classes in (outside_names, bidi_classes(text)):
        direction = first_strong(classes)
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


class FontStack:
    """The fonts of a style.

    Args:
        fonts: In order of preference, at least one.

    Attributes:
        missing: The characters that were asked for in vain.
    """

    def __init__(self, fonts: Sequence[Font]) -> None:
        self._fonts = fonts
        self._settled: dict[str | None, Font] = {}
        self.missing: set[str] = set()

    def settle(self, text: str, scripts: Sequence[str | None], language: str) -> None:
        """Choose one font for all words of a script, the first that has every letter of them.

        Two faces of one script beside each other look like a mistake, so one word that the preferred font
        cannot write takes the others along. Where no font has all words, each gets the first that has it.

        Args:
            text: In logical order.
            scripts: Of each character.
            language: BCP 47 code.
        """
        words: dict[str | None, dict[str, None]] = {}
        start = 0
        for script, group in groupby(scripts):
            end = start + len(list(group))
            spans = _units(text, start, end, words=True)
            found = (unit for span in spans if _is_word(unit := text[slice(*span)]))
            words.setdefault(script, {}).update(dict.fromkeys(found))
            start = end
        for script, of_script in words.items():
            rtl = first_strong(bidi_classes("".join(of_script))) == 1
            segment = Segment(rtl=rtl, script=script, language=language)
            for font in self._fonts if of_script else ():
                if all(font.draws(word, segment) for word in of_script):
                    self._settled[script] = font
                    break

    def items(self, context: str, start: int, end: int, segment: Segment) -> list[Item]:
        """Choose fonts for ``context[start:end]``, which is not empty; the items come in logical order.

        A word stays in one font where any font has all of it: in that of its script (:meth:`settle`), or else
        the first. What is not a word (spaces, digits, punctuation, signs that stand alone) keeps to the font
        of the words beside it, if that has it. What no font has is added to ``missing``, and gets a font all
        the same.
        """
        words = list(_units(context, start, end, words=True))
        settled = self._settled.get(segment.script)
        first_word = next((span for span in words if _is_word(context[slice(*span)])), None)
        home = settled or (self._find(context[slice(*first_word)], segment) if first_word else None)
        items: list[Item] = []
        for word in words:
            text = context[slice(*word)]
            is_word = _is_word(text)
            font = self._find(text, segment, settled if is_word else home)
            for span in [word] if font else _units(context, *word, words=False):
                part = context[slice(*span)]
                chosen = font or self._find(part, segment) or self._miss(part, segment)
                if is_word or home is None:
                    home = chosen
                if items and items[-1].font is chosen:
                    items[-1] = replace(items[-1], end=span[1])
                else:
                    items.append(Item(context, *span, segment, chosen))
        return items

    def _find(self, text: str, segment: Segment, preferred: Font | None = None) -> Font | None:
        fonts = [preferred, *self._fonts] if preferred else self._fonts
        return next((font for font in fonts if font.draws(text, segment)), None)

    def _miss(self, cluster: str, segment: Segment) -> Font:
        """Note what of a base with its marks cannot be drawn by the font that has the base."""
        font = self._find(cluster[0], segment) or self._fonts[0]
        self.missing |= {character for character in cluster if not font.draws(character, segment)}
        return font


def _units(text: str, start: int, end: int, *, words: bool) -> Iterator[tuple[int, int]]:
    """Split ``text[start:end]`` into words, numbers and other characters, or else into single characters.

    Marks and joiners stay with what they follow, and the figures of a verse with the sign around them.
    """
    begin = start
    kind = ""
    for index in range(start, end):
        character = text[index]
        category = unicodedata.category(character)
        encloses = character in NUMBER_SIGNS
        if category[0] == "M" or (category == "Cf" and not encloses):
            continue
        now = "N" if encloses else "S" if character in _WORD_SIGNS else category[0]
        goes_on = words and now == kind and kind in "LN" and not encloses
        if index > begin and not goes_on:
            yield begin, index
            begin = index
        kind = now
    yield begin, end


# Words and phrases that are one character, such as ﷺ. They join nothing, and stand in a text as signs do.
_WORD_SIGNS = frozenset(map(chr, range(0xFDF0, 0xFE00)))


def _is_word(text: str) -> bool:
    return any(character.isalpha() and character not in _WORD_SIGNS for character in text)


# -- items to a straight line ------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StraightLine:
    """Shaped text on a straight baseline, in ems.

    Attributes:
        contours: The outlines of all glyphs; outer ones run clockwise.
        box: Left, bottom, right and top of the ink.
    """

    contours: list[Contour]
    box: Box


# Signs that fonts draw with the same thin pen whatever the weight of their letters, and by what part of an em
# the pen gets wider: by as much as leaves the space between their lines open.
_BOLDER = {"\u06dd": 0.025, "\u06de": 0.03, "\u06e9": 0.01, "\ufdfa": 0.014, "\ufdfb": 0.014}
_THIN = 0.05
"""A pen of this part of an em or more is none of those: Amiri Bold has a ۞ of 0.088."""


def lay_out(items: Iterable[Item]) -> StraightLine:
    """Shape items and lay their glyphs out.

    Args:
        items: From left to right; the line begins at the first one's origin.
    """
    contours: list[Contour] = []
    x = 0.0
    for item in items:
        font = item.font
        glyphs = font.shape(item.context, item.start, item.end, item.segment)
        for info, position in zip(glyphs.glyph_infos, glyphs.glyph_positions, strict=True):
            at = complex(x + position.x_offset / font.em, position.y_offset / font.em)
            # A slice, since a font that gets presentation forms counts in those.
            bolder = _BOLDER.get(item.context[info.cluster : info.cluster + 1], 0)
            contours += font.draw(info.codepoint, at, bolder)
            x += position.x_advance / font.em
    return StraightLine(contours, ink_box(contours))


class Font:
    """A font file, opened for shaping and for drawing.

    Args:
        path: An OpenType file with outlines.
        scale: Its size beside other fonts of the same line.

    Attributes:
        em: Font units per em of the line.
    """

    def __init__(self, path: Path, scale: float = 1) -> None:
        self._face = hb.Face(hb.Blob.from_file_path(str(path)))
        self._font = hb.Font(self._face)
        self._draw_funcs = _draw_funcs()
        self.em: float = self._face.upem / scale

    @property
    def characters(self) -> int:
        """How many characters it has: none where the file is no font."""
        return len(self._face.unicodes)

    def shape(self, context: str, start: int, end: int, segment: Segment) -> hb.Buffer:
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

    def draws(self, text: str, segment: Segment) -> bool:
        """Tell whether no glyph is missing for a text; joiners and directional marks need none."""
        return all(info.codepoint for info in self.shape(text, 0, len(text), segment).glyph_infos)

    def draw(self, glyph: int, at: complex, bolder: float = 0) -> list[Contour]:
        """Return a glyph's outline, in ems; outer contours run clockwise.

        Args:
            glyph: Its index in the font.
            at: Where its origin is moved to, in ems.
            bolder: Part of the font's em by which its strokes get wider, if they are thin.
        """
        pen = _Pen(at, self.em)
        self._font.draw_glyph(glyph, self._draw_funcs, pen)
        if bolder and _stroke(pen.contours) < _THIN:
            pen = _Pen(at, self.em)
            font = hb.Font(self._face)
            font.synthetic_bold = bolder, bolder, True
            font.draw_glyph(glyph, self._draw_funcs, pen)
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
        # Imported here: no font that we ship needs it, and loading it takes 30 ms.
        from arabic_reshaper import ArabicReshaper  # noqa: PLC0415

        # By default it drops harakat, and draws the name of God as one character that few fonts have.
        return ArabicReshaper({"delete_harakat": False, "ARABIC LIGATURE ALLAH": False})


class _Pen:
    """Collects a glyph's contours as cubics.

    Args:
        origin: Where the glyph stands, in ems.
        em: Font units per em.
    """

    def __init__(self, origin: complex, em: float) -> None:
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


def _stroke(contours: Sequence[Contour]) -> float:
    """Return how wide an outline's strokes are on average, in ems: their area over half their border."""
    area = sum(map(_doubled_area, contours))
    border = sum(abs(b - a) for contour in contours for curve in contour for a, b in pairwise(curve))
    return abs(area) / border if border else 0
