"""What is sent as JSON to the addresses of batches."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from app.bulk.batches import WISHES
from app.bulk.opened import BatchRequest
from app.bulk.webhooks import check_url
from app.errors import FieldProblem, InvalidSpec
from app.spec import parse_spec
from app.texts.signs import code_points
from app.web.http.json_bodies import Whole, Words  # noqa: TC001 - pydantic reads the annotations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.frames import FrameLibrary
    from app.spec import AvatarSpec

MAX_NAME_CHARACTERS = 100

FILES = ("avatars.zip", "report.csv")
"""Those that a browser may be led to."""


class NewBatch(BaseModel):
    """How the avatars should look, and what else is known of the batch. All of it may be left out."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"additionalProperties": False})

    spec: dict[str, Words] = {}
    expected: Annotated[
        Whole,
        WithJsonSchema({"type": "integer", "minimum": 1}),
        Field(
            description="How many photos will be sent. While fewer have come, the batch does not start.",
            examples=[3000],
        ),
    ] = None
    webhook: Annotated[
        Words,
        WithJsonSchema({"type": "string", "format": "uri"}),
        Field(
            description="An https address on the internet that is told when the batch is done: Standard "
            "Webhooks 1.0.0, and the body is what `GET /v1/batches/{id}` answers.",
            examples=["https://example.org/hooks/avatars"],
        ),
    ] = ""
    name: Annotated[
        Words,
        WithJsonSchema({"type": "string", "maxLength": MAX_NAME_CHARACTERS}),
        Field(description="For the files that you take home.", examples=["Staff 2026"]),
    ] = ""

    def request(self, frames: FrameLibrary, most_photos: int) -> tuple[BatchRequest, AvatarSpec]:
        """Return what is asked for, and the spec that it comes to.

        Args:
            frames: The library that the spec refers to.
            most_photos: That a batch may have.

        Raises:
            InvalidSpec: Naming every field that is wrong.
        """
        pairs = tuple((field, value) for field, value in self.spec.items() if value != "")
        spec = parse_spec(pairs, frames, self._problems(most_photos))
        request = BatchRequest(
            spec=pairs, expected=self.expected, webhook=self.webhook or None, name=self.name.strip() or None
        )
        return request, spec

    def _problems(self, most_photos: int) -> Iterator[FieldProblem]:
        if self.expected is not None and not 1 <= self.expected <= most_photos:
            yield FieldProblem.of("expected", "out_of_range", minimum=1, maximum=most_photos)
        if self.webhook:
            try:
                check_url(self.webhook)
            except InvalidSpec as error:
                yield from error.problems
        if len(self.name) > MAX_NAME_CHARACTERS:
            yield FieldProblem.of("name", "too_long", maximum=MAX_NAME_CHARACTERS)
        if unseen := "".join(sign for sign in self.name if unicodedata.category(sign) == "Cc"):
            yield FieldProblem.of("name", "not_text", characters=(), codes=code_points(unseen))


class NewFraming(BaseModel):
    """Another crop. What is left out is as the batch and its table say."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"additionalProperties": False})

    x: Words = ""
    y: Words = ""
    zoom: Words = ""
    rotate: Words = ""
    flip: Words = ""
    faces: Words = ""

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return what is wished, in the words of the spec."""
        return tuple((field, getattr(self, field)) for field in WISHES if getattr(self, field) != "")


class NewDownload(BaseModel):
    """Which file."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"additionalProperties": False})

    file: Annotated[
        Words,
        WithJsonSchema({"type": "string", "enum": [*FILES]}),
        Field(description="Which file of the batch.", examples=["avatars.zip"]),
    ] = ""

    def chosen(self) -> str:
        """Return it.

        Raises:
            InvalidSpec: There is no such file.
        """
        if self.file not in FILES:
            raise InvalidSpec([FieldProblem.of("file", "not_one_of", choices=FILES)])
        return self.file


def body_schema(kind: type[BaseModel], fields: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return a body's JSON schema, without defaults, which generated programs would send by themselves.

    Args:
        kind: The body's model.
        fields: Schemas of those of its fields that are the spec's.
    """
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    schema["properties"] = {
        name: fields.get(name)
        or {key: value for key, value in told.items() if key not in {"default", "title"}}
        for name, told in schema["properties"].items()
    }
    return schema
