from __future__ import annotations

import io
import random
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageFilter

from app.errors import PhotoError
from app.render.avatar import make_avatar
from app.render.derived.platforms import PLATFORMS, draw_for
from app.render.overlay import Overlays
from app.spec import AvatarSpec
from tests import photos

if TYPE_CHECKING:
    from app.frames import FrameLibrary

NAMES = ("facebook", "instagram", "x", "linkedin", "whatsapp", "telegram", "youtube", "tiktok")


def opened(data: bytes) -> Image.Image:
    """Return a JPEG, decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.format == "JPEG"
    return image


def test_every_platform_of_the_page_is_known() -> None:
    """No more and no fewer, none larger than an avatar, each with its own way of writing its name."""
    assert tuple(PLATFORMS) == NAMES
    for name, platform in PLATFORMS.items():
        assert platform.name.lower() == name
        assert 400 <= platform.size <= AvatarSpec(frame="red-ribbons").size


@pytest.mark.parametrize("name", NAMES)
def test_each_gets_its_size_within_its_bytes(avatar: bytes, name: str) -> None:
    """A square JPEG with whole chroma, of the platform's size; where nothing is to change, the same bytes."""
    platform = PLATFORMS[name]
    content = draw_for(avatar, platform)
    image = opened(content)
    assert image.size == (platform.size, platform.size)
    assert len(content) <= platform.max_bytes
    assert {layer[1:3] for layer in image.layer} == {(1, 1)}  # type: ignore[attr-defined]  # JPEG's own
    assert (content == avatar) == (platform.size == 1080)
    expected = opened(avatar).resize(image.size, Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(image, float) - np.asarray(expected, float)).mean() < 2


def test_the_slogan_stays_sharp_at_400_pixels(avatar: bytes) -> None:
    """Its edges are at least as steep as those of a bicubic reduction."""

    def steepness(image: Image.Image) -> float:
        words = image.convert("L").crop((90, 290, 310, 390)).filter(ImageFilter.FIND_EDGES)
        return float(np.asarray(words).mean())

    content = opened(draw_for(avatar, PLATFORMS["x"]))
    assert steepness(content) >= steepness(opened(avatar).resize((400, 400), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("max_bytes", [60_000, 30_000, 20_000])
def test_quality_gives_way_to_bytes(avatar: bytes, max_bytes: int) -> None:
    """As far as it must, and not further."""
    small = draw_for(avatar, replace(PLATFORMS["x"], max_bytes=max_bytes))
    assert max_bytes / 2 < len(small) <= max_bytes
    whole = draw_for(avatar, replace(PLATFORMS["facebook"], max_bytes=100_000))
    assert len(whole) <= 100_000
    assert opened(whole).size == (1080, 1080)


def test_an_avatar_is_never_enlarged(frames: FrameLibrary, portrait: bytes) -> None:
    """More pixels would show no more."""
    small = make_avatar(portrait, AvatarSpec(frame="red-ribbons", size=320), Overlays(frames)).content
    for platform in PLATFORMS.values():
        assert draw_for(small, platform) == small


def test_nothing_but_pixels_goes_out(avatar: bytes) -> None:
    """What hung on the avatar is gone, should anything ever hang there."""
    marked = photos.with_jpeg_segments(
        avatar, photos.jpeg_segment(0xFE, photos.CANARY), photos.jpeg_segment(0xE1, photos.CANARY)
    )
    for name in ("x", "linkedin", "whatsapp", "telegram", "youtube", "tiktok"):
        assert photos.CANARY not in draw_for(marked, PLATFORMS[name])


def test_a_damaged_avatar_is_one_of_our_errors(avatar: bytes) -> None:
    """However it came apart in the store."""
    for broken in (b"", b"nothing", avatar[: len(avatar) // 2], avatar[:2]):
        with pytest.raises(PhotoError):
            draw_for(broken, PLATFORMS["x"])
    chance = random.Random(1)  # noqa: S311 - the same on every run
    for _ in range(40):
        data = bytearray(avatar)
        for _ in range(5):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            opened(draw_for(bytes(data), PLATFORMS["x"]))
        except PhotoError:
            continue
