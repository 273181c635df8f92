"""Words as letters: what forms out of PDFs stand for, and what composing leaves."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.words import compose

MARK_FORMS = [
    form
    for form in map(chr, [*range(0xFC5E, 0xFC64), *range(0xFCF2, 0xFCF5), *range(0xFE70, 0xFE80)])
    if unicodedata.decomposition(form)
]
FATHA, SHADDA = "\u064e", "\u0651"


@pytest.mark.parametrize("form", MARK_FORMS, ids=unicodedata.name)
@pytest.mark.parametrize("letter", ["ﺑ", "ب", "ﺑ" + "\u0670", "بـ", "ﮔ", "ﷲ"])
def test_the_form_of_a_mark_goes_onto_the_letter_before_it(form: str, letter: str) -> None:
    """Neither the space nor the tatweel that NFKC gives it comes between the letters of a word."""
    marks = unicodedata.normalize("NFKC", form)[1:]
    plain = unicodedata.normalize("NFKC", letter)
    assert compose(f"{letter}{form}ﺪ") == unicodedata.normalize("NFC", f"{plain}{marks}د")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param("ﻣﺤﻤﹼﹷﺪ", f"محم{FATHA}{SHADDA}د", id="shadda, then fatha"),
        pytest.param("ﻣﺤﻤﹷﹼﺪ", f"محم{FATHA}{SHADDA}د", id="fatha, then shadda"),
        pytest.param("ﺑ ﹶﺪ", f"ب  {FATHA}د", id="a space that is written stays"),
        pytest.param("ﺏ ﺩ", "ب د", id="a space between words"),
        pytest.param("ﹶﺪ", f" {FATHA}د", id="nothing before it"),
        pytest.param("ﹷﺪ", f"ـ{FATHA}د", id="nothing before a medial one"),
        pytest.param("١ﹶ", f"١ {FATHA}", id="a figure carries no mark"),
        pytest.param("ﺳﻼﹶﻡ", f"سلا{FATHA}م", id="lam-alef"),
        pytest.param("ﻟﻵﻥ ﻷﻥ ﻹﻥ ﻻ", "للآن لأن لإن لا", id="every lam-alef"),
        pytest.param("ﻣﺲﹳ", "مس", id="tail of a seen"),
        pytest.param("ﻣﯽﺧﻮﺍﻫﻢ", "می\u200cخواهم", id="final before initial"),
        pytest.param("ﺧﺎﻧﻪﺍﻡ", "خانه\u200cام", id="final before isolated"),
        pytest.param("ﺩﻩﻫﺎ", "ده\u200cها", id="isolated before initial"),
        pytest.param("ﺷﻲﺀ", "شيء", id="hamza never joins"),
        pytest.param("ﺩﺍﺭ", "دار", id="letters that never join onwards"),
        pytest.param("ﻙﺕﺏ", "كتب", id="isolated forms alone"),
        pytest.param("ﮎﭽﮕﮋﯾﮯ", "کچگژیے", id="persian and urdu"),
        pytest.param("ﷲ ﷺ ﷽ ﷻ", "الله ﷺ ﷽ ﷻ", id="words and phrases"),
        pytest.param("oﬃce ﬂag", "office flag", id="latin ligatures"),
        pytest.param("كـتـاب", "كـتـاب", id="a tatweel that is written stays"),
    ],
)
def test_forms_are_the_letters_that_a_reader_sees(given: str, kept: str) -> None:
    """Forms of letters, marks and ligatures become plain text that is drawn as they looked."""
    assert compose(given) == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param("i\u0307", "i", id="lower-cased İ"),
        pytest.param("İSTANBUL".lower(), "istanbul", id="by python"),
        pytest.param("I\u0307", "İ", id="decomposed İ"),
        pytest.param("ı", "ı", id="dotless i"),
        pytest.param("ı\u0307", "i", id="dotless i with a dot"),
        pytest.param("j\u0307", "j", id="j"),
        pytest.param("i\u0307\u0301", "í", id="lithuanian"),
        pytest.param("i\u0328\u0307\u0303", "į\u0303", id="lithuanian ogonek"),
        pytest.param("i\u0323\u0307", "ị", id="dots below and above"),
        pytest.param("i\u0301\u0307", "í\u0307", id="a dot above an accent is no dot of an i"),
        pytest.param("x\u0307", "ẋ", id="another letter's dot"),
        pytest.param("q\u0307", "q\u0307", id="a dot that nothing composes"),
        pytest.param("Vie\u0323\u0302t", "Việt", id="vietnamese"),
        pytest.param("ا\u0654سرى", "أسرى", id="arabic"),
    ],
)
def test_accents_are_composed(given: str, kept: str) -> None:
    """An i has one dot, and an accent joins its letter where Unicode has both as one."""
    assert compose(given) == kept


@given(st.text(max_size=40) | st.text("ﻛﺘﺐﻻﷲﯽﹶﹷﱠﳲﹳ ـabi\u0307\u064e\u0651\u200c", max_size=20))
def test_composed_words_stay_as_they_are(text: str) -> None:
    """Composing once is enough, and gives NFC."""
    once = compose(text)
    assert compose(once) == once
    assert unicodedata.is_normalized("NFC", once)
