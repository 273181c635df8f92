"""A finished avatar -> all that is made of it, in one ZIP."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from app.render.derived.platforms import PLATFORMS, draw_for
from app.render.derived.story import draw_story

if TYPE_CHECKING:
    from app.frames import Frame
    from app.spec import AvatarSpec

NAME = "red-ribbons"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The first moment that a ZIP can tell: when somebody made a picture is nobody's business."""


def draw_collection(avatar: bytes, spec: AvatarSpec, address: str, frame: Frame) -> bytes:
    """Put the avatar, its picture for each platform and its story card in a ZIP.

    Args:
        avatar: A finished avatar, a square JPEG of ours.
        spec: What it was made by.
        address: Where the campaign is found.
        frame: The spec's.

    Raises:
        PhotoError: The avatar is not whole.
        MissingGlyphs: As :func:`~app.render.derived.story.draw_story`.
    """
    pictures = {f"{NAME}.jpg": avatar}
    pictures |= {f"{NAME}-{key}.jpg": draw_for(avatar, platform) for key, platform in PLATFORMS.items()}
    pictures[f"{NAME}-story.jpg"] = draw_story(avatar, spec, address, frame)
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_STORED) as archive:  # a JPEG does not get smaller
        for name, picture in pictures.items():
            archive.writestr(ZipInfo(name, EPOCH), picture)
    return file.getvalue()
