# ruff: noqa: INP001, T201 (a script, no package; it prints)
"""Cut the pages' typeface to the letters of their languages: ``python fonts/subset.py`` (``make fonts``).

Writes ``app/web/static/cairo-<script>-<weight>.woff2``. The files of both scripts hold the digits and
the punctuation, so that a page in one of them loads the other's only for a word in it: ``base.css`` has
the families in the order that the page's language needs.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

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


def cut(font: TTFont, characters: str) -> bytes:
    """Return a woff2 of these characters, with every form that they take and the places of their marks."""
    options = Options(
        flavor="woff2",
        # What joins Arabic and sets its marks, and kerning; not the small figures and fractions of a book.
        layout_features=[
            "ccmp",
            "init",
            "medi",
            "fina",
            "isol",
            "rlig",
            "locl",
            "calt",
            "kern",
            "mark",
            "mkmk",
        ],
        hinting=False,
        notdef_outline=True,
        name_IDs=[0, 1, 2, 13, 14],  # whose it is, and its licence
    )
    subsetter = Subsetter(options)
    subsetter.populate(text=characters)
    subsetter.subset(font)
    font.flavor = "woff2"
    file = io.BytesIO()
    font.save(file)
    return file.getvalue()


def subset_all() -> dict[str, bytes]:
    """Return every file by its name."""
    return {
        f"cairo-{script}-{weight}.woff2": cut(TTFont(FONTS / source, recalcTimestamp=False), characters)
        for script, characters in LETTERS.items()
        for weight, source in SOURCES.items()
    }


if __name__ == "__main__":
    for name, content in subset_all().items():
        (STATIC / name).write_bytes(content)
        print(f"{name}: {len(content):,} bytes")
