"""PNGs that lack their end, begin with another frame, or have one transparent colour."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from app.errors import PhotoDamaged, PhotoTooManyPixels
from app.render.decode import decode, identify
from app.render.formats.png import read_png, rows_alone
from app.render.limits import Limits
from tests import odd_photos, photos
from tests.odd_photos import DETAILED, ENDLESS_PNGS, PNG_END, TRANSPARENT, packed, rgb_png
from tests.render.conftest import on_white

LIMITS = Limits()


def is_damaged(photo: bytes) -> bool:
    """Tell whether a photo is called damaged."""
    try:
        decode(identify(photo, LIMITS), 1, LIMITS)
    except PhotoDamaged:
        return True
    return False


@pytest.mark.parametrize("name", ENDLESS_PNGS)
def test_a_png_whose_rows_have_all_come_is_whole(name: str) -> None:
    """Every pixel is there, whatever became of the file's end."""
    assert (on_white(ENDLESS_PNGS[name]) == np.asarray(DETAILED)).all()


@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_that_lacks_a_row_is_damaged(interlaced: bool) -> None:  # noqa: FBT001 - a parameter
    """The last bytes that hold pixels are wanted, and so is all before them."""
    data = odd_photos.interlaced(DETAILED) if interlaced else packed(DETAILED)
    for cut in (30, 100, 1_000, len(data) // 2):
        photo = rgb_png(DETAILED.size, data[:-cut], adam7=interlaced)
        assert is_damaged(photo)
        assert is_damaged(photo[:-4])
        assert is_damaged(photo + PNG_END)
        assert is_damaged(photo + bytes(100))


def test_a_png_is_cut_at_any_byte() -> None:
    """From some byte on it is whole and every pixel right; before it is damaged: there is nothing between."""
    photo = rgb_png(DETAILED.size, packed(DETAILED)) + PNG_END
    whole = []
    for end in range(len(photo) - 60, len(photo)):
        if not is_damaged(photo[:end]):
            assert (on_white(photo[:end]) == np.asarray(DETAILED)).all()
            whole.append(end)
    assert whole == list(range(whole[0], len(photo)))
    assert len(photo) - whole[0] >= 20


def test_a_filter_that_there_is_not_is_no_row() -> None:
    """A row that its decoder refuses has not come, though its bytes have."""
    rows = bytearray(zlib.decompress(packed(DETAILED)))
    rows[289 * 40] = 9
    assert is_damaged(rgb_png(DETAILED.size, zlib.compress(rows)[:-4]))


def test_rows_are_told_from_what_is_behind_them() -> None:
    """More than a picture needs is no harm, and is not unpacked."""
    rows = zlib.decompress(packed(DETAILED))
    container = read_png(rgb_png(DETAILED.size, zlib.compress(rows + bytes(50_000_000))))
    alone = rows_alone(container.data)
    assert alone is not None
    assert (on_white(alone) == np.asarray(DETAILED)).all()
    short = read_png(rgb_png(DETAILED.size, zlib.compress(rows[:-1])))
    assert rows_alone(short.data) is None


def test_a_stream_that_ends_too_early_does_not_go_on_for_ever() -> None:
    """Of more than one piece, with a wrong checksum: what is behind its end is eaten by nobody."""
    size = (700, 700)
    rows = zlib.compress(bytes((3 * size[0] + 1) * (size[1] - 1)))
    photo = rgb_png(size, rows[:-4] + b"abcd") + PNG_END
    assert rows_alone(read_png(photo).data) is None
    assert is_damaged(photo)


@pytest.mark.parametrize("name", [name for name in odd_photos.FIRST_FRAMES if name.startswith("APNG")])
def test_an_animation_shows_its_first_frame(name: str) -> None:
    """Where the default image is none of its frames, what people see of it never is the default image."""
    photo, seen = odd_photos.FIRST_FRAMES[name]
    assert (on_white(photo) == np.asarray(seen)).all()


@pytest.mark.parametrize(
    "frames",
    [
        [odd_photos.fctl(0, odd_photos.SCREEN)],
        [odd_photos.fctl(0, odd_photos.SCREEN, (1, 0)), odd_photos.fdat(1, packed(odd_photos.FULL_FRAME))],
        [odd_photos.fctl(0, (0, 60)), odd_photos.fdat(1, packed(odd_photos.FULL_FRAME))],
        [odd_photos.fdat(0, packed(odd_photos.FULL_FRAME))],
    ],
    ids=["no data", "over the edge", "no width", "nothing said"],
)
def test_where_the_first_frame_cannot_be_shown_the_default_image_is(frames: list[bytes]) -> None:
    """A broken animation is still a picture."""
    assert (on_white(odd_photos.apng(*frames)) == np.asarray(odd_photos.DEFAULT_IMAGE)).all()


def test_a_first_frame_that_is_cut_is_damaged() -> None:
    """What lies behind it may be missing, its own rows not."""
    first = odd_photos.fctl(0, odd_photos.SCREEN), odd_photos.fdat(1, packed(odd_photos.FULL_FRAME))
    photo = odd_photos.apng(*first)
    assert is_damaged(photo[:-40])
    more = odd_photos.fctl(2, odd_photos.SCREEN), odd_photos.fdat(3, packed(odd_photos.FULL_FRAME))
    cut = odd_photos.apng(*first, *more, announced=2)[:-40]
    assert (on_white(cut) == np.asarray(odd_photos.FULL_FRAME)).all()


@pytest.mark.parametrize("name", TRANSPARENT)
def test_exactly_one_colour_is_transparent(name: str) -> None:
    """A key hides what is equal to it in every bit, and nothing else."""
    photo, seen = TRANSPARENT[name]
    assert np.abs(on_white(photo).astype(int) - np.asarray(seen)).max() <= 1


def test_a_picture_that_is_decoded_twice_may_have_half_the_pixels() -> None:
    """A key of 16 bits in three channels costs twice the time: no more of it than of any other picture."""
    rows = bytes(65 * 64 * 6)
    key = photos.png_chunk(b"tRNS", bytes(6))
    tight = Limits(max_decoded_pixels=64 * 64)
    assert identify(photos.png(64, 64, 2, 16, rows), tight).key is None
    with pytest.raises(PhotoTooManyPixels):
        identify(photos.png(64, 64, 2, 16, rows, key), tight)
    assert identify(photos.png(64, 64, 2, 16, rows, key), Limits(max_decoded_pixels=2 * 64 * 64)).key


@pytest.mark.parametrize("chunk", [b"", photos.png_chunk(b"PLTE", b"abcd"), photos.png_chunk(b"PLTE", b"")])
def test_a_palette_picture_without_a_palette_is_damaged(chunk: bytes) -> None:
    """No browser shows it either."""
    assert is_damaged(photos.png(64, 64, 3, 8, bytes(65 * 64), chunk))
