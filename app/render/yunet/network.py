"""Picture -> what the network answers at each cell, the same to the last bit on every machine.

All arithmetic is such that neither the order of a sum nor a fused multiply-add can change a bit, or has its order
fixed here. The page's script repeats it and gives the same bits.

**Weights** (``weights.int8``). Layer after layer, in the order of :data:`LAYERS`: ``filters x inputs`` int8 (depthwise:
``filters x 9``, row by row), a float16 scale for each filter, a float16 bias for each filter; little-endian. A
weight is its int8 times its filter's scale.

**Activations** are whole numbers from 0 to 4095, in float32: 1/256 each. What a layer hands on is::

    q = floor(min(max(256 value + 0.5, 0), 4095))

which does the ReLU, too. Over 85 photos no activation was above 10 of the 16 that this holds.

**A product** (1 x 1 convolution; the first layer) is the sum of int8 weights times whole numbers, without scale and bias.
No filter's weights have a sum of magnitudes above 4096 (3421 is the largest), so every partial sum is a whole number
below 2^24, which float32 holds exactly: in any order, on any BLAS, in a script's doubles.

**The first layer.** The picture, padded with zeros below and to the right to multiples of 32, and with one pixel of
zeros around it; 27 inputs 0-255 in the order (row, column, channel), channels blue, green, red; stride 2::

    256 value + 0.5 = product * float32(256 scale) + float32(256 bias + 0.5)

**A pair** is a product, then a 3 x 3 depthwise convolution. Scale and bias of the first go into the weights of the second
(p: of the product; d: of the depthwise)::

    tap[k]  = float32(int8_d[k] * scale_d * scale_p)              k = 0..8, row by row
    offset  = float32(256 * (bias_p * scale_d * sum(int8_d) + bias_d) + 0.5)
    outside = float32(-256 * bias_p / scale_p)                    stands for zero around the picture
    256 value + 0.5 = ((tap[0] x[0] + tap[1] x[1]) + ... + tap[8] x[8]) + offset

where ``x[k]`` is the product at the neighbour k, or ``outside``. The right sides are worked out in float64 and rounded
once. Each multiplication and each addition of the last line is rounded to float32 by itself, in that order
(``Math.fround`` in a script). In a head nothing is cut off::

    tap[k] / 256,  offset = float32(bias_p * scale_d * sum(int8_d) + bias_d),  and value is float32

**Max-pool** takes the largest of 2 x 2. **The neck** adds the doubled coarser picture to the finer one:
``min(fine + coarse, 4095)``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from PIL import Image

    Floats = NDArray[np.float32]

WEIGHTS = Path(__file__).with_name("weights.int8")

STEPS = 256
"""Steps of an activation in a whole one."""
TOP = 4095
"""Largest activation, in steps."""
ALIGN = 32
"""A picture's sides are multiples of this: the largest stride."""


class Layer(NamedTuple):
    """Shape of a layer: 1 x 1 over all inputs, or 3 x 3 over one input each.

    Attributes:
        depthwise: Which of the two.
        inputs: Channels.
        filters: Channels that come out.
    """

    depthwise: bool
    inputs: int
    filters: int

    @property
    def taps(self) -> int:
        """Weights of one filter."""
        return 9 if self.depthwise else self.inputs


def _pairs(*channels: int) -> tuple[Layer, ...]:
    """Return the layers of pairs, one after the other, which lead from one number of channels to the next."""
    return tuple(
        Layer(depthwise, b if depthwise else a, b)
        for a, b in zip(channels, channels[1:], strict=False)
        for depthwise in (False, True)
    )


LAYERS = (
    Layer(False, 27, 16),  # noqa: FBT003
    *_pairs(16, 16),  # then max-pool
    *_pairs(16, 16, 32, 32, 64),  # then max-pool
    *_pairs(64, 64, 64),  # stride 8, then max-pool
    *_pairs(64, 64, 64),  # stride 16, then max-pool
    *_pairs(64, 64, 64),  # stride 32
    *_pairs(64, 64, 64, 64),  # the neck, for strides 8, 16, 32
    *_pairs(64, 1) * 3,  # class, for strides 8, 16, 32
    *_pairs(64, 4) * 3,  # box
    *_pairs(64, 1) * 3,  # objectness
)
"""All layers, in the order of the file."""


class Weights(NamedTuple):
    """Weights of a layer, as they are in the file: int8, scales and biases, widened to float64."""

    whole: NDArray[np.float64]
    scale: NDArray[np.float64]
    bias: NDArray[np.float64]


def read_weights(content: bytes) -> list[Weights]:
    """Read the layers' weights. ``whole`` is filters x :attr:`Layer.taps`, the others one for each filter."""
    weights, at = [], 0
    for layer in LAYERS:
        count = layer.filters * layer.taps
        whole = np.frombuffer(content, np.int8, count, at).reshape(layer.filters, layer.taps)
        halves = np.frombuffer(content, "<f2", 2 * layer.filters, at + count).astype(np.float64)
        weights.append(Weights(whole.astype(np.float64), *np.split(halves, 2)))
        at += count + 4 * layer.filters
    return weights


class Map(NamedTuple):
    """A picture of many channels, row after row, with one column more at the right, of any value.

    The depthwise convolution reads a pixel's neighbours at fixed distances; that column, as it stands in the
    product, is left of the next row and right of this one.

    Attributes:
        values: Channels x (rows times (columns + 1)), float32.
        rows: Height.
        columns: Width.
    """

    values: Floats
    rows: int
    columns: int

    def squared(self) -> Floats:
        """Return channels x rows x (columns + 1)."""
        return self.values.reshape(-1, self.rows, self.columns + 1)


class Pair:
    """A 1 x 1 convolution, then a 3 x 3 depthwise one."""

    def __init__(self, point: Weights, depth: Weights, *, head: bool = False) -> None:
        steps, half = (1.0, 0.0) if head else (float(STEPS), 0.5)
        scale = depth.scale * point.scale * (steps / STEPS)
        self.weights = point.whole.astype(np.float32)
        self.taps = _columns(depth.whole.T * scale)
        offset = point.bias * depth.scale * depth.whole.sum(1) + depth.bias
        self.offset = _columns(offset * steps + half)
        self.outside = _columns(-STEPS * point.bias / point.scale)

    def __call__(self, source: Map) -> Map:
        """Return the sum, before anything is cut off."""
        row, count = source.columns + 1, source.values.shape[1]
        first = row + 1
        product = np.empty((len(self.weights), count + 2 * row + 2), np.float32)
        product[:, :first] = self.outside
        product[:, first + count :] = self.outside
        np.matmul(self.weights, source.values, out=product[:, first : first + count])
        product[:, first + source.columns : first + count : row] = self.outside
        total = product[:, :count] * self.taps[0]
        term = np.empty_like(total)
        for place in range(1, 9):
            start = place // 3 * row + place % 3
            np.multiply(product[:, start : start + count], self.taps[place], out=term)
            total += term
        total += self.offset
        return Map(total, source.rows, source.columns)


def _columns(values: NDArray[np.float64]) -> Floats:
    """Return one column for each filter, to be multiplied with or added to its pixels."""
    return values.astype(np.float32)[..., None]


def quantised(total: Map) -> Map:
    """Cut sums to activations, in place."""
    np.clip(total.values, 0, TOP, out=total.values)
    np.floor(total.values, out=total.values)
    return total


def pooled(source: Map) -> Map:
    """Return the largest of each 2 x 2 pixels."""
    whole = source.squared()
    rows = np.maximum(whole[:, ::2], whole[:, 1::2])
    half = np.zeros((len(whole), source.rows // 2, source.columns // 2 + 1), np.float32)
    np.maximum(rows[..., :-1:2], rows[..., 1:-1:2], out=half[..., :-1])
    return Map(half.reshape(len(whole), -1), source.rows // 2, source.columns // 2)


def added(fine: Map, coarse: Map) -> Map:
    """Return the finer picture with the doubled coarser one added."""
    total = fine.values.copy().reshape(-1, fine.rows, fine.columns + 1)
    doubled = coarse.squared()[..., :-1].repeat(2, axis=2)
    total[:, ::2, :-1] += doubled
    total[:, 1::2, :-1] += doubled
    np.minimum(total, TOP, out=total)
    return Map(total.reshape(len(total), -1), fine.rows, fine.columns)


class Answers(NamedTuple):
    """What the network answers for each cell of one stride.

    Attributes:
        stride: Pixels from cell to cell: 8, 16 or 32.
        values: 6 x rows x columns, float32: class, box0, box1, box2, box3, objectness.
    """

    stride: int
    values: Floats


class Network:
    """YuNet. The table of its layers is :data:`LAYERS`."""

    def __init__(self, weights: list[Weights]) -> None:
        first, *others = weights
        self.first = first.whole.astype(np.float32)
        self.first_scale = _columns(first.scale * STEPS)
        self.first_offset = _columns(first.bias * STEPS + 0.5)
        points, depths = others[::2], others[1::2]
        self.body = [Pair(*pair) for pair in zip(points[:14], depths[:14], strict=True)]
        heads = [zip(points[at::3], depths[at::3], strict=True) for at in (14, 15, 16)]
        self.heads = [Pair(*map(_joined, zip(*head, strict=True)), head=True) for head in heads]

    def __call__(self, picture: Image.Image) -> tuple[Answers, ...]:
        """Return the answers for strides 8, 16 and 32.

        Args:
            picture: RGB, of any size.
        """
        maps = self._body(picture)
        return tuple(
            Answers(stride, head(source).squared()[..., :-1])
            for stride, head, source in zip((8, 16, 32), self.heads, maps, strict=True)
        )

    def _body(self, picture: Image.Image) -> tuple[Map, Map, Map]:
        pairs = self.body
        start = pooled(_through(pairs[:1], self._first(picture)))
        fine = _through(pairs[5:7], pooled(_through(pairs[1:5], start)))
        middle = _through(pairs[7:9], pooled(fine))
        coarse = _through(pairs[9:11], pooled(middle))
        coarse = _through(pairs[13:14], coarse)
        middle = _through(pairs[12:13], added(middle, coarse))
        fine = _through(pairs[11:12], added(fine, middle))
        return fine, middle, coarse

    def _first(self, picture: Image.Image) -> Map:
        inputs = gathered(picture)
        total = self.first @ inputs.values
        total *= self.first_scale
        total += self.first_offset
        return quantised(Map(total, inputs.rows, inputs.columns))


def _through(pairs: Iterable[Pair], source: Map) -> Map:
    for pair in pairs:
        source = quantised(pair(source))
    return source


def _joined(parts: Iterable[Weights]) -> Weights:
    """Return layers of the same inputs as one."""
    whole, scale, bias = zip(*parts, strict=True)
    return Weights(np.concatenate(whole), np.concatenate(scale), np.concatenate(bias))


def gathered(picture: Image.Image) -> Map:
    """Return the 27 inputs of each place of the first convolution: its 3 x 3 pixels in blue, green and red."""
    width, height = picture.size
    rows, columns = -(-height // ALIGN) * ALIGN // 2, -(-width // ALIGN) * ALIGN // 2
    padded = np.zeros((3, 2 * rows + 1, 2 * columns + 2), np.float32)
    padded[:, 1 : height + 1, 1 : width + 1] = np.asarray(picture)[..., ::-1].transpose(2, 0, 1)
    inputs = np.zeros((3, 3, 3, rows, columns + 1), np.float32)
    for row in range(3):
        for column in range(3):
            inputs[row, column, ..., :-1] = padded[
                :, row : row + 2 * rows - 1 : 2, column : column + 2 * columns - 1 : 2
            ]
    return Map(inputs.reshape(27, -1), rows, columns)


@cache
def _network() -> Network:
    return Network(read_weights(WEIGHTS.read_bytes()))


def answers(picture: Image.Image) -> tuple[Answers, ...]:
    """Return what the network answers for a picture: see :meth:`Network.__call__`."""
    return _network()(picture)
