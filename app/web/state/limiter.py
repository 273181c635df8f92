"""Limiters at what is drawn for short requests: much work, in any number. Addresses take turns at both."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import anyio
from anyio import Lock

from app.errors import Busy
from app.lanes import Lane, Slots

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
        with anyio.move_on_after(self._patience) as wait:
            await self.slots.take(Lane.PAGE, party)
        if wait.cancelled_caught:
            raise Busy
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
        own = self._own.setdefault(token, Lock())
        with anyio.move_on_after(self._patience) as wait:
            # The avatar's own first: a thousand requests for one of them are one of those who wait for all.
            await own.acquire()
            try:
                await self._all.take(Lane.PAGE, party)
            except BaseException:
                own.release()
                raise
        if wait.cancelled_caught:
            raise Busy
        try:
            yield
        finally:
            self._all.give_back(Lane.PAGE, party)
            own.release()
