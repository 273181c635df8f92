"""HEIF and AVIF with something beside the picture, in every way of writing it, compared by pixels."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from app.errors import PhotoDamaged, PhotoNotSupported, PhotoTooManyPixels, PhotoTooSmall
from app.render.colourspace import ColourSpace
from app.render.crop import STORED, TURNS
from app.render.decode import decode, identify, in_plain_mode
from app.render.formats import BrokenContainer
from app.render.formats.bmff import read_bmff
from app.render.formats.parts import MAX_TILES
from app.render.limits import Limits
from tests import photos
from tests.heif_files import (
    ALPHA_URN,
    DEPTH_URN,
    PLAIN,
    Item,
    Style,
    altr,
    auxc,
    build,
    clap,
    coded_avif,
    coded_heic,
    grid,
    ispe,
    pixi,
)
from tests.photos import BLUE, CANARY, GREEN, PICTURE, RED, WHITE, box, imir, irot, nclx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LIMITS = Limits()
HEIC = Style(brands=(b"heic", b"mif1", b"miaf"))
P3, PQ = (12, 13), (9, 16)
AVIF_ITEM, HEIC_ITEM = coded_avif(PICTURE), coded_heic()
TURNED = coded_avif(PICTURE.rotate(180))
CODECS = {"avif": (AVIF_ITEM, PLAIN), "heif": (HEIC_ITEM, HEIC)}
LEFT_WHITE = Image.new("L", PICTURE.size)
LEFT_WHITE.paste(255, (0, 0, 64, 64))


def with_properties(item: Item, *properties: bytes, **references: Sequence[int]) -> Item:
    """Return an item with more properties and references."""
    named = {kind.encode(): numbers for kind, numbers in references.items()}
    return replace(item, properties=(*item.properties, *properties), references={**item.references, **named})


def seen(photo: bytes) -> Image.Image:
    """Return a photo as it is seen: cropped and turned, colours as they are."""
    picture = decode(identify(photo, LIMITS), 1, LIMITS)
    assert (picture.width, picture.height) == picture.image.size
    image = in_plain_mode(picture.image)
    turn = TURNS[STORED[picture.orientation]]
    upright = image if turn is None else image.transpose(turn)
    assert upright.size == picture.upright_size
    return upright


def assert_same(found: Image.Image, expected: Image.Image, tolerance: int = 6) -> None:
    """Compare pixels: lossy codecs move them a little."""
    assert found.size == expected.size
    difference = np.abs(np.asarray(found).astype(int) - np.asarray(expected.convert(found.mode)))
    assert difference.max() <= tolerance


# -- things beside the picture -------------------------------------------------

FILM = box(b"moov", box(b"mvhd", bytes(100)))
METADATA = {
    20: Item(b"Exif", bytes(4) + photos.exif(6, CANARY), (), {b"cdsc": [1]}),
    21: Item(b"mime", CANARY, (), {b"cdsc": [1]}),
}


def _with_gain_map(item: Item) -> dict[int, Item]:
    tone_mapped = Item(
        b"tmap", bytes(62), (ispe(128, 64), nclx(*PQ), irot(1)), {b"dimg": [1, 2]}, essential=frozenset()
    )
    return {1: item, 2: with_properties(item, nclx(*PQ)), 3: tone_mapped}


BESIDE: dict[str, Callable[[Item, Style], bytes]] = {
    "nothing": lambda item, style: build({1: item}, 1, style),
    "a film": lambda item, style: build(
        {1: item}, 1, replace(style, brands=(b"msf1", b"avis", b"hevc", *style.brands)), after=FILM
    ),
    "metadata": lambda item, style: build({1: item, **METADATA}, 1, style),
    "a gain map": lambda item, style: build(
        _with_gain_map(item), 1, replace(style, brands=(*style.brands, b"tmap")), groups=[altr(3, 1)]
    ),
    "a gain map that is the primary item": lambda item, style: build(
        _with_gain_map(item), 3, replace(style, brands=(*style.brands, b"tmap")), groups=[altr(3, 1)]
    ),
    "Apple's gain map": lambda item, style: build(
        {
            1: item,
            2: with_properties(
                item, auxc(b"urn:com:apple:photo:2020:aux:hdrgainmap"), nclx(*PQ), auxl=[1], cdsc=[1]
            ),
        },
        1,
        style,
    ),
    "a depth map": lambda item, style: build(
        {1: item, 2: with_properties(item, auxc(DEPTH_URN), irot(1), auxl=[1])}, 1, style
    ),
    "a thumbnail": lambda item, style: build(
        {1: item, 2: with_properties(item, irot(1), thmb=[1])}, 1, style
    ),
    "another picture": lambda item, style: build(
        {1: with_properties(item, irot(2)), 7: item, 9: with_properties(item, nclx(*PQ))}, 7, style
    ),
    "an alternative of a kind that is not read": lambda item, style: build(
        {1: item, 2: Item(b"new1", b"?" * 99, (ispe(128, 64),))}, 2, style, groups=[altr(9, 8), altr(2, 5, 1)]
    ),
    "an identity around it": lambda item, style: build(
        {1: Item(b"iden", b"", (ispe(128, 64),), {b"dimg": [2]}), 2: item}, 1, style
    ),
    "a property that nobody needs": lambda item, style: build(
        {1: replace(with_properties(item, box(b"clli", bytes(4))), essential=frozenset({b"clli"}))}, 1, style
    ),
    "bytes of a phone behind it": lambda item, style: build({1: item}, 1, style, after=b"SEFT\xff\xff" * 9),
}


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("codec", CODECS)
def test_the_picture_is_read_whatever_lies_beside_it(codec: str, beside: str) -> None:
    """The pixels and the colours are the picture's, and a decoder gets what it would get of that alone."""
    photo = BESIDE[beside](*CODECS[codec])
    container = read_bmff(photo)
    assert container.codec == codec
    assert (container.profile, container.space) == (None, None)
    assert_same(seen(photo), PICTURE)
    plain = read_bmff(BESIDE["nothing"](*CODECS[codec])).data
    assert container.data == plain
    assert CANARY not in container.data


STYLES = {
    "iloc of version 0": Style(iloc=0),
    "iloc of version 2": Style(iloc=2),
    "wide numbers everywhere": Style(wide=True, iloc=2, infe=3),
    "300 properties before": Style(fillers=300),
    "in three pieces": Style(extents=3),
    "a length of 0": Style(open_end=True),
    "data first": Style(data_first=True),
    "mif1 alone": Style(brands=(b"mif1",)),
    "brands in another order": Style(brands=(b"mif2", b"msf1", b"miaf", b"MA1B", b"heix", b"avis")),
    "the other codec's brand": Style(brands=(b"avif", b"heic")),
    "brands of nothing known": Style(brands=(b"jpeg",)),
}


WAYS = [(style, False) for style in STYLES] + [(style, True) for style in STYLES if STYLES[style].iloc]


@pytest.mark.parametrize(("style", "in_idat"), WAYS)
@pytest.mark.parametrize("codec", CODECS)
def test_however_a_file_is_written_it_is_read(codec: str, style: str, in_idat: bool) -> None:  # noqa: FBT001 - a parameter
    """Every version of every box, anywhere, and the codec is that of the item."""
    item = replace(CODECS[codec][0], in_idat=in_idat)
    photo = build({1: item}, 1, STYLES[style], after=box(b"free", b"x" * 99))
    assert read_bmff(photo).codec == codec
    assert_same(seen(photo), PICTURE)


# -- pictures made of pictures -----------------------------------------------------

TILES = [coded_avif(Image.new("RGB", (64, 64), colour)) for colour in (RED, GREEN, BLUE, WHITE)]
FOUR = photos.quadrants((128, 128))


@pytest.mark.parametrize("size", [(128, 128), (128, 100), (90, 128)])
def test_a_grid_shows_its_tiles_in_their_places(size: tuple[int, int]) -> None:
    """What of the tiles reaches beyond the grid is not seen."""
    items = {1: grid(2, 2, size, [5, 4, 3, 2], pixi()), **dict(zip((5, 4, 3, 2), TILES, strict=True))}
    assert_same(seen(build(items)), FOUR.crop((0, 0, *size)))


@pytest.mark.parametrize("tiles", [[2, 3, 4, 5, 6, 7], [2, 2, 2, 2, 2, 2], [2, 3, 2, 3, 3, 2]])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("codec", CODECS)
def test_equal_tiles_may_be_stored_once(codec: str, shared: bool, tiles: list[int]) -> None:  # noqa: FBT001 - a parameter
    """As items that share their bytes, or as one item that is named several times."""
    item, style = CODECS[codec]
    items = {1: grid(2, 3, (384, 128), tiles, pixi()), **dict.fromkeys(set(tiles), item)}
    expected = Image.new("RGB", (384, 128))
    for place in ((x, y) for x in (0, 128, 256) for y in (0, 64)):
        expected.paste(PICTURE, place)
    assert_same(seen(build(items, 1, replace(style, shared=shared))), expected)


def test_items_may_share_a_part_of_their_bytes() -> None:
    """A smaller layer of a picture is the beginning of the picture itself, as Apple's encoder writes it."""
    whole = build({1: AVIF_ITEM, 2: replace(TURNED, body=AVIF_ITEM.body)})
    at = whole.index(b"iloc")
    length = struct.pack(">I", len(AVIF_ITEM.body))
    last = whole.rindex(length, at, at + 60)
    photo = whole[:last] + struct.pack(">I", 40) + whole[last + 4 :]
    assert_same(seen(photo), PICTURE)


def test_a_layer_may_be_chosen() -> None:
    """What the properties of layers say is left to the decoder."""
    layered = (box(b"a1op", b"\0"), box(b"lsel", b"\xff\xff"), box(b"a1lx", bytes(7)))
    item = replace(with_properties(AVIF_ITEM, *layered), essential=frozenset({b"a1op", b"lsel"}))
    assert all(kept in read_bmff(build({1: item})).data for kept in layered)
    assert_same(seen(build({1: item})), PICTURE)


def test_an_overlay_and_what_it_is_made_of_are_shown() -> None:
    """Libheif puts pictures of any kind on a canvas."""
    places = struct.pack(">BB4HHHhhhh", 0, 0, 65535, 0, 0, 65535, 300, 160, 10, 20, 20, 90)
    items = {
        1: Item(b"iovl", places, (ispe(300, 160),), {b"dimg": [2, 3]}),
        2: grid(1, 2, (256, 64), [3, 4]),
        3: HEIC_ITEM,
        4: HEIC_ITEM,
    }
    expected = Image.new("RGB", (300, 160), (255, 0, 0))
    for place in ((10, 20), (138, 20), (20, 90)):
        expected.paste(PICTURE, place)
    assert_same(seen(build(items, 1, HEIC)), expected)


@pytest.mark.parametrize(
    "items",
    [
        {1: Item(b"jpeg", photos.save(PICTURE, "JPEG"), (ispe(128, 64),))},
        {1: grid(1, 2, (256, 64), [2, 3]), 2: AVIF_ITEM, 3: HEIC_ITEM},
        {1: with_properties(AVIF_ITEM), 2: with_properties(HEIC_ITEM, auxc(ALPHA_URN), auxl=[1])},
        {1: Item(b"iovl", bytes(22), (ispe(128, 64),), {b"dimg": [2]}), 2: AVIF_ITEM},
        {1: replace(with_properties(AVIF_ITEM, box(b"newp", b"?")), essential=frozenset({b"newp"}))},
    ],
    ids=[
        "another codec",
        "two codecs",
        "transparency of another codec",
        "AVIF overlay",
        "essential property",
    ],
)
def test_what_no_decoder_here_reads_is_not_called_damaged(items: Mapping[int, Item]) -> None:
    """The file is whole, only of a kind that is not read."""
    with pytest.raises(PhotoNotSupported):
        identify(build(items), LIMITS)


# -- transparency ----------------------------------------------------------------


def _alpha(item: Item, urn: bytes = ALPHA_URN, whose: int = 1) -> Item:
    return with_properties(item, auxc(urn), auxl=[whose])


ALPHAS: dict[str, bytes] = {
    "AVIF": build({1: AVIF_ITEM, 2: _alpha(coded_avif(LEFT_WHITE))}),
    "HEIC": build({1: HEIC_ITEM, 2: _alpha(coded_heic(alpha=True))}, 1, HEIC),
    "HEIC, the older name": build(
        {1: HEIC_ITEM, 2: _alpha(coded_heic(alpha=True), b"urn:mpeg:hevc:2015:auxid:1")}, 1, HEIC
    ),
    "after a depth map": build(
        {1: HEIC_ITEM, 2: _alpha(HEIC_ITEM, DEPTH_URN), 3: _alpha(coded_heic(alpha=True))}, 1, HEIC
    ),
    "of an identity": build(
        {
            1: Item(b"iden", b"", (ispe(128, 64),), {b"dimg": [2]}),
            2: AVIF_ITEM,
            3: _alpha(coded_avif(LEFT_WHITE)),
        }
    ),
    "grids": build(
        {
            1: grid(1, 1, (128, 64), [2], pixi()),
            2: AVIF_ITEM,
            3: _alpha(grid(1, 1, (128, 64), [4], pixi(1))),
            4: coded_avif(LEFT_WHITE),
        }
    ),
    "of a tile": build(
        {1: grid(1, 1, (128, 64), [2], pixi()), 2: AVIF_ITEM, 3: _alpha(coded_avif(LEFT_WHITE), whose=2)}
    ),
}


@pytest.mark.parametrize("name", ALPHAS)
def test_transparency_goes_with_the_picture(name: str) -> None:
    """Whatever it is a part of, and every pixel of it: memory that a decoder gives back is not used."""
    expected = PICTURE.copy()
    expected.putalpha(LEFT_WHITE)
    assert_same(seen(ALPHAS[name]), expected)


def test_colours_that_were_multiplied_are_divided() -> None:
    """A picture may say that its colours have been multiplied by its transparency."""
    darker = coded_avif(PICTURE.point(lambda n: n / 2))
    halves = coded_avif(Image.new("L", PICTURE.size, 128))
    found = seen(build({1: with_properties(darker, prem=[2]), 2: _alpha(halves)}))
    assert_same(found.convert("RGB"), PICTURE, 10)


def test_numbers_that_come_twice_are_given_to_the_decoder_once() -> None:
    """Decoders refuse a second nclx, though readers are to take the first."""
    photo = build({1: with_properties(AVIF_ITEM, nclx(1, 13), nclx(*PQ), nclx(*P3))})
    assert read_bmff(photo).data.count(b"nclx") == 1
    assert_same(seen(photo), PICTURE)


# -- colours -----------------------------------------------------------------------

PROFILE = photos.display_p3()
ICC = box(b"colr", b"prof" + PROFILE)


def _tiled(*properties: bytes) -> dict[int, Item]:
    """Return a grid with properties, of tiles of P3."""
    tiles = {number: with_properties(AVIF_ITEM, nclx(*P3)) for number in (2, 3)}
    return {1: grid(1, 2, (256, 64), [2, 3], pixi(), *properties), **tiles}


@pytest.mark.parametrize(
    ("items", "profile", "numbers"),
    [
        ({1: with_properties(AVIF_ITEM, nclx(*P3))}, None, P3),
        ({1: with_properties(AVIF_ITEM, nclx(*P3), nclx(*PQ))}, None, P3),
        ({1: with_properties(AVIF_ITEM, nclx(*PQ), ICC)}, PROFILE, PQ),
        ({1: with_properties(AVIF_ITEM, ICC, box(b"colr", b"prof" + photos.srgb()))}, PROFILE, None),
        ({1: with_properties(AVIF_ITEM, box(b"colr", b"rICC" + PROFILE))}, PROFILE, None),
        ({1: with_properties(AVIF_ITEM, nclx(2, 2))}, None, None),
        ({1: with_properties(AVIF_ITEM, box(b"colr", b"nclx\0"))}, None, None),
        ({1: AVIF_ITEM, 2: with_properties(AVIF_ITEM, nclx(*PQ), thmb=[1])}, None, None),
        (_tiled(), None, P3),
        (_tiled(nclx(*PQ)), None, PQ),
        (_tiled(ICC), PROFILE, None),
    ],
    ids=range(11),
)
def test_colours_are_those_of_the_picture(
    items: Mapping[int, Item], profile: bytes | None, numbers: tuple[int, int] | None
) -> None:
    """The item's own, before those of its tiles; the first of a kind; and never those of another item."""
    container = read_bmff(build(items))
    assert container.profile == profile
    assert container.space == (ColourSpace.from_cicp(*numbers) if numbers else None)


# -- crops -------------------------------------------------------------------------

DETAILED = photos.detailed((128, 64))
CROPS = {
    "centred": (("100", "50"), (14, 7, 114, 57)),
    "to the upper left": (("64", "32", "-32", "-16"), (0, 0, 64, 32)),
    "to the lower right": (("64", "32", "32", "16"), (64, 32, 128, 64)),
    "by a pixel each way": (("126", "62"), (1, 1, 127, 63)),
    "odd, so that its middle is between pixels": (("33", "31", "1/2", "-1/2"), (48, 16, 81, 47)),
    "of fractions": (("129/2", "65/2"), (31, 15, 96, 48)),
    "moved by fractions": (("64", "32", "1/2", "3/4"), (32, 16, 96, 48)),
    "of everything": (("128", "64"), (0, 0, 128, 64)),
    "larger than the picture": (("256", "64"), (0, 0, 128, 64)),
    "partly outside": (("64", "32", "50", "-30"), (82, 0, 128, 18)),
    "outside": (("64", "32", "500"), (0, 0, 128, 64)),
    "of no width": (("0", "32"), (0, 0, 128, 64)),
    "over nothing": (("64/0", "32"), (0, 0, 128, 64)),
    "of negative numbers": (("-64/-1", "32"), (0, 0, 128, 64)),
    "of enormous numbers": (("2147483647/1", "2147483647/2147483647", "2147483647", "1/2147483647"), None),
}


@pytest.mark.parametrize("crop", [crop for crop, (_, shown) in CROPS.items() if shown])
def test_an_avif_is_cropped(crop: str) -> None:
    """To the pixel, and what cannot be followed is ignored."""
    numbers, shown = CROPS[crop]
    whole = seen(build({1: coded_avif(DETAILED)}))
    photo = build({1: coded_avif(DETAILED, clap(*numbers))})
    assert_same(seen(photo), whole.crop(shown), 0)
    assert (read_bmff(photo).width, read_bmff(photo).height) == seen(photo).size


@pytest.mark.parametrize("crop", CROPS)
def test_a_heic_is_cropped_in_the_same_way(crop: str) -> None:
    """Both codecs have one rule, and no number breaks it."""
    numbers, _ = CROPS[crop]
    found = read_bmff(build({1: coded_heic(clap(*numbers))}, 1, HEIC))
    same = read_bmff(build({1: coded_avif(DETAILED, clap(*numbers))}))
    assert (found.crop, found.width, found.height) == (same.crop, same.width, same.height)
    if CROPS[crop][1]:
        whole = seen(build({1: HEIC_ITEM}, 1, HEIC))
        assert_same(seen(build({1: coded_heic(clap(*numbers))}, 1, HEIC)), whole.crop(CROPS[crop][1]), 0)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    ("turns", "transposed"),
    [
        ((irot(1),), [Image.Transpose.ROTATE_90]),
        ((irot(2),), [Image.Transpose.ROTATE_180]),
        ((irot(3),), [Image.Transpose.ROTATE_270]),
        ((imir(0),), [Image.Transpose.FLIP_TOP_BOTTOM]),
        ((imir(1),), [Image.Transpose.FLIP_LEFT_RIGHT]),
        ((irot(1), imir(0)), [Image.Transpose.ROTATE_90, Image.Transpose.FLIP_TOP_BOTTOM]),
        ((irot(3), imir(1)), [Image.Transpose.ROTATE_270, Image.Transpose.FLIP_LEFT_RIGHT]),
    ],
)
def test_a_crop_comes_before_the_turns(
    codec: str, turns: tuple[bytes, ...], transposed: list[Image.Transpose]
) -> None:
    """It is said in pixels of the picture as it is stored."""
    item, style = CODECS[codec]
    expected = PICTURE.crop((20, 30, 90, 60))
    for turn in transposed:
        expected = expected.transpose(turn)
    photo = build({1: with_properties(item, clap("70", "30", "-9", "13"), *turns)}, 1, style)
    assert_same(seen(photo), expected)


@pytest.mark.parametrize(
    ("turns", "transposed", "cut"),
    [
        ([irot(1), clap("30", "70", "-13", "-9")], [Image.Transpose.ROTATE_90], (4, 20, 34, 90)),
        ([irot(3), clap("30", "70", "13", "-9")], [Image.Transpose.ROTATE_270], (30, 20, 60, 90)),
        ([imir(1), clap("70", "30", "-9", "13")], [Image.Transpose.FLIP_LEFT_RIGHT], (20, 30, 90, 60)),
        (
            [irot(1), imir(1), clap("30", "70", "-13", "-9")],
            [Image.Transpose.ROTATE_90, Image.Transpose.FLIP_LEFT_RIGHT],
            (4, 20, 34, 90),
        ),
        (
            [imir(1), irot(1), clap("30", "70", "-13", "-9")],
            [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90],
            (4, 20, 34, 90),
        ),
        ([clap("100", "60"), clap("70", "30", "4", "5")], [], (33, 22, 103, 52)),
    ],
)
def test_a_heic_follows_the_order_of_its_properties(
    turns: list[bytes], transposed: list[Image.Transpose], cut: tuple[int, int, int, int]
) -> None:
    """As libheif does: a crop after a turn is said in pixels of the turned picture."""
    expected = PICTURE
    for turn in transposed:
        expected = expected.transpose(turn)
    assert_same(seen(build({1: coded_heic(*turns)}, 1, HEIC)), expected.crop(cut))


@pytest.mark.parametrize(
    ("turns", "same"),
    [([imir(1), irot(1)], [irot(1), imir(1)]), ([irot(1), irot(1)], [irot(1)])],
)
def test_an_avif_follows_the_order_of_its_standard(turns: list[bytes], same: list[bytes]) -> None:
    """As libavif and browsers do: crop, rotation, mirror, each once, however they are listed."""
    expected = seen(build({1: coded_avif(PICTURE, *same)}))
    assert_same(seen(build({1: coded_avif(PICTURE, *turns)})), expected, 0)


@pytest.mark.parametrize("codec", CODECS)
def test_grids_and_identities_are_cropped(codec: str) -> None:
    """A crop of what is made of others is one of the whole; an identity's comes after its picture's."""
    item, style = CODECS[codec]
    wide = Image.new("RGB", (256, 64))
    wide.paste(PICTURE, (0, 0))
    wide.paste(PICTURE, (128, 0))
    tiled = {1: grid(1, 2, (256, 64), [2, 3], clap("150", "40", "-3", "2"), irot(1)), 2: item, 3: item}
    expected = wide.crop((50, 14, 200, 54)).transpose(Image.Transpose.ROTATE_90)
    assert_same(seen(build(tiled, 1, style)), expected)
    named = {
        1: Item(b"iden", b"", (ispe(100, 50), irot(1)), {b"dimg": [2]}),
        2: with_properties(item, clap("100", "50")),
    }
    expected = PICTURE.crop((14, 7, 114, 57)).transpose(Image.Transpose.ROTATE_90)
    assert_same(seen(build(named, 1, style)), expected)


def test_transparency_is_cropped_and_turned_with_its_picture() -> None:
    """The two are one picture by then."""
    turns = (clap("70", "30", "-9", "13"), irot(1))
    expected = PICTURE.copy()
    expected.putalpha(LEFT_WHITE)
    expected = expected.crop((20, 30, 90, 60)).transpose(Image.Transpose.ROTATE_90)
    for codec, alpha in (("avif", coded_avif(LEFT_WHITE)), ("heif", coded_heic(alpha=True))):
        item, style = CODECS[codec]
        items = {1: with_properties(item, *turns), 2: _alpha(with_properties(alpha, *turns))}
        assert_same(seen(build(items, 1, style)), expected)


@pytest.mark.parametrize("codec", CODECS)
def test_limits_are_those_of_what_is_shown_and_of_what_is_decoded(codec: str) -> None:
    """A crop may not be too small, and may not hide how much there is to decode."""
    item, style = CODECS[codec]
    photo = build({1: with_properties(item, clap("15", "64"))}, 1, style)
    with pytest.raises(PhotoTooSmall) as caught:
        identify(photo, LIMITS)
    assert caught.value.params == {"width": 15, "height": 64, "minimum": 16}
    photo = build({1: with_properties(item, clap("32", "32"))}, 1, style)
    with pytest.raises(PhotoTooManyPixels):
        identify(photo, Limits(max_decoded_pixels=128 * 64 - 1))
    assert seen(photo).size == (32, 32)


# -- what is too much -----------------------------------------------------------------


def _grid_of(count: int, size: tuple[int, int], tile: Item, *, one: bool = False) -> bytes:
    numbers = [2] * count if one else list(range(2, 2 + count))
    return build({1: grid(1, min(count, 256), size, numbers, pixi()), **dict.fromkeys(numbers, tile)})


@pytest.mark.parametrize("one", [False, True], ids=["many items", "one item"])
def test_there_are_no_more_tiles_than_a_photo_has(one: bool) -> None:  # noqa: FBT001 - a parameter
    """A grid of ten thousand is refused by their number, whatever they share."""
    assert read_bmff(_grid_of(MAX_TILES, (2048, 64), TILES[0], one=one)).width == 2048
    with pytest.raises(BrokenContainer):
        read_bmff(_grid_of(MAX_TILES + 1, (2048, 64), TILES[0], one=one))


def test_tiles_may_not_be_much_more_than_their_grid() -> None:
    """A small grid does not hide large tiles, and its tiles may reach beyond its edge."""
    photo = _grid_of(16, (64, 64), AVIF_ITEM, one=True)
    with pytest.raises(PhotoTooManyPixels):
        identify(photo, Limits(max_decoded_pixels=16 * 128 * 64 * 4 // 5 - 1))
    identify(photo, Limits(max_decoded_pixels=16 * 128 * 64 * 4 // 5))


def test_canvases_inside_of_a_picture_are_counted() -> None:
    """An overlay of overlays makes each of them."""
    canvas = struct.pack(">BB4HHHhh", 0, 0, 0, 0, 0, 0, 5000, 5000, 0, 0)
    inner = {n: Item(b"iovl", canvas, (ispe(128, 64),), {b"dimg": [2]}) for n in range(10, 20)}
    outer = Item(b"iovl", canvas[:14] + bytes(4 * 10), (ispe(128, 64),), {b"dimg": list(inner)})
    with pytest.raises(PhotoTooManyPixels):
        identify(build({1: outer, 2: HEIC_ITEM, **inner}, 1, HEIC), LIMITS)


def test_shared_bytes_are_read_no_more_often_than_a_photo_needs() -> None:
    """A tile of 300 KB that is there a hundred times is 30 MB for a decoder."""
    heavy = replace(AVIF_ITEM, body=AVIF_ITEM.body + b"\x7a\xfc\xff\x0f" + bytes(262_140))
    assert read_bmff(_grid_of(10, (1280, 64), heavy)).width == 1280
    with pytest.raises(BrokenContainer):
        read_bmff(_grid_of(100, (12_800, 64), heavy))
    with pytest.raises(BrokenContainer):
        read_bmff(_grid_of(100, (12_800, 64), heavy, one=True))


@pytest.mark.parametrize(
    "items",
    [
        {1: Item(b"iden", b"", (), {b"dimg": [1]})},
        {1: Item(b"iden", b"", (), {b"dimg": [2]}), 2: Item(b"iden", b"", (), {b"dimg": [1]})},
        {1: grid(1, 1, (128, 64), [1])},
        {1: grid(1, 1, (128, 64), [2]), 2: grid(1, 1, (128, 64), [1])},
        {1: grid(1, 1, (128, 64), [])},
        {1: grid(1, 1, (128, 64), [7])},
        {1: Item(b"grid", b"\0\0\0", (ispe(128, 64),), {b"dimg": [2]}), 2: AVIF_ITEM},
        {1: Item(b"tmap", b"", (), {})},
        {1: replace(AVIF_ITEM, body=b"")},
        {2: AVIF_ITEM},
    ],
    ids=range(10),
)
def test_pictures_made_of_nothing_or_of_themselves_are_damaged(items: Mapping[int, Item]) -> None:
    """Whoever follows references comes to an end."""
    with pytest.raises(PhotoDamaged):
        decode(identify(build(items), LIMITS), 1, LIMITS)


PLACE = b"iloc\1\0\0\0D@\0\1\0\1"
"""The beginning of where the only item is; method and data reference follow."""


@pytest.mark.parametrize(
    ("found", "changed", "error"),
    [
        (PLACE + b"\0\0\0\0", PLACE + b"\0\2\0\0", PhotoNotSupported),
        (PLACE + b"\0\0\0\0", PLACE + b"\0\0\0\1", PhotoNotSupported),
        (PLACE + b"\0\0\0\0", PLACE + b"\0\1\0\0", PhotoDamaged),
        (b"infe\2\0\0\0\0\1\0\0", b"infe\2\0\0\0\0\1\0\1", PhotoNotSupported),
        (b"pitm", b"free", PhotoNotSupported),
        (b"meta", b"free", PhotoNotSupported),
        (b"iinf", b"free", PhotoNotSupported),
        (b"ipma", b"free", PhotoDamaged),
        (b"iloc", b"free", PhotoDamaged),
    ],
    ids=[
        *("in another item", "in another file", "no idat", "encrypted"),
        *("no primary item", "no items", "no kinds", "no properties", "no places"),
    ],
)
def test_items_that_are_not_here_are_not_read(found: bytes, changed: bytes, error: type[Exception]) -> None:
    """Nothing of where or what an item is is guessed."""
    photo = build({1: AVIF_ITEM})
    assert found in photo
    with pytest.raises(error):
        identify(photo.replace(found, changed), LIMITS)
