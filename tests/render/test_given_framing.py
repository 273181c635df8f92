"""A request that gives x, y and zoom gets the picture that it always got: old addresses stay reproducible.

The digests in ``tests/golden/given-framing.json`` were made by the code that looked for no faces and knew no
zoom below 1. Only another version of a library may move them: then ``make goldens`` writes them anew, on the
commit that changes the version and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from PIL import Image, ImageDraw

from app.render import resize as resizing
from app.render.avatar import make_avatar
from app.render.overlay import Overlay
from app.spec import AvatarSpec
from tests import photos
from tests.render.conftest import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from app.render.overlay import Overlays

RIM = 20
"""The frame hides one pixel in so many along each edge, as the campaign's frames hide their rim."""


class _RimmedOverlays:
    """A frame of plain red and half of a veil, whose picture no artwork and no typeface changes."""

    def get(self, spec: AvatarSpec) -> Overlay:
        size, rim = (spec.size, spec.size), spec.size // RIM
        alpha = Image.new("L", size, 255)
        alpha.paste(0, (rim, rim, spec.size - rim, spec.size - rim))
        alpha.paste(90, (rim, spec.size // 2, spec.size - rim, spec.size - rim))
        circle = None
        if spec.shape == "circle":
            circle = Image.new("L", size)
            ImageDraw.Draw(circle).ellipse((0, 0, spec.size - 1, spec.size - 1), fill=255)
        return Overlay(Image.new("RGB", size, photos.RED), alpha, circle, WHOLE)


def wide() -> Image.Image:
    """Return a picture to be cut at its sides."""
    return photos.detailed((420, 310))


def tall() -> Image.Image:
    """Return a picture to be cut above and below."""
    return photos.detailed((230, 400))


def faded() -> Image.Image:
    """Return a picture that is transparent towards its corners."""
    picture = wide()
    picture.putalpha(Image.radial_gradient("L").resize(picture.size))
    return picture


def turned(orientation: int) -> bytes:
    """Return a photo as a camera stores it that was held in some way."""
    picture = photos.stored(wide(), orientation)
    return photos.save(picture, "JPEG", quality=92, exif=photos.exif(orientation))


PHOTOS: dict[str, Callable[[], bytes]] = {
    "portrait": (Path(__file__).parents[2] / "frames" / "portrait.png").read_bytes,
    "jpeg": lambda: photos.save(wide(), "JPEG", quality=92),
    "large jpeg": lambda: photos.save(
        wide().resize((2100, 1550), Image.Resampling.BICUBIC), "JPEG", quality=92
    ),
    "tall jpeg": lambda: photos.save(tall(), "JPEG", quality=92, icc_profile=photos.display_p3()),
    "transparent png": lambda: photos.save(faded(), "PNG"),
    "palette png": lambda: photos.save(tall().quantize(64), "PNG"),
    "cmyk": lambda: photos.save(wide().convert("CMYK"), "JPEG", quality=92),
    "grey": lambda: photos.save(tall().convert("L"), "PNG"),
    **{f"orientation {number}": partial(turned, number) for number in range(2, 9)},
}
"""Photos of every kind that is stored in a way of its own."""


CORNER = {"x": 0.0, "y": 1.0, "zoom": 2.5}
ASIDE = {"x": 0.37, "y": 0.61, "zoom": 1.3}
CASES: dict[str, tuple[str, Mapping[str, Any]]] = {
    "portrait": ("portrait", photos.MIDDLE),
    "portrait, aside, small": ("portrait", {**ASIDE, "size": 96}),
    "portrait, turned a little": ("portrait", {**ASIDE, "rotate": 17}),
    "portrait, as a circle": ("portrait", {**photos.MIDDLE, "shape": "circle", "size": 333}),
    "jpeg": ("jpeg", photos.MIDDLE),
    "jpeg, in a corner": ("jpeg", CORNER),
    "jpeg, at zoom 8": ("jpeg", {"x": 0.9, "y": 0.2, "zoom": 8, "size": 500}),
    "jpeg, a quarter turn": ("jpeg", {**ASIDE, "rotate": -90}),
    "large jpeg": ("large jpeg", {**photos.MIDDLE, "size": 256}),
    "large jpeg, aside": ("large jpeg", {**ASIDE, "size": 512}),
    "large jpeg, turned": ("large jpeg", {**ASIDE, "size": 200, "rotate": 133.5}),
    "tall jpeg in Display P3": ("tall jpeg", {"x": 0.5, "y": 0.3, "zoom": 1}),
    "transparent png": ("transparent png", ASIDE),
    "transparent png, as a circle": ("transparent png", {**CORNER, "shape": "circle"}),
    "palette png": ("palette png", photos.MIDDLE),
    "cmyk": ("cmyk", ASIDE),
    "cmyk, turned": ("cmyk", {**photos.MIDDLE, "rotate": 45}),
    "grey": ("grey", CORNER),
    **{f"orientation {number}": (f"orientation {number}", ASIDE) for number in range(2, 9)},
    "orientation 6, turned": ("orientation 6", {**ASIDE, "rotate": 30}),
}
"""A photo and what is asked for; PNG, of 240 pixels unless said."""


@pytest.mark.golden
@pytest.mark.skipif(
    vars(resizing)["cykooz_resizer"] is None, reason="no wheel of cykooz-resizer for this machine"
)
@pytest.mark.parametrize("name", CASES)
def test_a_given_framing_is_drawn_as_ever(name: str, root: Path, request: pytest.FixtureRequest) -> None:
    """Every pixel is as it was before squares were chosen, in any kind of photo, turned and cut anyhow."""
    kind, fields = CASES[name]
    spec = AvatarSpec(**{"frame": "red-ribbons", "size": 240, "format": "png", **fields})
    avatar = make_avatar(PHOTOS[kind](), spec, cast("Overlays", _RimmedOverlays()))
    with Image.open(io.BytesIO(avatar.content)) as image:
        assert image.size == (spec.size, spec.size)
        digest = hashlib.sha256(image.mode.encode() + image.tobytes()).hexdigest()[:32]
    path = root / "tests" / "golden" / "given-framing.json"
    if request.config.getoption("--regenerate-goldens"):
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        kept[name] = digest
        ordered = {case: kept[case] for case in CASES if case in kept}
        path.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")
        return
    assert json.loads(path.read_text(encoding="utf-8"))[name] == digest
