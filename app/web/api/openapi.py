"""What OpenAPI says beyond what FastAPI finds out: the spec's fields, image answers, problems with examples.

Derived from the declarations that the code itself works by: the spec's model and the error tree.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from app import errors
from app.errors import FieldProblem, InvalidSpec, QuotaUsedUp
from app.render import rendition
from app.render.encode import MEDIA_TYPES
from app.render.formats import FORMAT_NAMES
from app.render.limits import Limits
from app.spec import AvatarSpec, field_range, shown_default
from app.texts.languages import PAGE_LANGUAGES, PROGRAM_LANGUAGE
from app.texts.translations import translations_of
from app.web.http.problems import MEDIA_TYPE, Problem, problem, status_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import FastAPI
    from fastapi.routing import APIRoute

    from app.errors import Param, RibbonsError

_IMAGES = tuple(MEDIA_TYPES.values())
BINARY = {"type": "string", "format": "binary"}
"""The schema of bytes."""

DISPOSITIONS = ("attachment", "inline")
"""What an answer with an avatar may be, and by default is: the first."""

FRAMING = "Ribbons-Framing"
"""The header that says which square of the photo an avatar shows."""

TAGS = [
    {"name": "avatars", "description": "A photo in, a picture out."},
    {"name": "batches", "description": "For partners who have a key: thousands of photos at once."},
    {"name": "frames", "description": "What there is to choose from, and each frame's own picture."},
    {"name": "stats", "description": "How many avatars were made."},
    {"name": "problems", "description": "What each `code` of a problem means."},
    {"name": "operations", "description": "For whoever runs the service."},
]
"""The groups of operations, in the order in which the page at /docs shows them."""

_EXAMPLE_PARAMS: Mapping[str, Param] = {
    "limit_mb": Limits().max_bytes // 1_000_000,
    "limit_mp": Limits().max_decoded_pixels // 1_000_000,
    "width": 12,
    "height": 9,
    "minimum": Limits().min_side,
    "characters": ("😀",),
    "codes": ("U+1F600",),
    "encoding": "gzip",
    "limit_kb": 32,
    "choices": ("red-ribbons",),
    "seconds": 10,
    "allowed": ("GET", "HEAD"),
    "formats": FORMAT_NAMES,
    "frame": "red-ribbons",
    "reason": "…",
    "length": 812_345_678,
    "limit": 50_000,
    "waiting": 1810,
    "missing": 2,
    "names": ("staff/Abu Ali.heic", "staff/Huda.jpg"),
    "quota": "photos-a-day",
    "row": 12,
}

_UPLOAD_ERRORS: tuple[type[RibbonsError], ...] = (
    errors.PhotoMissing,
    errors.MalformedRequest,
    errors.UploadTimedOut,
    errors.PhotoTooManyBytes,
    errors.EncodingNotSupported,
    errors.PhotoNotSupported,
    errors.PhotoDamaged,
    errors.PhotoTooManyPixels,
    errors.PhotoTooSmall,
)
SLOGAN_ERRORS = (errors.InvalidSpec, errors.SloganDoesNotFit, errors.MissingGlyphs)
"""What can be wrong with what is asked for."""
WORKER_ERRORS = (
    errors.InternalError,
    errors.TooManyAtOnce,
    errors.Busy,
    errors.WorkerDied,
    errors.ShuttingDown,
    errors.DeadlineExceeded,
)
"""What drawing may end with."""


def example_of(error: type[RibbonsError]) -> RibbonsError:
    """Return an instance to show."""
    if error is InvalidSpec:
        minimum, maximum = field_range("size")
        return InvalidSpec([FieldProblem.of("size", "out_of_range", minimum=minimum, maximum=maximum)])
    names = {name for _, name, _, _ in string.Formatter().parse(error.detail + (error.hint or "")) if name}
    params = {name: _EXAMPLE_PARAMS[name] for name in names}
    return QuotaUsedUp(3600, **params) if error is QuotaUsedUp else error(**params)


def problem_responses(kinds: Iterable[type[RibbonsError]]) -> dict[int | str, dict[str, Any]]:
    """Return a response per status, with an example of every error that has it."""
    by_status: dict[int, list[type[RibbonsError]]] = {}
    for kind in kinds:
        by_status.setdefault(status_of(kind), []).append(kind)
    return {status: _problem_response(same) for status, same in sorted(by_status.items())}


def _problem_response(kinds: list[type[RibbonsError]]) -> dict[str, Any]:
    examples = {
        kind.code: {
            "summary": kind.title,
            "value": problem(example_of(kind), PROGRAM_LANGUAGE).model_dump(exclude_none=True),
        }
        for kind in kinds
    }
    headers: dict[str, Any] = {
        "Content-Language": {"schema": {"type": "string", "enum": list(PAGE_LANGUAGES)}},
    }
    if any(kind.retry_after is not None or kind is QuotaUsedUp for kind in kinds):
        headers["Retry-After"] = {"description": "Seconds.", "schema": {"type": "integer"}}
    return {
        "description": " · ".join(kind.title for kind in kinds),
        "headers": headers,
        "content": {MEDIA_TYPE: {"schema": reference("Problem"), "examples": examples}},
    }


def image_response(description: str, media_types: Iterable[str], headers: dict[str, str]) -> dict[str, Any]:
    """Return an answer that is a picture, or another file, with what its headers say."""
    # No answer has this last type, which any bytes may be called by. But openapi-python-client knows no image
    # types: it reads bytes where it finds this one, and without it hands no picture over.
    types = (*media_types, "application/octet-stream")
    return {
        "description": description,
        "headers": {
            name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()
        },
        "content": {media_type: {"schema": BINARY} for media_type in types},
    }


def _field_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each field of a form or a query: a value or nothing."""
    properties: dict[str, dict[str, Any]] = AvatarSpec.model_json_schema()["properties"]
    schemas = {
        name: _default_in_words(_without_null(schema), shown_default(AvatarSpec.model_fields[name]))
        for name, schema in properties.items()
    }
    schemas["disposition"] = {
        "type": "string",
        "enum": list(DISPOSITIONS),
        "description": f"Whether a browser saves the avatar or shows it. `{DISPOSITIONS[0]}` unless given.",
    }
    schemas["side"] = {
        "type": "integer",
        "minimum": rendition.SMALLEST,
        "maximum": rendition.LARGEST,
        "description": "Most pixels on the longer side; a photo is never enlarged. "
        f"`{rendition.DEFAULT}` unless given.",
    }
    return schemas


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    present = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    kept = {key: value for key, value in schema.items() if key not in {"anyOf", "title"}}
    if present:
        kept |= present[0]
    if kept.get("default", ...) is None:
        del kept["default"]
    return kept


def _default_in_words(schema: dict[str, Any], default: str) -> dict[str, Any]:
    """Move a default to the description.

    Generated clients send a declared default by themselves: in the query, beside the form that somebody
    filled in, where it contradicts what they chose.
    """
    kept = {**schema}
    if kept.pop("default", None) is not None:
        kept["description"] = f"{kept['description']} `{default}` unless given."
    return kept


_FIELDS = _field_schemas()
_ENUMS = {name: name.capitalize() for name, schema in _FIELDS.items() if "enum" in schema}
"""Fields of a few words. Each is a schema of its own, so that a generated client has one type for it."""


def reference(schema: str) -> dict[str, str]:
    """Return what refers to a schema by its name."""
    return {"$ref": f"#/components/schemas/{schema}"}


def field_schema(name: str) -> dict[str, Any]:
    """Return the schema of a field of the spec, or of what may stand beside it."""
    return reference(_ENUMS[name]) if name in _ENUMS else _FIELDS[name]


def _query_parameters(names: Iterable[str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": _FIELDS[name]["description"],
            "schema": {key: value for key, value in field_schema(name).items() if key != "description"},
        }
        for name in names
    ]


_VERSION: dict[str, Any] = {
    "name": "v",
    "in": "query",
    "required": False,
    "description": "Changes nothing. Our pages name the revision here, so that it may be kept for ever.",
    "schema": {"type": "string", "maxLength": 64},
}


def _form(description: str, names: Iterable[str]) -> dict[str, Any]:
    """Return the schema of a form that brings a photo and, beside it, some fields."""
    photo = {
        **BINARY,
        "description": f"{translations_of(PROGRAM_LANGUAGE).either(FORMAT_NAMES)}, known by its bytes.",
    }
    return {
        "type": "object",
        "description": description,
        "required": ["photo"],
        "properties": {"photo": photo, **{name: field_schema(name) for name in names}},
        "additionalProperties": False,
    }


AVATAR_FIELDS = (*AvatarSpec.model_fields, "disposition")
"""What may stand beside an avatar's photo, or in the query."""

RENDITION_FIELDS = ("side",)
"""The same of a rendition."""

_SCHEMAS: Mapping[str, dict[str, Any]] = {
    "AvatarForm": _form("A photo, and what its avatar should look like.", AVATAR_FIELDS),
    "RenditionForm": _form("A photo to be shown.", RENDITION_FIELDS),
    **{schema: _FIELDS[name] for name, schema in _ENUMS.items()},
}


def _photo_body(form: str) -> dict[str, Any]:
    """Return the body of a request that brings a photo: in a form, or by itself."""
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": reference(form)},
            "application/octet-stream": {"schema": BINARY},
        },
    }


AVATAR_REQUEST: dict[str, Any] = {
    "parameters": _query_parameters(AVATAR_FIELDS),
    "requestBody": _photo_body("AvatarForm"),
}

AVATAR_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: image_response(
        "The avatar",
        _IMAGES,
        {
            "Content-Disposition": "A file name made of the frame's id.",
            "Cache-Control": "no-store",
            FRAMING: "Which square of the photo it shows (`x`, `y`, `zoom`), and by what it was chosen: "
            "`faces`, where a `head` mostly is in a tall photo, or the photo's `centre`; `given` where all "
            "three were. A structured field (RFC 9651): `faces; x=0.512; y=0.301; zoom=1.4`. What was chosen "
            "is told whole; what was given, to three decimals.",
        },
    ),
    **problem_responses((*_UPLOAD_ERRORS, *SLOGAN_ERRORS, *WORKER_ERRORS)),
}

RENDITION_REQUEST: dict[str, Any] = {
    "parameters": _query_parameters(RENDITION_FIELDS),
    "requestBody": _photo_body("RenditionForm"),
}

RENDITION_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: image_response(
        "The whole photo",
        ("image/jpeg",),
        {"Content-Disposition": "Always the same name.", "Cache-Control": "no-store"},
    ),
    **problem_responses((*_UPLOAD_ERRORS, errors.InvalidSpec, *WORKER_ERRORS)),
}


def overlay_parameters(names: Iterable[str]) -> list[dict[str, Any]]:
    """Return the query parameters of a frame's picture: some fields of the spec, and its version."""
    return [*_query_parameters(names), _VERSION]


def overlay_responses(media_type: str) -> dict[int | str, dict[str, Any]]:
    """Return the answers that a request for a frame's picture may get.

    But 304: only a request with a header that no parameter here describes gets it, and an answer without a
    body makes generated clients type every other as anything.
    """
    kinds = (errors.FrameNotFound, errors.MalformedRequest, *SLOGAN_ERRORS, *WORKER_ERRORS)
    return {
        200: image_response(
            "The frame with its slogan",
            (media_type,),
            {"ETag": "Changes when the picture would.", "Cache-Control": "How long it may be kept."},
        ),
        **problem_responses(kinds),
    }


FRAME_RESPONSES: dict[int | str, dict[str, Any]] = problem_responses([errors.FrameNotFound])
TEXT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "Plain text", "content": {"text/plain": {"schema": {"type": "string"}}}}
}
READY_RESPONSES: dict[int | str, dict[str, Any]] = {
    **TEXT_RESPONSES,
    **problem_responses((*WORKER_ERRORS, errors.StoreUnavailable)),
}
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = problem_responses([errors.NotFound])


def operation_id(route: APIRoute) -> str:
    """Return the name of a route's function as programs in most languages write it: ``makeAvatar``."""
    first, *rest = route.name.split("_")
    return "".join((first, *(word.capitalize() for word in rest)))


def servers(public_url: str | None) -> list[dict[str, Any]]:
    """Return where the API is: at the address that was set, and where the document was read."""
    public = [{"url": public_url, "description": "The service."}] if public_url else []
    return [*public, {"url": "/", "description": "Where this document was read."}]


def describe_api(app: FastAPI, schemas_of_parts: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the OpenAPI document of an app, with our own schemas among its components.

    Args:
        app: With all of its routes.
        schemas_of_parts: Schemas that some of these refer to.
    """
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        tags=app.openapi_tags,
        servers=app.servers,
        license_info=app.license_info,
        routes=app.routes,
    )
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    # What a problem has nothing to say in is left out, never null.
    schema["properties"] = {name: _without_null(value) for name, value in schema["properties"].items()}
    schemas = document["components"]["schemas"]
    schemas |= schema.pop("$defs")
    schemas |= {"Problem": schema, **_SCHEMAS, **schemas_of_parts}
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in document["paths"].values():
        for operation in path.values():
            # FastAPI promises its own 422 wherever a path has a parameter; ours are listed above.
            answer = operation["responses"].get("422", {})
            if "HTTPValidationError" in str(answer):
                del operation["responses"]["422"]
    return document
