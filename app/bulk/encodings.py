"""In which encoding text is that does not say so: of old programs for Windows and DOS, in Arabic or Latin letters.

No statistics: in the wrong encoding, words come out that mix scripts, or have signs inside. What is tried are the
encodings in which partners' programs write; UTF-8 comes before them, since nothing else passes for it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SAMPLE = 10_000
"""Words that are looked at."""
_WORD_BYTES = 200
"""Of one word that are looked at: what is longer is none."""

_WORD = re.compile(rb"[A-Za-z\x80-\xff]+")
_ARABIC_WORD = re.compile("[\u0621-\u0652\u0660-\u06d3\u200c-\u200f\u060c\u061b\u061f]+")
_LATIN_WORD = re.compile("[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f]+")


def guess_encoding(texts: Iterable[bytes], encodings: Sequence[str]) -> str | None:
    """Return the encoding in which words make the best sense; the first of those that do alike.

    Args:
        texts: In one encoding, all of them.
        encodings: That are tried, by Python's names: each a superset of ASCII.

    Returns:
        None where the texts are in none of them.
    """
    words = list(_words(texts))
    known = [encoding for encoding in encodings if all(_decodes(word, encoding) for word in words)]
    return max(known, key=lambda encoding: sum(_sense(word, encoding) for word in words), default=None)


def _words(texts: Iterable[bytes]) -> Iterable[bytes]:
    left = _SAMPLE
    for text in texts:
        for found in _WORD.finditer(text):
            word = found.group()[:_WORD_BYTES]
            if not word.isascii():
                yield word
                left -= 1
                if not left:
                    return


def _decodes(word: bytes, encoding: str) -> bool:
    try:
        word.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _sense(word: bytes, encoding: str) -> int:
    """Return how many characters beyond ASCII a word has, as a loss where it is no word of one script.

    Words of Arabic, read as Latin, are letters too, but all of them with accents; true ones have at most half.
    """
    text = word.decode(encoding)
    beyond = sum(not character.isascii() for character in text)
    is_latin = _LATIN_WORD.fullmatch(text) and 2 * beyond <= len(text) + 1
    return beyond if is_latin or _ARABIC_WORD.fullmatch(text) else -beyond
