from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from app.errors import (
    PhotoDamaged,
    PhotoError,
    PhotoMissing,
    PhotoNotSupported,
    PhotoTooManyBytes,
    PhotoTooManyPixels,
    PhotoTooSmall,
)
from app.render.avatar import make_avatar
from app.render.decode import Photo, decode, identify, in_plain_mode
from app.render.limits import Limits
from app.spec import AvatarSpec
from tests import odd_photos, photos
from tests.photos import BLUE, GREEN, READABLE, RED, TRANSPARENT, WHITE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.render.overlay import Overlays

PICTURE = photos.PICTURE
LIMITS = Limits()
MIDDLE = AvatarSpec(frame="red-ribbons", size=64, format="png", **photos.MIDDLE)


def read(photo: bytes, enough: float = 1, limits: Limits = LIMITS) -> Photo:
    """Identify and decode."""
    return decode(identify(photo, limits), enough, limits)


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """Return the colours near the four corners, row by row."""
    rgb = image.convert("RGB")
    right, bottom = rgb.width - 6, rgb.height - 6
    found = [rgb.getpixel(place) for place in ((5, 5), (right, 5), (5, bottom), (right, bottom))]
    return [colour for colour in found if isinstance(colour, tuple)]


def assert_near(found: Sequence[object], expected: Sequence[object], tolerance: int = 6) -> None:
    """Compare colours channel by channel: lossy codecs move them a little."""
    assert np.abs(np.array(found) - np.array(expected)).max() <= tolerance, found


# -- formats ---------------------------------------------------------------


@pytest.mark.parametrize("name", READABLE)
def test_it_reads_every_format_of_the_allow_list(name: str) -> None:
    """Each format, and of an animation or a pair the first picture, comes out as it was drawn."""
    tolerance = 24 if name == "WebP" else 6  # WebP stores colour at half the resolution
    photo = read(READABLE[name])
    assert (photo.width, photo.height) == PICTURE.size
    assert_near(corners(photo.image), [RED, GREEN, BLUE, WHITE], tolerance)


@pytest.mark.parametrize(
    "photo",
    [
        photos.save(PICTURE, "BMP"),
        photos.save(PICTURE, "TIFF"),
        photos.save(PICTURE, "ICO"),
        photos.save(PICTURE, "JPEG2000"),
        b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'/>",
        b"<!doctype html><title>photo.jpg</title>",
        b"PK\x03\x04" + b"\0" * 64,
        b"%PDF-1.7\n",
        b"\0\0\0\x18ftypmp42\0\0\0\0isommp42",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"P6 64 64 255\n" + b"\0" * 12288,
        b"\0",
        b"\xff\xd8",
        b"x" * 100_000,
    ],
    ids=lambda photo: repr(photo[:8]),
)
def test_it_refuses_everything_else(photo: bytes) -> None:
    """What is not on the allow-list is not supported, even where Pillow could read it."""
    with pytest.raises(PhotoNotSupported):
        identify(photo, LIMITS)


def test_no_bytes_are_no_photo() -> None:
    """An empty upload is a missing photo."""
    with pytest.raises(PhotoMissing):
        identify(b"", LIMITS)


@pytest.mark.parametrize("frame_type", [0xC3, 0xC5, 0xC7, 0xCF])
def test_a_jpeg_that_no_decoder_reads_is_not_called_damaged(frame_type: int) -> None:
    """Lossless and hierarchical JPEGs are whole, only of a kind that is not read."""
    photo = READABLE["baseline JPEG"]
    at = photo.index(b"\xff\xc0")
    with pytest.raises(PhotoNotSupported):
        identify(photo[: at + 1] + bytes([frame_type]) + photo[at + 2 :], LIMITS)


# -- depth and transparency ------------------------------------------------


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    """A 16-bit grey PNG is scaled to 8 bits, not clipped."""
    rows = b"".join(b"\0" + b"".join(struct.pack(">H", 257 * 4 * x) for x in range(64)) for _ in range(16))
    image = in_plain_mode(read(photos.png(64, 16, 0, 16, rows)).image)
    assert image.mode == "L"
    assert np.abs(np.asarray(image)[0].astype(int) - 4 * np.arange(64)).max() <= 1


def test_sixteen_bit_rgb_keeps_its_shades() -> None:
    """A 16-bit RGB PNG is scaled to 8 bits."""
    row = b"\0" + b"".join(struct.pack(">HHH", 257 * 4 * x, 0, 0xFFFF) for x in range(64))
    image = read(photos.png(64, 16, 2, 16, row * 16)).image
    found = np.asarray(image.convert("RGB"))[0].astype(int)
    assert np.abs(found[:, 0] - 4 * np.arange(64)).max() <= 1
    assert (found[:, 2] == 255).all()


@pytest.mark.parametrize("name", TRANSPARENT)
def test_transparency_is_composited_on_white(clear_overlays: Overlays, name: str) -> None:
    """Whatever way a PNG has of being transparent, white is seen through it and the rest is untouched."""
    content = make_avatar(
        TRANSPARENT[name], AvatarSpec(frame="red-ribbons", size=64, format="png"), clear_overlays
    ).content
    image = read(content).image
    assert_near([image.getpixel((4, 32)), image.getpixel((60, 32))], [WHITE, (200, 200, 200)], 1)


def test_a_palette_with_more_transparencies_than_colours_is_damaged() -> None:
    """What goes wrong on the way to a plain mode is found while decoding, not later."""
    chunks = photos.png_chunk(b"PLTE", b"abc"), photos.png_chunk(b"tRNS", b"\0" * 300)
    with pytest.raises(PhotoDamaged):
        read(photos.png(64, 64, 3, 8, bytes(65 * 64), *chunks))


# -- orientation -----------------------------------------------------------


def _png_with_exif(image: Image.Image, orientation: int) -> bytes:
    exif = photos.exif(orientation).removeprefix(b"Exif\0\0")
    return photos.with_png_chunks(photos.save(image, "PNG"), photos.png_chunk(b"eXIf", exif))


def _jpeg_with_exif(image: Image.Image, orientation: int) -> bytes:
    return photos.save(image, "JPEG", quality=100, subsampling=0, exif=photos.exif(orientation))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_exact(clear_overlays: Overlays, orientation: int) -> None:
    """A photo stored under any of the eight orientations gives the very pixels of the upright one."""
    upright = photos.detailed((96, 64))
    spec = AvatarSpec(frame="red-ribbons", size=64, format="png", x=0.1)
    expected = make_avatar(photos.save(upright, "PNG"), spec, clear_overlays).content
    photo = _png_with_exif(photos.stored(upright, orientation), orientation)
    assert make_avatar(photo, spec, clear_overlays).content == expected


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_jpeg(clear_overlays: Overlays, orientation: int) -> None:
    """The same for JPEG, as near as its coding allows."""
    photo = _jpeg_with_exif(photos.stored(PICTURE, orientation), orientation)
    avatar = read(
        make_avatar(
            photo, AvatarSpec(frame="red-ribbons", size=64, format="png", x=0.5), clear_overlays
        ).content
    )
    assert_near(corners(avatar.image), [RED, GREEN, BLUE, WHITE])


TURNS = {
    1: (),
    2: (photos.imir(1),),
    3: (photos.irot(2),),
    4: (photos.imir(0),),
    5: (photos.irot(1), photos.imir(0)),
    6: (photos.irot(3),),
    7: (photos.irot(1), photos.imir(1)),
    8: (photos.irot(1),),
}
"""The properties that mean the same as each EXIF orientation (irot is anticlockwise and comes first)."""
SEEN = {
    1: [RED, GREEN, BLUE, WHITE],
    2: [GREEN, RED, WHITE, BLUE],
    3: [WHITE, BLUE, GREEN, RED],
    4: [BLUE, WHITE, RED, GREEN],
    5: [RED, BLUE, GREEN, WHITE],
    6: [BLUE, RED, WHITE, GREEN],
    7: [WHITE, GREEN, BLUE, RED],
    8: [GREEN, WHITE, RED, BLUE],
}


@pytest.mark.parametrize("claimed", [1, 6])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_turned_once(clear_overlays: Overlays, orientation: int, claimed: int) -> None:
    """A HEIC's own turn is applied exactly once, whatever its EXIF says."""
    photo = photos.heic(*TURNS[orientation], exif=photos.exif(claimed))
    avatar = read(make_avatar(photo, MIDDLE, clear_overlays).content)
    assert_near(corners(avatar.image), SEEN[orientation])


@pytest.mark.parametrize("claimed", [1, 6])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_is_turned_once(clear_overlays: Overlays, orientation: int, claimed: int) -> None:
    """The same for AVIF."""
    photo = photos.avif(PICTURE, *TURNS[orientation], exif=photos.exif(claimed))
    avatar = read(make_avatar(photo, MIDDLE, clear_overlays).content)
    assert_near(corners(avatar.image), SEEN[orientation])


GOOD_EXIF = photos.exif(6)


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0II",
        b"Exif\0\0XX*\0\x08\0\0\0",
        GOOD_EXIF[:20],
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\0" * 24,
        photos.exif(0),
        photos.exif(9),
        photos.exif(200),
        b"\0" * 60_000,
    ],
    ids=range(11),
)
def test_broken_exif_means_upright(exif: bytes) -> None:
    """A photo is not refused for its metadata: what cannot be read says nothing."""
    plain = READABLE["baseline JPEG"]
    photo = photos.with_jpeg_segments(plain, photos.jpeg_segment(0xE1, exif))
    assert read(photo).orientation == 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_is_read_in_both_byte_orders(order: str) -> None:
    """Cameras write EXIF with either end first."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    block = mark + struct.pack(order + "IHHHIHxxI", 8, 1, 0x0112, 3, 1, 8, 0)
    photo = photos.with_jpeg_segments(
        READABLE["baseline JPEG"], photos.jpeg_segment(0xE1, b"Exif\0\0" + block)
    )
    assert read(photo).orientation == 8


# -- limits ----------------------------------------------------------------


def test_too_many_bytes() -> None:
    """The limit is in MB of a million bytes, and the error says how many."""
    with pytest.raises(PhotoTooManyBytes) as caught:
        identify(b"\xff\xd8\xff" + b"\0" * 40_000_000, LIMITS)
    assert caught.value.params == {"limit_mb": 40}


@pytest.mark.parametrize(
    ("size", "error"),
    [
        ((1, 1), PhotoTooSmall),
        ((1, 20_000), PhotoTooSmall),
        ((15, 16), PhotoTooSmall),
        ((16, 16), None),
        ((16, 2000), None),
    ],
)
def test_the_shorter_side_decides(size: tuple[int, int], error: type[PhotoError] | None) -> None:
    """16 pixels are enough, 15 are not, however long the other side is."""
    photo = photos.save(Image.new("RGB", size), "PNG")
    if error is None:
        assert read(photo).image.size == size
    else:
        with pytest.raises(error) as caught:
            identify(photo, LIMITS)
        assert caught.value.params == {"width": size[0], "height": size[1], "minimum": 16}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_a_picture_of_no_size_is_damaged(kind: str) -> None:
    """0 x 0 is no small photo but a broken one."""
    photo = photos.save(PICTURE, kind)
    place = {"JPEG": photo.find(b"\xff\xc0") + 5, "PNG": 16, "GIF": 6}[kind]
    width = {"JPEG": 4, "PNG": 8, "GIF": 4}[kind]
    emptied = photo[:place] + b"\0" * width + photo[place + width :]
    if kind == "GIF":
        frame = emptied.index(b",", 13 + 3 * 4)
        emptied = emptied[: frame + 5] + b"\0" * 4 + emptied[frame + 9 :]
    with pytest.raises(PhotoDamaged):
        identify(emptied, LIMITS)


SMALL_LIMITS = Limits(max_pixels=128 * 64, max_decoded_pixels=128 * 64 - 1)


@pytest.mark.parametrize("name", READABLE)
def test_limits_follow_cost(name: str) -> None:
    """What can be shrunk while it is decoded has one limit, what has to be held whole a lower one."""
    if name in {"baseline JPEG", "MPO", "JPEG with bytes after its end"}:
        read(READABLE[name], 1, SMALL_LIMITS)
    else:
        with pytest.raises(PhotoTooManyPixels) as caught:
            identify(READABLE[name], SMALL_LIMITS)
        assert caught.value.params == {"limit_mp": 0.008191}


def test_a_large_jpeg_is_shrunk_to_fit_into_memory() -> None:
    """A photo that may not be held whole is halved while it is decoded, even if every pixel is asked for."""
    assert read(READABLE["baseline JPEG"], 1, SMALL_LIMITS).image.size == (64, 32)


@pytest.mark.parametrize(
    "photo",
    [
        READABLE["progressive JPEG"][:-2],
        odd_photos.ENDLESS_PNGS["wrong checksum of all data"],
        odd_photos.ENDLESS_GIFS["no code for the end"],
    ],
    ids=["JPEG", "PNG", "GIF"],
)
def test_what_is_decoded_twice_may_have_half_the_pixels(photo: bytes) -> None:
    """A file without its right end costs whoever reads it no more than a whole one may."""
    pixels = identify(photo, Limits()).width * identify(photo, Limits()).height
    decode(identify(photo, Limits()), 1, Limits(max_decoded_pixels=2 * pixels))
    with pytest.raises(PhotoDamaged):
        decode(identify(photo, Limits()), 1, Limits(max_decoded_pixels=2 * pixels - 1))


@pytest.mark.parametrize(
    "name", ["GIF, smaller frame", "WebP, smaller frame", "APNG, default image apart, smaller frame"]
)
def test_a_first_frame_and_its_canvas_are_held_together(name: str) -> None:
    """Both count where they differ in size: a frame that is nearly as large would take twice the memory."""
    photo, seen = odd_photos.FIRST_FRAMES[name]
    pixels = seen.width * seen.height + odd_photos.SMALL_FRAME.width * odd_photos.SMALL_FRAME.height
    decode(identify(photo, Limits()), 1, Limits(max_decoded_pixels=pixels))
    with pytest.raises(PhotoTooManyPixels):
        decode(identify(photo, Limits()), 1, Limits(max_decoded_pixels=pixels - 1))


def test_a_jpeg_whose_colours_come_one_after_another_is_held_whole() -> None:
    """A scan per colour makes the decoder keep all coefficients: the lower limit counts."""
    photo = READABLE["baseline JPEG"]
    at = photo.index(b"\xff\xda")
    split = photo[: at + 4] + b"\x01" + photo[at + 5 :]
    with pytest.raises(PhotoTooManyPixels):
        identify(split, SMALL_LIMITS)


@pytest.mark.parametrize("size", [(64, 64), (20_000, 20_000), (0, 0)])
def test_a_heic_that_lies_about_its_size(size: tuple[int, int]) -> None:
    """A size property that is not the picture's own is found out."""
    with pytest.raises(PhotoError):
        read(photos.heic(size=size))


def test_an_avif_is_measured_by_its_bitstream() -> None:
    """A size property cannot hide how much there is to decode."""
    photo = photos.avif(PICTURE)
    at = photo.index(b"ispe") + 8
    lie = photo[:at] + struct.pack(">II", 32, 32) + photo[at + 8 :]
    with pytest.raises(PhotoTooManyPixels):
        identify(lie, SMALL_LIMITS)


def _webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("animated", [False, True])
def test_a_webp_picture_larger_than_its_canvas_is_damaged(animated: bool) -> None:  # noqa: FBT001 - a parameter
    """A canvas of 64 x 64 over a picture of 2000 x 2000 is not decoded."""
    picture = photos.save(Image.new("RGB", (2000, 2000)), "WEBP", method=0)[12:]
    side = struct.pack("<I", 63)[:3]
    canvas = photos.webp_chunk(b"VP8X", bytes([2 * animated, 0, 0, 0]) + 2 * side)
    frame = photos.webp_chunk(b"ANMF", b"\0" * 6 + 2 * side + b"\x10\0\0\0" + picture)
    animation = photos.webp_chunk(b"ANIM", b"\0" * 6)
    with pytest.raises(PhotoDamaged):
        read(_webp(canvas, animation, frame) if animated else _webp(canvas, picture))


@pytest.mark.parametrize("brand", [b"heic", b"avis"])
def test_a_film_without_a_still_picture_is_not_supported(brand: bytes) -> None:
    """A sequence is read by its primary picture; one that has none is a film."""
    film = photos.box(b"ftyp", brand + b"\0\0\0\0" + brand) + photos.box(b"moov", b"\0" * 100)
    with pytest.raises(PhotoNotSupported):
        identify(film, LIMITS)


def test_bytes_behind_the_last_box_are_passed_over() -> None:
    """Phones append data of their own to a HEIC."""
    assert read(photos.heic() + b"SEFT\xff\xff").image.size == (128, 64)


def test_a_gif_frame_larger_than_its_screen_is_measured() -> None:
    """The screen does not hide a larger picture."""
    photo = READABLE["GIF"]
    with pytest.raises(PhotoTooManyPixels):
        identify(photo[:6] + struct.pack("<HH", 16, 16) + photo[10:], SMALL_LIMITS)


# -- quality ---------------------------------------------------------------


@pytest.mark.parametrize(("zoom", "rotate"), [(1, 0), (1.5, 0), (1, 20)])
def test_decoding_at_a_reduced_scale_loses_nothing_to_be_seen(
    clear_overlays: Overlays, zoom: float, rotate: float
) -> None:
    """The avatar from a JPEG shrunk by its decoder is within 38 dB of the one from all of its pixels."""
    picture = photos.detailed((400, 400)).resize((1600, 1200), Image.Resampling.BICUBIC)
    photo = photos.save(picture, "JPEG", quality=95, subsampling=0)
    whole = photos.save(read(photo).image, "PNG")
    spec = AvatarSpec(frame="red-ribbons", size=256, format="png", zoom=zoom, rotate=rotate)
    assert read(photo, 256 / 1200 * zoom).image.width < 1600
    found, expected = (
        np.asarray(read(make_avatar(p, spec, clear_overlays).content).image, dtype=float)
        for p in (photo, whole)
    )
    error = ((found - expected) ** 2).mean()
    assert 10 * np.log10(255**2 / error) > 38
