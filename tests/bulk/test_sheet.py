from __future__ import annotations

import io
from itertools import pairwise, repeat
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from app.bulk.sheet import MAX_CELLS, Grid, draw_sheet
from tests.photos import save

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.bulk.sheet import Thumb

BLUE = save(Image.new("RGB", (320, 320), "#2040c0"), "JPEG")


def opened(content: bytes) -> Image.Image:
    """Return a sheet's pixels."""
    with Image.open(io.BytesIO(content), formats=["WEBP"]) as image:
        return image.convert("RGB")


def cell(sheet: Image.Image, number: int, count: int) -> np.ndarray:
    """Return the pixels of one cell of a sheet of so many."""
    grid = Grid.of(count)
    left, top = grid.place(number)
    return np.asarray(sheet.crop((left, top, left + grid.side, top + grid.side)), dtype=int)


def share(pixels: np.ndarray, colour: tuple[int, int, int]) -> float:
    """Return how much of some pixels has nearly a colour: a sheet is a lossy picture."""
    return float((abs(pixels - colour).max(axis=-1) < 48).mean())


RED, YELLOW, GREY, WHITE = (212, 0, 0), (255, 216, 0), (228, 228, 228), (255, 255, 255)


@pytest.fixture(scope="module")
def sheet() -> Image.Image:
    """A sheet of one that is right, one that is doubtful, one that failed and one that is no picture."""
    thumbs: list[Thumb] = [("a", BLUE, False), ("b", BLUE, True), ("c", None, False), ("d", b"<html>", False)]
    return opened(draw_sheet(thumbs))


def test_a_picture_fills_its_cell(sheet: Image.Image) -> None:
    """One that is right has nothing but white around it."""
    pixels = cell(sheet, 0, 4)
    assert share(pixels, (32, 64, 192)) > 0.75
    assert share(pixels, RED) == 0
    assert share(pixels, YELLOW) == 0


def test_a_doubtful_one_has_a_border_and_a_sign(sheet: Image.Image) -> None:
    """A red border all around it, and a sign for who cannot tell red from the frame."""
    pixels = cell(sheet, 1, 4)
    border = Grid.of(4).inset // 2
    rest = pixels.shape[0] // 2
    for edge in (pixels[-1 - border], pixels[:, -1 - border], pixels[border, rest:], pixels[rest:, border]):
        assert share(edge, RED) > 0.9
    corner = pixels[: pixels.shape[0] * 3 // 8, : pixels.shape[0] * 3 // 8]
    assert share(corner, YELLOW) > 0.15
    assert share(corner, (0, 0, 0)) > 0.05
    assert share(pixels, (32, 64, 192)) > 0.5


@pytest.mark.parametrize("number", [2, 3])
def test_a_failed_one_is_an_empty_cell_with_a_cross(number: int, sheet: Image.Image) -> None:
    """So is one whose file is no picture any more: the sheet is drawn all the same."""
    pixels = cell(sheet, number, 4)
    assert share(pixels, GREY) > 0.5
    inset = Grid.of(4).inset + 4
    for place in range(inset, len(pixels) - inset, 10):
        assert pixels[place, place].mean() < 200
        assert pixels[place, -1 - place].mean() < 200


def test_what_is_transparent_is_white() -> None:
    """A circle's corners are not black."""
    circle = Image.new("RGBA", (64, 64))
    circle.paste("#2040c0", (16, 16, 48, 48))
    pixels = cell(opened(draw_sheet([("a", save(circle, "PNG"), False)])), 0, 1)
    assert share(pixels[:40, :40], WHITE) == 1
    assert pixels.min() < 100


@pytest.mark.parametrize("count", [0, 1, 7, 10, 11, 85, 1000, 3000, MAX_CELLS])
def test_cells_lie_apart_and_on_the_sheet(count: int) -> None:
    """Ten in a row, or whole tens, with lanes between; the sheet is one that WebP can hold."""
    grid = Grid.of(count)
    places = [grid.place(number) for number in range(count)]
    width, height = grid.size
    assert grid.columns == count or grid.columns % 10 == 0 or count == 0
    assert width * height <= 25_000_000
    assert max(width, height) <= 16_383
    assert 40 <= grid.side <= 160
    assert all(0 < x <= width - grid.side and 0 < y <= height - grid.side for x, y in places)
    steps = {after[0] - before[0] for before, after in pairwise(places)}
    assert all(step > grid.side or step < 0 for step in steps)
    assert len([step for step in steps if step > 0]) == (0 if count < 2 else 1 if grid.columns <= 10 else 2)


def test_a_sheet_is_bounded() -> None:
    """Of more than it holds the first ones are drawn, one picture at a time, and no more are asked for."""
    asked = 0

    def thumbs() -> Iterator[Thumb]:
        nonlocal asked
        for name in repeat("a"):
            asked += 1
            yield name, None, False

    drawn = opened(draw_sheet(thumbs(), 10**9))
    assert drawn.size == Grid.of(MAX_CELLS).size
    assert asked <= MAX_CELLS + 1


def test_a_picture_of_more_than_an_avatars_pixels_is_not_decoded() -> None:
    """Somebody may have put one in an avatar's place."""
    large = save(Image.new("1", (2049, 2049)), "PNG")
    assert share(cell(opened(draw_sheet([("a", large, False)])), 0, 1), GREY) > 0.5


def test_they_come_in_the_order_given() -> None:
    """A cell stands for a line of the report."""
    colours = [(0, 0, 0), (255, 255, 255), (0, 128, 0), (0, 0, 255)] * 5
    thumbs = [("a", save(Image.new("RGB", (80, 80), colour), "PNG"), False) for colour in colours]
    drawn = opened(draw_sheet(iter(thumbs)))
    for number, colour in enumerate(colours):
        middle = cell(drawn, number, len(colours))[60:100, 60:100]
        assert share(middle, colour) == 1
