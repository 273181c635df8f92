"""CPU per avatar, beside the bare codec floor: ``python -m benchmarks.avatar [FOLDER]``.

The floor is what the codecs alone take: decoding at the scale that is enough and encoding 1080 px of JPEG
4:4:4 at the avatar's quality, without a crop, a resize, a colour or a frame. Floor and avatar take turns,
so that whatever else the machine does weighs on both; the ratio is the median of the pairs' ratios. The
budget is for photos of 12 MP and more: the exit code is 1 past it. A small photo has a small floor and the
same square of 1080 px to resize, frame and encode, so its ratio is higher and only printed.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from app.frames import FrameLibrary
from app.render.avatar import make_avatar
from app.render.encode import JPEG_QUALITY
from app.render.overlay import Overlays
from app.spec import AvatarSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parent.parent
BUDGET = 1.5
AIM = 1.3
BUDGET_FROM = 12_000_000
ROUNDS = 41
SAMPLES = {"12 MP": (4032, 3024), "2 MP": (1632, 1224)}


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
    avatar = partial(make_avatar, photo, spec, overlays)
    floor = partial(codec_floor, photo, spec.size)
    avatar()  # draws the overlay, which is kept
    floor()
    pairs = [(_cpu_seconds(avatar), _cpu_seconds(floor)) for _ in range(ROUNDS)]
    avatars, floors = zip(*pairs, strict=True)
    ratios = [a / f for a, f in pairs]
    return statistics.median(avatars), statistics.median(floors), statistics.median(ratios)


def _cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _photos(folder: Path | None) -> Mapping[str, bytes]:
    if folder is None:
        return {name: generate_photo(size) for name, size in SAMPLES.items()}
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"})
    return {path.name: path.read_bytes() for path in files}


def _pixels(photo: bytes) -> int:
    with Image.open(io.BytesIO(photo)) as file:
        return file.width * file.height


def main(arguments: list[str]) -> int:
    """Print the table; return 1 where a photo is past the budget."""
    photos = _photos(Path(arguments[0]) if arguments else None)
    overlays = Overlays(FrameLibrary([ROOT / "frames"], ROOT / "fonts"))
    spec = AvatarSpec(frame="red-ribbons")
    print(f"CPU per avatar, {spec.size} px JPEG 4:4:4; medians of {ROUNDS}; budget {BUDGET}, aim {AIM}\n")
    print(f"{'photo':<24}{'MB':>6}{'avatar ms':>11}{'floor ms':>10}{'ratio':>7}")
    worst = 0.0
    for name, photo in photos.items():
        avatar, floor, ratio = measure(photo, overlays, spec)
        if _pixels(photo) >= BUDGET_FROM:
            worst = max(worst, ratio)
        print(f"{name:<24}{len(photo) / 1e6:>6.1f}{avatar * 1e3:>11.1f}{floor * 1e3:>10.1f}{ratio:>7.2f}")
    return 1 if worst > BUDGET else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
