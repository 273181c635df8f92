"""Pages that say what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.errors import OWN_WORDS, InvalidSpec
from app.texts.marking import mark
from app.texts.translations import translations_of
from app.web.http.problems import headers_of, shown, status_of
from app.web.pages.site import site_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from app.errors import RibbonsError

# A form's own fields are chosen from lists: one that is refused comes from another page than the present one.
_CHOOSE_AGAIN = mark("Some of the choices cannot be used together. Choose the frame and the language again.")


def wants_page(request: Request) -> bool:
    """Whether an error should be told by a page: a browser asks for one, and not of the API."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")


def explain(error: RibbonsError, language: str) -> str:
    """Return what to tell the reader of a page about an error."""
    if not isinstance(error, InvalidSpec):
        return shown(error).text(language)
    told = (
        problem.text(language)
        if problem.field == OWN_WORDS
        else translations_of(language).gettext(_CHOOSE_AGAIN)
        for problem in error.problems
    )
    return " ".join(dict.fromkeys(told))


def error_page(request: Request, error: RibbonsError) -> Response:
    """Tell a reader what went wrong, with a way on."""
    site = site_of(request)
    language = site.language_of(request)
    token = request.path_params.get("token")
    context = {
        "message": explain(error, language),
        # A link of the page that holds the picture asked for a file that could not be drawn just now.
        "back": f"/{language}/made/{token}" if token and error.retry_after else None,
    }
    status = status_of(type(error))
    return site.page(request, "error.html", context, status=status, headers=headers_of(error))
