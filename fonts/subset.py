# ruff: noqa: INP001, T201 (a script, no package; it prints)
"""Cut the pages' typeface to the letters of their languages: ``python fonts/subset.py`` (``make fonts``).

Writes ``app/web/static/cairo-<script>-<weight>.woff2``. The files of both scripts hold the digits and
the punctuation, so that a page in one of them loads the other's only for a word in it: ``base.css`` has
the families in the order that the page's language needs.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fontTools.pens.boundsPen import BoundsPen
from fontTools.pens.transformPen import TransformPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

if TYPE_CHECKING:
    from collections.abc import Mapping

FONTS = Path(__file__).parent
STATIC = FONTS.parent / "app/web/static"

SOURCES: Mapping[str, str] = {
    "regular": "cairo/Cairo_400Regular.ttf",
    "bold": "cairo/Cairo_700Bold.ttf",
}

# The space, the no-break space, digits, and the signs of every one of the eight languages.
_COMMON = " \u00a0!\"#$%&'()*+,-./0123456789:;<=>?@[]_|«»·×–—‘’“”„…‹›−"

LETTERS: Mapping[str, str] = {
    # Arabic, Persian and Urdu, the harakat, and both forms of the digits. ـ lengthens a word.
    "arabic": _COMMON
    + "ءآأؤإئابةتثجحخدذرزسشصضطظعغـفقكلمنهوىيٱ"
    + "ٹپچڈڑژکگںھہۂۃیےۓ"
    + "ًٌٍَُِّْٰٕٓٔ"
    + "،؍؛؟٪٫٬۔٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹",
    # English, French, Spanish, German, Turkish, Indonesian.
    "latin": _COMMON
    + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    + "ÀÂÆÇÉÈÊËÎÏÔŒÙÛÜŸàâæçéèêëîïôœùûüÿ"
    + "ÁÍÑÓÚáíñóú¡¿ªº"
    + "ÄÖßäö"
    + "ĞİŞğış"
    + "\\^`{}~€©°",
}
"""The characters of each script's files. A test holds the catalogues against them."""


# What joins Arabic and sets its marks; not the small figures and fractions of a book.
_FEATURES = ["ccmp", "locl", "init", "medi", "fina", "rlig", "mark", "mkmk"]


def cut(font: TTFont, characters: str, features: list[str]) -> bytes:
    """Return a woff2 of these characters, with every form that they take and the places of their marks."""
    options = Options(
        flavor="woff2",
        layout_features=features,
        hinting=False,
        notdef_outline=True,
        name_IDs=[0, 1, 2, 13, 14],  # whose it is, and its licence
    )
    mend_low_quotes(font)
    subsetter = Subsetter(options)
    subsetter.populate(text=characters)
    subsetter.subset(font)
    font.flavor = "woff2"
    file = io.BytesIO()
    font.save(file)
    return file.getvalue()


def mend_low_quotes(font: TTFont) -> None:
    """Draw „ as two ‚, as far apart as those of ”, where it is flat: in Cairo's bold it is two specks."""
    names, glyphs = font.getBestCmap(), font.getGlyphSet()
    low, single, right, right_single = (names[ord(sign)] for sign in "„‚”’")
    if _height(glyphs, low) > _height(glyphs, single) / 2:
        return
    distance = font["hmtx"][right][0] - font["hmtx"][right_single][0]
    pen = TTGlyphPen(glyphs)
    for shift in (0, distance):
        glyphs[single].draw(TransformPen(pen, (1, 0, 0, 1, shift, 0)))
    advance, bearing = font["hmtx"][single]
    font["glyf"][low] = pen.glyph()
    font["hmtx"][low] = (advance + distance, bearing)


def _height(glyphs: Mapping[str, Any], name: str) -> float:
    pen = BoundsPen(glyphs)
    glyphs[name].draw(pen)
    _, bottom, _, top = pen.bounds
    return float(top - bottom)


def subset_all() -> dict[str, bytes]:
    """Return every file by its name."""
    return {
        f"cairo-{script}-{weight}.woff2": _cut_file(script, weight)
        for script in LETTERS
        for weight in SOURCES
    }


def _cut_file(script: str, weight: str) -> bytes:
    # Kerning is a third of a Latin file. Titles and buttons need it, text at the size of reading does not.
    kerning = [] if (script, weight) == ("latin", "regular") else ["kern"]
    # Without the source's own time every run would make another file.
    font = TTFont(FONTS / SOURCES[weight], recalcTimestamp=False)
    return cut(font, LETTERS[script], _FEATURES + kerning)


if __name__ == "__main__":
    for name, content in subset_all().items():
        (STATIC / name).write_bytes(content)
        print(f"{name}: {len(content):,} bytes")
