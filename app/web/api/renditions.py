"""A photo as a browser can show it: what a page previews where the browser cannot decode the photo itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from app.errors import FieldProblem, InvalidSpec
from app.lanes import Lane
from app.render.rendition import DEFAULT, LARGEST, SMALLEST
from app.spec import plain_number
from app.web.api import openapi
from app.web.orders import fields_of, run_while_connected
from app.web.service import service_of

if TYPE_CHECKING:
    from app.web.http.uploads import Fields

router = APIRouter()


@router.post(
    "/v1/renditions",
    summary="Show a photo",
    tags=["avatars"],
    response_class=Response,
    responses=openapi.RENDITION_RESPONSES,
    openapi_extra=openapi.RENDITION_REQUEST,
)
async def make_rendition(request: Request) -> Response:
    """Send a photo, get the whole of it back as a JPEG that any browser shows: upright, in sRGB, no metadata.

    For previews of photos that a browser cannot decode. It is sent like a photo for an avatar, under the same
    limits, and kept no longer.
    """
    service = service_of(request)
    party = service.parties.of(request)
    pool = service.drawing.pool
    pool.refuse_if_full(Lane.PHOTO, party)
    async with service.uploads.receive(request, openapi.RENDITION_FIELDS, party) as upload:
        side = _read_side(fields_of(request, upload.fields))
        job = partial(service.drawing.studio.draw_rendition, upload.photo, side)
        content = await run_while_connected(request, partial(pool.run, job, lane=Lane.PHOTO, party=party))
    # The name is ours: the photo's own often says who is on it.
    headers = {"Content-Disposition": 'inline; filename="photo.jpg"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, media_type="image/jpeg")


def _read_side(given: Fields) -> int:
    """Return the pixels of the longer side that are asked for; an empty value means the default.

    Raises:
        InvalidSpec: Some field is wrong; every one is named.
    """
    sides: set[int] = set()
    problems = []
    for text in (value for name, value in given if name == "side" and value):
        try:
            sides.add(int(plain_number(text, is_whole=True)))
        except ValueError:
            problems.append(FieldProblem.of("side", "not_an_integer"))
    if len(sides) > 1:
        problems.append(FieldProblem.of("side", "repeated"))
    side, *_ = sides or {DEFAULT}
    if not all(SMALLEST <= number <= LARGEST for number in sides):
        problems.append(FieldProblem.of("side", "out_of_range", minimum=SMALLEST, maximum=LARGEST))
    problems += [
        FieldProblem.of(name[:64], "unknown", choices=openapi.RENDITION_FIELDS)
        for name, _ in given
        if name not in openapi.RENDITION_FIELDS
    ]
    if problems:
        raise InvalidSpec(dict.fromkeys(problems))
    return side
