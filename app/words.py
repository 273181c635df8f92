"""Words as letters: what a supporter typed or pasted, in the characters that fonts and readers know it by."""

from __future__ import annotations

import re
import unicodedata

# Presentation forms, as copied out of PDFs and old programs: Latin, Armenian and Hebrew ones, those of Arabic
# letters, marks and ligatures, and the name of God, which every font makes of its letters. The other words
# and phrases at U+FDF0-FDFF are signs of their own.
_FORM = re.compile("[\ufb00-\ufdcf\ufdf2\ufe70-\ufefc]")
_CARRIERS = " \u0640"
"""What NFKC puts a mark's form onto: a space, or a tatweel."""
_TAIL_FRAGMENT = "\ufe73"
"""The end of a final seen, drawn apart by old terminals."""
_NON_JOINER = "\u200c"


def _letters_with(shape: str) -> frozenset[str]:
    """Return the letters that have a form of a shape: initial ones join onwards, final ones backwards."""
    found = (unicodedata.decomposition(chr(code)).split() for code in range(0xFB50, 0xFEFD))
    return frozenset(chr(int(form[1], 16)) for form in found if len(form) == 2 and form[0] == shape)


_JOINS_ONWARDS, _JOINS_BACKWARDS = _letters_with("<initial>"), _letters_with("<final>")
_APART = frozenset({("<final>", "<initial>"), ("<final>", "<isolated>"), ("<isolated>", "<initial>")})
"""Shapes of neighbours that do not join. Isolated ones alone come from programs that know no other."""

# Letters that lose their dot under an accent, and what stands below them; a dot above that is their own.
_OWN_DOT = re.compile("([ijįɨɉᵢⁱіјịḭ][\u0316-\u0333]*)\u0307+")


def compose(text: str) -> str:
    """Turn presentation forms into letters, and compose letters with their accents (NFC).

    Args:
        text: In logical order. It may take quadratic time where marks follow each other without end.
    """
    if _FORM.search(text):
        text = "".join(_letters(text))
    # What lower-casing İ leaves is an i whose dot is there twice; fonts would need a mark for the second.
    text = unicodedata.normalize("NFC", text).replace("ı\u0307", "i\u0307")
    return unicodedata.normalize("NFC", _OWN_DOT.sub(r"\1", text))


def _letters(text: str) -> list[str]:
    """Return the letters and marks that forms stand for.

    NFKC alone gives a mark's form a space or a tatweel to stand on, which would tear its word apart: where an
    Arabic letter comes before it, it goes onto that. It also would join what the forms keep apart: a final
    letter before an initial one keeps a non-joiner, as in «می‌خواهم».
    """
    letters: list[str] = []
    base = shape_before = ""
    for character in text.replace(_TAIL_FRAGMENT, ""):
        is_form = _FORM.match(character)
        plain = unicodedata.normalize("NFKC", character) if is_form else character
        if is_form and plain[0] in _CARRIERS:
            if base.isalpha() and unicodedata.bidirectional(base) == "AL":
                plain = plain[1:]
        elif unicodedata.category(character) not in {"Mn", "Cf"}:
            shape = unicodedata.decomposition(character).partition(" ")[0] if is_form else ""
            is_joint = base in _JOINS_ONWARDS and plain[0] in _JOINS_BACKWARDS
            if is_joint and (shape_before, shape) in _APART:
                letters.append(_NON_JOINER)
            base, shape_before = plain[-1], shape
        letters.append(plain)
    return letters
