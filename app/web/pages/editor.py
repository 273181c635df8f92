"""The editor, and the way to a picture from what its form sends."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import JSONResponse, RedirectResponse, Response

from app import errors
from app.errors import FieldProblem, RibbonsError
from app.frames import UNITS
from app.render.formats import FORMAT_NAMES, PHOTO_SIGNATURE, PICKED_FILES, SIGNATURE_BYTES
from app.spec import DEFAULT_SIZE, SLOGAN_CHARACTERS, AvatarSpec, field_range, parse_spec
from app.texts.languages import PAGE_LANGUAGES
from app.web.addresses import overlay_address
from app.web.http.problems import for_readers, headers_of, problem_response, status_of
from app.web.orders import take_order
from app.web.pages.languages import PageLanguageCode, lead_to_language
from app.web.pages.site import site_of
from app.web.service import service_of
from app.web.state.results import Result

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.frames import Frame, FrameLibrary
    from app.web.http.uploads import Fields
    from app.web.service import Service

# What every picture of the pages is, as Result says: a JPEG of the default size.
_FIXED = frozenset({"size", "shape", "format"})
_NOTHING_CHOSEN: Mapping[str, str] = {"frame": "", "lang": "", "slogan": ""}
_CHOICES = tuple(name for name in AvatarSpec.model_fields if name not in _FIXED)

router = APIRouter(include_in_schema=False)


@router.get("/")
async def show_first_page(request: Request) -> Response:
    """The editor, in the language that the reader's browser asks for, or Arabic."""
    return _editor(request)


@router.get("/{lang}")
async def show_editor(request: Request, lang: str) -> Response:
    """The editor."""
    if lang not in site_of(request).translations:
        return lead_to_language(request, lang)
    return _editor(request)


@router.get("/{lang}/")
async def drop_the_slash(request: Request, lang: str) -> Response:
    """Whoever typed one slash more gets to the editor."""
    return lead_to_language(request, lang)


def _editor(request: Request) -> Response:
    """Answer with the editor as everybody gets it."""
    is_deleted = "deleted" in request.query_params
    made = service_of(request).counter.total if site_of(request).shows_counter else None
    context = partial(_context, request, is_deleted=is_deleted, avatars_made=made)
    return site_of(request).kept_page(request, "editor.html", context, is_deleted, made)


def _refused_editor(request: Request, error: RibbonsError, fields: Mapping[str, str]) -> Response:
    """Answer with the editor, with what went wrong with a form and what had been chosen in it."""
    made = service_of(request).counter.total if site_of(request).shows_counter else None
    context = {
        **_context(request, is_deleted=False, avatars_made=made),
        "chosen": {**_NOTHING_CHOSEN, **fields},
        "error": for_readers(error).text(site_of(request).language_of(request)),
    }
    return site_of(request).page(
        request, "editor.html", context, status=status_of(type(error)), headers=headers_of(error)
    )


def _context(request: Request, *, is_deleted: bool, avatars_made: int | None) -> dict[str, Any]:
    service = service_of(request)
    return {
        **editing(service),
        "chosen": _NOTHING_CHOSEN,
        "error": None,
        "refusals": _refusals(service, site_of(request).language_of(request)),
        "deleted": is_deleted,
        "lifetime_minutes": max(1, round(service.results.lifetime / 60)),
        "avatars_made": avatars_made,
    }


def editing(service: Service) -> dict[str, Any]:
    """Return what a page needs on which a frame is chosen and a photo is moved in it."""
    frames = service.drawing.frames
    return {
        "frames": list(frames),
        "opening_of": _opening,
        "overlay_address": partial(overlay_address, service.drawing.revision),
        "slogan_languages": list(dict.fromkeys(lang for frame in frames for lang in frame.languages)),
        "language_names": PAGE_LANGUAGES,
        "slogan_characters": SLOGAN_CHARACTERS,
        "limits": _limits(service),
        "photo_signature": PHOTO_SIGNATURE,
        "picked_files": ",".join(PICKED_FILES),
    }


def _opening(frame: Frame) -> str:
    """Return the circle that a frame keeps free for a face, as static/editor.js reads it: in sides."""
    return " ".join(f"{length / UNITS:g}" for length in (*frame.face.center, frame.face.radius))


def _limits(service: Service) -> Mapping[str, int | float]:
    """Return what the editor's scripts go by (static/limits.js), by the name of the form's attribute."""
    smallest_zoom, largest_zoom = field_range("zoom")
    return {
        "max-photo-bytes": service.uploads.max_photo_bytes,
        "signature-bytes": SIGNATURE_BYTES,
        "min-side": service.drawing.studio.smallest_side,
        "picture-side": DEFAULT_SIZE,
        "min-zoom": smallest_zoom,
        "max-zoom": largest_zoom,
        "lifetime": service.results.lifetime,
        "upload-timeout": service.uploads.timeout,
    }


def _refusals(service: Service, language: str) -> Mapping[str, str]:
    """Return what the editor's script says of a file without sending it, by the error's code."""
    refused = (
        errors.PhotoMissing(),
        errors.PhotoNotSupported(formats=FORMAT_NAMES),
        errors.PhotoTooManyBytes.over(service.uploads.max_photo_bytes),
        errors.InternalError(),
    )
    return {error.code: error.text(language) for error in refused}


# -- making ----------------------------------------------------------------


@router.get("/{lang}/made")
@router.get("/{lang}/share")
async def lead_to_editor(lang: PageLanguageCode) -> Response:
    """Whoever opens anew the address that a refused form has left in the browser gets to the editor."""
    return RedirectResponse(f"/{lang}", 303)


@router.post("/{lang}/made")
async def make_from_form(request: Request, lang: PageLanguageCode) -> Response:
    """Make an avatar of what a form brought, keep it for a while, and lead to it."""
    return await _make(request, lang)


@router.post("/{lang}/share")
async def make_from_share_sheet(request: Request, lang: PageLanguageCode) -> Response:
    """Make an avatar of a photo that the system's share sheet handed over, with every choice at its default.

    With a service worker the photo opens in the editor instead, and this is never asked.
    """
    return await _make(request, lang)


async def _make(request: Request, lang: str) -> Response:
    service = service_of(request)
    fields: Fields = ()
    wants_json = "application/json" in request.headers.get("accept", "")
    try:
        async with take_order(request, _CHOICES) as order:
            fields = order.fields
            spec = _read_form(fields, service.drawing.frames, lang)
            avatar = await order.draw(spec)
        token = await service.results.put(Result(avatar.content, spec))
        service.counter.count()  # not before: whoever is refused here sends the photo again
    except RibbonsError as error:
        request.state.problem = error.code
        if wants_json:
            return problem_response(error, site_of(request).language_of(request))
        return _refused_editor(request, error, dict(fields))
    address = f"/{lang}/made/{token}"
    if wants_json:
        return JSONResponse({"address": address}, 201, {"Location": address, "Cache-Control": "no-store"})
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})


def _read_form(fields: Fields, frames: FrameLibrary, page_language: str) -> AvatarSpec:
    """Read the form's fields. A slogan's language that was not chosen is the page's, where the frame has it.

    Raises:
        FrameNotFound: There is no such frame.
        InvalidSpec: Naming every other bad field.
    """
    chosen = [(name, value) for name, value in fields if value]
    names = {name for name, _ in chosen}
    frame = frames.get(dict(chosen).get("frame") or next(iter(frames)).id)
    lang = page_language if page_language in frame.languages else frame.languages[0]
    chosen += [(name, value) for name, value in (("frame", frame.id), ("lang", lang)) if name not in names]
    not_offered = [FieldProblem.of(name, "unknown", choices=_CHOICES) for name in sorted(names & _FIXED)]
    return parse_spec(chosen, frames, not_offered)
