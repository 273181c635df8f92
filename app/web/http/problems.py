"""Each error becomes an answer: a status and ``application/problem+json`` (RFC 9457) in two languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field
from starlette.responses import Response

from app import errors
from app.errors import LANGUAGES, InternalError, InvalidSpec, Language  # pydantic reads it
from app.web.http.negotiation import negotiate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import HTTPConnection

    from app.errors import RibbonsError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "/v1/problems/"

PROGRAM_LANGUAGE: Language = "en"
"""For a reader who names neither language. Browsers always name one; programs, whose authors read the answer,
seldom do."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What HTTP says of one kind of error.

    Attributes:
        status: The status code.
        titles: A short name by language; the same for every occurrence, as RFC 9457 asks.
    """

    status: int
    titles: Mapping[Language, str]

    @classmethod
    def of(cls, status: int, en: str, ar: str) -> Kind:
        """Build a kind from its titles."""
        return cls(status, {"en": en, "ar": ar})


KINDS: Mapping[type[RibbonsError], Kind] = {
    errors.PhotoMissing: Kind.of(400, "No photo", "لا توجد صورة"),
    errors.PhotoTooManyBytes: Kind.of(413, "Photo too large", "حجم الصورة كبير"),
    errors.PhotoNotSupported: Kind.of(415, "Not a photo we can read", "صيغة غير مدعومة"),
    errors.PhotoDamaged: Kind.of(422, "Damaged photo", "صورة تالفة"),
    errors.PhotoTooManyPixels: Kind.of(422, "Too many pixels", "أبعاد الصورة كبيرة"),
    errors.PhotoTooSmall: Kind.of(422, "Photo too small", "أبعاد الصورة صغيرة"),
    errors.InvalidSpec: Kind.of(422, "Invalid settings", "إعدادات غير صحيحة"),
    errors.SloganDoesNotFit: Kind.of(422, "Slogan does not fit", "الشعار لا يتسع له الإطار"),
    errors.MissingGlyphs: Kind.of(422, "Characters without a glyph", "رموز لا يمكن رسمها"),
    errors.FrameNotFound: Kind.of(404, "No such frame", "إطار غير موجود"),
    errors.InvalidFrame: Kind.of(500, "Invalid frame", "إطار غير صالح"),
    errors.MalformedRequest: Kind.of(400, "Malformed request", "طلب غير مقروء"),
    errors.UploadTimedOut: Kind.of(408, "Upload timed out", "انتهت مهلة الإرسال"),
    errors.NotFound: Kind.of(404, "Not found", "غير موجود"),
    errors.ResultGone: Kind.of(404, "Picture gone", "الصورة لم تعد محفوظة"),
    errors.MethodNotAllowed: Kind.of(405, "Method not allowed", "طريقة غير مسموحة"),
    errors.Busy: Kind.of(503, "Busy", "الخدمة مشغولة"),
    errors.WorkerDied: Kind.of(503, "Drawing failed", "تعذر الرسم"),
    errors.ShuttingDown: Kind.of(503, "Restarting", "إعادة تشغيل"),
    errors.StoreUnavailable: Kind.of(503, "Store unavailable", "المخزن غير متاح"),
    errors.DeadlineExceeded: Kind.of(504, "Drawing took too long", "استغرق الرسم طويلًا"),
    errors.InternalError: Kind.of(500, "Internal error", "خطأ داخلي"),
}
"""Every error that has a code. A test fails when one is missing."""


def kind_of(error: type[RibbonsError]) -> Kind:
    """Return what HTTP says of an error, or of the nearest ancestor that is known."""
    for ancestor in error.__mro__:
        if ancestor in KINDS:
            return KINDS[ancestor]
    return KINDS[InternalError]


class FieldProblemMember(BaseModel):
    """What is wrong with one field."""

    field: Annotated[str, Field(description="The field's name, as it was sent.", examples=["size"])]
    code: Annotated[str, Field(description="Stable identifier of the fault.", examples=["out_of_range"])]
    detail: Annotated[str, Field(description="For the reader.", examples=["This must be from 64 to 2048."])]


class Problem(BaseModel):
    """A problem of RFC 9457, with a stable ``code``."""

    type: Annotated[str, Field(description="Address of a description of this kind of problem.")]
    title: Annotated[str, Field(description="The kind of problem, for the reader.")]
    status: Annotated[int, Field(description="The HTTP status.")]
    detail: Annotated[str, Field(description="What was wrong and what to do, for the reader.")]
    code: Annotated[str, Field(description="Stable identifier, for programs.")]
    fields: Annotated[
        list[FieldProblemMember] | None,
        Field(description="With ``invalid_spec``: every field that is wrong."),
    ] = None


class ProblemKind(BaseModel):
    """What lives at a problem's ``type``: the kind of problem, in every language."""

    code: str
    status: int
    title: dict[Language, str]
    detail: Annotated[dict[Language, str], Field(description="A template; words in braces vary.")]
    retry_after: Annotated[int | None, Field(description="Seconds after which the same request may succeed.")]


def problem_response(error: RibbonsError, language: Language) -> Response:
    """Return the answer for an error, in the reader's language."""
    headers = {"Content-Language": language, "Vary": "Accept-Language", **headers_of(error)}
    body = problem(error, language).model_dump_json(exclude_none=True)
    return Response(body, kind_of(type(error)).status, headers, MEDIA_TYPE)


def headers_of(error: RibbonsError) -> Mapping[str, str]:
    """Return the headers of an error's answer, whatever its form. No cache keeps what somebody did wrong."""
    headers = {"Cache-Control": "no-store"}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.MethodNotAllowed):
        allowed = error.params["allowed"]
        headers["Allow"] = ", ".join(allowed) if isinstance(allowed, tuple) else str(allowed)
    return headers


def problem(error: RibbonsError, language: Language) -> Problem:
    """Return the problem that an error is."""
    kind = kind_of(type(error))
    fields = None
    if isinstance(error, InvalidSpec):
        fields = [
            FieldProblemMember(field=fault.field, code=fault.kind, detail=fault.text(language))
            for fault in error.problems
        ]
    # A frame's fault is for its author; a supporter cannot mend it.
    shown = InternalError() if isinstance(error, errors.InvalidFrame) else error
    return Problem(
        type=f"{TYPE_PREFIX}{error.code}",
        title=kind.titles[language],
        status=kind.status,
        detail=shown.text(language),
        code=error.code,
        fields=fields,
    )


def describe(error: type[RibbonsError]) -> ProblemKind:
    """Return the kind of problem that an error is."""
    kind = kind_of(error)
    return ProblemKind(
        code=error.code,
        status=kind.status,
        title=dict(kind.titles),
        detail=dict(error.texts),
        retry_after=error.retry_after,
    )


def language_of(request: HTTPConnection) -> Language:
    """Return the language that a problem speaks to whoever sent a request."""
    return negotiate(request.headers.get("accept-language"), LANGUAGES, PROGRAM_LANGUAGE)
