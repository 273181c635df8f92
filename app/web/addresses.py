"""What names a picture's bytes: the address of a frame's overlay, its version and its ETag.

Whatever changes the bytes changes these names: the code that draws, the frame, its fonts, what is asked for.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from app.frames import Frame
    from app.spec import AvatarSpec, Shape

VERSION_FIELD = "v"
"""The query field of an overlay's address that holds its version: browsers keep what is there for ever."""

PAGE_SIZES = frozenset({112, 360, 540, 720})
"""The sides, in pixels, of the frames' pictures that pages show: few, so that most of them are kept."""


def overlay_address(
    drawing_revision: str, frame: Frame, lang: str, size: int, shape: Shape = "square"
) -> str:
    """Return the address of a frame's picture for a page.

    Args:
        drawing_revision: Changes with the code that draws.
        frame: The frame.
        lang: One of ``frame.languages``.
        size: Side of the square, in pixels.
        shape: Whether the picture is cut to a circle.
    """
    version = overlay_version(drawing_revision, frame)
    fields = {"lang": lang, "size": size, "shape": shape, VERSION_FIELD: version}
    return f"/v1/frames/{frame.id}/overlay.webp?{urlencode(fields)}"


def is_shown_by_pages(spec: AvatarSpec) -> bool:
    """Tell whether a frame's picture is one that pages ask for without a supporter's own words."""
    return (
        not spec.slogan and spec.size in PAGE_SIZES and (spec.shape, spec.output_format) == ("square", "webp")
    )


def overlay_version(drawing_revision: str, frame: Frame) -> str:
    """Return what changes with anything that a frame's pictures depend on, in twelve characters."""
    return _digest(drawing_revision, frame.revision)[:12]


def overlay_tag(drawing_revision: str, frame: Frame, spec: AvatarSpec) -> str:
    """Return what names the bytes of one picture of a frame, in 32 characters: its ETag, unquoted."""
    picture = (spec.lang, spec.slogan or "", str(spec.size), spec.shape, spec.output_format)
    return _digest(drawing_revision, frame.revision, *picture)[:32]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
