"""The page of organisations that bring the photos of many: it talks to the API of batches, with their key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response  # noqa: TC002 - the same

from app import errors
from app.bulk.names import SYSTEM_FILES, SYSTEM_FOLDERS
from app.errors import NotFound
from app.spec import DEFAULT_SIZE, TRANSPARENT_FORMATS, AvatarSpec, field_choices, field_range
from app.web.pages.editor import editing
from app.web.pages.languages import KnownLanguage
from app.web.pages.site import site_of
from app.web.service import service_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.web.service import Service

ROOM = 9 / 8
"""How many times the avatar's side a photo keeps along its shorter side when it is made small in the browser.

The square of three quarters of the photos that we measured has at least the shorter side over 1.13, so that
no pixel of the avatar is made up. A phone's photo is 1620 x 1215 pixels then.
"""
QUALITY = 0.84
"""Of the JPEG that such a photo becomes: 3 MB with 12 million pixels become 350 KB."""
TABLES = (".csv", ".tsv", ".xlsx")
"""What a table's file may be called. What it is, the server sees by its bytes."""

router = APIRouter(include_in_schema=False)


@router.get("/partners")
@router.get("/{lang}/partners", dependencies=[KnownLanguage])
async def show_partners(request: Request) -> Response:
    """Where a partner hands over photos, looks through the result, and takes it home."""
    site = site_of(request)
    if not site.batch_photos:
        raise NotFound
    return site.kept_page(request, "partners.html", lambda: _context(request))


def _context(request: Request) -> dict[str, Any]:
    site, service = site_of(request), service_of(request)
    language = site.language_of(request)
    fields = AvatarSpec.model_fields
    smallest, largest = field_range("size")
    return {
        **editing(service),
        "switch_path": "/partners",
        "refusals": _refusals(service, site.batch_photos, language),
        "batch_photos": site.batch_photos,
        "lifetime_hours": max(1, round(site.batch_lifetime / 3600)),
        "sizes": {"least": int(smallest), "most": int(largest), "usual": DEFAULT_SIZE},
        "shapes": field_choices(fields["shape"]),
        "formats": field_choices(fields["format"]),
        "transparent_formats": TRANSPARENT_FORMATS,
        "tables": ",".join(TABLES),
        # As JSON: one of them has the end of a line in its name, which an attribute does not keep.
        "system_files": json.dumps(sorted(SYSTEM_FILES)),
        "system_folders": json.dumps(sorted(SYSTEM_FOLDERS)),
        "room": ROOM,
        "quality": QUALITY,
    }


def _refusals(service: Service, batch_photos: int, language: str) -> Mapping[str, str]:
    """Return what the page says of a file or a batch by itself, by the error's code."""
    refused = (
        errors.BatchFull(limit=batch_photos),
        errors.InvalidName(),
        errors.PhotoTooManyBytes.over(service.uploads.max_photo_bytes),
        errors.StorageFull(),
        errors.StorageUnavailable(),
        errors.InternalError(),
    )
    return {error.code: error.text(language) for error in refused}
