"""The whole photo, small and upright, in which faces are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from PIL import Image

from app.render.colour import to_srgb
from app.render.crop import STORED, TURNS, direction, shrink
from app.render.faces import FACES_SIDE, Face

if TYPE_CHECKING:
    from app.render.decode import Photo


@dataclass(frozen=True)
class Thumbnail:
    """A photo as it will be seen: upright, then turned as somebody asks.

    Attributes:
        image: RGB in sRGB; its longer side has :data:`~app.render.faces.FACES_SIDE` pixels, or as few as the
            photo has. Turned by an angle, it has black corners, and up to two pixels more.
        turned_size: Width and height of the same at the photo's full scale.
        scale: Pixels of the photo at full scale to one of ``image``.
    """

    image: Image.Image
    turned_size: tuple[float, float]
    scale: float

    @classmethod
    def of(cls, photo: Photo, rotate: float) -> Self:
        """Make it of a photo from :func:`app.render.decode.decode`.

        Args:
            photo: The photo.
            rotate: Degrees, clockwise, by which it is turned beside being upright.
        """
        width, height = photo.upright_size
        cos, sin = map(abs, direction(rotate))
        turned_size = (width * cos + height * sin, width * sin + height * cos)
        longer = max(width, height)
        image = shrink(photo, max(round(FACES_SIDE * longer / max(turned_size)), 1))
        image = to_srgb(image, photo.profile)
        scale = longer / max(image.size)
        turn = TURNS[STORED[photo.orientation]]
        if turn is not None:
            image = image.transpose(turn)
        if rotate:
            image = image.rotate(-rotate, Image.Resampling.BILINEAR, expand=True)
        return cls(image, turned_size, scale)

    def in_photo(self, face: Face) -> Face:
        """Return a face of ``image`` in pixels of the turned photo at full scale.

        The two have their middles in common, while the thumbnail's edges were rounded to whole pixels.
        """
        left = (face.x - self.image.width / 2) * self.scale + self.turned_size[0] / 2
        top = (face.y - self.image.height / 2) * self.scale + self.turned_size[1] / 2
        return Face(left, top, face.width * self.scale, face.height * self.scale, face.score)
