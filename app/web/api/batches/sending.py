"""What a partner sends for a batch: photos one by one, a ZIP of them, a table, another crop for one photo."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Self, TypeVar
from urllib.parse import quote

import anyio
from anyio import from_thread
from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from app.bulk.shown import BATCHES, ShownError, ShownPhoto, batch_path
from app.bulk.table import TableLimits
from app.errors import (
    ArchiveTooLarge,
    BatchNotOpen,
    FieldProblem,
    InvalidSpec,
    MalformedRequest,
    TableNotReadable,
    TableTooLarge,
    UploadTimedOut,
)
from app.web.api.batch_bodies import NewFraming
from app.web.api.batches import described
from app.web.api.batches.access import (
    Asking,
    BatchId,
    PhotoName,
    desk_of,
    exact_name,
    tell_quota,
)
from app.web.batch_desk import party_of
from app.web.http.digests import ContentDigest
from app.web.http.json_bodies import read_json
from app.web.http.problems import language_of
from app.web.http.uploads import Most, refuse_by_length, refuse_packed
from app.web.service import service_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from app.bulk.batches import TableReceipt
    from app.bulk.incoming import ArchiveReceipt, Incoming
    from app.bulk.opened import Partner
    from app.web.batch_desk import BatchDesk

_Receipt = TypeVar("_Receipt")

# Of a ZIP, so much is put together before a thread takes it on; and has to come in the time that a photo has.
_PIECE_BYTES = 1 << 20

_MAX_COLUMNS = 32

MOST_TOLD = 1000
"""Rows of a table, or files of a ZIP, that an answer names. 100,000 with their reasons would have 18 MB."""

router = APIRouter()


class ShownRefusal(BaseModel):
    """A file of a ZIP that was not taken."""

    name: Annotated[str, Field(description="In the ZIP.", examples=["notes.zip"])]
    error: ShownError


class ShownReceipt(BaseModel):
    """What a ZIP came to."""

    taken: Annotated[int, Field(description="Photos that are in the batch now.", examples=[2998])]
    skipped: Annotated[
        list[str],
        Field(
            description="What is no photo, and no loss: `Thumbs.db`, macOS resource forks, hidden files. "
            f"The first {MOST_TOLD:,}."
        ),
    ]
    skipped_in_all: Annotated[int, Field(description="How many there are of these.", examples=[4])]
    refused: Annotated[list[ShownRefusal], Field(description=f"What was not taken: the first {MOST_TOLD:,}.")]
    refused_in_all: Annotated[int, Field(description="How many there are of these.", examples=[1])]

    @classmethod
    def of(cls, receipt: ArchiveReceipt, language: str) -> Self:
        """Show what a ZIP came to, to a reader."""
        return cls(
            taken=receipt.taken,
            skipped=receipt.skipped[:MOST_TOLD],
            skipped_in_all=len(receipt.skipped),
            refused=[
                ShownRefusal(name=name, error=ShownError.of(error, language))
                for name, error in receipt.refused[:MOST_TOLD]
            ],
            refused_in_all=len(receipt.refused),
        )


class ShownRowProblem(BaseModel):
    """What is wrong with a row of a table."""

    line: Annotated[int, Field(description="In the file; the headings are in line 1.", examples=[12])]
    photo: Annotated[str, Field(description="The photo that it names.", examples=["staff/Abu Ali.heic"])]
    error: ShownError


class ShownTable(BaseModel):
    """What a table came to."""

    rows: Annotated[int, Field(description="That it has.", examples=[3000])]
    problems: Annotated[
        list[ShownRowProblem],
        Field(
            description="Their photos would fail: send the table again, put right, or start all the same. "
            f"The first {MOST_TOLD:,}."
        ),
    ]
    problems_in_all: Annotated[int, Field(description="How many there are of these.", examples=[1])]

    @classmethod
    def of(cls, receipt: TableReceipt, language: str) -> Self:
        """Show what a table came to, to a reader."""
        return cls(
            rows=receipt.rows,
            problems=[
                ShownRowProblem(
                    line=problem.line, photo=problem.photo, error=ShownError.of(problem.error, language)
                )
                for problem in receipt.problems[:MOST_TOLD]
            ],
            problems_in_all=len(receipt.problems),
        )


@router.put(
    f"{BATCHES}/{{batch}}/photos/{{name:path}}",
    summary="Send a photo",
    responses=described.SEND_PHOTO_RESPONSES,
    openapi_extra=described.SEND_PHOTO_REQUEST,
)
async def send_photo(
    request: Request, response: Response, partner: Asking, batch: BatchId, name: PhotoName
) -> ShownPhoto:
    """Send one photo as the body. Many at once are welcome, in any order.

    Sent again under the same name it replaces itself: after a broken line, send what you had no answer for.
    With a `Content-Digest` (RFC 9530, `sha-256` or `sha-512`) it is taken only if it came as it was sent.
    """
    desk = desk_of(request)
    name = exact_name(request, name)
    digest = ContentDigest.of(request)
    _refuse_form(request)
    # Before a byte of it is read: most of what can be wrong with it is known already.
    is_known = await desk.read(desk.batches.has_photo, partner, batch, name)
    if not is_known:
        await desk.refuse_if_used_up(partner)
    async with service_of(request).uploads.receive_body(request, party_of(partner)) as upload:
        await desk.read(_check, digest, upload.photo)
        if not is_known:  # counted when it is here: a broken line costs nothing
            tell_quota(request, await desk.quotas.take(partner))
        photo, is_new = await desk.write(desk.batches.receive_photo, partner, batch, name, upload.photo)
    response.status_code = 201 if is_new else 200
    if is_new:
        response.headers["Location"] = f"{batch_path(batch)}/photos/{quote(photo.name)}"
    response.headers["Cache-Control"] = "no-store"
    return ShownPhoto.of(photo, language_of(request))


def _check(digest: ContentDigest, content: bytes) -> None:
    digest.update(content)
    digest.check()


def _refuse_form(request: Request) -> None:
    """Refuse a form: kept as it comes, it would be told of as no photo when the batch is done."""
    if request.headers.get("content-type", "").strip().lower().startswith("multipart/"):
        raise MalformedRequest.not_bare()


@router.put(
    f"{BATCHES}/{{batch}}/archive",
    summary="Send a ZIP of photos",
    response_model=ShownReceipt,
    responses=described.SEND_ARCHIVE_RESPONSES,
    openapi_extra=described.SEND_ARCHIVE_REQUEST,
)
async def send_archive(request: Request, partner: Asking, batch: BatchId) -> Response:
    """Send a ZIP as the body, of any length: it is taken in as it comes. You may send several.

    What cannot be taken of it is named, up to a thousand files, and the rest is in the batch. After a broken
    line it has to be sent again from its beginning; photos sent one by one do not.
    """
    desk = desk_of(request)
    digest = ContentDigest.of(request)
    refuse_packed(request)
    _refuse_form(request)
    over = partial(ArchiveTooLarge.over, desk.max_archive_bytes)
    refuse_by_length(request, desk.max_archive_bytes, over)
    await desk.refuse_if_used_up(partner)
    with desk.archives.held(partner):
        incoming = await desk.write(desk.batches.archive_writer, partner, batch)
        try:
            async for piece in _pieces(request, service_of(request).uploads.timeout):
                await desk.write(_write, incoming, piece, digest)
            receipt = await desk.write(_finish, desk, partner, incoming, digest)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await desk.write(incoming.abandon)
            raise
    tell_quota(request, await desk.quotas.state(partner))
    return await desk.read(_told, ShownReceipt.of, receipt, language_of(request))


def _write(incoming: Incoming, piece: bytes, digest: ContentDigest) -> None:
    digest.update(piece)
    incoming.write(piece)


def _finish(desk: BatchDesk, partner: Partner, incoming: Incoming, digest: ContentDigest) -> ArchiveReceipt:
    """Take the photos out of a ZIP that has come; none of them, where the quota has not room for all."""
    digest.check()

    def charge(photos: int) -> None:
        from_thread.run(desk.quotas.take, partner, photos)

    return incoming.finish(charge)


async def _pieces(request: Request, seconds: float) -> AsyncIterator[bytes]:
    """Yield a body in pieces that are worth a thread's time, each of which has so many seconds to come in.

    Raises:
        UploadTimedOut: One did not: a whole body may take as long as it needs, but it may not stand still.
    """
    body = aiter(request.stream())
    is_there = True
    while is_there:
        piece = bytearray()
        try:
            with anyio.fail_after(seconds):
                while is_there and len(piece) < _PIECE_BYTES:
                    chunk = await anext(body, None)
                    is_there = chunk is not None
                    piece += chunk or b""
        except TimeoutError:
            raise UploadTimedOut(seconds=seconds) from None
        if piece:
            yield bytes(piece)


def _told(show: Callable[[_Receipt, str], BaseModel], receipt: _Receipt, language: str) -> Response:
    """Make the answer. In a thread: a thousand reasons in words are too much for the loop that serves all."""
    content = show(receipt, language).model_dump_json()
    return Response(content, headers={"Cache-Control": "no-store"}, media_type="application/json")


@router.put(
    f"{BATCHES}/{{batch}}/table",
    summary="Send a table",
    response_model=ShownTable,
    responses=described.SEND_TABLE_RESPONSES,
    openapi_extra=described.SEND_TABLE_REQUEST,
)
async def send_table(
    request: Request,
    partner: Asking,
    batch: BatchId,
    column: Annotated[
        list[str] | None,
        Query(
            description="Which of its columns is which of ours, as `ours=theirs`, where the headings do not "
            "say it: `photo` and the spec's fields. As often as there are such columns.",
            examples=[["photo=الصورة", "slogan=شعار"]],
        ),
    ] = None,
) -> Response:
    """Send a CSV or XLSX as the body: a row for each photo, with what the spec shall be for it.

    Its other columns come back in the report. Rows that are wrong are told, up to a thousand. Photos that it
    names and nobody has sent are told before the start. Another table takes its place.
    """
    desk = desk_of(request)
    digest = ContentDigest.of(request)
    _refuse_form(request)
    mapping = _mapping(column or [])
    if (await desk.read(desk.batches.get, partner, batch)).state != "open":
        raise BatchNotOpen
    too_large = partial(TableTooLarge, limit=desk.max_batch_photos)
    most = Most(TableLimits().bytes, too_large, TableNotReadable)
    async with service_of(request).uploads.receive_body(request, party_of(partner), most) as upload:
        await desk.read(_check, digest, upload.photo)
        receipt = await desk.write(desk.batches.set_table, partner, batch, upload.photo, mapping)
    return await desk.read(_told, ShownTable.of, receipt, language_of(request))


def _mapping(columns: Sequence[str]) -> dict[str, str]:
    pairs = [column.partition("=") for column in columns]
    mapping = {ours.strip(): theirs.strip() for ours, _, theirs in pairs}
    if (
        len(mapping) < len(columns)
        or len(columns) > _MAX_COLUMNS
        or not all(equals for _, equals, _ in pairs)
    ):
        raise InvalidSpec([FieldProblem.of("column", "not_a_column")])
    return mapping


@router.post(
    f"{BATCHES}/{{batch}}/photos/{{name:path}}/framing",
    summary="Frame a photo anew",
    status_code=202,
    responses=described.FRAMING_RESPONSES,
    openapi_extra=described.FRAMING_REQUEST,
)
async def frame_photo(
    request: Request, response: Response, partner: Asking, batch: BatchId, name: PhotoName
) -> ShownPhoto:
    """Have one photo of a batch drawn again with another crop. Until it is drawn the batch is `running`."""
    desk = desk_of(request)
    name = exact_name(request, name, "/framing")
    body = await read_json(request, NewFraming)
    photo = await desk.write(desk.batches.reframe, partner, batch, name, body.pairs())
    response.headers["Cache-Control"] = "no-store"
    return ShownPhoto.of(photo, language_of(request))
