"""Pages that say what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.web.http.problems import for_readers, headers_of, status_of
from app.web.pages.site import site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from app.errors import RibbonsError


def wants_page(request: Request) -> bool:
    """Whether an error should be told by a page: a browser asks for one, and not of the API."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")


def error_page(request: Request, error: RibbonsError) -> Response:
    """Tell a reader what went wrong, with a way on."""
    site = site_of(request)
    language = site.language_of(request)
    token = request.path_params.get("token")
    context = {
        "message": for_readers(error).text(language),
        # A link of the page that holds the picture asked for a file that could not be drawn just now.
        "back": f"/{language}/made/{token}" if token and error.retry_after else None,
    }
    status = status_of(type(error))
    return site.page(request, "error.html", context, status=status, headers=headers_of(error))
