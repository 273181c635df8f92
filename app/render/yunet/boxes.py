"""The network's answers -> boxes, each face once.

At column x and row y of stride s, in float64, with the answers widened and cut to -16..16::

    score         = sqrt(sigmoid(class) * sigmoid(objectness))     sigmoid(t) = 1 / (1 + exp(-t))
    width, height = exp(box2) * s, exp(box3) * s
    left, top     = (box0 + x) * s - width / 2, (box1 + y) * s - height / 2

``exp`` is our own, because libraries differ in its last bit: with ``r = t / 1024`` it is
``1 + r * (1 + r / 2 * (1 + r / 3))``, squared ten times.

**Each face once.** Cells with a score of :data:`LEAST_SCORE` or more, the surest first; of equal ones first
those of stride 8, then 16, then 32, and of one stride row by row. The first is a face, and all that share
more than :data:`MOST_SHARED` with it (intersection over union) are left out; so it goes on with the rest,
until there are :data:`MOST_FACES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from app.render.yunet.network import Answers

    Doubles = NDArray[np.float64]
    Box = tuple[float, float, float, float, float]

LEAST_SCORE = 0.6
MOST_SHARED = 0.45
MOST_FACES = 100

_FARTHEST = 16.0
"""Far beyond every answer that means something, and far below where exp would overflow."""
_HALVINGS = 10


def boxes(answers: Iterable[Answers]) -> list[Box]:
    """Return the faces: left, top, width, height and score of each, the surest first."""
    rows = np.concatenate([_cells(values.astype(np.float64), stride) for stride, values in answers])
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    found: list[Box] = []
    while len(rows) and len(found) < MOST_FACES:
        first, rows = rows[0], rows[1:]
        left, top, width, height, score = first.tolist()
        found.append((left, top, width, height, score))
        rows = rows[_shared(first, rows) <= MOST_SHARED]
    return found


def _cells(values: Doubles, stride: int) -> Doubles:
    """Return the boxes of one stride's cells that are sure enough: n x 5, row by row."""
    values = np.clip(values, -_FARTHEST, _FARTHEST)
    score = np.sqrt(_sigmoid(values[0]) * _sigmoid(values[5]))
    y, x = np.nonzero(score >= LEAST_SCORE)
    box = values[1:5, y, x]
    width, height = _exp(box[2]) * stride, _exp(box[3]) * stride
    left, top = (box[0] + x) * stride - width / 2, (box[1] + y) * stride - height / 2
    return np.stack([left, top, width, height, score[y, x]], axis=1)


def _sigmoid(values: Doubles) -> Doubles:
    sure: Doubles = 1 / (1 + _exp(-values))
    return sure


def _exp(values: Doubles) -> Doubles:
    r = values / (1 << _HALVINGS)
    result: Doubles = 1 + r * (1 + r / 2 * (1 + r / 3))
    for _ in range(_HALVINGS):
        result = result * result
    return result


def _shared(box: Doubles, others: Doubles) -> Doubles:
    """Return intersection over union of a box with each of the others."""
    start, end = box[:2], box[:2] + box[2:4]
    starts, ends = others[:, :2], others[:, :2] + others[:, 2:4]
    sides = np.maximum(np.minimum(end, ends) - np.maximum(start, starts), 0)
    both: Doubles = sides[:, 0] * sides[:, 1]
    shared: Doubles = both / (box[2] * box[3] + others[:, 2] * others[:, 3] - both)
    return shared
