"""Picture -> what the network answers at each cell, the same to the last bit on every machine.

The order of a sum or a fused multiply-add cannot change a bit of it, or else the order is fixed here. The
page's script repeats it, to the same bits.

**Weights** (``weights.int8``). Layer after layer, in the order of :data:`LAYERS`: ``filters x inputs`` int8
(depthwise: ``filters x 9``, row by row), a float16 scale for each filter, a float16 bias for each filter;
little-endian. A weight is its int8 times its filter's scale.

**Activations** are whole numbers from 0 to 4095, in float32: 1/256 each. What a layer hands on is::

    q = floor(min(max(256 value + 0.5, 0), 4095))

which does the ReLU, too. Over 85 photos no value was above 10 of the 16 that this holds.

**A product** (1 x 1 convolution; the first layer) is the sum of int8 weights times whole numbers, without
scale and bias. No filter has weights whose magnitudes sum to more than 4096 (3421 is the largest sum), so
every partial sum is a whole number below 2^24, which float32 holds exactly: in any order, with any BLAS, in a
script's doubles.

**The first layer.** The picture, padded with zeros below and to the right to multiples of 32, and with one
pixel of zeros around it; 27 inputs from 0 to 255 in the order (row, column, channel), channels blue, green,
red; stride 2; no depthwise convolution::

    256 value + 0.5 = product * float32(256 scale) + float32(256 bias + 0.5)

**A pair** is a product, then a 3 x 3 depthwise convolution, stride 1, zeros around its input. Scale and bias
of the first go into the weights of the second (``p``: of the product; ``d``: of the depthwise)::

    tap[k]  = float32(int8_d[k] * scale_d * scale_p)              k = 0 to 8, row by row
    offset  = float32((bias_p * scale_d * sum(int8_d) + bias_d) * 256 + 0.5)
    outside = float32(-256 * bias_p / scale_p)                    the product that stands for zero
    256 value + 0.5 = (((tap[0] x[0] + tap[1] x[1]) + tap[2] x[2]) + ... + tap[8] x[8]) + offset

where ``x[k]`` is the product at neighbour k, or ``outside`` beyond the edge. The right sides of the first
three are worked out in float64. Each multiplication and each addition of the last is rounded to float32 by
itself (``Math.fround`` in a script), and so in the first layer. A head cuts nothing off::

    tap[k] / 256,   offset = float32(bias_p * scale_d * sum(int8_d) + bias_d),   and the sum is the value

**Max-pool** takes the largest of 2 x 2. **The neck** adds the coarser picture, doubled by repeating, to the
finer one: ``min(fine + coarse, 4095)``.
"""

from __future__ import annotations

from functools import cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from app.render.yunet import WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from PIL import Image

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]

STEPS = 256
"""Steps of an activation from 0 to 1."""
TOP = 4095
"""The largest activation, in steps."""
STRIDES = (8, 16, 32)
"""Pixels from cell to cell."""


class Layer(NamedTuple):
    """Shape of a layer: 1 x 1 over all inputs, or 3 x 3 over one input each.

    Attributes:
        depthwise: Whether it is the latter.
        inputs: Channels that go in.
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
    """Return pairs, one after the other, each from one number of channels to the next."""
    return tuple(
        layer
        for inputs, filters in pairwise(channels)
        for layer in (Layer(False, inputs, filters), Layer(True, filters, filters))  # noqa: FBT003
    )


LAYERS = (
    Layer(False, 27, 16),  # noqa: FBT003 - the first
    *_pairs(16, 16),  # then max-pool
    *_pairs(16, 16, 32, 32, 64),  # then max-pool
    *_pairs(64, 64, 64),  # stride 8; then max-pool
    *_pairs(64, 64, 64),  # stride 16; then max-pool
    *_pairs(64, 64, 64),  # stride 32
    *_pairs(64, 64, 64, 64),  # the neck, for strides 8, 16, 32
    *(_pairs(64, 1) * 3),  # heads for strides 8, 16, 32: class
    *(_pairs(64, 4) * 3),  # box
    *(_pairs(64, 1) * 3),  # objectness
)
"""All layers, in the order of the file."""


class Weights(NamedTuple):
    """Weights of a layer as they are in the file, widened.

    Attributes:
        whole: int8 by filter and tap.
        scale: For each filter.
        bias: For each filter.
    """

    whole: Doubles
    scale: Doubles
    bias: Doubles


def read_weights(content: bytes) -> list[Weights]:
    """Read the weights of all :data:`LAYERS`."""
    weights, at = [], 0
    for layer in LAYERS:
        count = layer.filters * layer.taps
        whole = np.frombuffer(content, np.int8, count, at).reshape(layer.filters, layer.taps)
        scale, bias = np.frombuffer(content, "<f2", 2 * layer.filters, at + count).reshape(2, -1)
        weights.append(Weights(*(part.astype(np.float64) for part in (whole, scale, bias))))
        at += count + 4 * layer.filters
    return weights


class Map(NamedTuple):
    """A picture of many channels, each row after row, with one column more at the right.

    A pixel's neighbours are then at fixed distances: that column is right of its own row, and left of the
    next. What stands in it is any number.

    Attributes:
        values: Channels x (rows times (columns + 1)).
        rows: Height.
        columns: Width, without the one more.
    """

    values: Floats
    rows: int
    columns: int

    def unrolled(self) -> Floats:
        """Return a view, channels x rows x (columns + 1)."""
        return self.values.reshape(-1, self.rows, self.columns + 1)


class Pair:
    """A 1 x 1 convolution, then a 3 x 3 depthwise one.

    Args:
        point: Of the first.
        depth: Of the second.
        head: Whether it gives values, and not what is to be cut to activations.
    """

    def __init__(self, point: Weights, depth: Weights, *, head: bool = False) -> None:
        steps, half = (1, 0) if head else (STEPS, 0.5)
        self._point = point.whole.astype(np.float32)
        self._taps = _by_filter(depth.whole.T * (depth.scale * point.scale * steps / STEPS))
        self._offset = _by_filter(
            (point.bias * depth.scale * depth.whole.sum(axis=1) + depth.bias) * steps + half
        )
        self._outside = _by_filter(-STEPS * point.bias / point.scale)

    def __call__(self, source: Map) -> Map:
        """Return the sums, of which nothing is cut off yet."""
        row, count = source.columns + 1, source.values.shape[1]
        first = row + 1  # above is a row of what is outside, and left of its first pixel one more
        product = np.empty((len(self._point), first + count + first), np.float32)
        inner = product[:, first:-first]
        np.matmul(self._point, source.values, out=inner)
        product[:, :first] = product[:, -first:] = inner[:, source.columns :: row] = self._outside
        total = product[:, :count] * self._taps[0]
        term = np.empty_like(total)
        for place in range(1, 9):
            start = place // 3 * row + place % 3
            np.multiply(product[:, start : start + count], self._taps[place], out=term)
            total += term
        total += self._offset
        return Map(total, source.rows, source.columns)


def _by_filter(values: Doubles) -> Floats:
    """Return a column of one number for each filter, for all of its pixels."""
    return values.astype(np.float32)[..., None]


def _activated(sums: Map) -> Map:
    """Cut sums to activations, in place."""
    np.clip(sums.values, 0, TOP, out=sums.values)
    np.floor(sums.values, out=sums.values)
    return sums


def _through(pairs: Iterable[Pair], source: Map) -> Map:
    for pair in pairs:
        source = _activated(pair(source))
    return source


def _pooled(source: Map) -> Map:
    """Return the largest of each 2 x 2 pixels."""
    whole = source.unrolled()
    rows, columns = source.rows // 2, source.columns // 2
    larger = np.maximum(whole[:, ::2], whole[:, 1::2])
    largest = np.zeros((len(whole), rows, columns + 1), np.float32)
    np.maximum(larger[..., :-1:2], larger[..., 1::2], out=largest[..., :-1])
    return Map(largest.reshape(len(whole), -1), rows, columns)


def _added(fine: Map, coarse: Map) -> Map:
    """Return the finer picture with the doubled coarser one added to it."""
    values = fine.values.copy()
    total = fine._replace(values=values)
    doubled = coarse.unrolled()[..., :-1].repeat(2, axis=2)
    for first in (0, 1):
        total.unrolled()[:, first::2, :-1] += doubled
    np.minimum(values, TOP, out=values)
    return total


class Answers(NamedTuple):
    """What the network answers for the cells of one stride.

    Attributes:
        stride: One of :data:`STRIDES`.
        values: float32, 6 x rows x columns: class, box0, box1, box2, box3, objectness.
    """

    stride: int
    values: Floats


class Network:
    """YuNet, ready to look at pictures."""

    def __init__(self, weights: list[Weights]) -> None:
        first, *others = weights
        self._first = first.whole.astype(np.float32)
        self._first_scale = _by_filter(first.scale * STEPS)
        self._first_offset = _by_filter(first.bias * STEPS + 0.5)
        pairs = zip(others[::2], others[1::2], strict=True)
        body = (Pair(point, depth) for point, depth in islice(pairs, 14))
        self._start, self._quarter, self._fine, self._middle, self._coarse, *self._necks = (
            list(islice(body, count)) for count in (1, 4, 2, 2, 2, 1, 1, 1)
        )
        points, depths = zip(*pairs, strict=True)
        # Those of one stride have the same inputs, so they are one pair.
        self._heads = [
            Pair(_joined(points[at::3]), _joined(depths[at::3]), head=True) for at in range(len(STRIDES))
        ]

    def __call__(self, picture: Image.Image) -> tuple[Answers, ...]:
        """Return the answers for each of :data:`STRIDES`.

        Args:
            picture: RGB, of any size.
        """
        return tuple(
            Answers(stride, head(source).unrolled()[..., :-1])
            for stride, head, source in zip(STRIDES, self._heads, self._body(picture), strict=True)
        )

    def _body(self, picture: Image.Image) -> tuple[Map, Map, Map]:
        start = _pooled(_through(self._start, self._first_layer(picture)))
        fine = _through(self._fine, _pooled(_through(self._quarter, start)))
        middle = _through(self._middle, _pooled(fine))
        coarse = _through(self._coarse, _pooled(middle))
        coarse = _through(self._necks[2], coarse)
        middle = _through(self._necks[1], _added(middle, coarse))
        fine = _through(self._necks[0], _added(fine, middle))
        return fine, middle, coarse

    def _first_layer(self, picture: Image.Image) -> Map:
        inputs = gathered(picture)
        sums = np.matmul(self._first, inputs.values)
        sums *= self._first_scale
        sums += self._first_offset
        return _activated(inputs._replace(values=sums))


def _joined(layers: Iterable[Weights]) -> Weights:
    return Weights(*(np.concatenate(parts) for parts in zip(*layers, strict=True)))


def gathered(picture: Image.Image) -> Map:
    """Return the first layer's 27 inputs at each of its places."""
    width, height = picture.size
    rows, columns = (-(-side // STRIDES[-1]) * STRIDES[-1] // 2 for side in (height, width))
    padded = np.zeros((3, 2 * rows + 1, 2 * columns + 1), np.float32)
    padded[:, 1 : height + 1, 1 : width + 1] = np.asarray(picture)[..., ::-1].transpose(2, 0, 1)
    inputs = np.zeros((3, 3, 3, rows, columns + 1), np.float32)
    for row in range(3):
        for column in range(3):
            pixels = padded[:, row : row + 2 * rows : 2, column : column + 2 * columns : 2]
            inputs[row, column, ..., :-1] = pixels
    return Map(inputs.reshape(27, -1), rows, columns)


@cache
def _network() -> Network:
    return Network(read_weights(WEIGHTS.read_bytes()))


def answers(picture: Image.Image) -> tuple[Answers, ...]:
    """Return what the network answers for a picture: see :class:`Network`."""
    return _network()(picture)
