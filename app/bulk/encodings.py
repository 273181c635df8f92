"""In which encoding text is that does not say so: of older programs for Windows and DOS, Arabic or Latin.

Without statistics: read in a wrong encoding, words mix scripts, consist of accents, or have signs inside.
UTF-8 is for the caller to try first, since text in any other encoding hardly ever passes for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_SAMPLE = 10_000
"""Words that are looked at."""
_WORD_BYTES = 200
"""Of one that are looked at: what is longer is none."""

_RAW_WORD = re.compile(rb"[A-Za-z\x80-\xff]+")
_WORD = re.compile("(?:[^\\W\\d_]|[\u064b-\u0652])+")
_ARABIC_WORD = re.compile("[\u0621-\u0652\u0670-\u06d5]+")
_LATIN_WORD = re.compile("[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f]+")
# Beyond ASCII, beside words of any language.
_PUNCTUATION = frozenset("\u00a0\u00ad«»“”„‘’‚…–—·•°€™،؛؟\u200c\u200d\u200e\u200f")


def guess_encoding(texts: Iterable[bytes], encodings: Sequence[str]) -> str | None:
    """Return the encoding in which words make the best sense; of several, the first.

    Args:
        texts: All of one encoding.
        encodings: That are tried, by Python's names; each has ASCII in it.

    Returns:
        None where the words are in none of them.
    """
    words = list(_words(texts))
    possible = [encoding for encoding in encodings if all(_is_in(encoding, word) for word in words)]
    return max(
        possible, key=lambda encoding: sum(_sense(word.decode(encoding)) for word in words), default=None
    )


def _words(texts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the first words that are not ASCII."""
    left = _SAMPLE
    for text in texts:
        for found in _RAW_WORD.finditer(text):
            word = found.group()[:_WORD_BYTES]
            if not word.isascii():
                yield word
                left -= 1
            if not left:
                return


def _is_in(encoding: str, word: bytes) -> bool:
    try:
        word.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _sense(text: str) -> int:
    """Return how many characters beyond ASCII make sense in words, less those that make none."""
    sense = 0
    for found in _WORD.finditer(text):
        word = found.group()
        beyond = sum(not character.isascii() for character in word)
        if _ARABIC_WORD.fullmatch(word):
            sense += beyond
        elif not _LATIN_WORD.fullmatch(word) or 2 * beyond > len(word) + 1:
            sense -= beyond  # Arabic read as Latin has letters only, too, but nearly all of them with accents
        elif len(word) > 1:
            sense += beyond  # one letter with an accent may be one of Arabic
    between = _WORD.sub("", text)
    return sense - sum(not c.isascii() and not c.isdigit() and c not in _PUNCTUATION for c in between)
