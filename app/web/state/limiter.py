"""DerivedLimiter at drawing what is made of finished avatars: short requests for much work, in any number."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import anyio
from anyio import CapacityLimiter, Lock

from app.errors import Busy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class DerivedLimiter:
    """Lets one who asks for an avatar's files in at a time, and a few for all avatars together.

    Args:
        at_once: DerivedLimiter that may be taken at the same moment.
        patience: Seconds that anybody may wait for one.
    """

    def __init__(self, at_once: int, patience: float) -> None:
        self._all = CapacityLimiter(at_once)
        self._patience = patience
        # Each lives for as long as somebody holds it or waits for it.
        self._own: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, token: str) -> AsyncIterator[None]:
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
                await self._all.acquire_on_behalf_of(own)
            except BaseException:
                own.release()
                raise
        if wait.cancelled_caught:
            raise Busy
        try:
            yield
        finally:
            self._all.release_on_behalf_of(own)
            own.release()
