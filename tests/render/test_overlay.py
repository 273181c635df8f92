from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from app.errors import FrameNotFound, SloganDoesNotFit
from app.render import overlay as overlay_module
from app.render.artwork import draw_ground
from app.render.avatar import make_avatar
from app.render.overlay import Overlays
from app.spec import AvatarSpec

if TYPE_CHECKING:
    from app.frames import Frame, FrameLibrary


def test_an_overlay_is_drawn_once(frames: FrameLibrary) -> None:
    """The second avatar of the same spec uses the first one's overlay; crop and format do not matter."""
    overlays = Overlays(frames)
    first = overlays.get(AvatarSpec(frame="red-ribbons", size=100))
    assert (
        overlays.get(AvatarSpec(frame="red-ribbons", size=100, zoom=3, x=0.2, rotate=45, format="webp"))
        is first
    )
    assert overlays.get(AvatarSpec(frame="red-ribbons", size=101)) is not first
    assert overlays.get(AvatarSpec(frame="red-ribbons", size=100, lang="en")) is not first
    assert overlays.get(AvatarSpec(frame="red-ribbons", size=100, slogan="حرية")) is not first


def test_the_cache_is_bounded_by_bytes(frames: FrameLibrary) -> None:
    """The least recently used overlay goes when the next one would not fit."""
    ground, overlay = 100 * 100 * 4, 100 * 100 * 5
    overlays = Overlays(frames, max_bytes=ground + 2 * overlay)
    arabic, english = (
        overlays.get(AvatarSpec(frame="red-ribbons", size=100, lang=lang)) for lang in ("ar", "en")
    )
    assert overlays.nbytes == ground + 2 * overlay
    overlays.get(AvatarSpec(frame="red-ribbons", size=100, lang="ar"))
    overlays.get(AvatarSpec(frame="red-ribbons", size=100, lang="fr"))
    assert overlays.nbytes == ground + 2 * overlay
    assert overlays.get(AvatarSpec(frame="red-ribbons", size=100, lang="ar")) is arabic
    assert overlays.get(AvatarSpec(frame="red-ribbons", size=100, lang="en")) is not english


def test_the_campaigns_own_overlays_outlive_strangers(frames: FrameLibrary) -> None:
    """Odd sizes and slogans push each other out, not what nearly everybody asks for."""
    overlays = Overlays(frames, max_bytes=12_000_000)
    default = overlays.get(AvatarSpec(frame="red-ribbons"))
    for size in range(600, 606):
        overlays.get(AvatarSpec(frame="red-ribbons", size=size))
        overlays.get(AvatarSpec(frame="red-ribbons", size=size, slogan="حرية"))
    assert overlays.nbytes <= 12_000_000
    assert overlays.get(AvatarSpec(frame="red-ribbons")) is default


def test_another_slogan_draws_only_its_words(frames: FrameLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supporter who types a slogan pays for the letters, not for the frame at every stroke."""
    overlays = Overlays(frames)
    sizes: list[int] = []

    def count(frame: Frame, size: int) -> Image.Image:
        sizes.append(size)
        return draw_ground(frame, size)

    monkeypatch.setattr(overlay_module, "draw_ground", count)
    for slogan in (None, "حرية", "لهم"):
        overlays.get(AvatarSpec(frame="red-ribbons", size=100, slogan=slogan))
    overlays.get(AvatarSpec(frame="red-ribbons", size=101))
    assert sizes == [100, 101]


def test_an_overlay_larger_than_the_cache_is_drawn_but_not_kept(frames: FrameLibrary) -> None:
    """A small cache makes the service slower, never wrong."""
    overlays = Overlays(frames, max_bytes=1000)
    assert overlays.get(AvatarSpec(frame="red-ribbons", size=64)) == overlays.get(
        AvatarSpec(frame="red-ribbons", size=64)
    )
    assert overlays.nbytes == 0


def test_a_failed_overlay_is_not_kept(frames: FrameLibrary) -> None:
    """An error is an error again the next time, and takes no room."""
    overlays = Overlays(frames)
    for _ in range(2):
        with pytest.raises(FrameNotFound):
            overlays.get(AvatarSpec(frame="none"))
        with pytest.raises(SloganDoesNotFit):
            overlays.get(AvatarSpec(frame="red-ribbons", slogan="غ" * 60))
    assert overlays.nbytes == 0


def test_a_photos_path_touches_no_svg_and_no_font(
    frames: FrameLibrary, portrait: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its overlay is kept, an avatar is made with the drawing code out of reach."""
    overlays = Overlays(frames)
    spec = AvatarSpec(frame="red-ribbons", size=100, shape="circle")
    first = make_avatar(portrait, spec, overlays).content

    def out_of_reach(*_: object) -> None:
        raise AssertionError("the photo's path drew")

    for name in ("draw_ground", "draw_words", "draw_circle"):
        monkeypatch.setattr(overlay_module, name, out_of_reach)
    assert make_avatar(portrait, spec, overlays).content == first
    with pytest.raises(AssertionError, match="drew"):
        overlays.get(AvatarSpec(frame="red-ribbons", size=101))


def test_the_png_is_the_overlay(frames: FrameLibrary) -> None:
    """What a page lays over its preview is what lies over the avatar: open in the middle, cut to shape."""
    overlays = Overlays(frames)
    square = np.asarray(Image.open(io.BytesIO(overlays.png(AvatarSpec(frame="red-ribbons", size=200)))))
    circle = np.asarray(
        Image.open(io.BytesIO(overlays.png(AvatarSpec(frame="red-ribbons", size=200, shape="circle"))))
    )
    assert square.shape == circle.shape == (200, 200, 4)
    assert square[80, 100, 3] == 0, "the face is free"
    assert circle[0, 0, 3] == 0, "nothing outside the circle"
    inside = np.hypot(*(np.indices((200, 200)) - 99.5)) < 98
    assert (square[inside] == circle[inside]).all()
    assert np.array_equal(
        square[..., 3], np.asarray(overlays.get(AvatarSpec(frame="red-ribbons", size=200)).alpha)
    )
