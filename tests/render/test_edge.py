from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageColor

from app.render.colour import WHITE
from app.render.edge import ENLARGED, surround
from tests import photos

MIDDLE = (60, 60)


def pixels(image: Image.Image) -> np.ndarray:
    """Return a picture's values, wide enough to subtract."""
    return np.asarray(image).astype(np.int64)


def test_the_photo_itself_does_not_change() -> None:
    """Whatever lies around it, each of its pixels is the one that it was."""
    photo = photos.detailed((180, 150))
    square = surround(photo, (60, 90), 300, 150)
    assert square.size == (300, 300)
    assert square.crop((60, 90, 240, 240)).tobytes() == photo.tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_one_colour_goes_on_for_ever(mode: str) -> None:
    """Around a wall there is more of it, in the photo's own colours."""
    colour = (77, 160, 33, 200)[: len(mode)]
    square = surround(Image.new(mode, (180, 180), 77 if mode == "L" else colour), MIDDLE, 300, 180)
    assert square.mode == mode
    assert np.abs(pixels(square) - colour[: 1 if mode == "L" else None]).max() <= 1


def test_each_edge_goes_on_in_its_own_colours() -> None:
    """A photo of four colours is surrounded by each of them on its own side."""
    photo = Image.new("RGB", (200, 200))
    for colour, box in (
        ("red", (0, 0, 100, 100)),
        ("lime", (100, 0, 200, 100)),
        ("blue", (0, 100, 100, 200)),
        ("white", (100, 100, 200, 200)),
    ):
        photo.paste(colour, box)
    square = surround(photo, (100, 100), 400, 200)
    for place, colour in (((5, 5), "red"), ((395, 5), "lime"), ((5, 395), "blue"), ((395, 395), "white")):
        found = pixels(square.crop((*place, place[0] + 1, place[1] + 1)))
        assert np.abs(found - ImageColor.getrgb(colour)).max() <= 12


@pytest.mark.parametrize("place", [(0, 0), (120, 0), (0, 120), (120, 120), (60, 60), (60, 0), (120, 60)])
def test_no_line_is_seen_where_the_photo_ends(place: tuple[int, int]) -> None:
    """From the photo's last pixel to the first outside it is no further than from pixel to pixel within."""
    photo = photos.detailed((30, 30)).resize((180, 180), Image.Resampling.BICUBIC)
    square = pixels(surround(photo, place, 300, 180))
    (left, top), inside = place, pixels(photo)
    across, down = np.abs(np.diff(square, axis=1)), np.abs(np.diff(square, axis=0))
    usual = np.percentile(np.abs(np.diff(inside, axis=0)), 99)
    for line in (left - 1, left + 179):
        if 0 <= line < 299:
            assert across[top : top + 180, line].max() <= usual
    for line in (top - 1, top + 179):
        if 0 <= line < 299:
            assert down[line, left : left + 180].max() <= usual


def test_the_edge_is_enlarged_so_that_nothing_is_seen_twice() -> None:
    """What is a tenth of the photo inside comes back four times as far outside, beyond this square."""
    photo = Image.new("L", (200, 200), 200)
    photo.paste(0, (0, 20, 200, 40))
    square = pixels(surround(photo, (50, 50), 300, 200))
    assert 20 * ENLARGED > 50
    assert square[:45, 150].min() > 150  # a plain mirror has the dark band at 10 to 30


def test_the_farther_off_the_less_is_made_out() -> None:
    """Of noise in the photo a little is left beside it, and nothing where the square ends."""
    noise = Image.effect_noise((180, 180), 80)
    square = pixels(surround(noise, MIDDLE, 300, 180))
    inside, near, far = pixels(noise).std(), square[60:240, 56:60].std(), square[60:240, :20].std()
    assert far < near < inside
    assert far < 6


def test_lines_that_end_at_the_edge_are_not_drawn_out_into_streaks() -> None:
    """Stripes of one pixel are a grey within a hundredth of the photo's side."""
    stripes = Image.fromarray(np.tile(np.array([0, 255], np.uint8), (200, 100)))
    outside = pixels(surround(stripes, (50, 0), 300, 200))[202:, 70:230]
    assert np.ptp(outside, axis=1).max() < 20


def test_no_line_is_seen_where_a_blur_takes_over_from_another() -> None:
    """Away from a dark corner the light comes evenly: no slope bends at once, which eyes see as a line."""
    photo = Image.new("L", (600, 600), 230)
    photo.paste(20, (200, 500, 400, 600))
    light = pixels(surround(photo, (150, 0), 900, 600))[600:, 450]
    slopes = np.convolve(np.diff(light), np.ones(8) / 8, "valid")
    assert np.abs(slopes[8:] - slopes[:-8]).max() < 0.01 * (
        light[-1] - light[0]
    )  # 0.014 where it rises evenly


def test_what_is_transparent_lies_on_white() -> None:
    """A logo on nothing is surrounded by white, whatever colour its transparent pixels hide."""
    logo = Image.new("RGBA", (180, 180), (255, 0, 0, 0))
    logo.paste((0, 0, 200, 255), (60, 60, 120, 120))
    square = surround(logo, MIDDLE, 300, 180)
    assert square.mode == "RGB"
    assert square.getpixel((150, 150)) == (0, 0, 200)
    assert all(square.getpixel(place) == WHITE for place in ((5, 5), (59, 150), (61, 61), (295, 150)))


@pytest.mark.parametrize(("width", "height"), [(1, 300), (300, 1), (299, 299), (1, 1), (2, 150)])
def test_a_photo_of_any_shape_is_surrounded(width: int, height: int) -> None:
    """Also one of a single row, or one that leaves a single row free."""
    square = surround(Image.new("RGB", (width, height), "teal"), (0, 0), 300, 150)
    assert np.abs(pixels(square) - (0, 128, 128)).max() <= 1
