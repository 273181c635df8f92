"""What a partner takes home: avatars one by one or in a ZIP, a report, a contact sheet."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads the annotation
from itertools import chain
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from app.bulk.shown import BATCHES, batch_path
from app.errors import BatchNotDone
from app.web.api.batch_bodies import FILES, NewDownload
from app.web.api.batches import described
from app.web.api.batches.access import (
    Asking,
    BatchId,
    Download,
    PhotoName,
    desk_of,
    downloading,
    exact_name,
)
from app.web.http.file_names import disposition
from app.web.http.json_bodies import read_json
from app.web.http.problems import language_of
from app.web.http.ranges import is_known, part_asked_for
from app.web.streams import ReadAhead, in_blocks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from app.bulk.batches import Batches
    from app.bulk.opened import Partner
    from app.bulk.parcel import Parcel

# Faces of members: nobody's cache keeps them.
_PRIVATE = {"Cache-Control": "private, no-store", "X-Robots-Tag": "noindex"}

router = APIRouter()


class ShownDownload(BaseModel):
    """An address that a browser can save a file from."""

    url: Annotated[str, Field(description="On this service. It needs no key, so show it to nobody else.")]
    expires: Annotated[
        datetime, Field(description="Until when a download may begin; one that has begun goes on.")
    ]


async def _in_its_place(
    request: Request, asking: Annotated[Download, Depends(downloading("avatars.zip"))]
) -> AsyncIterator[Download]:
    """Hold a place for a download, until the last byte is sent or the client has left: FastAPI ends it then.

    Raises:
        TooManyAtOnce: The partner has as many as it may.
        Busy: All partners together have.
    """
    with desk_of(request).downloads.held(asking.partner):
        yield asking


@router.get(
    f"{BATCHES}/{{batch}}/avatars.zip",
    summary="Download all avatars",
    response_class=Response,
    responses=described.ZIP_RESPONSES,
    openapi_extra=described.RANGE_REQUEST,
)
async def download_avatars(
    request: Request, batch: BatchId, asking: Annotated[Download, Depends(_in_its_place, scope="request")]
) -> Response:
    """All avatars in a ZIP, made as it is sent. Its length is told, and a download that broke off goes on.

    For that send the `ETag` in `If-Range`, and what you lack as a `Range` of bytes. A few at a time.
    """
    desk = desk_of(request)
    parcel, name = await desk.read(_parcel, desk.batches, asking.partner, batch)
    tag = f'"{parcel.tag}"'
    headers = {
        **_PRIVATE,
        "ETag": tag,
        "Content-Disposition": disposition("attachment", f"{name or 'avatars'}.zip"),
    }
    if is_known(request.headers, tag):
        return Response(status_code=304, headers=headers)
    part = part_asked_for(request.headers, parcel.length, tag)
    return ReadAhead(
        parcel.read(part.start, part.stop),
        desk.readers,
        status=part.status,
        headers={**headers, **part.headers},
        media_type="application/zip",
    )


def _parcel(batches: Batches, partner: Partner, batch: str) -> tuple[Parcel, str | None]:
    return batches.parcel(partner, batch), batches.get(partner, batch).request.name


@router.get(
    f"{BATCHES}/{{batch}}/report.csv",
    summary="Download the report",
    response_class=Response,
    responses=described.REPORT_RESPONSES,
)
async def download_report(
    request: Request, batch: BatchId, asking: Annotated[Download, Depends(downloading("report.csv"))]
) -> Response:
    """A row for each photo, as CSV (UTF-8): your table's own columns, and what became of it."""
    desk = desk_of(request)
    found = await desk.read(desk.batches.get, asking.partner, batch)
    lines = in_blocks(await desk.read(desk.batches.report, asking.partner, batch, asking.language))
    # What goes wrong at the beginning still has a status.
    first = await desk.read(next, lines, b"")
    headers = {
        **_PRIVATE,
        "Content-Disposition": disposition("attachment", f"{found.request.name or 'report'}.csv"),
        "Content-Language": asking.language,
    }
    return ReadAhead(
        chain([first], lines),
        desk.readers,
        headers=headers,
        media_type="text/csv; charset=utf-8; header=present",
    )


@router.post(
    f"{BATCHES}/{{batch}}/downloads",
    summary="Make an address for a download",
    status_code=201,
    responses=described.DOWNLOAD_RESPONSES,
    openapi_extra=described.DOWNLOAD_REQUEST,
)
async def make_download(
    request: Request, response: Response, partner: Asking, batch: BatchId
) -> ShownDownload:
    """An address from which a browser saves a file by itself: that cannot send a key. It is good for minutes.

    The report will be in the language that this request asks for.
    """
    desk = desk_of(request)
    file = (await read_json(request, NewDownload)).chosen()
    language = language_of(request)
    found = await desk.read(desk.batches.get, partner, batch)
    if file == FILES[0]:
        if found.state != "done":
            raise BatchNotDone(waiting=found.waiting)
        # Whoever is led there sees no problem but in place of the page: it is told here, where it can wait.
        desk.downloads.refuse_if_full(partner)
    token, expires = await desk.read(desk.batches.download_token, partner, batch, file, language)
    response.headers["Cache-Control"] = "no-store"
    return ShownDownload(url=f"{batch_path(batch)}/{file}?token={token}", expires=expires)


@router.get(
    f"{BATCHES}/{{batch}}/contact-sheet.webp",
    summary="See all avatars at once",
    response_class=Response,
    responses=described.SHEET_RESPONSES,
)
async def show_contact_sheet(request: Request, partner: Asking, batch: BatchId) -> Response:
    """All avatars small on one picture, in the report's order; the doubtful ones are marked."""
    desk = desk_of(request)
    found = await desk.read(desk.batches.get, partner, batch)
    content = await desk.draw(desk.batches.contact_sheet, partner, batch)
    name = disposition("inline", f"{found.request.name or 'contact-sheet'}.webp")
    return Response(content, headers={**_PRIVATE, "Content-Disposition": name}, media_type="image/webp")


@router.get(
    f"{BATCHES}/{{batch}}/avatars/{{name:path}}",
    summary="Download an avatar",
    response_class=Response,
    responses=described.BATCH_AVATAR_RESPONSES,
)
async def download_avatar(request: Request, partner: Asking, batch: BatchId, name: PhotoName) -> Response:
    """The avatar of one photo, by the photo's name."""
    desk = desk_of(request)
    name = exact_name(request, name)
    content, media_type = await desk.read(desk.batches.avatar, partner, batch, name)
    return Response(content, headers=_PRIVATE, media_type=media_type)


@router.get(
    f"{BATCHES}/{{batch}}/thumbnails/{{name:path}}",
    summary="See an avatar small",
    response_class=Response,
    responses=described.THUMBNAIL_RESPONSES,
)
async def show_thumbnail(request: Request, partner: Asking, batch: BatchId, name: PhotoName) -> Response:
    """The avatar of one photo as a JPEG of 160 pixels, by the photo's name."""
    desk = desk_of(request)
    name = exact_name(request, name)
    content = await desk.read(desk.batches.thumbnail, partner, batch, name)
    return Response(content, headers=_PRIVATE, media_type="image/jpeg")
