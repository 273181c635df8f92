"""What OpenAPI says of batches beyond what FastAPI finds out: bodies, files, and all that can go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app import errors
from app.bulk.batches import WISHES
from app.bulk.shown import ShownPhoto
from app.render.encode import MEDIA_TYPES
from app.spec import AvatarSpec
from app.web.api.batch_bodies import NewBatch, NewDownload, NewFraming, body_schema
from app.web.api.openapi import (
    BINARY,
    SLOGAN_ERRORS,
    WORKER_ERRORS,
    field_schema,
    image_response,
    problem_responses,
    reference,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from app.errors import RibbonsError

    Responses = dict[int | str, dict[str, Any]]

_SPEC_FIELDS = {name: field_schema(name) for name in AvatarSpec.model_fields}

SCHEMAS: Mapping[str, dict[str, Any]] = {
    "Spec": {
        "type": "object",
        "description": "What each avatar of a batch should look like; a table may say otherwise for a photo.",
        "properties": _SPEC_FIELDS,
        "additionalProperties": False,
    },
    "NewBatch": body_schema(NewBatch, {"spec": reference("Spec")}),
    "NewFraming": body_schema(NewFraming, {name: _SPEC_FIELDS[name] for name in WISHES}),
    "NewDownload": body_schema(NewDownload, {}),
}
"""Schemas of what is sent."""

_PARTNER_ERRORS = (errors.KeyMissing, errors.KeyNotKnown, errors.StorageUnavailable)
_BATCH_ERRORS = (*_PARTNER_ERRORS, errors.BatchNotFound)
_BODY_ERRORS = (errors.MalformedRequest, errors.EncodingNotSupported, errors.UploadTimedOut)
_CROWD_ERRORS = (errors.TooManyAtOnce, errors.Busy)
_SENT_ERRORS = (
    *_BATCH_ERRORS,
    *_BODY_ERRORS,
    *_CROWD_ERRORS,
    errors.DigestMismatch,
    errors.BatchNotOpen,
    errors.BatchFull,
    errors.StorageFull,
)

_QUOTA_HEADERS = {
    "RateLimit-Policy": "What your key may send: `q` photos in `w` seconds.",
    "RateLimit": "What is left of it: `r` photos, for `t` seconds.",
}
_LOCATION = "Where it is."


def _answer(description: str, **headers: str) -> dict[str, Any]:
    return {"description": description, "headers": _headers(headers)}


def _headers(headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {"description": text, "schema": {"type": "string"}}
        for name, text in {**headers, **_QUOTA_HEADERS}.items()
    }


def _file(description: str, media_types: Iterable[str], **headers: str) -> dict[str, Any]:
    return image_response(description, media_types, {**headers, **_QUOTA_HEADERS})


def _responses(status: int, answer: dict[str, Any], kinds: Iterable[type[RibbonsError]]) -> Responses:
    return {status: answer, **problem_responses(kinds)}


def _json_body(schema: str, example: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    body = {
        "required": False,
        "content": {"application/json": {"schema": reference(schema), "example": example}},
    }
    return {"requestBody": body, **({"parameters": list(parameters)} if parameters else {})}


def _bytes_body(description: str) -> dict[str, Any]:
    # By the type that any bytes may be called by: generated clients send it, and some know few others.
    content = {"application/octet-stream": {"schema": {**BINARY, "description": description}}}
    return {"requestBody": {"required": True, "content": content}, "parameters": [_DIGEST]}


def _header(name: str, description: str, example: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string"},
        "example": example,
    }


_DIGEST = _header(
    "Content-Digest",
    "Digest of the body (RFC 9530), by `sha-256` or `sha-512`. Where it does not fit, nothing is taken.",
    "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:",
)

NEW_BATCH_REQUEST = _json_body(
    "NewBatch",
    {"spec": {"frame": "red-ribbons", "lang": "ar", "size": 800}, "expected": 3000, "name": "Staff 2026"},
    _header(
        "Idempotency-Key",
        "Up to 255 characters of your own (draft-ietf-httpapi-idempotency-key-header-07), in quotation marks "
        "or without. The same request with the same key makes no second batch.",
        '"8e03978e-40d5-43e8-bc93-6894a57f9324"',
    ),
)
NEW_BATCH_RESPONSES = _responses(
    201,
    _answer("The batch", Location=_LOCATION),
    (
        *_PARTNER_ERRORS,
        *_BODY_ERRORS,
        *SLOGAN_ERRORS,
        *WORKER_ERRORS,
        errors.MalformedIdempotencyKey,
        errors.IdempotencyKeyInUse,
        errors.IdempotencyKeyReused,
        errors.QuotaUsedUp,
        errors.StorageFull,
    ),
)
PARTNER_RESPONSES = _responses(200, _answer("Your batches"), _PARTNER_ERRORS)
BATCH_RESPONSES = _responses(200, _answer("The batch"), _BATCH_ERRORS)
ERASE_RESPONSES = _responses(204, _answer("It is erased"), _BATCH_ERRORS)
START_RESPONSES = _responses(
    202,
    _answer("The batch"),
    (
        *_BATCH_ERRORS,
        errors.InvalidSpec,
        errors.BatchIncomplete,
        errors.BatchEmpty,
        errors.StorageFull,
        errors.ShuttingDown,
    ),
)

SEND_PHOTO_REQUEST = _bytes_body("The photo, of any content type.")
SEND_PHOTO_RESPONSES: Responses = {
    201: {**_answer("It has come", Location=_LOCATION), "model": ShownPhoto},
    **_responses(
        200,
        _answer("It has come again, in the place of the one that came before"),
        (
            *_SENT_ERRORS,
            errors.InvalidName,
            errors.PhotoMissing,
            errors.PhotoTooManyBytes,
            errors.QuotaUsedUp,
        ),
    ),
}
SEND_ARCHIVE_REQUEST = _bytes_body("The ZIP, of any content type.")
SEND_ARCHIVE_RESPONSES = _responses(
    200,
    _answer("What it came to"),
    (
        *_SENT_ERRORS,
        errors.ArchiveNotSupported,
        errors.ArchiveDamaged,
        errors.ArchiveTooLarge,
        errors.QuotaUsedUp,
    ),
)
SEND_TABLE_REQUEST = _bytes_body("The CSV or XLSX, of any content type.")
SEND_TABLE_RESPONSES = _responses(
    200,
    _answer("What it came to"),
    (*_SENT_ERRORS, errors.InvalidSpec, errors.TableNotReadable, errors.TableTooLarge),
)
FRAMING_REQUEST = _json_body("NewFraming", {"x": 0.512, "y": 0.301, "zoom": 1.4})
FRAMING_RESPONSES = _responses(
    202,
    _answer("The photo, which waits to be drawn"),
    (
        *_BATCH_ERRORS,
        *_BODY_ERRORS,
        errors.InvalidSpec,
        errors.InvalidName,
        errors.BatchPhotoNotFound,
        errors.BatchNotDone,
        errors.StorageFull,
        errors.ShuttingDown,
    ),
)

PHOTOS_RESPONSES = _responses(200, _answer("Photos"), (*_BATCH_ERRORS, errors.InvalidSpec))
PHOTO_RESPONSES = _responses(
    200, _answer("The photo"), (*_BATCH_ERRORS, errors.InvalidName, errors.BatchPhotoNotFound)
)
EVENTS_RESPONSES = _responses(
    200,
    {
        **_answer("Events"),
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'event: photo\ndata: {"number":17,"name":"Huda.jpg","state":"done",…}\nid: 17\n\n',
            }
        },
    },
    (*_BATCH_ERRORS, errors.InvalidSpec, *_CROWD_ERRORS, errors.ShuttingDown),
)

_ATTACHMENT = "A file name made of the batch's name."
RANGE_REQUEST = {
    "parameters": [
        _header("Range", "Which bytes, where not all of them are wanted.", "bytes=1048576-"),
        _header("If-Range", "The `ETag` of what you have a part of.", '"0f2c…"'),
    ]
}
_ZIP = _file(
    "All of it",
    ("application/zip",),
    **{
        "ETag": "Names its bytes.",
        "Content-Length": "Exact.",
        "Accept-Ranges": "bytes",
        "Content-Disposition": _ATTACHMENT,
    },
)
ZIP_RESPONSES: Responses = {
    **_responses(
        200, _ZIP, (*_BATCH_ERRORS, *_CROWD_ERRORS, errors.BatchNotDone, errors.RangeNotSatisfiable)
    ),
    206: {
        **_ZIP,
        "description": "The part that was asked for",
        "headers": {**_ZIP["headers"], **_headers({"Content-Range": "Which bytes, of how many."})},
    },
}
REPORT_RESPONSES = _responses(
    200,
    {
        **_answer("The report", **{"Content-Disposition": _ATTACHMENT}),
        "content": {"text/csv": {"schema": {"type": "string"}}},
    },
    _BATCH_ERRORS,
)
SHEET_RESPONSES = _responses(
    200, _file("The contact sheet", ("image/webp",)), (*_BATCH_ERRORS, errors.BatchNotDone)
)
BATCH_AVATAR_RESPONSES = _responses(
    200,
    _file("The avatar", MEDIA_TYPES.values()),
    (*_BATCH_ERRORS, errors.BatchPhotoNotFound, errors.InvalidName),
)
THUMBNAIL_RESPONSES = _responses(
    200,
    _file("The avatar, small", ("image/jpeg",)),
    (*_BATCH_ERRORS, errors.BatchPhotoNotFound, errors.InvalidName),
)
DOWNLOAD_REQUEST = _json_body("NewDownload", {"file": "avatars.zip"})
DOWNLOAD_RESPONSES = _responses(
    201,
    _answer("The address"),
    (*_BATCH_ERRORS, *_BODY_ERRORS, *_CROWD_ERRORS, errors.InvalidSpec, errors.BatchNotDone),
)
