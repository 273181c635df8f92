from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.render.crop import crop, frame_square, scale_needed
from app.render.decode import Photo
from app.spec import AvatarSpec
from tests import photos

if TYPE_CHECKING:
    from numpy.typing import NDArray


def whole(image: Image.Image, orientation: int = 1) -> Photo:
    """Wrap a picture as a photo decoded at full scale."""
    return Photo(image, image.width, image.height, orientation, None)


def pixels(image: Image.Image) -> NDArray[np.int64]:
    """Return a picture's values, wide enough to subtract."""
    return np.asarray(image).astype(np.int64)


NUMBERED = photos.detailed((40, 24))


def test_the_largest_square_is_taken_from_the_middle() -> None:
    """Without a wish, the crop is centred and touches two sides; at its own size no pixel changes."""
    square = crop(whole(NUMBERED), AvatarSpec.model_construct(size=24))
    assert square.tobytes() == NUMBERED.crop((8, 0, 32, 24)).tobytes()


@pytest.mark.parametrize(
    ("x", "left"), [(0, 0), (0.05, 0), (0.3, 0), (0.35, 2), (0.5, 8), (0.7, 16), (1, 16)]
)
def test_a_centre_too_near_an_edge_is_moved_in(x: float, left: int) -> None:
    """Outside, touching and inside: the crop never leaves the photo."""
    square = crop(whole(NUMBERED), AvatarSpec.model_construct(size=24, x=x))
    assert square.tobytes() == NUMBERED.crop((left, 0, left + 24, 24)).tobytes()


@pytest.mark.parametrize(
    ("x", "y", "corner"), [(0, 0, (0, 0)), (1, 0, (28, 0)), (0, 1, (0, 12)), (1, 1, (28, 12))]
)
def test_zoomed_into_a_corner(x: float, y: float, corner: tuple[int, int]) -> None:
    """At zoom 2 every corner of the photo can be reached, and its last pixel is shown."""
    square = crop(whole(NUMBERED), AvatarSpec.model_construct(size=12, x=x, y=y, zoom=2))
    left, top = corner
    assert square.tobytes() == NUMBERED.crop((left, top, left + 12, top + 12)).tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("degrees", [-180, -90, 0, 90, 180])
def test_quarter_turns_move_pixels_and_change_none(degrees: int, orientation: int) -> None:
    """A quarter turn, of any orientation, gives the transposed pixels exactly."""
    square = NUMBERED.crop((16, 0, 40, 24))
    photo = whole(photos.stored(NUMBERED, orientation), orientation)
    turned = crop(photo, AvatarSpec.model_construct(size=24, x=1, rotate=degrees))
    assert turned.tobytes() == square.rotate(-degrees).tobytes()


def test_a_turn_is_clockwise() -> None:
    """Turned by 30 degrees clockwise, what was at the top is at the right of the top."""
    image = Image.new("RGB", (101, 101))
    image.paste("white", (48, 15, 53, 20))
    turned = pixels(crop(whole(image), AvatarSpec.model_construct(size=101, rotate=30)).convert("L"))
    y, x = (float((turned * grid).sum() / turned.sum()) for grid in np.mgrid[:101, :101])
    zoomed = 33 * (abs(math.cos(math.pi / 6)) + abs(math.sin(math.pi / 6)))
    assert (x, y) == pytest.approx((50 + zoomed * 0.5, 50 - zoomed * math.cos(math.pi / 6)), abs=0.7)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_slanted_turn_is_the_same_under_every_orientation(orientation: int) -> None:
    """How a photo is stored cannot be seen in a crop that is turned by any angle."""
    image = photos.detailed((90, 60)).resize((360, 240), Image.Resampling.BICUBIC)
    spec = AvatarSpec.model_construct(size=100, rotate=17, x=0.6, y=0.4, zoom=1.3)
    expected = pixels(crop(whole(image), spec))
    found = pixels(crop(whole(photos.stored(image, orientation), orientation), spec))
    assert np.abs(found - expected).max() <= 3


@pytest.mark.parametrize("degrees", [-135, -45, 0.5, 10, 45, 89.9, 170])
def test_no_turn_shows_what_is_outside_the_photo(degrees: float) -> None:
    """A white photo stays white to the last corner, at any angle and in any corner of the photo."""
    for x, y in ((0, 0), (1, 1), (0.5, 0.5)):
        spec = AvatarSpec.model_construct(size=97, rotate=degrees, x=x, y=y)
        assert pixels(crop(whole(Image.new("L", (300, 200), 255)), spec)).min() == 255


def test_a_slanted_turn_agrees_with_the_documented_arithmetic() -> None:
    """Each pixel is the photo's own at the place that the module's formulas name."""
    y, x = np.mgrid[:400, :600] + 0.5
    ramps = Image.fromarray(np.rint(np.stack([x * 255 / 600, y * 255 / 400, 0 * x], axis=2)).astype(np.uint8))
    spec = AvatarSpec.model_construct(size=64, rotate=-33, x=0.55, y=0.45, zoom=1.5)
    f = frame_square(600, 400, spec)
    v, u = (np.mgrid[:64, :64] + 0.5) / 64 - 0.5
    expected_x = f.cx + f.side * (u * f.cos + v * f.sin)
    expected_y = f.cy + f.side * (-u * f.sin + v * f.cos)
    found = pixels(crop(whole(ramps), spec))
    for channel, expected in enumerate((expected_x * 255 / 600, expected_y * 255 / 400)):
        difference = found[..., channel] - expected
        assert difference.mean() == pytest.approx(
            -0.5, abs=0.1
        )  # Pillow cuts fractions off instead of rounding
        assert np.abs(difference).max() < 2


@given(
    width=st.integers(16, 20_000),
    height=st.integers(16, 20_000),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    zoom=st.floats(1, 8),
    rotate=st.floats(-180, 180),
)
def test_the_square_never_leaves_the_photo(  # noqa: PLR0917 - hypothesis passes them by name
    width: int, height: int, x: float, y: float, zoom: float, rotate: float
) -> None:
    """Whatever is asked for, all four corners of the turned square lie in the photo."""
    spec = AvatarSpec.model_construct(x=x, y=y, zoom=zoom, rotate=rotate)
    f = frame_square(width, height, spec)
    for u, v in ((-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)):
        assert -1e-6 <= f.cx + f.side * (u * f.cos + v * f.sin) <= width + 1e-6
        assert -1e-6 <= f.cy + f.side * (-u * f.sin + v * f.cos) <= height + 1e-6


@given(
    width=st.integers(16, 20_000),
    height=st.integers(16, 20_000),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    zoom=st.floats(0.5, 1),
    rotate=st.floats(-180, 180),
)
def test_the_square_reaches_as_far_over_any_edge_as_it_is_larger(  # noqa: PLR0917 - hypothesis passes by name
    width: int, height: int, x: float, y: float, zoom: float, rotate: float
) -> None:
    """Than the largest inside: so the photo's shorter side lies in it, and the longer one may leave it."""
    f = frame_square(width, height, AvatarSpec.model_construct(x=x, y=y, zoom=zoom, rotate=rotate))
    reach = f.side * f.spread / 2
    larger = 2 * reach - min(width, height)
    for centre, length in ((f.cx, width), (f.cy, height)):
        assert reach - centre <= larger + 1e-6
        assert centre + reach - length <= larger + 1e-6
    assert f.side * f.spread == pytest.approx(min(width, height) / zoom)


@pytest.mark.parametrize(
    ("x", "y", "corner"),
    [(0, 0, (24, 24)), (1, 0, (0, 24)), (0, 1, (24, 0)), (1, 1, (0, 0)), (0.5, 0.5, (12, 12))],
)
def test_zoomed_out_the_whole_photo_is_in_the_square(x: float, y: float, corner: tuple[int, int]) -> None:
    """At zoom 1/2 a photo takes a quarter of the square, where it is asked to be, pixel on pixel."""
    image = photos.detailed((24, 24))
    square = crop(whole(image), AvatarSpec.model_construct(size=48, x=x, y=y, zoom=0.5))
    left, top = corner
    assert square.crop((left, top, left + 24, top + 24)).tobytes() == image.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("rotate", [0, -90, 17])
def test_zoomed_out_it_is_the_same_under_every_orientation(orientation: int, rotate: float) -> None:
    """How a photo is stored cannot be seen in what lies around it either."""
    image = photos.detailed((90, 60)).resize((360, 240), Image.Resampling.BICUBIC)
    spec = AvatarSpec.model_construct(size=200, rotate=rotate, x=0.43, y=0.31, zoom=0.6)
    difference = pixels(crop(whole(photos.stored(image, orientation), orientation), spec)) - pixels(
        crop(whole(image), spec)
    )
    assert np.abs(difference).mean() < 1.5  # an edge may come to lie half a pixel elsewhere


def test_zoomed_out_and_turned_there_are_no_corners() -> None:
    """Around a white photo all is white, at any angle: nothing of the square stays empty."""
    for degrees in (-135, 0.5, 20, 45, 90):
        spec = AvatarSpec.model_construct(size=97, rotate=degrees, x=0, y=1, zoom=0.5)
        assert pixels(crop(whole(Image.new("L", (300, 200), 255)), spec)).min() == 255


def test_zoomed_out_a_margin_changes_nothing_to_be_seen() -> None:
    """What a frame hides is left out around the photo too; the photo lies where it would have lain."""
    photo = whole(photos.detailed((333, 250)))
    for zoom, x in ((0.6, 0.3), (0.95, 0)):
        spec = AvatarSpec.model_construct(size=100, x=x, y=0.6, zoom=zoom)
        difference = pixels(crop(photo, spec, margin=13)) - pixels(crop(photo, spec).crop((13, 13, 87, 87)))
        assert np.abs(difference).mean() < 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("rotate", "tolerance"), [(0, 0), (90, 0), (-90, 0), (180, 0), (33, 3)])
def test_flip_mirrors_what_would_be_seen(orientation: int, rotate: float, tolerance: int) -> None:
    """The same part of the photo, turned the same way; then left is right."""
    photo = whole(photos.detailed((333, 250)), orientation)
    for zoom in (0.6, 1.3):
        spec = AvatarSpec.model_construct(size=100, x=0.2, y=0.7, zoom=zoom, rotate=rotate)
        plain = pixels(crop(photo, spec))
        mirrored = pixels(crop(photo, spec.model_copy(update={"flip": True})))
        assert np.abs(mirrored[:, ::-1] - plain).max() <= tolerance
        assert np.abs(mirrored - plain).mean() > 10


@pytest.mark.parametrize("degrees", [0, 45, 90, 30])
def test_zoom_1_is_the_largest_square_that_fits(degrees: float) -> None:
    """At zoom 1 the bounding box of the turned square touches two opposite sides."""
    f = frame_square(500, 300, AvatarSpec.model_construct(rotate=degrees))
    assert f.side * f.spread == pytest.approx(300)


def test_the_scale_needed_counts_zoom_and_turn() -> None:
    """Half of the photo's width on the avatar needs twice the scale; a slant needs more."""
    assert scale_needed((4000, 3000), AvatarSpec(frame="red-ribbons", size=300)) == pytest.approx(0.1)
    assert scale_needed((4000, 3000), AvatarSpec(frame="red-ribbons", size=300, zoom=2)) == pytest.approx(0.2)
    assert scale_needed((4000, 3000), AvatarSpec(frame="red-ribbons", size=300, rotate=45)) == pytest.approx(
        0.1 * math.sqrt(2)
    )


def test_zoomed_out_the_scale_needed_is_that_of_the_whole() -> None:
    """So a photo is decoded at one scale, whether its square stays inside or is found to be larger."""
    assert scale_needed((4000, 3000), AvatarSpec(frame="red-ribbons", size=300, zoom=0.6)) == pytest.approx(
        0.1
    )


def test_a_panorama_gives_its_full_height() -> None:
    """A picture of 20,000 x 16 is cropped to 16 x 16 and enlarged."""
    panorama = Image.linear_gradient("L").resize((20_000, 16))
    assert crop(whole(panorama), AvatarSpec.model_construct(size=64, x=1)).size == (64, 64)


def test_a_small_photo_is_enlarged_without_rings_or_steps() -> None:
    """An enlarged edge rises once: it overshoots by less than an eighth and shows no stairs."""
    edge = Image.new("L", (32, 32))
    edge.paste(200, (16, 0, 32, 32))
    row = pixels(crop(whole(edge), AvatarSpec.model_construct(size=512)))[256]
    assert row.max() <= 200 * 1.125
    assert len(np.unique(row)) > 20


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK"])
def test_it_keeps_the_photos_own_colours(mode: str) -> None:
    """Colours are converted later, on fewer pixels."""
    photo = whole(Image.new(mode, (40, 40), 77 if mode == "L" else tuple((77, 60, 33, 200)[: len(mode)])))
    for rotate in (0, 33):
        square = crop(photo, AvatarSpec.model_construct(size=20, rotate=rotate))
        assert square.mode == mode
        difference = pixels(square) - pixels(photo.image)[:20, :20]
        assert np.abs(difference).max() <= 2  # transparency is multiplied in and out


def test_fine_patterns_do_not_turn_into_coarse_ones() -> None:
    """A zone plate shrunk by 3.7 becomes even grey where its rings are too fine, not moire."""
    y, x = np.mgrid[:1110, :1110]
    plate = Image.fromarray((127.5 + 127 * np.cos(np.pi * (x * x + y * y) / 2220)).astype(np.uint8))
    shrunk = pixels(crop(whole(plate), AvatarSpec.model_construct(size=300)))
    assert shrunk[200:, 200:].std() < 12


def test_decoded_at_a_quarter_the_same_place_is_shown() -> None:
    """A photo whose decoder has shrunk it is cropped in full-scale units all the same."""
    image = photos.detailed((50, 40)).resize((803, 601), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=100, subsampling=0)
    with Image.open(buffer) as file:
        file.draft(None, (201, 151))
        file.load()
        shrunk = Photo(file, 803, 601, 1, None)
    spec = AvatarSpec.model_construct(size=70, x=0.9, y=0.2, zoom=1.8)
    difference = pixels(crop(shrunk, spec)) - pixels(crop(whole(image), spec))
    assert np.sqrt((difference**2).mean()) < 2


@pytest.mark.parametrize("rotate", [0, 90])
@pytest.mark.parametrize("orientation", [1, 7])
def test_a_margin_leaves_out_pixels_and_changes_none(orientation: int, rotate: float) -> None:
    """What a frame hides is cut off; every pixel inside is the one that it would have been."""
    photo = whole(photos.detailed((333, 250)), orientation)
    spec = AvatarSpec.model_construct(size=100, x=0.3, y=0.6, zoom=1.2, rotate=rotate)
    expected = crop(photo, spec).crop((13, 13, 87, 87))
    assert np.abs(pixels(crop(photo, spec, margin=13)) - pixels(expected)).max() <= 1


@pytest.mark.parametrize(("zoom", "rotate", "tolerance"), [(1, 0, 4), (1.3, 90, 2), (1, 30, 2), (8, 0, 2)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_pictures_resized_in_bands_have_no_seams(
    orientation: int, zoom: float, rotate: float, tolerance: int
) -> None:
    """What is transparent or of 16 bits is cut as what is neither, whatever the reduction (6.6 to 0.8)."""
    image = photos.detailed((660, 661))
    spec = AvatarSpec.model_construct(size=100, x=0.3, y=0.6, zoom=zoom, rotate=rotate)
    expected = pixels(crop(whole(image, orientation), spec))
    opaque = image.copy()
    opaque.putalpha(255)
    found = pixels(crop(whole(opaque, orientation), spec))
    inside = found[..., 3] == 255  # turned, FINE fades the outermost pixels
    assert inside.mean() > 0.95
    assert np.abs(found[..., :3] - expected)[inside].max() <= tolerance
    deep = Image.fromarray(np.asarray(image.getchannel("R")).astype(np.uint16) * 256)
    assert np.abs(pixels(crop(whole(deep, orientation), spec)) - expected[..., 0]).max() <= tolerance


def test_what_is_hidden_by_transparency_does_not_bleed() -> None:
    """The colour of a transparent pixel has no part in its neighbours' colours."""
    image = Image.new("RGBA", (300, 300), (255, 0, 0, 0))
    image.paste((0, 0, 200, 255), (0, 0, 300, 151))
    found = pixels(crop(whole(image), AvatarSpec.model_construct(size=100)))
    seen = found[found[..., 3] > 8]
    assert seen[:, 0].max() <= 2
