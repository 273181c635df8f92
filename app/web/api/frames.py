"""The frames: what there is to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response  # noqa: TC002 - FastAPI reads the annotation
from pydantic import BaseModel, Field
from starlette.requests import Request  # noqa: TC002 - the same

from app.web.api import openapi
from app.web.service import service_of

if TYPE_CHECKING:
    from app import frames

FrameId = Annotated[
    str, Path(description="Id of a frame, from the list of frames.", examples=["red-ribbons"])
]

router = APIRouter()


class Frame(BaseModel):
    """A frame, as the API shows it."""

    id: Annotated[str, Field(examples=["red-ribbons"])]
    title: Annotated[dict[str, str], Field(description="By language; at least ar and en.")]
    description: Annotated[dict[str, str], Field(description="By language; at least ar and en.")]
    languages: Annotated[list[str], Field(description="Languages that its slogans come in.")]
    takes_custom_slogan: Annotated[bool, Field(description="Whether you may write your own slogan.")]
    overlay: Annotated[str, Field(description="Address of its picture, to be laid over a photo.")]

    @classmethod
    def of(cls, frame: frames.Frame) -> Frame:
        """Show a frame."""
        return cls(
            id=frame.id,
            title=frame.title,
            description=frame.description,
            languages=list(frame.languages),
            takes_custom_slogan=frame.takes_custom_slogan,
            overlay=f"/v1/frames/{frame.id}/overlay.png",
        )


@router.get("/v1/frames", summary="List the frames", tags=["frames"])
async def list_frames(request: Request, response: Response) -> list[Frame]:
    """Every frame there is, in the campaign's own order."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return [Frame.of(frame) for frame in service_of(request).drawing.frames]


@router.get(
    "/v1/frames/{frame_id}", summary="Show a frame", tags=["frames"], responses=openapi.FRAME_RESPONSES
)
async def show_frame(request: Request, response: Response, frame_id: FrameId) -> Frame:
    """One frame."""
    frame = service_of(request).drawing.frames.get(frame_id)
    response.headers["Cache-Control"] = "public, max-age=300"
    return Frame.of(frame)
