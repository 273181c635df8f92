"""What a supporter leaves with: the page of a finished picture, and the files that are made of it."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import RedirectResponse, Response

from app.errors import NotFound
from app.lanes import Lane
from app.render.derived import story
from app.render.derived.platforms import PLATFORMS
from app.spec import DEFAULT_SIZE
from app.web.orders import run_while_connected
from app.web.pages.languages import KnownLanguage, PageLanguageCode
from app.web.pages.site import site_of
from app.web.service import service_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.jobs import Studio
    from app.web.state.results import Result

FILE_PREFIX = "red-ribbons"

HASHTAGS = {"rtl": "#الحرية_للأسرى", "ltr": "#FreePalHostages"}
"""What the campaign is found under, by how it is written. Words to copy end with both, in every language."""

router = APIRouter(include_in_schema=False)


@router.get("/{lang}/made/{token}", dependencies=[KnownLanguage])
async def show_made(request: Request, token: str) -> Response:
    """The finished picture: to be kept by a long press, downloaded, shared, or fitted to a platform."""
    service = service_of(request)
    result = await service.results.get(token)
    context = {
        "token": token,
        "hashtags": HASHTAGS,
        "platforms": PLATFORMS,
        "picture_side": DEFAULT_SIZE,
        "story": {"width": story.WIDTH, "height": story.HEIGHT},
        "lifetime_minutes": max(1, round(service.results.lifetime / 60)),
        "seconds_left": _seconds_left(result, service.results.lifetime),
        "switch_path": f"/made/{token}",
    }
    headers = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
    return site_of(request).page(request, "made.html", context, headers=headers)


def _seconds_left(result: Result, lifetime: float) -> int:
    """Return in how many seconds a result is gone, at most its lifetime where replicas' clocks disagree."""
    left = result.made + lifetime - time.time()
    return math.ceil(min(max(left, 0), lifetime))


@router.get("/{lang}/made/{token}/delete")
async def lead_to_made(request: Request, lang: PageLanguageCode, token: str) -> Response:
    """Whoever opens this address anew gets to the picture, or is told that it is gone."""
    await service_of(request).results.get(token)  # or this is no token, and nobody is led anywhere
    return RedirectResponse(f"/{lang}/made/{token}", 303)


@router.post("/{lang}/made/{token}/delete")
async def delete_made(request: Request, lang: PageLanguageCode, token: str) -> Response:
    """Forget a picture before its time."""
    await service_of(request).results.delete(token)
    return RedirectResponse(f"/{lang}?deleted", 303)


@router.get("/made/{token}/{file}")
async def send_made(request: Request, token: str, file: str) -> Response:
    """The picture itself, one that is fitted to a platform, the story card, or all of them in a ZIP."""
    service = service_of(request)
    name, _, extension = file.rpartition(".")
    if file == "avatar.jpg":
        result = await service.results.get(token)
        return _download(request, result.content, "")
    is_drawn = name in {*PLATFORMS, "story"} if extension == "jpg" else file == "all.zip"
    if not is_drawn:
        raise NotFound
    address = site_of(request).address_of(request)
    party = service.parties.of(request)

    async def draw() -> bytes:
        async with service.derived_limiter.turn(token, party):
            # Not before: while it is waited for, nothing of it is held, and it may be deleted.
            result = await service.results.get(token)
            job = _drawing(service.drawing.studio, result, name, address)
            return await service.drawing.pool.run(job, lane=Lane.PAGE, party=party)

    service.drawing.pool.refuse_if_full(Lane.PAGE, party)
    content = await run_while_connected(request, draw)
    return _download(request, content, "" if name == "all" else f"-{name}", extension)


def _drawing(studio: Studio, result: Result, name: str, address: str) -> Callable[[], bytes]:
    """Return the job that draws one of the files made of a finished avatar, by its name without its end."""
    match name:
        case "story":
            return partial(studio.draw_story, result.content, result.spec, address)
        case "all":
            return partial(studio.draw_collection, result.content, result.spec, address)
        case _:
            return partial(studio.draw_platform, result.content, name)


def _download(request: Request, content: bytes, suffix: str, extension: str = "jpg") -> Response:
    disposition = "inline" if request.query_params.get("disposition") == "inline" else "attachment"
    headers = {
        # The name is ours: the photo's own often says who is on it.
        "Content-Disposition": f'{disposition}; filename="{FILE_PREFIX}{suffix}.{extension}"',
        # A phone is often shared: what one supporter made must not come out of its cache for the next.
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Robots-Tag": "noindex",
    }
    media_type = "application/zip" if extension == "zip" else "image/jpeg"
    return Response(content, headers=headers, media_type=media_type)
