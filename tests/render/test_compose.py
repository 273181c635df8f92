from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from app.render.compose import compose
from app.render.overlay import TILE, Overlay
from tests.render.conftest import WHOLE

SIZE = (8, 8)


def _overlay(opacity: int, outside: Image.Image | None = None) -> Overlay:
    alpha = Image.new("L", SIZE)
    alpha.paste(opacity, (0, 0, 4, 8))
    return Overlay(colour=Image.new("RGB", SIZE, (200, 0, 0)), alpha=alpha, outside=outside, face=WHOLE)


def test_the_frame_covers_the_photo_where_it_is_opaque() -> None:
    """Under the frame nothing of the photo is left, beside it everything."""
    avatar = compose(Image.new("RGB", SIZE, (0, 100, 0)), _overlay(255))
    assert avatar.mode == "RGB"
    assert (avatar.getpixel((3, 0)), avatar.getpixel((4, 0))) == ((200, 0, 0), (0, 100, 0))


def test_a_half_opaque_frame_is_mixed() -> None:
    """Half opacity is half frame and half photo."""
    avatar = compose(Image.new("RGB", SIZE, (0, 100, 0)), _overlay(128))
    assert avatar.getpixel((0, 0)) == (100, 50, 0)


def test_a_shape_is_transparent_outside_and_empty_there() -> None:
    """Outside the shape neither photo nor frame is left; on its edge both are."""
    outside = Image.new("L", SIZE)
    outside.paste(255, (0, 2, 8, 8))
    outside.paste(100, (0, 1, 8, 2))
    avatar = compose(Image.new("RGB", SIZE, (0, 100, 0)), _overlay(255, outside))
    assert avatar.mode == "RGBA"
    assert avatar.getpixel((0, 0)) == avatar.getpixel((7, 0)) == (0, 0, 0, 0)
    assert avatar.getpixel((0, 1)) == (200, 0, 0, 100)
    assert avatar.getpixel((7, 7)) == (0, 100, 0, 255)


def test_neither_the_photo_nor_the_overlay_is_changed() -> None:
    """The overlay is shared by every avatar that uses it."""
    square, overlay = Image.new("RGB", SIZE, (0, 100, 0)), _overlay(255)
    before = square.tobytes(), overlay.colour.tobytes(), overlay.alpha.tobytes()
    compose(square, overlay)
    assert (square.tobytes(), overlay.colour.tobytes(), overlay.alpha.tobytes()) == before


def test_metadata_of_the_photo_does_not_travel() -> None:
    """What hangs on the photo's picture object is not on the avatar's."""
    square = Image.new("RGB", SIZE)
    square.info["comment"] = b"secret"
    assert not compose(square, _overlay(255)).info


@pytest.mark.parametrize("margin", [0, 7])
def test_only_what_is_seen_is_mixed_and_nothing_is_lost(margin: int) -> None:
    """Opaque, translucent and open parts of any outline give the pixels of one mixture of the whole."""
    rng = np.random.default_rng(3)
    size = (2 * TILE + 33, 2 * TILE + 33)
    alpha = Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8))
    alpha.paste(0, (margin, margin, size[0] // 2, size[1] - margin))
    alpha.paste(255, (size[0] // 2, TILE - 9, size[0] - 3, 2 * TILE + 20))
    if margin:
        hidden = Image.new("L", size, 255)
        hidden.paste(alpha.crop((margin,) * 2 + (size[0] - margin,) * 2), (margin, margin))
        alpha = hidden
    colour, photo = (Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for _ in range(2))
    overlay = Overlay(colour, alpha, None, WHOLE)
    expected = photo.copy()
    expected.paste(colour, mask=alpha)
    square = photo.crop((margin,) * 2 + (size[0] - margin,) * 2)
    assert overlay.hidden_margin == margin
    assert compose(square, overlay).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("seen", "margin"),
    [((0, 0, 8, 8), 0), ((2, 2, 6, 6), 2), ((3, 1, 8, 8), 0), ((3, 1, 6, 7), 1), (None, 0)],
)
def test_a_margin_is_what_is_hidden_on_all_sides(seen: tuple[int, int, int, int] | None, margin: int) -> None:
    """The smallest of the four opaque rims counts; one pixel seen at an edge ends it."""
    alpha = Image.new("L", SIZE, 255)
    if seen:
        alpha.paste(254, seen)
    assert Overlay(Image.new("RGB", SIZE), alpha, None, WHOLE).hidden_margin == margin


def test_a_square_without_its_margin_stands_in_the_middle() -> None:
    """What was left out on each side is under the frame."""
    alpha = Image.new("L", SIZE, 255)
    alpha.paste(0, (2, 2, 6, 6))
    overlay = Overlay(Image.new("RGB", SIZE, (200, 0, 0)), alpha, None, WHOLE)
    avatar = compose(Image.new("RGB", (4, 4), (0, 100, 0)), overlay)
    assert avatar.size == SIZE
    assert (avatar.getpixel((1, 4)), avatar.getpixel((2, 4)), avatar.getpixel((6, 4))) == (
        (200, 0, 0),
        (0, 100, 0),
        (200, 0, 0),
    )
