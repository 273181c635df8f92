"""A photo in, an avatar out."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from app.errors import FieldProblem
from app.spec import parse_spec
from app.web.api import openapi
from app.web.orders import take_order
from app.web.service import service_of

router = APIRouter()


@router.post(
    "/v1/avatars",
    summary="Make an avatar",
    tags=["avatars"],
    response_class=Response,
    responses=openapi.AVATAR_RESPONSES,
    openapi_extra=openapi.AVATAR_REQUEST,
)
async def make_avatar(request: Request) -> Response:
    """Send a photo, get it back as a profile picture that carries the campaign's frame.

    Send `multipart/form-data` with the photo in the field `photo` and the settings as fields, or the photo
    itself as the body, of any content type, with the settings in the query. What is in both has to say the
    same. The photo is kept in memory while
    the avatar is drawn, and nowhere after that.

    What is not given of `x`, `y` and `zoom` is chosen, so that the head lands in the frame's opening. Unless
    `faces` is off, a face is looked for; it is never recognised, and nothing of it is kept.
    """
    service = service_of(request)
    async with take_order(request, openapi.AVATAR_FIELDS) as order:
        chosen = sorted({value for name, value in order.fields if name == "disposition" and value})
        settings = [pair for pair in order.fields if pair[0] != "disposition"]
        spec = parse_spec(settings, service.drawing.frames, _disposition_problems(chosen))
        avatar = await order.draw(spec)
    service.counter.count()
    disposition = chosen[0] if chosen else "attachment"
    headers = {
        # The name is ours: the photo's own often says who is on it.
        "Content-Disposition": f'{disposition}; filename="{spec.frame}{avatar.extension}"',
        "Cache-Control": "no-store",
        openapi.FRAMING: str(avatar.framing),
    }
    return Response(avatar.content, headers=headers, media_type=avatar.media_type)


def _disposition_problems(chosen: list[str]) -> list[FieldProblem]:
    if set(chosen) - set(openapi.DISPOSITIONS):
        return [FieldProblem.of("disposition", "not_one_of", choices=openapi.DISPOSITIONS)]
    if len(chosen) > 1:
        return [FieldProblem.of("disposition", "repeated")]
    return []
