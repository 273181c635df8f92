"""The API's description for people, at /docs, with everything it loads from our own origin."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

STATIC_FOLDER = Path(__file__).parents[1] / "static" / "docs"

# RapiDoc writes its styles into the page; its script is a file of ours, and nothing may come from elsewhere.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def describe_for_programs(request: Request) -> JSONResponse:
    """Serve the OpenAPI document."""
    return JSONResponse(request.app.state.openapi)


@router.get("/docs")
async def describe_for_people() -> FileResponse:
    """Serve the page; it reads /openapi.json."""
    return FileResponse(STATIC_FOLDER / "index.html", headers={"Content-Security-Policy": _POLICY})
