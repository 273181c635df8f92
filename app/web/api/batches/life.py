"""A batch's life: made, started, shown, erased."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from app.bulk.shown import BATCHES, ShownBatch
from app.lanes import Lane
from app.web.api.batch_bodies import NewBatch
from app.web.api.batches import described
from app.web.api.batches.access import Asking, BatchId, desk_of
from app.web.batch_desk import party_of
from app.web.http.idempotency import idempotency_key
from app.web.http.json_bodies import read_json
from app.web.orders import run_while_connected
from app.web.service import service_of

if TYPE_CHECKING:
    from app.bulk.opened import Partner
    from app.spec import AvatarSpec

router = APIRouter()


class ShownBatches(BaseModel):
    """A partner's batches."""

    batches: Annotated[list[ShownBatch], Field(description="The newest first.")]


@router.post(
    BATCHES,
    summary="Make a batch",
    status_code=201,
    responses=described.NEW_BATCH_RESPONSES,
    openapi_extra=described.NEW_BATCH_REQUEST,
)
async def make_batch(request: Request, response: Response, partner: Asking) -> ShownBatch:
    """Say how the avatars should look. Then send photos, a table if you have one, and start it.

    With an `Idempotency-Key` you may send the same request again for 24 hours, and no second batch is made.
    """
    desk = desk_of(request)
    key = idempotency_key(request)
    body = await read_json(request, NewBatch)
    wanted, spec = body.request(service_of(request).drawing.frames, desk.max_batch_photos)
    idempotency = (key, _fingerprint(body)) if key else None
    with desk.answering(partner, key):
        if spec.slogan:
            await _prove(request, partner, spec)
        shown = ShownBatch.of(await desk.write(desk.batches.create, partner, wanted, idempotency))
    response.headers["Location"] = shown.links.batch
    response.headers["Cache-Control"] = "no-store"
    return shown


async def _prove(request: Request, partner: Partner, spec: AvatarSpec) -> None:
    """Draw a slogan of the partner's own once, small: it is not to fail for each of thousands of photos.

    Raises:
        SpecError: It cannot be drawn.
    """
    drawing = service_of(request).drawing
    small = spec.model_copy(update={"size": drawing.studio.smallest_side})
    job = partial(drawing.studio.draw_specimen, small)
    party = party_of(partner)
    drawing.pool.refuse_if_full(Lane.PAGE, party)
    await run_while_connected(request, partial(drawing.pool.run, job, lane=Lane.PAGE, party=party))


def _fingerprint(body: NewBatch) -> bytes:
    """Return a digest of what is asked for, however it was spaced and ordered."""
    return hashlib.sha256(json.dumps(body.model_dump(), sort_keys=True).encode()).digest()


@router.get(BATCHES, summary="List your batches", responses=described.PARTNER_RESPONSES)
async def list_batches(request: Request, response: Response, partner: Asking) -> ShownBatches:
    """Those that are not erased yet."""
    desk = desk_of(request)
    batches = await desk.read(desk.batches.all, partner)
    response.headers["Cache-Control"] = "no-store"
    return ShownBatches(batches=[ShownBatch.of(batch) for batch in batches])


@router.get(f"{BATCHES}/{{batch}}", summary="Show a batch", responses=described.BATCH_RESPONSES)
async def show_batch(request: Request, response: Response, partner: Asking, batch: BatchId) -> ShownBatch:
    """How far it is. To follow it, ask for its events instead of this again and again."""
    desk = desk_of(request)
    response.headers["Cache-Control"] = "no-store"
    return ShownBatch.of(await desk.read(desk.batches.get, partner, batch))


@router.post(
    f"{BATCHES}/{{batch}}/start",
    summary="Start a batch",
    status_code=202,
    responses=described.START_RESPONSES,
)
async def start_batch(
    request: Request,
    response: Response,
    partner: Asking,
    batch: BatchId,
    without_missing: Annotated[
        bool | None,
        Query(description="Start although photos are missing that the table names, or that were expected."),
    ] = None,
) -> ShownBatch:
    """Have its photos drawn. From then on nothing more is taken for it; to start it again changes nothing."""
    desk = desk_of(request)
    started = await desk.write(desk.batches.start, partner, batch, without_missing=bool(without_missing))
    response.headers["Cache-Control"] = "no-store"
    return ShownBatch.of(started)


@router.delete(
    f"{BATCHES}/{{batch}}",
    summary="Erase a batch",
    status_code=204,
    response_class=Response,
    responses=described.ERASE_RESPONSES,
)
async def erase_batch(request: Request, partner: Asking, batch: BatchId) -> Response:
    """Cancel what is not drawn, and erase everything: its key first, so that no copy of it can be read."""
    desk = desk_of(request)
    await desk.write(desk.batches.erase, partner, batch)
    return Response(status_code=204, headers={"Cache-Control": "no-store"})
