"""How large a photo may be: pure data, and the only place of the default numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How large a photo may be. Each is checked before the work that it bounds.

    Attributes:
        max_bytes: Size of the file; MB are 1,000,000 bytes.
        max_pixels: Pixels of a picture that is shrunk while it is decoded (baseline JPEG): phones make 200
            million.
        max_decoded_pixels: Pixels that are held in memory at once, and so the limit for every other kind of
            file. A pixel takes 4 bytes, and up to 16 while a WebP is unpacked.
        min_side: Pixels of the shorter side.
    """

    max_bytes: int = 40_000_000
    max_pixels: int = 250_000_000
    max_decoded_pixels: int = 60_000_000
    min_side: int = 16


OVERLAY_CACHE_BYTES = 128_000_000
"""Memory that a process keeps drawn frames in: about 22 overlays of 1080 px (5.8 MB each, and 4.7 MB for each
frame without words)."""
