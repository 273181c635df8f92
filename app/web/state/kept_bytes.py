"""Encoded pictures and packed pages that many people ask for, made once and kept in the web process."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from anyio import Lock
from cachetools import LRUCache

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable


class KeptBytes:
    """Keeps what was used most recently, by a key that says everything it depends on.

    Args:
        max_bytes: Memory for all of it together. Keys are not counted: let them be short.
    """

    def __init__(self, max_bytes: int) -> None:
        self._kept: LRUCache[Hashable, bytes] = LRUCache(max_bytes, getsizeof=len)
        # Each lives for as long as somebody holds it or waits for it.
        self._making: WeakValueDictionary[Hashable, Lock] = WeakValueDictionary()

    @property
    def making(self) -> int:
        """What is missing and is being made now."""
        return len(self._making)

    def kept(self, key: Hashable) -> bytes | None:
        """Return what is there, or None."""
        return self._kept.get(key)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return what is there, or make it. Of those who ask for it at once, one makes it and all get it.

        Where the one who makes it gives up or fails, the next one tries.

        Raises:
            What ``make`` raises.
        """
        if (kept := self._kept.get(key)) is not None:
            return kept
        lock = self._making.setdefault(key, Lock())
        async with lock:
            if (kept := self._kept.get(key)) is not None:
                return kept
            made = await make()
            if len(made) <= self._kept.maxsize:
                self._kept[key] = made
            return made
