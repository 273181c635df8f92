from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.frames import UNITS, FrameLibrary
from app.frames import Face as Opening
from app.render.crop import frame_square
from app.render.faces import Face
from app.render.framing import AIR, CROWD, LEAST_ZOOM, SEEN, SHARE, Choice, choose
from app.render.overlay import Overlays
from app.spec import AvatarSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

MIDDLE = Opening(center=(500, 500), radius=300)
"""A frame that keeps a circle of 0.6 of its side free, in its middle."""
CORNER = Opening(center=(400, 380), radius=300)


def spec(**fields: Any) -> AvatarSpec:
    """Return what is asked for, of a small avatar, so that small faces may be brought near."""
    return AvatarSpec(frame="red-ribbons", **{"size": 300, **fields})


def face(x: float, y: float, width: float, height: float | None = None, score: float = 0.9) -> Face:
    """Return a face by its middle."""
    height = width if height is None else height
    return Face(x - width / 2, y - height / 2, width, height, score)


def circle(
    size: tuple[int, int], choice: Choice, opening: Opening, asked: AvatarSpec
) -> tuple[float, float, float]:
    """Return the frame's circle on the upright photo, as crop.py cuts it: middle and radius, in pixels."""
    framed = asked.model_copy(update={"x": choice.x, "y": choice.y, "zoom": choice.zoom})
    square = frame_square(*size, framed)
    u = opening.center[0] / UNITS - 0.5
    u, v = (-u if asked.flip else u), opening.center[1] / UNITS - 0.5
    x = square.cx + square.side * (u * square.cos + v * square.sin)
    y = square.cy + square.side * (-u * square.sin + v * square.cos)
    return x, y, opening.radius / UNITS * square.side


def reach(size: tuple[int, int], choice: Choice, opening: Opening, asked: AvatarSpec, one: Face) -> float:
    """Return how far from the circle's middle a face's ellipse reaches, in radii; not for turned photos."""
    x, y, radius = circle(size, choice, opening, asked)
    angles = (math.radians(degrees) for degrees in range(0, 360, 5))
    return max(
        math.hypot(
            one.x + one.width * (1 + math.cos(t)) / 2 - x, one.y + one.height * (1 + math.sin(t)) / 2 - y
        )
        / radius
        for t in angles
    )


def turned_place(size: tuple[int, int], rotate: float, x: float, y: float) -> tuple[float, float]:
    """Return where a point of the turned photo, in its bounding box, lies in the upright one."""
    angle = math.radians(rotate)
    cos, sin = math.cos(angle), math.sin(angle)
    width, height = size
    a = x - (width * abs(cos) + height * abs(sin)) / 2
    b = y - (width * abs(sin) + height * abs(cos)) / 2
    return width / 2 + a * cos + b * sin, height / 2 - a * sin + b * cos


# -- what is always so ---------------------------------------------------------

sides = st.one_of(st.integers(1, 50), st.integers(50, 20_000))
fractions = st.floats(0, 1)
boxes = st.builds(
    Face,
    x=st.floats(-500, 20_000),
    y=st.floats(-500, 20_000),
    width=st.one_of(st.just(0.0), st.floats(0, 20_000)),
    height=st.one_of(st.just(0.0), st.floats(0, 20_000)),
    score=fractions,
)
openings = st.builds(
    Opening, center=st.tuples(st.floats(0, 1000), st.floats(0, 1000)), radius=st.floats(1, 500)
)
specs = st.builds(
    spec,
    x=st.none() | fractions,
    y=st.none() | fractions,
    zoom=st.none() | st.floats(0.5, 8),
    rotate=st.one_of(st.sampled_from((0.0, 90.0, -90.0, 180.0)), st.floats(-180, 180)),
    flip=st.booleans(),
    size=st.integers(64, 2048),
)


@given(size=st.tuples(sides, sides), faces=st.lists(boxes, max_size=6), opening=openings, asked=specs)
def test_a_square_is_where_it_is_drawn(
    size: tuple[int, int], faces: list[Face], opening: Opening, asked: AvatarSpec
) -> None:
    """Whatever is found: crop.py moves no chosen centre, three decimals say it all, and given values stay."""
    choice = choose(size, faces, opening, asked)
    framed = asked.model_copy(update={"x": choice.x, "y": choice.y, "zoom": choice.zoom})
    square = frame_square(*size, framed)
    for name, length, centre in (("x", size[0], square.cx), ("y", size[1], square.cy)):
        value = getattr(choice, name)
        if getattr(asked, name) is None:
            assert value == round(value, 3)
            assert centre == pytest.approx(value * length, abs=1e-6 * length)
        else:
            assert value == getattr(asked, name)
    if asked.zoom is None:
        assert choice.zoom == round(choice.zoom, 3)
        assert LEAST_ZOOM <= choice.zoom <= 8
        largest = min(size) / square.spread
        assert square.side >= min(asked.size / 1.5, largest) * 0.99  # of 8.0004 rounded, half a thousandth
    else:
        assert choice.zoom == asked.zoom
    assert choose(size, faces, opening, framed) == Choice("given", *choice[1:])


@given(
    size=st.tuples(st.integers(100, 5000), st.integers(100, 5000)),
    middle=st.tuples(fractions, fractions),
    side=st.floats(0.02, 1),
    long=st.floats(1, 1.5),
    opening=st.sampled_from((MIDDLE, CORNER, Opening(center=(494, 500), radius=316))),
)
def test_a_face_is_whole_where_any_square_shows_it_whole(
    size: tuple[int, int], middle: tuple[float, float], side: float, long: float, opening: Opening
) -> None:
    """And the square is no larger than the photo where that is not needed."""
    asked = spec(size=1080)
    width = side * min(size)
    one = face(middle[0] * size[0], middle[1] * size[1], width, width * long)
    choice = choose(size, [one], opening, asked)
    possible = [
        zoom
        for zoom in (n / 100 for n in range(60, 101, 4))
        if reach(size, _around(size, one, opening, zoom), opening, asked, one) * AIR < 0.99
    ]
    assume(possible)
    assert reach(size, choice, opening, asked, one) < SEEN + 0.02
    if max(possible) == 1:
        assert choice.zoom >= 1


def _around(size: tuple[int, int], one: Face, opening: Opening, zoom: float) -> Choice:
    """Return the square of a zoom whose circle has a face in its middle, as near as crop.py lets it."""
    side = min(size) / zoom
    x = one.x + one.width / 2 - (opening.center[0] / UNITS - 0.5) * side
    y = one.y + one.height / 2 - (opening.center[1] / UNITS - 0.5) * side
    return Choice("given", x / size[0], y / size[1], zoom)


@given(
    size=st.tuples(st.integers(100, 5000), st.integers(100, 5000)),
    middle=st.tuples(fractions, fractions),
    side=st.floats(0.02, 1),
    rotate=st.sampled_from((0.0, 90.0, 30.0)),
)
def test_flip_chooses_as_for_the_mirrored_photo(
    size: tuple[int, int], middle: tuple[float, float], side: float, rotate: float
) -> None:
    """Mirrored at last, an avatar is the one of the photo that was mirrored first."""
    angle = math.radians(rotate)
    width = size[0] * math.cos(angle) + size[1] * math.sin(angle)
    height = size[0] * math.sin(angle) + size[1] * math.cos(angle)
    one = face(middle[0] * width, middle[1] * height, side * min(size))
    other = one._replace(x=width - one.x - one.width)
    flipped = choose(size, [one], CORNER, spec(flip=True, rotate=rotate))
    plain = choose(size, [other], CORNER, spec(rotate=-rotate))
    assert flipped.zoom == pytest.approx(plain.zoom, abs=0.0011)
    assert flipped.x == pytest.approx(1 - plain.x, abs=0.0021)
    assert flipped.y == pytest.approx(plain.y, abs=0.0021)


@pytest.mark.parametrize("count", [5, 60, 100])
def test_a_crowd_takes_no_longer(count: int) -> None:
    """However many faces are scattered over a photo: the surest are looked at, in some milliseconds."""
    faces = [face(97 * n % 4000, 61 * n % 3000, 120) for n in range(count)]
    start = time.process_time()
    choice = choose((4000, 3000), faces, MIDDLE, spec(size=64))
    assert time.process_time() - start < 0.1
    assert choice.kind == "faces"
    assert choice == choose((4000, 3000), faces[:CROWD], MIDDLE, spec(size=64))
    larger = [*faces, face(2000, 1500, 400)]
    assert (choose((4000, 3000), larger, MIDDLE, spec(size=64)) == choice) is (count >= CROWD)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("rotate", [0, 45])
def test_a_photo_of_one_pixel_across(size: tuple[int, int], rotate: float) -> None:
    """It has a square like any other, with and without a face."""
    for faces in ([], [face(0.5, 0.5, 1, 3)], [face(0, 0, 9000)]):
        choice = choose(size, faces, MIDDLE, spec(rotate=rotate))
        assert all(map(math.isfinite, choice[1:]))


# -- one face ------------------------------------------------------------------


def test_a_face_comes_to_the_middle_of_every_frames_opening(frames: FrameLibrary) -> None:
    """With its hair; and it has six tenths of the opening."""
    one = face(2100, 1500, 200, 300)
    head_y = one.y + one.height * (1 + 0.10 - 0.35) / 2
    for frame in frames:
        choice = choose((4000, 3000), [one], frame.face, spec())
        x, y, radius = circle((4000, 3000), choice, frame.face, spec())
        assert choice.kind == "faces"
        assert (x, y) == pytest.approx((2100, head_y), abs=4)
        assert one.height == pytest.approx(SHARE * 2 * radius, rel=0.01)


def test_a_small_face_is_not_brought_nearer_than_the_photo_has_pixels() -> None:
    """At 1080 px the square keeps 720 of the photo's."""
    choice = choose((4000, 3000), [face(2100, 1500, 30)], MIDDLE, spec(size=1080))
    assert choice.zoom == round(3000 / 720, 3)
    assert choose((400, 300), [face(210, 150, 3)], MIDDLE, spec(size=1080)).zoom == 1
    assert choose((40_000, 30_000), [face(21_000, 15_000, 3)], MIDDLE, spec(size=64)).zoom == 8


def test_a_large_face_needs_a_square_larger_than_the_photo() -> None:
    """A selfie: brow to chin just fits, with a little air, and no larger than that."""
    one = face(500, 500, 500, 700)
    choice = choose((1000, 1000), [one], MIDDLE, spec())
    assert choice.kind == "faces"
    assert 0.8 < choice.zoom < 600 / 700
    assert 0.9 < reach((1000, 1000), choice, MIDDLE, spec(), one) <= 1 / AIR + 0.01


def test_a_face_larger_than_any_opening_gets_the_largest_square() -> None:
    """What is left of it is seen in its middle."""
    choice = choose((1000, 1000), [face(500, 500, 1000, 1300)], MIDDLE, spec())
    assert choice == Choice("faces", 0.5, 0.5, LEAST_ZOOM)


def test_a_face_at_the_top_of_a_tall_photo_gets_a_band_above_it() -> None:
    """The square is a little larger than the photo is wide, and reaches over its upper edge by so much."""
    size = (1000, 2000)
    one = face(500, 130, 200, 240)
    choice = choose(size, [one], MIDDLE, spec(size=1500))
    assert LEAST_ZOOM < choice.zoom < 1
    side = 1000 / choice.zoom
    assert choice.y * 2000 - side / 2 == pytest.approx(1000 - side, abs=2)
    assert reach(size, choice, MIDDLE, spec(), one) <= 1.01


def test_our_frames_keep_more_free_than_their_circle(frames: FrameLibrary) -> None:
    """So a large face may reach a little past it: what is then under the ribbon is no loss to the eye."""
    overlays = Overlays(frames)
    for frame in frames:
        alpha = np.asarray(overlays.get(AvatarSpec(frame=frame.id, size=500)).alpha) / 255
        y, x = (np.indices(alpha.shape) + 0.5) / 500 * UNITS
        distance = np.hypot(x - frame.face.center[0], y - frame.face.center[1])
        assert 1 - alpha[distance <= SEEN * frame.face.radius].mean() >= 0.994


def test_a_face_without_room_for_hair_is_enough() -> None:
    """It is whole in the largest square inside the photo, which then is not left."""
    one = face(500, 530, 420, 560)
    choice = choose((1000, 1000), [one], MIDDLE, spec())
    assert choice.zoom == 1
    assert reach((1000, 1000), choice, MIDDLE, spec(), one) <= SEEN


# -- several -------------------------------------------------------------------


def test_a_group_is_kept_together() -> None:
    """Two faces that fit: the middle between them is in the middle of the opening."""
    pair = [face(1500, 1500, 300), face(2300, 1500, 300)]
    choice = choose((4000, 3000), pair, MIDDLE, spec())
    x, _, _ = circle((4000, 3000), choice, MIDDLE, spec())
    assert x == pytest.approx(1900, abs=4)
    assert all(reach((4000, 3000), choice, MIDDLE, spec(), one) <= 1 for one in pair)
    assert choice.zoom > 1


def test_a_group_gets_a_larger_square_while_its_faces_are_large() -> None:
    """Two who need a square a little larger than the photo stay together; of two small ones one is left."""
    near = [face(700, 500, 250), face(1200, 500, 250)]
    choice = choose((2000, 1000), near, MIDDLE, spec(size=1500))
    assert LEAST_ZOOM < choice.zoom < 1
    assert all(reach((2000, 1000), choice, MIDDLE, spec(), one) <= 1.01 for one in near)
    small = [face(500, 500, 100, 120), face(1300, 500, 100)]
    assert choose((2000, 1000), small, MIDDLE, spec()) == choose((2000, 1000), small[:1], MIDDLE, spec())


def test_who_stands_apart_is_left_out() -> None:
    """The two who stand together are shown, also where one who does not is surer."""
    trio = [face(3800, 1500, 300, score=0.99), face(800, 1500, 300), face(1300, 1500, 300)]
    assert choose((4000, 3000), trio, MIDDLE, spec()) == choose((4000, 3000), trio[1:], MIDDLE, spec())


def test_of_two_far_apart_the_larger_stays_and_of_equals_the_surer() -> None:
    """That is the first, since the surest come first."""
    first, second = face(300, 700, 200), face(3700, 700, 220)
    alone = choose((4000, 1400), [second], MIDDLE, spec())
    assert choose((4000, 1400), [first, second], MIDDLE, spec()) == alone
    equal = second._replace(x=3600, width=200, height=200, y=600)
    assert choose((4000, 1400), [first, equal], MIDDLE, spec()) == choose(
        (4000, 1400), [first], MIDDLE, spec()
    )


def test_who_is_small_beside_another_does_not_count() -> None:
    """A passer-by, of less than a quarter of the area, moves nothing."""
    one, passer = face(1000, 1500, 400), face(3000, 1500, 190)
    assert choose((4000, 3000), [one, passer], MIDDLE, spec()) == choose((4000, 3000), [one], MIDDLE, spec())


@pytest.mark.parametrize(
    ("scores", "counted"),
    [((0.9, 0.65), 1), ((0.65, 0.64), 1), ((0.7, 0.7), 2), ((0.59, 0.5), 0), ((), 0)],
)
def test_how_sure_a_face_has_to_be(scores: Sequence[float], counted: int) -> None:
    """Those of 0.7 count; where there is none, the first alone, from 0.6 on."""
    faces = [face(1500 + 400 * n, 1300, 300, score=score) for n, score in enumerate(scores)]
    expected = [one._replace(score=0.9) for one in faces[:counted]]
    assert choose((4000, 3000), faces, MIDDLE, spec()) == choose((4000, 3000), expected, MIDDLE, spec())
    assert (choose((4000, 3000), faces, MIDDLE, spec()).kind == "faces") is bool(counted)


def test_a_box_without_an_area_is_no_face() -> None:
    """Nor does it keep another from counting."""
    one = face(1000, 1500, 400)
    for empty in (face(2000, 1500, 0), face(2000, 1500, 0, 40), face(2000, 1500, 40, 0)):
        assert choose((4000, 3000), [empty], MIDDLE, spec()).kind == "centre"
        assert choose((4000, 3000), [empty, one], MIDDLE, spec()) == choose(
            (4000, 3000), [one], MIDDLE, spec()
        )


# -- none ----------------------------------------------------------------------


def test_without_a_face_a_tall_photo_shows_where_heads_are() -> None:
    """Three tenths of its height come to the middle of the opening."""
    choice = choose((3000, 4000), [], CORNER, spec())
    assert choice == Choice("head", 0.5, 0.39, 1)
    assert circle((3000, 4000), choice, CORNER, spec())[1] == pytest.approx(1200, abs=2)


def test_without_a_face_a_wide_photo_shows_its_middle() -> None:
    """In the middle of the opening across, and of the square down."""
    choice = choose((4000, 3000), [], CORNER, spec())
    assert choice == Choice("centre", 0.575, 0.5, 1)
    assert circle((4000, 3000), choice, CORNER, spec())[0] == 2000
    assert choose((1000, 1100), [], CORNER, spec()) == Choice("centre", 0.5, 0.5, 1)


def test_which_way_is_tall_depends_on_how_it_is_turned() -> None:
    """A photo lying on its side is tall once it was turned, and the head is looked for at its new top."""
    asked = spec(rotate=90, zoom=2)
    choice = choose((4000, 3000), [], MIDDLE, asked)
    assert choice.kind == "head"
    place = turned_place((4000, 3000), 90, 1500, 1200)
    assert circle((4000, 3000), choice, MIDDLE, asked)[:2] == pytest.approx(place, abs=4)
    assert choose((3000, 4000), [], MIDDLE, spec(rotate=90)).kind == "centre"


# -- given ---------------------------------------------------------------------


def test_given_values_win_each_by_itself() -> None:
    """And the others are chosen for them."""
    size, one = (4000, 3000), face(1000, 1500, 300)
    assert choose(size, [one], MIDDLE, spec(x=0.1, y=0.2, zoom=1.5)) == Choice("given", 0.1, 0.2, 1.5)
    zoomed = choose(size, [one], MIDDLE, spec(zoom=2.5))
    assert zoomed.zoom == 2.5
    assert circle(size, zoomed, MIDDLE, spec())[:2] == pytest.approx((1000, 1500 - 37.5), abs=4)
    moved = choose(size, [one], MIDDLE, spec(x=0.27))
    assert moved.x == 0.27
    assert reach(size, moved, MIDDLE, spec(), one) <= 1
    low = choose(size, [one], MIDDLE, spec(y=0.5))
    assert low.y == 0.5
    assert reach(size, low, MIDDLE, spec(), one) <= 1


def test_a_centre_that_shows_no_face_is_not_enlarged_for_one() -> None:
    """Where the given x leaves every face outside, the square stays inside the photo."""
    assert choose((4000, 1000), [face(3800, 500, 200)], MIDDLE, spec(x=0.1)).zoom == 1


def test_zoomed_out_by_hand_the_face_is_still_sought() -> None:
    """With a given zoom below 1 the place is chosen all the same."""
    one = face(300, 500, 200)
    choice = choose((1000, 1000), [one], CORNER, spec(zoom=0.5))
    assert choice.kind == "faces"
    assert circle((1000, 1000), choice, CORNER, spec())[0] < 500


# -- turned --------------------------------------------------------------------


@pytest.mark.parametrize("rotate", [90, -90, 180])
def test_turned_by_quarters_it_is_the_turned_photos_square(rotate: int) -> None:
    """The same part is seen as of a photo that was turned before."""
    size, one = (4000, 3000), face(1100, 700, 300)
    turned = size if rotate == 180 else size[::-1]
    plain = choose(turned, [one], CORNER, spec())
    choice = choose(size, [one], CORNER, spec(rotate=rotate))
    assert choice.zoom == plain.zoom
    place = turned_place(size, rotate, plain.x * turned[0], plain.y * turned[1])
    assert (choice.x * size[0], choice.y * size[1]) == pytest.approx(place, abs=4)


@pytest.mark.parametrize("rotate", [-170, -33, 12, 45, 100])
@pytest.mark.parametrize("flip", [False, True])
def test_turned_by_any_angle_the_face_is_in_the_opening(rotate: float, flip: bool) -> None:  # noqa: FBT001
    """Its middle is in the middle, as crop.py will cut it."""
    size, asked = (4000, 3000), spec(rotate=rotate, flip=flip)
    one = face(2600, 2500, 240)
    choice = choose(size, [one], CORNER, asked)
    x, y, radius = circle(size, choice, CORNER, asked)
    head_y = one.y + one.height * (1 + 0.10 - 0.35) / 2
    assert (x, y) == pytest.approx(turned_place(size, rotate, 2600, head_y), abs=5)
    assert one.height == pytest.approx(SHARE * 2 * radius, rel=0.01)
