"""What the tests of the photo's way share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from PIL import Image, ImageDraw

from app.frames import UNITS, Face
from app.render.avatar import make_avatar
from app.render.colour import to_srgb
from app.render.crop import STORED, TURNS
from app.render.decode import decode, identify, in_plain_mode
from app.render.limits import Limits
from app.render.overlay import Overlay, Overlays
from app.spec import AvatarSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.frames import FrameLibrary


WHOLE = Face(center=(UNITS / 2, UNITS / 2), radius=UNITS / 2)
"""The circle of a frame that hides nothing."""


def on_white(photo: bytes) -> NDArray[Any]:
    """Return every pixel of a photo as it is to be seen: upright, in sRGB, on white."""
    read = decode(identify(photo, Limits()), 1, Limits())
    image = to_srgb(in_plain_mode(read.image), read.profile)
    turn = TURNS[STORED[read.orientation]]
    return np.asarray(image if turn is None else image.transpose(turn))


class _ClearOverlays:
    """Overlays through which the whole photo is seen."""

    def get(self, spec: AvatarSpec) -> Overlay:
        size = (spec.size, spec.size)
        circle = None
        if spec.shape == "circle":
            circle = Image.new("L", size)
            ImageDraw.Draw(circle).ellipse((0, 0, spec.size - 1, spec.size - 1), fill=255)
        return Overlay(Image.new("RGB", size, "red"), Image.new("L", size), circle, WHOLE)


@pytest.fixture
def clear_overlays() -> Overlays:
    """Overlays that hide nothing, so that an avatar's pixels are the photo's."""
    return cast("Overlays", _ClearOverlays())


@pytest.fixture(scope="session")
def avatar(frames: FrameLibrary, portrait: bytes) -> bytes:
    """A finished avatar."""
    return make_avatar(portrait, AvatarSpec(frame="red-ribbons"), Overlays(frames)).content
