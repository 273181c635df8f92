"""PQ and HLG, against the arithmetic of the standards, written out here once more."""

from __future__ import annotations

import colorsys
import io
import struct
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from app.render.avatar import make_avatar
from app.render.colour import to_srgb
from app.render.colourspace import ColourSpace
from app.render.tone import HighRange
from app.spec import AvatarSpec
from tests import photos

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from app.render.overlay import Overlays

PQ, HLG = 16, 18
TRANSFERS = pytest.mark.parametrize("transfer", [PQ, HLG], ids=["PQ", "HLG"])
TO_SRGB = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
"""From BT.2020 to BT.709 (ITU-R BT.2087)."""


def _space(transfer: int, primaries: int = 9) -> ColourSpace:
    space = ColourSpace.from_cicp(primaries, transfer)
    assert space is not None
    return space


def _coded(light: NDArray[np.float64], transfer: int, to_2020: Any = None) -> NDArray[np.float64]:
    """Return 8-bit values of display light (..., 3), 1 for 203 cd/m2: ST 2084, or BT.2100 at 1000 cd/m2."""
    if transfer == PQ:
        power = (np.maximum(light, 0) * 203 / 10_000) ** 0.1593017578125
        signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    else:
        shown = np.maximum(light, 0) * 203 / 1000
        luminance = (shown if to_2020 is None else shown @ to_2020.T) @ [0.2627, 0.6780, 0.0593]
        scene = shown / np.maximum(luminance, 1e-9)[..., None] ** (0.2 / 1.2)
        upper = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        signal = np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper)
    return np.asarray((np.clip(signal, 0, 1) * 255).round())


def _greys(light: Any, transfer: int) -> NDArray[np.float64]:
    return _coded(np.repeat(np.asarray(light)[None, :, None], 3, axis=2), transfer)


def _light(signal: NDArray[np.float64], transfer: int) -> NDArray[np.float64]:
    """Return display light of BT.2020 signals (..., 3), 1 for 203 cd/m2."""
    if transfer == PQ:
        power = signal ** (1 / 78.84375)
        return np.asarray(
            10_000
            / 203
            * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
        )
    scene = np.where(
        signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
    )
    luminance = scene @ [0.2627, 0.6780, 0.0593]
    return np.asarray(1000 / 203 * scene * luminance[..., None] ** 0.2)


def _expected(light: NDArray[np.float64], peak: float) -> NDArray[np.float64]:
    """Return sRGB values of BT.2020 light by the formulas in the docstring of app.render.tone."""
    top = peak / 203
    exposure = 1 - min(np.log2(top), 1) / 3
    largest = np.maximum(light.max(-1, keepdims=True), 1e-9)
    light = light * np.minimum(exposure / (1 + (exposure - 1 / top) * largest), 1 / largest)
    light = np.maximum(light @ TO_SRGB.T, 0)
    grey, largest = (light @ [0.2126, 0.7152, 0.0722])[..., None], light.max(-1, keepdims=True)
    paler = grey + (light - grey) * np.minimum((1 - grey) / np.maximum(largest - grey, 1e-9), 1)
    light = np.clip((paler + light / np.maximum(largest, 1)) / 2, 0, 1)
    return np.asarray(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


def _converted(values: NDArray[Any], colours: HighRange) -> NDArray[np.float64]:
    picture = Image.fromarray(np.ascontiguousarray(values.astype(np.uint8)))
    return np.asarray(to_srgb(picture, colours.profile())).astype(float)


def _ramp() -> NDArray[np.uint8]:
    return np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)


# -- greys -----------------------------------------------------------------


@TRANSFERS
@pytest.mark.parametrize("peak", [203.0, 300.0, 1000.0])
def test_greys_follow_the_formula(transfer: int, peak: float) -> None:
    """Greys stay grey, rise without a step back from black to white, and are what the standards say."""
    found = _converted(_ramp(), HighRange(_space(transfer), peak))[0]
    expected = _expected(_light(_ramp() / 255, transfer), peak)[0]
    assert np.ptp(found, axis=-1).max() <= 1
    assert np.diff(found[:, 1]).min() >= 0
    assert np.diff(found[:, 1]).max() <= 4  # larger steps would be seen as bands
    assert (found[0] == 0).all()
    assert (found[-1] == 255).all()
    # A table cannot follow the corner at the peak: it rounds it off.
    assert np.abs(found - expected).max() <= (1.5 if peak == 1000 else 8)


@TRANSFERS
def test_places_of_the_grey_scale(transfer: int) -> None:
    """With light up to 1000 cd/m2, black, 18 % grey, paper white and the peak are where it is written."""
    values = _greys([0, 0.18, 1, 1000 / 203], transfer)
    found = _converted(values, HighRange(_space(transfer), 1000))[0, :, 1]
    assert found == pytest.approx([0, 93, 180, 255], abs=2)  # of which 1.5 are the rounding of signals


@TRANSFERS
def test_a_picture_of_an_ordinary_range_is_shown_as_it_is(transfer: int) -> None:
    """Without light above paper white nothing is compressed: middle grey is sRGB's, white is white."""
    srgb = np.arange(0, 256, 5)
    light = np.where(srgb / 255 <= 0.04045, srgb / 255 / 12.92, ((srgb / 255 + 0.055) / 1.055) ** 2.4)
    values = _greys(light, transfer)
    picture = Image.fromarray(values.astype(np.uint8))
    colours = HighRange.measured(_space(transfer), picture)
    assert colours.peak == pytest.approx(203, rel=0.02)
    found = _converted(values, colours)[0, :, 1]
    assert np.abs(found - srgb)[srgb <= 220].max() <= 3
    assert np.abs(found - srgb).max() <= 9


# -- colours ---------------------------------------------------------------


@TRANSFERS
def test_colours_follow_the_formula(transfer: int) -> None:
    """Colours as photos have them, dark and bright, come out as the arithmetic has them."""
    hues = np.array([colorsys.hsv_to_rgb(h / 60, s, 1) for h in range(60) for s in (0.2, 0.5, 0.8)])
    light = hues[None] * np.geomspace(0.01, 4.5, 40)[:, None, None]
    values = _coded(light @ np.linalg.inv(TO_SRGB).T, transfer)
    found = _converted(values, HighRange(_space(transfer), 1000))
    expected = _expected(_light(values / 255, transfer), 1000)
    assert np.abs(found - expected).mean() < 1
    assert np.percentile(np.abs(found - expected), 99) < 8


@TRANSFERS
@pytest.mark.parametrize("colour", [(1.0, 0.55, 0.3), (0.3, 0.6, 1.0), (0.5, 1.0, 0.4)])
def test_a_bright_colour_keeps_its_hue(transfer: int, colour: tuple[float, ...]) -> None:
    """From a dim to a glaring light the hue of skin, sky and leaves turns by a few degrees at most."""
    light = np.array(colour)[None] * np.geomspace(0.2, 4.5, 30)[:, None]
    values = _coded(light[None] @ np.linalg.inv(TO_SRGB).T, transfer)
    found = _converted(values, HighRange(_space(transfer), 1000))[0]
    hues = np.array([colorsys.rgb_to_hsv(*(rgb / 255))[0] for rgb in found]) * 360
    assert np.ptp(hues) < 12
    assert found[-1].max() >= 250
    assert found[-1].min() < 235  # not white


def test_a_sunlit_face_stays_skin() -> None:
    """Skin at four times paper white is light skin, where a curve for each channel made it 255, 255, 252."""
    values = _coded(np.array([[[4.0, 2.1, 1.2]]]) @ np.linalg.inv(TO_SRGB).T, PQ)
    red, green, blue = _converted(values, HighRange(_space(PQ), 1600))[0, 0]
    assert red >= 245
    assert 185 <= green <= 215
    assert 130 <= blue <= 170


@TRANSFERS
def test_the_same_colour_in_other_primaries_looks_the_same(transfer: int) -> None:
    """A colour inside Display P3 comes out alike from a file in P3 and from one in BT.2020."""
    light = np.array([[[0.8, 0.5, 0.4], [0.3, 0.5, 0.9], [0.4, 0.7, 0.3], [1, 1, 1]]])
    p3 = np.array([[0.4866, 0.2657, 0.1982], [0.2290, 0.6917, 0.0793], [0.0, 0.0451, 1.0439]])
    rec2020 = np.array([[0.6370, 0.1446, 0.1689], [0.2627, 0.6780, 0.0593], [0.0, 0.0281, 1.0610]])
    to_2020 = np.linalg.solve(rec2020, p3)
    in_2020 = _converted(_coded(light, transfer), HighRange(_space(transfer, 9), 1000))
    in_p3 = _coded(light @ np.linalg.inv(to_2020).T, transfer, to_2020)
    assert np.abs(in_2020 - _converted(in_p3, HighRange(_space(transfer, 12), 1000))).max() <= 5


# -- the peak --------------------------------------------------------------


def _scene(bright: int, share: float) -> Image.Image:
    """Return a grey field of which a share, along the top, has a brighter signal."""
    picture = Image.new("RGB", (500, 400), (90, 90, 90))
    picture.paste((bright, bright, bright), (0, 0, 500, round(400 * share)))
    return picture


def test_the_peak_is_that_of_the_photo() -> None:
    """Light that fills a fiftieth of the photo counts, and none below paper white is a peak."""
    nits = float(203 * _light(np.full((1, 3), 192 / 255), PQ)[0, 0])
    assert HighRange.measured(_space(PQ), _scene(192, 0.02)).peak == pytest.approx(nits)
    assert HighRange.measured(_space(PQ), _scene(120, 0.02)).peak == 203
    assert HighRange.measured(_space(HLG), _scene(255, 0.02)).peak == pytest.approx(1000, rel=0.001)


def test_a_hot_pixel_does_not_darken_a_photo() -> None:
    """A few points of the largest signal are no peak."""
    picture = _scene(120, 0.02)
    for at in range(0, 400, 60):
        picture.putpixel((at, at), (255, 255, 255))
    assert HighRange.measured(_space(PQ), picture).peak == 203


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (300, 300)])
def test_every_mode_and_size_has_a_peak(mode: str, size: tuple[int, int]) -> None:
    """One pixel, a thin strip, greys and transparency: each is measured."""
    assert HighRange.measured(_space(PQ), Image.new(mode, size, "white")).peak == pytest.approx(10_000)


# -- files -----------------------------------------------------------------


def _cicp_profile(primaries: int, transfer: int) -> bytes:
    """Return an ICC profile with a ``cicp`` tag (ICC.1:2022) before its ordinary ones."""
    base = photos.display_p3()
    count = struct.unpack_from(">I", base, 128)[0]
    tag = b"cicp\0\0\0\0" + bytes([primaries, transfer, 0, 1])
    entries = b""
    for at in range(132, 132 + 12 * count, 12):
        name, start, length = struct.unpack_from(">4sII", base, at)
        entries += struct.pack(">4sII", name, start + 12, length)
    body = base[132 + 12 * count :]
    start = 132 + 12 * (count + 1) + len(body)
    table = struct.pack(">I4sII", count + 1, b"cicp", start, len(tag)) + entries
    return struct.pack(">I", start + len(tag)) + base[4:128] + table + body + tag


PICTURE = photos.PICTURE
NAMED = photos.png_chunk(b"cICP", bytes([9, PQ, 0, 1]))
HIGH_RANGE_PHOTOS = {
    "AVIF, nclx": photos.avif(PICTURE, photos.nclx(9, PQ)),
    "HEIC of 8 bits, nclx": photos.heic(photos.nclx(9, PQ)),
    "PNG, cICP": photos.with_png_chunks(photos.save(PICTURE, "PNG"), NAMED),
    "PNG with alpha, cICP": photos.with_png_chunks(photos.save(PICTURE.convert("RGBA"), "PNG"), NAMED),
    "PNG, cICP and a profile": photos.with_png_chunks(
        photos.save(PICTURE, "PNG", icc_profile=photos.display_p3()), NAMED
    ),
    "JPEG, profile with cicp": photos.save(
        PICTURE, "JPEG", quality=100, subsampling=0, icc_profile=_cicp_profile(9, PQ)
    ),
    "WebP, profile with cicp": photos.save(PICTURE, "WEBP", lossless=True, icc_profile=_cicp_profile(9, PQ)),
}


@pytest.mark.parametrize("name", HIGH_RANGE_PHOTOS)
def test_every_way_to_say_pq(name: str, clear_overlays: Overlays) -> None:
    """Whichever way a file says PQ, the avatar has the colours that the formulas give."""
    photo = HIGH_RANGE_PHOTOS[name]
    spec = AvatarSpec(frame="red-ribbons", size=64, format="png", **photos.MIDDLE)
    with Image.open(io.BytesIO(make_avatar(photo, spec, clear_overlays).content)) as file:
        found = np.asarray(file.convert("RGB")).astype(float)[[16, 16, 48, 48], [16, 48, 16, 48]]
    signals = np.array([photos.RED, photos.GREEN, photos.BLUE, photos.WHITE]) / 255
    expected = _expected(_light(signals, PQ), 10_000)
    assert np.abs(found - expected).max() <= 12  # steep between dark signals, where codecs lose some


def test_a_crop_does_not_change_the_exposure(clear_overlays: Overlays) -> None:
    """The lamp at the photo's edge counts whether the avatar shows it or not."""
    lamp = Image.new("RGB", (400, 200), (120, 120, 120))
    lamp.paste((220, 220, 220), (0, 0, 60, 200))
    photo = photos.with_png_chunks(photos.save(lamp, "PNG"), NAMED)
    greys = set()
    for x in (0.0, 1.0):
        spec = AvatarSpec(frame="red-ribbons", size=64, x=x, y=0.5, zoom=1, format="png")
        with Image.open(io.BytesIO(make_avatar(photo, spec, clear_overlays).content)) as file:
            greys.add(file.convert("RGB").getpixel((60, 32)))
    assert len(greys) == 1


@pytest.mark.parametrize(
    "profile",
    [
        _cicp_profile(12, 13),
        _cicp_profile(9, PQ)[:-3],
        _cicp_profile(9, PQ).replace(b"cicp\0\0\0\0", b"text\0\0\0\0"),
        photos.display_p3(),
        photos.display_p3()[:128] + b"\xff" * 4000,
        b"\0" * 128 + b"\xff\xff\xff\xff" + b"cicp\xff\xff\xff\xff\xff\xff\xff\xff" * 10,
        b"",
    ],
    ids=range(7),
)
def test_other_profiles_name_no_high_range(profile: bytes) -> None:
    """A tag that says something else, is cut short or points outside is not obeyed."""
    assert ColourSpace.from_profile(profile) is None


def test_a_large_picture_takes_little_time() -> None:
    """Measuring, the table and 4 million pixels take less CPU than decoding them would."""
    picture = photos.detailed((512, 512)).resize((2048, 2048))
    start = time.process_time()
    to_srgb(picture, HighRange.measured(_space(PQ), picture).profile())
    assert time.process_time() - start < 2


def test_colours_of_high_range_have_no_profile_of_curves() -> None:
    """A curve for each channel is what they must not get."""
    with pytest.raises(ValueError, match="pq"):
        _space(PQ).profile()
