from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.errors import PhotoDamaged, PhotoError, PhotoMissing, PhotoNotSupported, PhotoTooSmall
from app.render.crop import shrink
from app.render.decode import Photo
from app.render.limits import Limits
from app.render.rendition import LARGEST, ROWS, SMALLEST, make_rendition
from tests import photos
from tests.photos import PICTURE, READABLE, TRANSPARENT
from tests.render.test_hostile import BOMBS, SAMPLES, SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable


def opened(data: bytes) -> Image.Image:
    """Return a JPEG, decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    assert (image.format, image.mode) == ("JPEG", "RGB")
    return image


def corners(image: Image.Image) -> list[tuple[int, int, int]]:
    """Return the colours at the middle of each quarter, clockwise from the upper left."""
    places = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
    return [image.getpixel((int(x * image.width), int(y * image.height))) for x, y in places]  # type: ignore[misc]  # RGB


def near(found: tuple[int, int, int], expected: tuple[int, int, int]) -> bool:
    """Tell whether two colours are the same but for a JPEG's loss."""
    return max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= 12


@pytest.mark.parametrize("name", READABLE)
def test_every_format_comes_back_as_a_jpeg(name: str) -> None:
    """Whatever is read for an avatar is shown, as large as it is."""
    image = opened(make_rendition(READABLE[name]))
    assert min(image.size) >= 16


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(640, 480), (480, 640)])
def test_it_is_upright_and_whole(orientation: int, size: tuple[int, int]) -> None:
    """From each way of holding a camera all four corners come back in their places."""
    upright = photos.quadrants(size)
    photo = photos.save(
        photos.stored(upright, orientation), "JPEG", quality=95, exif=photos.exif(orientation)
    )
    image = opened(make_rendition(photo, 320))
    assert image.size == ((320, 240) if size[0] > size[1] else (240, 320))
    for found, expected in zip(corners(image), corners(upright), strict=True):
        assert near(found, expected)


def test_a_heif_turned_by_itself_is_turned_once() -> None:
    """A HEIC says twice which way is up."""
    plain, turned = photos.heic(), photos.heic(photos.irot(1), exif=photos.exif(6))
    size = opened(make_rendition(plain)).size
    assert opened(make_rendition(turned)).size == size[::-1]


@pytest.mark.parametrize(
    ("size", "side", "expected"),
    [
        ((1000, 500), 100, (100, 50)),
        ((500, 1000), 100, (50, 100)),
        ((100, 50), 100, (100, 50)),
        ((100, 50), 4096, (100, 50)),
        ((101, 50), 100, (100, 50)),
        ((4000, 16), 64, (64, 1)),
        ((16, 4000), 64, (1, 64)),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_longer_side_is_what_was_asked_for_and_never_more(
    size: tuple[int, int], side: int, expected: tuple[int, int], mode: str
) -> None:
    """Proportions are kept, to a pixel; a slip of a photo keeps at least one."""
    photo = photos.save(Image.new(mode, size, "red"), "PNG")
    image = opened(make_rendition(photo, side))
    assert image.size == expected
    assert near(image.getpixel((0, 0)), (255, 0, 0))  # type: ignore[arg-type]  # RGB


@settings(deadline=None, max_examples=30)
@given(st.integers(16, 300), st.integers(16, 300), st.integers(SMALLEST, 400), st.sampled_from(["RGB", "LA"]))
def test_any_size_becomes_any_size(width: int, height: int, side: int, mode: str) -> None:
    """No combination fails, loses a proportion or enlarges."""
    photo = Photo(Image.new(mode, (width, height)), width, height, 1, None)
    found = shrink(photo, side).size
    scale = min(1, side / max(width, height))
    assert max(found) == min(max(width, height), side)
    assert abs(min(found) - min(width, height) * scale) <= 1


def test_at_its_own_size_only_the_encoder_changes_a_photo() -> None:
    """Nothing is resampled that need not be, and strips meet without a seam."""
    picture = photos.quadrants((64, 2 * ROWS + 7))
    image = opened(make_rendition(photos.save(picture, "PNG"), LARGEST))
    rows = np.abs(np.asarray(image, float) - np.asarray(picture, float)).mean(axis=(1, 2))
    assert image.size == picture.size
    assert rows[ROWS - 1 : ROWS + 1].max() < 4


@pytest.mark.parametrize("name", TRANSPARENT)
def test_what_is_transparent_is_white(name: str) -> None:
    """As in an avatar."""
    image = opened(make_rendition(TRANSPARENT[name]))
    assert any(min(colour) > 240 for colour in corners(image))


def test_colours_are_converted() -> None:
    """A wide red comes out as sRGB's, not as its bare numbers."""
    wide = photos.save(Image.new("RGB", (64, 64), (200, 100, 50)), "PNG", icc_profile=photos.display_p3())
    plain = photos.save(Image.new("RGB", (64, 64), (200, 100, 50)), "PNG")
    assert not near(opened(make_rendition(wide)).getpixel((32, 32)), (200, 100, 50))  # type: ignore[arg-type]  # RGB
    assert near(opened(make_rendition(plain)).getpixel((32, 32)), (200, 100, 50))  # type: ignore[arg-type]  # RGB


@pytest.mark.parametrize(
    ("photo", "error"),
    [
        (b"", PhotoMissing),
        (b"hello", PhotoNotSupported),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", PhotoNotSupported),
        (photos.save(PICTURE, "JPEG")[:200], PhotoDamaged),
        (photos.save(Image.new("RGB", (15, 400)), "PNG"), PhotoTooSmall),
    ],
)
def test_what_is_no_photo_is_refused_as_for_an_avatar(photo: bytes, error: type[PhotoError]) -> None:
    """The same errors for the same files."""
    with pytest.raises(error):
        make_rendition(photo)


def test_its_limits_are_an_avatars() -> None:
    """Bytes and pixels."""
    photo = photos.save(PICTURE, "PNG")
    for limits in (Limits(max_bytes=10), Limits(max_decoded_pixels=10), Limits(min_side=1000)):
        with pytest.raises(PhotoError):
            make_rendition(photo, limits=limits)


def attempt(make: Callable[[], bytes]) -> None:
    """Make a rendition or fail with an error of ours, soon."""
    start = time.process_time()
    try:
        opened(make())
    except PhotoError:
        pass
    finally:
        assert time.process_time() - start < SECONDS


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little(name: str) -> None:
    """What is piled up around a small picture is refused or passed over here too."""
    photo = BOMBS[name]()
    attempt(lambda: make_rendition(photo, SMALLEST))


@pytest.mark.parametrize("name", SAMPLES)
def test_wherever_a_photo_is_cut_only_our_errors_come_out(name: str) -> None:
    """A file that ends too soon gives a picture or an error of ours."""
    photo = SAMPLES[name]
    for end in range(1, len(photo), max(1, len(photo) // 20)):
        attempt(lambda end=end: make_rendition(photo[:end], SMALLEST))  # type: ignore[misc]  # a default
