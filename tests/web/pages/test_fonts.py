"""The pages' typeface is cut to the letters of their languages (fonts/subset.py): none may be missing."""

from __future__ import annotations

import io
import re
import unicodedata
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import uharfbuzz as hb
from babel.messages.pofile import read_po
from fontTools.pens.boundsPen import BoundsPen  # type: ignore[import-untyped]  # it ships no types
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # it ships no types

from app.texts.languages import PAGE_LANGUAGES
from app.texts.translations import translations_path

if TYPE_CHECKING:
    from app.frames import FrameLibrary

STATIC = Path(__file__).parents[3] / "app/web/static"
FILES = [f"cairo-{script}-{weight}.woff2" for script in ("arabic", "latin") for weight in ("regular", "bold")]

ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنهويءآأؤإئةى"
URDU = "اآبپتٹثجچحخدڈذرڑزژسشصضطظعغفقکگلمنںوہھءیےئؤۂۃ"
HARAKAT = "ًٌٍَُِّْ"


@pytest.fixture(scope="module")
def subset(root: Path) -> Any:
    """The script that cuts the files."""
    return SimpleNamespace(**run_path(str(root / "fonts/subset.py")))


def characters_of(name: str) -> set[str]:
    """Return what a file can write."""
    return {chr(point) for point in TTFont(STATIC / name).getBestCmap()}


def texts_in(code: str, frames: FrameLibrary) -> list[str]:
    """Return what a page in this language may say: its texts, and the names of frames and languages."""
    texts = [language.name for language in PAGE_LANGUAGES.values()]
    texts += [text[code] for frame in frames for text in (frame.title, frame.description)]
    if code == "en":
        return texts
    with translations_path(code).open("rb") as file:
        for message in read_po(file, locale=code):
            for written in (message.id, message.string):
                texts += [written] if isinstance(written, str) else written or ()
    return texts


def shape(font: bytes, text: str) -> list[tuple[int, int, int]]:
    """Return the advance and the place of every glyph of a text."""
    buffer = hb.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    hb.shape(hb.Font(hb.Face(font)), buffer)
    return [(place.x_advance, place.x_offset, place.y_offset) for place in buffer.glyph_positions]


@pytest.mark.parametrize("weight", ["regular", "bold"])
@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_every_letter_of_a_page_is_in_its_files(code: str, weight: str, frames: FrameLibrary) -> None:
    """Whatever the catalogue of a language and the frames say can be written in Cairo."""
    written = characters_of(f"cairo-arabic-{weight}.woff2") | characters_of(f"cairo-latin-{weight}.woff2")
    asked = {character for text in texts_in(code, frames) for character in text}
    # Nothing is drawn for line breaks, signs that isolate a word's direction, and thin spaces, as in French.
    drawn = {character for character in asked if unicodedata.category(character) not in {"Cc", "Cf", "Zs"}}
    assert len(drawn) > 40
    assert drawn <= written, sorted(drawn - written)


@pytest.mark.parametrize("name", FILES)
def test_german_quotes_are_as_tall_at_the_foot_as_at_the_head(name: str) -> None:
    """In Cairo's own bold „ is two specks, and a heading seems to open no quotation."""
    font = TTFont(STATIC / name)
    names, glyphs, heights = font.getBestCmap(), font.getGlyphSet(), []
    for sign in "„“":
        pen = BoundsPen(glyphs)
        glyphs[names[ord(sign)]].draw(pen)
        heights.append(pen.bounds[3] - pen.bounds[1])
    assert heights[0] == pytest.approx(heights[1], rel=0.2)


@pytest.mark.parametrize("weight", ["regular", "bold"])
def test_it_writes_arabic_and_urdu(weight: str) -> None:
    """The alphabets are whole, with their vowel signs, both forms of digits and the punctuation."""
    asked = set(ARABIC + URDU + HARAKAT + "٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹،؛؟٪۔«»0123456789")
    assert asked <= characters_of(f"cairo-arabic-{weight}.woff2")


@pytest.mark.parametrize("weight", ["regular", "bold"])
@pytest.mark.parametrize(
    "text", ["الحرية للأسرى", "نزّلْ صورتَكَ الشَّخصيّة", "اسیروں کو رہا کرو", "لا إله", "پیٹھ ڈھونڈیے"]
)
def test_arabic_joins_as_in_the_whole_font(text: str, weight: str, subset: Any, root: Path) -> None:
    """Joining forms, lam-alef and the places of marks survive the cut."""
    font = TTFont(STATIC / f"cairo-arabic-{weight}.woff2")
    font.flavor = None
    cut = io.BytesIO()
    font.save(cut)
    assert shape(cut.getvalue(), text) == shape((root / "fonts" / subset.SOURCES[weight]).read_bytes(), text)


def test_the_files_are_what_the_script_cuts(subset: Any) -> None:
    """What is served was cut from the fonts in fonts/ (make fonts)."""
    cut = subset.subset_all()
    assert sorted(cut) == sorted(FILES)
    for name, content in cut.items():
        served, expected = TTFont(STATIC / name), TTFont(io.BytesIO(content))
        assert served.keys() == expected.keys()
        # GlyphOrder is no table of the file; the others are compared as they lie in it.
        tables = set(served.keys()) - {"GlyphOrder"}
        assert all(served.getTableData(tag) == expected.getTableData(tag) for tag in tables), name


@pytest.mark.parametrize("script", ["arabic", "latin"])
def test_the_style_sheet_loads_a_file_for_exactly_its_letters(script: str, subset: Any) -> None:
    """base.css's unicode-range is what the script's files hold: nothing is loaded in vain, or not loaded."""
    css = (STATIC / "base.css").read_text(encoding="utf-8")
    faces = [face for face in css.split("@font-face")[1:] if f"cairo-{script}-" in face]
    assert len(faces) == 2
    for face in faces:
        ranges = re.findall(r"U\+([0-9A-F]+)(?:-([0-9A-F]+))?", face)
        points = {
            chr(point) for low, high in ranges for point in range(int(low, 16), int(high or low, 16) + 1)
        }
        assert points == set(subset.LETTERS[script])


def test_the_arabic_page_is_light() -> None:
    """Arabic in both weights, and Latin for the names of platforms, stay under 45 KB together."""
    loaded = ["cairo-arabic-regular.woff2", "cairo-arabic-bold.woff2", "cairo-latin-regular.woff2"]
    assert sum((STATIC / name).stat().st_size for name in loaded) <= 45_000
