from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from app.render.yunet.boxes import LEAST_SCORE, MOST_FACES, boxes
from app.render.yunet.network import Answers

if TYPE_CHECKING:
    from numpy.typing import NDArray

SURE, UNSURE = 9.0, -9.0
Cell = tuple[float, float, float, float, float, float]


def cells(stride: int, rows: int, columns: int, given: dict[tuple[int, int], Cell]) -> Answers:
    """Return answers that are sure of nothing but the given cells, by row and column."""
    values: NDArray[np.float32] = np.zeros((6, rows, columns), np.float32)
    values[0] = values[5] = UNSURE
    for (row, column), cell in given.items():
        values[:, row, column] = cell
    return Answers(stride, values)


def logit(score: float) -> float:
    """Return the answer that, given for class and for objectness, makes that score."""
    return math.log(score / (1 - score))


def face(score: float = 0.9, box: tuple[float, float, float, float] = (0, 0, 0, 0)) -> Cell:
    """Return the answers of a cell in which there is a face."""
    return (logit(score), *box, logit(score))


def test_a_box_is_where_its_cell_says() -> None:
    """Middle in strides from the cell's corner, sides as powers of e; the score is the mean of two."""
    cell = (logit(0.9), 0.5, -0.25, math.log(3), math.log(2), logit(0.8))
    ((left, top, width, height, score),) = boxes([cells(16, 4, 4, {(1, 2): cell})])
    assert [width, height] == pytest.approx([48, 32])
    assert [left + width / 2, top + height / 2] == pytest.approx([40, 12])
    assert score == pytest.approx(math.sqrt(0.9 * 0.8))


@pytest.mark.parametrize("value", [-16, -3.5, -1, -1e-3, 0, 1e-3, 0.7, 2.5, 6])
def test_sides_are_powers_of_e(value: float) -> None:
    """Our own exp is that of a library, to a hundred-thousandth."""
    ((*_, width, _, _),) = boxes([cells(8, 1, 1, {(0, 0): face(box=(0, 0, value, 0))})])
    assert width == pytest.approx(8 * math.exp(np.float32(value)), rel=1e-5)


@pytest.mark.parametrize("value", [1e30, -1e30, np.inf, -np.inf])
def test_absurd_answers_are_boxes_still(value: float) -> None:
    """Nothing overflows, and no side is zero."""
    found = boxes([cells(32, 2, 2, {(0, 1): (SURE, value, value, value, value, 1e30)})])
    assert len(found) == 1
    assert np.isfinite(found).all()
    assert min(found[0][2:]) > 0


def test_who_is_not_sure_enough_is_no_face() -> None:
    """At the least score it is one, below it none."""
    sure = {(0, 0): face(LEAST_SCORE + 1e-4), (3, 3): face(LEAST_SCORE - 1e-4)}
    assert len(boxes([cells(8, 4, 4, sure)])) == 1
    assert boxes([cells(8, 4, 4, {})]) == []


def test_both_answers_must_be_sure() -> None:
    """A thing that is no face, and a face that is no thing, are left out."""
    for answers in ((SURE, UNSURE), (UNSURE, SURE)):
        assert boxes([cells(8, 1, 1, {(0, 0): (answers[0], 0, 0, 0, 0, answers[1])})]) == []


def test_a_face_is_found_once() -> None:
    """Of boxes that share much the surest stays, also across strides; others stay as they are."""
    two = math.log(2)
    fine = cells(
        8, 4, 8, {(1, 1): face(0.8, (0, 0, two, two)), (1, 2): face(0.7, (-0.5, 0, two, two)), (1, 6): face()}
    )
    middle = cells(16, 2, 4, {(0, 1): face(0.95, (-0.5, 0.5, 0, 0))})
    assert [(box[0], box[1], round(box[4], 6)) for box in boxes([fine, middle])] == [
        (0, 0, 0.95),
        (44, 4, 0.9),
    ]


@pytest.mark.parametrize(("apart", "count"), [(2.0, 1), (3.03, 1), (3.04, 2), (4.0, 2)])
def test_faces_may_share_less_than_half(apart: float, count: int) -> None:
    """Squares of 8 pixels share 0.45 of their union when they are 3.034 pixels apart."""
    pair = {(0, 0): face(0.9), (0, 1): face(0.8, (apart / 8 - 1, 0, 0, 0))}
    assert len(boxes([cells(8, 1, 2, pair)])) == count


def test_equally_sure_ones_come_in_order() -> None:
    """By stride, then row by row: the page's script has the same order."""
    same = face()
    fine = cells(8, 9, 9, {(4, 0): same, (0, 8): same, (0, 0): same})
    coarse = cells(32, 3, 3, {(2, 2): same})
    middles = [(x + w / 2, y + h / 2) for x, y, w, h, _ in boxes([fine, coarse])]
    assert middles == [(0, 0), (64, 0), (0, 32), (64, 64)]


def test_a_stadium_is_not_counted() -> None:
    """So many faces at the most: the surest."""
    many = {
        (row, column): face(0.7 + 0.001 * row + 0.00001 * column, (0, 0, -1, -1))
        for row in range(40)
        for column in range(40)
    }
    found = boxes([cells(8, 40, 40, many)])
    assert len(found) == MOST_FACES
    assert found[0][4] == pytest.approx(0.73939)
    assert found == sorted(found, key=lambda box: -box[4])
