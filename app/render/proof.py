"""Prove a frame before anyone wears it (``ribbons frames check``), and show it (``ribbons frames sheet``)."""

from __future__ import annotations

import io
from math import ceil
from typing import TYPE_CHECKING, cast

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from app.errors import InvalidFrame, RibbonsError
from app.frames import UNITS
from app.render.artwork import (
    check_artwork,
    draw_circle,
    draw_ground,
    kept_ground,
    only_paths,
    path_element,
    rasterise,
    set_text,
)
from app.render.avatar import make_avatar
from app.render.resize import resize
from app.render.text.shaping import Font, FontStack, Item, Segment, itemise, lay_out
from app.render.text.slogan import open_fonts
from app.spec import DEFAULT_SIZE, AvatarSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from app.frames import Frame, Text
    from app.render.overlay import Overlays
    from app.render.text.slogan import Outline

ALIKE = {"high": 0.05, "heavy": 0.15}
"""How far the letters of a fallback may be from a text's own, as fractions of these: in height, and in the
width of a stem. An eye sees more than that side by side."""

_STEMS = {
    "ا": Segment(rtl=True, script="Arab", language="ar"),
    "l": Segment(rtl=False, script="Latn", language="en"),
}
"""Letters of one upright stem, as high as letters are: in height and width of their ink two faces compare."""

LEGIBLE = 50
"""Least type size, in units, of a frame's own words in letters as high as Cairo's: 4.8 px of a list's 96."""

LETTER_HEIGHT = 0.7
"""Height of an alef and of an l in Cairo, in ems."""

PROOF_SIZE = 500
"""Side of the raster that a frame is proved on; one pixel is two units."""

EDGE = 8
"""Units that text keeps from the circle's edge: platforms crop a hair inside it."""

CONTRAST = 4.5
"""WCAG 2.2, success criterion 1.4.3 (AA)."""

FACE_OPACITY = 0.05
"""How much of a shadow may fall on the face; an eye does not see less."""


def check_frame(frame: Frame) -> list[str]:
    """Return what is wrong with a frame, a sentence for each finding; an empty list when it is sound.

    Proved are: the artwork is safe and draws; every slogan in every language fits, has all its glyphs and is
    at least :data:`LEGIBLE` units large; text stays inside the circle and has a contrast of at least 4.5:1
    with its ground over any photo; neither text nor artwork covers the face; the fallback is as high and as
    heavy as the texts' own first font; and a picture of the artwork that lies beside it shows what is drawn.
    """
    try:
        check_artwork(frame)
        bare = rasterise(frame.artwork, PROOF_SIZE, frame.id)
    except RibbonsError as exc:
        return [_reason(exc)]
    findings = [
        *_check_kept(frame),
        *_check_face(frame, bare.getchannel("A"), "artwork.svg"),
        *_check_fallback(frame),
    ]
    for language in frame.languages:
        for number, text in enumerate(frame.texts, 1):
            place = f"frame.toml: text[{number}].languages.{language}"
            findings += _check_text(frame, text, language, bare, place)
    return findings


def _check_kept(frame: Frame) -> Iterator[str]:
    """Every avatar of the proposed size would show what is in that picture."""
    path = kept_ground(frame, DEFAULT_SIZE)
    if not path.exists():
        return
    drawn = rasterise(frame.artwork, DEFAULT_SIZE, frame.id)
    if draw_ground(frame, DEFAULT_SIZE).tobytes() != drawn.tobytes():
        yield f"{path.name}: it is not what artwork.svg draws. Remove it."


def _reason(error: RibbonsError) -> str:
    """Say what is wrong without the frame's name, which whoever proves it knows."""
    return str(error.params["reason"] if isinstance(error, InvalidFrame) else error)


def _check_text(frame: Frame, text: Text, language: str, bare: Image.Image, place: str) -> Iterator[str]:
    try:
        outline = set_text(frame, text, language)
    except RibbonsError as exc:
        yield f"{place}: {_reason(exc)}"
        return
    yield from _check_size(frame, text, language, outline, place)
    ink = rasterise(only_paths(path_element(outline, text.fill)), PROOF_SIZE, frame.id).getchannel("A")
    if _reaches_edge(ink):
        yield f"{place}: the text comes within {EDGE} units of the circle's edge"
    yield from _check_face(frame, ink, place)
    contrast = min(_contrast(text.fill, _ground(bare, photo), ink) for photo in ("#000000", "#ffffff"))
    if contrast < CONTRAST:
        yield f"{place}: contrast with the ground is {contrast:.1f}:1, less than {CONTRAST}:1"


def _check_size(frame: Frame, text: Text, language: str, outline: Outline, place: str) -> Iterator[str]:
    """A supporter's own words may be smaller, down to ``smallest``: what they say is theirs to choose."""
    height = _lowest_letters(frame, text, language)
    size = round(outline.size * height, 1)
    if size < LEGIBLE:
        wanted = ceil(LEGIBLE / height)
        is_free = outline.size == frame.style(text, language).largest
        cure = f"raise largest to {wanted}" if is_free else "use shorter words, or give them more room"
        yield f"{place}: its letters are read as type of {size} units, less than {LEGIBLE}: {cure}"


def _lowest_letters(frame: Frame, text: Text, language: str) -> float:
    """Return how high the letters of a text's lowest face are beside Cairo's at one type size, at most 1.

    Higher letters count for no more: Nastaliq's alef is 0.86 em high, but its words have half the ink. A
    script without a letter in :data:`_STEMS` counts as high as Cairo.
    """
    stack = FontStack(open_fonts(frame.style(text, language), frame.fonts_folder))
    heights = [
        high
        for item in itemise(text.languages[language].slogan, language, stack)
        for letter, (_, high) in _stems(item.font).items()
        if _STEMS[letter].script == item.segment.script
    ]
    return min([LETTER_HEIGHT, *heights]) / LETTER_HEIGHT


def _check_fallback(frame: Frame) -> Iterator[str]:
    """Compare each fallback with the texts' first fonts, in the stems of the letters that both have."""
    for own_name in dict.fromkeys(text.fonts[0] for text in frame.texts):
        own = _stems(Font(frame.font_path(own_name)))
        for number, fallback in enumerate(frame.fallback, 1):
            font = Font(frame.font_path(fallback.font), fallback.scale)
            place = f"frame.toml: fallback[{number}]"
            if not font.characters:
                yield f"{place}.font: {fallback.font} is no font"
            stems = _stems(font)
            shared = [letter for letter in own if letter in stems]
            heights = {letter: stems[letter][1] / own[letter][1] for letter in shared}
            if finding := _unlike_in_height(heights, fallback.scale, own_name):
                yield f"{place}: {finding}"
            for letter, high in heights.items():
                heavy = stems[letter][0] / own[letter][0] / high
                if abs(heavy - 1) > ALIKE["heavy"]:
                    stem = f"the stem of its {letter} would be {heavy:.0%} as heavy as that of {own_name}"
                    yield f"{place}.font: as high, {stem}"


def _unlike_in_height(heights: Mapping[str, float], scale: float, own_name: str) -> str | None:
    """Say by which one scale a fallback's letters come nearest to the height of the own font's, or None.

    Args:
        heights: How high each letter is beside the own font's, at ``scale``.
        scale: The fallback's.
        own_name: What it is compared with.
    """
    if all(abs(high - 1) <= ALIKE["high"] for high in heights.values()):
        return None
    middle = (min(heights.values()) + max(heights.values())) / 2
    if all(abs(high / middle - 1) <= ALIKE["high"] for high in heights.values()):
        return f"scale = {scale / middle:.2f} would make it as high as {own_name}"
    wanted = " and ".join(f"{scale / high:.2f} its {letter}" for letter, high in heights.items())
    return f"no scale makes it as high as {own_name}: {wanted}"


def _stems(font: Font) -> dict[str, tuple[float, float]]:
    """Return the width and the height, in ems, of each letter of :data:`_STEMS` that a font has."""
    found = {}
    for letter, segment in _STEMS.items():
        if font.draws(letter, segment):
            left, bottom, right, top = lay_out([Item(letter, 0, 1, segment, font)]).box
            if right > left:
                found[letter] = (right - left, top - bottom)
    return found


def _reaches_edge(ink: Image.Image) -> bool:
    margin = round(EDGE * PROOF_SIZE / UNITS)
    outside = Image.new("L", ink.size, 255)
    inner = ink.width - 2 * margin
    outside.paste(ImageChops.invert(draw_circle(inner)), (margin, margin))
    return ImageChops.multiply(ink, outside).getbbox() is not None


def _ground(bare: Image.Image, photo: str) -> Image.Image:
    """Return what lies behind the text when the photo is of one colour."""
    ground = Image.new("RGB", bare.size, photo)
    ground.paste(bare, mask=bare)
    return ground


def _contrast(fill: str, ground: Image.Image, ink: Image.Image) -> float:
    """Return the least contrast ratio of the text with the ground under it and a pixel's breadth around."""
    near = ink.filter(ImageFilter.MaxFilter(3))
    text = _luminance(*(int(fill[place : place + 2], 16) for place in (1, 3, 5)))
    under = ground.copy()
    under.putalpha(near.point(lambda value: 255 if value else 0))
    found = cast("list[tuple[int, tuple[int, int, int, int]]]", under.getcolors(under.width * under.height))
    return min(_ratio(text, _luminance(*colour[:3])) for _, colour in found if colour[3])


def _luminance(*channels: int) -> float:
    """Return the relative luminance of an sRGB colour (WCAG 2.2)."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in channels)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _ratio(one: float, other: float) -> float:
    lighter, darker = max(one, other), min(one, other)
    return (lighter + 0.05) / (darker + 0.05)


def _check_face(frame: Frame, drawn: Image.Image, place: str) -> Iterator[str]:
    scale = PROOF_SIZE / UNITS
    (x, y), radius = frame.face.center, frame.face.radius
    face = Image.new("L", drawn.size, 0)
    box = [round(value * scale) for value in (x - radius, y - radius, x + radius, y + radius)]
    ImageDraw.Draw(face).ellipse(box, fill=255)
    covered = ImageChops.multiply(drawn, face)
    too_dark = covered.point([255 * (level > FACE_OPACITY * 255) for level in range(256)])
    if area := too_dark.getbbox():
        darkest = cast("tuple[int, int]", covered.getextrema())[1]
        left, top, right, bottom = (round(edge / scale) for edge in area)
        covers = f"it covers the face by up to {darkest / 255:.0%}"
        yield f"{place}: {covers}, between ({left}, {top}) and ({right}, {bottom})"


SHEET_SIZES = (1080, 320, 96, 48)
"""What platforms show: the full picture, a profile page, a comment, a list."""

_GAP = 60


def draw_sheet(overlays: Overlays, portrait: bytes) -> Image.Image:
    """Draw every frame of the library, a row each, in circles over a portrait.

    The smaller pictures are the avatar of 1080 px scaled down, as platforms do it: what is seen at 48 px is
    what people will see, not a drawing made for that size.

    Args:
        overlays: Gives the library and draws its frames.
        portrait: The photo to show them over, in any format that is read.

    Returns:
        RGB, on white.

    Raises:
        RibbonsError: A frame or the portrait cannot be drawn.
    """
    largest, *smaller = SHEET_SIZES
    width = _GAP * 3 + largest + smaller[0]
    height = _GAP + (largest + _GAP) * len(overlays.frames)
    sheet = Image.new("RGB", (width, height), "#ffffff")
    for row, frame in enumerate(overlays.frames):
        # The same square under every frame: they are compared, and the portrait is not.
        spec = AvatarSpec(
            frame=frame.id, lang=frame.languages[0], shape="circle", size=largest, x=0.5, y=0.5, zoom=1
        )
        avatar = Image.open(io.BytesIO(make_avatar(portrait, spec, overlays).content), formats=["PNG"])
        top = _GAP + row * (largest + _GAP)
        sheet.paste(avatar, (_GAP, top), avatar)
        for size in smaller:
            small = resize(avatar, (size, size))
            sheet.paste(small, (_GAP * 2 + largest + (smaller[0] - size) // 2, top), small)
            top += size + _GAP
    return sheet
