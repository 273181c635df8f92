"""Whether the service lives, whether it can draw, and what it has counted."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from app.lanes import Lane
from app.web.api import openapi
from app.web.service import service_of

# An avatar that was drawn this recently is proof enough: probes cost nothing under load, cannot be used to
# make load, and are answered when the queue is full of work that gets done.
_PROOF_SECONDS = 1.0

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Alive", response_class=Response, responses=openapi.TEXT_RESPONSES)
async def is_alive() -> Response:
    """The web process answers."""
    return Response("ok\n", media_type="text/plain", headers={"Cache-Control": "no-store"})


@router.get("/readyz", summary="Ready", response_class=Response, responses=openapi.READY_RESPONSES)
async def is_ready(request: Request) -> Response:
    """A worker has drawn an avatar within the last second, or draws one now; Redis has been reached."""
    service = service_of(request)
    # Once is enough. A replica that has never reached Redis may have a wrong address or password: deployment
    # stops here. When Redis goes away later, all replicas lose it at once, and none being ready would take
    # down the API too, which needs no Redis. The pages say so; ribbons_redis_failures_total tells us.
    if service.store and not service.store.has_answered:
        await service.store.ping()
    async with service.probing:
        if not service.drawing.pool.succeeded_within(_PROOF_SECONDS):
            spec = service.drawing.specimen.model_copy(update={"size": service.drawing.studio.smallest_side})
            job = partial(service.drawing.studio.draw_specimen, spec)
            service.drawing.pool.refuse_if_full(Lane.PAGE)
            await service.drawing.pool.run(job, lane=Lane.PAGE)
    return Response("ok\n", media_type="text/plain", headers={"Cache-Control": "no-store"})


@router.get("/metrics", summary="Metrics", response_class=Response, responses=openapi.TEXT_RESPONSES)
async def show_metrics(request: Request) -> Response:
    """Counts and durations for Prometheus."""
    content = service_of(request).metrics.exposition()
    return Response(content, media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
