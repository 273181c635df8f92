from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from app import errors
from app.errors import FieldProblem, InvalidSpec, Param, PhotoTooManyBytes, PhotoTooSmall, RibbonsError
from app.render.formats import FORMAT_NAMES
from app.texts.languages import PAGE_LANGUAGES
from app.web.http.problems import STATUSES, problem

if TYPE_CHECKING:
    from starlette.testclient import TestClient

FOR_AUTHORS = {errors.InvalidFrame}
"""A supporter cannot mend a frame."""

PARAMS: dict[type[RibbonsError], dict[str, Param]] = {
    errors.PhotoTooManyBytes: {"limit_mb": 40},
    errors.PhotoTooManyPixels: {"limit_mp": 60},
    errors.PhotoNotSupported: {"formats": FORMAT_NAMES},
    errors.PhotoTooSmall: {"width": 3, "height": 4, "minimum": 64},
    errors.MissingGlyphs: {"characters": ("漢", "字"), "codes": ("U+6F22", "U+5B57")},
    errors.RangeNotSatisfiable: {"length": 1000},
    errors.BatchNotDone: {"waiting": 3},
    errors.BatchIncomplete: {"missing": 2, "names": ("a.jpg", "b.jpg")},
    errors.BatchFull: {"limit": 50_000},
    errors.ArchiveTooLarge: {"limit_mb": 20_000},
    errors.TableTooLarge: {"limit": 50_000},
    errors.InvalidRow: {"row": 12},
    errors.QuotaUsedUp: {"quota": "photos-a-day", "limit": 3},
}


@pytest.mark.parametrize("error", [error for error in STATUSES if error not in {InvalidSpec, *FOR_AUTHORS}])
@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_every_error_is_told_in_every_language(error: type[RibbonsError], code: str) -> None:
    """No error leaves a supporter with a text for programmers, or with a brace in it."""
    params = PARAMS.get(error, {})
    made = errors.QuotaUsedUp(60, **params) if error is errors.QuotaUsedUp else error(**params)
    text = made.text(code)
    assert text.strip()
    assert "{" not in text
    if error is not errors.InternalError:
        assert text != errors.InternalError().text(code)


def test_numbers_in_errors_have_the_readers_digits() -> None:
    """Arabic readers get ٤٠ and not 40."""
    assert "٤٠" in PhotoTooManyBytes.over(40_000_000).text("ar")
    assert "٦٤" in PhotoTooSmall(width=3, height=4, minimum=64).text("ar")


def test_words_that_cannot_be_drawn_are_named() -> None:
    """The reader sees which signs to take out, each kept in its own direction; programs get code points."""
    for code in ("ar", "en"):
        unknown = FieldProblem.of("slogan", "not_text", characters=("\ue000",), codes=("U+E000",))
        for error in (InvalidSpec([unknown]), errors.MissingGlyphs(**PARAMS[errors.MissingGlyphs])):
            assert error.params.get("characters") or "\u2068\ue000\u2069" in error.text(code)
            assert "U+" not in error.text(code)
            assert "U+" in (error.hint_text(code) or "")
    assert "\u2068漢\u2069 \u2068字\u2069" in errors.MissingGlyphs(**PARAMS[errors.MissingGlyphs]).text("en")


@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_what_nobody_sees_is_not_named(code: str) -> None:
    """A reader who cannot see what is wrong is told what to do, and no list of nothing."""
    unseen = {"characters": (), "codes": ("U+0007",)}
    texts = {
        InvalidSpec([FieldProblem.of("slogan", "not_text", **unseen)]).text(code),
        errors.MissingGlyphs(**unseen).text(code),
    }
    assert len(texts) == 1
    assert "U+" not in texts.pop()


def test_words_that_are_too_long_are_told_their_limit() -> None:
    """The reader learns how many characters there may be."""
    assert "60" in InvalidSpec([FieldProblem.of("slogan", "too_long", maximum=60)]).text("en")


def test_several_faults_are_told_once_each() -> None:
    """Two bad fields that mean the same to a reader make one sentence."""
    error = InvalidSpec([FieldProblem.of("x", "not_a_number"), FieldProblem.of("y", "not_a_number")])
    assert error.text("en").count(".") == 2


@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_a_refused_form_is_told_in_one_language(client: TestClient, code: str) -> None:
    """A script gets the title, the detail and the hint in the language of the page, as its headers say."""
    answer = client.post(
        f"/{code}/made", files={"photo": ("a.jpg", b"no photo")}, headers={"Accept": "application/json"}
    )
    assert (answer.status_code, answer.headers["content-language"]) == (415, code)
    expected = problem(errors.PhotoNotSupported(formats=FORMAT_NAMES), code)
    assert answer.json() == expected.model_dump(exclude_none=True)


@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_a_script_says_what_the_server_would(client: TestClient, code: str) -> None:
    """What the editor's script refuses by itself is told in the very words of the error."""
    page = client.get(f"/{code}").text
    found = re.search('<script type="application/json" id="texts"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found
    texts = json.loads(found[1])
    limit = client.app.state.service.uploads.max_photo_bytes  # type: ignore[attr-defined]
    assert texts["notSupported"] == errors.PhotoNotSupported(formats=FORMAT_NAMES).text(code)
    assert texts["tooManyBytes"] == PhotoTooManyBytes.over(limit).text(code)
    assert texts["photoMissing"] == errors.PhotoMissing().text(code)
    assert texts["failed"] == errors.InternalError().text(code)
    # Everything else comes with the answer.
    assert not {error.code for error in STATUSES} & texts.keys() - {"busy", "unavailable"}
