"""The icons and the links' picture are drawn by frames/icons.py from one SVG and our own renderer."""

from __future__ import annotations

import io
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest
from PIL import Image

STATIC = Path(__file__).parents[3] / "app/web/static"


@pytest.fixture(scope="module")
def drawn(root: Path) -> Any:
    """What the script draws: PNGs and a JPEG by name."""
    return run_path(str(root / "frames/icons.py"))["draw_all"]()


def pixels(file: Path | io.BytesIO) -> np.ndarray[Any, Any]:
    """Return a picture as height x width x RGB."""
    return np.asarray(Image.open(file).convert("RGB"), dtype=np.int16)


def test_the_icons_are_what_the_svg_gives(drawn: Any) -> None:
    """Every file that is served is the one that the script draws, up to a codec's rounding (make icons)."""
    assert len(drawn) == 5
    for name, content in drawn.items():
        difference = np.abs(pixels(STATIC / name) - pixels(io.BytesIO(content)))
        assert difference.mean() < 0.1, name


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("icon-192.png", (192, 192)),
        ("icon-512.png", (512, 512)),
        ("icon-maskable-512.png", (512, 512)),
        ("apple-touch-icon.png", (180, 180)),
        ("preview.jpg", (1200, 630)),
    ],
)
def test_each_has_the_size_that_is_promised(name: str, size: tuple[int, int]) -> None:
    """Manifest and head say how large each is; none is clear anywhere: iOS would paint that black."""
    with Image.open(STATIC / name) as picture:
        assert picture.size == size
        assert picture.mode == "RGB"


def test_a_mask_leaves_the_ribbon_whole() -> None:
    """Nothing of the maskable icon's ribbon lies outside the circle of 80% that every mask keeps."""
    icon = pixels(STATIC / "icon-maskable-512.png")
    ribbon = np.abs(icon - icon[0, 0]).sum(axis=2) > 60
    rows, columns = np.nonzero(ribbon)
    assert np.hypot(rows - 255.5, columns - 255.5).max() < 0.4 * 512
