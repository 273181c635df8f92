from __future__ import annotations

import pytest

from app import errors
from app.errors import FieldProblem, InvalidSpec, RibbonsError
from app.texts.languages import PAGE_LANGUAGES
from app.web.api.openapi import example_of
from app.web.http.problems import STATUSES, describe, problem, problem_response, status_of


def tree(error: type[RibbonsError]) -> list[type[RibbonsError]]:
    """Return an error and all that inherit from it."""
    return [error, *(below for child in error.__subclasses__() for below in tree(child))]


LEAVES = [error for error in tree(RibbonsError) if hasattr(error, "code")]


def test_every_error_has_its_own_code() -> None:
    """Programs tell errors apart by their codes."""
    codes = [error.code for error in LEAVES]
    assert len(codes) == len(set(codes)) >= 20


@pytest.mark.parametrize("error", LEAVES, ids=lambda error: error.code)
def test_no_error_is_unmapped(error: type[RibbonsError]) -> None:
    """Each error has a status of its own choosing, not one that it falls back to."""
    assert error in STATUSES
    assert 400 <= STATUSES[error] <= 599


@pytest.mark.parametrize("language", PAGE_LANGUAGES)
@pytest.mark.parametrize("error", LEAVES, ids=lambda error: error.code)
def test_every_error_speaks_every_language(error: type[RibbonsError], language: str) -> None:
    """Title, detail and hint are there, filled in, and in the language's own script."""
    told = problem(example_of(error), language)
    for text in filter(None, (told.title, told.detail, told.hint)):
        assert "{" not in text
        assert any("\u0600" <= character <= "\u06ff" for character in text) == (
            PAGE_LANGUAGES[language].direction == "rtl"
        )
    assert (told.hint is None) == (error.hint is None)


def test_a_new_error_gets_its_nearest_ancestors_status() -> None:
    """An error that nobody mapped is treated as its kind, not as a crash."""

    class Blurred(errors.PhotoDamaged):
        """A kind of damage."""

    assert status_of(Blurred) == 422
    assert status_of(RibbonsError) == 500


def test_a_bad_spec_names_every_field() -> None:
    """``fields`` carries the name, a stable code and a sentence for each."""
    error = InvalidSpec(
        [
            FieldProblem.of("size", "not_an_integer"),
            FieldProblem.of("x", "out_of_range", minimum=0, maximum=1),
        ]
    )
    fields = problem(error, "en").fields
    assert fields is not None
    assert [(field.field, field.code) for field in fields] == [
        ("size", "not_an_integer"),
        ("x", "out_of_range"),
    ]
    assert fields[1].detail == "This must be from 0 to 1."


def test_a_frames_fault_is_not_shown_to_supporters() -> None:
    """The author's message may name files; a supporter gets the text of an internal error."""
    shown = problem(errors.InvalidFrame(frame="x", reason="artwork.svg cannot be read"), "en")
    assert (shown.status, "artwork" in shown.detail) == (500, False)


def test_an_answer_carries_what_http_asks_for() -> None:
    """Language, no caching, and when to come back."""
    response = problem_response(errors.Busy(), "ar")
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["content-language"] == "ar"
    assert response.headers["vary"] == "Accept-Language"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["retry-after"] == "2"


@pytest.mark.parametrize("error", LEAVES, ids=lambda error: error.code)
def test_every_kind_of_problem_is_described(error: type[RibbonsError]) -> None:
    """What a problem's ``type`` points to can be built for each, in every language."""
    kind = describe(error)
    assert kind.code == error.code
    assert set(kind.title) == set(kind.detail) == set(PAGE_LANGUAGES)
    assert kind.hint is None or set(kind.hint) == set(PAGE_LANGUAGES)
