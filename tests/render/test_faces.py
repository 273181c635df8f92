from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from app.render.faces import FACES_SIDE, Face, find_faces
from app.render.yunet import WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

FACE = (178.5, 63, 89, 113)
"""Where the portrait's face is, brow to chin, in its 512 x 512 pixels: seen by eye."""

PORTRAIT = Image.open(Path(__file__).parents[2] / "frames" / "portrait.png").convert("RGB")


def portrait(side: int = FACES_SIDE) -> Image.Image:
    """Return the portrait at that size."""
    return PORTRAIT.resize((side, side), Image.Resampling.LANCZOS)


def near(found: Face, box: tuple[float, ...], pixels: float) -> bool:
    """Tell whether all edges of two boxes are so near to each other."""
    return all(
        abs(a - b) <= pixels and abs(a + c - b - d) <= pixels
        for a, b, c, d in zip(found[:2], box[:2], found[2:4], box[2:4], strict=True)
    )


@pytest.mark.parametrize("side", [80, 128, 200, 256, FACES_SIDE, 512])
def test_the_portraits_face_is_found(side: int) -> None:
    """One face, where it is, at every size."""
    (found,) = find_faces(portrait(side))
    scale = side / 512
    assert near(found, tuple(n * scale for n in FACE), 12 * scale)
    assert 0.8 < found.score <= 1


def test_the_mirrored_face_is_found() -> None:
    """In the mirrored place."""
    (found,) = find_faces(portrait(512).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert near(found, (512 - FACE[0] - FACE[2], *FACE[1:]), 12)


def test_grey_faces_are_found() -> None:
    """Colour is no part of a face."""
    (found,) = find_faces(portrait(512).convert("L").convert("RGB"))
    assert near(found, FACE, 12)


@pytest.mark.parametrize("edge", ["left", "top", "right", "bottom"])
def test_a_face_at_the_very_edge_is_found(edge: str) -> None:
    """A quarter of it is outside. The box ends at the picture's edge, or where the face would."""
    x, y, width, height = FACE
    left, top, right, bottom = {
        "left": (x + width / 4, 0, 512, 512),
        "top": (0, y + height / 4, 512, 512),
        "right": (0, 0, x + width * 3 / 4, 512),
        "bottom": (0, 0, 512, y + height * 3 / 4),
    }[edge]
    (found,) = find_faces(PORTRAIT.crop((round(left), round(top), round(right), round(bottom))))
    for start, length, first, last, cut in (
        (found.x, found.width, x - left, x + width - left, right - left),
        (found.y, found.height, y - top, y + height - top, bottom - top),
    ):
        assert first - 12 < start < max(first, 0) + 12
        assert min(last, cut) - 12 < start + length < last + 12


def test_many_faces_are_found() -> None:
    """Sixty portraits on one picture, the surest first."""
    crowd = Image.new("RGB", (1000, 600))
    for place in range(60):
        crowd.paste(portrait(100), (place % 10 * 100, place // 10 * 100))
    found = find_faces(crowd)
    places = {(int(face.x // 100), int(face.y // 100)) for face in found}
    assert len(found) == len(places) == 60
    assert list(found) == sorted(found, key=lambda face: -face.score)


def test_what_is_found_does_not_depend_on_what_was_looked_at_before() -> None:
    """Nothing is kept from one picture to the next."""
    before = find_faces(portrait())
    find_faces(portrait(512).rotate(90))
    assert find_faces(portrait()) == before


SIZES = [(1, 1), (16, 16), (31, 33), (1, 2000), (2000, 1), (320, 240)]


def faceless(size: tuple[int, int]) -> Iterator[Image.Image]:
    """Yield pictures of that size without a face."""
    for colour in ("black", "white", "red", (120, 90, 60)):
        yield Image.new("RGB", size, colour)
    width, height = size
    random = np.random.default_rng(width)
    for top in (2, 256):
        pixels = random.integers(0, top, (height, width, 3), dtype=np.uint8) * (255 // (top - 1))
        yield Image.fromarray(pixels.astype(np.uint8))
    gradient = Image.linear_gradient("L").resize(size)
    yield Image.merge("RGB", [gradient, gradient.transpose(Image.Transpose.ROTATE_180), gradient])
    yield Image.radial_gradient("L").resize(size).convert("RGB")


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_there_is_no_face_where_there_is_none(size: tuple[int, int]) -> None:
    """Neither in flat pictures, nor noise, nor gradients, of any size; and nothing warns."""
    assert [find_faces(picture) for picture in faceless(size)] == [()] * 8


# The network once more, slowly, straight from its table, in float64 and with no activation rounded.

POINTS = [(16, 16), (16, 16), (16, 32), (32, 32), (32, 64), *[(64, 64)] * 9]
HEADS = [1, 1, 1, 4, 4, 4, 1, 1, 1]


class Reference:
    """The network without any of the rounding that makes it the same on every machine."""

    def __init__(self) -> None:
        self._content, self._at = WEIGHTS.read_bytes(), 0
        self._first = self._read(16, 27)
        pairs = [*POINTS, *((64, filters) for filters in HEADS)]
        self._pairs = [(self._read(b, a), self._read(b, 9)) for a, b in pairs]
        assert self._at == len(self._content)

    def _read(self, filters: int, taps: int) -> tuple[Doubles, Doubles]:
        parts = []
        for kind, count in (("i1", filters * taps), ("<f2", filters), ("<f2", filters)):
            part = np.frombuffer(self._content, kind, count, self._at)
            self._at += part.nbytes
            parts.append(part.astype(np.float64))
        whole, scale, bias = parts
        return whole.reshape(filters, taps) * scale[:, None], bias[:, None, None]

    def _pair(self, number: int, x: Doubles, *, head: bool = False) -> Doubles:
        (point, point_bias), (depth, depth_bias) = self._pairs[number]
        x = np.pad(np.einsum("fc,cyx->fyx", point, x) + point_bias, ((0, 0), (1, 1), (1, 1)))
        around = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
        x = np.einsum("fyxij,fij->fyx", around, depth.reshape(-1, 3, 3)) + depth_bias
        return x if head else np.maximum(x, 0)

    def _through(self, x: Doubles, *numbers: int) -> Doubles:
        for number in numbers:
            x = self._pair(number, x)
        return x

    def faces(self, picture: Image.Image, least: float) -> list[Face]:
        """Return what is found, the surest first."""
        width, height = picture.size
        pixels = np.asarray(picture).astype(np.float64)[..., ::-1]
        x = np.pad(pixels, ((1, -height % 32 + 1), (1, -width % 32 + 1), (0, 0)))
        around = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(0, 1))[::2, ::2]
        weights, bias = self._first
        x = np.maximum(np.einsum("frsc,yxcrs->fyx", weights.reshape(-1, 3, 3, 3), around) + bias, 0)
        x = self._through(_pooled(self._through(x, 0)), 1, 2, 3, 4)
        fine = self._through(_pooled(x), 5, 6)
        middle = self._through(_pooled(fine), 7, 8)
        coarse = self._through(_pooled(middle), 9, 10)
        coarse = self._through(coarse, 13)
        middle = self._through(middle + coarse.repeat(2, 1).repeat(2, 2), 12)
        fine = self._through(fine + middle.repeat(2, 1).repeat(2, 2), 11)
        found = []
        for at, (stride, feature) in enumerate(((8, fine), (16, middle), (32, coarse))):
            kind, box, thing = (self._pair(at + n, feature, head=True) for n in (14, 17, 20))
            for (y, x_), c in np.ndenumerate(kind[0]):
                score = math.sqrt(1 / (1 + math.exp(-c)) / (1 + math.exp(-thing[0, y, x_])))
                if score >= least:
                    w, h = (math.exp(n) * stride for n in box[2:, y, x_])
                    left = (box[0, y, x_] + x_) * stride - w / 2
                    top = (box[1, y, x_] + y) * stride - h / 2
                    found.append(Face(left, top, w, h, score))
        return _once(sorted(found, key=lambda face: -face.score))


def _pooled(x: Doubles) -> Doubles:
    filters, rows, columns = x.shape
    largest: Doubles = x.reshape(filters, rows // 2, 2, columns // 2, 2).max(axis=(2, 4))
    return largest


def _once(found: list[Face]) -> list[Face]:
    kept: list[Face] = []
    for face in found:
        if all(_shared(face, other) <= 0.45 for other in kept):
            kept.append(face)
    return kept


def _shared(a: Face, b: Face) -> float:
    across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    down = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    both = max(across, 0) * max(down, 0)
    return both / (a.width * a.height + b.width * b.height - both)


def scenes() -> dict[str, Image.Image]:
    """Return pictures with faces, of many sizes, at many places and turned a little."""
    mixed = Image.new("RGB", (311, 233), (90, 110, 140))
    for side, place, turn in (
        (150, (0, 40), 10),
        (90, (160, 8), -15),
        (60, (230, 150), 0),
        (200, (120, 90), 5),
    ):
        mixed.paste(portrait(side).rotate(turn, Image.Resampling.BICUBIC), place)
    return {
        "portrait": portrait(),
        "mirrored": portrait(257).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "small": portrait(96),
        "mixed": mixed,
        "dark": portrait(200).point(lambda value: value // 4),
    }


@pytest.mark.parametrize("scene", ["portrait", "mirrored", "small", "mixed", "dark"])
def test_the_faces_are_those_of_the_network_without_rounding(scene: str) -> None:
    """As many, each box within a pixel and each score within a hundredth."""
    picture = scenes()[scene]
    found = find_faces(picture)
    expected = Reference().faces(picture, 0.6)
    assert len(found) == len(expected) >= 1
    for face in found:
        closest = max(expected, key=lambda other: _shared(face, other))
        assert near(face, closest[:4], 1)
        assert face.score == pytest.approx(closest.score, abs=0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_looking_for_faces_starts_no_thread(root: Path) -> None:
    """OpenBLAS would start one for each CPU, in each worker."""
    program = """
from PIL import Image
from app.render.faces import find_faces
find_faces(Image.open("frames/portrait.png").convert("RGB"))
print(next(line for line in open("/proc/self/status") if line.startswith("Threads:")))
"""
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["Threads:", "1"]
