"""Signs are named as readers see them."""

from __future__ import annotations

import pytest

from app.texts.signs import code_points, signs_with

FLAG = "\U0001f1f5\U0001f1f8"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
FIST = "\u270a\U0001f3fd"
HEART = "\u2764\ufe0f"
KEYCAP = "1\ufe0f\u20e3"


@pytest.mark.parametrize("sign", [FLAG, ENGLAND, FAMILY, FIST, HEART, KEYCAP, "漢", "\U0001fade"])
def test_a_sign_is_named_whole(sign: str) -> None:
    """However many characters it is, and whichever of them is asked for."""
    for character in sign:
        assert signs_with(f"ح {sign} ب{sign}", {character}) == (sign,)


def test_signs_are_named_in_order() -> None:
    """Each once, and only those that are asked for."""
    assert signs_with(f"{HEART} a{FLAG}漢{HEART}", {"\u2764", "漢"}) == (HEART, "漢")
    assert signs_with(f"{FLAG}\U0001f1ea\U0001f1ec", set(FLAG)) == (FLAG,)


def test_a_mark_is_shown_without_a_letter_that_is_right() -> None:
    """Only what is in the way is named: a mark on a dotted circle, or the letter with its marks."""
    assert signs_with("بࣖ", {"ࣖ"}) == ("\u25ccࣖ",)
    assert signs_with("بࣖ", {"ب"}) == ("بࣖ",)
    assert signs_with("\u064e\u064f", {"\u064e", "\u064f"}) == ("\u25cc\u064e", "\u25cc\u064f")


@pytest.mark.parametrize(
    "character",
    [
        *("\x07", "\u200b", "\u2061", "\u2800", "\ud800", "\ufffe", "\u3164", "\U000e0001", "\ufff9"),
        *("\ue000", "\uf8ff", "\U000f0000", "\u0378", "\U000e0080", "\ufffc", "\ufffd", "\ufe0f", "\u034f"),
    ],
)
def test_what_nobody_sees_has_no_name(character: str) -> None:
    """A reader is shown no empty place."""
    assert signs_with(f"حر{character}ية", {character}) == ()


def test_signs_that_are_drawn_are_seen() -> None:
    """The end of a verse is a format character by its category, and a sign with its figure to the eye."""
    assert signs_with("حق \u06dd٣", {"\u06dd"}) == ("\u06dd٣",)


def test_programs_get_code_points() -> None:
    """Each once, with four digits or more."""
    assert code_points("a" + FLAG + "a") == ("U+0061", "U+1F1F5", "U+1F1F8")
