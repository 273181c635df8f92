"""Encoded pictures that many people ask for, kept in the web process."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from anyio import Lock
from cachetools import LRUCache

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CACHE_BYTES = 16_000_000
"""All that a page asks for fits a tenth of it: three frames in eight languages, 35 KB each as a WebP of
540 px. The rest is for other sizes and for PNGs; whoever asks for thousands of those pushes out what nobody
has asked for longest, and no more memory is taken."""


class OverlayCache:
    """Keeps the most recently used pictures, by a key that says everything they depend on.

    Args:
        max_bytes: Memory for all of them together.
    """

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._pictures: LRUCache[str, bytes] = LRUCache(max_bytes, getsizeof=len)
        # Each lives for as long as somebody holds it or waits for it.
        self._drawing: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    @property
    def drawing(self) -> int:
        """Missing pictures that are being drawn now."""
        return len(self._drawing)

    async def get(self, key: str, draw: Callable[[], Awaitable[bytes]]) -> bytes:
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
