"""The number of avatars made, for everybody."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response  # noqa: TC002 - the same

from app.web.service import service_of
from app.web.state.counter import Tally

router = APIRouter()


@router.get("/v1/stats", summary="Count the avatars made", tags=["stats"])
async def show_stats(request: Request, response: Response) -> Tally:
    """How many avatars were made, and since when. Nothing is kept of who made them."""
    counter = service_of(request).counter
    response.headers["Cache-Control"] = "public, max-age=10"
    return Tally(avatars=counter.total, since=counter.since)
