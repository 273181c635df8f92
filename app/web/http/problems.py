"""Each error becomes an answer: a status and a problem (RFC 9457) in the reader's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from pydantic import BaseModel, Field
from starlette.responses import Response

from app import errors
from app.errors import InternalError, InvalidSpec
from app.texts.languages import PAGE_LANGUAGES, PROGRAM_LANGUAGE
from app.texts.translations import translations_of
from app.web.http.negotiation import negotiate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import HTTPConnection

    from app.errors import RibbonsError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "/v1/problems/"

# RFC 6750, 3.
_CHALLENGE = 'Bearer realm="partners"'
_KEY_REFUSED = f'{_CHALLENGE}, error="invalid_token"'

STATUSES: Mapping[type[RibbonsError], int] = {
    errors.PhotoMissing: 400,
    errors.PhotoUnreadable: 422,
    errors.PhotoTooManyBytes: 413,
    errors.PhotoNotSupported: 415,
    errors.PhotoDamaged: 422,
    errors.PhotoTooManyPixels: 422,
    errors.PhotoTooSmall: 422,
    errors.InvalidSpec: 422,
    errors.SloganDoesNotFit: 422,
    errors.MissingGlyphs: 422,
    errors.FrameNotFound: 404,
    errors.InvalidFrame: 500,
    errors.MalformedRequest: 400,
    errors.AddressNotEncoded: 400,
    errors.AddressTooLong: 414,
    errors.HeadersTooLarge: 431,
    errors.EncodingNotSupported: 415,
    errors.DigestMismatch: 400,
    errors.UploadTimedOut: 408,
    errors.RangeNotSatisfiable: 416,
    errors.NotFound: 404,
    errors.ResultGone: 404,
    errors.MethodNotAllowed: 405,
    errors.KeyMissing: 401,
    errors.KeyNotKnown: 401,
    errors.MalformedIdempotencyKey: 400,
    errors.BatchNotFound: 404,
    errors.BatchPhotoNotFound: 404,
    errors.BatchNotOpen: 409,
    errors.BatchNotDone: 409,
    errors.BatchIncomplete: 409,
    errors.BatchEmpty: 409,
    errors.BatchFull: 422,
    errors.InvalidName: 422,
    errors.ArchiveNotSupported: 415,
    errors.ArchiveDamaged: 422,
    errors.ArchiveTooLarge: 413,
    errors.EntryNotSupported: 422,
    errors.NameRepeated: 422,
    errors.TableNotReadable: 422,
    errors.TableTooLarge: 413,
    errors.InvalidRow: 422,
    errors.IdempotencyKeyInUse: 409,
    errors.IdempotencyKeyReused: 422,
    errors.QuotaUsedUp: 429,
    errors.Busy: 503,
    errors.TooManyAtOnce: 429,
    errors.WorkerDied: 503,
    errors.ShuttingDown: 503,
    errors.StoreUnavailable: 503,
    errors.StorageUnavailable: 503,
    errors.StorageFull: 507,
    errors.DeadlineExceeded: 504,
    errors.InternalError: 500,
}
"""Every error that has a code. A test fails when one is missing."""


def status_of(error: type[RibbonsError]) -> int:
    """Return the status of an error, or of the nearest ancestor that is known."""
    for ancestor in error.__mro__:
        if ancestor in STATUSES:
            return STATUSES[ancestor]
    return STATUSES[InternalError]


def for_readers(error: RibbonsError) -> RibbonsError:
    """Return the error whose texts are told: a frame's fault is for its author, no supporter can mend it."""
    return InternalError() if isinstance(error, errors.InvalidFrame) else error


class InvalidField(BaseModel):
    """What is wrong with one field."""

    field: Annotated[str, Field(description="The field's name, as it was sent.", examples=["size"])]
    code: Annotated[str, Field(description="Stable identifier of the fault.", examples=["out_of_range"])]
    detail: Annotated[str, Field(description="For the reader.", examples=["This must be from 64 to 2048."])]


class Problem(BaseModel):
    """A problem of RFC 9457, with a stable ``code``."""

    type: Annotated[str, Field(description="Address of a description of this kind of problem.")]
    title: Annotated[str, Field(description="The kind of problem, for the reader.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="What was wrong and what to do, for whoever sent the photo.")]
    hint: Annotated[str | None, Field(description="What else helps whoever writes the program.")] = None
    code: Annotated[str, Field(description="Stable identifier, for programs.")]
    fields: Annotated[
        list[InvalidField] | None,
        Field(description="With ``invalid_spec``: every field that is wrong."),
    ] = None


class ProblemKind(BaseModel):
    """What lives at a problem's ``type``: the kind of problem, in every language."""

    code: str
    status: int
    title: dict[str, str]
    detail: Annotated[dict[str, str], Field(description="A template; words in braces vary.")]
    hint: Annotated[
        dict[str, str] | None, Field(description="A template too, for whoever writes the program.")
    ]
    retry_after: Annotated[int | None, Field(description="Seconds after which the same request may succeed.")]


def problem_response(error: RibbonsError, language: str) -> Response:
    """Return the answer for an error, in the reader's language."""
    headers = {"Content-Language": language, "Vary": "Accept-Language", **headers_of(error)}
    body = problem(error, language).model_dump_json(exclude_none=True)
    return Response(body, status_of(type(error)), headers, MEDIA_TYPE)


def headers_of(error: RibbonsError) -> Mapping[str, str]:
    """Return the headers of an error's answer, whatever its form. No cache keeps what somebody did wrong."""
    headers = {"Cache-Control": "no-store"}
    seconds = error.seconds if isinstance(error, errors.QuotaUsedUp) else error.retry_after
    if seconds is not None:
        headers["Retry-After"] = str(seconds)
    if isinstance(error, errors.KeyMissing | errors.KeyNotKnown):
        headers["WWW-Authenticate"] = _CHALLENGE if isinstance(error, errors.KeyMissing) else _KEY_REFUSED
    if isinstance(error, errors.RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.params['length']}"
    if isinstance(error, errors.EncodingNotSupported):
        headers["Accept-Encoding"] = "identity"  # of requests (RFC 9110, 15.5.16)
    if isinstance(error, errors.MethodNotAllowed):
        headers["Allow"] = ", ".join(cast("tuple[str, ...]", error.params["allowed"]))
    return headers


def problem(error: RibbonsError, language: str) -> Problem:
    """Return the problem that an error is."""
    fields = None
    if isinstance(error, InvalidSpec):
        fields = [
            InvalidField(field=fault.field, code=fault.kind, detail=fault.text(language))
            for fault in error.problems
        ]
    told = for_readers(error)
    return Problem(
        type=f"{TYPE_PREFIX}{error.code}",
        title=translations_of(language).gettext(told.title),
        status=status_of(type(error)),
        detail=told.text(language),
        hint=told.hint_text(language),
        code=error.code,
        fields=fields,
    )


def describe(error: type[RibbonsError]) -> ProblemKind:
    """Return the kind of problem that an error is."""
    return ProblemKind(
        code=error.code,
        status=status_of(error),
        title=_in_every_language(error.title),
        detail=_in_every_language(error.detail),
        hint=_in_every_language(error.hint) if error.hint else None,
        retry_after=error.retry_after,
    )


def _in_every_language(text: str) -> dict[str, str]:
    return {code: translations_of(code).gettext(text) for code in PAGE_LANGUAGES}


def language_of(request: HTTPConnection) -> str:
    """Return the language that a problem speaks to whoever sent a request."""
    return negotiate(request.headers.get("accept-language"), tuple(PAGE_LANGUAGES), PROGRAM_LANGUAGE)
