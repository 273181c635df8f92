"""CPU per avatar, beside the bare codec floor: ``python -m benchmarks.avatar [FOLDER]``.

The floor is what the codecs alone take: decoding at the scale that is enough and encoding 1080 px of JPEG
4:4:4 at the avatar's quality, without a crop, a resize, a colour or a frame. Floor and avatar take turns,
so that whatever else the machine does weighs on both; the ratio is the median of the pairs' ratios. There is
a budget for photos of 12 MP and more, and one for the square of 1080 px that the page sends. Other photos of
few pixels have a small floor and the same square to resize, frame and encode: their ratio is only printed.
The square is given, as the page gives it: no face is looked for.

Beside that how near the photo in the avatar is to the best there is, decoded at full scale and reduced with
Lanczos, in decibels (PSNR). The exit code is 1 past a budget.
"""

from __future__ import annotations

import io
import math
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageChops, ImageStat

from app.frames import FrameLibrary
from app.jobs import keep_freed_memory
from app.render.avatar import make_avatar
from app.render.crop import crop, scale_needed
from app.render.decode import decode, identify
from app.render.encode import JPEG_QUALITY
from app.render.limits import Limits
from app.render.overlay import Overlays
from app.spec import AvatarSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parent.parent
SIZE = 1080
LARGE = 12_000_000
"""Pixels from which on a photo is a large one."""
BUDGET, SQUARE_BUDGET, AIM = 1.25, 1.3, 1.15
"""Of the ratio to the floor: for large photos, for the page's square, and what is aimed at for large ones."""
LEAST_DECIBELS = 46
ROUNDS = 41
SAMPLES = {"12 MP": (4032, 3024), "2 MP": (1632, 1224), "the page's square": (SIZE, SIZE)}


def generate_photo(size: tuple[int, int]) -> bytes:
    """Return a JPEG with the detail and grain of a phone's: about 3 MB at 12 MP."""
    with Image.open(ROOT / "frames" / "portrait.png") as file:
        portrait = file.convert("RGB")
    longest = max(size)
    picture = portrait.resize((longest, longest), Image.Resampling.LANCZOS).crop((0, 0, *size))
    grain = Image.effect_noise(size, 40)
    picture = Image.blend(picture, Image.merge("RGB", (grain, grain, grain)), 0.14)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def codec_floor(photo: bytes, size: int) -> None:
    """Decode at the scale that is enough and encode one avatar's worth of pixels: nothing in between."""
    with Image.open(io.BytesIO(photo), formats=["JPEG"]) as file:
        file.draft("RGB", (size, size))
        file.load()
        square = file.crop((0, 0, size, size))
    square.save(io.BytesIO(), "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4")


def measure(photo: bytes, overlays: Overlays, spec: AvatarSpec) -> tuple[float, float, float]:
    """Return the medians of an avatar's CPU seconds, of the floor's, and of their ratio, taken in turns."""
    keep_freed_memory()  # as each worker does
    avatar = partial(make_avatar, photo, spec, overlays)
    floor = partial(codec_floor, photo, spec.size)
    avatar()  # draws the overlay, which is kept
    floor()
    pairs = [(_cpu_seconds(avatar), _cpu_seconds(floor)) for _ in range(ROUNDS)]
    avatars, floors = zip(*pairs, strict=True)
    ratios = [a / f for a, f in pairs]
    return statistics.median(avatars), statistics.median(floors), statistics.median(ratios)


def decibels(photo: bytes, spec: AvatarSpec) -> float:
    """Return how near a photo's square comes to that of full scale, reduced with Lanczos; more is nearer.

    For photos that are stored upright, in sRGB.
    """
    container = identify(photo, Limits())
    scale = scale_needed((container.width, container.height), spec)
    square = crop(decode(container, scale, Limits()), spec)
    with Image.open(io.BytesIO(photo), formats=["JPEG"]) as file:
        side = min(file.size)
        left, top = (file.width - side) / 2, (file.height - side) / 2
        box = (left, top, left + side, top + side)
        best = file.resize(square.size, Image.Resampling.LANCZOS, box=box)
    error = ImageStat.Stat(ImageChops.difference(square, best)).sum2
    mean = sum(error) / (len(error) * square.width * square.height)
    return 10 * math.log10(255**2 / mean) if mean else math.inf


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _photos(folder: Path | None) -> Mapping[str, bytes]:
    if folder is None:
        return {name: generate_photo(size) for name, size in SAMPLES.items()}
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"})
    return {path.name: path.read_bytes() for path in files}


def _budget(photo: bytes) -> float:
    """Return the most that a photo's ratio may be."""
    with Image.open(io.BytesIO(photo)) as file:
        if file.size == (SIZE, SIZE):
            return SQUARE_BUDGET
        return BUDGET if file.width * file.height >= LARGE else math.inf


def main(arguments: list[str]) -> int:
    """Print the table; return 1 where a photo is past its budget."""
    photos = _photos(Path(arguments[0]) if arguments else None)
    overlays = Overlays(FrameLibrary([ROOT / "frames"], ROOT / "fonts"))
    spec = AvatarSpec(frame="red-ribbons", size=SIZE, x=0.5, y=0.5, zoom=1)
    print(f"CPU per avatar, {SIZE} px JPEG 4:4:4; medians of {ROUNDS}")
    budgets = f"{BUDGET} (aim {AIM}) from 12 MP, {SQUARE_BUDGET} for a square of {SIZE} px"
    print(f"budgets {budgets}, at least {LEAST_DECIBELS} dB\n")
    print(f"{'photo':<24}{'MB':>6}{'avatar ms':>11}{'floor ms':>10}{'ratio':>7}{'dB':>7}")
    kept = True
    for name, photo in photos.items():
        avatar, floor, ratio = measure(photo, overlays, spec)
        near = decibels(photo, spec)
        kept &= ratio <= _budget(photo) and near >= LEAST_DECIBELS
        times = f"{avatar * 1e3:>11.1f}{floor * 1e3:>10.1f}{ratio:>7.2f}"
        print(f"{name:<24}{len(photo) / 1e6:>6.1f}{times}{near:>7.1f}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
