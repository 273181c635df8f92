"""Slogans: the characters they take, how they fit and where they lie."""

from __future__ import annotations

from math import atan2, degrees, hypot, pi
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import MissingGlyphs, SloganDoesNotFit
from app.frames import Arc, Line
from app.render.text.slogan import set_slogan
from app.spec import DRAWABLE_CONTROLS
from tests.render.text.specimens import (
    AMIRI,
    BOTTOM,
    CAIRO,
    LINE,
    NASTALIQ,
    REEM_KUFI,
    ROUNDING,
    RUQAA,
    SLOGAN,
    TOP,
    ends,
    height,
    style,
)

if TYPE_CHECKING:
    from pathlib import Path

    from app.frames import FrameLibrary


# -- characters ------------------------------------------------------------------


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
    assert caught.value.params["characters"] == ("❤", "中", "❤\u20d7")
    assert caught.value.params["codes"] == ("U+2764", "U+4E2D", "U+20D7")


def test_what_draws_nothing_needs_no_glyph(fonts: Path) -> None:
    """Joiners and directional marks are never missing; a text of them alone is an empty outline."""
    controls = "".join(sorted(DRAWABLE_CONTROLS))
    plain, marked = (set_slogan(text, style(), fonts) for text in (SLOGAN, f"\u200f{SLOGAN}\u200e\u2069"))
    assert marked == plain
    empty = set_slogan(controls, style(), fonts)
    assert (empty.d, empty.box) == ("", (500, 500, 500, 500))


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


TALL = {
    "deep-marks": ("عِيشِي حُرَّةً", CAIRO),
    "only-deep": ("قِفِي", CAIRO),
    "only-high": ("رُكَّع", CAIRO),
    "stacked-marks": ("الحُرِّيَّةُ لِلْأَسْرَى", AMIRI),
    "nastaliq": ("کی", NASTALIQ),
    "latin": ("Ågång", CAIRO),
}


@pytest.mark.parametrize("words", TALL)
@pytest.mark.parametrize("baseline", [LINE, TOP, BOTTOM], ids=["line", "top", "bottom"])
@pytest.mark.parametrize("shift", [-20, 0, 20])
@pytest.mark.parametrize(("above", "below"), [(50, 15), (15, 50), (30, 30)])
def test_tall_ink_fills_its_room_from_edge_to_edge(  # what is crossed
    *, words: str, baseline: Arc | Line, shift: float, above: float, below: float, fonts: Path
) -> None:
    """Ink that the room's height makes smaller fills the room: it has no edge near and the other far.

    The room does not move with the shift, and neither does such text.
    """
    text, font = TALL[words]
    case = style(fonts=(font,), baseline=baseline, shift=shift, largest=900, above=above, below=below)
    rises = [height(z, baseline) for z in ends(set_slogan(text, case, fonts))]
    assert (min(rises), max(rises)) == pytest.approx((-below, above), abs=2 * ROUNDING)


@pytest.mark.parametrize("words", TALL)
def test_ink_that_fits_where_the_frame_wants_it_stays_there(words: str, fonts: Path) -> None:
    """The baseline is the frame's: words move only if they would leave the room, and no further than that."""
    text, font = TALL[words]
    roomy, low, high = (
        [height(z, LINE) for z in ends(set_slogan(text, style(fonts=(font,), **room), fonts))]
        for room in ({}, {"below": 5.0}, {"above": 40.0})
    )
    assert min(low) == pytest.approx(max(min(roomy), -5), abs=2 * ROUNDING)
    assert max(low) - min(low) == pytest.approx(max(roomy) - min(roomy), abs=2 * ROUNDING)
    assert max(high) == pytest.approx(min(max(roomy), 40), abs=2 * ROUNDING)
    assert max(high) - min(high) == pytest.approx(max(roomy) - min(roomy), abs=2 * ROUNDING)


def test_deep_marks_do_not_shrink_words_in_a_shipped_frame(frames: FrameLibrary, fonts: Path) -> None:
    """A supporter's own words with signs below them fill the band: 85 units became 108."""
    (place,) = (text for text in frames.get("red-ribbons").texts if text.custom)
    case = place.style("ar")
    outline = set_slogan("عِيشِي حُرَّةً", case, fonts)
    rises = [height(z, case.baseline) for z in ends(outline)]
    assert outline.size > 105
    assert (min(rises), max(rises)) == pytest.approx((-case.below, case.above), abs=2 * ROUNDING)


def test_text_is_refused_just_below_the_smallest_size(fonts: Path) -> None:
    """The size that fits is accepted as the smallest, the next larger one is not."""
    fits = set_slogan(SLOGAN, style(largest=500), fonts).size
    assert set_slogan(SLOGAN, style(largest=500, smallest=fits), fonts).size == fits
    with pytest.raises(SloganDoesNotFit):
        set_slogan(SLOGAN, style(largest=500, smallest=fits + 1e-6), fonts)


def test_a_room_that_is_too_low_is_refused(fonts: Path) -> None:
    """No shift makes room where there is none."""
    with pytest.raises(SloganDoesNotFit):
        set_slogan(SLOGAN, style(above=5, below=5), fonts)


@pytest.mark.parametrize("shift", [-300, 300])
def test_a_shift_beyond_the_room_ends_at_its_edge(shift: float, fonts: Path) -> None:
    """Words are as large as anywhere in the room, and inside it."""
    case = style(above=100, below=30, shift=shift)
    outline = set_slogan(SLOGAN, case, fonts)
    rises = [height(z, LINE) for z in ends(outline)]
    assert outline.size == 80
    assert min(rises) >= -30 - ROUNDING
    assert max(rises) <= 100 + ROUNDING


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
