"""Several photos made into avatars in one go, on every core, by workers that a bad photo may cost.

One photo is made where it is read: starting a worker takes longer than drawing. Of several, none may end the
others, so each is drawn in a process that can be killed, as the service does it.
"""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anyio

from app.drawing import Drawing
from app.errors import RibbonsError
from app.lanes import Lane
from app.render.avatar import Avatar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.jobs import Studio
    from app.settings import Settings
    from app.spec import AvatarSpec

Outcome = Avatar | RibbonsError | OSError
"""What became of a photo: an avatar, or why there is none."""


class Order(NamedTuple):
    """A photo that an avatar is asked of. It goes to a worker, and so must be picklable.

    Attributes:
        read: Returns the photo's bytes; may raise RibbonsError and OSError. A worker does: a photo of 3 MB
            that is read here and handed over costs 5 ms of CPU more, of 70.
        spec: What is asked for.
    """

    read: Callable[[], bytes]
    spec: AvatarSpec


def make_avatars(
    orders: Sequence[Order], specimen: AvatarSpec, settings: Settings, take: Callable[[int, Outcome], None]
) -> None:
    """Make an avatar of each photo.

    Args:
        orders: The photos. As many are in memory as there are workers.
        specimen: What workers draw first, to prove that they can.
        settings: Limits, workers and where the frames are.
        take: Is given each order's index and what became of it, as soon as it is known. What it raises ends
            the whole.

    Raises:
        RibbonsError: No photo can be made: the specimen's words do not fit, a frame is wrong, no worker
            starts.
        KeyboardInterrupt: Somebody pressed Ctrl-C. Photos that are being drawn are given up.
    """
    settings = settings.model_copy(update={"workers": min(settings.workers, len(orders))})
    drawing = Drawing.build(settings, specimen)
    # Kept and raised when every worker has ended: as it leaves the pool it would become one of a group.
    fatal: list[Exception] = []
    left = iter(enumerate(orders))

    async def work() -> None:
        for index, order in left:
            if fatal:
                return
            try:
                take(index, await _make(order, drawing))
            except Exception as exc:  # noqa: BLE001 - raised again below
                fatal.append(exc)

    async def run() -> None:
        async with drawing.pool.opened(), anyio.create_task_group() as tasks:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            for _ in range(settings.workers):
                tasks.start_soon(work)

    # A terminal's Ctrl-C reaches the workers too. What is blocked here stays so in the processes that are
    # started: none of them ends in a trace before it can ignore it. For us it is put off for as long.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        anyio.run(run)
    except* RibbonsError as group:
        fatal.append(_first(group))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if fatal:
        raise fatal[0]


async def _make(order: Order, drawing: Drawing) -> Outcome:
    try:
        return await drawing.pool.run(partial(_draw, order, drawing.studio), Lane.BULK)
    except RibbonsError as error:
        return error


def _draw(order: Order, studio: Studio) -> Avatar | OSError:
    """Read and draw, in a worker, for which what the system says of a file is no fault."""
    try:
        photo = order.read()
    except OSError as error:
        return error
    return studio.draw_avatar(photo, order.spec)


def _first(group: BaseExceptionGroup[RibbonsError]) -> RibbonsError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
