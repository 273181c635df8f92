"""JPEGs that lack their end, and segments that are too short."""

from __future__ import annotations

import struct
import time

import numpy as np
import pytest
from PIL import Image

from app.errors import PhotoDamaged
from app.render.decode import Photo, decode, identify
from app.render.limits import Limits
from tests import photos
from tests.odd_photos import TRAILERS

LIMITS = Limits()
SCALES = (1, 1 / 2, 1 / 4, 1 / 8)
PICTURE = photos.detailed((160, 104))
KINDS: dict[str, bytes] = {}
for progressive in (False, True):
    way = "progressive" if progressive else "baseline"
    for subsampling, named in enumerate(("4:4:4", "4:2:2", "4:2:0")):
        KINDS[f"{way} {named}"] = photos.save(
            PICTURE, "JPEG", quality=90, subsampling=subsampling, progressive=progressive
        )
    KINDS |= {
        f"{way} with an interval a row": photos.save(
            PICTURE, "JPEG", quality=90, progressive=progressive, restart_marker_rows=1
        ),
        f"{way} with an interval of 3": photos.save(
            PICTURE, "JPEG", quality=90, progressive=progressive, restart_marker_blocks=3
        ),
        f"{way} grey": photos.save(PICTURE.convert("L"), "JPEG", progressive=progressive),
        f"{way} CMYK": photos.save(PICTURE.convert("CMYK"), "JPEG", progressive=progressive),
        f"{way} of one colour": photos.save(
            Image.new("RGB", PICTURE.size, (200, 30, 30)), "JPEG", progressive=progressive, optimize=True
        ),
        f"{way} of one row": photos.save(PICTURE.resize((160, 16)), "JPEG", progressive=progressive),
    }


def read(photo: bytes, enough: float = 1) -> Photo:
    """Identify and decode."""
    return decode(identify(photo, LIMITS), enough, LIMITS)


def is_damaged(photo: bytes, enough: float) -> bool:
    """Tell whether a photo is called damaged at a scale."""
    try:
        read(photo, enough)
    except PhotoDamaged:
        return True
    return False


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_without_its_last_marker_is_whole(kind: str, trailer: str) -> None:
    """Every pixel is the complete file's, at every scale, whatever stands in place of the marker."""
    photo = KINDS[kind]
    assert photo.endswith(b"\xff\xd9")
    for scale in SCALES:
        found = read(photo[:-2] + TRAILERS[trailer], scale).image
        expected = read(photo, found.width / PICTURE.width).image
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_jpeg_lacks_does_not_depend_on_the_scale(kind: str) -> None:
    """A cut photo is damaged for every avatar, or for none."""
    photo = KINDS[kind]
    for cut in (3, 4, 10, 60, 300, len(photo) // 3, len(photo) // 2):
        assert len({is_damaged(photo[:-cut], scale) for scale in SCALES}) == 1, cut


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "one row" not in kind])
def test_a_jpeg_cut_in_the_middle_is_damaged(kind: str) -> None:
    """More than the last row of MCUs is missing, of a progressive one in whichever scan."""
    photo = KINDS[kind]
    scan = photo.index(b"\xff\xda")
    for share in (0.1, 0.3, 0.5, 0.7):
        cut = photo[: scan + int((len(photo) - scan) * share)]
        assert is_damaged(cut, 1)
        assert is_damaged(cut + TRAILERS["a second picture"], 1)


@pytest.mark.parametrize("way", ["baseline", "progressive"])
@pytest.mark.parametrize("named", ["4:4:4", "4:2:0", "with an interval a row"])
def test_the_last_row_of_mcus_may_lack_data(way: str, named: str) -> None:
    """Where a few bytes of the picture are gone with the marker, all rows above are as they were."""
    photo = KINDS[f"{way} {named}"]
    found, expected = (np.asarray(read(p).image) for p in (photo[:-12], photo))
    assert found.shape == expected.shape
    mcu = 8 if named == "4:4:4" else 16
    # A row of pixels above is mixed with the colours of the row below it.
    above = (PICTURE.height - 1) // mcu * mcu - 1
    assert (found[:above] == expected[:above]).all()


def test_each_row_of_mcus_counts() -> None:
    """With one marker before each row: cut in the last row is whole, cut before it is damaged."""
    photo = KINDS["baseline with an interval a row"]
    markers = [at for at in range(len(photo) - 1) if photo[at] == 0xFF and 0xD0 <= photo[at + 1] <= 0xD7]
    last, before = markers[-1], markers[-2]
    for cut in (last + 2, last + 1, last + 12):
        assert not is_damaged(photo[:cut], 1)
    for cut in (before + 2, before, last - 12):
        assert is_damaged(photo[:cut], 1)


def test_a_scan_that_is_missing_on_the_way_costs_only_detail() -> None:
    """Where the last marker is there, the file is read as it stands, as browsers do."""
    photo = KINDS["progressive 4:2:0"]
    tables = [at for at in range(len(photo) - 1) if photo[at : at + 2] == b"\xff\xc4"]
    without = photo[: tables[-2]] + photo[tables[-1] :]
    assert np.abs(np.asarray(read(without).image).astype(int) - np.asarray(read(photo).image)).mean() < 8
    assert is_damaged(without[:-2], 1)


def test_a_cut_jpeg_is_refused_about_as_fast_as_it_is_read() -> None:
    """Looking for what is missing costs no more than twice what the whole photo would."""
    photo = photos.save(PICTURE.resize((3200, 2400)), "JPEG", quality=90, progressive=True)

    def seconds(data: bytes) -> float:
        start = time.process_time()
        is_damaged(data, 1)
        return time.process_time() - start

    whole = min(seconds(photo) for _ in range(3))
    assert min(seconds(photo[: int(len(photo) * 0.99)]) for _ in range(3)) < 3 * whole
    assert min(seconds(photo[: len(photo) // 2]) for _ in range(3)) < whole


# -- segments that are too short -------------------------------------------


@pytest.mark.parametrize("marker", [0xE0, 0xEE], ids=["JFIF", "Adobe"])
@pytest.mark.parametrize("length", range(5, 13))
def test_a_segment_that_is_too_short_says_nothing(marker: int, length: int) -> None:
    """A decoder does not look at it either: what follows is read, and colours are the photo's."""
    plain = photos.READABLE["baseline JPEG"]
    body = {0xE0: b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0", 0xEE: b"Adobe\0\x64\0\0\0\0\0"}[marker]
    at = plain.index(b"\xff\xdb")
    short = photos.jpeg_segment(marker, body[: min(length, len(body) - 1)])
    assert read(plain[:at] + short + plain[at:]).image.tobytes() == read(plain).image.tobytes()
    (bare,) = struct.unpack_from(">H", plain, 4)
    without = plain[:2] + short + plain[4 + bare :]
    assert read(without).image.tobytes() == read(plain).image.tobytes()
