"""Draw the site's icons and its links' picture: ``python frames/icons.py`` (``make icons``).

All of them come from ``app/web/static/icon.svg`` and from our own renderer; none is drawn by hand.
"""
# ruff: noqa: INP001, T201 (a script, no package; it prints)

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import resvg_py
from PIL import Image

from app.frames import FrameLibrary, Line, TextStyle
from app.render.artwork import path_element
from app.render.avatar import make_avatar
from app.render.encode import encode_jpeg
from app.render.overlay import Overlays
from app.render.text.slogan import set_slogan
from app.spec import AvatarSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "app/web/static"

# base.css's --ground, --ink and --muted.
GROUND, INK, MUTED = "#faf6ef", "#241c18", "#665a51"

ICONS: Mapping[str, tuple[int, float]] = {
    # The side in pixels, and how much of it the ribbon takes.
    "icon-192.png": (192, 0.74),
    "icon-512.png": (512, 0.74),
    # Android cuts a shape out of it: what matters lies in a circle of 80% of the side.
    "icon-maskable-512.png": (512, 0.56),
    "apple-touch-icon.png": (180, 0.66),
}

# A link's picture: 1200 x 630 is what the platforms show whole.
PREVIEW_SIZE = (1200, 630)
_MARGIN = 48
_AVATAR = PREVIEW_SIZE[1] - 2 * _MARGIN


class _Words(NamedTuple):
    text: str
    language: str
    font: str
    fill: str
    size: float
    baseline: float


_WORDS = (
    _Words("الحرية للأسرى", "ar", "cairo/Cairo_900Black.ttf", INK, 104, 296),
    _Words("Free the Prisoners", "en", "cairo/Cairo_700Bold.ttf", INK, 46, 392),
    _Words("الأشرطة الحمراء · Red Ribbons", "ar", "cairo/Cairo_400Regular.ttf", MUTED, 30, 470),
)


def draw_icon(side: int, share: float) -> bytes:
    """Return a PNG: the ribbon in the middle of an opaque square (iOS paints what is clear black)."""
    svg = (STATIC / "icon.svg").read_text(encoding="utf-8")
    _, _, width, height = map(float, re.findall(r'viewBox="([^"]+)"', svg)[0].split())
    scale = side * share / height
    x, y = (side - width * scale) / 2, (side - height * scale) / 2
    placed = re.sub(
        r"<svg ", f'<svg x="{x}" y="{y}" width="{width * scale}" height="{height * scale}" ', svg, count=1
    )
    ground = f'<rect width="{side}" height="{side}" fill="{GROUND}"/>'
    return _as_png(_raster(_svg(side, side, ground + placed)).convert("RGB"))


def draw_preview() -> bytes:
    """Return the JPEG that stands beside a link: the frame, and the slogan."""
    width, height = PREVIEW_SIZE
    left = _MARGIN * 2 + _AVATAR
    outlines = "".join(_set(words, width - left - _MARGIN) for words in _WORDS)
    ground = f'<rect width="{width}" height="{height}" fill="{GROUND}"/>'
    picture = _raster(_svg(width, height, f'{ground}<g transform="translate({left} 0)">{outlines}</g>'))
    avatar = _draw_avatar()
    picture.paste(avatar, (_MARGIN, _MARGIN), avatar)
    return encode_jpeg(picture.convert("RGB"), quality=88)


def draw_all() -> dict[str, bytes]:
    """Return every file by its name."""
    icons = {name: draw_icon(side, share) for name, (side, share) in ICONS.items()}
    return {**icons, "preview.jpg": draw_preview()}


def _set(words: _Words, width: int) -> str:
    setting = TextStyle(
        fonts=(words.font,),
        largest=words.size,
        smallest=words.size / 2,
        above=words.size * 1.5,
        below=words.size,
        shift=0,
        baseline=Line(kind="line", start=(0, words.baseline), end=(width, words.baseline)),
        language=words.language,
    )
    return path_element(set_slogan(words.text, setting, ROOT / "fonts"), words.fill)


def _draw_avatar() -> Image.Image:
    overlays = Overlays(FrameLibrary([ROOT / "frames"], ROOT / "fonts"))
    spec = AvatarSpec(frame="red-ribbons", lang="ar", shape="circle", size=_AVATAR, x=0.5, y=0.5, zoom=1)
    # Nobody's face: who can be recognised there would seem to speak for the campaign.
    nobody = _as_png(_raster((STATIC / "silhouette.svg").read_text(encoding="utf-8"), 1080))
    avatar = make_avatar(nobody, spec, overlays)
    return Image.open(io.BytesIO(avatar.content), formats=["PNG"])


def _svg(width: int, height: int, content: str) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{content}</svg>'


def _raster(svg: str, width: int | None = None) -> Image.Image:
    png = resvg_py.svg_to_bytes(svg_string=svg, width=width, skip_system_fonts=True)
    return Image.open(io.BytesIO(png), formats=["PNG"])


def _as_png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


if __name__ == "__main__":
    for name, content in draw_all().items():
        (STATIC / name).write_bytes(content)
        print(f"{name}: {len(content):,} bytes")
