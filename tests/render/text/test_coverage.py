"""Which languages a supporter may write in: what our frames draw, and what they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.errors import MissingGlyphs
from app.render.artwork import set_text
from app.render.text.shaping import FontStack, itemise
from app.render.text.slogan import open_fonts

if TYPE_CHECKING:
    from app.frames import Frame, FrameLibrary

OWN, KUFI, SANS = "cairo/Cairo_900Black.ttf", "noto-kufi-arabic", "noto-sans"

DRAWN = {
    # Cairo's own
    "Arabic": ("ابتثجحخدذرزسشصضطظعغفقكلمنهوي ةىءآأؤإئ ٱ ًٌٍَُِّْٰ", OWN),
    "Persian": ("پ چ ژ گ ک ی", OWN),
    "Kurmanji": ("Ê ê Î î Û û Ç ç Ş ş", OWN),
    "Turkish": ("İ ı Ğ ğ Ş ş", OWN),
    "Polish": ("ąćęłńóśźż ĄĆĘŁŃÓŚŹŻ", OWN),
    "Romanian": ("ășțâî ĂȘȚÂÎ", OWN),
    "Bosnian": ("čćđšž ČĆĐŠŽ", OWN),
    "Hungarian": ("őű ŐŰ", OWN),
    "Maltese": ("ċġħż ĊĠĦŻ", OWN),
    "Wolof": ("ñŋëóà", OWN),
    "Swedish, Danish, Icelandic": ("åäö æø ðþ", OWN),
    # Arabic letters from the fallback
    "Kurdish": ("ڕ ڵ ێ ۆ ە ڤ گ چ پ ژ ئازادی بۆ گەل", KUFI),
    "Uyghur": ("ئۆ ې ۈ ۋ ڭ ئە ئۇ ھ ئەركىنلىك", KUFI),
    "Sindhi": ("ٻ ڀ ٺ ٽ ٿ ڄ ڃ ڇ ڌ ڏ ڊ ڍ ڙ ڦ ڪ ڳ ڱ ڻ ۽ ۾", KUFI),
    "Pashto": ("ټ ډ ړ ږ ښ ګ ڼ ې ۍ ئ ځ څ", KUFI),
    "Jawi": ("چ ڠ ڤ ݢ ڽ ۏ", KUFI),
    "Shahmukhi, Saraiki": ("ݨ ࣇ ٻ ڄ ݙ ڳ", KUFI),
    "Kashmiri": ("ۄ ؠ ٲ ٳ ٕ ۆ", KUFI),
    "Balochi, Torwali": ("ݔ ݓ ݜ", KUFI),
    "Ajami": ("ݑ ݖ ݕ ݝ ݗ ࢠ ࢶ ࢷ ࢨ", KUFI),
    "Maghribi": ("ڢ ڧ ڥ ڨ", KUFI),
    "Quran": ("بۖ بۗ بۘ بۙ بۚ بۛ بۜ بۣ ب۟ ب۠ بۡ بۢ بۤ بۥ بۦ بۧ بۨ ب۪ ب۬ بۭ بࣰ بࣱ بࣲ بࣖ بٓ بٔ بٗ بٞ", KUFI),
    "signs of the Quran": ("\u06dd١٢ ۞ ۩", KUFI),
    "phrases": ("ﷺ ﷽ ﷻ ﷴ ﷰ ﷱ", KUFI),
    "number signs": ("\u0600١٢ \u0601١٢ \u0602١ \u0603١٢ \u0890١ \u0891١ \u08e2١", KUFI),
    "German capitals": ("STRAẞE", KUFI),
    # other alphabets, and Latin letters that Cairo lacks
    "Azeri": ("Azadlıq Əsirlərə", SANS),
    "Vietnamese": ("Tự do cho tù nhân ạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹđ", SANS),
    "Hausa": ("ɓ ɗ ƙ ƴ Ɓ Ɗ Ƙ Ƴ", SANS),
    "Yoruba": ("ẹ ọ ṣ Ẹ̀ Ọ́ Ṣ", SANS),
    "Igbo": ("ị ọ ụ ṅ", SANS),
    "transliteration": ("ḥ ṣ ḍ ṭ ẓ ʿ ʾ ā ī ū", SANS),
    "Greek": ("Ελευθερία στους κρατούμενους ΐ ΰ", SANS),
    "Russian": ("Свободу узникам ё ъ ы э", SANS),
    "Ukrainian, Serbian": ("ї є ґ ђ ћ џ љ њ", SANS),
    "Kazakh, Uzbek, Tajik": ("ә ғ қ ң ө ұ ү һ і ў ҳ ҷ ӣ ӯ", SANS),
    "Hindi": ("बंदियों को आज़ादी", SANS),
}
"""Language: letters or words of it, and the file or family that all of its words are in."""

NOT_DRAWN = {
    "Hebrew": "אבג",
    "Armenian": "աբգ",
    "Georgian": "აბგ",
    "Amazigh in Tifinagh": "ⴰⴱⴳ",
    "Amharic": "አበገ",
    "Bengali": "কখগ",
    "Tamil": "கஙச",
    "Thai": "กขค",
    "Chinese": "自由",
    "Korean": "자유",
    "emoji": "❤✊🇵🇸",
}
"""Refused, each sign by its name."""


@pytest.mark.parametrize("language", DRAWN)
def test_languages_that_are_drawn(language: str, frames: FrameLibrary) -> None:
    """All words of a text are in one face, and every frame that takes words of one's own draws them."""
    text, expected = DRAWN[language]
    for frame in frames:
        for place in (place for place in frame.texts if place.custom):
            opened = open_fonts(frame.style(place, "ar"), frame.fonts_folder)
            fonts = dict(zip(opened, names(frame), strict=True))
            used = {fonts[item.font] for item in itemise(text, "ar", FontStack(opened))}
            words = {name for name in used if expected in name}
            assert words
            assert used <= words | {OWN}
            if len(text) < 40:
                assert set_text(frame, place, "ar", text).d


@pytest.mark.parametrize("language", NOT_DRAWN)
def test_languages_that_are_not_drawn(language: str, frames: FrameLibrary) -> None:
    """No face has them, and the error names every sign."""
    frame = next(iter(frames))
    with pytest.raises(MissingGlyphs) as caught:
        set_text(frame, frame.texts[0], "ar", f"حرية {NOT_DRAWN[language]}")
    assert "".join(caught.value.params["characters"]) == NOT_DRAWN[language]  # type: ignore[arg-type]  # a tuple


def names(frame: Frame) -> list[str]:
    """Return the files of a frame's fonts, in order of preference."""
    (place,) = frame.texts
    return [*place.fonts, *(fallback.font for fallback in frame.fallback)]
