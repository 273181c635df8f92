"""Tokens: what readers take as one word although it is not only letters, kept whole and in its own order.

The Unicode Bidirectional Algorithm (UAX #9) sees single characters. In Arabic text it shows ``@free.gaza`` as
``gaza.@free``, moves the last slash of an address to its front, and reverses the groups of a telephone
number. It lets a higher protocol that knows better step in (clause 4.3), which is done here:

- **Names** (handles, hashtags, e-mail addresses, URLs, domains) are isolated (HL4). They run in the direction
  of their own first letter, and what is around them does not mix with them.
- **Numbers** with a sign, a unit or groups (telephone numbers, ``50%``, ``$5``, ``2026-01-31``, ``1 000``)
  are numbers as a whole: each of their characters gets the class of their digits (HL2).
- **Codes to dial** (``*123#``) are numbers as well, with all of their signs.
- **Signs that close a Latin word** (``C++``, ``U.S.A.``), and the figures and hyphens that lead up to one
  (``1-800-FREE``), get the class of its letters (HL3).
- **Quotation marks** are paired among Arabic as brackets are (rule N0): both stand on the side of the quote
  that is theirs, whatever comes after it (HL3).

The rest is left to UAX #9. It is right about plain numbers, times and dates with slashes, and about ranges
and lists, whose first number stands on the right among Arabic. With Arabic-Indic digits it is right about
signs, percentages and dates with hyphens as well: they read from right to left, as CLDR has them for Arabic.

linkify-it-py 2.2 was tried for names: it takes Arabic commas, question marks and closing quotes into a URL,
and knows no handles and few endings of domains.

Hostile text takes linear time: no pattern is tried twice from within the same stretch of characters, and none
repeats what already repeats the same characters.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from app.render.text.bidi import bidi_classes, first_strong

if TYPE_CHECKING:
    from collections.abc import Iterator

_STRONG, _NEUTRAL = frozenset({"L", "R", "AL"}), frozenset({"ON"})
_ISOLATES, _EMBEDDINGS = frozenset({"LRI", "RLI", "FSI"}), frozenset({"LRE", "RLE", "LRO", "RLO"})
_FIRST_STRONG_ISOLATE, _POP_DIRECTIONAL_ISOLATE = "\u2068", "\u2069"

# -- names: the grammar ---------------------------------------------------------------

# Letters that read from right to left, and their marks; no digits.
_RTL = "\u0590-\u065f\u066e-\u06ef\u06fa-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"
# Python's \w has no combining marks, so accents, harakat, Quran marks and joiners are added.
_MARKS = (
    "\u0300-\u036f\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u08d3-\u08ff"
    "\u200c\u200d"
)
_WORD = rf"[\w{_MARKS}]"
# A letter from left to right, a digit or an underscore.
_LTR = rf"[^\W{_RTL}]"
# One Arabic letter may be prefixed to a name («و@free_gaza»); a Latin one makes it something else.
_START = rf"(?<!{_LTR})"

# A dot and the like belong to a name where it goes on in the same direction. Elsewhere they end a sentence
# that lacks its space: «@free_gaza.الحرية».
_INNER = rf"(?:(?<=[{_RTL}])[.\-/:·](?=[{_RTL}\d])|(?<![{_RTL}])[.\-/:·](?![{_RTL}]))"
_TAG = rf"[#＃@＠]{_WORD}+(?:(?:{_INNER}|[@＠]){_WORD}+)*"
_EMAIL = rf"{_START}(?<!{_LTR}[.+%\-]){_LTR}+(?:[.+%\-]{_LTR}+)*@{_WORD}+(?:{_INNER}{_WORD}+)*"

# Where an address ends: at white space, quotes and the punctuation that stands in no address. Other
# punctuation may stand inside one but does not end it; round brackets belong to it in pairs.
_STOP = r"\s<>\"«»“”„‹›،؛؟…。、，\u2066-\u2069()"
_PAIR = rf"\([^{_STOP}]*\)"
_PATH = rf"(?:[^{_STOP}]|{_PAIR})*(?:[^{_STOP}.,;:!?'’‘*|\[\]{{}}]|{_PAIR})"
_URL = rf"{_START}(?<!{_LTR}[+.\-])[A-Za-z][A-Za-z0-9]*(?:[+.\-][A-Za-z0-9]+)*://{_PATH}"

_LABEL = rf"{_LTR}+(?:-+{_LTR}+)*"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*\.[^\W\d_{_RTL}]{{2,}}(?![\w@\-])"
_RTL_LABEL = rf"[{_RTL}]{_WORD}*(?:-+{_WORD}+)*"
_RTL_DOMAIN = rf"(?<!{_WORD})(?<!{_WORD}[.\-]){_RTL_LABEL}(?:\.{_RTL_LABEL})+"
_REST = rf"(?:(?::\d+(?!\d))?(?:/|[?#](?={_LTR}))(?:{_PATH})?|:\d+(?!\d))"
# A domain alone is known by its start or its ending: two words with a dot between are mostly the end of a
# sentence and the start of the next.
_KNOWN = rf"{_LABEL}(?:\.{_LABEL})*\.(?i:com|org|net|info|edu|gov|int|app|ps|uk|eu)(?![\w@]|[.\-]{_LTR})"
_ADDRESS = (
    rf"{_START}(?<!{_LTR}[.\-@/:])"
    rf"(?:(?:{_DOMAIN}|{_RTL_DOMAIN}){_REST}|[Ww]{{3}}\.{_DOMAIN}|{_KNOWN})"
)
_NAME = rf"(?P<name>{_URL}|{_EMAIL}|{_ADDRESS}|{_START}(?P<tags>(?:{_TAG})+))"
_ONE_TAG = re.compile(_TAG)

# -- codes to dial: the grammar -------------------------------------------------------

# Of networks and devices: ``*123#``, ``#31#0599123456``, and short numbers such as ``*2700``. A number behind
# one "#" alone is a hashtag.
_DIALLED = r"\d{1,15}(?:[*#]{1,4}\d{1,15}){0,5}"
_DIAL = (
    rf"(?P<dial>{_START}(?<![*#])"
    rf"(?:[*#]{{1,4}}{_DIALLED}[*#]{{1,4}}|\*[*#]{{0,3}}{_DIALLED}|#{{1,2}}\d{{1,15}}#{_DIALLED})"
    r"(?![\w*#]))"
)

# -- numbers: the grammar -------------------------------------------------------------

_HYPHEN = r"[\-\u2010-\u2013]"
_CURRENCY = r"[$\xa2-\xa5\u20a0-\u20cf]"
_UNIT_SIGN = rf"(?:[%‰′″½¼¾⅓⅔+]|{_CURRENCY})"
_UNIT = rf"(?:{_UNIT_SIGN}|°[CFcf]?(?!\w))"

# Groups of digits as telephone numbers have them. How many is bounded here and below, since a group that
# starts no telephone number is tried again as another number.
_BRACKETED = r"\([+＋]?\d{1,5}\)"
_DIGITS = r"\d{1,15}(?!\d)"
_GAP = rf"(?:[ ./]| ?{_HYPHEN} ?)"
_GROUPS = rf"(?:[+＋] ?)?(?:{_BRACKETED}|{_DIGITS})(?:{_GAP}?{_BRACKETED}|(?:{_GAP}|(?<=\))){_DIGITS}){{0,7}}"

_DATE = rf"(?:\d{{4}}{_HYPHEN}\d\d?{_HYPHEN}\d\d?|\d\d?{_HYPHEN}\d\d?{_HYPHEN}\d\d(?:\d\d)?)(?!{_HYPHEN}?\d)"
# After a letter, as in «كوفيد-19», a hyphen is no minus; nor after a unit, as in «5%-10%», which is a range.
_SIGN = rf"(?<!\w)(?:[+±~≈]|(?<!{_UNIT_SIGN})(?<!°)[\-\u2212])(?=\d|{_CURRENCY})"
_THOUSANDS = r"\d{1,3}(?:[ '’]\d{3}){1,5}(?![ '’]?\d)(?:[.,]\d+)?"
_FIGURE = rf"(?:{_THOUSANDS}|\d+(?:[.,:/٫٬+×÷*=]\d+)*)"
_QUANTITY = (
    rf"(?:{_SIGN})?(?:{_CURRENCY} ?(?=\d))?{_FIGURE}"
    rf"(?:{_UNIT}+| (?:[%‰]|{_CURRENCY})(?!\w)|-(?=[^\W\d_{_RTL}]))?"
)
_NUMBER = rf"(?P<number>{_START}(?:{_GROUPS}|{_QUANTITY}))"

# -- what belongs to a Latin word -------------------------------------------------------

# Figures before it: two groups or more, since «2-4K» is a range.
_LEADING = r"[0-9۰-۹]{1,15}"
_LED = rf"(?P<led>{_START}[+＋]?{_LEADING}(?:-{_LEADING}){{1,5}}-(?=(?:{_LEADING})?[^\W\d_{_RTL}]))"
# Signs after it.
_CLOSED = rf"(?P<closed>(?<=[^\W\d_{_RTL}])(?:\+{{1,2}}|[#$®™°])(?![\w+#])|(?<![\w.])(?:[A-Za-z]\.){{2,}})"

# -- quotation marks --------------------------------------------------------------------

# A mark opens where no Latin letter or digit comes before it, and closes where none comes after it, so that
# apostrophes and inches are none. How long a quote may be is bounded, for linear time.
_QUOTES = [
    re.compile(rf"(?<!{_LTR}){opening}(?=\S).{{0,60}}?(?<=\S){closing}(?!{_LTR})")
    for opening, closing in [
        ('"', '"'),
        ("'", "'"),
        ("[“”„]", "[“”]"),
        ("[‘’‚]", "[‘’]"),
        ("«", "»"),
        ("‹", "›"),
    ]
]

_TOKEN = re.compile(f"{_DIAL}|{_NAME}|{_LED}|{_NUMBER}|{_CLOSED}")
_OTHER_NUMBER = re.compile(f"{_DATE}|{_QUANTITY}")

# Of a telephone number: E.164 allows fifteen digits, and two zeros may stand for its plus.
_FEWEST_DIGITS, _MOST_DIGITS = 7, 17
_YEAR = re.compile("1[0-9]{3}|20[0-9]{2}")
_DATES = ([1, 1, 4], [1, 2, 4], [2, 1, 4], [2, 2, 4], [4, 2, 2])


# -- what UAX #9 is told --------------------------------------------------------------


def resolve_tokens(text: str) -> tuple[str, list[str]]:
    """Return a text with its names isolated, and the Bidi_Class of each character of that.

    Args:
        text: One line, in logical order.
    """
    pieces: list[str] = []
    classes: list[str] = []
    done = 0
    for start, end, kind in [*_tokens(text), (len(text), len(text), "")]:
        plain, token = text[done:start], text[start:end]
        if kind == "name":
            token = f"{_FIRST_STRONG_ISOLATE}{token}{_POP_DIRECTIONAL_ISOLATE}"
        pieces += [plain, token]
        classes += bidi_classes(plain)
        classes += bidi_classes(token) if kind == "name" else [kind] * len(token)
        done = end
    isolated = "".join(pieces)
    _pair_quotes(isolated, classes)
    return isolated, classes


def _pair_quotes(text: str, classes: list[str]) -> None:
    """Give pairs of quotation marks the class that N0 would give brackets, where Arabic gives the direction.

    UAX #9 leaves each mark to its neighbours: in «فيديو "Free" (2023)» the second one would stay with the
    number, and the first one would not. What is written with explicit embeddings is left as it is.
    """
    if first_strong(classes) != 1 or not _EMBEDDINGS.isdisjoint(classes):
        return
    depth = 0
    outside = []
    for kind in classes:
        depth = max(0, depth - (kind == "PDI"))
        outside.append(not depth)
        depth += kind in _ISOLATES
    before = "AL"
    done = 0
    for start, end in sorted(found.span() for quote in _QUOTES for found in quote.finditer(text)):
        marks = start, end - 1
        if not all(outside[mark] and classes[mark] in _NEUTRAL for mark in marks):
            continue
        strong = [classes[at] for at in range(done, start) if outside[at] and classes[at] in _STRONG]
        before = strong[-1] if strong else before
        within = {classes[at] for at in range(start, end) if outside[at] and classes[at] in _STRONG}
        if within:
            turned = "AL" if within != {"L"} else before
            classes[start] = classes[end - 1] = turned
        done = start


def _tokens(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and ``name``, or the Bidi_Class of a number or sign, of each token."""
    at = 0
    while found := _TOKEN.search(text, at):
        if found["number"]:
            at, kind = _number(text, *found.span())
            if kind:
                yield found.start(), at, kind
            continue
        at = found.end()
        if found["dial"]:
            yield *found.span(), _class_of_digits(found[0])
        elif found["tags"]:
            yield from ((*tag.span(), "name") for tag in _ONE_TAG.finditer(text, *found.span()))
        else:
            yield *found.span(), "name" if found["name"] else "L"


def _number(text: str, start: int, end: int) -> tuple[int, str | None]:
    """Return where a number ends, and its class; None for what UAX #9 orders by itself."""
    kind = _class_of_digits(text[start:end])
    if _is_telephone(text[start:end]):
        return end, kind
    other = _OTHER_NUMBER.match(text, start)
    if other is None:
        return start + 1, None
    # Arabic-Indic figures are left alone, unless thousands stand apart.
    return other.end(), kind if kind != "AN" or " " in other[0] else None


def _class_of_digits(number: str) -> str:
    return bidi_classes(next(filter(str.isdecimal, number)))[0]


def _is_telephone(groups: str) -> bool:
    """Whether groups of digits, with what is between them, are a telephone number, not a date or a list."""
    parts = ["".join(str(int(digit)) for digit in part) for part in re.findall(r"\d+", groups)]
    lengths = [len(part) for part in parts]
    if not _FEWEST_DIGITS <= sum(lengths) <= _MOST_DIGITS:
        return False
    if "+" in groups or "＋" in groups or parts[0].startswith("00"):
        return True
    if all(map(_YEAR.fullmatch, parts)) or lengths in _DATES:
        return False
    if parts[0].startswith("0") or (groups.startswith("(") and lengths[0] < 4):
        return True
    gaps = set(re.findall(r"\D+", groups))
    if len(gaps) != 1 or _YEAR.fullmatch(parts[0]):
        return False
    is_local = lengths == [3, 4] and gaps == {"-"}
    is_long = sum(lengths) >= 9 and max(lengths) >= (3 if len(parts) > 2 else 6)
    return is_local or is_long
