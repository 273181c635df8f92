"""(frame, language, slogan, size, shape) -> overlay. The only cache: what a photo's path needs is kept here.

Once an overlay is kept, making an avatar touches no SVG and no font.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from PIL import Image, ImageChops

from app.render.artwork import draw_artwork, draw_circle

if TYPE_CHECKING:
    from app.frames import FrameLibrary
    from app.spec import AvatarSpec, Shape

DEFAULT_CACHE_BYTES = 128 * 1024 * 1024
"""About 27 overlays of 1080 px (4.7 MB each)."""


@dataclass(frozen=True)
class Overlay:
    """What lies over the photo. Never changed once made: it is shared by every avatar that uses it.

    Attributes:
        colour: RGB, ``size`` x ``size``.
        alpha: L, the frame's opacity.
        outside: L, the shape's own mask: 255 inside, 0 outside, anti-aliased. None for a square.
    """

    colour: Image.Image
    alpha: Image.Image
    outside: Image.Image | None

    @property
    def nbytes(self) -> int:
        """Bytes of memory that its pixels take (Pillow keeps RGB in four bytes)."""
        pixels = self.colour.width * self.colour.height
        return pixels * (4 + 1 + (self.outside is not None))

    @cached_property
    def hidden_margin(self) -> int:
        """Pixels of the photo that the frame hides on each of the four sides, from edge to edge.

        What nobody will see need not be resized and converted: for a frame that covers its corners and rim
        that is a sixth of the photo.
        """
        seen = ImageChops.invert(self.alpha).getbbox()
        if seen is None:
            return 0
        left, top, right, bottom = seen
        return min(left, top, self.alpha.width - right, self.alpha.height - bottom)


_Key = tuple[str, str, str | None, int, "Shape"]


class Overlays:
    """Overlays, drawn on first use and kept while they fit; the least recently used goes first.

    Not safe for threads: each process that renders has its own.

    Args:
        frames: The library that specs refer to.
        max_bytes: Memory that kept overlays may take together.
    """

    def __init__(self, frames: FrameLibrary, max_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        self.frames = frames
        self.max_bytes = max_bytes
        self.nbytes = 0
        self._kept: OrderedDict[_Key, Overlay] = OrderedDict()

    def get(self, spec: AvatarSpec) -> Overlay:
        """Return the overlay for a spec.

        Raises:
            FrameNotFound: The library has no such frame.
            InvalidFrame: The frame's artwork cannot be drawn.
            SloganDoesNotFit: The slogan is too long for the frame.
            MissingGlyphs: The slogan holds characters that the frame's fonts lack.
        """
        key = (spec.frame, spec.lang, spec.slogan, spec.size, spec.shape)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        overlay = self._draw(spec)
        self._keep(key, overlay)
        return overlay

    def png(self, spec: AvatarSpec) -> bytes:
        """Return the overlay by itself: an RGBA PNG, transparent where the photo shows.

        Raises:
            As for :meth:`get`.
        """
        overlay = self.get(spec)
        alpha = overlay.alpha
        if overlay.outside is not None:
            alpha = ImageChops.multiply(alpha, overlay.outside)
        image = Image.merge("RGBA", (*overlay.colour.split(), alpha))
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue()

    def _draw(self, spec: AvatarSpec) -> Overlay:
        artwork = draw_artwork(self.frames.get(spec.frame), spec.lang, spec.slogan, spec.size)
        return Overlay(
            colour=artwork.convert("RGB"),
            alpha=artwork.getchannel("A"),
            outside=draw_circle(spec.size) if spec.shape == "circle" else None,
        )

    def _keep(self, key: _Key, overlay: Overlay) -> None:
        if overlay.nbytes > self.max_bytes:
            return
        self._kept[key] = overlay
        self.nbytes += overlay.nbytes
        while self.nbytes > self.max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self.nbytes -= oldest.nbytes
