"""Everything that can go wrong, for people and for programs.

Each error has a stable ``code`` (part of the public contract) and its texts: in English, marked for the
catalogues of ``app/texts``. Every reader gets the same ones, of a page, of the API or at a terminal, in their
own language. They say what was wrong and what to do, and never hold a path, a trace or a library's words.
There is no HTTP in this file; ``app.web.http.problems`` maps each error to its status.

::

    RibbonsError
    |- PhotoError                 the photo cannot become an avatar
    |  |- PhotoMissing            no photo, or an empty one
    |  |- PhotoUnreadable         a file of the command line's that cannot be opened or read
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
    |  |- MalformedRequest        what cannot be read: a body, a field of it, or what is not HTTP
    |  |- EncodingNotSupported    packed in a way that is not unpacked here
    |  |- AddressNotEncoded       letters in the address that HTTP has no place for
    |  |- AddressTooLong          longer than any address of ours
    |  |- HeadersTooLarge         more headers than are read
    |  |- DigestMismatch          what arrived is not what its digest says was sent
    |  |- UploadTimedOut          the photo did not arrive in time
    |  |- RangeNotSatisfiable     a part is asked for that begins after the end
    |  |- NotFound                nothing lives at this address
    |  |- ResultGone              a finished avatar that is no longer kept
    |  |- MethodNotAllowed        this address does not take that method
    |  |- KeyMissing              an address of partners, asked without a key
    |  |- KeyNotKnown             a key that is not ours, or was revoked
    |  `- MalformedIdempotencyKey an Idempotency-Key that is none
    |- BulkError                  a batch of a partner, or the command line's
    |  |- BatchNotFound           no batch of this partner has that address
    |  |- BatchPhotoNotFound      no photo of that name is in the batch
    |  |- BatchNotOpen            what is sent comes after the batch was started
    |  |- BatchNotDone            what is asked for is there when the batch is done
    |  |- BatchIncomplete         started before all that it names was sent
    |  |- BatchEmpty              a batch that is to be started, and has no photo
    |  |- BatchFull               more photos than a batch may have
    |  |- InvalidName             a name that no photo of a batch may have
    |  |- ArchiveNotSupported     no ZIP
    |  |- ArchiveDamaged          a ZIP that is broken, or built to do harm
    |  |- ArchiveTooLarge         a ZIP that is larger, or unpacks to more, than is taken
    |  |- EntryNotSupported       a photo in a ZIP that is locked, or packed in a way that is not read
    |  |- NameRepeated            two photos, or two rows of a table, of one name
    |  |- TableNotReadable        a table that cannot be read at all
    |  |- TableTooLarge           a table of more rows or bytes than is read
    |  |- InvalidRow              a row of a table that says nothing of a photo
    |  |- IdempotencyKeyInUse     the first request with this key is not answered yet
    |  |- IdempotencyKeyReused    the key came before, with another request
    |  `- QuotaUsedUp             the key's photos of the day, or its batches at once
    |- CapacityError              the service, not the photo; carries retry_after in seconds
    |  |- Busy                    the queue is full
    |  |- TooManyAtOnce           the queue is full, and much of it is of the sender's own address
    |  |- WorkerDied              the process that drew this avatar ended
    |  |- ShuttingDown            the service is stopping
    |  |- StoreUnavailable        what keeps finished avatars is full or out of reach
    |  |- StorageUnavailable      what keeps batches is out of reach
    |  |- StorageFull             what keeps batches is full
    |  `- DeadlineExceeded        drawing took longer than is allowed
    `- InternalError              a fault of ours; the only one that is a bug
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Self, cast

from app.texts.languages import PROGRAM_LANGUAGE
from app.texts.marking import mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Param = str | float | tuple[str, ...]
"""What fills a ``{name}`` in a text: a word, a number, or a list of words."""


def told(text: str, params: Mapping[str, Param], language: str) -> str:
    """Return a text in a language, filled in."""
    # Imported here: a command that succeeds shows no text, and need not wait 50 ms for the catalogues.
    from app.texts.translations import translations_of  # noqa: PLC0415

    return translations_of(language).filled(text, params)


class RibbonsError(Exception):
    """Root of the tree. Keyword arguments fill the ``{names}`` in the texts and are safe to show.

    Attributes:
        code: Stable identifier, ``snake_case``.
        title: A short name; the same for every occurrence.
        detail: What was wrong and what to do, for whoever sent the photo.
        hint: What else helps whoever writes the program that sent it, or None.
        params: The values for the ``{names}`` in detail and hint.
        retry_after: Seconds after which the same request may succeed, or None where it never will.
    """

    code: ClassVar[str]
    title: ClassVar[str]
    detail: ClassVar[str]
    hint: ClassVar[str | None] = None
    retry_after: ClassVar[int | None] = None

    def __init__(self, **params: Param) -> None:
        super().__init__()
        self.params = params

    def text(self, language: str = PROGRAM_LANGUAGE) -> str:
        """Return the detail in a language, filled in: one or two sentences."""
        return told(self.detail, self.params, language)

    def reason(self, language: str = PROGRAM_LANGUAGE) -> str:
        """Return all that is known of what was wrong, for where there is room for one text only."""
        return self.text(language)

    def hint_text(self, language: str = PROGRAM_LANGUAGE) -> str | None:
        """Return the hint in a language, filled in."""
        return told(self.hint, self.params, language) if self.hint else None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.text(), self.hint_text())))

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
    title = mark("No photo")
    detail = mark("Choose a photo first.")
    hint = mark("Send it in the field “photo”, or as the request’s body.")


class PhotoUnreadable(PhotoError):
    """A file, on the disk of whoever runs the command line, that cannot be opened or read."""

    code = "photo_unreadable"
    title = mark("File not readable")
    detail = mark("This file could not be read. See that it is there, and that you may read it.")


class PhotoTooManyBytes(PhotoError):
    """Params: ``limit_mb``."""

    code = "photo_too_many_bytes"
    title = mark("Photo too large")
    detail = mark("This photo is larger than {limit_mb} MB. Choose a smaller one.")

    @classmethod
    def over(cls, limit: int) -> Self:
        """Return the error for a photo of more than ``limit`` bytes."""
        return cls(limit_mb=limit / 1_000_000)


class PhotoNotSupported(PhotoError):
    """The bytes are of no format that is read. Params: ``formats`` (those that are)."""

    code = "photo_not_supported"
    title = mark("Not a photo we can read")
    detail = mark("This file is not a photo we can read. Choose a {formats:or}.")


class PhotoDamaged(PhotoError):
    """A known format whose data is broken, cut short, or built to exhaust the decoder."""

    code = "photo_damaged"
    title = mark("Damaged photo")
    detail = mark("This photo is damaged or incomplete. Choose another one, or a screenshot of it.")


class PhotoTooManyPixels(PhotoError):
    """Params: ``limit_mp`` (millions of pixels, for this kind of file)."""

    code = "photo_too_many_pixels"
    title = mark("Too many pixels")
    detail = mark("This photo has more than {limit_mp} million pixels. Choose a smaller copy of it.")

    @classmethod
    def over(cls, limit: int) -> Self:
        """Return the error for a photo of more than ``limit`` pixels."""
        return cls(limit_mp=limit / 1_000_000)


class PhotoTooSmall(PhotoError):
    """Params: ``width``, ``height``, ``minimum`` (pixels)."""

    code = "photo_too_small"
    title = mark("Photo too small")
    detail = mark(
        "This photo is only {width} × {height} pixels. Choose one with at least {minimum} on each side."
    )


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
    "not_a_value",
    "not_an_object",
    "not_a_webhook",
    "not_a_column",
]

FIELD_TEXTS: Mapping[FieldProblemKind, str] = {
    "unknown": mark("There is no such field. The fields are: {choices}."),
    "repeated": mark("This was given more than once, with different values. Give it once."),
    "not_a_number": mark("This must be a number."),
    "not_an_integer": mark("This must be a whole number."),
    "out_of_range": mark("This must be from {minimum} to {maximum}."),
    "not_one_of": mark("This must be one of: {choices}."),
    "too_long": mark("This may have at most {maximum} characters."),
    "not_text": mark(
        "Your words contain characters that cannot be drawn: {characters:spaced}. Take them out."
    ),
    "not_offered": mark("This frame carries the campaign’s own words only. Choose another frame for yours."),
    "needs_transparency": mark("A circle needs a format with transparency: {choices}."),
    "not_a_value": mark("This must be a text, a number, true or false."),
    "not_an_object": mark("This must be an object: names, and a value for each."),
    "not_a_webhook": mark("This must be an https:// address that can be reached from the internet."),
    "not_a_column": mark("Write it as ours=theirs, such as photo=File, and each of ours once."),
}

PHOTO_FIELD = "photo"
"""The field of a form in which the photo comes."""

OWN_WORDS = "slogan"
"""The field in which supporters write themselves: what is wrong with it is told in their terms."""

_UNSEEN = mark(
    "Your words contain invisible characters that cannot be drawn. Type your words instead of pasting them."
)
_CODES = mark("Their code points: {codes}.")

_OWN_WORDS_TOO_LONG = mark("Your words may have at most {maximum} characters. Shorten them.")


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

    @classmethod
    def of_form(cls, name: str, settings: Iterable[str]) -> Self:
        """Return the problem of a form's field that is neither the photo nor one of the settings."""
        return cls.of(name[:64], "unknown", choices=(PHOTO_FIELD, *settings))

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that the text lists, where there are some."""
        return cast("tuple[str, ...]", dict(self.params).get("choices", ()))

    def text(self, language: str = PROGRAM_LANGUAGE) -> str:
        """Return a sentence for the reader."""
        params = dict(self.params)
        text = FIELD_TEXTS[self.kind]
        if self.field == OWN_WORDS and self.kind == "too_long":
            text = _OWN_WORDS_TOO_LONG
        elif self.kind == "not_text" and not params["characters"]:
            text = _UNSEEN
        return told(text, params, language)


class SpecError(RibbonsError):
    """What was asked for cannot be drawn."""


class InvalidSpec(SpecError):
    """One or more fields are unknown, malformed or out of range; every bad field is named.

    Attributes:
        problems: At least one, in the order in which the spec declares its fields.
    """

    code = "invalid_spec"
    title = mark("Invalid settings")
    detail = mark("Some settings are not right: {fields}. Choose them again.")

    def __init__(self, problems: Iterable[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(fields=tuple(dict.fromkeys(problem.field for problem in self.problems)))

    def text(self, language: str = PROGRAM_LANGUAGE) -> str:
        """Return what is wrong with the supporter's own words, or else which fields are not right."""
        own = [problem.text(language) for problem in self.problems if problem.field == OWN_WORDS]
        return " ".join(dict.fromkeys(own)) or super().text(language)

    def reason(self, language: str = PROGRAM_LANGUAGE) -> str:
        """Return what is wrong with each field."""
        return " ".join(f"{problem.field}: {problem.text(language)}" for problem in self.problems)

    def hint_text(self, language: str = PROGRAM_LANGUAGE) -> str | None:
        """Return the code points of characters that cannot be drawn, and what the photo's field is called.

        The second one where a form had a field that is unknown: most often that is the photo.
        """
        texts = [told(_CODES, dict(p.params), language) for p in self.problems if p.kind == "not_text"]
        if any(p.kind == "unknown" and PHOTO_FIELD in p.choices for p in self.problems):
            texts.append(told(_ONE_PHOTO, {}, language))
        return " ".join(texts) or None

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.problems,)


class SloganDoesNotFit(SpecError):
    """The text is too long or too tall for its place, even at the smallest type the frame allows."""

    code = "slogan_does_not_fit"
    title = mark("Slogan does not fit")
    detail = mark("Your words do not fit this frame. Shorten them or choose another frame.")


class MissingGlyphs(SpecError):
    """Params: ``characters`` (the signs that no font of the frame can draw), ``codes`` (their code points).

    The signs are named as readers see them; there are none where nobody sees them.
    """

    code = "missing_glyphs"
    title = mark("Characters without a glyph")
    detail = mark("This frame cannot draw these characters: {characters:spaced}. Take them out.")
    hint = _CODES

    def text(self, language: str = PROGRAM_LANGUAGE) -> str:
        """Return which signs to take out, or what to do about those that cannot be seen."""
        return super().text(language) if self.params["characters"] else told(_UNSEEN, self.params, language)


# -- frames ----------------------------------------------------------------


class FrameError(RibbonsError):
    """A frame is missing or wrong."""


class FrameNotFound(FrameError):
    """Params: ``choices`` (the ids there are)."""

    code = "frame_not_found"
    title = mark("No such frame")
    detail = mark("This frame is not offered. Choose another one.")
    hint = mark("The frames are: {choices}.")


class InvalidFrame(FrameError):
    """Params: ``frame`` (its id), ``reason`` (for the frame's author, English)."""

    code = "invalid_frame"
    title = mark("Invalid frame")
    detail = mark("The frame “{frame}” is not valid: {reason}")

    @classmethod
    def of_one_name(cls, frame: str, folders: Iterable[str]) -> Self:
        """Return the error for folders that would all be the frame of one id."""
        return cls(frame=frame, reason=f"two folders have this name: {' and '.join(folders)}")


# -- the request -----------------------------------------------------------


class RequestError(RibbonsError):
    """The request itself cannot be served."""


_ONE_PHOTO = mark("Send one photo in the field “photo”, and the settings as fields.")


class MalformedRequest(RequestError):
    """A body that is not what its headers say, or more parts than a form of ours has; or no HTTP at all.

    Params: ``field`` (the one field of a form or a query that cannot be read), and with it ``encoding`` or
    ``charset``, where it names one that it is not in; or ``limit_kb`` (of what has to be JSON); or ``bare``
    (of what has to be the body, and came in a form); or none.
    """

    code = "malformed_request"
    title = mark("Malformed request")
    detail = mark("What was sent could not be read. Choose the photo again and send it.")
    hint = _ONE_PHOTO

    @classmethod
    def in_field(cls, name: str) -> Self:
        """Return the error for a field, named in so many letters that the answer stays short."""
        return cls(field=name[:64])

    @classmethod
    def not_in_encoding(cls, name: str, encoding: str) -> Self:
        """Return the error for a field that is not in its Content-Transfer-Encoding."""
        return cls(field=name[:64], encoding=_encoding_told(encoding))

    @classmethod
    def not_in_charset(cls, name: str, charset: str) -> Self:
        """Return the error for a field that is not in the charset it names, or in one that is not read."""
        return cls(field=name[:64], charset=_encoding_told(charset))

    @classmethod
    def not_json(cls, limit: int) -> Self:
        """Return the error for a body that is no JSON object of at most ``limit`` bytes."""
        return cls(limit_kb=limit / 1024)

    @classmethod
    def not_bare(cls) -> Self:
        """Return the error for a form where the file itself has to be the body."""
        return cls(bare="")

    def text(self, language: str = PROGRAM_LANGUAGE) -> str:
        """Return which field could not be read, where one is at fault; or what a body has to be."""
        if not self.params:
            return super().text(language)
        if "limit_kb" in self.params:
            return told(_NOT_JSON, self.params, language)
        if "bare" in self.params:
            return told(_NOT_BARE, self.params, language)
        text = _NOT_IN_ENCODING if "encoding" in self.params else _UNREADABLE_FIELD
        return told(text, self.params, language)

    def hint_text(self, language: str = PROGRAM_LANGUAGE) -> str | None:
        """Return the charset that could not be read, where one was named; or what a form has."""
        if {"limit_kb", "bare"} & self.params.keys():
            return None
        return told(_NOT_IN_CHARSET if "charset" in self.params else self.hint, self.params, language)


_UNREADABLE_FIELD = mark("The field “{field}” could not be read. It has to be short text in UTF-8.")
_NOT_IN_ENCODING = mark("The field “{field}” is not in the encoding that it names: {encoding}.")
_NOT_IN_CHARSET = mark("It could not be read in the charset that it names: {charset}.")
_NOT_BARE = mark("Send the file itself as the request’s body, not in a form.")
_NOT_JSON = mark("What was sent could not be read. It has to be a JSON object of at most {limit_kb} KB.")


def _encoding_told(name: str) -> str:
    """Return as much of an encoding's name as can be one, for an answer."""
    return re.sub(r"[^a-z0-9 ,.*+_-]", "?", name.lower())[:40]


class EncodingNotSupported(RequestError):
    """Params: ``encoding`` (what was named in ``Content-Encoding`` or in a part's own encoding)."""

    code = "encoding_not_supported"
    title = mark("Encoding not supported")
    detail = mark("The photo was sent in an encoding that is not read here. Send it as it is.")
    hint = mark(
        "The encoding was {encoding}. Send no Content-Encoding; in a form’s part, Content-Transfer-Encoding"
        " may be binary, 8bit, 7bit, base64 or quoted-printable."
    )

    @classmethod
    def of(cls, encoding: str) -> Self:
        """Return the error for an encoding."""
        return cls(encoding=_encoding_told(encoding))


class AddressNotEncoded(RequestError):
    """A request line with letters, spaces or control characters that are not percent-encoded."""

    code = "address_not_encoded"
    title = mark("Address not encoded")
    detail = mark("The address has letters or spaces in it that must be percent-encoded, as UTF-8.")
    hint = mark("curl encodes them with -G --data-urlencode; or send the settings as fields of a form.")


_HEAD_LIMIT = mark("The address and all headers may have {limit_kb} KB together.")


class AddressTooLong(RequestError):
    """Params: ``limit_kb`` (of the address and the headers together)."""

    code = "address_too_long"
    title = mark("Address too long")
    detail = mark("The address is too long. Send the settings as fields of a form.")
    hint = _HEAD_LIMIT

    @classmethod
    def over(cls, limit: int) -> Self:
        """Return the error for more than ``limit`` bytes."""
        return cls(limit_kb=limit / 1024)


class HeadersTooLarge(RequestError):
    """Params: ``limit_kb`` (of the address and the headers together)."""

    code = "headers_too_large"
    title = mark("Headers too large")
    detail = mark("What was sent before the photo is too long. Delete this site’s cookies and try again.")
    hint = _HEAD_LIMIT

    @classmethod
    def over(cls, limit: int) -> Self:
        """Return the error for more than ``limit`` bytes."""
        return cls(limit_kb=limit / 1024)


class DigestMismatch(RequestError):
    """What arrived has another digest than the ``Content-Digest`` (RFC 9530) that came with it."""

    code = "digest_mismatch"
    retry_after = 1
    title = mark("Arrived changed")
    detail = mark("What arrived is not what was sent. Send it again.")


class UploadTimedOut(RequestError):
    """Params: ``seconds``."""

    code = "upload_timed_out"
    title = mark("Upload timed out")
    detail = mark(
        "The photo took too long to arrive. Try again with a better connection, or choose a smaller one."
    )
    hint = mark("Time for a photo to arrive: {seconds} s.")


class RangeNotSatisfiable(RequestError):
    """Params: ``length`` (bytes of the whole)."""

    code = "range_not_satisfiable"
    title = mark("No such part")
    detail = mark("The part that was asked for begins after the end: all of it has {length} bytes.")


class NotFound(RequestError):
    """Nothing lives at this address."""

    code = "not_found"
    title = mark("Not found")
    detail = mark("There is nothing at this address.")


class ResultGone(RequestError):
    """A finished avatar's time is over, or it was deleted, or there never was one: nobody is told which."""

    code = "result_gone"
    title = mark("Picture gone")
    detail = mark(
        "This picture is no longer here: every picture is deleted after a while. You can make it again."
    )


class MethodNotAllowed(RequestError):
    """Params: ``allowed`` (the methods)."""

    code = "method_not_allowed"
    title = mark("Method not allowed")
    detail = mark("This address cannot be used like that.")
    hint = mark("This address takes only: {allowed}.")


class KeyMissing(RequestError):
    """An address of partners was asked without a key."""

    code = "key_missing"
    title = mark("Key missing")
    detail = mark("This address is for partners. Send your key with the request.")
    hint = mark("Send it in the header Authorization: Bearer, followed by the key.")


class KeyNotKnown(RequestError):
    """A key that is not ours, or that was revoked: nobody is told which."""

    code = "key_not_known"
    title = mark("Key not known")
    detail = mark("This key is not known here, or no longer. Check it, or ask for a new one.")


class MalformedIdempotencyKey(RequestError):
    """An ``Idempotency-Key`` that is empty, too long or not in quotation marks."""

    code = "malformed_idempotency_key"
    title = mark("Malformed Idempotency-Key")
    detail = mark("The header Idempotency-Key could not be read.")
    hint = mark("It has to be 1 to 255 characters of ASCII in quotation marks.")


# -- batches ---------------------------------------------------------------


class BulkError(RibbonsError):
    """A batch, or what was sent for it, cannot be taken."""


class BatchNotFound(BulkError):
    """There is none, it was erased, or it is another partner's: nobody is told which."""

    code = "batch_not_found"
    title = mark("No such batch")
    detail = mark("There is no such batch. Batches are erased when their time is over.")


class BatchPhotoNotFound(BulkError):
    """No photo of that name is in the batch, or it has no avatar (yet)."""

    code = "batch_photo_not_found"
    title = mark("No such photo")
    detail = mark("There is no such photo in this batch, or no picture was made of it.")


class BatchNotOpen(BulkError):
    """The batch was started: its photos and its table are what they are."""

    code = "batch_not_open"
    title = mark("Batch already started")
    detail = mark("This batch was started already. Make another batch for what is missing in it.")


class BatchNotDone(BulkError):
    """Params: ``waiting`` (photos that are not drawn yet)."""

    code = "batch_not_done"
    retry_after = 10
    title = mark("Batch not done")
    detail = mark("This batch is not done yet. Photos still to be drawn: {waiting}.")


class BatchIncomplete(BulkError):
    """Params: ``missing`` (how many photos), ``names`` (of the first ones that are named)."""

    code = "batch_incomplete"
    title = mark("Photos missing")
    detail = mark("Some photos of this batch have not been sent. Missing: {missing}. {names}")
    hint = mark("Send them, or start with ?without_missing=true.")


class BatchEmpty(BulkError):
    """Nothing was sent to a batch that is to be started."""

    code = "batch_empty"
    title = mark("No photos")
    detail = mark("No photo has been sent to this batch. Send photos, or a ZIP of them, and start it then.")


class BatchFull(BulkError):
    """Params: ``limit``."""

    code = "batch_full"
    title = mark("Too many photos")
    detail = mark("A batch may have at most {limit} photos. Make another batch for the rest.")


class InvalidName(BulkError):
    """A name that leads out of its folder, is empty or too long, or holds what no system can keep."""

    code = "invalid_name"
    title = mark("Name not allowed")
    detail = mark("A photo may not have this name. Rename it.")


class ArchiveNotSupported(BulkError):
    """What was sent is no ZIP."""

    code = "archive_not_supported"
    title = mark("Not a ZIP")
    detail = mark("This file is not a ZIP. Send the photos in a ZIP, or one by one.")


class ArchiveDamaged(BulkError):
    """A ZIP whose directory cannot be read, or contradicts itself."""

    code = "archive_damaged"
    title = mark("Damaged ZIP")
    detail = mark("This ZIP is damaged or incomplete. Make it again.")


class ArchiveTooLarge(BulkError):
    """Params: ``limit_mb`` (of the ZIP, or of all that is in it)."""

    code = "archive_too_large"
    title = mark("ZIP too large")
    detail = mark(
        "This ZIP is larger than {limit_mb} MB, or holds more than is taken. Divide it into several."
    )

    @classmethod
    def over(cls, limit: int) -> Self:
        """Return the error for more than ``limit`` bytes."""
        return cls(limit_mb=limit / 1_000_000)


class EntryNotSupported(BulkError):
    """A photo in a ZIP that is encrypted, or packed by a method that few programs know."""

    code = "entry_not_supported"
    title = mark("Photo that cannot be unpacked")
    detail = mark(
        "This photo is locked in the ZIP with a password, or packed in an unusual way. Make the ZIP again"
        " without a password."
    )


class NameRepeated(BulkError):
    """Another photo of the ZIP, or an earlier row of the table, has the same name."""

    code = "name_repeated"
    title = mark("Name given twice")
    detail = mark("This name comes more than once. The first one counts: rename or delete the others.")


class TableNotReadable(BulkError):
    """Params: ``reason`` (a marked text, of :mod:`app.bulk.table`) and what fills it; or none."""

    code = "table_not_readable"
    title = mark("Table not readable")
    detail = mark("This table could not be read. Save it as CSV (UTF-8) or XLSX.")

    def text(self, language: str = PROGRAM_LANGUAGE) -> str:
        """Return the reason, where there is one: it says what to do, too."""
        return told(str(self.params.get("reason", self.detail)), self.params, language)


class TableTooLarge(BulkError):
    """Params: ``limit`` (rows)."""

    code = "table_too_large"
    title = mark("Table too large")
    detail = mark("This table is too large. It may have at most {limit} rows.")


class InvalidRow(BulkError):
    """Params: ``row`` (as a spreadsheet counts), ``reason`` (as of TableNotReadable)."""

    code = "invalid_row"
    title = mark("Row not right")
    detail = mark("Row {row} of the table is not right. Correct it.")

    def text(self, language: str = PROGRAM_LANGUAGE) -> str:
        """Return the reason, where there is one."""
        return told(str(self.params.get("reason", self.detail)), self.params, language)


class IdempotencyKeyInUse(BulkError):
    """The first request with this key is still being answered."""

    code = "idempotency_key_in_use"
    retry_after = 1
    title = mark("Request already on its way")
    detail = mark("A request with the same Idempotency-Key has not been answered yet. Try again.")


class IdempotencyKeyReused(BulkError):
    """The key came before, with a request that asked for something else."""

    code = "idempotency_key_reused"
    title = mark("Idempotency-Key used twice")
    detail = mark("This Idempotency-Key came before with another request. Use a new one.")


class QuotaUsedUp(BulkError):
    """Params: ``quota`` (``photos-a-day`` or ``batches-at-once``), ``limit``.

    Args:
        seconds: After which the same request may succeed.
    """

    code = "quota_used_up"
    title = mark("Quota used up")
    detail = mark(
        "Your key has used up what it may for now ({quota}: {limit}). Go on later, or ask for more."
    )

    def __init__(self, seconds: int, **params: Param) -> None:
        super().__init__(**params)
        self.seconds = seconds

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_quota, (self.seconds, self.params)


def _rebuild_quota(seconds: int, params: dict[str, Param]) -> QuotaUsedUp:
    return QuotaUsedUp(seconds, **params)


# -- the service -----------------------------------------------------------


class CapacityError(RibbonsError):
    """The service could not draw just now; the photo may be fine."""


class Busy(CapacityError):
    """The queue is full."""

    code = "busy"
    retry_after = 2
    title = mark("Busy")
    detail = mark("Many people are making their picture right now. Try again in a few seconds.")


class TooManyAtOnce(CapacityError):
    """One address has more than its share of what is short. Many people may be behind it."""

    code = "too_many_at_once"
    retry_after = 5
    title = mark("Too many at once")
    detail = mark(
        "Many pictures are being made over your internet connection right now. Try again in a few seconds, or"
        " switch between Wi-Fi and mobile data."
    )
    hint = mark("Send fewer requests at the same time.")


class WorkerDied(CapacityError):
    """The process that drew this avatar ended before it answered."""

    code = "worker_died"
    retry_after = 1
    title = mark("Picture not made")
    detail = mark("Something went wrong while your picture was drawn. Try again.")


class ShuttingDown(CapacityError):
    """The service has been told to stop and takes no more photos."""

    code = "shutting_down"
    retry_after = 5
    title = mark("Restarting")
    detail = mark("The service is restarting. Try again in a few seconds.")


class StoreUnavailable(CapacityError):
    """What keeps finished avatars for several replicas is full, or out of reach."""

    code = "unavailable"
    retry_after = 5
    title = mark("Store unavailable")
    detail = mark("Finished pictures cannot be reached right now. Try again in a few seconds.")


class StorageUnavailable(CapacityError):
    """What keeps batches is out of reach: the object store, or the database."""

    code = "storage_unavailable"
    retry_after = 10
    title = mark("Storage unavailable")
    detail = mark(
        "What keeps the batches cannot be reached right now. Nothing is lost; try again in a moment."
    )


class StorageFull(CapacityError):
    """What keeps batches is full."""

    code = "storage_full"
    retry_after = 60
    title = mark("Storage full")
    detail = mark("There is no room for more right now. Nothing is lost; tell whoever runs this service.")


class DeadlineExceeded(CapacityError):
    """Params: ``seconds``."""

    code = "deadline_exceeded"
    title = mark("Making the picture took too long")
    detail = mark("Making the picture took too long. Choose a smaller copy of the photo.")
    hint = mark("Time for making a picture: {seconds} s.")


class InternalError(RibbonsError):
    """A fault of ours. Seeing one is a bug to report."""

    code = "internal_error"
    title = mark("Internal error")
    detail = mark("Something went wrong on our side. Try again in a moment.")
