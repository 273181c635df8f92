from __future__ import annotations

import pytest

from app import errors
from app.errors import FieldProblem, InvalidSpec, Param, PhotoTooManyBytes, PhotoTooSmall, RibbonsError
from app.texts.languages import PAGE_LANGUAGES
from app.texts.translations import load_translations
from app.web.http.problems import KINDS
from app.web.pages.error_texts import explain

FOR_AUTHORS = {errors.InvalidFrame}
"""A supporter cannot mend a frame."""

PARAMS: dict[type[RibbonsError], dict[str, Param]] = {
    errors.PhotoTooManyBytes: {"limit_mb": "40"},
    errors.PhotoTooManyPixels: {"limit_mp": "60"},
    errors.PhotoTooSmall: {"width": 3, "height": 4, "minimum": 64},
    errors.MissingGlyphs: {"characters": ("漢", "字")},
}


@pytest.mark.parametrize("error", [error for error in KINDS if error not in {InvalidSpec, *FOR_AUTHORS}])
@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_every_error_is_told_in_every_language(error: type[RibbonsError], code: str) -> None:
    """No error leaves a supporter with a text for programmers, or with a brace in it."""
    translations = load_translations()
    text = explain(error(**PARAMS.get(error, {})), translations[code])
    assert text.strip()
    assert "{" not in text
    if error is not errors.InternalError:
        assert text != explain(errors.InternalError(), translations[code])


def test_numbers_in_errors_have_the_readers_digits() -> None:
    """Arabic readers get ٤٠ and not 40."""
    translations = load_translations()["ar"]
    assert "٤٠" in explain(PhotoTooManyBytes.over(40_000_000), translations)
    assert "٦٤" in explain(PhotoTooSmall(width=3, height=4, minimum=64), translations)


def test_words_that_cannot_be_drawn_are_named() -> None:
    """The reader sees which signs to take out, each kept in its own direction."""
    translations = load_translations()["en"]
    error = InvalidSpec([FieldProblem.of("slogan", "not_text", characters=("U+0007",))])
    assert "\u2068U+0007\u2069" in explain(error, translations)
    assert "60" in explain(InvalidSpec([FieldProblem.of("slogan", "too_long", maximum=60)]), translations)


def test_several_faults_are_told_once_each() -> None:
    """Two bad fields that mean the same to a reader make one sentence."""
    translations = load_translations()["en"]
    error = InvalidSpec([FieldProblem.of("x", "not_a_number"), FieldProblem.of("y", "not_a_number")])
    assert explain(error, translations).count(".") == 2
