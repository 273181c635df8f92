"""What the pages say when something went wrong, per error, for a supporter rather than a programmer.

The API's own texts (app/errors.py) speak of fields and bodies. Here each says what happened and what to do
next, in the words of the page, in every language of the catalogues.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app import errors
from app.errors import InternalError, InvalidSpec
from app.texts.translations import mark

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.errors import FieldProblem, FieldProblemKind, RibbonsError
    from app.texts.translations import Translations

_TEXTS: Mapping[type[RibbonsError], str] = {
    errors.PhotoMissing: mark("Choose a photo first."),
    errors.PhotoTooManyBytes: mark("This photo is larger than {limit_mb} MB. Choose a smaller one."),
    errors.PhotoNotSupported: mark(
        "This file is not a photo we can read. Choose a JPEG, PNG, WebP, AVIF, HEIC or GIF."
    ),
    errors.PhotoDamaged: mark(
        "This photo is damaged or incomplete. Choose another one, or a screenshot of it."
    ),
    errors.PhotoTooManyPixels: mark(
        "This photo has more than {limit_mp} million pixels. Choose a smaller copy of it."
    ),
    errors.PhotoTooSmall: mark(
        "This photo is only {width} × {height} pixels. Choose one with at least {minimum} on each side."
    ),
    errors.SloganDoesNotFit: mark("Your words do not fit this frame. Shorten them or choose another frame."),
    errors.MissingGlyphs: mark("This frame cannot draw these characters: {characters}. Take them out."),
    errors.MalformedRequest: mark("The photo did not arrive as it should. Send it again."),
    errors.UploadTimedOut: mark(
        "The photo took too long to arrive. Try again with a better connection, or choose a smaller one."
    ),
    errors.NotFound: mark("There is no page at this address."),
    errors.ResultGone: mark(
        "This picture is no longer here: every picture is deleted after a while. You can make it again."
    ),
    errors.FrameNotFound: mark("This frame is no longer offered. Choose another one."),
    errors.MethodNotAllowed: mark("This address cannot be opened like that. Start from the first page."),
    errors.Busy: mark("Many people are making their picture right now. Try again in a few seconds."),
    errors.WorkerDied: mark("Something went wrong while your picture was drawn. Try again."),
    errors.ShuttingDown: mark("The service is restarting. Try again in a few seconds."),
    errors.StoreUnavailable: mark(
        "Finished pictures cannot be reached right now. Try again in a few seconds."
    ),
    errors.DeadlineExceeded: mark("Making the picture took too long. Choose a smaller copy of the photo."),
    InternalError: mark("Something went wrong on our side. Try again in a moment."),
}

_SLOGAN_TEXTS: Mapping[FieldProblemKind, str] = {
    "too_long": mark("Your words may have at most {maximum} characters. Shorten them."),
    "not_text": mark("Your words contain characters that cannot be drawn: {characters}. Take them out."),
    "not_offered": mark("This frame carries the campaign’s own words only. Choose another frame for yours."),
}
_SETTINGS_TEXT = mark("Some of the choices cannot be used together. Choose the frame and the language again.")

# First strong isolate: a Latin word keeps its own direction, and the sentence around it keeps its.
_ISOLATED = "\u2068{}\u2069"


def explain(error: RibbonsError, translations: Translations) -> str:
    """Return what to tell the reader of a page about an error."""
    if isinstance(error, InvalidSpec):
        return " ".join(dict.fromkeys(_explain_problem(problem, translations) for problem in error.problems))
    for ancestor in type(error).__mro__:
        if ancestor in _TEXTS:
            return _filled(_TEXTS[ancestor], error.params, translations)
    return translations.gettext(_TEXTS[InternalError])


def _explain_problem(problem: FieldProblem, translations: Translations) -> str:
    if problem.field == "slogan" and problem.kind in _SLOGAN_TEXTS:
        return _filled(_SLOGAN_TEXTS[problem.kind], dict(problem.params), translations)
    return translations.gettext(_SETTINGS_TEXT)


def _filled(text: str, params: Mapping[str, errors.Param], translations: Translations) -> str:
    shown = {name: _shown(value, translations) for name, value in params.items()}
    return translations.gettext(text).format(**shown)


def _shown(value: errors.Param, translations: Translations) -> str:
    if isinstance(value, tuple):
        # A mark between words, or between single signs, that no language reads as one of them.
        return " ".join(_shown(word, translations) for word in value)
    if isinstance(value, str):
        return (
            translations.number(float(value))
            if value.replace(".", "", 1).isdecimal()
            else _ISOLATED.format(value)
        )
    return translations.number(value)
