"""How a supporter's own device gets a button that makes the picture."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response  # noqa: TC002 - the same

from app.web.pages.languages import KnownLanguage
from app.web.pages.site import site_of

router = APIRouter(include_in_schema=False)


@router.get("/ios")
@router.get("/{lang}/ios", dependencies=[KnownLanguage])
async def show_ios_recipe(request: Request) -> Response:
    """How an iPhone's share sheet gets a button that makes the picture."""
    return site_of(request).kept_page(request, "ios.html", lambda: {"switch_path": "/ios"})
