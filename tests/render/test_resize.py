from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from app.render import resize as resizing
from app.render.crop import crop
from app.render.decode import Photo
from app.render.resize import resize
from app.spec import AvatarSpec
from tests import photos

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.render.resize import Box

CYKOOZ = vars(resizing)["cykooz_resizer"]
WHOLE = (0, 0, 201, 152)
BOXES = [
    ((108, 108), (25.3, 0, 176.4, 151.1)),
    ((67, 50), WHOLE),
    ((20, 15), (0.5, 2, 200.5, 152)),
    ((333, 250), (1.5, 2.25, 51.5, 39.75)),
]
"""What is wanted of a picture of 201 x 152: reduced a little, by 3, by 10, and enlarged by nearly 7."""


def pixels(image: Image.Image) -> NDArray[np.int64]:
    """Return a picture's values, wide enough to subtract."""
    return np.asarray(image).astype(np.int64)


@pytest.fixture(params=["cykooz", "pillow"])
def _either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resize with the one, where there is a wheel of it, and with the other."""
    if request.param == "pillow":
        monkeypatch.setattr(resizing, "cykooz_resizer", None)


@pytest.mark.skipif(CYKOOZ is None, reason="no wheel of cykooz-resizer for this machine")
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK"])
def test_every_processor_makes_the_same_bytes(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """An address names bytes: they are those of a processor without extensions, of pure noise too."""
    build, kinds = CYKOOZ.Resizer, CYKOOZ.CpuExtensions
    bands = [np.random.default_rng(band).integers(0, 256, (152, 201), dtype=np.uint8) for band in range(4)]
    noise = Image.merge(mode, [Image.fromarray(band) for band in bands[: 1 if mode == "L" else len(mode)]])
    fastest = build().cpu_extensions
    some = {fastest, kinds.none} | ({kinds.sse4_1} if fastest is kinds.avx2 else set())

    def resized(extensions: object) -> tuple[bytes, ...]:
        def restrained() -> object:
            resizer = build()
            resizer.cpu_extensions = extensions
            return resizer

        monkeypatch.setattr(CYKOOZ, "Resizer", restrained)
        return tuple(resize(noise, size, box).tobytes() for size, box in BOXES)

    assert len({resized(extensions) for extensions in some}) == 1


@pytest.mark.parametrize(("size", "box"), BOXES)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_pillow_makes_the_same_picture(
    monkeypatch: pytest.MonkeyPatch, mode: str, size: tuple[int, int], box: Box
) -> None:
    """Where there is no wheel a picture is in the same place, as sharp and as bright."""
    picture = photos.detailed((201, 152)).convert(mode)
    found = pixels(resize(picture, size, box))
    monkeypatch.setattr(resizing, "cykooz_resizer", None)
    difference = pixels(resize(picture, size, box)) - found
    assert np.sqrt((difference**2).mean()) < 1


@pytest.mark.usefixtures("_either")
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "I;16"])
def test_a_box_beyond_an_edge_ends_at_the_edge(mode: str) -> None:
    """Rounding may carry a box out of the picture, which libraries refuse, or a hair past a whole pixel."""
    picture = photos.detailed((30, 20)).convert("L").convert(mode)
    for beyond in (1e-9, 1e-7, 0.4, 5):
        box = (-beyond, -beyond, 30 + beyond, 20 + beyond)
        for size in ((30, 20), (17, 11), (60, 40)):
            assert resize(picture, size, box).tobytes() == resize(picture, size).tobytes()


@pytest.mark.usefixtures("_either")
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (33, 2)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_smallest_pictures_are_cropped_anywhere(mode: str, size: tuple[int, int]) -> None:
    """One pixel, or a part of one, in every corner, orientation and direction, is an avatar of its colour."""
    picture = Image.new(mode, size, (90, 120, 200, 255)[: len(mode)])
    for orientation, corner, zoom, rotate in product(range(1, 9), (0, 1), (1, 8), (0, 33)):
        spec = AvatarSpec.model_construct(size=65, x=corner, y=1 - corner, zoom=zoom, rotate=rotate)
        square = crop(Photo(picture, *size, orientation, None), spec)
        assert square.getextrema()[:3] == ((90, 90), (120, 120), (200, 200))


@pytest.mark.usefixtures("_either")
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_soft_picture_is_the_same_one(mode: str) -> None:
    """A quick look at it shows nothing else, and it never rings."""
    picture = photos.detailed((1080, 1080)).convert(mode)
    difference = pixels(resize(picture, (160, 160), soft=True)) - pixels(resize(picture, (160, 160)))
    assert np.sqrt((difference**2).mean()) < 5
    step = Image.new("L", (64, 64), 50)
    step.paste(200, (31, 0, 64, 64))
    assert resize(step, (9, 9), soft=True).getextrema() == (50, 200)


@pytest.mark.usefixtures("_either")
@pytest.mark.parametrize("side", [27, 50, 150, 199, 320])
def test_a_spot_stays_in_its_place(side: int) -> None:
    """At any scale, of a box with fractions, the centre of a spot is where arithmetic puts it."""
    box, centre = (10.3, 5.8, 190.3, 185.8), (101.2, 83.6)
    y, x = np.mgrid[:201, :203] + 0.5
    spot = 250 * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 18**2))
    found = pixels(resize(Image.fromarray(np.rint(spot).astype(np.uint8)), (side, side), box))
    scale = side / (box[2] - box[0])
    for axis, start, place in ((0, box[0], centre[0]), (1, box[1], centre[1])):
        line = found.sum(axis=axis)
        middle = (line * (np.arange(side) + 0.5)).sum() / line.sum()
        assert middle == pytest.approx((place - start) * scale, abs=0.02 * max(scale, 1))


@pytest.mark.usefixtures("_either")
@pytest.mark.parametrize("side", [9, 25, 53, 64, 65, 200])
def test_edges_ring_little_and_plain_colour_not_at_all(side: int) -> None:
    """Beside a step there is one line that is off by less than a tenth of the step."""
    step = Image.new("L", (64, 64), 50)
    assert resize(step, (side, side)).getextrema() == (50, 50)
    step.paste(200, (31, 0, 64, 64))
    row = pixels(resize(step, (side, side)))[side // 2]
    assert row.min() >= 50 - 15
    assert row.max() <= 200 + 15


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_no_thread_is_started() -> None:
    """What one worker takes is one core's."""
    tasks = Path("/proc/self/task")
    before = {task.name for task in tasks.iterdir()}
    resize(photos.detailed((800, 600)), (300, 300), (100, 0, 700, 600))
    assert {task.name for task in tasks.iterdir()} <= before


REFUSE = """
import os, resource, sys
from PIL import Image
from app.render.resize import resize

def ended(picture, size, spare):
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with open("/proc/self/status") as status:
        held = next(int(line.split()[1]) for line in status if line.startswith("VmData")) * 1024
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (held + spare,) * 2)
    try:
        resize(picture, size)
    except MemoryError:
        os._exit(7)
    os._exit(0)

for mode, source, size, most in (
    ("RGB", (2400, 1800), (1080, 810), 16),
    ("RGBA", (2400, 1800), (1080, 810), 18),
    ("L", (30, 30), (2000, 2000), 12),
    ("RGB", (12_000, 400), (64, 64), 8),
):
    picture = Image.new(mode, source)
    print(*{ended(picture, size, n * most * 50_000) for n in range(20)})
"""
"""Prints how resizing ended, for four pictures, as the memory that is left grows: 0 well, 7 refused."""


@pytest.mark.skipif(sys.platform != "linux", reason="no other system counts mappings as data")
def test_too_little_memory_is_an_error_of_python(root: Path) -> None:
    """Whatever is lacking: code in Rust would end the process, and with it all that it was to draw."""
    found = subprocess.run(
        [sys.executable, "-c", REFUSE], cwd=root, capture_output=True, text=True, check=True
    )
    assert [set(line.split()) for line in found.stdout.splitlines()] == [{"0", "7"}] * 4
