from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from app.errors import RibbonsError
from app.render.avatar import make_avatar
from app.render.overlay import Overlays
from app.spec import AvatarSpec
from tests import photos

if TYPE_CHECKING:
    from app.frames import FrameLibrary

STEPS = ["decode", "overlay", "framing", "crop", "colour", "compose", "encode"]


def test_a_photo_becomes_an_avatar(frames: FrameLibrary, portrait: bytes) -> None:
    """The whole way with the real frame: the face is the photo's, the ring is the ribbon's red."""
    avatar = make_avatar(portrait, AvatarSpec(frame="red-ribbons"), Overlays(frames))
    assert (avatar.media_type, avatar.extension) == ("image/jpeg", ".jpg")
    assert list(avatar.seconds) == STEPS
    with Image.open(io.BytesIO(avatar.content)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (1080, 1080))
        found = np.asarray(image.resize((108, 108))).astype(int)
    with Image.open(io.BytesIO(portrait)) as image:
        expected = np.asarray(image.convert("RGB").resize((108, 108))).astype(int)
    assert np.abs(found - expected)[40:70, 40:70].mean() < 4
    bottom = found[97:100, 48:60].reshape(-1, 3).mean(0)
    assert bottom[0] > bottom[1] + 60


@pytest.mark.parametrize("size", [64, 1080, 2048])
@pytest.mark.parametrize("rotate", [0, 12])
def test_every_size_is_exact(clear_overlays: Overlays, size: int, rotate: float) -> None:
    """An avatar has the size that was asked for, from a photo smaller or larger than it."""
    for side in (50, 2500):
        photo = photos.save(Image.new("RGB", (side, side), (10, 200, 30)), "JPEG")
        avatar = make_avatar(photo, AvatarSpec(frame="red-ribbons", size=size, rotate=rotate), clear_overlays)
        with Image.open(io.BytesIO(avatar.content)) as image:
            assert image.size == (size, size)
            found = np.asarray(image).astype(int)
        assert np.abs(found - (10, 200, 30)).max() <= 3


def test_the_same_photo_and_spec_give_the_same_bytes(clear_overlays: Overlays) -> None:
    """Nothing of time, chance or what was drawn before is in an avatar."""
    photo = photos.save(photos.detailed((90, 70)), "JPEG")
    first = make_avatar(photo, AvatarSpec(frame="red-ribbons", size=64), clear_overlays).content
    make_avatar(photos.heic(), AvatarSpec(frame="red-ribbons", size=64), clear_overlays)
    assert make_avatar(photo, AvatarSpec(frame="red-ribbons", size=64), clear_overlays).content == first


def test_a_bad_photo_is_refused_before_the_frame_is_drawn(frames: FrameLibrary) -> None:
    """A stranger's junk costs no drawing."""
    overlays = Overlays(frames)
    with pytest.raises(RibbonsError):
        make_avatar(b"junk", AvatarSpec(frame="red-ribbons"), overlays)
    assert overlays.nbytes == 0
