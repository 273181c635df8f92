"""What became of a photo, written down and read again."""

from __future__ import annotations

import pytest

from app.bulk.outcomes import Entry, Outcome, pack, unpack, unpack_entry
from app.errors import FieldProblem, InternalError, InvalidSpec, MissingGlyphs, PhotoTooSmall, RibbonsError
from app.render.framing import Choice

ERRORS = [
    PhotoTooSmall(width=3, height=4, minimum=16),
    MissingGlyphs(characters=("🇵🇸",), codes=("U+1F1F5", "U+1F1F8")),
    InvalidSpec(
        [
            FieldProblem.of("size", "out_of_range", minimum=64, maximum=2048),
            FieldProblem.of("frame", "not_one_of", choices=("a", "b")),
        ]
    ),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_an_error_says_afterwards_what_it_said_before(error: RibbonsError) -> None:
    """In every language: its parameters are kept, not its words."""
    again = unpack(pack(Outcome(error=error, seconds=0.5))).error
    assert type(again) is type(error)
    assert [again.text(language) for language in ("ar", "en")] == [
        error.text(language) for language in ("ar", "en")
    ]
    assert again.hint_text("ar") == error.hint_text("ar")


def test_what_was_drawn_is_kept_to_the_last_digit() -> None:
    """How it was framed, how long it took, and what a ZIP says of it."""
    entry = Entry("قسم/أ.jpg", 311_000, 0xFFFFFFFF)
    outcome = Outcome(framing=Choice("faces", 0.512, 0.301, 1.4), seconds=0.061, entry=entry)
    assert unpack(pack(outcome)) == outcome
    assert unpack_entry(pack(outcome)) == entry
    assert unpack(pack(Outcome())) == Outcome()


def test_an_error_of_a_newer_version_is_one_of_ours() -> None:
    """Whoever goes back to an older version can read its batches."""
    packed = pack(Outcome(error=ERRORS[0])).replace(b"photo_too_small", b"photo_too_pretty")
    assert isinstance(unpack(packed).error, InternalError)
