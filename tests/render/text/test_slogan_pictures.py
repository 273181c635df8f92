"""Slogans as a reader sees them: goldens, and joins that hold on the arc."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
import resvg_py
from PIL import Image

from app.frames import Arc, Line, TextStyle
from app.render.text.bend import baseline_warp, path_data
from app.render.text.shaping import Font, FontStack, itemise, lay_out
from app.render.text.slogan import fit, set_slogan
from tests.render.text.specimens import AMIRI, CAIRO, NASTALIQ

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

TOP = Arc(kind="arc", center=(500, 500), radius=380, side="top", span=150)
BOTTOM = Arc(kind="arc", center=(500, 500), radius=430, side="bottom", span=120)
LEVEL = Line(kind="line", start=(30, 500), end=(970, 500))
RISING = Line(kind="line", start=(60, 620), end=(940, 420))


def style(baseline: Arc | Line, fonts: tuple[str, ...] = (CAIRO,), language: str = "ar") -> TextStyle:
    """Return a roomy style."""
    return TextStyle(
        fonts=fonts,
        largest=130,
        smallest=10,
        above=150,
        below=150,
        shift=0,
        baseline=baseline,
        language=language,
    )


def picture(path: str, side: int = 500) -> Image.Image:
    """Return path data as black ink on white."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 1000">'
        f'<rect width="1000" height="1000" fill="#fff"/><path d="{path}"/></svg>'
    )
    png = resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png))).convert("L")


GOLDENS = {
    "arc-bottom": ("الحرية للأسرى", style(BOTTOM)),
    "arc-top": ("#اليوم_العالمي_للتضامن_مع_الأسرى", style(TOP)),
    "line": ("الحُرِّيَّةُ لِلْأَسْرَى", style(RISING, (AMIRI,))),
    "nastaliq": ("قیدیوں کی آزادی", style(BOTTOM, (NASTALIQ, CAIRO), "ur").model_copy(update={"below": 50})),
    "mixed": ("الحرية (Free) للأسرى «١٩٤٨»!", style(LEVEL)),
    "mixed-latin": ("Free #أنقذوا_الأسرى [2026] now!", style(TOP, language="en")),
    "accents": ("Esirlere özgürlük, İstanbul’da", style(BOTTOM, language="tr")),
}


@pytest.mark.golden
@pytest.mark.parametrize("name", GOLDENS)
def test_slogans_look_as_they_did(name: str, root: Path, golden: Callable[[Image.Image, str], None]) -> None:
    """A typographer has looked at these pictures and found them right."""
    text, how = GOLDENS[name]
    golden(picture(set_slogan(text, how, root / "fonts").d), f"slogan-{name}")


def test_nastaliq_has_half_the_ink_of_cairo(root: Path) -> None:
    """What the guide for authors says of it, who are to set it larger."""
    ways = (style(LEVEL, (font,), "ur").model_copy(update={"largest": 60}) for font in (NASTALIQ, CAIRO))
    nastaliq, cairo = (set_slogan("اسیروں کو رہائی دو", how, root / "fonts") for how in ways)
    inks = [np.asarray(picture(outline.d)).mean() - 255 for outline in (nastaliq, cairo)]
    assert inks[0] / inks[1] == pytest.approx(0.5, abs=0.03)
    widths = [outline.box[2] - outline.box[0] for outline in (nastaliq, cairo)]
    assert widths[0] / widths[1] == pytest.approx(0.7, abs=0.03)


def pieces(ink: NDArray[np.bool_]) -> int:
    """Count what hangs together, neighbours at corners included."""
    waiting = {(int(y), int(x)) for y, x in np.argwhere(ink)}
    count = 0
    while waiting:
        count += 1
        front = [waiting.pop()]
        while front:
            y, x = front.pop()
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & waiting
            waiting -= near
            front += near
    return count


def rigid(text: str, how: TextStyle, fonts: Path) -> str:
    """Set text as renderers do on a path: each glyph turned as a whole, about the middle of its advance."""
    items = itemise(text, how.language, FontStack([Font(fonts / name) for name in how.fonts]))
    line = lay_out(items)
    size = fit(line.box, how)
    warp = baseline_warp(how, line.box, size)
    path = ""
    x = 0.0
    for item in items:
        shaped = item.font.shape(item.context, item.start, item.end, item.segment)
        for info, position in zip(shaped.glyph_infos, shaped.glyph_positions, strict=True):
            advance = position.x_advance / item.font.em
            middle = complex(x + advance / 2, 0)
            at, _, up = warp(middle)
            moved = complex(x + position.x_offset / item.font.em, position.y_offset / item.font.em)
            path += "".join(
                path_data([tuple(at + (z - middle) * up * -1j for z in curve) for curve in contour])  # type: ignore[misc]  # a tuple of four stays one
                for contour in item.font.draw(info.codepoint, moved)
            )
            x += advance
    return path


JOINED = ["محمد", "معلم", "سمعها", "مسلم", "حملهم"]
"""Words without dots, whose letters all join: one piece of ink each."""


@pytest.mark.parametrize("word", JOINED)
@pytest.mark.parametrize("side", ["top", "bottom"])
@pytest.mark.parametrize("font", [CAIRO, AMIRI])
def test_joins_hold_on_the_arc(word: str, side: str, font: str, root: Path) -> None:
    """A word whose letters all join is one piece of ink, however tight the arc."""
    arc = Arc(kind="arc", center=(500, 500), radius=200, side=side, span=300)  # type: ignore[arg-type]  # parametrised
    outline = set_slogan(word, style(arc, (font,)), root / "fonts")
    assert pieces(np.asarray(picture(outline.d, 400)) < 128) == 1


@pytest.mark.parametrize("word", JOINED)
def test_joins_would_break_if_glyphs_were_placed_rigidly(word: str, root: Path) -> None:
    """The test above sees a broken join: on the same arc, glyphs turned as a whole part from each other."""
    arc = Arc(kind="arc", center=(500, 500), radius=200, side="bottom", span=300)
    path = rigid(word, style(arc), root / "fonts")
    assert pieces(np.asarray(picture(path, 400)) < 128) > 1


@pytest.mark.parametrize("side", ["top", "bottom"])
def test_a_broken_word_is_seen_as_broken(side: str, root: Path) -> None:
    """A ZWNJ, which parts two letters, gives two pieces."""
    arc = Arc(kind="arc", center=(500, 500), radius=200, side=side, span=300)  # type: ignore[arg-type]  # parametrised
    outline = set_slogan("مح\u200cمد", style(arc), root / "fonts")
    assert pieces(np.asarray(picture(outline.d, 400)) < 128) == 2
