"""Several photos made into avatars in one go, on every core, by workers that a bad photo may cost.

One photo is made where it is read: starting a worker takes longer than drawing. Of several, none may end the
others, so each is drawn in a process that can be killed, as the service does it.
"""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING

import anyio

from app.drawing import Drawing
from app.errors import CapacityError, InternalError, PhotoError, RibbonsError
from app.files import open_photo, read_photo
from app.lanes import Lane
from app.render.avatar import Avatar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.settings import Settings
    from app.spec import AvatarSpec

Outcome = Avatar | RibbonsError | OSError
"""What became of a photo: an avatar, or why there is none."""


def make_avatars(
    photos: Sequence[str], spec: AvatarSpec, settings: Settings, take: Callable[[int, Outcome], None]
) -> None:
    """Make an avatar of each photo.

    Args:
        photos: Names of files. As many are in memory as there are workers.
        spec: What is asked for, of all of them.
        settings: Limits, workers and where the frames are.
        take: Is given each photo's index and what became of it, as soon as it is known. What it raises ends
            the whole.

    Raises:
        RibbonsError: No photo can be made: the words do not fit, a frame is wrong, no worker starts.
        KeyboardInterrupt: Somebody pressed Ctrl-C. Photos that are being drawn are given up.
    """
    settings = settings.model_copy(update={"workers": min(settings.workers, len(photos))})
    drawing = Drawing.build(settings, spec)
    # Kept and raised when every worker has ended: as it leaves the pool it would become one of a group.
    fatal: list[Exception] = []
    left = iter(enumerate(photos))

    async def work() -> None:
        for index, name in left:
            if fatal:
                return
            try:
                take(index, await _make(name, spec, drawing, settings.max_photo_bytes))
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


async def _make(name: str, spec: AvatarSpec, drawing: Drawing, max_bytes: int) -> Outcome:
    try:
        with open_photo(name) as file:
            photo = read_photo(file, max_bytes)
        return await drawing.pool.run(partial(drawing.studio.draw_avatar, photo, spec), Lane.BULK)
    except (PhotoError, CapacityError, InternalError, OSError) as error:
        return error


def _first(group: BaseExceptionGroup[RibbonsError]) -> RibbonsError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
