from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from app.jobs import Studio
from app.render.derived.small import SIDE, draw_small
from app.render.limits import Limits
from app.spec import AvatarSpec

if TYPE_CHECKING:
    from pathlib import Path


def opened(content: bytes) -> Image.Image:
    """Return a small picture's pixels, once it is known what it is."""
    with Image.open(io.BytesIO(content)) as file:
        assert (file.format, file.size, file.mode) == ("JPEG", (SIDE, SIDE), "RGB")
        assert set(file.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        return file.copy()


@pytest.mark.parametrize("side", [64, SIDE, 1080])
def test_an_avatar_of_any_size_is_shown_small(side: int) -> None:
    """What is left stays left, and red stays red."""
    avatar = Image.new("RGB", (side, side), "navy")
    avatar.paste("red", (0, 0, side // 2, side))
    small = opened(draw_small(avatar))
    for x, colour in ((SIDE // 4, (255, 0, 0)), (3 * SIDE // 4, (0, 0, 128))):
        pixel = small.getpixel((x, SIDE // 2))
        assert isinstance(pixel, tuple)
        assert max(abs(a - b) for a, b in zip(pixel, colour, strict=True)) < 12


def test_what_is_transparent_is_white() -> None:
    """A circle stands on the ground of a page."""
    avatar = Image.new("RGBA", (400, 400), (255, 0, 0, 0))
    avatar.paste((0, 0, 0, 255), (100, 100, 300, 300))
    small = opened(draw_small(avatar))
    assert min(small.getpixel((4, 4))) > 245  # type: ignore[arg-type]
    assert max(small.getpixel((80, 80))) < 10  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", ["square", "circle"])
def test_a_batchs_avatar_is_the_one_that_anybody_gets(root: Path, portrait: bytes, shape: str) -> None:
    """Byte for byte, with a small picture of the same beside it."""
    studio = Studio((root / "frames",), root / "fonts", 10_000_000, Limits())
    spec = AvatarSpec.model_validate({"frame": "red-ribbons", "size": 320, "shape": shape})
    avatar, small = studio.draw_for_batch(portrait, spec)
    assert avatar.content == studio.draw_avatar(portrait, spec).content
    with Image.open(io.BytesIO(avatar.content)) as file:
        shown = Image.new("RGB", file.size, "white")
        shown.paste(file, mask=file if file.mode == "RGBA" else None)
    red, green, blue = shown.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))  # type: ignore[misc]
    seen = opened(small).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(seen, tuple)
    assert max(abs(a - b) for a, b in zip(seen, (red, green, blue), strict=True)) < 3
