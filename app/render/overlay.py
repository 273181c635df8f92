"""(frame, language, slogan, size, shape) -> overlay. The only cache: what a photo's path needs is kept here.

Once an overlay is kept, making an avatar touches no SVG and no font.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby, pairwise
from operator import itemgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from cachetools import Cache
from PIL import Image, ImageChops

from app.render.artwork import draw_circle, draw_ground, draw_words
from app.render.limits import OVERLAY_CACHE_BYTES
from app.spec import DEFAULT_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from app.frames import Face, FrameLibrary
    from app.spec import AvatarSpec, Shape

WEBP: Mapping[str, Any] = MappingProxyType({"quality": 80, "alpha_quality": 75, "method": 6, "exact": False})
"""For a preview on a page, drawn once and sent to everyone. Chosen at 540 px on red-ribbons: 29 KB for the
PNG's 190 KB, and laid over black, white or a photo 38 dB from it (january-31, the busiest: 33 KB, 36 dB).
What differs is the colour of the outermost pixels of white letters on red (4:2:0); there is no halo, because
without ``exact`` the encoder carries a block's visible colours into what is transparent.

- Quality 85 adds 4 KB and 0.7 dB, while a page's first view has 100 KB for everything; 75 shows in the
  satin's shades.
- Opacity is at most 3 levels of 255 off (11 at an alpha quality of 70); exact, it saves nothing and method 6
  takes 3 s for 0.3.
- Method 4 takes half the time of 6 for 5 % more bytes.
"""


TILE = 40
"""Side of the tiles that an overlay is cut into, in pixels: from 32 to 72 composing takes equally long."""


class Opening(NamedTuple):
    """A box of an overlay in which something of the photo is seen.

    Attributes:
        box: Left, top, right, bottom.
        share: L, of the box's size: how much of the photo is seen. None where it is all of it.
    """

    box: tuple[int, int, int, int]
    share: Image.Image | None


@dataclass(frozen=True)
class Overlay:
    """What lies over the photo. Never changed once made: it is shared by every avatar that uses it.

    Attributes:
        colour: RGB, ``size`` x ``size``.
        alpha: L, the frame's opacity.
        outside: L, the shape's own mask: 255 inside, 0 outside, anti-aliased. None for a square.
        face: The circle that the frame keeps free for a face.
    """

    colour: Image.Image
    alpha: Image.Image
    outside: Image.Image | None
    face: Face

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

    @cached_property
    def openings(self) -> Sequence[Opening]:
        """Boxes in which together all is that is seen of the photo; none reaches into the hidden margin.

        Half of an avatar is all frame and two fifths are all photo. To mix only the rest, a quarter with its
        tiles' corners, takes 2.7 ms where mixing the whole takes 4.2 (1080 px).
        """
        margin = self.hidden_margin
        seen = ImageChops.invert(self.alpha)
        rows = _steps(margin, self.alpha.height - margin)
        return [opening for row in rows for opening in _openings(seen, margin, row)]


def _steps(start: int, stop: int) -> list[tuple[int, int]]:
    """Return a stretch in pieces of TILE pixels."""
    return list(pairwise([*range(start, stop, TILE), stop]))


def _openings(seen: Image.Image, margin: int, row: tuple[int, int]) -> Iterator[Opening]:
    """Yield the openings of one row of tiles: neighbours of a kind as one, since each paste has its price."""
    top, bottom = row
    columns = _steps(margin, seen.width - margin)
    shares = [seen.crop((left, top, right, bottom)).getextrema() for left, right in columns]
    kinds = [None if most == 0 else least == 255 for least, most in cast("list[tuple[int, int]]", shares)]
    for is_whole, run in groupby(zip(columns, kinds, strict=True), itemgetter(1)):
        if is_whole is not None:
            boxes = [column for column, _ in run]
            box = (boxes[0][0], top, boxes[-1][1], bottom)
            yield Opening(box, None if is_whole else seen.crop(box))


class _Key(NamedTuple):
    """What a kept picture depends on; a frame without words has no language and no shape."""

    frame: str
    size: int
    lang: str | None = None
    slogan: str | None = None
    shape: Shape | None = None

    @property
    def is_campaigns(self) -> bool:
        """Whether it is what most people ask for: the campaign's own words at the size we propose."""
        return self.slogan is None and self.size == DEFAULT_SIZE


_Picture = TypeVar("_Picture", Overlay, Image.Image)


class _Kept(Cache[_Key, Overlay | Image.Image]):
    """In the order of their last use: whoever takes one out puts it in again, at the end."""

    def popitem(self) -> tuple[_Key, Overlay | Image.Image]:
        """Take out what goes first: the least recently used, but of the campaign's own only when alone."""
        strangers = (key for key in self if not key.is_campaigns)
        key = next(strangers, next(iter(self)))
        return key, self.pop(key)

    def room_for(self, key: _Key) -> float:
        """Return how large a picture may be to be kept: a stranger's pushes none of the campaign's out."""
        if key.is_campaigns:
            return self.maxsize
        return self.maxsize - sum(_nbytes(kept) for other, kept in self.items() if other.is_campaigns)


class Overlays:
    """Overlays, drawn on first use and kept while they fit; the least recently used goes first.

    The campaign's own at the proposed size go last, whatever sizes and slogans strangers try.

    The frames without words are kept beside them: another language or slogan at the same size then costs a
    fifth of the first or less (0.1 s at 1080 px).

    Not safe for threads: each process that renders has its own.

    Args:
        frames: The library that specs refer to.
        max_bytes: Memory that everything kept may take together.
    """

    def __init__(self, frames: FrameLibrary, max_bytes: int = OVERLAY_CACHE_BYTES) -> None:
        self.frames = frames
        self._kept = _Kept(max_bytes, getsizeof=_nbytes)

    @property
    def nbytes(self) -> int:
        """Memory that everything kept takes together."""
        return int(self._kept.currsize)

    def get(self, spec: AvatarSpec) -> Overlay:
        """Return the overlay for a spec.

        Raises:
            FrameNotFound: The library has no such frame.
            InvalidFrame: The frame's artwork cannot be drawn.
            SloganDoesNotFit: The slogan is too long for the frame.
            MissingGlyphs: The slogan holds characters that the frame's fonts lack.
        """
        key = _Key(spec.frame, spec.size, spec.lang, spec.slogan, spec.shape)
        return self._recall(key, partial(self._draw, spec))

    def png(self, spec: AvatarSpec) -> bytes:
        """Return the overlay by itself: an RGBA PNG, transparent where the photo shows.

        Raises:
            As for :meth:`get`.
        """
        file = io.BytesIO()
        self._by_itself(spec).save(file, "PNG")
        return file.getvalue()

    def webp(self, spec: AvatarSpec) -> bytes:
        """Return the same picture as :meth:`png` in a fifth of the bytes, and nearly as good: see WEBP.

        Raises:
            As for :meth:`get`.
        """
        file = io.BytesIO()
        self._by_itself(spec).save(file, "WEBP", **WEBP)
        return file.getvalue()

    def _by_itself(self, spec: AvatarSpec) -> Image.Image:
        overlay = self.get(spec)
        alpha = overlay.alpha
        if overlay.outside is not None:
            alpha = ImageChops.multiply(alpha, overlay.outside)
        return Image.merge("RGBA", (*overlay.colour.split(), alpha))

    def _draw(self, spec: AvatarSpec) -> Overlay:
        frame = self.frames.get(spec.frame)
        words = draw_words(frame, spec.lang, spec.slogan, spec.size)  # first: they cost less and may not fit
        ground = self._recall(_Key(spec.frame, spec.size), partial(draw_ground, frame, spec.size))
        artwork = Image.alpha_composite(ground, words)
        return Overlay(
            colour=artwork.convert("RGB"),
            alpha=artwork.getchannel("A"),
            outside=draw_circle(spec.size) if spec.shape == "circle" else None,
            face=frame.face,
        )

    def _recall(self, key: _Key, draw: Callable[[], _Picture]) -> _Picture:
        """Return what is kept under a key; draw it, and keep it where it fits, when nothing is."""
        picture = cast("_Picture", self._kept.pop(key)) if key in self._kept else draw()
        if _nbytes(picture) <= self._kept.room_for(key):
            self._kept[key] = picture
        return picture


def _nbytes(kept: Overlay | Image.Image) -> int:
    """Return the bytes of memory that pixels take; Pillow keeps RGB, like RGBA, in four a pixel."""
    if isinstance(kept, Image.Image):
        return kept.width * kept.height * (1 if kept.mode == "L" else 4)
    masks = [kept.alpha] if kept.outside is None else [kept.alpha, kept.outside]
    return sum(map(_nbytes, [kept.colour, *masks]))
