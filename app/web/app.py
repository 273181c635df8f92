"""The application: parts, routes, what surrounds them, and errors made into answers."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Match, Mount
from starlette_compress import CompressMiddleware, remove_compress_type

from app import __version__
from app.errors import InternalError, InvalidSpec, MalformedRequest, MethodNotAllowed, NotFound, RibbonsError
from app.lifetime import why_not_started
from app.texts.languages import PAGE_LANGUAGES
from app.web.api import avatars, batches, docs, frames, health, overlays, problem_kinds, renditions, stats
from app.web.api.batches.described import SCHEMAS as BATCH_SCHEMAS
from app.web.api.openapi import FRAMING, TAGS, describe_api, operation_id, servers
from app.web.http.json_bodies import query_problems
from app.web.http.problems import language_of, problem_response
from app.web.middleware import (
    AddHeaders,
    AnswerCrashes,
    AnswerHead,
    DrainRefusedBodies,
    KeepToHttp,
    Observe,
    OpenToSites,
    SecureHeaders,
)
from app.web.packing import BROTLI_QUALITY, KeepPacked
from app.web.pages import editor, made, partners, pwa, recipes, site
from app.web.pages.errors import error_page, wants_page
from app.web.pages.site import Site
from app.web.service import Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi.telemetry import TelemetryConfig
    from starlette.requests import Request
    from starlette.responses import Response

    from app.settings import Settings

# FastAPI would report to any OpenTelemetry provider it finds, and export by environment variables. Nobody is
# told of our supporters' requests.
_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}

_DESCRIPTION = """\
Puts a supporter's photo under the campaign's frame and returns a profile picture.

Problems are `application/problem+json` (RFC 9457) with a stable `code`, in the language that
`Accept-Language` asks for, of {languages}; English where it asks for none of them.
"""


def create_app(settings: Settings) -> FastAPI:
    """Build the application. Its workers start when it starts, and end with it.

    Raises:
        InvalidFrame: A frame is wrong, or there is none.
    """
    service = Service.build(settings)
    # It would keep an encoder of 150 KB and more for each who follows a batch, for lines of 200 bytes.
    remove_compress_type("text/event-stream")
    app = FastAPI(
        title="Red Ribbons",
        version=__version__,
        description=_DESCRIPTION.format(languages=", ".join(PAGE_LANGUAGES)),
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        openapi_tags=[tag for tag in TAGS if settings.batches or tag["name"] != "batches"],
        servers=servers(settings.public_url),
        license_info={"name": "MIT", "identifier": "MIT"},
        generate_unique_id_function=operation_id,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        middleware=[
            Middleware(Observe, metrics=service.metrics),
            # Outside of what packs: the length that HEAD is told is the one that GET would be.
            Middleware(AnswerHead),
            Middleware(CompressMiddleware, zstd=False, brotli_quality=BROTLI_QUALITY),
            Middleware(KeepPacked),
            Middleware(SecureHeaders, public_url=settings.public_url),
            Middleware(DrainRefusedBodies),
            Middleware(KeepToHttp),
            # Any site may use the API: it knows no cookies. Nothing that a browser sends by itself lets
            # anybody in; a partner's key comes in a header that a page has to set, and a page that has the
            # key needs no browser to use it.
            Middleware(
                OpenToSites,
                allow_origins=["*"],
                allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
                allow_headers=["*"],
                expose_headers=[
                    "Accept-Ranges",
                    "Content-Disposition",
                    "Content-Language",
                    "Content-Range",
                    "ETag",
                    "Location",
                    "RateLimit",
                    "RateLimit-Policy",
                    "Retry-After",
                    FRAMING,
                ],
            ),
            Middleware(AddHeaders),
            Middleware(AnswerCrashes),
        ],
        exception_handlers={
            RibbonsError: _answer_error,
            HTTPException: _answer_http_error,
            RequestValidationError: _answer_invalid_request,
        },
    )
    app.state.service = service
    app.state.site = Site.build(settings)
    app.state.worker_script = pwa.worker_script(app.state.site)
    for part in (avatars, renditions, overlays, frames, problem_kinds, health, stats):
        app.include_router(part.router)
    if settings.batches:
        app.include_router(batches.router)
    if settings.docs:
        app.include_router(docs.router)
        app.state.openapi = describe_api(app, BATCH_SCHEMAS if settings.batches else {})
        app.mount("/static/docs", docs.KeptFiles(directory=docs.STATIC_FOLDER))
    # The first part of a page's address is a language, and what has a name of its own comes before: the
    # editor, which is at /{lang} itself, last.
    for page in (site, pwa, recipes, partners, made, editor):
        app.include_router(page.router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    async with AsyncExitStack() as parts:
        try:
            await parts.enter_async_context(service.opened())
        except BaseException as error:
            # uvicorn keeps it to itself.
            app.state.refusal = why_not_started(error)
            raise
        yield


async def _answer_error(request: Request, exc: Exception) -> Response:
    error = exc if isinstance(exc, RibbonsError) else InternalError()
    request.state.problem = error.code
    if wants_page(request):
        return error_page(request, error)
    return problem_response(error, language_of(request))


async def _answer_http_error(request: Request, exc: Exception) -> Response:
    """Answer what Starlette and FastAPI refuse by themselves in the same form as everything else."""
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    error: RibbonsError
    match status:
        case 404:
            error = NotFound()
        case 405:
            error = MethodNotAllowed(allowed=_methods_at(request))
        case _ if status < 500:
            error = MalformedRequest()
        case _:
            error = InternalError()
    return await _answer_error(request, error)


def _methods_at(request: Request) -> tuple[str, ...]:
    """Return what is taken at an address by any of its routes. Starlette names those of the first alone."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    found = [
        method
        for method in ("GET", "POST", "PUT", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    # Files name no method; and wherever GET is taken, HEAD is (a test holds it).
    return tuple(
        told for method in found or ["GET"] for told in ((method, "HEAD") if method == "GET" else (method,))
    )


async def _answer_invalid_request(request: Request, exc: Exception) -> Response:
    """Name the fields of a query that are wrong, where FastAPI has read one."""
    faults = exc.errors() if isinstance(exc, RequestValidationError) else []
    problems = [problem for fault in faults for problem in query_problems(fault)]
    return await _answer_error(request, InvalidSpec(problems) if problems else MalformedRequest())
