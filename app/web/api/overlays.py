"""The frames' own pictures, transparent where the photo shows: what a page lays over its preview."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from app.errors import FieldProblem
from app.lanes import Lane
from app.spec import AvatarSpec, parse_spec
from app.web.addresses import VERSION_FIELD, is_shown_by_pages, overlay_tag, overlay_version
from app.web.api import openapi
from app.web.api.frames import FrameId  # noqa: TC001 - FastAPI reads the annotation
from app.web.orders import fields_of, run_while_connected
from app.web.service import service_of

if TYPE_CHECKING:
    from app.frames import Frame, FrameLibrary
    from app.spec import Format
    from app.web.http.uploads import Fields

_FIELDS = ("lang", "slogan", "size", "shape")
_MAX_VERSION_CHARACTERS = 64

_A_DAY = "public, max-age=86400"
_FOR_EVER = "public, max-age=31536000, immutable"
# A supporter's own words are theirs: no cache on the way may keep them, and the browser not for long.
_NOT_SHARED = "private, max-age=3600"

_MANY_WAITING = 8
"""Missing pictures that may wait for a worker although the queue is full."""

router = APIRouter()


@router.get(
    "/v1/frames/{frame_id}/overlay.png",
    summary="Draw a frame by itself",
    tags=["frames"],
    response_class=Response,
    responses=openapi.overlay_responses("image/png"),
    openapi_extra={"parameters": openapi.overlay_parameters(_FIELDS)},
)
async def draw_overlay_png(request: Request, frame_id: FrameId) -> Response:
    """The frame with its slogan, transparent where the photo shows: what a page lays over its preview.

    With the `ETag` of a picture that you have in `If-None-Match`, the answer is 304 while it is the newest.
    """
    return await _answer(request, frame_id, "png")


@router.get(
    "/v1/frames/{frame_id}/overlay.webp",
    summary="Draw a frame by itself, in few bytes",
    tags=["frames"],
    response_class=Response,
    responses=openapi.overlay_responses("image/webp"),
    openapi_extra={"parameters": openapi.overlay_parameters(_FIELDS)},
)
async def draw_overlay_webp(request: Request, frame_id: FrameId) -> Response:
    """The same picture as the PNG in a fifth of its bytes, for previews; the difference is hardly seen."""
    return await _answer(request, frame_id, "webp")


async def _answer(request: Request, frame_id: str, picture_format: Format) -> Response:
    service = service_of(request)
    frame = service.drawing.frames.get(frame_id)
    given = fields_of(request)
    spec = _read_request(given, frame, service.drawing.frames, picture_format)
    tag = overlay_tag(service.drawing.revision, frame, spec)
    is_current = (VERSION_FIELD, overlay_version(service.drawing.revision, frame)) in given
    headers = {"ETag": f'"{tag}"', "Cache-Control": _cache_control(spec, is_current=is_current)}
    condition = request.headers.get("if-none-match", "")
    # Compared weakly, as RFC 9110 (13.1.2) asks: caches and proxies may have weakened ours.
    if f'"{tag}"' in re.findall(r'"[^"]*"', condition):
        return Response(status_code=304, headers=headers)
    content = await _draw(request, spec, tag)
    if condition.strip() == "*":  # any picture that there is; only drawing tells whether there is one
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=f"image/{picture_format}")


def _read_request(given: Fields, frame: Frame, frames: FrameLibrary, picture_format: Format) -> AvatarSpec:
    known = (*_FIELDS, VERSION_FIELD)
    problems = [
        FieldProblem.of(name[:64], "unknown", choices=known) for name, _ in given if name not in known
    ]
    versions = {value for name, value in given if name == VERSION_FIELD}
    if len(versions) > 1:
        problems.append(FieldProblem.of(VERSION_FIELD, "repeated"))
    if any(len(version) > _MAX_VERSION_CHARACTERS for version in versions):
        problems.append(FieldProblem.of(VERSION_FIELD, "too_long", maximum=_MAX_VERSION_CHARACTERS))
    asked = [pair for pair in given if pair[0] in _FIELDS]
    return parse_spec([("frame", frame.id), ("format", picture_format), *asked], frames, problems)


async def _draw(request: Request, spec: AvatarSpec, tag: str) -> bytes:
    """Return the picture, kept or drawn."""
    draw = _draw_for_all if is_shown_by_pages(spec) else _draw_for_one
    return await run_while_connected(request, partial(draw, request, spec, tag))


async def _draw_for_all(request: Request, spec: AvatarSpec, tag: str) -> bytes:
    """Return a picture that every visitor sees: the house's own, whoever happens to be the first."""
    service = service_of(request)
    pool = service.drawing.pool

    async def draw() -> bytes:
        # A page without its frames is no page: a few are drawn however many photos wait. Once.
        if service.overlay_cache.making > _MANY_WAITING:
            pool.refuse_if_full(Lane.PAGE)
        return await pool.run(partial(service.drawing.studio.draw_overlay, spec), Lane.PAGE)

    return await service.overlay_cache.get(tag, draw)


async def _draw_for_one(request: Request, spec: AvatarSpec, tag: str) -> bytes:
    """Return a picture with own words, or in a size or format that no page shows: few at a time."""
    service = service_of(request)
    if (kept := service.other_overlays.kept(tag)) is not None:
        return kept
    pool, party = service.drawing.pool, service.parties.of(request)
    pool.refuse_if_full(Lane.PAGE, party)
    service.overlay_limiter.refuse_if_full(party)
    draw = partial(pool.run, partial(service.drawing.studio.draw_overlay, spec), Lane.PAGE, party)
    # Before the one who draws it for others who ask at once: nobody waits for another address's turn.
    async with service.overlay_limiter.turn(party):
        return await (draw() if spec.slogan else service.other_overlays.get(tag, draw))


def _cache_control(spec: AvatarSpec, *, is_current: bool) -> str:
    if spec.slogan:
        return _NOT_SHARED
    return _FOR_EVER if is_current else _A_DAY
