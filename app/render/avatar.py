"""The way of a photo: bytes in, an avatar's bytes out."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.render.colour import to_srgb
from app.render.compose import compose
from app.render.crop import crop, scale_needed
from app.render.decode import decode, decodes_otherwise, identify
from app.render.encode import EXTENSIONS, MEDIA_TYPES, encode
from app.render.faces import FACES_SIDE, find_faces
from app.render.framing import Choice, choose
from app.render.limits import Limits
from app.render.thumbnail import Thumbnail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from PIL import Image

    from app.frames import Face
    from app.render.decode import Photo
    from app.render.overlay import Overlays
    from app.spec import AvatarSpec


@dataclass(frozen=True)
class Avatar:
    """A finished picture.

    Attributes:
        content: The encoded picture, with nothing in it but pixels.
        media_type: Of ``content``, such as ``image/jpeg``.
        extension: For a file's name, with its dot, such as ``.jpg``.
        framing: Which square of the photo is seen, and how it was chosen.
        seconds: Wall time of each step, by its name: decode, overlay, framing, crop, colour, compose, encode.
    """

    content: bytes
    media_type: str
    extension: str
    framing: Choice
    seconds: Mapping[str, float]


def make_avatar(photo: bytes, spec: AvatarSpec, overlays: Overlays, limits: Limits = Limits()) -> Avatar:  # noqa: B008 - frozen
    """Make a photo into an avatar.

    Args:
        photo: The file's bytes, of any origin.
        spec: What is asked for.
        overlays: Where the frame comes from.
        limits: How large the photo may be.

    Raises:
        PhotoError: The photo cannot become an avatar; nothing else is raised for what a photo holds.
        SpecError: The slogan cannot be drawn.
        FrameError: The frame is missing or wrong.
    """
    avatar, _ = make_avatar_and_picture(photo, spec, overlays, limits)
    return avatar


def make_avatar_and_picture(
    photo: bytes, spec: AvatarSpec, overlays: Overlays, limits: Limits
) -> tuple[Avatar, Image.Image]:
    """Make a photo into an avatar, and return the picture too that was encoded, RGB or RGBA.

    Args and errors are those of :func:`make_avatar`.
    """
    steps = _Stopwatch()
    with steps("decode"):
        container = identify(photo, limits)
        size = (container.width, container.height)
        scale = scale_needed(size, spec)
        if _looks_for_faces(spec):
            scale = max(scale, FACES_SIDE / max(size))  # more than a small avatar needs
        picture = decode(container, scale, limits)
    with steps("overlay"):
        overlay = overlays.get(spec)
    with steps("framing"):
        framing = _frame(picture, spec, overlay.face)
        framed = spec.model_copy(update={"x": framing.x, "y": framing.y, "zoom": framing.zoom})
    with steps("decode"):
        # As for a square that was given. A small face is brought nearer, and then the photo holds more than
        # was decoded; or the search took more than a small avatar does.
        scale, before = scale_needed(size, framed), scale
        if decodes_otherwise(container, scale, before, limits):
            del picture  # or both would be in memory
            picture = decode(container, scale, limits)
    with steps("crop"):
        square = crop(picture, framed, overlay.hidden_margin)
    with steps("colour"):
        square = to_srgb(square, picture.profile)
    with steps("compose"):
        composed = compose(square, overlay)
    with steps("encode"):
        content = encode(composed, spec.output_format)
    media_type, extension = MEDIA_TYPES[spec.output_format], EXTENSIONS[spec.output_format]
    return Avatar(content, media_type, extension, framing, steps.seconds), composed


def _frame(photo: Photo, spec: AvatarSpec, opening: Face) -> Choice:
    """Choose the square, after a look for faces where one is of use."""
    faces = []
    if _looks_for_faces(spec):
        thumbnail = Thumbnail.of(photo, spec.rotate)
        faces = [thumbnail.in_photo(face) for face in find_faces(thumbnail.image)]
    return choose(photo.upright_size, faces, opening, spec)


def _looks_for_faces(spec: AvatarSpec) -> bool:
    return spec.faces == "on" and None in {spec.x, spec.y, spec.zoom}


class _Stopwatch:
    """Measures named steps, which may be taken in pieces."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - start
