"""Slogans: the order they are read in, the fonts they take, how they fit and where they lie."""

from __future__ import annotations

import re
from math import atan2, cos, degrees, hypot, pi, radians, sin
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import MissingGlyphs, SloganDoesNotFit
from app.frames import Arc, Line, TextStyle
from app.render.text.slogan import (
    TOLERANCE,
    Outline,
    _baseline,
    _bend_curve,
    _compose,
    _fit,
    _Font,
    _itemise,
    _point,
    _TypeCase,
    set_slogan,
)
from app.spec import DRAWABLE_CONTROLS

if TYPE_CHECKING:
    from pathlib import Path

CAIRO = "cairo/Cairo_900Black.ttf"
AMIRI = "amiri/Amiri_700Bold.ttf"
REEM_KUFI = "reem-kufi/ReemKufi_700Bold.ttf"
RUQAA = "aref-ruqaa/ArefRuqaa_700Bold.ttf"
NASTALIQ = "noto-nastaliq-urdu/NotoNastaliqUrdu_700Bold.ttf"

LINE = Line(kind="line", start=(100, 500), end=(900, 500))
TOP = Arc(kind="arc", center=(500, 500), radius=400, side="top", span=120)
BOTTOM = Arc(kind="arc", center=(500, 500), radius=430, side="bottom", span=120)
SLOGAN = "الحرية للأسرى"

ROUNDING = 0.011
"""Path data are written to a hundredth of a unit; a fitted edge may be off by that and the tolerance."""


@pytest.fixture(scope="module")
def fonts(root: Path) -> Path:
    """The fonts that we ship."""
    return root / "fonts"


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


def names(text: str, fonts: Path, language: str = "ar", family: str = CAIRO) -> list[str]:
    """Return the names of a text's glyphs, from left to right, without what HarfBuzz has hidden."""
    found = []
    for item in _itemise(text, language, _TypeCase([_Font(fonts / family)])):
        shaped = item.font.shape(item.context, item.start, item.end, item.segment)
        for info, position in zip(shaped.glyph_infos, shaped.glyph_positions, strict=True):
            name = item.font._font.glyph_to_string(info.codepoint)
            if position.x_advance or name != "space":
                found.append(name)
    return found


# -- order -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "language", "left_to_right"),
    [
        pytest.param("أ 2026", "ar", ["two", "zero", "two", "six", "space", "uni0623"], id="digits"),
        pytest.param("أ (x)", "ar", ["parenleft", "x", "parenright", "space", "uni0623"], id="latin bracket"),
        pytest.param("(أ)", "ar", ["parenleft", "uni0623", "parenright"], id="mirrored once"),
        pytest.param("«أ»", "ar", ["guillemotleft", "uni0623", "guillemotright"], id="quotes"),
        pytest.param("x (أ)", "en", ["x", "space", "parenleft", "uni0623", "parenright"], id="in latin"),
        pytest.param("#أ", "ar", ["uni0623", "numbersign"], id="hashtag"),
        pytest.param("#أ", "en", ["uni0623", "numbersign"], id="hashtag elsewhere"),
        pytest.param("#أ!", "en", ["exclam", "uni0623", "numbersign"], id="direction of a hashtag alone"),
        pytest.param("x #أ", "en", ["x", "space", "uni0623", "numbersign"], id="hashtag in latin"),
        pytest.param("أ #x", "ar", ["numbersign", "x", "space", "uni0623"], id="latin hashtag"),
        pytest.param("#x أ", "ar", ["uni0623", "space", "numbersign", "x"], id="latin hashtag first"),
        pytest.param("أ @x!", "ar", ["exclam", "at", "x", "space", "uni0623"], id="mention"),
        pytest.param("#1!", "ar", ["exclam", "numbersign", "one"], id="no letters, by language"),
        pytest.param("#1!", "en", ["numbersign", "one", "exclam"], id="no letters, english"),
        pytest.param("أ٣-٤", "ar", ["uni0664", "hyphen", "uni0663", "uni0623"], id="arabic digits"),
    ],
)
def test_glyphs_stand_in_visual_order(
    text: str, language: str, left_to_right: list[str], fonts: Path
) -> None:
    """Numbers, Latin, brackets, quotes, hashtags and mentions stand where a reader expects them."""
    assert names(text, fonts, language) == left_to_right


def test_hashtags_keep_their_harakat(fonts: Path) -> None:
    """A vowel sign does not end a hashtag early."""
    plain, vowelled = (names(f"x #{word}_دار y", fonts, "en") for word in ("حر", "حُر"))
    assert [name for name in vowelled if name != "uni064F"] == plain


@pytest.mark.parametrize(
    ("language", "figure"), [("ur", "uni06F4.urdu"), ("fa", "uni06F4")], ids=["urdu", "persian"]
)
def test_language_decides_local_forms(language: str, figure: str, fonts: Path) -> None:
    """The figure four has another shape in Urdu, as OpenType's locl feature knows it."""
    urdu, persian = (names("ب ۴", fonts, code)[0] for code in ("ur", "fa"))
    assert urdu != persian
    assert {"ur": urdu, "fa": persian}[language] == figure


def test_a_neighbours_script_is_lent_to_figures(fonts: Path) -> None:
    """Figures after Arabic are set as Arabic, a bracket at the start like what follows it."""
    items = _itemise("(ب) 12", "ar", _TypeCase([_Font(fonts / CAIRO)]))
    assert {item.segment.script for item in items} == {"Arab"}
    (alone,) = _itemise("12", "ar", _TypeCase([_Font(fonts / CAIRO)]))
    assert alone.segment.script is None


# -- fonts -----------------------------------------------------------------------


def chosen(text: str, fonts: Path, *families: str) -> list[tuple[str, int]]:
    """Return the parts of a text from left to right, each with the place of its font."""
    case = _TypeCase([_Font(fonts / family) for family in families])
    return [
        (item.context[item.start : item.end], case._fonts.index(item.font))
        for item in _itemise(text, "ar", case)
    ]


def test_a_word_stays_in_one_font(fonts: Path) -> None:
    """One letter that the first font lacks takes its whole word along, and no other."""
    assert chosen("صلوٰۃ سلام", fonts, RUQAA, CAIRO) == [("سلام", 0), ("صلوٰۃ ", 1)]
    assert chosen("FREI STRAẞE", fonts, CAIRO, REEM_KUFI) == [("FREI ", 0), ("STRAẞE", 1)]


def test_punctuation_keeps_to_the_font_beside_it(fonts: Path) -> None:
    """Spaces, figures and brackets do not leave the font of the words around them."""
    assert chosen("(STRAẞE 12!)", fonts, CAIRO, REEM_KUFI) == [("(STRAẞE 12!)", 1)]
    assert chosen("Free (1) now", fonts, CAIRO, REEM_KUFI) == [("Free (1) now", 0)]


def test_accents_come_from_the_font_of_their_letter(fonts: Path) -> None:
    """An accent that is not composed is drawn with its letter, in one font."""
    assert chosen("e\u0301te\u0301", fonts, CAIRO, AMIRI) == [("e\u0301te\u0301", 0)]


@pytest.mark.parametrize(
    "text",
    [
        "À bientôt, cœur où la Liberté s’éveille ÇÀÉÈÊËÎÏÔÙÛÜŸŒÆ",
        "¿Qué año? ¡Sí! ÁÉÍÓÚÜÑ",
        "Freiheit für alle, Straße, ÄÖÜ „so“",
        "Esirlere özgürlük, İIıi ĞğŞşÇçÖöÜü âîû",
        "Kebebasan untuk para tahanan",
        "قیدیوں کی آزادی ٹ ڈ ڑ ے ہ ھ گ چ پ ں ۃ ۂ ۓ ۰۱۲۳۴۵۶۷۸۹",
        "ءآأؤإئابةتثجحخدذرزسشصضطظعغـفقكلمنهوىي ًٌٍَُِّْٰ ٠١٢٣٤٥٦٧٨٩ ،؛؟٪",
    ],
)
@pytest.mark.parametrize("font", [CAIRO, "cairo/Cairo_800ExtraBold.ttf", NASTALIQ])
def test_our_languages_are_covered(text: str, font: str, fonts: Path) -> None:
    """The fonts that carry slogans have every character of the eight languages."""
    assert set_slogan(text, style(fonts=(font,), smallest=1), fonts).d


def test_missing_characters_are_named_once_each(fonts: Path) -> None:
    """The error names what no font has, in order, so that a person can find it."""
    with pytest.raises(MissingGlyphs) as caught:
        set_slogan("قلب ❤ حب 中❤\u20d7", style(fonts=(CAIRO, AMIRI)), fonts)
    assert caught.value.params["characters"] == ("❤ (U+2764)", "中 (U+4E2D)", "\u25cc\u20d7 (U+20D7)")


def test_what_draws_nothing_needs_no_glyph(fonts: Path) -> None:
    """Joiners and directional marks are never missing; a text of them alone is an empty outline."""
    controls = "".join(sorted(DRAWABLE_CONTROLS))
    plain, marked = (set_slogan(text, style(), fonts) for text in (SLOGAN, f"\u200f{SLOGAN}\u200e\u2069"))
    assert marked == plain
    empty = set_slogan(controls, style(), fonts)
    assert (empty.d, empty.box) == ("", (500, 500, 500, 500))


@pytest.mark.parametrize("font", [RUQAA, REEM_KUFI, CAIRO, NASTALIQ, AMIRI])
def test_contours_of_every_font_run_alike(font: str, fonts: Path) -> None:
    """Outer contours run clockwise, also where the font has them otherwise: overlaps must not cancel."""
    file = _Font(fonts / font)
    for glyph in range(0, file._face.glyph_count, 7):
        contours = file.draw(glyph, 0j)
        polygons = [[curve[0] for curve in contour] for contour in contours]
        areas = [
            sum((a.conjugate() * b).imag for a, b in zip(p, [*p[1:], p[0]], strict=True)) for p in polygons
        ]
        assert sum(areas) <= 1e-3


# -- marks -----------------------------------------------------------------------


@pytest.mark.parametrize("font", [CAIRO, AMIRI, REEM_KUFI, RUQAA, NASTALIQ])
def test_vowel_signs_stand_above_and_below_their_letter(font: str, fonts: Path) -> None:
    """Fatha rises above a letter and kasra falls below it; neither takes room of its own."""
    small = style(fonts=(font,), largest=50)
    bare, fatha, kasra, both = (set_slogan(text, small, fonts) for text in ("د", "دَ", "دِ", "دَِ"))
    assert fatha.box[1] < bare.box[1]
    assert kasra.box[3] > bare.box[3]
    assert (both.box[1], both.box[3]) == pytest.approx((fatha.box[1], kasra.box[3]), abs=ROUNDING)
    assert fatha.box[2] - fatha.box[0] == pytest.approx(bare.box[2] - bare.box[0], abs=5)


def test_signs_stack_on_shadda(fonts: Path) -> None:
    """Shadda with a vowel rises above shadda alone or stands with it, and is one cluster with its letter."""
    small = style(largest=50)
    shadda, stacked = (set_slogan(text, small, fonts) for text in ("مّ", "مَّ"))
    assert stacked.box[1] < shadda.box[1]


# -- fit -------------------------------------------------------------------------


@pytest.mark.parametrize("baseline", [LINE, TOP, BOTTOM], ids=["line", "top", "bottom"])
def test_short_text_is_set_at_the_largest_size(baseline: Arc | Line, fonts: Path) -> None:
    """Type is no larger than the frame wants it."""
    assert set_slogan("حر", style(baseline=baseline), fonts).size == 80


def test_long_text_fills_the_line(fonts: Path) -> None:
    """Text that is too long at the largest size is made to end where the line ends."""
    outline = set_slogan(SLOGAN, style(largest=500), fonts)
    assert (outline.box[0], outline.box[2]) == pytest.approx((100, 900), abs=ROUNDING)


@pytest.mark.parametrize("side", ["top", "bottom"])
@pytest.mark.parametrize("span", [20, 120, 200, 340])
def test_long_text_fills_the_arc(side: str, span: float, fonts: Path) -> None:
    """Its ink takes exactly the angle it may, centred."""
    arc = Arc(kind="arc", center=(480, 510), radius=430, side=side, span=span)  # type: ignore[arg-type]  # parametrised
    outline = set_slogan(" ".join([SLOGAN] * 4), style(baseline=arc, largest=300, smallest=1), fonts)
    facing = -1j if side == "top" else 1j
    angles = [degrees(atan2(q.imag, q.real)) for q in ((z - (480 + 510j)) / facing for z in ends(outline))]
    assert (min(angles), max(angles)) == pytest.approx((-span / 2, span / 2), abs=0.05)


@pytest.mark.parametrize("baseline", [LINE, TOP, BOTTOM], ids=["line", "top", "bottom"])
@pytest.mark.parametrize("shift", [-20, 0, 20])
def test_ink_stays_within_the_room_whatever_the_shift(
    baseline: Arc | Line, shift: float, fonts: Path
) -> None:
    """Tall text just reaches the edge of the room, which does not move with the text."""
    for room in ({"above": 50.0, "below": 900.0}, {"above": 900.0, "below": 50.0}):
        roomy = style(fonts=(NASTALIQ,), baseline=baseline, shift=shift, largest=900, **room)
        rises = [height(z, baseline) for z in ends(set_slogan("کی", roomy, fonts))]
        if room["above"] == 50:
            assert max(rises) == pytest.approx(50, abs=ROUNDING)
        else:
            assert min(rises) == pytest.approx(-50, abs=ROUNDING)


def height(point: complex, baseline: Arc | Line) -> float:
    """Return how far a point is above a baseline (for lines: a horizontal one)."""
    if isinstance(baseline, Line):
        return baseline.start[1] - point.imag
    distance = abs(point - complex(*baseline.center))
    return distance - baseline.radius if baseline.side == "top" else baseline.radius - distance


def test_text_is_refused_just_below_the_smallest_size(fonts: Path) -> None:
    """The size that fits is accepted as the smallest, the next larger one is not."""
    fits = set_slogan(SLOGAN, style(largest=500), fonts).size
    assert set_slogan(SLOGAN, style(largest=500, smallest=fits), fonts).size == fits
    with pytest.raises(SloganDoesNotFit):
        set_slogan(SLOGAN, style(largest=500, smallest=fits + 1e-6), fonts)


def test_a_shift_beyond_the_room_is_refused(fonts: Path) -> None:
    """Where the shift has used up the room, nothing fits."""
    with pytest.raises(SloganDoesNotFit):
        set_slogan(SLOGAN, style(below=30, shift=30), fonts)


# -- place -----------------------------------------------------------------------


@pytest.mark.parametrize(("baseline", "towards"), [(LINE, 1), (TOP, 1), (BOTTOM, 1)])
def test_a_shift_moves_text_towards_its_feet(baseline: Arc | Line, towards: int, fonts: Path) -> None:
    """Letters stand upright in the middle of each kind of baseline, so their feet are downwards."""
    still, moved = (set_slogan(SLOGAN, style(baseline=baseline, shift=s), fonts) for s in (0, 7))
    middle = min(ends(still), key=lambda z: abs(z.real - 500)).imag
    assert min(ends(moved), key=lambda z: abs(z.real - 500)).imag - middle == pytest.approx(
        7 * towards, abs=0.5
    )


@pytest.mark.parametrize("baseline", [LINE, BOTTOM], ids=["line", "bottom"])
def test_text_that_is_small_for_its_width_stays_in_the_middle_of_its_room(
    baseline: Arc | Line, fonts: Path
) -> None:
    """Capitals keep the height of their middle, to a few units, however long the words make them small."""
    middles = []
    for words in ("H", "HHHHH HHHHH", "HHHHH HHHHH HHHHH HHHHH HHHHH"):
        outline = set_slogan(words, style(largest=126, baseline=baseline), fonts)
        heights = [height(point, baseline) for point in ends(outline)]
        middles.append((min(heights) + max(heights)) / 2)
    largest, *smaller = middles
    assert all(abs(middle - largest) < 10 for middle in smaller)
    assert largest > 35, "on the baseline itself, the smallest would be 20 units lower"


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
    line = _compose(_itemise("الحُرِّيَّة @Sag ـــ", "ar", _TypeCase([_Font(fonts / font)])))
    place = _baseline(bent, line.box, _fit(line.box, bent))
    strays = 0.0
    for curve in (curve for contour in line.contours for curve in contour):
        pieces = _bend_curve(curve, place)
        for index in range(len(pieces) * 8 + 1):
            piece, t = min(index // 8, len(pieces) - 1), index / 8
            expected, _, _ = place(_point(t / len(pieces), *curve))
            strays = max(strays, abs(_point(t - piece, *pieces[piece]) - expected))
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


# -- anything that people may write -----------------------------------------------


KNOWN = (
    "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىي" * 3
    + "ٹڈڑےہھگچپں َُِّْـ  #@_()[]«»!؟?،.:0123٤٥۶"
    + "abcdefghijÉßığ"
    + "".join(sorted(DRAWABLE_CONTROLS))
)
TEXTS = st.one_of(
    st.text(KNOWN, min_size=1, max_size=60),
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=60),
)
BASELINES = st.one_of(
    st.builds(
        Arc,
        kind=st.just("arc"),
        center=st.just((500, 500)),
        radius=st.floats(150, 500),
        side=st.sampled_from(["top", "bottom"]),
        span=st.floats(10, 340),
    ),
    st.builds(
        Line,
        kind=st.just("line"),
        start=st.just((100, 500)),
        end=st.tuples(st.floats(300, 1000), st.just(500)),
    ),
)


@settings(deadline=None, max_examples=150)
@given(
    text=TEXTS,
    baseline=BASELINES,
    room=st.tuples(st.floats(20, 140), st.floats(20, 140)),
    shift=st.floats(-15, 15),
    smallest=st.sampled_from([1, 40]),
    language=st.sampled_from(["ar", "ur", "en", "tr"]),
)
def test_any_text_lies_within_its_room_or_is_refused(
    *,
    text: str,
    baseline: Arc | Line,
    room: tuple[float, float],
    shift: float,
    smallest: float,
    language: str,
    root: Path,
) -> None:
    """Whatever is written, the outline keeps to its place, or one of two errors says why not."""
    case = style(
        fonts=(CAIRO, NASTALIQ, REEM_KUFI),
        baseline=baseline,
        above=room[0],
        below=room[1],
        shift=shift,
        smallest=smallest,
        language=language,
    )
    try:
        outline = set_slogan(text, case, root / "fonts")
    except (MissingGlyphs, SloganDoesNotFit):
        return
    assert smallest <= outline.size <= case.largest
    for point in ends(outline):
        assert -room[1] - 0.02 <= height(point, baseline) <= room[0] + 0.02
        if isinstance(baseline, Line):
            assert baseline.start[0] - 0.02 <= point.real <= baseline.end[0] + 0.02
        else:
            off = point - complex(*baseline.center)
            angle = atan2(off.real, -off.imag if baseline.side == "top" else off.imag)
            assert abs(angle) * hypot(off.real, off.imag) <= baseline.span * pi / 360 * abs(off) + 0.02
