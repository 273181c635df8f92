"""Limiters at what is drawn for short requests: much work, in any number. Addresses take turns at both."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import anyio
from anyio import Lock

from app.errors import Busy
from app.lanes import Lane, Slots

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from app.turns import Party


class OverlayLimiter:
    """Lets a few in at a time who ask for a frame's picture that is not kept.

    Args:
        at_once: How many.
        queue: How many may wait; see :class:`app.lanes.Slots`.
        patience: Seconds that anybody may wait.
    """

    def __init__(self, at_once: int, queue: int, patience: float) -> None:
        self.slots = Slots(at_once, queue)
        self._patience = patience

    def refuse_if_full(self, party: Party) -> None:
        """Refuse somebody who would have to wait, if as many do as may.

        Raises:
            CapacityError: As :meth:`app.lanes.Slots.refuse_if_full`.
        """
        self.slots.refuse_if_full(Lane.PAGE, party)

    @asynccontextmanager
    async def turn(self, party: Party) -> AsyncIterator[None]:
        """Wait for a turn, and keep it until the block ends.

        Raises:
            Busy: It did not come in time.
            TooManyAtOnce: As :meth:`app.lanes.Slots.take`.
        """
        with _in_time(self._patience):
            await self.slots.take(Lane.PAGE, party)
        try:
            yield
        finally:
            self.slots.give_back(Lane.PAGE, party)


class DerivedLimiter:
    """Lets one who asks for an avatar's files in at a time, and a few for all avatars together.

    Args:
        at_once: Files that may be drawn at the same moment.
        patience: Seconds that anybody may wait.
    """

    def __init__(self, at_once: int, patience: float) -> None:
        # Any number may wait: they hold nothing.
        self._all = Slots(at_once, sys.maxsize)
        self._patience = patience
        # Each lives for as long as somebody holds it or waits for it.
        self._own: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, token: str, party: Party) -> AsyncIterator[None]:
        """Wait for a turn at one avatar, and keep it until the block ends.

        Who waits should hold no bytes of the avatar: any number may wait.

        Raises:
            Busy: It did not come in time.
        """
        async with AsyncExitStack() as held:
            with _in_time(self._patience):
                # Its own first: a thousand requests for one avatar are one of those who wait for all.
                await held.enter_async_context(self._own.setdefault(token, Lock()))
                await self._all.take(Lane.PAGE, party)
                held.callback(self._all.give_back, Lane.PAGE, party)
            yield


@contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    """Wait in the block for so long.

    Raises:
        Busy: What is waited for did not come in time.
    """
    with anyio.move_on_after(seconds) as wait:
        yield
    if wait.cancelled_caught:
        raise Busy
