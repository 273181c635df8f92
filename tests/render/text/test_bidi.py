"""The Unicode Bidirectional Algorithm, against Unicode's own cases and against another implementation."""

from __future__ import annotations

import lzma
import unicodedata
from typing import TYPE_CHECKING

import bidi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.render.text.bidi import (
    BRACKETS,
    Run,
    bidi_classes,
    embedding_levels,
    first_strong,
    order_runs,
    visual_runs,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from app.render.text.bidi import Direction

ALPHABET = "abcZ12٣٤۵ابسلאב ()[]{}<>«».,:;!?#@_-+/%$\u064e\u0651\u0301"
CONTROLS = "\u200e\u200f\u061c\u2066\u2067\u2068\u2069"


def order_of(levels: Sequence[int | None]) -> list[int]:
    """Return the indices of the characters that X9 keeps, from left to right."""
    runs = [Run(index, index + 1, level) for index, level in enumerate(levels) if level is not None]
    return [run.start for run in order_runs(runs)]


def displayed(text: str, base: Direction) -> str:
    """Return the characters that runs put from left to right."""
    return "".join(
        text[run.start : run.end][:: -1 if run.level % 2 else 1] for run in visual_runs(text, base)
    )


def test_it_passes_every_case_of_bidi_character_test(root: Path) -> None:
    """All 91,707 cases of Unicode 15 come out with the paragraph level, levels and order that they name."""
    path = root / "tests" / "data" / "unicode" / "BidiCharacterTest-15.0.0.txt.xz"
    wrong = []
    count = 0
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(("#", "\n")):
                continue
            codes, direction, base, levels, order = line.split(";")
            text = "".join(chr(int(code, 16)) for code in codes.split())
            classes = bidi_classes(text)
            level: Direction = {"0": 0, "1": 1, "2": first_strong(classes) or 0}[direction]  # type: ignore[assignment]  # the dict's values are Directions
            found = embedding_levels(classes, level, text)
            expected = [None if value == "x" else int(value) for value in levels.split()]
            if (level, found, order_of(found)) != (int(base), expected, [int(i) for i in order.split()]):
                wrong.append(line)
            count += 1
    assert count == 91_707
    assert wrong == []


def test_brackets_are_what_unicode_pairs() -> None:
    """The table holds exactly the opening and closing punctuation that mirrors and is neutral."""
    derived = {
        unicodedata.normalize("NFD", character)
        for character in map(chr, range(0x11_0000))
        if unicodedata.category(character) in {"Ps", "Pe"}
        and unicodedata.mirrored(character)
        and unicodedata.bidirectional(character) == "ON"
    }
    assert set(BRACKETS) == derived
    assert {unicodedata.category(character) for character in BRACKETS[::2]} == {"Ps"}
    assert {unicodedata.category(character) for character in BRACKETS[1::2]} == {"Pe"}


@given(text=st.text(ALPHABET + CONTROLS, min_size=1, max_size=30), base=st.sampled_from([0, 1]))
def test_it_agrees_with_another_implementation(text: str, base: Direction) -> None:
    """Slogan-like text comes out in the order that python-bidi's Rust path gives.

    Embeddings and overrides are left to Unicode's cases: with them that path strays from BidiTest, for
    instance for EN LRO LRI in a right-to-left paragraph (python-bidi 0.6.12).
    """
    assert displayed(text, base) == bidi.get_display(text, base_dir="LR"[base])


@pytest.mark.parametrize(
    ("text", "base", "expected"),
    [
        ("الحرية 2026", 1, "2026 ةيرحلا"),
        ("الحرية (Free) للأسرى", 1, "ىرسألل )Free( ةيرحلا"),
        ("Free (الحرية) now", 0, "Free (ةيرحلا) now"),
        ("#أنقذوا_الأسرى", 1, "ىرسألا_اوذقنأ#"),
        ("١٩٤٨-٢٠٢٦", 1, "٢٠٢٦-١٩٤٨"),
        ("", 1, ""),
    ],
)
def test_mixed_text_comes_out_in_visual_order(text: str, base: Direction, expected: str) -> None:
    """Arabic with digits, Latin, brackets and hashtags is ordered as it is read."""
    assert displayed(text, base) == expected


def test_removed_characters_stay_with_the_one_before_them() -> None:
    """A joiner between letters does not split their run, because shaping needs it there."""
    assert visual_runs("ab\u200dcd", 0) == [Run(0, 5, 0)]
    assert visual_runs("هـ\u200d", 1) == [Run(0, 3, 1)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(2026) الحرية", 1),
        ("«Free» الحرية", 0),
        ("\u2067الحرية\u2069 free", 0),
        ("\u2067الحرية", None),
        ("#2026!", None),
        ("", None),
    ],
)
def test_the_first_strong_character_outside_isolates_gives_the_direction(
    text: str, expected: int | None
) -> None:
    """P2 and P3: isolated text does not count, and there may be no strong character at all."""
    assert first_strong(bidi_classes(text)) == expected
