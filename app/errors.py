"""Everything that can go wrong, for people and for programs.

Each error has a stable ``code`` (part of the public contract) and a text in Arabic and in English that is
safe to show: it says what was wrong and what to do, and never holds a path, a trace or a library's words.
There is no HTTP in this file; ``app.web.http.problems`` maps each error to its status.

::

    RibbonsError
    |- PhotoError                 the photo cannot become an avatar
    |  |- PhotoMissing            no photo, or an empty one
    |  |- PhotoTooManyBytes       larger than the service takes
    |  |- PhotoNotSupported       not a photo in a format that is read
    |  |- PhotoDamaged            a known format, but broken, truncated or a bomb
    |  |- PhotoTooManyPixels      more pixels than can be decoded
    |  `- PhotoTooSmall           a side too short to make a picture of
    |- SpecError                  what was asked for cannot be drawn
    |  |- InvalidSpec             fields that are unknown, malformed or out of range
    |  |- SloganDoesNotFit        too long for the frame's smallest type
    |  `- MissingGlyphs           characters that the frame's fonts do not have
    |- FrameError                 a frame
    |  |- FrameNotFound           no frame has that name
    |  `- InvalidFrame            a frame's files are wrong (for frame authors)
    |- RequestError               the request itself
    |  |- MalformedRequest        a body that cannot be read
    |  |- UploadTimedOut          the photo did not arrive in time
    |  |- NotFound                nothing lives at this address
    |  |- ResultGone              a finished avatar that is no longer kept
    |  `- MethodNotAllowed        this address does not take that method
    |- CapacityError              the service, not the photo; carries retry_after in seconds
    |  |- Busy                    the queue is full
    |  |- WorkerDied              the process that drew this avatar ended
    |  |- ShuttingDown            the service is stopping
    |  |- StoreUnavailable        what keeps finished avatars is full or out of reach
    |  `- DeadlineExceeded        drawing took longer than is allowed
    `- InternalError              a fault of ours; the only one that is a bug
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Language = Literal["ar", "en"]
"""The languages that errors speak."""

LANGUAGES: tuple[Language, ...] = ("ar", "en")

Param = str | float | tuple[str, ...]
"""What fills a ``{name}`` in a text: a word, a number, or a list of words."""


def _shown(value: Param, language: Language) -> str:
    if isinstance(value, tuple):
        return ("، " if language == "ar" else ", ").join(_shown(word, language) for word in value)
    if isinstance(value, str) and language == "ar":
        # First strong isolate: a Latin word keeps its own direction, and the sentence around it keeps its.
        return f"\u2068{value}\u2069"
    return str(value)


def _in_millions(number: int) -> str:
    return f"{number / 1_000_000:g}"


def _filled(template: str, params: Mapping[str, Param], language: Language) -> str:
    return template.format(**{name: _shown(value, language) for name, value in params.items()})


class RibbonsError(Exception):
    """Root of the tree. Keyword arguments fill the ``{names}`` in the texts and are safe to show.

    Attributes:
        code: Stable identifier, ``snake_case``.
        texts: What to tell the reader, by language; each with the same ``{names}``.
        params: The values for the ``{names}``.
        retry_after: Seconds after which the same request may succeed, or None where it never will.
    """

    code: ClassVar[str]
    texts: ClassVar[Mapping[Language, str]]
    retry_after: ClassVar[int | None] = None

    def __init__(self, **params: Param) -> None:
        super().__init__()
        self.params = params

    def text(self, language: Language = "en") -> str:
        """Return one or two sentences for the reader."""
        return _filled(self.texts[language], self.params, language)

    def __str__(self) -> str:
        return self.text()

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross from the worker process to the web process; Exception's own pickling drops keywords.
        return _rebuild, (type(self), self.params)


def _rebuild(kind: type[RibbonsError], params: dict[str, Param]) -> RibbonsError:
    return kind(**params)


# -- the photo -------------------------------------------------------------


class PhotoError(RibbonsError):
    """The photo cannot become an avatar."""


class PhotoMissing(PhotoError):
    """No photo was sent, or one of zero bytes."""

    code = "photo_missing"
    texts: ClassVar = {
        "en": "No photo arrived. Send one in the field “photo”, or as the request's body.",
        "ar": "لم تصل أي صورة. أرسل صورة في الحقل «photo» أو في متن الطلب.",
    }


class PhotoTooManyBytes(PhotoError):
    """Params: ``limit_mb``."""

    code = "photo_too_many_bytes"
    texts: ClassVar = {
        "en": "The photo is larger than {limit_mb} MB. Send a smaller one.",
        "ar": "حجم الصورة أكبر من {limit_mb} ميغابايت. أرسل صورة أصغر.",
    }

    @classmethod
    def over(cls, limit: int) -> Self:
        """Return the error for a photo of more than ``limit`` bytes."""
        return cls(limit_mb=_in_millions(limit))


class PhotoNotSupported(PhotoError):
    """The bytes are not of an image format on the allow-list."""

    code = "photo_not_supported"
    texts: ClassVar = {
        "en": "This is not a photo we can read. Send a JPEG, PNG, WebP, AVIF, HEIC or GIF.",
        "ar": "لا يمكننا قراءة هذا الملف. أرسل صورة بصيغة JPEG أو PNG أو WebP أو AVIF أو HEIC أو GIF.",
    }


class PhotoDamaged(PhotoError):
    """A known format whose data is broken, cut short, or built to exhaust the decoder."""

    code = "photo_damaged"
    texts: ClassVar = {
        "en": "The photo is damaged or incomplete. Try sending it again, or choose another.",
        "ar": "الصورة تالفة أو غير مكتملة. حاول إرسالها مرة أخرى أو اختر صورة غيرها.",
    }


class PhotoTooManyPixels(PhotoError):
    """Params: ``limit_mp`` (millions of pixels, for this kind of file)."""

    code = "photo_too_many_pixels"
    texts: ClassVar = {
        "en": "The photo has more than {limit_mp} million pixels. Send a smaller copy of it.",
        "ar": "تتجاوز الصورة {limit_mp} مليون بكسل. أرسل نسخة أصغر منها.",
    }

    @classmethod
    def over(cls, limit: int) -> Self:
        """Return the error for a photo of more than ``limit`` pixels."""
        return cls(limit_mp=_in_millions(limit))


class PhotoTooSmall(PhotoError):
    """Params: ``width``, ``height``, ``minimum`` (pixels)."""

    code = "photo_too_small"
    texts: ClassVar = {
        "en": "The photo is {width} × {height} pixels. Each side needs {minimum} or more; send a larger one.",
        "ar": "قياس الصورة {width} × {height} بكسل. يجب ألا يقل أي ضلع عن {minimum} بكسل؛ اختر صورة أكبر.",
    }


# -- the spec --------------------------------------------------------------

FieldProblemKind = Literal[
    "unknown",
    "repeated",
    "not_a_number",
    "not_an_integer",
    "out_of_range",
    "not_one_of",
    "too_long",
    "not_text",
    "not_offered",
    "needs_transparency",
]

PROBLEM_TEXTS: Mapping[FieldProblemKind, Mapping[Language, str]] = {
    "unknown": {
        "en": "There is no such field. The fields are: {choices}.",
        "ar": "لا يوجد حقل بهذا الاسم. الحقول هي: {choices}.",
    },
    "repeated": {
        "en": "This was given more than once. Give it once.",
        "ar": "ورد هذا الحقل أكثر من مرة. اكتبه مرة واحدة.",
    },
    "not_a_number": {"en": "This must be a number.", "ar": "يجب أن تكون القيمة عددًا."},
    "not_an_integer": {"en": "This must be a whole number.", "ar": "يجب أن تكون القيمة عددًا صحيحًا."},
    "out_of_range": {
        "en": "This must be from {minimum} to {maximum}.",
        "ar": "يجب أن تكون القيمة من {minimum} إلى {maximum}.",
    },
    "not_one_of": {"en": "This must be one of: {choices}.", "ar": "يجب أن تكون القيمة واحدة من: {choices}."},
    "too_long": {
        "en": "This may have at most {maximum} characters.",
        "ar": "يجب ألا يتجاوز النص {maximum} حرفًا.",
    },
    "not_text": {
        "en": "This holds what cannot be drawn: {characters}. Use letters, digits and punctuation.",
        "ar": "يحتوي النص على ما لا يمكن رسمه: {characters}. استخدم الحروف والأرقام وعلامات الترقيم.",
    },
    "not_offered": {
        "en": "This frame does not take a slogan of your own. Leave the field out, or choose another frame.",
        "ar": "هذا الإطار لا يقبل شعارًا خاصًا بك. اترك الحقل فارغًا أو اختر إطارًا آخر.",
    },
    "needs_transparency": {
        "en": "A circle needs a format with transparency: {choices}.",
        "ar": "الشكل الدائري يحتاج إلى صيغة تدعم الشفافية: {choices}.",
    },
}


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one field of a spec.

    Attributes:
        field: The field's name, as the sender wrote it.
        kind: Stable identifier of the fault.
        params: Values for the ``{names}`` in the text.
    """

    field: str
    kind: FieldProblemKind
    params: tuple[tuple[str, Param], ...] = ()

    @classmethod
    def of(cls, field: str, kind: FieldProblemKind, **params: Param) -> Self:
        """Build a problem from keywords (kept as a tuple, so that it hashes and pickles)."""
        return cls(field, kind, tuple(params.items()))

    def text(self, language: Language = "en") -> str:
        """Return a sentence for the reader."""
        return _filled(PROBLEM_TEXTS[self.kind][language], dict(self.params), language)


class SpecError(RibbonsError):
    """What was asked for cannot be drawn."""


class InvalidSpec(SpecError):
    """One or more fields are unknown, malformed or out of range; every bad field is named.

    Attributes:
        problems: At least one, in the order in which the spec declares its fields.
    """

    code = "invalid_spec"
    texts: ClassVar = {
        "en": "Some settings are not right: {fields}.",
        "ar": "بعض الإعدادات غير صحيحة: {fields}.",
    }

    def __init__(self, problems: Iterable[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(fields=tuple(dict.fromkeys(problem.field for problem in self.problems)))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.problems,)


class SloganDoesNotFit(SpecError):
    """The text is too long or too tall for its place, even at the smallest type the frame allows."""

    code = "slogan_does_not_fit"
    texts: ClassVar = {
        "en": "The slogan does not fit this frame, even in small letters. Shorten it or change the frame.",
        "ar": "لا يتسع هذا الإطار للشعار حتى بحروف صغيرة. اختصره أو اختر إطارًا آخر.",
    }


class MissingGlyphs(SpecError):
    """Params: ``characters`` (the ones that no font of the frame can draw)."""

    code = "missing_glyphs"
    texts: ClassVar = {
        "en": "This frame's typeface cannot draw: {characters} — remove these from the slogan.",
        "ar": "خط هذا الإطار لا يرسم هذه الرموز: {characters} — احذفها من الشعار.",
    }


# -- frames ----------------------------------------------------------------


class FrameError(RibbonsError):
    """A frame is missing or wrong."""


class FrameNotFound(FrameError):
    """Params: ``choices`` (the ids there are)."""

    code = "frame_not_found"
    texts: ClassVar = {
        "en": "There is no such frame. The frames are: {choices}.",
        "ar": "لا يوجد إطار بهذا الاسم. الإطارات هي: {choices}.",
    }


class InvalidFrame(FrameError):
    """Params: ``frame`` (its id), ``reason`` (for the frame's author, English)."""

    code = "invalid_frame"
    texts: ClassVar = {
        "en": "The frame “{frame}” is not valid: {reason}",
        "ar": "الإطار «{frame}» غير صالح: {reason}",
    }


# -- the request -----------------------------------------------------------


class RequestError(RibbonsError):
    """The request itself cannot be served."""


class MalformedRequest(RequestError):
    """A body that is not what its headers say, or more parts than a form of ours has."""

    code = "malformed_request"
    texts: ClassVar = {
        "en": "The form could not be read. Send one photo in the field “photo”, and the settings as fields.",
        "ar": "تعذرت قراءة النموذج. أرسل صورة واحدة في الحقل «photo» والإعدادات في حقول.",
    }


class UploadTimedOut(RequestError):
    """Params: ``seconds``."""

    code = "upload_timed_out"
    texts: ClassVar = {
        "en": "The photo did not arrive in time ({seconds} s). Try a better connection or a smaller photo.",
        "ar": "لم تصل الصورة في المهلة المحددة ({seconds} ث). جرّب اتصالًا أفضل أو صورة أصغر.",
    }


class NotFound(RequestError):
    """Nothing lives at this address."""

    code = "not_found"
    texts: ClassVar = {"en": "There is nothing at this address.", "ar": "لا يوجد شيء في هذا العنوان."}


class ResultGone(RequestError):
    """A finished avatar's time is over, or it was deleted, or there never was one: nobody is told which."""

    code = "result_gone"
    texts: ClassVar = {
        "en": "This picture is no longer kept here. Make it again; it takes a moment.",
        "ar": "لم تعد هذه الصورة محفوظة هنا. اصنعها من جديد، فلن يستغرق ذلك سوى لحظات.",
    }


class MethodNotAllowed(RequestError):
    """Params: ``allowed`` (the methods)."""

    code = "method_not_allowed"
    texts: ClassVar = {
        "en": "This address takes only: {allowed}.",
        "ar": "هذا العنوان لا يقبل إلا: {allowed}.",
    }


# -- the service -----------------------------------------------------------


class CapacityError(RibbonsError):
    """The service could not draw just now; the photo may be fine."""


class Busy(CapacityError):
    """The queue is full."""

    code = "busy"
    retry_after = 2
    texts: ClassVar = {
        "en": "Many people are making their picture right now. Try again in a few seconds.",
        "ar": "يصنع كثيرون صورهم الآن. حاول مرة أخرى بعد ثوانٍ.",
    }


class WorkerDied(CapacityError):
    """The process that drew this avatar ended before it answered."""

    code = "worker_died"
    retry_after = 1
    texts: ClassVar = {
        "en": "Something went wrong while drawing your picture. Try again.",
        "ar": "حدث خلل أثناء رسم صورتك. حاول مرة أخرى.",
    }


class ShuttingDown(CapacityError):
    """The service has been told to stop and takes no more photos."""

    code = "shutting_down"
    retry_after = 5
    texts: ClassVar = {
        "en": "The service is restarting. Try again in a few seconds.",
        "ar": "يُعاد تشغيل الخدمة. حاول مرة أخرى بعد ثوانٍ.",
    }


class StoreUnavailable(CapacityError):
    """What keeps finished avatars for several replicas is full, or out of reach."""

    code = "unavailable"
    retry_after = 5
    texts: ClassVar = {
        "en": "Finished pictures cannot be reached right now. Try again in a few seconds.",
        "ar": "لا يمكن الوصول إلى الصور الجاهزة الآن. حاول مرة أخرى بعد ثوانٍ.",
    }


class DeadlineExceeded(CapacityError):
    """Params: ``seconds``."""

    code = "deadline_exceeded"
    texts: ClassVar = {
        "en": "Drawing this photo took longer than is allowed ({seconds} s). Try a smaller copy of it.",
        "ar": "تجاوز رسم هذه الصورة المهلة المحددة ({seconds} ث). جرّب نسخة أصغر منها.",
    }


class InternalError(RibbonsError):
    """A fault of ours. Seeing one is a bug to report."""

    code = "internal_error"
    texts: ClassVar = {
        "en": "Something went wrong on our side. Try again; if it happens again, tell us.",
        "ar": "حدث خطأ من جهتنا. حاول مرة أخرى، وإن تكرر فأخبرنا.",
    }
