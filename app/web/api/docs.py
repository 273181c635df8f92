"""The API's description for people, at /docs, with everything it loads from our own origin."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, JSONResponse
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

STATIC_FOLDER = Path(__file__).parents[1] / "static" / "docs"

# RapiDoc writes its styles into the page; its script is a file of ours, and nothing may come from elsewhere.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class KeptFiles(StaticFiles):
    """A folder of files that are read once: the script has 800 KB, and many may ask for it at once."""

    def file_response(self, full_path: Any, *args: Any, **given: Any) -> Response:
        """Answer as a static file is answered, from memory; in pieces it is sent to nobody."""
        answer = super().file_response(full_path, *args, **given)
        if not isinstance(answer, FileResponse):  # not modified
            return answer
        headers = {name: value for name, value in answer.headers.items() if name != "accept-ranges"}
        return Response(_content(Path(full_path)), answer.status_code, headers)


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()


router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def describe_for_programs(request: Request) -> Response:
    """Serve the OpenAPI document."""
    state = request.app.state
    if not hasattr(state, "openapi_text"):
        state.openapi_text = bytes(JSONResponse(state.openapi).body)
    return Response(state.openapi_text, media_type="application/json")


@router.get("/docs")
async def describe_for_people() -> FileResponse:
    """Serve the page; it reads /openapi.json."""
    return FileResponse(STATIC_FOLDER / "index.html", headers={"Content-Security-Policy": _POLICY})
