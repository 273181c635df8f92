"""A request that brings a photo -> an avatar: what the API's address and the pages' form do alike."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl

import anyio
from starlette.requests import ClientDisconnect

from app.errors import MalformedRequest, RibbonsError
from app.lanes import Lane
from app.web.http.uploads import MAX_FIELDS, utf8_name
from app.web.service import service_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from starlette.requests import Request

    from app.render.avatar import Avatar
    from app.spec import AvatarSpec
    from app.web.http.uploads import Fields, Upload

T = TypeVar("T")


class Order:
    """A photo that has arrived, and what was sent with it.

    Attributes:
        photo: The file's bytes; of what format is not known yet.
        fields: The query's and the form's, in order.
        output_format: The avatar's, or ``unknown`` until :meth:`draw` is asked for it.
    """

    def __init__(self, request: Request, upload: Upload) -> None:
        self.photo = upload.photo
        self.fields = fields_of(request, upload.fields)
        self.output_format = "unknown"
        self._request = request

    async def draw(self, spec: AvatarSpec) -> Avatar:
        """Draw the avatar. Who hands it over counts it (``Service.counter``).

        Raises:
            ClientDisconnect: The client left.
            RibbonsError: The photo, the spec or the service is at fault.
        """
        service = service_of(self._request)
        self.output_format = spec.output_format
        job = partial(service.drawing.studio.draw_avatar, self.photo, spec)
        party = service.parties.of(self._request)
        avatar = await run_while_connected(
            self._request, partial(service.drawing.pool.run, job, lane=Lane.PHOTO, party=party)
        )
        service.metrics.avatar_made(spec.output_format, avatar)
        return avatar


@asynccontextmanager
async def take_order(request: Request, settings: Sequence[str]) -> AsyncIterator[Order]:
    """Receive a photo, as the request's body or in a form, and hold it until the block ends.

    What the block raises is counted as a refusal.

    Args:
        request: What brings it.
        settings: The fields that a form may have beside it.

    Raises:
        RibbonsError: The photo does not arrive, or the service takes none now.
    """
    service = service_of(request)
    output_format = "unknown"
    try:
        party = service.parties.of(request)
        service.drawing.pool.refuse_if_full(Lane.PHOTO, party)
        async with service.uploads.receive(request, settings, party) as upload:
            order = Order(request, upload)
            try:
                yield order
            finally:
                output_format = order.output_format
                del order, upload  # this frame may wait in an error's traceback, and the photo must not
    except RibbonsError as error:
        service.metrics.avatar_refused(output_format, error.code)
        raise


def fields_of(request: Request, sent: Fields = ()) -> Fields:
    """Return the fields in a request's query and those that were sent beside its photo, in order.

    Raises:
        MalformedRequest: There are more than anyone needs: an answer names each that is wrong, and would
            take seconds to write. Or one in the query is not in UTF-8.
    """
    # Latin 1 has a letter for each byte. Starlette's own reading puts U+FFFD for what is not UTF-8.
    query = parse_qsl(
        request.scope["query_string"].decode("latin-1"), keep_blank_values=True, encoding="latin-1"
    )
    if len(query) + len(sent) > MAX_FIELDS:
        raise MalformedRequest
    return (*(_in_utf8(name.encode("latin-1"), value.encode("latin-1")) for name, value in query), *sent)


def _in_utf8(raw_name: bytes, raw_value: bytes) -> tuple[str, str]:
    name = utf8_name(raw_name)
    try:
        return name, raw_value.decode()
    except UnicodeDecodeError:
        raise MalformedRequest.in_field(name) from None


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
