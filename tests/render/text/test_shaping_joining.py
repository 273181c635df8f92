"""Arabic letters join as they should: arabic-reshaper, which knows no font, is the oracle."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import pytest
import uharfbuzz as hb
from arabic_reshaper import ArabicReshaper

from app.frames import Line, TextStyle
from app.render.text.shaping import Font, FontStack, itemise
from app.render.text.slogan import set_slogan
from tests.render.text.specimens import AMIRI, CAIRO, NASTALIQ, REEM_KUFI

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEXT = """
الحرية للأسرى أنقذوا اليوم العالمي للتضامن مع فلسطين القدس غزة السجن شيء بيئة مسؤول رأس آمال إنسان ماء
سؤال لؤلؤ دفء قارئ شاطئ رئيس بئر رؤوف باب كتاب حبيب كتب تحت بيت زيت ثلج حديث إرث عبث كثير تاج برج حجر خليج
جدار روح ملح بحر صباح حياة خبز أخ شيخ صخر مناخ دم عدد أحمد ذهب لذيذ أستاذ زهر عزيز رمز أرز شمس درس نفس حسن
شعر عطش نشيد ريش أعشاش صمود قصص رصاص خاص مصر ضوء أرض بيض رياض فضل طفل قطار شرط خيط حطب ظلم عظيم حفظ محظوظ
عدل شعب دفاع ربيع دمع غصن صغير فراغ بالغ صيغ فجر سفر حرف خلف كفاف قلم وقت حق رفيق طرق كلمة مكان ملك أشواك
لبن علم جبل خيال مال موت أمل نجم سلام نور بنت لبنان هذا مهم زهرة وجه مياه نبيه وطن دلو على هدى لدى سلوى
مستشفى يد بيد علي شاي الآن لا لأن لإن الأول إلا بلا فلأن الإسلام مآب قرآن قراءة مدرسة سنة دائرة شجرة
الحـــرية سـلام هـ ـهـ ـه بـ لـلأسرى حُرِّيَّةٌ لِلْأَسْرَى قُدْسٌ سَلَامٌ لَآلِئُ شُهَدَاءُ رَبَّنَا إِلَى مُؤْمِنٌ
ٹوپی بیٹا کٹ باٹ مٹی ڈر انڈا لڈو لڑکا بڑا دوڑ سے ہے اے نے ہم یہاں شہر راہ جگہ بھائی گھر ھندوستان ساتھ آدھ گل
آگ سنگ جگر چاند بچہ سچ کاچ آچ پانی آپ چپ لپک ماں میں زمین یوں کام نمک ایک مکان پاکی کیا تی دی ناک
"""
WORDS = TEXT.split()

LETTERS = "ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىيٹڈڑےہھگچپںکی"
RESHAPER = ArabicReshaper({"delete_harakat": True})

# Cairo's own ligatures, which have no presentation form, as the forms that they tie.
CAIRO_LIGATURES = {
    "seen_noonar.fina": "\ufeb4\ufee6",
    "sad_noonar.fina": "\ufebc\ufee6",
    "lam_yehHamzaabovear": "\ufedf\ufe8a",
}
# Reem Kufi sets a hah from its initial shape after a letter that is raised for it.
KUFI_FORMS = {
    r"hamza-ar|\S*\.isol(\.\S*)?": "isolated",
    r"(?<=\.Hah )hah-ar\.init|\S*\.medi(\.\S*)?": "medial",
    r"\S*\.init(\.\S*)?": "initial",
    r"\S*\.fina(\.\S*)?": "final",
}
# Noto Nastaliq names the two halves of a lam-alef after the form of the whole.
NASTALIQ_FORMS = {
    r"LamSep\.LA": "initial",
    r"LamFin\.LA": "medial",
    r"AlefSep\.LA": "final",
    r"Hamza|[A-Za-z]+Sep": "isolated",
    r"[A-Za-z]+Ini(AF)?(\.\S*)?": "initial",
    r"[A-Za-z]+Med(\.\S*)?": "medial",
    r"[A-Za-z]+Fin(\.\S*)?": "final",
}

Joined = tuple[str, str]
"""A letter, and its form: isolated, initial, medial or final."""


@pytest.fixture(scope="module")
def presentation_forms(fonts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``forms.ttf``: Amiri's presentation forms and marks, without letters to join or rules."""
    folder = tmp_path_factory.mktemp("fonts")
    characters = {*range(0xFB50, 0xFC00), *range(0xFE80, 0xFEFD), *range(0x64B, 0x653), 0x640, 0x20}
    font = subset(fonts / AMIRI, characters, without=(b"GSUB", b"GPOS", b"GDEF"))
    (folder / "forms.ttf").write_bytes(font)
    return folder


def subset(path: Path, characters: set[int], without: tuple[bytes, ...] = ()) -> bytes:
    """Return a font with some of a font's characters, and with none of some tables."""
    wanted = hb.SubsetInput()
    wanted.unicode_set.update(characters)
    wanted.drop_table_tag_set.update(int.from_bytes(tag) for tag in without)
    data: bytes = hb.subset(hb.Face(hb.Blob.from_file_path(str(path))), wanted).blob.data
    return data


def glyphs(text: str, path: Path, language: str = "ar") -> list[tuple[str, int]]:
    """Return the names and numbers of the glyphs of a text, from left to right."""
    found = []
    for item in itemise(text, language, FontStack([Font(path)])):
        shaped = item.font.shape(item.context, item.start, item.end, item.segment)
        found += [
            (item.font._font.glyph_to_string(info.codepoint), info.codepoint) for info in shaped.glyph_infos
        ]
    return found


def forms_of(character: str) -> Iterator[Joined]:
    """Say which letters a presentation form stands for, and their forms; a bare letter is isolated."""
    form, *codes = unicodedata.decomposition(character).split() or ["", ""]
    if not form.startswith("<"):
        if character in LETTERS:
            yield character, "isolated"
        return
    letters = [chr(int(code, 16)) for code in codes if chr(int(code, 16)) in LETTERS]
    before, after = form in {"<medial>", "<final>"}, form in {"<initial>", "<medial>"}
    for place, letter in enumerate(letters):
        joins = (before or place > 0, after or place < len(letters) - 1)
        yield letter, {(0, 0): "isolated", (0, 1): "initial", (1, 1): "medial", (1, 0): "final"}[joins]


def expected_forms(word: str) -> list[Joined]:
    """Return what the oracle says of a word."""
    return [joined for character in RESHAPER.reshape(word) for joined in forms_of(character)]


def test_the_words_have_every_letter_in_every_form() -> None:
    """The words that follow leave no form of any letter out; Uighur's joining alef maksura is not ours."""
    names = ("isolated", "initial", "medial", "final")
    exist = {
        (letter, name)
        for letter in LETTERS
        for name, form in zip(names, RESHAPER.letters[letter], strict=True)
        if form and (letter, name) not in {("ى", "initial"), ("ى", "medial")}
    }
    assert exist - {joined for word in WORDS for joined in expected_forms(word)} == set()


@pytest.mark.parametrize("word", WORDS)
def test_every_letter_takes_its_form(word: str, fonts: Path) -> None:
    """Cairo, whose glyphs are named after presentation forms, gives each letter the form the oracle says."""
    found: list[Joined] = []
    for name, _ in reversed(glyphs(word, fonts / CAIRO)):
        codes = re.fullmatch(r"uni((?:[0-9A-F]{4})+)", name)
        drawn = bytes.fromhex(codes[1]).decode("utf-16-be") if codes else CAIRO_LIGATURES[name]
        found += [joined for character in drawn for joined in forms_of(character)]
    assert found == expected_forms(word)


@pytest.mark.parametrize(
    ("font", "patterns"),
    [pytest.param(REEM_KUFI, KUFI_FORMS, id="kufi"), pytest.param(NASTALIQ, NASTALIQ_FORMS, id="nastaliq")],
)
def test_other_styles_join_alike(font: str, patterns: dict[str, str], fonts: Path) -> None:
    """Kufi and Nastaliq, which build letters from parts, choose the forms that the oracle says."""
    for word in WORDS:
        names = [name for name, _ in reversed(glyphs(word, fonts / font, "ur"))]
        found = []
        letter = ""
        for name in names:
            matching = (
                form for p, form in patterns.items() if re.fullmatch(rf"\S* ({p})", f"{letter} {name}")
            )
            if form := next(matching, None):
                found.append(form)
                letter = name
        assert found == [form for _, form in expected_forms(word)], word


@pytest.mark.parametrize(
    ("text", "ligature"),
    [
        ("لا", "uniFEFB"),
        ("لأ", "uniFEF7"),
        ("لإ", "uniFEF9"),
        ("لآ", "uniFEF5"),
        ("بلا", "uniFEFC"),
        ("بلأ", "uniFEF8"),
        ("بلإ", "uniFEFA"),
        ("بلآ", "uniFEF6"),
        ("لَا", "uniFEFB"),
    ],
)
def test_lam_and_alef_become_one(text: str, ligature: str, fonts: Path) -> None:
    """All four alefs tie with lam, alone and after a letter, also across a vowel."""
    assert ligature in [name for name, _ in glyphs(text, fonts / CAIRO)]


def test_joiners_decide_joining_and_draw_nothing(fonts: Path) -> None:
    """ZWNJ parts two letters and ZWJ joins one to nothing, without a glyph of their own."""
    parted = [name for name, _ in glyphs("می\u200cروم", fonts / CAIRO)]
    assert "uniFBFD" in parted  # farsi yeh, final
    assert [name for name, _ in glyphs("ه\u200d", fonts / CAIRO) if name != "space"] == ["uniFEEB"]


def test_joining_reaches_across_a_change_of_font(fonts: Path, tmp_path: Path) -> None:
    """Where no font has a whole word, its letters still take the forms that the word gives them."""
    (tmp_path / "teh.ttf").write_bytes(subset(fonts / CAIRO, {ord("ۃ")}))
    ruqaa, teh = Font(fonts / "aref-ruqaa/ArefRuqaa_700Bold.ttf"), Font(tmp_path / "teh.ttf")
    items = itemise("بۃ", "ur", FontStack([ruqaa, teh]))
    assert [item.font for item in items] == [teh, ruqaa]
    for item, same in zip(items, ("\u200dۃ", "ب\u200d"), strict=True):
        found, expected = (
            {info.codepoint for info in item.font.shape(context, start, end, item.segment).glyph_infos}
            for context, start, end in ((item.context, item.start, item.end), (same, 0, 2))
        )
        assert found <= expected


@pytest.mark.parametrize("word", ["الحرية", "للأسرى", "بلا", "سلام", "ٹھہرے", "شيء"])
def test_fonts_with_presentation_forms_only_get_them_in_order(word: str, presentation_forms: Path) -> None:
    """Such a font draws exactly the oracle's forms, the first of them at the right: not reversed twice."""
    face = hb.Font(hb.Face(hb.Blob.from_file_path(str(presentation_forms / "forms.ttf"))))
    expected = [face.get_nominal_glyph(ord(form)) for form in reversed(RESHAPER.reshape(word))]
    assert None not in expected
    assert [number for _, number in glyphs(word, presentation_forms / "forms.ttf")] == expected


def test_a_word_is_not_replaced_by_a_symbol(presentation_forms: Path) -> None:
    """The name of God is written with its letters, not as a ligature that the font may lack."""
    face = hb.Font(hb.Face(hb.Blob.from_file_path(str(presentation_forms / "forms.ttf"))))
    letters = "\ufeea\ufee0\ufedf\ufe8d"
    assert [number for _, number in glyphs("الله", presentation_forms / "forms.ttf")] == [
        face.get_nominal_glyph(ord(letter)) for letter in letters
    ]


def test_presentation_forms_keep_harakat(presentation_forms: Path) -> None:
    """Vowel signs are drawn, above their letters, and do not part a ligature."""
    style = TextStyle(
        fonts=("forms.ttf",),
        largest=50,
        smallest=50,
        above=100,
        below=100,
        shift=0,
        baseline=Line(kind="line", start=(0, 500), end=(1000, 500)),
        language="ar",
    )
    bare, vowelled = (set_slogan(text, style, presentation_forms) for text in ("سلام", "سَلَام"))
    assert vowelled.box[0] == pytest.approx(bare.box[0], abs=0.01)
    assert vowelled.box[1] < bare.box[1]
    assert vowelled.d.count("M") == bare.d.count("M") + 2


def test_every_font_we_ship_joins_by_opentype(fonts: Path) -> None:
    """None of our fonts that have Arabic takes the way of presentation forms."""
    files = [
        font for path in sorted(fonts.glob("*/*.ttf")) if ord("ب") in (font := Font(path))._face.unicodes
    ]
    assert len(files) > 6
    assert all(font._joins_arabic for font in files)
