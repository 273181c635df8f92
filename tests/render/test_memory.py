"""What one avatar takes of memory, each measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import heif_files, photos

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")

MAKE = """
import json, sys
sys.path.insert(0, sys.argv[2])
from PIL import Image
from app.frames import Face
from app.render.avatar import make_avatar
from app.render.overlay import Overlay
from app.spec import AvatarSpec

class Clear:
    def get(self, spec):
        size = (spec.size, spec.size)
        face = Face(center=(500, 500), radius=500)
        return Overlay(Image.new("RGB", size), Image.new("L", size), None, face)

def peak():
    with open("/proc/self/status") as status:  # ru_maxrss would begin with that of whoever started us
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

with open(sys.argv[1], "rb") as file:
    photo = file.read()
before = peak()
make_avatar(photo, AvatarSpec(frame="red-ribbons", **json.loads(sys.argv[3])), Clear())
print(peak() - before)
"""
"""Prints by how many MiB an avatar raised the peak of the process."""

SHOW = MAKE.replace(
    'make_avatar(photo, AvatarSpec(frame="red-ribbons", **json.loads(sys.argv[3])), Clear())',
    "make_rendition(photo, **json.loads(sys.argv[3]))",
).replace(
    "from app.render.overlay", "from app.render.rendition import make_rendition\nfrom app.render.overlay"
)
"""Prints by how many MiB a rendition did."""

WRITE = """
import sys
from PIL import Image
side, kind = int(sys.argv[2]), sys.argv[3]
tile = Image.merge("RGB", [Image.effect_noise((512, 512), 30) for _ in range(3)])
width, height = side * 4 // 3 // 16 * 16, side
picture = Image.new("RGB", (width, height), (120, 90, 60))
for left in range(0, width, 2048):
    for top in range(0, height, 2048):
        picture.paste(tile, (left, top))
options = {
    "JPEG": {"quality": 30},
    "progressive JPEG": {"quality": 30, "progressive": True},
    "PNG": {"compress_level": 1},
    "WEBP": {"quality": 20, "method": 0},
    "AVIF": {"quality": 10, "speed": 10},
}
if kind.startswith("transparent"):
    picture.putalpha(200)
kind = kind.removeprefix("transparent ")
if kind.startswith("CMYK"):
    picture = picture.convert("CMYK")
kind = kind.removeprefix("CMYK ")
picture.save(sys.argv[1], kind.removeprefix("progressive "), **options[kind])
"""

LIMIT, LARGEST = 6_700, 12_240
"""Shorter sides of pictures of 4:3 with 60 and with 200 million pixels."""
CLOSE = {"size": 2048, "zoom": 8}
"""Asks for every pixel that there is, in the largest avatar."""

PEAKS = [
    ("JPEG", LARGEST, {}, 60, 60),  # baseline: decoded at an eighth; numpy is half of it
    ("JPEG", LIMIT, CLOSE, 320, 140),
    ("progressive JPEG", LIMIT, {}, 220, 80),  # 4:2:0: all coefficients
    ("progressive JPEG", LIMIT, CLOSE, 460, 140),
    ("PNG", LIMIT, CLOSE, 350, 140),
    ("transparent PNG", LIMIT, CLOSE, 350, 190),
    ("AVIF", LIMIT, CLOSE, 560, 180),
    ("transparent AVIF", LIMIT, CLOSE, 690, 250),
    ("cropped AVIF", LIMIT, CLOSE, 620, 180),
    ("transparent WEBP", LIMIT, CLOSE, 950, 330),
]
"""Kind of file, its shorter side, what is asked for, the MiB that docs/deploy.md states for it, and the most
that a quarter of its pixels take."""

SHOWN = [
    ("JPEG", LARGEST, 400, 400),
    ("CMYK JPEG", LIMIT, 350, 300),
    ("transparent PNG", LIMIT, 450, 240),
    ("transparent WEBP", LIMIT, 950, 330),
]
"""The same for a whole photo that is shown."""


def _peak(photo: Path, root: Path, spec: Mapping[str, float], work: str = MAKE) -> float:
    """Return how many MiB an avatar of the photo takes at its peak."""
    command = [sys.executable, "-c", work, str(photo), str(root), json.dumps(spec)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _written(photo: Path, kind: str, side: int) -> Path:
    """Write a picture of that kind, with so many pixels on its shorter side."""
    command = [sys.executable, "-c", WRITE, str(photo), str(side), kind.removeprefix("cropped ")]
    subprocess.run(command, check=True)
    if kind == "cropped AVIF":
        size = (side * 4 // 3 // 16 * 16, side)
        crop = heif_files.clap(str(size[0] - 2), str(size[1] - 2))
        item = heif_files.taken_from(photo.read_bytes(), size, heif_files.pixi(), crop)
        photo.write_bytes(heif_files.build({1: item}))
    return photo


def test_the_peak_of_a_square_larger_than_the_photo(root: Path, tmp_path: Path) -> None:
    """What lies around the largest one, turned by 45 degrees, is made in two of it: 135 MiB with the rest."""
    spec = {"size": 2048, "zoom": 0.5, "rotate": 45}
    assert _peak(_written(tmp_path / "photo", "PNG", 500), root, spec) < 160


@pytest.mark.soak
@pytest.mark.parametrize("case", PEAKS, ids=str)
def test_the_peak_at_the_limit_of_pixels(
    root: Path, tmp_path: Path, case: tuple[str, int, dict[str, int], int, int]
) -> None:
    """A photo of as many pixels as its kind may have stays below the stated peak."""
    kind, side, spec, stated, _ = case
    assert _peak(_written(tmp_path / "photo", kind, side), root, spec) < stated


@pytest.mark.parametrize("case", PEAKS, ids=str)
def test_the_peak_of_a_quarter_of_the_pixels(
    root: Path, tmp_path: Path, case: tuple[str, int, dict[str, int], int, int]
) -> None:
    """The peak falls with the pixels: in every run, what a copy too many would show in as well."""
    kind, side, spec, _, quarter = case
    assert _peak(_written(tmp_path / "photo", kind, side // 2), root, spec) < quarter


@pytest.mark.soak
@pytest.mark.parametrize("case", SHOWN, ids=str)
def test_the_peak_of_showing_a_whole_photo(
    root: Path, tmp_path: Path, case: tuple[str, int, int, int]
) -> None:
    """The largest rendition of the largest photo takes no more than the dearest avatar, which bounds both."""
    kind, side, stated, _ = case
    assert _peak(_written(tmp_path / "photo", kind, side), root, {"side": 4096}, SHOW) < stated


@pytest.mark.parametrize("case", SHOWN, ids=str)
def test_the_peak_of_showing_a_quarter_of_the_pixels(
    root: Path, tmp_path: Path, case: tuple[str, int, int, int]
) -> None:
    """As for an avatar."""
    kind, side, _, quarter = case
    assert _peak(_written(tmp_path / "photo", kind, side // 2), root, {"side": 4096}, SHOW) < quarter


def test_a_16_bit_picture_takes_no_more_than_one_of_8_bits(root: Path, tmp_path: Path) -> None:
    """Its upper bytes are taken while it is unpacked, its transparency a band at a time."""
    photo = tmp_path / "photo"
    row = b"\0" + b"\x10\x20\x30\x40\x50\x60\x70\x80" * 4_464
    photo.write_bytes(photos.png(4_464, LIMIT // 2, 6, 16, row * (LIMIT // 2)))
    assert _peak(photo, root, CLOSE) < next(
        quarter for kind, *_, quarter in PEAKS if kind == "transparent PNG"
    )
