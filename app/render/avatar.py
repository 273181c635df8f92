"""The way of a photo: bytes in, an avatar's bytes out."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.render.colour import to_srgb
from app.render.compose import compose
from app.render.crop import crop, scale_needed
from app.render.decode import decode, identify
from app.render.encode import EXTENSIONS, MEDIA_TYPES, encode
from app.render.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from app.render.overlay import Overlays
    from app.spec import AvatarSpec


@dataclass(frozen=True)
class Avatar:
    """A finished picture.

    Attributes:
        content: The encoded picture, with nothing in it but pixels.
        media_type: Of ``content``, such as ``image/jpeg``.
        extension: For a file's name, with its dot, such as ``.jpg``.
        seconds: Wall time of each step, by its name: decode, overlay, crop, colour, compose, encode.
    """

    content: bytes
    media_type: str
    extension: str
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
    steps = _Stopwatch()
    with steps("decode"):
        container = identify(photo, limits)
        picture = decode(container, scale_needed((container.width, container.height), spec), limits)
    with steps("overlay"):
        overlay = overlays.get(spec)
    with steps("crop"):
        square = crop(picture, spec, overlay.hidden_margin)
    with steps("colour"):
        square = to_srgb(square, picture.profile)
    with steps("compose"):
        composed = compose(square, overlay)
    with steps("encode"):
        content = encode(composed, spec.output_format)
    return Avatar(content, MEDIA_TYPES[spec.output_format], EXTENSIONS[spec.output_format], steps.seconds)


class _Stopwatch:
    """Measures named steps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
