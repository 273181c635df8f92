"""The language in a page's address: refused where the pages do not speak it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import RedirectResponse

from app.errors import NotFound
from app.web.pages.site import site_of


async def _known_language(request: Request, lang: str) -> str:
    if lang not in site_of(request).translations:
        raise NotFound
    return lang


KnownLanguage = Depends(_known_language)
"""For a route that needs no more of its language than to be one of the pages'."""

PageLanguageCode = Annotated[str, KnownLanguage]
"""The first part of a page's address, ``/{lang}/…``; what is no language of the pages is not found."""


def lead_to_language(request: Request, typed: str) -> RedirectResponse:
    """Lead from a language as somebody typed it, ``AR`` or ``ar-EG``, to its address, query included.

    Raises:
        NotFound: The pages do not speak it.
    """
    code = typed.lower().partition("-")[0]
    if code not in site_of(request).translations:  # so that nobody is led to another site
        raise NotFound
    query = request.url.query
    return RedirectResponse(f"/{code}?{query}" if query else f"/{code}", 308)
