"""First frames that are smaller than their canvas, and GIFs and WebPs that lack their end."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from app.errors import PhotoDamaged, PhotoTooManyPixels
from app.render.decode import decode, identify
from app.render.limits import Limits
from tests import photos
from tests.odd_photos import DETAILED, ENDLESS_GIFS, FIRST_FRAMES, SMALL_FRAME, animation, webp
from tests.render.conftest import on_white

LIMITS = Limits()
LOSSY = 40


def read(photo: bytes) -> None:
    """Identify and decode."""
    decode(identify(photo, LIMITS), 1, LIMITS)


@pytest.mark.parametrize("name", [name for name in FIRST_FRAMES if not name.startswith("APNG")])
def test_around_a_first_frame_the_canvas_is_white(name: str) -> None:
    """What a frame does not cover is transparent, whatever colour its file calls the background."""
    photo, seen = FIRST_FRAMES[name]
    found = on_white(photo)
    assert found.shape == np.asarray(seen).shape
    difference = np.abs(found.astype(int) - np.asarray(seen))
    assert difference[:11].max() <= 1 if "smaller" in name else True
    # Lossy frames have colours at half the resolution.
    assert difference.max() <= 1 or ("lossy" in name and difference.mean() < LOSSY / 10)


def test_a_screen_is_measured_as_a_picture_is() -> None:
    """A frame of a few pixels does not hide how large its screen is."""
    photo, _ = FIRST_FRAMES["GIF, smaller frame"]
    with pytest.raises(PhotoTooManyPixels):
        identify(photo[:6] + struct.pack("<2H", 20_000, 20_000) + photo[10:], LIMITS)


@pytest.mark.parametrize(
    "photo",
    [
        animation(SMALL_FRAME, (40, 12), lossless=True),
        animation(SMALL_FRAME, flags=0, lossless=True),
        animation(photos.quadrants((50, 40)), lossless=True).replace(b"ANIM", b"ANIX"),
        webp(
            animation(SMALL_FRAME, lossless=True)[12:], photos.save(SMALL_FRAME, "WEBP", lossless=True)[12:]
        ),
    ],
    ids=["over the edge", "no animation", "no ANIM", "a still beside it"],
)
def test_an_animation_that_contradicts_itself_is_damaged(photo: bytes) -> None:
    """No browser shows it either."""
    with pytest.raises(PhotoDamaged):
        read(photo)


# -- without their end -----------------------------------------------------


@pytest.mark.parametrize("name", ENDLESS_GIFS)
def test_a_gif_whose_pixels_have_all_come_is_whole(name: str) -> None:
    """Every pixel is there, whatever became of the file's end."""
    assert (on_white(ENDLESS_GIFS[name]) == np.asarray(DETAILED.quantize(256).convert("RGB"))).all()


@pytest.mark.parametrize("interlaced", [0, 1])
def test_a_gif_that_lacks_a_pixel_is_damaged(interlaced: int) -> None:
    """The last bytes that hold pixels are wanted, and so is all before them."""
    photo = photos.save(DETAILED.quantize(256), "GIF", interlace=interlaced)
    for cut in (5, 8, 50, 300, len(photo) // 2):
        with pytest.raises(PhotoDamaged):
            read(photo[:-cut])


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 90}], ids=["lossless", "lossy"])
def test_a_webp_whose_picture_has_come_is_whole(options: dict[str, object]) -> None:
    """What lies behind the picture may be cut, and the length in the header too large."""
    plain = photos.save(DETAILED, "WEBP", **options)
    expected = on_white(plain)
    described = photos.save(DETAILED, "WEBP", exif=photos.exif(1), xmp=b"<x/>" * 9, **options)
    odd = photos.webp_chunk(plain[12:16], plain[20:] + b"\0" * (len(plain) % 2 == 0))
    for photo in (
        webp(plain[12:], longer=1),
        webp(plain[12:], longer=1_000),
        webp(odd[:-1], longer=1),
        plain + b"rubbish",
        described[:-3],
        described[:-40],
    ):
        assert (on_white(photo) == expected).all()


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 90}], ids=["lossless", "lossy"])
def test_a_webp_whose_picture_is_cut_is_damaged(options: dict[str, object]) -> None:
    """A chunk's last bytes hold the picture's last rows."""
    photo = photos.save(DETAILED, "WEBP", **options)
    for cut in (2, 10, len(photo) // 2):
        with pytest.raises(PhotoDamaged):
            read(photo[:-cut])
    small = animation(Image.new("RGB", (50, 40), "red"), lossless=True)
    with pytest.raises(PhotoDamaged):
        read(small[:-4])
