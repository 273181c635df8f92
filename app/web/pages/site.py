"""What every page is made of: templates, texts, files, and the address that the site is known by."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from cachetools import LRUCache
from fastapi import APIRouter
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from starlette.requests import HTTPConnection, Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import HTMLResponse, Response

from app.texts.languages import PAGE_LANGUAGES
from app.texts.translations import load_translations
from app.web.http.client import own_address
from app.web.http.negotiation import negotiate
from app.web.pages.assets import STATIC_FOLDER, Assets

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from jinja2.runtime import Context

    from app.settings import Settings
    from app.texts.translations import Translations

TEMPLATES_FOLDER = Path(__file__).parents[1] / "templates"

FIRST_LANGUAGE = next(iter(PAGE_LANGUAGES))

# Scripts and styles are files of ours. A photo that was chosen is shown from the browser's memory (blob:).
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Taking a photo is the phone's own camera app, through a file input: that needs none of these. Sharing is a
# page's own right anyway, and naming web-share is an error to browsers that do not have it.
_PERMISSIONS = (
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), microphone=(), "
    "payment=(), usb=(), clipboard-write=(self)"
)
PAGE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "Permissions-Policy": _PERMISSIONS,
    "Cross-Origin-Opener-Policy": "same-origin",
}


_KEPT_BYTES = 4_000_000
"""Pages as they were rendered. All of them in eight languages under one address take 0.4 MB; whoever makes up
addresses in ``Host`` pushes out what nobody has asked for longest."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Site:
    """The pages' parts, built once by ``create_app``, found at ``request.app.state.site``.

    Attributes:
        translations: The texts by language, in the order of the switch.
        assets: The static files.
        public_url: The address that supporters know, or None: then it is the one a request came to.
        shows_counter: Whether the first page says how many avatars were made.
        has_docs: Whether the API's description is served, so that pages may lead there.
        finds_faces: Whether faces are looked for, so that pages say so.
        batch_photos: How many photos a partner's batch may have; 0 where there are no batches.
        batch_lifetime: Seconds after which a batch is erased.
        templates: Jinja's; a template finds its language in what it is rendered with.
    """

    translations: Mapping[str, Translations]
    assets: Assets
    public_url: str | None
    shows_counter: bool
    has_docs: bool
    finds_faces: bool
    batch_photos: int
    batch_lifetime: float
    templates: Environment
    _rendered: LRUCache[Hashable, bytes] = field(default_factory=lambda: LRUCache(_KEPT_BYTES, getsizeof=len))

    @classmethod
    def build(cls, settings: Settings) -> Self:
        """Read the templates, the texts and the static files."""
        assets = Assets(STATIC_FOLDER)
        return cls(
            translations=load_translations(),
            assets=assets,
            public_url=settings.public_url,
            shows_counter=settings.show_counter,
            has_docs=settings.docs,
            finds_faces=settings.faces,
            batch_photos=settings.max_batch_photos if settings.batches else 0,
            batch_lifetime=settings.batch_lifetime,
            templates=_load_templates(assets),
        )

    def language_of(self, request: HTTPConnection) -> str:
        """Return the code of the language that a page's address names, or else that its reader prefers.

        A file's address names it in the query: what goes wrong with it is told by a page.
        """
        for named in (request.url.path.split("/")[1], request.query_params.get("lang", "")):
            if named in self.translations:
                return named
        return negotiate(request.headers.get("accept-language"), tuple(self.translations), FIRST_LANGUAGE)

    def address_of(self, request: HTTPConnection) -> str:
        """Return the site's own address, ``https://host``, to be shown to whoever sent this request."""
        return self.public_url or own_address(request)

    def page(
        self,
        request: HTTPConnection,
        template: str,
        context: Mapping[str, Any],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Answer with a page in the reader's language, rendered for this reader alone."""
        return self._answer(request, self._render(request, template, context), status, headers)

    def kept_page(
        self,
        request: HTTPConnection,
        template: str,
        context: Callable[[], Mapping[str, Any]],
        *known_by: Hashable,
    ) -> Response:
        """Answer with a page that others may get, too: rendered for the first of them, and kept.

        Args:
            request: What asks for it.
            template: The template's name.
            context: Returns what it is rendered with, where it has to be.
            known_by: All that the context depends on, beside the reader's language and the site's address.
        """
        key = (template, self.language_of(request), self.address_of(request), *known_by)
        body = self._rendered.get(key)
        if body is None:
            body = self._render(request, template, context())
            if len(body) <= self._rendered.maxsize:
                self._rendered[key] = body
        return self._answer(request, body)

    def _render(self, request: HTTPConnection, template: str, context: Mapping[str, Any]) -> bytes:
        code = self.language_of(request)
        given = {
            "address": self.address_of(request),
            "translations": self.translations[code],
            "language": self.translations[code].language,
            "languages": PAGE_LANGUAGES.values(),
            "has_docs": self.has_docs,
            "finds_faces": self.finds_faces,
            "takes_batches": self.batch_photos > 0,
            # Where the language switch leads: the same page under another language, or the first page.
            "switch_path": "",
        }
        return self.templates.get_template(template).render({**given, **context}).encode()

    def _answer(
        self,
        request: HTTPConnection,
        body: bytes,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        answer_headers = {
            **PAGE_HEADERS,
            "Content-Language": self.language_of(request),
            "Vary": "Accept-Language",
            "Cache-Control": "no-cache",
            **(headers or {}),
        }
        return HTMLResponse(body, status, answer_headers)


def site_of(request: HTTPConnection) -> Site:
    """Return the pages' parts."""
    site: Site = request.app.state.site
    return site


@router.get("/static/{hashed}")
async def send_static_file(request: Request, hashed: str) -> Response:
    """A static file, under the name that holds its hash."""
    return site_of(request).assets.response(hashed)


def _load_templates(assets: Assets) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        _gettext, _ngettext, newstyle=True
    )
    environment.globals["asset"] = assets.address
    environment.filters["number"] = _number
    for name in environment.list_templates():
        environment.get_template(name)  # compiled now: it takes longer than any visitor should wait
    return environment


@pass_context
def _gettext(context: Context, message: str) -> str:
    return _translations(context).gettext(message)


@pass_context
def _ngettext(context: Context, singular: str, plural: str, number: int) -> str:
    return _translations(context).ngettext(singular, plural, number)


@pass_context
def _number(context: Context, value: float, *, grouped: bool = True) -> str:
    return _translations(context).number(value, grouped=grouped)


def _translations(context: Context) -> Translations:
    translations: Translations = context["translations"]
    return translations
