"""The API: avatars, frames, and what each kind of problem means."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, get_args

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from app.errors import FieldProblem, NotFound
from app.spec import parse_spec
from app.web.api import openapi, overlays, renditions
from app.web.api.overlays import FrameId  # noqa: TC001 - FastAPI reads the annotation
from app.web.http.problems import KINDS, ProblemKind, describe
from app.web.orders import Disposition, Order, make_ordered
from app.web.service import service_of

if TYPE_CHECKING:
    from app.frames import Frame, FrameLibrary
    from app.web.http.uploads import Fields

router = APIRouter()
router.include_router(renditions.router)
router.include_router(overlays.router)


# -- avatars ---------------------------------------------------------------


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
    itself as the body, of any content type, with the settings in the query. The photo is kept in memory while
    the avatar is drawn, and nowhere after that.
    """
    service = service_of(request)
    avatar, order = await make_ordered(request, partial(_read_order, frames=service.frames))
    service.counter.count()
    headers = {
        # The name is ours: the photo's own often says who is on it.
        "Content-Disposition": f'{order.disposition}; filename="{order.spec.frame}{avatar.extension}"',
        "Cache-Control": "no-store",
    }
    return Response(avatar.content, headers=headers, media_type=avatar.media_type)


def _read_order(given: Fields, frames: FrameLibrary) -> Order:
    """Split what was given into the spec and the way of the answer, naming every bad field of both.

    Raises:
        InvalidSpec: Some field is wrong.
    """
    chosen = [value for name, value in given if name == "disposition" and value]
    problems: list[FieldProblem] = []
    if len(chosen) > 1:
        problems.append(FieldProblem.of("disposition", "repeated"))
    elif chosen and chosen[0] not in get_args(Disposition):
        problems.append(FieldProblem.of("disposition", "not_one_of", choices=get_args(Disposition)))
    spec = parse_spec([pair for pair in given if pair[0] != "disposition"], frames, problems)
    return Order(spec, "inline" if chosen == ["inline"] else "attachment")


# -- frames ----------------------------------------------------------------


class FrameMember(BaseModel):
    """A frame, as the API shows it."""

    id: Annotated[str, Field(examples=["red-ribbons"])]
    title: Annotated[dict[str, str], Field(description="By language; at least ar and en.")]
    description: Annotated[dict[str, str], Field(description="By language; at least ar and en.")]
    languages: Annotated[list[str], Field(description="Languages that its slogans come in.")]
    takes_custom_slogan: Annotated[bool, Field(description="Whether you may write your own slogan.")]
    overlay: Annotated[str, Field(description="Address of its picture, to be laid over a photo.")]

    @classmethod
    def of(cls, frame: Frame) -> FrameMember:
        """Show a frame."""
        return cls(
            id=frame.id,
            title=frame.title,
            description=frame.description,
            languages=list(frame.languages),
            takes_custom_slogan=frame.takes_custom_slogan,
            overlay=f"/v1/frames/{frame.id}/overlay.png",
        )


@router.head("/v1/frames", include_in_schema=False)
@router.get("/v1/frames", summary="List the frames", tags=["frames"])
async def list_frames(request: Request, response: Response) -> list[FrameMember]:
    """Every frame there is, in the campaign's own order."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return [FrameMember.of(frame) for frame in service_of(request).frames]


@router.head("/v1/frames/{frame_id}", include_in_schema=False)
@router.get(
    "/v1/frames/{frame_id}", summary="Show a frame", tags=["frames"], responses=openapi.FRAME_RESPONSES
)
async def show_frame(request: Request, response: Response, frame_id: FrameId) -> FrameMember:
    """One frame."""
    frame = service_of(request).frames.get(frame_id)
    response.headers["Cache-Control"] = "public, max-age=300"
    return FrameMember.of(frame)


# -- problems --------------------------------------------------------------


@router.head("/v1/problems", include_in_schema=False)
@router.get("/v1/problems", summary="List the kinds of problem", tags=["problems"])
async def list_problems() -> list[ProblemKind]:
    """Every `code` that a problem can have."""
    return [describe(error) for error in KINDS]


@router.head("/v1/problems/{code}", include_in_schema=False)
@router.get(
    "/v1/problems/{code}",
    summary="Show a kind of problem",
    tags=["problems"],
    responses=openapi.PROBLEM_RESPONSES,
)
async def show_problem(
    code: Annotated[str, Path(description="A problem's `code`.", examples=["busy"])],
) -> ProblemKind:
    """What the `type` of a problem points to."""
    for error in KINDS:
        if error.code == code:
            return describe(error)
    raise NotFound
