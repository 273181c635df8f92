"""A batch and its photos as partners are shown them: the JSON of the API, and of the webhook alike."""

from __future__ import annotations

import math
from datetime import datetime  # noqa: TC003 - pydantic reads the annotation
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, Field

from app.texts.translations import translations_of

if TYPE_CHECKING:
    from app.bulk.opened import Batch, BatchPhoto
    from app.errors import RibbonsError
    from app.render.framing import Choice

BATCHES = "/v1/batches"
"""Where partners' batches are."""

BatchState = Literal["open", "running", "done"]
PhotoState = Literal["missing", "waiting", "done", "failed"]
FramingKind = Literal["faces", "head", "centre", "given"]

_ID = "b_4pT0yWq8rK2mZcVn"
_MOMENT = "2026-11-27T14:04:26Z"


def batch_path(batch: str) -> str:
    """Return where a batch is."""
    return f"{BATCHES}/{quote(batch)}"


class BatchLinks(BaseModel):
    """Where all that belongs to a batch is, on this service."""

    batch: Annotated[str, Field(description="The batch itself.", examples=[f"{BATCHES}/{_ID}"])]
    photos: Annotated[str, Field(description="Its photos; with a name behind it, one of them is sent there.")]
    archive: Annotated[str, Field(description="Takes a ZIP of photos.")]
    table: Annotated[str, Field(description="Takes a table that says something of each photo.")]
    start: Annotated[str, Field(description="Starts it.")]
    events: Annotated[str, Field(description="What happens, as it happens.")]
    report: Annotated[str, Field(description="What became of each photo, as CSV.")]
    avatars: Annotated[str, Field(description="All avatars in a ZIP, when it is done.")]
    contact_sheet: Annotated[str, Field(description="All avatars small, on one picture.")]
    downloads: Annotated[str, Field(description="Gives addresses that a browser can save from.")]

    @classmethod
    def of(cls, batch: str) -> Self:
        """Return a batch's own."""
        path = batch_path(batch)
        return cls(
            batch=path,
            photos=f"{path}/photos",
            archive=f"{path}/archive",
            table=f"{path}/table",
            start=f"{path}/start",
            events=f"{path}/events",
            report=f"{path}/report.csv",
            avatars=f"{path}/avatars.zip",
            contact_sheet=f"{path}/contact-sheet.webp",
            downloads=f"{path}/downloads",
        )


class ShownBatch(BaseModel):
    """A batch: what was asked for, and how far it is."""

    id: Annotated[str, Field(description="In its address.", examples=[_ID])]
    state: Annotated[
        BatchState,
        Field(
            description="`open` while photos are sent, `running` from the start, `done` when all are drawn."
        ),
    ]
    name: Annotated[
        str | None, Field(description="Of its results, as it was given.", examples=["Staff 2026"])
    ]
    spec: Annotated[
        dict[str, str],
        Field(
            description="What was asked for each avatar.", examples=[{"frame": "red-ribbons", "lang": "ar"}]
        ),
    ]
    expected: Annotated[int | None, Field(description="Photos that were to come.", examples=[3000])]
    received: Annotated[int, Field(description="Photos that have come.", examples=[3000])]
    waiting: Annotated[int, Field(description="Of these, those without an outcome yet.", examples=[1810])]
    done: Annotated[int, Field(description="Avatars that were drawn.", examples=[1187])]
    failed: Annotated[int, Field(description="Photos of which no avatar can be drawn.", examples=[3])]
    missing: Annotated[
        int, Field(description="Photos that the table names and nobody has sent.", examples=[0])
    ]
    rate: Annotated[float | None, Field(description="Photos drawn each second, of late.", examples=[31.4])]
    seconds_left: Annotated[int | None, Field(description="Until it is done, at this rate.", examples=[58])]
    created: Annotated[datetime, Field(examples=[_MOMENT])]
    started: Annotated[datetime | None, Field(examples=[_MOMENT])]
    finished: Annotated[datetime | None, Field(examples=[_MOMENT])]
    expires: Annotated[
        datetime, Field(description="When it is erased, with all that belongs to it.", examples=[_MOMENT])
    ]
    trouble: Annotated[
        str | None,
        Field(
            description="The `code` of what keeps it from going on, if anything does. It goes on by itself.",
            examples=["storage_full"],
        ),
    ]
    links: BatchLinks

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """Show a batch."""
        left = batch.seconds_left
        return cls(
            id=batch.id,
            state=batch.state,
            name=batch.request.name,
            spec=dict(batch.request.spec),
            expected=batch.request.expected,
            received=batch.received,
            waiting=batch.waiting,
            done=batch.done,
            failed=batch.failed,
            missing=batch.missing,
            rate=None if batch.rate is None else round(batch.rate, 2),
            seconds_left=None if left is None else math.ceil(left),
            created=batch.created,
            started=batch.started,
            finished=batch.finished,
            expires=batch.expires,
            trouble=batch.trouble,
            links=BatchLinks.of(batch.id),
        )


class ShownError(BaseModel):
    """Why something of a batch was not taken or not drawn; not the whole request."""

    code: Annotated[str, Field(description="Stable identifier, as of a problem.", examples=["photo_damaged"])]
    title: Annotated[str, Field(description="The kind of error, for the reader.", examples=["Damaged photo"])]
    detail: Annotated[str, Field(description="What was wrong, and what to do.")]

    @classmethod
    def of(cls, error: RibbonsError, language: str) -> Self:
        """Show an error to a reader."""
        title = translations_of(language).gettext(error.title)
        return cls(code=error.code, title=title, detail=error.reason(language))


class ShownFraming(BaseModel):
    """Which square of a photo its avatar shows, and how that was chosen."""

    kind: Annotated[
        FramingKind,
        Field(description="By its `faces`, by where a `head` mostly is, as its `centre`; or `given`."),
    ]
    x: Annotated[
        float, Field(description="Its centre, as a fraction of the photo's width.", examples=[0.512])
    ]
    y: Annotated[float, Field(description="The same of its height.", examples=[0.301])]
    zoom: Annotated[float, Field(description="1 is the largest square that fits.", examples=[1.4])]

    @classmethod
    def of(cls, choice: Choice) -> Self:
        """Show a choice."""
        return cls(kind=choice.kind, x=choice.x, y=choice.y, zoom=choice.zoom)


class ShownPhoto(BaseModel):
    """A photo of a batch, and what became of it."""

    number: Annotated[int, Field(description="In its batch, from 1 on, in order of coming.", examples=[17])]
    name: Annotated[str, Field(description="As it was sent, with folders.", examples=["staff/Abu Ali.heic"])]
    state: Annotated[
        PhotoState,
        Field(description="`missing` is named by the table and was not sent; `waiting` has no outcome yet."),
    ]
    error: Annotated[ShownError | None, Field(description="Why it `failed`.")]
    framing: Annotated[ShownFraming | None, Field(description="Of what was drawn.")]
    doubtful: Annotated[bool, Field(description="No face was found: somebody should look at the avatar.")]
    seconds: Annotated[float | None, Field(description="That drawing took.", examples=[0.061])]
    avatar: Annotated[
        str | None,
        Field(description="The avatar's name, in the ZIP.", examples=["staff/Abu Ali.jpg"]),
    ]

    @classmethod
    def of(cls, photo: BatchPhoto, language: str) -> Self:
        """Show a photo to a reader."""
        return cls(
            number=photo.number,
            name=photo.name,
            state=photo.state,
            error=None if photo.error is None else ShownError.of(photo.error, language),
            framing=None if photo.framing is None else ShownFraming.of(photo.framing),
            doubtful=photo.doubtful,
            seconds=None if photo.seconds is None else round(photo.seconds, 3),
            avatar=photo.avatar,
        )
