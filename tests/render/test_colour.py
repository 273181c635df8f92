from __future__ import annotations

import itertools
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from app.render import colour
from app.render.colour import to_srgb
from app.render.colourspace import ColourSpace
from app.render.decode import decode, identify
from app.render.limits import Limits
from tests import photos
from tests.photos import PICTURE

if TYPE_CHECKING:
    from numpy.typing import NDArray

DISPLAY_P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
ADOBE_RGB = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
REC2020 = (0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046)

MAX_DIFFERENCE = 1.0
"""CIE76. Below 1 two colours are not told apart, and 8-bit values alone differ by up to 0.7."""


# -- an independent reference ----------------------------------------------


def _to_xyz(primaries: tuple[float, ...]) -> NDArray[np.float64]:
    xy = np.array(primaries).reshape(4, 2)
    xyz = np.stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(1)) / xy[:, 1]])
    return np.asarray(xyz[:, 1:] * np.linalg.solve(xyz[:, 1:], xyz[:, 0]))


def _srgb_light(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _reference(
    values: NDArray[Any], primaries: tuple[float, ...], gamma: float | None
) -> NDArray[np.float64]:
    """Return sRGB values (0-255, not rounded) of 8-bit values in another space with the white of sRGB."""
    light = _srgb_light(values / 255) if gamma is None else (values / 255) ** gamma
    linear = light @ (np.linalg.inv(_to_xyz(SRGB)) @ _to_xyz(primaries)).T
    linear = np.clip(linear, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _lab(values: NDArray[Any]) -> NDArray[np.float64]:
    xyz = _srgb_light(values / 255) @ _to_xyz(SRGB).T / _to_xyz(SRGB).sum(1)
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack(
        [116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1
    )


def _difference(found: NDArray[Any], expected: NDArray[Any]) -> NDArray[np.float64]:
    """Return CIE76 between two arrays of sRGB values."""
    return np.asarray(np.linalg.norm(_lab(found) - _lab(expected), axis=-1))


def _cube(steps: int = 12) -> Image.Image:
    """Return every combination of some values of red, green and blue."""
    values = np.linspace(0, 255, steps).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(values, values, values), axis=-1)
    return Image.fromarray(np.ascontiguousarray(grid.reshape(steps, -1, 3)))


# -- RGB -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("primaries", "gamma"),
    [(DISPLAY_P3, None), (ADOBE_RGB, 563 / 256), (REC2020, 2.2), (SRGB, 1.8), (SRGB, 2.35)],
    ids=["Display P3", "Adobe RGB", "BT.2020 primaries", "sRGB primaries, gamma 1.8", "nearly sRGB"],
)
def test_a_profile_is_converted_within_a_stated_difference(
    primaries: tuple[float, ...], gamma: float | None
) -> None:
    """All colours of a profile that sRGB can show come out within CIE76 1.0 of the arithmetic."""
    cube = _cube()
    values = np.asarray(cube).astype(float)
    found = np.asarray(to_srgb(cube, photos.rgb_profile(primaries, gamma))).astype(float)
    expected = _reference(values, primaries, gamma)
    inside = ((expected > 0.5) & (expected < 254.5)).all(-1)
    assert inside.sum() > 300
    assert _difference(found, expected)[inside].max() < MAX_DIFFERENCE
    assert _difference(found, expected)[inside].mean() < 0.4


def test_colours_outside_srgb_are_clipped_and_keep_their_hue() -> None:
    """The reddest red of P3 becomes the reddest of sRGB."""
    red = Image.new("RGB", (1, 1), (255, 0, 0))
    assert to_srgb(red, photos.display_p3()).getpixel((0, 0)) == (255, 0, 0)


def test_only_what_everybody_has_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a widespread profile the conversion is built once; of a stranger's each time, and nothing stays."""
    built: list[bytes] = []
    build = colour._transform

    def counted(profile: bytes, mode: str, flags: int = 0) -> object:
        built.append(profile)
        return build(profile, mode, flags)

    monkeypatch.setattr(colour, "_transform", counted)
    monkeypatch.setattr(colour, "_kept_way", cache(colour._way_to_srgb))
    widespread, strangers = photos.display_p3(), photos.adobe_rgb()
    plain = to_srgb(_cube(), widespread).tobytes()
    monkeypatch.setattr(colour, "WIDESPREAD", {sha256(widespread).hexdigest()})
    built.clear()
    for _ in range(3):
        assert to_srgb(_cube(), widespread).tobytes() == plain
        to_srgb(_cube(), strangers)
    assert built.count(widespread) == 2  # once to see whether it is sRGB
    assert built.count(strangers) == 6
    assert colour._kept_way.cache_info().currsize == 1


def test_greys_stay_grey() -> None:
    """White, black and all greys between have equal parts after a conversion."""
    ramp = Image.merge("RGB", [Image.linear_gradient("L")] * 3)
    found = np.asarray(to_srgb(ramp, photos.display_p3())).astype(int)
    assert np.ptp(found, axis=-1).max() <= 1
    assert (found[0, 0] == 0).all()
    assert (found[-1, 0] == 255).all()


def test_srgb_itself_is_left_alone() -> None:
    """A photo that says it is sRGB keeps every value."""
    cube = _cube()
    assert to_srgb(cube, photos.srgb()).tobytes() == cube.tobytes()


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        b"not a profile",
        b"\0" * 128,
        photos.display_p3()[:200],
        photos.display_p3()[:128] + b"\xff" * 500,
        photos.display_p3().replace(b"mntr", b"link"),
        photos.display_p3().replace(b"rTRC", b"xxxx"),
        photos.display_p3().replace(b"RGB ", b"CMYK"),
        photos.display_p3().replace(b"RGB ", b"GRAY"),
        photos.display_p3().replace(b"RGB ", b"Lab "),
    ],
    ids=range(10),
)
def test_a_broken_or_foreign_profile_is_ignored(profile: bytes) -> None:
    """A profile that says nothing usable about the picture changes nothing in it."""
    cube = _cube(5)
    assert to_srgb(cube, profile).tobytes() == cube.tobytes()


# -- profiles of tables ----------------------------------------------------


def _lab_d50(values: NDArray[Any]) -> list[list[float]]:
    """Return the Lab, under D50, of sRGB values: greys have no a and b under any white."""
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    white, d50 = _to_xyz(SRGB).sum(1), np.array([0.96422, 1, 0.82521])
    adapt = np.linalg.solve(bradford, np.diag((bradford @ d50) / (bradford @ white)) @ bradford)
    xyz = _srgb_light(values / 255) @ (adapt @ _to_xyz(SRGB)).T / d50
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    lab = [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])]
    return [list(map(float, row)) for row in np.stack(lab, axis=-1)]


def _corners(channels: int) -> NDArray[np.uint8]:
    """Return every combination of nothing and all of each channel, the last varying fastest."""
    return np.array(list(itertools.product((0, 255), repeat=channels)), dtype=np.uint8)


def _drawn(count: int) -> NDArray[np.float64]:
    """Return colours well inside sRGB, in no order that anything but a table could follow."""
    return np.random.default_rng(7).uniform(60, 220, (count, 3))


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(("space", "mode"), [(b"RGB ", "RGB"), (b"CMYK", "CMYK")])
def test_a_profile_of_tables_is_obeyed(space: bytes, mode: str, deep: bool) -> None:  # noqa: FBT001 - a parameter
    """Each corner of the device's colours comes out as the colour the relative colorimetric table has for it.

    The table for the perceptual intent beside it holds others, and is left alone.
    """
    corners = _corners(len(mode))
    expected = _drawn(len(corners))
    black, white = (0, -1) if mode == "RGB" else (-1, 0)
    expected[black], expected[white] = 0, 255
    tables = {b"A2B0": _lab_d50(expected[::-1] * 0.8), b"A2B1": _lab_d50(expected)}
    picture = Image.frombytes(mode, (len(corners), 1), corners.tobytes())
    found = np.asarray(to_srgb(picture, photos.lut_profile(space, tables, deep=deep))).astype(float)[0]
    assert _difference(found, expected).max() < (MAX_DIFFERENCE if deep else 1.5)  # a, b of whole numbers


def test_the_darkest_of_a_profile_becomes_black() -> None:
    """Black point compensation: light is stretched until a device's own black is none."""
    colours = _drawn(8)
    colours[0], colours[-1] = 50, 255
    black = _srgb_light(np.array(50 / 255))
    light = np.clip((_srgb_light(colours / 255) - black) / (1 - black), 0, 1)
    expected = 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    profile = photos.lut_profile(b"RGB ", dict.fromkeys((b"A2B0", b"A2B1"), _lab_d50(colours)), deep=True)
    found = np.asarray(to_srgb(Image.frombytes("RGB", (8, 1), _corners(3).tobytes()), profile))[0]
    assert _difference(found.astype(float), expected).max() < MAX_DIFFERENCE


def test_a_profile_of_greys_is_obeyed() -> None:
    """All 256 greys come out as their gamma makes them."""
    ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
    found = np.asarray(to_srgb(ramp, photos.grey_profile(1.75))).astype(float)[0]
    expected = _reference(np.repeat(np.arange(256), 3).reshape(-1, 3), SRGB, 1.75)
    assert _difference(found, expected).max() < MAX_DIFFERENCE


# -- other colour models ---------------------------------------------------


def test_grey_under_an_rgb_profile_is_grey_of_that_profile() -> None:
    """Black-and-white photos are often filed under an RGB profile: its curve counts."""
    grey = Image.new("L", (1, 1), 128)
    found = to_srgb(grey, photos.rgb_profile(SRGB, 1.8)).getpixel((0, 0))
    expected = _reference(np.array([[128, 128, 128]]), SRGB, 1.8).round()
    assert np.abs(np.array(found) - expected).max() <= 1


def test_grey_without_a_profile_becomes_equal_parts() -> None:
    """Grey is grey."""
    assert to_srgb(Image.new("L", (1, 1), 77), None).getpixel((0, 0)) == (77, 77, 77)


def test_transparency_is_laid_on_white_after_the_conversion() -> None:
    """Half of a P3 colour over white is half of the converted colour and half of white."""
    image = Image.new("RGBA", (1, 1), (200, 50, 50, 128))
    opaque = np.array(to_srgb(Image.new("RGB", (1, 1), (200, 50, 50)), photos.display_p3()).getpixel((0, 0)))
    found = np.array(to_srgb(image, photos.display_p3()).getpixel((0, 0)))
    assert np.abs(found - (opaque * 128 + 255 * 127) / 255).max() <= 1


INKS = {
    "paper": ((0, 0, 0, 0), (255, 255, 255)),
    "black": ((0, 0, 0, 255), (35, 31, 32)),
    "rich black": ((191, 173, 173, 230), (0, 0, 0)),
    "cyan": ((255, 0, 0, 0), (0, 174, 239)),
    "magenta": ((0, 255, 0, 0), (236, 0, 140)),
    "yellow": ((0, 0, 255, 0), (255, 242, 0)),
    "red": ((0, 255, 255, 0), (237, 28, 36)),
    "green": ((255, 0, 255, 0), (0, 166, 81)),
    "blue": ((255, 255, 0, 0), (46, 49, 146)),
    "skin": ((15, 64, 71, 0), (236, 192, 164)),
    "half black": ((0, 0, 0, 128), (147, 149, 152)),
}
"""Inks (0-255) and what SWOP-coated paper makes of them, in sRGB, as design programs show it."""


@pytest.mark.parametrize("name", INKS)
def test_cmyk_without_a_profile_looks_like_ink_on_paper(name: str) -> None:
    """Without a profile, inks look as they do printed, not like light: within CIE76 6 of the usual values."""
    inks, expected = INKS[name]
    found = np.array(to_srgb(Image.new("CMYK", (1, 1), inks), None).getpixel((0, 0)))
    assert _difference(found, np.array(expected)) < 6


# -- colours by number -----------------------------------------------------


@pytest.mark.parametrize(("primaries", "number"), [(DISPLAY_P3, 12), (REC2020, 9)])
def test_a_profile_made_from_numbers_is_exact(primaries: tuple[float, ...], number: int) -> None:
    """Code points of H.273 mean the same as a profile with their primaries."""
    space = ColourSpace.from_cicp(number, 13)
    assert space is not None
    cube = _cube()
    expected = _reference(np.asarray(cube).astype(float), primaries, None)
    found = np.asarray(to_srgb(cube, space.profile())).astype(float)
    inside = ((expected > 0.5) & (expected < 254.5)).all(-1)
    assert _difference(found, expected)[inside].mean() < 0.4


@pytest.mark.parametrize(("primaries", "transfer"), [(1, 13), (1, 1), (1, 6), (2, 2), (0, 0), (255, 255)])
def test_numbers_that_mean_srgb_or_nothing_need_no_conversion(primaries: int, transfer: int) -> None:
    """BT.709 under any camera's curve is shown as sRGB, and so is what is unspecified or unknown."""
    assert ColourSpace.from_cicp(primaries, transfer) is None


P3_PHOTOS = {
    "HEIC, nclx": photos.heic(photos.nclx(12, 13)),
    "HEIC, ICC": photos.heic(photos.box(b"colr", b"prof" + photos.display_p3())),
    "AVIF, nclx": photos.avif(PICTURE, photos.nclx(12, 13)),
    "AVIF, ICC": photos.avif(PICTURE, photos.box(b"colr", b"prof" + photos.display_p3())),
    "PNG, cICP": photos.with_png_chunks(
        photos.save(PICTURE, "PNG"), photos.png_chunk(b"cICP", b"\x0c\x0d\0\1")
    ),
    "PNG, ICC": photos.save(PICTURE, "PNG", icc_profile=photos.display_p3()),
    "WebP, ICC": photos.save(PICTURE, "WEBP", lossless=True, icc_profile=photos.display_p3()),
    "JPEG, ICC": photos.save(PICTURE, "JPEG", quality=100, subsampling=0, icc_profile=photos.display_p3()),
}


@pytest.mark.parametrize("name", P3_PHOTOS)
def test_every_way_to_say_display_p3(name: str) -> None:
    """Whichever way a file says Display P3, its colours come out converted."""
    photo = decode(identify(P3_PHOTOS[name], Limits()), 1, Limits())
    found = np.asarray(to_srgb(photo.image.convert("RGB"), photo.profile)).astype(float)[8, [8, -8]]
    expected = _reference(np.array([photos.RED, photos.GREEN]), DISPLAY_P3, None)
    assert np.abs(found - expected).max() <= 5  # of which 3 are the lossy codecs'


def test_cicp_in_a_png_comes_before_a_profile_beside_it() -> None:
    """The profile is for programs that do not know cICP."""
    plain = photos.save(PICTURE, "PNG", icc_profile=photos.adobe_rgb())
    named = photos.with_png_chunks(plain, photos.png_chunk(b"cICP", b"\x0c\x0d\0\1"))
    found = decode(identify(named, Limits()), 1, Limits()).profile
    space = ColourSpace.from_cicp(12, 13)
    assert space is not None
    assert found == space.profile()


def _png(*chunks: bytes) -> bytes | None:
    photo = photos.with_png_chunks(photos.save(PICTURE, "PNG"), *chunks)
    return decode(identify(photo, Limits()), 1, Limits()).profile


def _gamma(value: int) -> bytes:
    return photos.png_chunk(b"gAMA", value.to_bytes(4, "big"))


def _primaries(primaries: tuple[float, ...]) -> bytes:
    return photos.png_chunk(b"cHRM", b"".join(round(n * 100_000).to_bytes(4, "big") for n in primaries))


def test_png_gamma_and_primaries_are_obeyed() -> None:
    """GAMA and cHRM together are a colour space; without ICC they decide."""
    profile = _png(_gamma(round(100_000 / 2.2)), _primaries(DISPLAY_P3))
    assert profile is not None
    found = np.asarray(to_srgb(Image.new("RGB", (1, 1), photos.GREEN), profile)).astype(float)
    assert _difference(found, _reference(np.array([[photos.GREEN]]), DISPLAY_P3, 2.2)).max() < 2


def test_a_linear_png_is_brightened() -> None:
    """GAMA 1.0 means that values are light itself."""
    profile = _png(_gamma(100_000))
    assert profile is not None
    assert to_srgb(Image.new("RGB", (1, 1), (55, 55, 55)), profile).getpixel((0, 0)) == pytest.approx(
        (128,) * 3, abs=2
    )


@pytest.mark.parametrize(
    "chunks",
    [
        [_gamma(45455)],
        [_gamma(45455), _primaries(SRGB)],
        [_primaries(DISPLAY_P3)],
        [_gamma(0)],
        [_gamma(2_000_000_000)],
        [_gamma(50_000), photos.png_chunk(b"sRGB", b"\0")],
        [photos.png_chunk(b"gAMA", b"\1"), photos.png_chunk(b"cHRM", b"")],
        [photos.png_chunk(b"cICP", b"\x01\x0d\0\1")],
        [photos.png_chunk(b"cICP", b"")],
    ],
    ids=range(9),
)
def test_png_numbers_that_mean_srgb_or_nothing(chunks: list[bytes]) -> None:
    """The usual gamma, an sRGB chunk, primaries alone and absurd numbers leave a PNG as it is."""
    assert _png(*chunks) is None


def test_primaries_without_an_area_are_ignored() -> None:
    """Three primaries on one line are no colour space; the gamma beside them still counts."""
    assert _png(_gamma(100_000), _primaries((0.3, 0.3) * 4)) == _png(_gamma(100_000))


def test_the_reference_agrees_with_the_colour_engine_on_srgb() -> None:
    """The profile that tests build for sRGB is what the engine calls sRGB."""
    cube = _cube(6)
    assert (
        np.abs(np.asarray(to_srgb(cube, photos.rgb_profile(SRGB))).astype(int) - np.asarray(cube)).max() <= 1
    )
