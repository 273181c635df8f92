"""A request's body -> a model, with every bad field named in the words of the spec's fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import anyio
from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError
from pydantic_core import PydanticCustomError

from app.errors import FieldProblem, InvalidSpec, MalformedRequest, UploadTimedOut
from app.spec import plain_number
from app.web.http.uploads import refuse_packed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic_core import ErrorDetails
    from starlette.requests import Request

    from app.errors import FieldProblemKind

Model = TypeVar("Model", bound=BaseModel)

MAX_JSON_BYTES = 65_536
"""A hundred times what a request for a batch has."""

_SECONDS = 30.0
_NAME_CHARACTERS = 64

_KINDS: dict[str, FieldProblemKind] = {
    "dict_type": "not_an_object",
    "int_parsing": "not_an_integer",
    "int_parsing_size": "not_an_integer",
}


def _in_words(value: object) -> str:
    """Return a value of JSON as a form or a query would bring it; nothing for null."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case _:
            raise PydanticCustomError("not_a_value", "not a value")


def _in_digits(value: object) -> str | None:
    words = _in_words(value)
    return plain_number(words, is_whole=True) if words else None


Words = Annotated[str, BeforeValidator(_in_words)]
"""A text, or what is written as one: a number, or yes or no. Null is nothing."""

Whole = Annotated[int | None, BeforeValidator(_in_digits)]
"""A whole number, as a number or in words."""


def in_range(least: int, most: int) -> AfterValidator:
    """Return what takes a whole number from ``least`` to ``most``, or none."""

    def check(value: int | None) -> int | None:
        if value is not None and not least <= value <= most:
            raise PydanticCustomError("out_of_range", "out of range", {"minimum": least, "maximum": most})
        return value

    return AfterValidator(check)


async def read_json(request: Request, kind: type[Model]) -> Model:
    """Read a request's body, whatever type it says that it has: many programs say none, or a form's.

    Raises:
        EncodingNotSupported: It is packed.
        MalformedRequest: It is no JSON object, or a long one.
        UploadTimedOut: It does not arrive.
        InvalidSpec: Fields are wrong; every one is named.
    """
    refuse_packed(request)
    try:
        with anyio.fail_after(_SECONDS):
            body = await _receive(request)
    except TimeoutError:
        raise UploadTimedOut(seconds=_SECONDS) from None
    return parse_json(body, kind)


async def _receive(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_JSON_BYTES:
            raise MalformedRequest.not_json(MAX_JSON_BYTES)
    return bytes(body)


def parse_json(body: bytes, kind: type[Model]) -> Model:
    """Read JSON; see :func:`read_json`."""
    try:
        value = json.loads(body or b"{}", object_pairs_hook=_object, parse_constant=_refuse)
        # Half of a pair of surrogates is JSON, and no text.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise MalformedRequest.not_json(MAX_JSON_BYTES) from None
    if not isinstance(value, dict):
        raise MalformedRequest.not_json(MAX_JSON_BYTES)
    try:
        return kind.model_validate(value)
    except ValidationError as exc:
        raise InvalidSpec(dict.fromkeys(field_problems(exc.errors(include_url=False), kind))) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that comes twice: which of them counts, each program would say in its own way."""
    values = dict(pairs)
    if len(values) == len(pairs):
        return values
    names = [name for name, _ in pairs]
    repeated = [name for name in values if names.count(name) > 1]
    raise InvalidSpec([FieldProblem.of(name[:_NAME_CHARACTERS], "repeated") for name in repeated])


def _refuse(constant: str) -> None:
    """Refuse NaN and Infinity, which are Python's and not JSON's."""
    raise ValueError(constant)


def field_problems(errors: Iterable[ErrorDetails], kind: type[BaseModel]) -> Iterator[FieldProblem]:
    """Yield what is wrong with each field of a model, by what pydantic says of it."""
    for error in errors:
        # The name that was sent is the last part: of the spec's fields, too, which stand one level below.
        name = str(error["loc"][-1])[:_NAME_CHARACTERS]
        match error["type"]:
            case "extra_forbidden":
                yield FieldProblem.of(name, "unknown", choices=tuple(kind.model_fields))
            case other:
                yield FieldProblem.of(name, _KINDS.get(other, "not_a_value"))


def query_problems(error: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Yield what FastAPI says is wrong with a field of a query; nothing for what is elsewhere."""
    place, *_, name = error["loc"]
    if place == "query":
        match error["type"]:
            case "out_of_range":
                yield FieldProblem.of(name, "out_of_range", **error["ctx"])
            case "bool_parsing":
                yield FieldProblem.of(name, "not_one_of", choices=("true", "false"))
            case _:
                yield FieldProblem.of(name, "not_an_integer")
