"""A request that brings a photo -> an avatar: what the API's address and the pages' form do alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import anyio
from starlette.requests import ClientDisconnect

from app.errors import MalformedRequest, RibbonsError
from app.web.http.uploads import MAX_FIELDS
from app.web.service import service_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from app.render.avatar import Avatar
    from app.spec import AvatarSpec
    from app.web.http.uploads import Fields

T = TypeVar("T")
Disposition = Literal["attachment", "inline"]


@dataclass(frozen=True, slots=True)
class Order:
    """What a request asks for: the avatar, and how it is to be handed over."""

    spec: AvatarSpec
    disposition: Disposition


async def make_ordered(request: Request, read: Callable[[Fields], Order]) -> tuple[Avatar, Order]:
    """Receive a photo and draw its avatar. Who hands it over counts it (``Service.counter``).

    Args:
        request: With the photo as its body, or in a form.
        read: Makes an order of the query's and the form's fields, or raises what is wrong with them.

    Raises:
        ClientDisconnect: The client left.
        RibbonsError: The photo, the order or the service is at fault.
    """
    service = service_of(request)
    output_format = "unknown"
    try:
        service.pool.refuse_if_full()
        async with service.uploads.receive(request) as upload:
            order = read(fields_of(request, upload.fields))
            output_format = order.spec.output_format
            job = partial(service.studio.draw_avatar, upload.photo, order.spec)
            avatar = await run_while_connected(request, partial(service.pool.run, job, admitted=True))
    except RibbonsError as error:
        service.metrics.avatar_refused(output_format, error.code)
        raise
    service.metrics.avatar_made(order.spec.output_format, avatar.seconds)
    return avatar, order


def fields_of(request: Request, sent: Fields = ()) -> Fields:
    """Return the fields in a request's query and those that were sent beside its photo, in order.

    Raises:
        MalformedRequest: There are more than anyone needs. An answer names each that is wrong, and would
            take seconds to write.
    """
    fields = (*request.query_params.multi_items(), *sent)
    if len(fields) > MAX_FIELDS:
        raise MalformedRequest
    return fields


async def run_while_connected(request: Request, run: Callable[[], Awaitable[T]]) -> T:
    """Let the pool run a job for as long as somebody waits for it.

    Raises:
        ClientDisconnect: The client left; its place in the queue is free.
        RibbonsError: As :meth:`app.workers.WorkerPool.run`.
    """
    result: T | None = None
    failure: BaseException = ClientDisconnect()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_disconnect, request, tasks.cancel_scope)
        try:
            result = await run()
        except RibbonsError as error:  # kept, because the group would wrap it
            failure = error
        tasks.cancel_scope.cancel()
    try:
        if result is None:
            raise failure
        return result
    finally:
        # Its traceback holds this frame and the photo: together they would outlive the answer.
        del failure


async def _cancel_on_disconnect(request: Request, scope: anyio.CancelScope) -> None:
    # A request without a body has an empty http.request first; after that, or after the body, the next
    # message is the last one.
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
