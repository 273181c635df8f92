"""Who asks: a partner, by its key."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, NamedTuple
from urllib.parse import unquote_to_bytes

from fastapi import Depends, Path, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation

from app.bulk.opened import Partner
from app.errors import BatchNotFound, InvalidName, KeyMissing, KeyNotKnown
from app.keys import is_well_formed
from app.web.http.problems import language_of
from app.web.middleware import put_by
from app.web.service import service_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from app.web.batch_desk import BatchDesk
    from app.web.state.quotas import QuotaState

# Of any batch that there ever was. What has another form is looked for nowhere.
_BATCH = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)

_bearer = HTTPBearer(
    scheme_name="partnerKey",
    bearerFormat="rrk_…",
    description="A partner's key, which whoever runs the service makes with `ribbons keys add`.",
    auto_error=False,
)


def desk_of(request: Request) -> BatchDesk:
    """Return what takes requests to batches. There is one wherever their routes are."""
    desk = service_of(request).batch_desk
    if desk is None:
        raise TypeError("there are no batches here")
    return desk


async def _partner(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Partner:
    """Return who has the key that a request brings, and have its quota told in whatever is answered."""
    if credentials is None:
        raise KeyMissing
    # Guessed ones cost nothing: one in four thousand million gets as far as the ledger, and is not there.
    if not is_well_formed(credentials.credentials):
        raise KeyNotKnown
    desk = desk_of(request)
    partner = await desk.read(desk.batches.partner_of, credentials.credentials)
    tell_quota(request, await desk.quotas.state(partner))
    return partner


def _batch_id(
    batch: Annotated[str, Path(description="A batch's `id`.", examples=["b_4pT0yWq8rK2mZcVnB1xYzA"])],
) -> str:
    if not _BATCH.fullmatch(batch):
        raise BatchNotFound
    return batch


Asking = Annotated[Partner, Depends(_partner)]
"""Whose key came with the request."""

BatchId = Annotated[str, Depends(_batch_id)]
"""A batch, in an address."""


class Download(NamedTuple):
    """Who takes a file home.

    Attributes:
        partner: Whose key came with the request, or for whom its address was made.
        language: In which the file is told.
    """

    partner: Partner
    language: str


def downloading(file: str) -> Callable[..., Awaitable[Download]]:
    """Return a dependency that takes a key or, of whom is led here by a browser, the address that was given.

    Args:
        file: Which one; the address is good for that alone.
    """

    async def dependency(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
        batch: BatchId,
        token: Annotated[
            str | None, Query(description="Instead of a key, in an address that was made for browsers.")
        ] = None,
    ) -> Download:
        if credentials is not None or token is None:
            return Download(await _partner(request, credentials), language_of(request))
        desk = desk_of(request)
        download = Download(*await desk.read(desk.batches.by_token, token, batch, file))
        tell_quota(request, await desk.quotas.state(download.partner))
        return download

    return dependency


def tell_quota(request: Request, state: QuotaState) -> None:
    """Have the answer say what is left of a quota."""
    put_by(request.scope, state.headers)


def exact_name(request: Request, name: str, after: str = "") -> str:
    """Return a photo's name, known to be what was sent.

    Servers put U+FFFD in a path for what is not in UTF-8. Two names of an old system would be one, and one of
    the photos lost.

    Args:
        request: In whose address it is.
        name: As it was read out of it.
        after: What comes behind it there.

    Raises:
        InvalidName: It is not in UTF-8.
    """
    if "\ufffd" in name:
        sent = unquote_to_bytes(request.scope.get("raw_path", b""))
        if not sent.endswith(f"/{name}{after}".encode()):
            raise InvalidName
    return name


PhotoName = Annotated[
    str,
    Path(
        description="A photo's name, with `/` between folders. What is neither a letter of ASCII nor a digit "
        "is percent-encoded, as UTF-8.",
        examples=["staff/Abu%20Ali.heic"],
    ),
]
