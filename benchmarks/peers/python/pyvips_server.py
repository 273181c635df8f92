"""pyvips behind Starlette: a photo comes as the body, the avatar goes out.

As many processes as there are cores (uvicorn's), threads in each, and one thread of libvips for a picture.
"""

from __future__ import annotations

import os
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyvips
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

FOLDER = Path(os.environ["FOLDER"])
encode = partial(
    pyvips.Image.jpegsave_buffer, Q=int(os.environ["JPEG_QUALITY"]), subsample_mode="off", keep="none"
)


@cache
def overlay_of(size: int) -> tuple[pyvips.Image, pyvips.Image]:
    """Return the frame's colours and its opacity, in memory."""
    overlay = pyvips.Image.new_from_file(str(FOLDER / f"overlay-{size}.png"))
    return overlay[:3].copy_memory(), overlay[3].copy_memory()


def draw(photo: bytes, size: int) -> bytes:
    """Make a photo into an avatar: a blend of whole numbers, which takes half of what ``composite`` takes."""
    colours, opacity = overlay_of(size)
    square = pyvips.Image.thumbnail_buffer(photo, size, height=size, crop="centre")
    avatar: bytes = encode(opacity.ifthenelse(colours, square, blend=True))
    return avatar


async def post(request: Request) -> Response:
    """Answer with the avatar."""
    size = int(request.query_params["size"])
    avatar = await run_in_threadpool(draw, await request.body(), size)
    return Response(avatar, media_type="image/jpeg")


async def healthz(_request: Request) -> Response:
    """Answer that it runs."""
    return PlainTextResponse("ok")


app = Starlette(routes=[Route("/", post, methods=["POST"]), Route("/healthz", healthz)])
