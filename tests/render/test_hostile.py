"""Files that are broken or built to harm: one of our errors or an avatar, in well under a second."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from app.errors import PhotoDamaged, PhotoError, PhotoTooManyPixels, PhotoTooSmall, RibbonsError
from app.render.avatar import Avatar, make_avatar
from app.render.decode import decode, identify
from app.render.formats import BrokenContainer
from app.render.formats.bmff import read_bmff
from app.render.formats.jpeg import MAX_GAP, MAX_SCANS
from app.render.formats.png import read_png
from app.render.limits import Limits
from app.spec import AvatarSpec
from tests import heif_files, photos
from tests.photos import PICTURE, READABLE, TRANSPARENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.render.overlay import Overlays

SPEC = AvatarSpec(frame="red-ribbons", size=64)
SECONDS = 2
"""CPU that a hostile file may take. Measured are 0.5 at most on an idle machine, and a bomb that goes off
takes longer by far; in between there is room for a machine that is busy."""


def attempt(photo: bytes, overlays: Overlays) -> Avatar | RibbonsError:
    """Return the avatar or the error of ours; anything else fails the test, and so does taking long."""
    start = time.process_time()
    try:
        return make_avatar(photo, SPEC, overlays)
    except RibbonsError as error:
        return error
    finally:
        assert time.process_time() - start < SECONDS


# -- bombs -----------------------------------------------------------------

JPEG = photos.save(PICTURE, "JPEG")
PROGRESSIVE = photos.save(PICTURE, "JPEG", progressive=True)
PNG = photos.save(PICTURE, "PNG")
GIF = photos.save(PICTURE, "GIF")
WEBP = photos.save(PICTURE, "WEBP", exif=photos.exif(1))
GIF_PICTURE = GIF.index(b",", 13 + 3 * 4)


def _zeros(count: int) -> bytes:
    """Return that many zeros, packed a thousandfold."""
    packer = zlib.compressobj(9)
    block = bytes(1_000_000)
    return b"".join(packer.compress(block) for _ in range(count // len(block))) + packer.flush()


def _scans(count: int) -> bytes:
    """Return a progressive JPEG with its last scan repeated."""
    last = PROGRESSIVE.rindex(b"\xff\xc4", 0, PROGRESSIVE.rindex(b"\xff\xda"))
    return PROGRESSIVE[:-2] + PROGRESSIVE[last:-2] * count + b"\xff\xd9"


def _exif_bomb(tags: int, size: int) -> bytes:
    """Return EXIF whose tags all point at the same data, each claiming it as its own."""
    entries = b"".join(struct.pack("<HHII", 0x0200 + n, 7, size, 8) for n in range(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", tags) + entries + b"\0" * size


def _circular_exif() -> bytes:
    """Return EXIF whose directories point at themselves."""
    entry = struct.pack("<HHII", 0x8769, 4, 1, 8)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + struct.pack("<I", 8)


def _overlapping_items() -> bytes:
    """Return a HEIC of 900 metadata items, each of them all of the file."""
    photo = photos.heic(exif=photos.exif(1))
    at = photo.index(b"iloc") - 4
    (length,) = struct.unpack_from(">I", photo, at)
    entries = b"".join(struct.pack(">HHHII", n, 0, 1, 0, len(photo)) for n in range(2, 900))
    iloc = photos.box(b"iloc", struct.pack(">IBBH", 0, 0x44, 0, 898) + entries)
    return photo[:at] + iloc + photo[at + length :]


def _many_webp_frames() -> bytes:
    """Return an animation whose second frame comes 10,000 times."""
    frames = [PICTURE, PICTURE.rotate(180)]
    photo = photos.save(frames[0], "WEBP", lossless=True, save_all=True, append_images=frames[1:])
    frame = photo[photo.rindex(b"ANMF") :]
    return photo[:4] + struct.pack("<I", len(photo) - 8 + 10_000 * len(frame)) + photo[8:] + frame * 10_000


AVIF_TILE = heif_files.coded_avif(PICTURE.resize((64, 64)))


def _tiles(count: int, body: bytes) -> bytes:
    """Return a grid of as many tiles, that share nothing."""
    tiles = {
        number: replace(AVIF_TILE, body=body + bytes([0x7A, 1, number % 256]))
        for number in range(2, count + 2)
    }
    rows = count // 100
    return heif_files.build({1: heif_files.grid(rows, 100, (6_400, 64 * rows), [*tiles]), **tiles})


def _helped(count: int) -> bytes:
    """Return a grid of as many tiles, each of many properties, and helped by an item of many properties."""
    busy = replace(AVIF_TILE, properties=AVIF_TILE.properties + (photos.box(b"pasp", bytes(8)),) * 200)
    tiles = dict.fromkeys(range(2, count + 2), busy)
    helper = replace(busy, references={b"auxl": [*tiles]})
    grid = heif_files.grid(count // 100, 100, (6_400, 64 * (count // 100)), [*tiles])
    return heif_files.build({1: grid, **tiles, **dict.fromkeys(range(5_000, 5_010), helper)})


def _overlay(parts: list[int]) -> heif_files.Item:
    payload = struct.pack(">BB4HHH", 0, 0, 0, 0, 0, 0, 128, 64) + bytes(4 * len(parts))
    return heif_files.Item(b"iovl", payload, (heif_files.ispe(128, 64),), {b"dimg": parts})


def _overlays(deep: int, wide: int) -> bytes:
    """Return overlays of the same overlay many times, and so on, of a picture at last."""
    items = {number: _overlay([number + 1] * wide) for number in range(1, deep + 1)}
    return heif_files.build({**items, deep + 1: heif_files.coded_heic()})


BOMBS: dict[str, Callable[[], bytes]] = {
    "JPEG, 5,000 scans": lambda: _scans(5_000),
    "JPEG, 10,000 segments": lambda: photos.with_jpeg_segments(JPEG, *[b"\xff\xe5\0\x04ab"] * 10_000),
    "JPEG, 3,000,000 segments": lambda: photos.with_jpeg_segments(JPEG, *[b"\xff\xe5\0\x04ab"] * 3_000_000),
    "JPEG, 600 EXIF segments": lambda: photos.with_jpeg_segments(
        JPEG, *[photos.jpeg_segment(0xE1, b"Exif\0\0" + b"\0" * 65_000)] * 600
    ),
    "JPEG, EXIF of 2,500 tags": lambda: photos.with_jpeg_segments(
        JPEG, photos.jpeg_segment(0xE1, b"Exif\0\0" + _exif_bomb(2_500, 30_000))
    ),
    "JPEG, EXIF in a circle": lambda: photos.with_jpeg_segments(
        JPEG, photos.jpeg_segment(0xE1, b"Exif\0\0" + _circular_exif())
    ),
    "JPEG, 255 pieces of a profile": lambda: photos.with_jpeg_segments(
        JPEG,
        *[
            photos.jpeg_segment(0xE2, b"ICC_PROFILE\0" + bytes([n, 255]) + b"\0" * 60_000)
            for n in range(1, 256)
        ],
    ),
    "JPEG, 100,000 tables": lambda: photos.with_jpeg_segments(
        JPEG, *[b"\xff\xdb\0\x43\0" + b"\1" * 64] * 100_000
    ),
    "JPEG, 20 MB of fill bytes": lambda: JPEG[:2] + b"\xff" * 20_000_000 + JPEG[2:],
    "JPEG, 20 MB of stuffing": lambda: JPEG[:2] + b"\xff\0" * 10_000_000 + JPEG[2:],
    "JPEG, 20 MB of restart markers": lambda: JPEG[:-200] + b"\xff\xd0" * 10_000_000 + b"\xff\xd9",
    "JPEG, 20 MB of restart markers and no end": lambda: JPEG[:-2] + b"\xff\xd0" * 10_000_000,
    "JPEG, 20 MB of zeros and no end": lambda: JPEG[:-2] + bytes(20_000_000),
    "JPEG, 20 MB of markers and no end": lambda: PROGRESSIVE[:-2] + b"\xff\xfe\0\2" * 5_000_000,
    "JPEG, 28 scans and no end": lambda: _scans(MAX_SCANS - 10)[:-2],
    "JPEG, 20 MB after the end": lambda: JPEG + random.Random(1).randbytes(20_000_000),  # noqa: S311
    "PNG, zTXt of 100 MB": lambda: photos.with_png_chunks(
        PNG, photos.png_chunk(b"zTXt", b"a\0\0" + _zeros(100_000_000))
    ),
    "PNG, iCCP of 100 MB": lambda: photos.with_png_chunks(
        PNG, photos.png_chunk(b"iCCP", b"a\0\0" + _zeros(100_000_000))
    ),
    "PNG, 19,000 packed chunks": lambda: photos.with_png_chunks(
        PNG,
        *[photos.png_chunk(kind, b"\0\0" + _zeros(1_000_000)) for kind in (b"iCCP", b"zTXt", b"iTXt")]
        * 6_300,
    ),
    "PNG, 35 MB of nothing packed": lambda: photos.png(64, 64, 2, 8, b"").replace(
        photos.png_chunk(b"IDAT", zlib.compress(b"")),
        photos.png_chunk(b"IDAT", b"\x78\x9c" + b"\0\0\0\xff\xff" * 7_000_000),
    ),
    "PNG, 100 MB behind the picture and no end": lambda: photos.png(
        64, 64, 2, 8, bytes(64 * 193 + 100_000_000)
    )[:-20],
    "PNG, 3,000,000 chunks": lambda: photos.with_png_chunks(
        PNG, *[photos.png_chunk(b"IDAT", b"")] * 3_000_000
    ),
    "PNG, 100 MB behind the picture": lambda: photos.png(64, 64, 2, 8, bytes(64 * 193 + 100_000_000)),
    "GIF, 10,000 frames": lambda: GIF[:-1] + GIF[GIF_PICTURE:-1] * 10_000 + b";",
    "GIF, 20,000,000 blocks and no end": lambda: (
        GIF[: GIF.index(b"\0", GIF_PICTURE + 10)] + b"\1a" * 19_000_000
    ),
    "GIF, a large screen": lambda: GIF[:6] + struct.pack("<HH", 7_700, 7_700) + GIF[10:],
    "GIF, 20 MB of comments": lambda: GIF[:GIF_PICTURE] + b"!\xfe\1a\0" * 4_000_000 + GIF[GIF_PICTURE:],
    "GIF, 20 MB of one comment": lambda: (
        GIF[:GIF_PICTURE] + b"!\xfe" + b"\1a" * 10_000_000 + b"\0" + GIF[GIF_PICTURE:]
    ),
    "WebP, 10,000 frames": _many_webp_frames,
    "WebP, EXIF of 60,000 tags": lambda: photos.save(PICTURE, "WEBP", exif=_exif_bomb(60_000, 10_000_000)),
    "AVIF, EXIF of 60,000 tags": lambda: photos.avif(PICTURE, exif=_exif_bomb(60_000, 10_000_000)),
    "HEIC, EXIF of 60,000 tags": lambda: photos.heic(exif=_exif_bomb(60_000, 10_000_000)),
    "HEIC, 900 items of everything": _overlapping_items,
    "HEIC, 1,000 properties": lambda: photos.heic(*[photos.irot(1)] * 120),
    "HEIC, 1,000,000 boxes": lambda: photos.heic() + photos.box(b"free", b"") * 1_000_000,
    "AVIF, one tile 10,000 times": lambda: heif_files.build(
        {1: heif_files.grid(100, 100, (6_400, 6_400), [2] * 10_000), 2: AVIF_TILE}
    ),
    "AVIF, 900 tiles of 15,000 units": lambda: _tiles(900, AVIF_TILE.body + b"\x12\0" * 15_000),
    "AVIF, 1,000 tiles of 64 x 64": lambda: _tiles(1_000, AVIF_TILE.body),
    "AVIF, 18,000 items": lambda: heif_files.build(
        {1: AVIF_TILE, **dict.fromkeys(range(2, 18_000), heif_files.Item(b"mime"))}
    ),
    "AVIF, 20,000 extents": lambda: heif_files.build(
        {1: replace(AVIF_TILE, body=bytes(20_000))}, 1, heif_files.Style(extents=20_000)
    ),
    "AVIF, 5,000 extents to the end": lambda: heif_files.build(
        {1: replace(AVIF_TILE, body=bytes(5_000))}, 1, heif_files.Style(extents=5_000, open_end=True)
    ),
    "AVIF, 300 tiles of 200 properties, with one helper": lambda: _helped(300),
    "HEIC, overlays of overlays of overlays": lambda: _overlays(3, 100),
    "HEIC, overlays without end": lambda: heif_files.build({1: _overlay([1] * 100)}),
    "HEIC, boxes in boxes": lambda: (
        photos.heic()[:28] + b"".join(struct.pack(">I4s", 8 * (5_000 - n), b"iprp") for n in range(5_000))
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little(clear_overlays: Overlays, name: str) -> None:
    """Whatever is piled up around a small picture is refused or passed over, at once."""
    attempt(BOMBS[name](), clear_overlays)


@pytest.mark.parametrize(
    "photo",
    [
        b"\xff\xd8" + b"\xff" * 36_000_000,
        b"\xff\xd8\xff" + bytes(36_000_000),
        JPEG[:2] + b"\xff" * (MAX_GAP + 1) + JPEG[2:],
        PROGRESSIVE[:-2] + b"\xff" * 36_000_000,
    ],
    ids=["fill bytes alone", "zeros alone", "fill bytes before a picture", "fill bytes in a scan"],
)
def test_a_jpeg_of_nothing_is_damaged_at_once(clear_overlays: Overlays, photo: bytes) -> None:
    """A marker is looked for where it can be, not all through the file."""
    start = time.process_time()
    assert isinstance(attempt(photo, clear_overlays), PhotoDamaged)
    assert time.process_time() - start < 0.25


def test_fill_bytes_between_segments_are_passed_over(clear_overlays: Overlays) -> None:
    """Any marker may be preceded by fill bytes (T.81, B.1.1.2)."""
    photo = JPEG[:2] + b"\xff" * 500 + JPEG[2:]
    assert isinstance(attempt(photo, clear_overlays), Avatar)


@pytest.mark.parametrize("scans", [0, MAX_SCANS - 10])
def test_as_many_scans_as_a_photo_has_are_read(clear_overlays: Overlays, scans: int) -> None:
    """The limit on scans leaves room for every encoder's photos."""
    assert isinstance(attempt(_scans(scans), clear_overlays), Avatar)


def test_one_scan_too_many_is_refused(clear_overlays: Overlays) -> None:
    """From the limit on a progressive JPEG is a bomb."""
    assert isinstance(attempt(_scans(MAX_SCANS - 9), clear_overlays), PhotoDamaged)


def test_markers_inside_segments_and_behind_the_picture_are_no_scans(clear_overlays: Overlays) -> None:
    """Scans are counted as the decoder meets them, not wherever their two bytes stand."""
    decoy = b"\xff\xda" * 1_000
    last = PROGRESSIVE.rindex(b"\xff\xc4", 0, PROGRESSIVE.rindex(b"\xff\xda"))
    between = PROGRESSIVE[:last] + photos.jpeg_segment(0xFE, decoy) + PROGRESSIVE[last:]
    photo = photos.with_jpeg_segments(between, photos.jpeg_segment(0xE3, decoy)) + decoy
    assert isinstance(attempt(photo, clear_overlays), Avatar)


# -- limits, each where nothing else would refuse ----------------------------


def test_far_too_many_scans_are_refused(clear_overlays: Overlays) -> None:
    """40 scans are no photo, whatever the constant says."""
    assert isinstance(attempt(_scans(40), clear_overlays), PhotoDamaged)


def test_more_tables_than_a_photo_has_are_refused(clear_overlays: Overlays) -> None:
    """100 KB of tables are no photo, though a decoder would take them."""
    table = b"\xff\xdb\0\x43\0" + b"\1" * 64
    assert isinstance(
        attempt(photos.with_jpeg_segments(JPEG, *[table] * 1_500), clear_overlays), PhotoDamaged
    )


def test_a_packed_profile_is_unpacked_no_further_than_a_profile_goes() -> None:
    """Of 200 MB of profile a few are unpacked, and then it is ignored."""
    bomb = photos.with_png_chunks(PNG, photos.png_chunk(b"iCCP", b"a\0\0" + _zeros(200_000_000)))
    tracemalloc.start()
    try:
        assert read_png(bomb).profile is None
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_pictures_whose_extents_overlap_are_refused() -> None:
    """A picture of more bytes than the file has would be read into memory many times over."""
    photo = photos.heic()
    at = photo.index(b"iloc") - 4
    (length,) = struct.unpack_from(">I", photo, at)
    offset, size = struct.unpack_from(">II", photo, at + 22)
    extents = struct.pack(">II", offset, size) * 40
    iloc = photos.box(b"iloc", struct.pack(">IBBHHHH", 0, 0x44, 0, 1, 1, 0, 40) + extents)

    longer = len(iloc) - length
    meta = photo.index(b"meta") - 4
    (meta_size,) = struct.unpack_from(">I", photo, meta)
    moved = iloc.replace(struct.pack(">II", offset, size), struct.pack(">II", offset + longer, size))
    overlapping = b"".join(
        (
            photo[:meta],
            struct.pack(">I", meta_size + longer),
            photo[meta + 4 : at],
            moved,
            photo[at + length :],
        )
    )
    with pytest.raises(BrokenContainer):
        read_bmff(overlapping)


@pytest.mark.parametrize("kind", ["heif", "webp"])
@pytest.mark.parametrize(
    ("limits", "error"),
    [(Limits(max_decoded_pixels=100), PhotoTooManyPixels), (Limits(min_side=100), PhotoTooSmall)],
)
def test_the_size_that_a_decoder_finds_is_checked_again(
    kind: str, limits: Limits, error: type[PhotoError]
) -> None:
    """Headers that were taken at their word do not get a picture past the limits."""
    photo = photos.heic() if kind == "heif" else WEBP
    lie = replace(identify(photo, Limits()), width=10, height=10)
    with pytest.raises(error):
        decode(lie, 1, limits)


# -- damage ----------------------------------------------------------------

INVOLVED = {
    "CMYK JPEG": photos.save(PICTURE.convert("CMYK"), "JPEG"),
    "P3 JPEG": photos.save(PICTURE, "JPEG", icc_profile=photos.display_p3(), exif=photos.exif(6)),
    "P3 PNG": photos.save(PICTURE, "PNG", icc_profile=photos.display_p3(), exif=photos.exif(6)),
    "P3 WebP": photos.save(PICTURE, "WEBP", icc_profile=photos.display_p3(), exif=photos.exif(6)),
    "P3 HEIC": photos.heic(
        photos.irot(1), photos.box(b"colr", b"prof" + photos.display_p3()), exif=photos.exif(6)
    ),
    "gain map, alpha and grid": heif_files.build(
        {
            1: heif_files.grid(1, 2, (200, 64), [2, 3], heif_files.pixi(), heif_files.clap("180", "60")),
            2: heif_files.coded_avif(PICTURE),
            3: heif_files.coded_avif(PICTURE),
            4: heif_files.Item(b"tmap", b"x" * 62, (), {b"dimg": [1, 3]}),
            5: heif_files.Item(b"iden", b"", (photos.irot(1),), {b"dimg": [4]}),
        },
        5,
        heif_files.Style(wide=True, iloc=2, infe=3),
        groups=[heif_files.altr(4, 1)],
    ),
    "transparent HEIC": heif_files.ALPHA_HEIC.read_bytes(),
    "P3 AVIF": photos.avif(PICTURE, photos.irot(1), photos.nclx(12, 13), exif=photos.exif(6), xmp=b"x" * 50),
}
SAMPLES = READABLE | TRANSPARENT | INVOLVED


@pytest.mark.parametrize("name", [name for name in READABLE if name != "JPEG with bytes after its end"])
def test_a_photo_cut_short_is_damaged(clear_overlays: Overlays, name: str) -> None:
    """Half a photo is no photo, in any format."""
    assert isinstance(attempt(READABLE[name][: len(READABLE[name]) // 4], clear_overlays), PhotoError)


@pytest.mark.parametrize("name", SAMPLES)
def test_wherever_a_photo_is_cut_only_our_errors_come_out(clear_overlays: Overlays, name: str) -> None:
    """A file that ends too soon, at any of fifty places, gives an avatar or an error of ours."""
    photo = SAMPLES[name]
    for end in range(1, len(photo), max(1, len(photo) // 50)):
        attempt(photo[:end], clear_overlays)


@pytest.mark.parametrize("name", SAMPLES)
def test_whatever_byte_is_changed_only_our_errors_come_out(clear_overlays: Overlays, name: str) -> None:
    """A file with a few wrong bytes, in its headers or anywhere, gives an avatar or an error of ours."""
    chance = random.Random(name)  # noqa: S311 - the same on every run
    for _ in range(60):
        photo = bytearray(SAMPLES[name])
        for _ in range(chance.choice((1, 1, 3, 9))):
            reach = chance.choice((64, 600, len(photo)))
            photo[chance.randrange(min(reach, len(photo)))] = chance.choice(
                (0, 127, 255, chance.randrange(256))
            )
        attempt(bytes(photo), clear_overlays)
