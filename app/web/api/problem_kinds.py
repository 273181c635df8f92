"""What lives at a problem's ``type``: what each kind of problem means."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from app.errors import NotFound
from app.web.api import openapi
from app.web.http.problems import STATUSES, ProblemKind, describe

router = APIRouter()


@router.get("/v1/problems", summary="List the kinds of problem", tags=["problems"])
async def list_problems() -> list[ProblemKind]:
    """Every `code` that a problem can have."""
    return [describe(error) for error in STATUSES]


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
    for error in STATUSES:
        if error.code == code:
            return describe(error)
    raise NotFound
