from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bulk.encodings import guess_encoding

NAMES = ("cp437", "cp1252", "cp1256", "cp720")
TABLES = ("cp1252", "cp1256")

ARABIC = "الحرية للأسرى، صورة رقم ١ — «أحمد» مُحَمَّد"
WESTERN = "Hélène Müller, Ñandú & Jörg Größe: été à Málaga"


@pytest.mark.parametrize("encoding", ["cp437", "cp1252"])
@pytest.mark.parametrize("word", ["Hélène", "Müller", "Ñandú", "Größe", "été", "Jörg.jpg", WESTERN])
def test_western_words_are_known(word: str, encoding: str) -> None:
    """Most of them by themselves, and all together; read as guessed, they are what they were."""
    raw = word.encode(encoding, errors="ignore")
    guess = guess_encoding([raw], NAMES)
    assert guess is not None
    assert raw.decode(guess) == raw.decode(encoding)


@pytest.mark.parametrize("encoding", ["cp1256", "cp720"])
@pytest.mark.parametrize("word", [*ARABIC.replace("— ", "").split(), ARABIC, "محمد.jpg", "ع ل ي"])
def test_arabic_words_are_known(word: str, encoding: str) -> None:
    """Each by itself, with vowel marks, in quotation marks, and as letters by themselves."""
    raw = word.encode(encoding, errors="ignore")
    guess = guess_encoding([raw], NAMES)
    assert guess is not None
    assert raw.isascii() or raw.decode(guess) == raw.decode(encoding)


def test_words_are_judged_together() -> None:
    """One that would make sense otherwise goes with the others."""
    assert guess_encoding([b"\xda", "الحرية".encode("cp1256")], TABLES) == "cp1256"
    assert guess_encoding(["Ú".encode("cp1252"), "Málaga".encode("cp1252")], TABLES) == "cp1252"


def test_an_encoding_that_lacks_a_character_is_out() -> None:
    """Windows-1252 has none at five places; with it alone, nothing is left."""
    assert guess_encoding([b"a\x81\x8d"], TABLES) == "cp1256"
    assert guess_encoding([b"a\x81\x8d"], ["cp1252"]) is None


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_have_a_guess(texts: list[bytes]) -> None:
    """Where one of the encodings has a character for each byte; without any words it is the first."""
    guess = guess_encoding(texts, NAMES)
    assert guess in NAMES
    assert guess == NAMES[0] or not all(text.isascii() for text in texts)


@pytest.mark.parametrize(
    "text", [b"a" * 20_000_000, b"\xd8" * 20_000_000, b"a\xd8 " * 7_000_000, b" " * 20_000_000]
)
def test_long_texts_take_linear_time(text: bytes) -> None:
    """Of one word, of millions, or of none."""
    started = time.process_time()
    assert guess_encoding([text], TABLES) in TABLES
    assert time.process_time() - started < 10
