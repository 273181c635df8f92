"""What became of each photo so far: page by page, or told as it happens."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, NamedTuple

import anyio
from fastapi import APIRouter, Header, Query
from fastapi.responses import Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from pydantic import BaseModel, Field, WithJsonSchema
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from app.bulk.shown import BATCHES, ShownBatch, ShownPhoto, batch_path
from app.errors import BatchNotFound, CapacityError, FieldProblem, InvalidSpec
from app.web.api.batches import described
from app.web.api.batches.access import Asking, BatchId, PhotoName, desk_of
from app.web.http.json_bodies import Whole, in_range
from app.web.http.problems import language_of
from app.web.state.watches import PAGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from app.bulk.batches import Batches
    from app.bulk.opened import Batch, BatchPhoto, Partner
    from app.web.batch_desk import BatchDesk
    from app.web.state.watches import Watch

_HEARTBEAT_SECONDS = 15.0
_MOST_PHOTOS = 1000
_USUAL_PHOTOS = 200
_HIGHEST = 2**31 - 1
"""Of photos and outcomes in a batch there are fewer, whatever a database can count."""

_Number = Annotated[
    Whole,
    in_range(0, _HIGHEST),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": _HIGHEST}),
]
_Limit = Annotated[
    Whole,
    in_range(1, _MOST_PHOTOS),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": _MOST_PHOTOS}),
]

_STREAM_HEADERS = {
    "Cache-Control": "no-store",
    # nginx would collect what comes until there is a page of it.
    "X-Accel-Buffering": "no",
}

router = APIRouter()


class ShownPhotos(BaseModel):
    """Some photos of a batch, in the order in which they came."""

    photos: list[ShownPhoto]
    next: Annotated[
        str | None,
        Field(
            description="Where the next ones are; null behind the last one.",
            examples=[f"{BATCHES}/b_4pT0yWq8rK2mZcVnB1xYzA/photos?after=200&limit=200"],
        ),
    ]


@router.get(
    f"{BATCHES}/{{batch}}/photos", summary="List a batch's photos", responses=described.PHOTOS_RESPONSES
)
async def list_photos(  # noqa: PLR0913, PLR0917 - FastAPI calls it by keywords
    request: Request,
    response: Response,
    partner: Asking,
    batch: BatchId,
    after: Annotated[_Number, Query(description="Those with a higher `number` than this.")] = None,
    limit: Annotated[_Limit, Query(description=f"At most so many; `{_USUAL_PHOTOS}` unless given.")] = None,
) -> ShownPhotos:
    """Each photo, whether it was sent, and what became of it."""
    desk = desk_of(request)
    most = limit or _USUAL_PHOTOS
    photos = await desk.read(desk.batches.photos, partner, batch, after=after or 0, limit=most)
    response.headers["Cache-Control"] = "no-store"
    following = f"{batch_path(batch)}/photos?after={photos[-1].number}&limit={most}" if photos else None
    return ShownPhotos(
        photos=[ShownPhoto.of(photo, language_of(request)) for photo in photos],
        next=following if len(photos) == most else None,
    )


@router.get(
    f"{BATCHES}/{{batch}}/photos/{{name:path}}",
    summary="Show a photo of a batch",
    responses=described.PHOTO_RESPONSES,
)
async def show_photo(
    request: Request, response: Response, partner: Asking, batch: BatchId, name: PhotoName
) -> ShownPhoto:
    """Whether it has come, and what became of it."""
    desk = desk_of(request)
    response.headers["Cache-Control"] = "no-store"
    photo = await desk.read(desk.batches.photo, partner, batch, name)
    return ShownPhoto.of(photo, language_of(request))


@router.get(
    f"{BATCHES}/{{batch}}/events",
    summary="Follow a batch",
    # Not FastAPI's own loop, which the other class asks for: it sends each event by itself, through two tasks
    # more, and has no way to refuse before it has begun.
    response_class=Response,
    responses=described.EVENTS_RESPONSES,
)
async def follow_batch(
    request: Request,
    partner: Asking,
    batch: BatchId,
    last_event_id: Annotated[
        _Number, Query(description="The same as the header, for who cannot send that.")
    ] = None,
    last_event: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description="The `id` of the last `photo` that you know."),
    ] = None,
) -> EventSourceResponse:
    """What happens, as server-sent events.

    `photo` is the outcome of a photo; its `id` is where to go on from after a broken line. `state` is the
    batch itself: at the beginning, and whenever something has changed, once a second at most. A comment comes
    every 15 seconds where nothing else does. The stream ends after the `state` that is `done`.
    """
    desk = desk_of(request)
    after = _outcome_of(last_event) or last_event_id or 0
    found = await desk.read(desk.batches.get, partner, batch)
    desk.watches.refuse_if_full(partner)
    events = _events(desk, partner, found, after, language_of(request))
    return EventSourceResponse(events, headers=_STREAM_HEADERS)


def _outcome_of(header: str | None) -> int | None:
    """Return which outcome a header names; none where it is empty, as a browser's may be.

    Raises:
        InvalidSpec: It is no outcome's number.
    """
    text = (header or "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and int(text) <= _HIGHEST):
        raise InvalidSpec([FieldProblem.of("Last-Event-ID", "not_an_integer")])
    return int(text)


async def _events(
    desk: BatchDesk, partner: Partner, batch: Batch, after: int, language: str
) -> AsyncIterator[bytes]:
    """Yield events, several in one piece where they come together, until the batch is done."""
    # Where it fails there is no status to be told any more. Whoever comes again is told what it is.
    with suppress(CapacityError, BatchNotFound), desk.watches.held(partner):
        yield _state(batch)
        # What came before is read for this one alone, page by page.
        is_behind = True
        while is_behind:
            page = await desk.read(_page, desk.batches, partner, batch.id, after, language)
            if page.content:
                yield page.content
            after, is_behind = page.last, page.is_full
        if batch.state == "done":
            return
        with desk.watches.following(partner, batch, after) as watch:
            async for piece in _watched(desk, watch, batch, after, language):
                yield piece


async def _watched(
    desk: BatchDesk, watch: Watch, told: Batch, after: int, language: str
) -> AsyncIterator[bytes]:
    """Yield what comes after an outcome, and the batch wherever it differs from what was told.

    A hundred who follow one batch are mostly told the same. It is written once for all of them, in a thread.
    """
    seen = watch.batch
    while True:
        change = watch.change()
        photos = await watch.after(after)
        if photos:
            key = after, photos[-1].event, language
            yield await watch.once(key, partial(desk.read, _photos, photos, language))
            after = photos[-1].event
            if after < watch.reached:
                continue
        if watch.batch is not seen:
            seen = watch.batch
            if seen != told:
                told = seen
                # Asked for before anything is waited for: it is the batch of the last look.
                yield await watch.once("state", partial(desk.read, _state, told))
        if watch.is_over or (told.state == "done" and after >= watch.reached):
            return
        if not await _comes(change):
            yield KEEPALIVE_COMMENT


async def _comes(change: anyio.Event) -> bool:
    with anyio.move_on_after(_HEARTBEAT_SECONDS):
        await change.wait()
        return True
    return False


class _Page(NamedTuple):
    """Outcomes as events.

    Attributes:
        content: The events.
        last: The last outcome.
        is_full: Whether there may be more.
    """

    content: bytes
    last: int
    is_full: bool


def _page(batches: Batches, partner: Partner, batch: str, after: int, language: str) -> _Page:
    """Read and write the events after an outcome: in a thread."""
    photos = batches.events(partner, batch, after=after, limit=PAGE)
    last = photos[-1].event if photos else after
    return _Page(_photos(photos, language), last, is_full=len(photos) == PAGE)


def _state(batch: Batch) -> bytes:
    return format_sse_event(event="state", data_str=ShownBatch.of(batch).model_dump_json())


def _photos(photos: Sequence[BatchPhoto], language: str) -> bytes:
    return b"".join(
        format_sse_event(
            event="photo",
            data_str=ShownPhoto.of(photo, language).model_dump_json(),
            id=str(photo.event),
        )
        for photo in photos
    )
