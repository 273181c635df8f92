"""The API: avatars, frames, and what each kind of problem means."""

from __future__ import annotations

import hashlib
import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, get_args

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from app.errors import FieldProblem, InvalidSpec, MalformedRequest, NotFound
from app.spec import AvatarSpec, parse_spec
from app.web import openapi
from app.web.making import Disposition, Order, make_ordered, query_fields, run_while_connected
from app.web.problems import KINDS, ProblemKind, describe
from app.web.service import service_of
from app.web.uploads import MAX_FIELDS, Fields

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.frames import Frame, FrameLibrary


_OVERLAY_FIELDS = ("lang", "slogan", "size", "shape")

router = APIRouter()


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
    avatar, order = await make_ordered(request, partial(_read_order, frames=service_of(request).frames))
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
        MalformedRequest: There are more fields than anyone needs.
    """
    if len(given) > MAX_FIELDS:
        raise MalformedRequest
    chosen = [value for name, value in given if name == "disposition" and value]
    problems: list[FieldProblem] = []
    if len(chosen) > 1:
        problems.append(FieldProblem.of("disposition", "repeated"))
    elif chosen and chosen[0] not in get_args(Disposition):
        problems.append(FieldProblem.of("disposition", "not_one_of", choices=get_args(Disposition)))
    spec = _parse([pair for pair in given if pair[0] != "disposition"], frames, problems)
    return Order(spec, "inline" if chosen == ["inline"] else "attachment")


def _parse(
    given: Iterable[tuple[str, str]], frames: FrameLibrary, problems: list[FieldProblem]
) -> AvatarSpec:
    """Parse a spec, and raise what is wrong with it together with the problems that are known already."""
    try:
        spec = parse_spec(given, frames)
    except InvalidSpec as error:
        raise InvalidSpec([*error.problems, *problems]) from None
    if problems:
        raise InvalidSpec(problems)
    return spec


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


FrameId = Annotated[
    str, Path(description="Id of a frame, from the list of frames.", examples=["red-ribbons"])
]


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


@router.head("/v1/frames/{frame_id}/overlay.png", include_in_schema=False)
@router.get(
    "/v1/frames/{frame_id}/overlay.png",
    summary="Draw a frame by itself",
    tags=["frames"],
    response_class=Response,
    responses=openapi.OVERLAY_RESPONSES,
    openapi_extra={"parameters": openapi.spec_parameters(_OVERLAY_FIELDS)},
)
async def draw_overlay(request: Request, frame_id: FrameId) -> Response:
    """The frame with its slogan, transparent where the photo shows: what a page lays over its preview."""
    service = service_of(request)
    frame = service.frames.get(frame_id)
    spec = _read_overlay_request(query_fields(request), frame, service.frames)
    # A supporter's own words are theirs: no cache on the way may keep them.
    scope = "private" if spec.slogan else "public"
    etag = _overlay_etag(service.drawing_revision, frame, spec)
    headers = {"ETag": etag, "Cache-Control": f"{scope}, max-age=3600"}
    condition = request.headers.get("if-none-match", "")
    # Compared weakly, as RFC 9110 (13.1.2) asks: caches and proxies may have weakened ours.
    if etag in re.findall(r'"[^"]*"', condition):
        return Response(status_code=304, headers=headers)
    job = partial(service.studio.draw_overlay, spec)
    content = await run_while_connected(request, partial(service.pool.run, job))
    if condition.strip() == "*":  # any picture that there is; only drawing tells whether there is one
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="image/png")


def _read_overlay_request(given: Fields, frame: Frame, frames: FrameLibrary) -> AvatarSpec:
    if len(given) > MAX_FIELDS:
        raise MalformedRequest
    problems = [
        FieldProblem.of(name[:64], "unknown", choices=_OVERLAY_FIELDS)
        for name, _ in given
        if name not in _OVERLAY_FIELDS
    ]
    allowed = [pair for pair in given if pair[0] in _OVERLAY_FIELDS]
    return _parse([("frame", frame.id), *allowed], frames, problems)


def _overlay_etag(drawing_revision: str, frame: Frame, spec: AvatarSpec) -> str:
    """Return a strong ETag: the same drawing code, frame, fonts and spec draw the same bytes."""
    parts = (drawing_revision, frame.revision, spec.lang, spec.slogan or "", str(spec.size), spec.shape)
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return f'"{digest[:32]}"'


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
