"""Encoded pictures that many people ask for, kept in the web process."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from anyio import Lock
from cachetools import LRUCache

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

PAGES_BYTES = 10_000_000
"""All that the pages ask for fits a third of it: three frames in eight languages and four sizes, 35 KB each
as a WebP of 540 px."""

OTHERS_BYTES = 6_000_000
"""For other sizes and for PNGs. Whoever asks for thousands of those pushes out what nobody has asked for
longest, and nothing that a page shows."""


class OverlayCache:
    """Keeps the most recently used pictures, by a key that says everything they depend on.

    Args:
        max_bytes: Memory for all of them together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._pictures: LRUCache[Hashable, bytes] = LRUCache(max_bytes, getsizeof=len)
        # Each lives for as long as somebody holds it or waits for it.
        self._drawing: WeakValueDictionary[Hashable, Lock] = WeakValueDictionary()

    @property
    def drawing(self) -> int:
        """Missing pictures that are being drawn now."""
        return len(self._drawing)

    def kept(self, key: Hashable) -> bytes | None:
        """Return a picture, if it is there."""
        return self._pictures.get(key)

    async def get(self, key: Hashable, draw: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return a picture. Of those who ask for a missing one at once, one draws it and all get it.

        Where the one who draws gives up or fails, the next one tries.

        Raises:
            What ``draw`` raises.
        """
        if (kept := self._pictures.get(key)) is not None:
            return kept
        lock = self._drawing.setdefault(key, Lock())
        async with lock:
            if (kept := self._pictures.get(key)) is not None:
                return kept
            picture = await draw()
            if len(picture) <= self._pictures.maxsize:
                self._pictures[key] = picture
            return picture
