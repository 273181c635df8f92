"""What every server is given, and whether what comes back is the avatar that was asked for."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageStat
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from app.frames import FrameLibrary
from app.render.overlay import Overlays
from app.spec import DEFAULT_SIZE, AvatarSpec
from benchmarks.avatar import ROOT, generate_photo

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FRAME = "red-ribbons"
SQUARE = f"{DEFAULT_SIZE} px square"
"""What the page sends: the chosen square, at the avatar's size."""
PHOTOS = {
    "1 MP": (1152, 864),
    "2 MP": (1632, 1224),
    "6 MP": (2828, 2121),
    "12 MP": (4032, 3024),
    "24 MP": (5656, 4242),
    "48 MP": (8000, 6000),
    SQUARE: (DEFAULT_SIZE, DEFAULT_SIZE),
}
LEAST_FIDELITY = 38.0
"""Decibels. All reach 42 at 12 MP, where the JPEG's own loss decides; a photo without the overlay is at 10,
one whose overlay is premultiplied twice at 28."""
YUV_444 = 0


class NotTheAvatar(Exception):
    """A server's picture is another than the one that was asked for."""


def write_inputs(folder: Path, photos: Iterable[str], sizes: Iterable[int]) -> dict[str, bytes]:
    """Write the photos and overlays that servers read from files, and return the photos by name."""
    overlays = Overlays(FrameLibrary([ROOT / "frames"], ROOT / "fonts"))
    for size in sizes:
        overlay = overlays.png(AvatarSpec(frame=FRAME, size=size))
        (folder / overlay_file(size)).write_bytes(overlay)
    contents = {name: generate_photo(PHOTOS[name]) for name in photos}
    for name, content in contents.items():
        (folder / photo_file(name)).write_bytes(content)
    return contents


def overlay_file(size: int) -> str:
    """Return the name of the file with the overlay of a size."""
    return f"overlay-{size}.png"


def photo_file(name: str) -> str:
    """Return the name of the file with a photo."""
    return f"{name.replace(' ', '-')}.jpg"


def exact_avatar(photo: bytes, overlay: bytes) -> Image.Image:
    """Return the avatar as it should be: decoded whole, reduced by Lanczos, composed, not encoded."""
    with Image.open(io.BytesIO(overlay)) as file:
        frame = file.convert("RGBA")
    with Image.open(io.BytesIO(photo)) as file:
        side = min(file.size)
        left, top = (file.width - side) / 2, (file.height - side) / 2
        box = (left, top, left + side, top + side)
        square = file.convert("RGB").resize(frame.size, Image.Resampling.LANCZOS, box=box)
    return Image.alpha_composite(square.convert("RGBA"), frame).convert("RGB")


def fidelity(avatar: bytes, exact: Image.Image) -> float:
    """Return how near an avatar is to what it should be, in decibels.

    Raises:
        NotTheAvatar: It is no JPEG, or one of another size or with less chroma, or it shows something else.
    """
    try:
        with Image.open(io.BytesIO(avatar), formats=["JPEG"]) as file:
            sampling = get_sampling(file) if isinstance(file, JpegImageFile) else None
            picture = file.convert("RGB")
    except OSError as error:
        raise NotTheAvatar("its answer is no JPEG") from error
    if picture.size != exact.size:
        raise NotTheAvatar(f"its picture is {picture.width} x {picture.height} px")
    if sampling != YUV_444:
        raise NotTheAvatar("its picture is not 4:4:4")
    squares = ImageStat.Stat(ImageChops.difference(picture, exact)).sum2
    mean = sum(squares) / (3 * picture.width * picture.height)
    decibels = 10 * math.log10(255**2 / mean) if mean else math.inf
    if decibels < LEAST_FIDELITY:
        raise NotTheAvatar(f"its picture is {decibels:.0f} dB from the avatar")
    return decibels
