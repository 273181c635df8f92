"""Tokens: handles, addresses and numbers come out whole, in their own order, without their neighbours."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.render.text.bidi import Direction, bidi_classes, embedding_levels, visual_runs
from app.render.text.shaping import base_direction
from app.render.text.tokens import resolve_tokens

ISOLATES = str.maketrans("", "", "\u2066\u2067\u2068\u2069")
MIRRORED = str.maketrans("()[]«»‹›", ")(][»«›‹")


def displayed(text: str, base: Direction | None = None) -> str:
    """Return what a reader sees of an Arabic slogan, from left to right."""
    isolated, classes = resolve_tokens(text)
    runs = visual_runs(isolated, base_direction(text, "ar") if base is None else base, classes)
    parts = [
        isolated[run.start : run.end][::-1].translate(MIRRORED)
        if run.level % 2
        else isolated[run.start : run.end]
        for run in runs
    ]
    return "".join(parts).translate(ISOLATES)


NAMES = [
    "@free",
    "@free.gaza",
    "@free-gaza",
    "@free_gaza_",
    "@7amleh",
    "@free.gaza@social.example",
    "@name.bsky.social",
    "@user:matrix.example",
    "@free/list",
    "＠free.gaza",
    "#FreeGaza",
    "＃FreeGaza",
    "#free-gaza",
    "#café_e\u0301te\u0301",
    "info@example.org",
    "free.gaza+news@mail.example.org",
    "2026@free-gaza.example",
    "https://example.org",
    "https://example.org/",
    "HTTP://EXAMPLE.ORG/",
    "https://example.org/path/?q=1&r=#x",
    "https://user@example.org:8080/a/%D8%BA/",
    "https://example.org/wiki/Gaza_(city)",
    "https://example.org/?a=1,2;b=(3)",
    "git+ssh://example.org/x/",
    "www.example.org/",
    "www.example.museum",
    "example.org",
    "7iber.example.com",
    "example.org/",
    "example.org/path/",
    "example.org:8080/",
    "example.org?q=1",
    "t.me/+x_",
    "free-gaza.example/@name/",
]
NUMBERS = [
    "+970591234567",
    "+970 59 123 4567",
    "+970 59-123-4567",
    "+970-59-123-4567",
    "+970 (59) 123-4567",
    "+970(0)591234567",
    "(+970) 59 123 4567",
    "+ 970 59 123 4567",
    "00970 59 123 4567",
    "(02) 123 4567",
    "(02)123-4567",
    "059-123-4567",
    "059 - 123 - 4567",
    "059\u2011123\u20114567",
    "02/123.45.67",
    "1-800-123-4567",
    "970 59 123 4567",
    "555-1234",
    "+٩٧٠ ٥٩ ١٢٣ ٤٥٦٧",
    "٠٥٩-١٢٣-٤٥٦٧",
    "(٠٢) ١٢٣ ٤٥٦٧",
    "+۹۸ ۲۱ ۱۲۳۴ ۵۶۷۸",
    "۰۲۱-۱۲۳۴۵۶۷۸",
    "31/1/2026",
    "31.1.2026",
    "31-1-2026",
    "2026-01-31",
    "2026/01/31",
    "۲۰۲۶-۰۱-۳۱",
    "٣١/١/٢٠٢٦",
    "10:30",
    "١٠:٣٠",
    "24/7",
    "7/10",
    "1.2.3",
    "1,000.50",
    "10 000",
    "1 000 000",
    "-5 000",
    "٥ ٠٠٠ ٠٠٠",
    "١٬٠٠٠٫٥",
    "50%",
    "50 %",
    "-5",
    "\u22125",
    "+5",
    "±0.5",
    "18+",
    "$5",
    "-$5",
    "$ 5",
    "5$",
    "5.50€",
    "5 ₪",
    "37°C",
    "45°",
    "5½",
    "2+2=4",
    "10×10",
    "5-star",
    "5G",
]
CODES = [
    "*123#",
    "#123*",
    "#123#",
    "*#06#",
    "*2700",
    "*1*2#",
    "**21*0599123456#",
    "##002#",
    "#31#0599123456",
    "*#*#4636#*#*",
    "*١٢٣#",
    "*۱۲۳#",
    "1-800-FREE",
    "+1-800-FREE-GAZA",
    "1-800-4FREE",
    "800-FREE-1",
    "۱-۸۰۰-FREE",
    "16-FREE",
    "2024-A1",
    "2024-01-A1",
    "A4-2024",
    "F-16",
    "B-52",
    "COVID-19",
    "MI6",
    "4K",
]
CLOSED = ["C++", "C#", "LGBTQ+", "A+", "U.S.A.", "p.m.", "US$", "Free™"]


@pytest.mark.parametrize("token", [*NAMES, *NUMBERS, *CODES, *CLOSED])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("أ ", ""),
        ("أ ", " ب"),
        ("أ: ", "، ب"),
        ("أ ", "؟"),
        ("أ ", "!"),
        ("أ ", "…"),
        ("أ (", ") ب"),
        ("أ «", "» ب"),
        ("أ ١٢ ب ", "؛ ب"),
    ],
)
def test_a_token_among_arabic_stays_whole(token: str, before: str, after: str) -> None:
    """It reads from left to right; what is before stands on its right, what is after on its left."""
    left, right = (side[::-1].translate(MIRRORED).replace("٢١", "١٢") for side in (after, before))
    assert displayed(f"{before}{token}{after}") == f"{left}{token}{right}"


@pytest.mark.parametrize("token", NAMES)
def test_a_name_at_the_start_is_no_sign_of_its_language(token: str) -> None:
    """The Arabic words after it give the direction, and the full stop after it is theirs."""
    assert displayed(f"{token}. أ") == f"أ .{token}"


@pytest.mark.parametrize("token", [*NAMES, *NUMBERS, *CODES, *CLOSED])
def test_a_token_in_latin_text_changes_nothing(token: str) -> None:
    """Where everything reads from left to right, what is seen is what was written."""
    assert displayed(f"x ({token}), y") == f"x ({token}), y"


@pytest.mark.parametrize(
    "token", ["@free.gaza", "https://example.org/x/", "info@example.org", "#free", "50%", "*123#"]
)
def test_a_prefixed_letter_stays_outside(token: str) -> None:
    """Arabic writes "and" and "by" as one letter at the word that follows."""
    assert displayed(f"أ و{token} ب") == f"ب {token}و أ"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        pytest.param("x #أَب_٢٠٢٦ y", "x ٢٠٢٦_ب\u064eأ# y", id="hashtag with harakat and digits"),
        pytest.param("x #أب\u200cـج! y", "x جـ\u200cبأ#! y", id="hashtag with joiner and tatweel"),
        pytest.param("x @أ.ب y", "x ب.أ@ y", id="arabic handle in latin"),
        pytest.param("x @أ. y", "x أ@. y", id="full stop after an arabic handle"),
        pytest.param("أ https://x.example/ب/ ج", "ج https://x.example/ب/ أ", id="arabic path"),
        pytest.param("أ x.example/ب، ج", "ج ،x.example/ب أ", id="arabic path and comma"),
        pytest.param("أ x.example/ب/؟", "؟x.example/ب/ أ", id="arabic path and question mark"),
        pytest.param("x أب.جد/ه/ y", "x /ه/دج.بأ y", id="arabic domain in latin"),
        pytest.param("أ @free.ب ج", "ج ب.@free أ", id="sentence without its space"),
        pytest.param("أ example.org.ب ج", "ج ب.example.org أ", id="address at such an end"),
        pytest.param("أ @free... ب", "ب ...@free أ", id="three dots"),
        pytest.param("أ (https://x.example/).", ".(https://x.example/) أ", id="brackets around"),
        pytest.param("أ @a @b", "@b @a أ", id="handles in the order of the text"),
        pytest.param("أ #a#b", "#b#a أ", id="hashtags without a space"),
        pytest.param("أ 059-1234567 ب 059-7654321", "059-7654321 ب 059-1234567 أ", id="two numbers"),
    ],
)
def test_what_belongs_to_a_name(text: str, seen: str) -> None:
    """Letters, marks, joiners and paths belong to it; the end of the sentence does not."""
    assert displayed(text) == seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        pytest.param("أ 1948-2026", "2026-1948 أ", id="range"),
        pytest.param("أ ١٩٤٨-٢٠٢٦", "٢٠٢٦-١٩٤٨ أ", id="arabic range"),
        pytest.param("أ 1948 1967 1973", "1973 1967 1948 أ", id="years"),
        pytest.param("أ 10 20 30", "30 20 10 أ", id="list"),
        pytest.param("أ ٣١-١-٢٠٢٦", "٢٠٢٦-١-٣١ أ", id="arabic date with hyphens"),
        pytest.param("أ ٥٠٪", "٪٥٠ أ", id="arabic percent sign"),
        pytest.param("أ -٥", "٥- أ", id="arabic minus"),
        pytest.param("أ 2-4K", "4K-2 أ", id="range with a unit"),
        pytest.param("أ 5-10kg", "10kg-5 أ", id="range with a latin unit"),
        pytest.param("كوفيد-19", "19-ديفوك", id="hyphen after a word"),
        pytest.param("أ 10:30-12:00", "12:00-10:30 أ", id="range of times"),
        pytest.param("أ x.y ب", "ب x.y أ", id="dot between words"),
        pytest.param("أ x @ y", "x @ y أ", id="a sign alone"),
    ],
)
def test_the_rest_is_left_to_the_algorithm(text: str, seen: str) -> None:
    """Ranges and lists begin on the right, Arabic-Indic signs and dates read from right to left."""
    assert displayed(text) == seen
    levels = embedding_levels(bidi_classes(text), 1, text)
    _, classes = resolve_tokens(text)
    assert embedding_levels(classes, 1, text) == levels


@pytest.mark.parametrize("hyphen", ["-", "\u2011", "–", "\u2212", " - ", " – "])
@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("5", "10"),
        ("5%", "10%"),
        ("5", "10%"),
        ("5‰", "10‰"),
        ("5 %", "10 %"),
        ("$5", "$10"),
        ("$5", "10"),
        ("5$", "10$"),
        ("5 ₪", "10 ₪"),
        ("5°", "10°"),
        ("5°C", "10°C"),
        ("18+", "20+"),
        ("-5%", "10%"),
    ],
)
def test_a_range_begins_on_the_right(first: str, last: str, hyphen: str) -> None:
    """Whatever stands at its numbers, which are whole in themselves."""
    assert displayed(f"أ {first}{hyphen}{last} ب") == f"ب {last}{hyphen}{first} أ"


@pytest.mark.parametrize("quotes", ['""', "''", "“”", "”“", "„“", "‘’", "‹›", "«»"])
@pytest.mark.parametrize(
    ("text", "seen"),
    [
        pytest.param("أ <Free> ب", "ب >Free< أ", id="among arabic"),
        pytest.param("أ <Free> (2023) ب", "ب (2023) >Free< أ", id="number in brackets"),
        pytest.param("أ <Free> 2023 ب", "ب 2023 >Free< أ", id="number"),
        pytest.param("أ <Free>: 5-10 ب", "ب 10-5 :>Free< أ", id="range"),
        pytest.param("أ <Free Gaza> 50% ب", "ب 50% >Free Gaza< أ", id="two words"),
        pytest.param("أ <C++> 2 ب", "ب 2 >C++< أ", id="closed word"),
        pytest.param("أ و<Free> (2) ب", "ب (2) >Free<و أ", id="prefixed letter"),
        pytest.param("أ <Don't> 2 ب", "ب 2 >Don't< أ", id="apostrophe"),
        pytest.param("أ <Free> Gaza ب", "ب Gaza >Free< أ", id="word after"),
        pytest.param("أ Gaza <Free> ب", "ب Gaza <Free> أ", id="word before"),
        pytest.param("أ <x> <y> ب", "ب >y< >x< أ", id="two quotes"),
        pytest.param("أ <ج Free> (2) ب", "ب (2) >Free ج< أ", id="arabic in it"),
        pytest.param("أ <@free> (2) ب", "ب (2) >@free< أ", id="name"),
        pytest.param("أ <2023> x ب", "ب x >2023< أ", id="number in it"),
        pytest.param("أ [<Free> (2)] ب", "ب [(2) >Free<] أ", id="in brackets"),
    ],
)
def test_quotation_marks_stay_with_their_quote(text: str, seen: str, quotes: str) -> None:
    """Both, in the direction of the text around it; seen from left to right, so the first is at the right."""
    among_latin = "Gaza <Free>" in text
    shown = quotes if among_latin else quotes.translate(MIRRORED)
    plain, mirrored = (str.maketrans("<>", pair) for pair in (quotes, shown))
    assert displayed(text.translate(plain)) == seen.translate(mirrored)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('أ 5" x 6" ب', id="inches"),
        pytest.param('أ "Free (2023) ب', id="no second mark"),
        pytest.param('أ " Free " (2023) ب', id="marks apart"),
        pytest.param('أ \u202a"Free" (2023)\u202c ب', id="embedding"),
        pytest.param('أ \u2066"Free" (2023)\u2069 ب', id="isolate"),
        pytest.param('x "أ" (2023) y', id="latin text"),
        pytest.param('x أ "y" (2023)', id="latin text with a quote among arabic"),
    ],
)
def test_other_marks_are_left_to_the_algorithm(text: str) -> None:
    """What is no pair around words, and what the writer has ordered."""
    _, classes = resolve_tokens(text)
    assert classes == bidi_classes(text)


CHARACTERS = "أبx1١۱ .,-/:@#*+()«»\"'“”%$_؟،\u064e\u200c\u200f\u2066\u2069"
PARTS = st.sampled_from([*NAMES, *NUMBERS, *CLOSED, *CHARACTERS])


@given(text=st.lists(PARTS, max_size=12).map("".join))
def test_nothing_but_isolates_is_added(text: str) -> None:
    """Whatever is recognised, every character is still there, once, in its place, and each has a class."""
    isolated, classes = resolve_tokens(text)
    assert isolated.translate(ISOLATES) == text.translate(ISOLATES)
    assert len(classes) == len(isolated)


HOSTILE = ["a.", "a-", "a@", "@a", "#أ", "أ.", "أ-", "a:/", "a://", "http://(", "a.b/("]
HOSTILE += ["((", "1 ", "1-", "(1)", "1 000 ", "1:", "A.", "+02 "]
HOSTILE += ["*", "*1", "#1", "*#", "1-1-", "1-a-", "%-", '"', ' "', 'أ"x', "'أ", "«", "“a”"]


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    """Sixteen times the text takes about sixteen times as long; quadratic time would be 256 times."""

    def taken(length: int) -> float:
        text = (unit * length)[:length]
        times = []
        for _ in range(3):
            start = time.process_time()
            resolve_tokens(text)
            times.append(time.process_time() - start)
        return min(times)

    assert taken(16_000) < 64 * max(taken(1000), 1e-4)
