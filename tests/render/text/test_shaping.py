"""Shaping: the order that text is read in, and the fonts that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.render.text.shaping import Font, FontStack, itemise, lay_out
from tests.render.text.specimens import AMIRI, CAIRO, KUFI, NASTALIQ, REEM_KUFI, RUQAA, SANS

if TYPE_CHECKING:
    from pathlib import Path

    from app.render.text.bend import Contour


def names(text: str, fonts: Path, language: str = "ar", family: str = CAIRO) -> list[str]:
    """Return the names of a text's glyphs, from left to right, without what HarfBuzz has hidden."""
    found = []
    for item in itemise(text, language, FontStack([Font(fonts / family)])):
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
        pytest.param("أ @x.y", "ar", ["at", "x", "period", "y", "space", "uni0623"], id="dot in a mention"),
        pytest.param("أ x.de/", "ar", ["x", "period", "d", "e", "slash", "space", "uni0623"], id="address"),
        pytest.param(
            "أ (02) 123-4567",
            "ar",
            [
                "parenleft",
                "zero",
                "two",
                "parenright",
                "space",
                "one",
                "two",
                "three",
                "hyphen",
                "four",
                "five",
                "six",
                "seven",
                "space",
                "uni0623",
            ],
            id="telephone number",
        ),
        pytest.param("أ 5%", "ar", ["five", "percent", "space", "uni0623"], id="per cent"),
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
    items = itemise("(ب) 12", "ar", FontStack([Font(fonts / CAIRO)]))
    assert {item.segment.script for item in items} == {"Arab"}
    (alone,) = itemise("12", "ar", FontStack([Font(fonts / CAIRO)]))
    assert alone.segment.script is None


# -- fonts -----------------------------------------------------------------------


def chosen(text: str, fonts: Path, *families: str) -> list[tuple[str, int]]:
    """Return the parts of a text from left to right, each with the place of its font."""
    stack = FontStack([Font(fonts / family) for family in families])
    return [
        (item.context[item.start : item.end], stack._fonts.index(item.font))
        for item in itemise(text, "ar", stack)
    ]


def test_words_of_a_script_stay_in_one_font(fonts: Path) -> None:
    """One letter that the first font lacks takes all words of its script along, and no other."""
    assert chosen("صلوٰۃ سلام", fonts, RUQAA, CAIRO) == [("صلوٰۃ سلام", 1)]
    assert chosen("FREI STRAẞE", fonts, CAIRO, REEM_KUFI) == [("FREI STRAẞE", 1)]
    assert chosen("Free ڕۆژ now", fonts, CAIRO, KUFI) == [("Free ", 0), ("ڕۆژ", 1), (" now", 0)]
    assert chosen("حرية ڕۆژ Tự do", fonts, CAIRO, KUFI, SANS) == [("Tự do", 2), ("حرية ڕۆژ ", 1)]


def test_a_word_stays_in_one_font_where_a_text_cannot(fonts: Path) -> None:
    """Where no font has every word, each is in the first that has all of it."""
    assert chosen("ڕۆژ صلوٰۃ سلام", fonts, CAIRO, RUQAA) == [("صلوٰۃ سلام", 0), ("ڕۆژ ", 1)]


def test_signs_that_stand_alone_leave_the_words_in_their_font(fonts: Path) -> None:
    """A phrase that is one character, and the end of a verse with its figures, take no word along."""
    assert chosen("محمد ﷺ رسول", fonts, CAIRO, KUFI) == [(" رسول", 0), ("ﷺ", 1), ("محمد ", 0)]
    assert chosen("محمدﷺ", fonts, CAIRO, KUFI) == [("ﷺ", 1), ("محمد", 0)]
    assert chosen("حق ۞ عدل", fonts, CAIRO, KUFI) == [(" عدل", 0), ("۞", 1), ("حق ", 0)]
    assert chosen("حق \u06dd١٢ عدل ٣", fonts, CAIRO, KUFI) == [
        ("٣", 0),
        (" عدل ", 0),
        ("\u06dd١٢", 1),
        ("حق ", 0),
    ]


def test_figures_are_of_the_words_font(fonts: Path) -> None:
    """Figures stand in a run of their own among Arabic, and in the face of the words all the same."""
    assert chosen("ڕۆژ ٤٨", fonts, CAIRO, KUFI) == [("٤٨", 1), ("ڕۆژ ", 1)]
    assert chosen("٤٨", fonts, CAIRO, KUFI) == [("٤٨", 0)]


def test_a_fallback_is_as_high_as_the_font_before_it(fonts: Path) -> None:
    """A font's scale makes its letters larger or smaller on the line, and the way to the next with them."""
    plain, scaled = (
        lay_out(itemise("ڕۆژ", "ckb", FontStack([Font(fonts / KUFI, scale)]))).box for scale in (1, 0.5)
    )
    assert [edge / 2 for edge in plain] == pytest.approx(scaled)


def heaviness(text: str, font: Path, *, bare: bool = False) -> tuple[float, int]:
    """Return how wide the strokes of a text are, in thousandths of an em, and how many contours it has."""
    line = lay_out(itemise(text, "ar", FontStack([Font(font)])))
    contours = line.contours
    if bare:
        file = Font(font)
        contours = file.draw(file._font.get_nominal_glyph(ord(text)), 0j)
    points = [[start for curve in contour for start in curve[:3]] for contour in contours]
    edges = [list(zip(p, [*p[1:], p[0]], strict=True)) for p in points]
    area = sum((a.conjugate() * b).imag for contour in edges for a, b in contour)
    border = sum(abs(b - a) for contour in edges for a, b in contour)
    return 1000 * abs(area) / border, len(contours)


@pytest.mark.parametrize("sign", ["ﷺ", "ﷻ", "۞", "\u06dd", "۩"])
def test_thin_signs_get_heavier(sign: str, fonts: Path) -> None:
    """Black faces have them as thin as light faces do; what is open in them stays open."""
    thin, contours = heaviness(sign, fonts / KUFI, bare=True)
    assert thin < 50
    drawn, still = heaviness(sign, fonts / KUFI)
    assert 1.25 * thin < drawn < 2.25 * thin
    assert still == contours


@pytest.mark.parametrize(
    ("sign", "font"),
    [("۞", AMIRI), ("ﷺ", NASTALIQ), ("ڕ", KUFI), ("\u0600", KUFI), ("ﷰ", KUFI), ("\u0657", KUFI)],
)
def test_what_is_as_heavy_as_its_font_stays_as_it_is(sign: str, font: str, fonts: Path) -> None:
    """Signs that are drawn for the weight, letters and marks."""
    assert heaviness(sign, fonts / font) == heaviness(sign, fonts / font, bare=True)


@pytest.mark.parametrize("figures", ["١", "١٢", "٢٨٦"])
def test_figures_of_a_verse_keep_their_weight(
    figures: str, fonts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sign that has them in it gets heavier for two figures and three as well."""
    asked: list[str] = []
    draw = Font.draw

    def record(font: Font, glyph: int, at: complex, bolder: float) -> list[Contour]:
        if bolder:
            asked.append(font._font.glyph_to_string(glyph).partition(".")[0])
        return draw(font, glyph, at, bolder)

    monkeypatch.setattr(Font, "draw", record)
    lay_out(itemise(f"حق \u06dd{figures}", "ar", FontStack([Font(fonts / KUFI)])))
    assert asked == ["uni06DD"]


def test_punctuation_keeps_to_the_font_beside_it(fonts: Path) -> None:
    """Spaces, figures and brackets do not leave the font of the words around them."""
    assert chosen("(STRAẞE 12!)", fonts, CAIRO, REEM_KUFI) == [("(STRAẞE 12!)", 1)]
    assert chosen("Free (1) now", fonts, CAIRO, REEM_KUFI) == [("Free (1) now", 0)]


def test_accents_come_from_the_font_of_their_letter(fonts: Path) -> None:
    """An accent that is not composed is drawn with its letter, in one font."""
    assert chosen("e\u0301te\u0301", fonts, CAIRO, AMIRI) == [("e\u0301te\u0301", 0)]


@pytest.mark.parametrize("font", [RUQAA, REEM_KUFI, CAIRO, NASTALIQ, AMIRI])
def test_contours_of_every_font_run_alike(font: str, fonts: Path) -> None:
    """Outer contours run clockwise, also where the font has them otherwise: overlaps must not cancel."""
    file = Font(fonts / font)
    for glyph in range(0, file._face.glyph_count, 7):
        contours = file.draw(glyph, 0j)
        polygons = [[curve[0] for curve in contour] for contour in contours]
        areas = [
            sum((a.conjugate() * b).imag for a, b in zip(p, [*p[1:], p[0]], strict=True)) for p in polygons
        ]
        assert sum(areas) <= 1e-3
