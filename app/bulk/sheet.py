"""All that became of a batch on one picture: small, in the report's order, the doubtful ones marked.

A cell stands for a row of the report, so that who sees one that is wrong finds its name by counting: lanes
after every ten rows and columns make that short. No text is drawn.
"""

from __future__ import annotations

import io
from functools import cache
from itertools import islice
from math import isqrt, sqrt
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageDraw

from app.errors import PhotoError
from app.render.crop import shrink
from app.render.decode import decode, identify, in_plain_mode
from app.render.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable

Thumb = tuple[str, bytes | None, bool]
"""A photo's name; a picture of its avatar, or None where there is none; whether its square is doubtful."""

MAX_CELLS = 10_000
"""Cells of a sheet. With as many one has 44 pixels, in which a head is still known from a wall."""

_PIXELS = 24_000_000
_LARGEST_CELL = 160
_TEN = 10
"""Cells between two lanes."""
_QUALITY = 80

_GROUND, _EMPTY, _CROSS = "white", "#e4e4e4", "#8a8a8a"
_MARK, _SIGN = "#d40000", "#ffd800"

# An avatar has 2048 pixels a side at most. What else somebody has put in its place is not worth more.
_LIMITS = Limits(max_pixels=2048 * 2048, max_decoded_pixels=2048 * 2048, min_side=1)


class Grid(NamedTuple):
    """Where cells lie on a sheet. Lengths in pixels.

    Attributes:
        columns: Cells in a row: whole tens, unless there are fewer.
        rows: Rows.
        side: Of a cell, which is a square.
    """

    columns: int
    rows: int
    side: int

    @classmethod
    def of(cls, count: int) -> Grid:
        """Return the grid for so many cells: nearly a square, its cells as large as the sheet allows."""
        columns = max(min(count, _TEN * max(round(sqrt(count) / _TEN), 1)), 1)
        rows = max(-(-count // columns), 1)
        # A cell takes a twelfth more on each axis for its gaps, and a little for the lanes.
        return cls(columns, rows, min(int(isqrt(_PIXELS // (columns * rows)) / 1.15), _LARGEST_CELL))

    @property
    def gap(self) -> int:
        """Between two cells, and around all."""
        return max(self.side // 12, 2)

    @property
    def inset(self) -> int:
        """How far a picture is from its cell's edge: a mark's border lies there."""
        return max(self.side // 20, 2)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        return self._start(self.columns - 1) + self._step, self._start(self.rows - 1) + self._step

    def place(self, number: int) -> tuple[int, int]:
        """Return the left upper corner of a cell, which are counted from 0."""
        return self._start(number % self.columns), self._start(number // self.columns)

    def _start(self, place: int) -> int:
        return self.gap + place * self._step + place // _TEN * 2 * self.gap

    @property
    def _step(self) -> int:
        return self.side + self.gap


def choose_cells(wanted: Iterable[bool]) -> frozenset[int]:
    """Return the places of those that a sheet shows: all that are wanted first, while there are cells.

    Args:
        wanted: Whether somebody should look at each, in the report's order.
    """
    places = list(enumerate(wanted))
    places.sort(key=lambda place: not place[1])
    return frozenset(number for number, _ in places[:MAX_CELLS])


def draw_sheet(thumbs: Iterable[Thumb], count: int | None = None) -> bytes:
    """Draw a contact sheet.

    A doubtful one has a red border and a warning sign on it; a failed one is an empty cell with a cross.

    Args:
        thumbs: In the report's order. Pictures may have any size up to an avatar's; they are looked at one by
            one, so that as many need not be in memory. What follows the first :data:`MAX_CELLS` is left out.
        count: How many there are. Unless it is given all are collected first, which is for small pictures.

    Returns:
        A WebP of at most 24 million pixels.
    """
    if count is None:
        thumbs = list(islice(thumbs, MAX_CELLS))
        count = len(thumbs)
    grid = Grid.of(min(count, MAX_CELLS))
    sheet = Image.new("RGB", grid.size, _GROUND)
    for number, (_, content, doubtful) in enumerate(islice(thumbs, MAX_CELLS)):
        sheet.paste(_cell(content, grid, is_marked=doubtful), grid.place(number))
    file = io.BytesIO()
    sheet.save(file, "WEBP", quality=_QUALITY, method=2)
    return file.getvalue()


def _cell(content: bytes | None, grid: Grid, *, is_marked: bool) -> Image.Image:
    picture = content and _picture(content, grid.side - 2 * grid.inset)
    if not picture:
        return _crossed(grid.side, grid.inset)
    cell = Image.new("RGB", (grid.side, grid.side), _MARK if is_marked else _GROUND)
    cell.paste(picture, ((grid.side - picture.width) // 2, (grid.side - picture.height) // 2))
    if is_marked:
        sign = _warning_sign(max(grid.side * 3 // 8, 12))
        cell.paste(sign, (0, 0), sign)
    return cell


def _picture(content: bytes, side: int) -> Image.Image | None:
    """Return a picture as large as its cell allows, on white; None where it is none."""
    try:
        container = identify(content, _LIMITS)
        photo = decode(container, min(side / max(container.width, container.height), 1), _LIMITS)
    except PhotoError:
        return None
    image = in_plain_mode(shrink(photo, side))
    picture = Image.new("RGB", image.size, _GROUND)
    picture.paste(image, mask=image.getchannel("A") if image.mode == "RGBA" else None)
    return picture


@cache
def _crossed(side: int, inset: int) -> Image.Image:
    cell = Image.new("RGB", (side, side), _GROUND)
    near, far = inset, side - inset - 1
    draw = ImageDraw.Draw(cell)
    draw.rectangle((near, near, far, far), _EMPTY)
    width = max(side // 24, 1)
    draw.line((near, near, far, far), _CROSS, width)
    draw.line((near, far, far, near), _CROSS, width)
    return cell


@cache
def _warning_sign(side: int) -> Image.Image:
    """Return a yellow triangle with a bar and a dot, RGBA; drawn larger and shrunk, for smooth edges."""
    large = Image.new("RGBA", (100, 100))
    draw = ImageDraw.Draw(large)
    draw.polygon([(50, 2), (98, 94), (2, 94)], "black")
    draw.polygon([(50, 18), (86, 86), (14, 86)], _SIGN)
    draw.polygon([(45, 38), (55, 38), (53, 66), (47, 66)], "black")
    draw.ellipse((45, 70, 55, 80), "black")
    return large.resize((side, side), Image.Resampling.LANCZOS)
