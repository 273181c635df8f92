"""What makes an app of the pages: the manifest, the service worker, and what is shown without a network.

A page that is kept on a phone works only with the very files that it names. So the worker's script begins
with a list of what this version of the pages consists of; whatever changes them changes the script, browsers
notice that, and the new worker keeps the new set in a cache of its own (service-worker.js says when).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response

from app.render.formats import PICKED_FILES
from app.texts.marking import mark
from app.texts.translations import LOCALE_FOLDER
from app.web.pages.languages import KnownLanguage, PageLanguageCode
from app.web.pages.site import TEMPLATES_FOLDER, site_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.texts.translations import Translations
    from app.web.pages.site import Site

_WORKER_SOURCE = Path(__file__).parents[1] / "service-worker.js"

# The worker only asks us, and runs nothing but itself.
_WORKER_POLICY = "default-src 'none'; connect-src 'self'; frame-ancestors 'none'"

# As --ground in base.css: the window's edges and the picture shown while the app starts.
_GROUND = "#faf6ef"

# What a page is made of. Pictures of the app itself belong to the system that it is installed in.
_KEPT_SUFFIXES = frozenset({".css", ".js", ".svg"})
# Whatever its language, a page names formats in Latin letters, and its readers' words may be in Arabic ones.
# Bold typefaces are kept as they are used: no reader needs both.
_KEPT_FONTS = {"cairo-arabic-regular.woff2", "cairo-latin-regular.woff2"}

# Those who bring thousands of photos need a network for it: nobody else's phone keeps their page.
_PARTNERS = "partners"

_ICONS = (
    ("icon-192.png", "192x192", "any"),
    ("icon-512.png", "512x512", "any"),
    ("icon-maskable-512.png", "512x512", "maskable"),
)

router = APIRouter(include_in_schema=False)


@router.get("/{lang}/manifest.webmanifest")
async def send_manifest(request: Request, lang: PageLanguageCode) -> Response:
    """What a system needs to know to install the page, and to offer it in its share sheet."""
    site = site_of(request)
    body = json.dumps(manifest(site, site.translations[lang]), ensure_ascii=False)
    headers = {"Cache-Control": "no-cache", "Content-Language": lang}
    return Response(body, headers=headers, media_type="application/manifest+json")


@router.get("/service-worker.js")
async def send_worker(request: Request) -> Response:
    """The service worker."""
    headers = {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": _WORKER_POLICY,
        "Service-Worker-Allowed": "/",
    }
    script: str = request.app.state.worker_script
    return Response(script, headers=headers, media_type="text/javascript; charset=utf-8")


@router.get("/{lang}/offline", dependencies=[KnownLanguage])
async def show_offline_notice(request: Request) -> Response:
    """What the worker shows in place of a page that it may not keep, such as a result."""
    return site_of(request).kept_page(request, "offline.html", dict)


def manifest(site: Site, translations: Translations) -> dict[str, Any]:
    """Return the web app manifest in a language (W3C; share_target is Chromium's, of the WICG)."""
    language = translations.language
    return {
        # One app whatever its language: who installs it again from another page renews it.
        "id": "/",
        "name": translations.gettext(mark("Red Ribbons")),
        # Below the icon, where launchers cut off what has more than twelve characters: a text of its own (it
        # differs from the name in a capital), which some languages have to make shorter.
        "short_name": translations.gettext(mark("Red ribbons")),
        "description": translations.gettext(
            mark("Put the red ribbon and its slogan on your profile picture.")
        ),
        "lang": language.code,
        "dir": language.direction,
        "start_url": f"/{language.code}",
        "scope": "/",
        "display": "standalone",
        "background_color": _GROUND,
        "theme_color": _GROUND,
        "categories": ["photo", "social"],
        "icons": [
            {"src": site.assets.address(name), "sizes": sizes, "type": "image/png", "purpose": purpose}
            for name, sizes, purpose in _ICONS
        ],
        "share_target": {
            "action": f"/{language.code}/share",
            "method": "POST",
            "enctype": "multipart/form-data",
            "params": {"files": [{"name": "photo", "accept": PICKED_FILES}]},
        },
    }


def worker_script(site: Site) -> str:
    """Return the service worker's script, with the list of what this version of the pages consists of."""
    source = _WORKER_SOURCE.read_text()
    files_of_pages = [name for name in site.assets if not name.startswith(_PARTNERS)]
    kept = [name for name in files_of_pages if Path(name).suffix in _KEPT_SUFFIXES or name in _KEPT_FONTS]
    files = sorted(map(site.assets.address, kept))
    # Hashed names say which files; the texts and the templates are what is left of a page.
    version = _digest(source, *files, *_page_sources())
    shell = {"version": version, "languages": list(site.translations), "files": files}
    return f"const SHELL = {json.dumps(shell)};\n\n{source}"


def _page_sources() -> Iterator[str]:
    for folder in (TEMPLATES_FOLDER, LOCALE_FOLDER):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield path.name
            yield path.read_text()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
