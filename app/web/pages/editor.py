"""The pages: the editor, what a supporter leaves with, and the way there without JavaScript."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import JSONResponse, RedirectResponse, Response

from app.errors import FieldProblem, NotFound, RibbonsError
from app.render.derived.platforms import PLATFORMS
from app.spec import SLOGAN_CHARACTERS, AvatarSpec, parse_spec
from app.texts.languages import PAGE_LANGUAGES
from app.web.api.overlays import overlay_address
from app.web.http.problems import MEDIA_TYPE, headers_of, kind_of, problem
from app.web.orders import Order, make_ordered, run_while_connected
from app.web.pages.wording import explain
from app.web.service import service_of
from app.web.state.results import Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from app.frames import FrameLibrary
    from app.jobs import Studio
    from app.web.http.uploads import Fields
    from app.web.pages.site import Site

FILE_PREFIX = "red-ribbons"

# What every picture of the pages is, as Result says: a JPEG of 1080 x 1080 pixels.
_FIXED = frozenset({"size", "shape", "format"})
_CHOICES = tuple(name for name in AvatarSpec.model_fields if name not in _FIXED)

router = APIRouter(include_in_schema=False)


def site_of(request: Request) -> Site:
    """Return the pages' parts."""
    site: Site = request.app.state.site
    return site


@router.head("/static/{hashed}")
@router.get("/static/{hashed}")
async def send_static_file(request: Request, hashed: str) -> Response:
    """A static file, under the name that holds its hash."""
    return site_of(request).assets.response(hashed)


# -- the editor ------------------------------------------------------------


@router.head("/")
@router.get("/")
async def show_first_page(request: Request) -> Response:
    """The editor, in the language that the reader's browser asks for, or Arabic."""
    return await _editor(request)


@router.head("/{lang}")
@router.get("/{lang}")
async def show_editor(request: Request, lang: str) -> Response:
    """The editor."""
    if lang not in site_of(request).catalogues:
        return _lead_to_language(request, lang)
    return await _editor(request)


@router.head("/{lang}/")
@router.get("/{lang}/")
async def lead_to_language(request: Request, lang: str) -> Response:
    """Whoever typed one slash more gets to the editor."""
    return _lead_to_language(request, lang)


def _lead_to_language(request: Request, typed: str) -> Response:
    """Lead from a language as somebody typed it, ``AR`` or ``ar-EG``, to its address, query included.

    Raises:
        NotFound: The pages do not speak it.
    """
    code = typed.lower().partition("-")[0]
    _refuse_unknown(request, code)  # so that what follows is one of ours: nobody is led to another site
    query = request.url.query
    return RedirectResponse(f"/{code}?{query}" if query else f"/{code}", 308)


async def _editor(
    request: Request, *, error: RibbonsError | None = None, fields: Mapping[str, str] | None = None
) -> Response:
    """Answer with the editor; with what went wrong and what had been chosen, where a form was refused."""
    service = service_of(request)
    context: dict[str, Any] = {
        "frames": list(service.frames),
        "overlay_address": partial(overlay_address, service),
        "slogan_languages": list(dict.fromkeys(lang for frame in service.frames for lang in frame.languages)),
        "language_names": PAGE_LANGUAGES,
        "chosen": {"frame": "", "lang": "", "slogan": "", **(fields or {})},
        "error": explain(error, site_of(request).catalogues[site_of(request).language_of(request)])
        if error
        else None,
        "deleted": "deleted" in request.query_params,
        "slogan_characters": SLOGAN_CHARACTERS,
        "lifetime_minutes": max(1, round(service.results.lifetime / 60)),
        "max_photo_mb": service.uploads.max_photo_bytes // 1_000_000,
        "avatars_made": service.counter.total if site_of(request).shows_counter else None,
    }
    status = kind_of(type(error)).status if error else 200
    headers = headers_of(error) if error else {}
    return site_of(request).page(request, "editor.html", context, status=status, headers=headers)


# -- making ----------------------------------------------------------------


@router.head("/{lang}/made")
@router.get("/{lang}/made")
@router.head("/{lang}/share")
@router.get("/{lang}/share")
async def lead_to_editor(request: Request, lang: str) -> Response:
    """Whoever opens anew the address that a refused form has left in the browser gets to the editor."""
    _refuse_unknown(request, lang)
    return RedirectResponse(f"/{lang}", 303)


@router.post("/{lang}/made")
async def make_from_form(request: Request, lang: str) -> Response:
    """Make an avatar of what a form brought, keep it for a quarter of an hour, and lead to it."""
    _refuse_unknown(request, lang)
    return await _make(request, lang)


@router.post("/{lang}/share")
async def make_from_share_sheet(request: Request, lang: str) -> Response:
    """Make an avatar of a photo that the system's share sheet handed over, with every choice at its default.

    With a service worker the photo opens in the editor instead, and this is never asked.
    """
    _refuse_unknown(request, lang)
    return await _make(request, lang)


async def _make(request: Request, lang: str) -> Response:
    service = service_of(request)
    given: dict[str, str] = {}
    wants_json = "application/json" in request.headers.get("accept", "")
    try:
        avatar, order = await make_ordered(
            request, partial(_read_order, frames=service.frames, page_language=lang, given=given)
        )
        token = await service.results.put(Result(avatar.content, order.spec))
        service.counter.count()  # not before: whoever is refused here sends the photo again
    except RibbonsError as error:
        request.state.problem = error.code
        if wants_json:
            return _problem_for_script(request, error)
        return await _editor(request, error=error, fields=given)
    address = f"/{lang}/made/{token}"
    if wants_json:
        return JSONResponse({"address": address}, 201, {"Location": address, "Cache-Control": "no-store"})
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})


def _read_order(
    given_fields: Fields, *, frames: FrameLibrary, page_language: str, given: dict[str, str]
) -> Order:
    """Read the form's fields, and note them so that a page which refuses them can show them again.

    A slogan's language that was not chosen is the page's, where the frame has it.

    Raises:
        FrameNotFound: There is no such frame.
        InvalidSpec: Naming every other bad field.
    """
    given.update(given_fields)
    frame = frames.get(given.get("frame") or next(iter(frames)).id)
    lang = page_language if page_language in frame.languages else frame.languages[0]
    chosen = [(name, value) for name, value in given_fields if value]
    names = {name for name, _ in chosen}
    chosen += [(name, value) for name, value in (("frame", frame.id), ("lang", lang)) if name not in names]
    not_offered = [FieldProblem.of(name, "unknown", choices=_CHOICES) for name in sorted(names & _FIXED)]
    return Order(parse_spec(chosen, frames, not_offered), "inline")


def _problem_for_script(request: Request, error: RibbonsError) -> Response:
    """Answer as the API does, in the page's own language and words."""
    site = site_of(request)
    code = site.language_of(request)
    told = problem(error, "ar" if code == "ar" else "en").model_copy(
        update={"detail": explain(error, site.catalogues[code])}
    )
    headers = {"Content-Language": code, **headers_of(error)}
    return Response(told.model_dump_json(exclude_none=True), told.status, headers, MEDIA_TYPE)


# -- what was made ---------------------------------------------------------


@router.head("/{lang}/made/{token}")
@router.get("/{lang}/made/{token}")
async def show_made(request: Request, lang: str, token: str) -> Response:
    """The finished picture: to be kept by a long press, downloaded, shared, or fitted to a platform."""
    _refuse_unknown(request, lang)
    service = service_of(request)
    result = await service.results.get(token)
    context = {
        "token": token,
        "platforms": PLATFORMS,
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


@router.head("/{lang}/made/{token}/delete")
@router.get("/{lang}/made/{token}/delete")
async def lead_to_made(request: Request, lang: str, token: str) -> Response:
    """Whoever opens this address anew gets to the picture, or is told that it is gone."""
    _refuse_unknown(request, lang)
    await service_of(request).results.get(token)  # or this is no token, and nobody is led anywhere
    return RedirectResponse(f"/{lang}/made/{token}", 303)


@router.post("/{lang}/made/{token}/delete")
async def delete_made(request: Request, lang: str, token: str) -> Response:
    """Forget a picture before its time."""
    _refuse_unknown(request, lang)
    await service_of(request).results.delete(token)
    return RedirectResponse(f"/{lang}?deleted", 303)


@router.head("/made/{token}/{file}")
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

    async def draw() -> bytes:
        async with service.turns.turn(token):
            # Not before: while it is waited for, nothing of it is held, and it may be deleted.
            result = await service.results.get(token)
            return await service.pool.run(_drawing(service.studio, result, name, address))

    service.pool.refuse_if_full()
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


# -- everything else -------------------------------------------------------


@router.head("/ios")
@router.get("/ios")
@router.head("/{lang}/ios")
@router.get("/{lang}/ios")
async def show_ios_recipe(request: Request, lang: str | None = None) -> Response:
    """How an iPhone's share sheet gets a button that makes the picture."""
    if lang is not None:
        _refuse_unknown(request, lang)
    return site_of(request).page(request, "ios.html", {"switch_path": "/ios"})


def wants_page(request: Request) -> bool:
    """Whether an error should be told by a page: a browser asks for one, and not of the API."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")


def error_page(request: Request, error: RibbonsError) -> Response:
    """Tell a reader what went wrong, with a way on."""
    site = site_of(request)
    language = site.language_of(request)
    token = request.path_params.get("token")
    context = {
        "message": explain(error, site.catalogues[language]),
        # A link of the page that holds the picture asked for a file that could not be drawn just now.
        "back": f"/{language}/made/{token}" if token and error.retry_after else None,
    }
    status = kind_of(type(error)).status
    return site.page(request, "error.html", context, status=status, headers=headers_of(error))


def _refuse_unknown(request: Request, lang: str) -> None:
    if lang not in site_of(request).catalogues:
        raise NotFound
