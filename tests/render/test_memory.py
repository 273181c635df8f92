"""What one avatar takes of memory, each measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MAKE = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from PIL import Image
from app.render.avatar import make_avatar
from app.render.overlay import Overlay
from app.spec import AvatarSpec

class Clear:
    def get(self, spec):
        size = (spec.size, spec.size)
        return Overlay(Image.new("RGB", size), Image.new("L", size), None)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

with open(sys.argv[1], "rb") as file:
    photo = file.read()
before = peak()
make_avatar(photo, AvatarSpec(), Clear())
print(peak() - before)
"""
"""Prints by how many MiB an avatar raised the peak of the process."""

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
    "progressive": {"quality": 30, "progressive": True},
    "PNG": {"compress_level": 1},
    "WEBP": {"quality": 20, "method": 0},
    "AVIF": {"quality": 10, "speed": 10},
}
picture.save(sys.argv[1], "JPEG" if kind == "progressive" else kind, **options[kind])
"""

PEAKS = {
    ("JPEG", 12_240): 40,  # 200 million pixels, baseline: decoded at an eighth
    ("progressive", 6_700): 220,  # 60 million, 4:2:0: all coefficients
    ("PNG", 6_700): 310,
    ("WEBP", 6_700): 950,
    ("AVIF", 6_700): 560,
}
"""MiB above an idle process, by kind of file and its shorter side; the sides are those at the limits."""


@pytest.mark.parametrize(("kind", "side"), PEAKS)
def test_the_peak_at_the_limit_of_pixels(root: Path, tmp_path: Path, kind: str, side: int) -> None:
    """A photo of as many pixels as its kind may have stays below the stated peak."""
    photo = tmp_path / "photo"
    subprocess.run([sys.executable, "-c", WRITE, photo, str(side), kind], check=True)
    result = subprocess.run(
        [sys.executable, "-c", MAKE, photo, root], check=True, capture_output=True, text=True
    )
    assert float(result.stdout) < PEAKS[kind, side]
