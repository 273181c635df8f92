from __future__ import annotations

import pickle
import re
import string
from typing import TYPE_CHECKING

import pytest

from app import errors
from app.errors import FIELD_TEXTS, FieldProblem, InvalidSpec, QuotaUsedUp, RibbonsError
from app.texts.languages import PAGE_LANGUAGES
from app.texts.translations import translations_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ARABIC = re.compile(r"[\u0620-\u064a]")


def every_error(kind: type[RibbonsError] = RibbonsError) -> Iterator[type[RibbonsError]]:
    """Yield every error of the tree that can be raised."""
    for child in kind.__subclasses__():
        if "code" in vars(child):
            yield child
        yield from every_error(child)


def placeholders(text: str) -> set[str]:
    """Return the ``{names}`` in a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


ERRORS = sorted(every_error(), key=lambda kind: kind.code)


def example(kind: type[RibbonsError]) -> RibbonsError:
    """Return an error of that kind with every placeholder filled."""
    if kind is InvalidSpec:
        return InvalidSpec([FieldProblem.of("size", "not_an_integer")])
    params = dict.fromkeys(placeholders(kind.detail + (kind.hint or "")), "7")
    return QuotaUsedUp(7, **params) if kind is QuotaUsedUp else kind(**params)


def test_codes_are_unique_and_snake_case() -> None:
    """A program can tell errors apart by their code."""
    codes = [kind.code for kind in ERRORS]
    assert len(set(codes)) == len(codes) > 15
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def is_in(language: str, text: str) -> bool:
    """Whether a text is in the script of its language, and says all that it has to."""
    return bool(ARABIC.search(text)) == (PAGE_LANGUAGES[language].direction == "rtl") and "{" not in text


@pytest.mark.parametrize("language", PAGE_LANGUAGES)
@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.code)
def test_every_error_speaks_every_language(kind: type[RibbonsError], language: str) -> None:
    """Title, detail and hint are in the catalogue, and detail and hint are filled in."""
    error = example(kind)
    translations = translations_of(language)
    told = [text for text in (kind.title, kind.detail, kind.hint) if text]
    if language != "en":
        assert [text for text in told if translations.gettext(text) == text] == []
    assert is_in(language, translations.gettext(kind.title))
    assert is_in(language, error.text(language))
    hint = error.hint_text(language)
    assert (hint is None) if kind.hint is None else is_in(language, str(hint))


@pytest.mark.parametrize("language", PAGE_LANGUAGES)
@pytest.mark.parametrize("field", ["slogan", "size"])
@pytest.mark.parametrize("kind", FIELD_TEXTS)
def test_every_field_problem_speaks_every_language(
    kind: errors.FieldProblemKind, field: str, language: str
) -> None:
    """Each fault of a field has a sentence, filled in."""
    params = dict.fromkeys(placeholders(FIELD_TEXTS[kind]), "7")
    assert is_in(language, FieldProblem.of(field, kind, **params).text(language))


def test_a_supporters_own_words_are_told_of_as_such() -> None:
    """The field in which people write themselves is no setting to them."""
    told = FieldProblem.of("slogan", "too_long", maximum=60).text("en")
    assert told == "Your words may have at most 60 characters. Shorten them."
    other = FieldProblem.of("v", "too_long", maximum=64)
    assert other.text("en") == "This may have at most 64 characters."
    problems = [other, FieldProblem.of("slogan", "too_long", maximum=60)]
    assert InvalidSpec(problems).text("en") == told


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.code)
def test_every_error_crosses_a_process_boundary(kind: type[RibbonsError]) -> None:
    """An error raised in a worker says the same in the web process."""
    error = example(kind)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is kind
    assert copy.text("ar") == error.text("ar")
    assert copy.params == error.params


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """The drawing at the top of errors.py names every class, below its parent."""
    drawn = re.findall(r"^([|` ]*)(?:\|-|`-)? ?([A-Z]\w+)(?=\s|$)", str(errors.__doc__), re.MULTILINE)
    names = [name for _, name in drawn]

    def tree(kind: type[RibbonsError]) -> Iterator[str]:
        yield kind.__name__
        for child in kind.__subclasses__():
            yield from tree(child)

    assert [name for name in names if name in set(tree(RibbonsError))] == list(tree(RibbonsError))


def test_latin_words_keep_their_direction_in_arabic() -> None:
    """A Latin name in an Arabic sentence is isolated (UAX #9), and lists have the Arabic comma."""
    problem = FieldProblem.of("frame", "not_one_of", choices=("red-ribbons", "ribbon-loop"))
    isolated = "\u2068red-ribbons\u2069، \u2068ribbon-loop\u2069"
    assert problem.text("ar") == f"يجب أن تكون القيمة واحدة من: {isolated}."
    assert problem.text("en") == "This must be one of: red-ribbons, ribbon-loop."


def test_invalid_spec_names_each_bad_field_once() -> None:
    """Two faults of one field are one name in the sentence, and both stay in the list."""
    problems = [FieldProblem.of("x", "repeated"), FieldProblem.of("x", "not_a_number")]
    error = InvalidSpec([*problems, FieldProblem.of("size", "not_an_integer")])
    assert error.text("en") == "Some settings are not right: x, size. Choose them again."
    assert error.problems[:2] == tuple(problems)


@pytest.mark.parametrize("language", PAGE_LANGUAGES)
def test_a_field_that_cannot_be_read_is_named_in_every_language(language: str) -> None:
    """The same kind of problem as a form that cannot be read, in words of its own."""
    told = errors.MalformedRequest.in_field("size").text(language)
    assert is_in(language, told)
    assert "size" in told
    assert language == "en" or told != errors.MalformedRequest.in_field("size").text("en")
