"""A finished avatar -> a card for stories: the avatar as a circle, its slogan, the campaign's address.

All lengths are in pixels of the card, y downwards. Words are set in the artwork's own units, of which a
thousand are as wide as the card.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from PIL import Image, ImageFilter

from app.frames import UNITS, Line, TextStyle
from app.render.artwork import draw_circle, only_paths, path_element, rasterise
from app.render.derived.platforms import open_avatar
from app.render.encode import JPEG_QUALITY, encode_jpeg
from app.render.resize import resize
from app.render.text.shaping import base_direction
from app.render.text.slogan import Outline, set_slogan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from app.frames import Fallback, FontsFolder, Frame
    from app.spec import AvatarSpec

WIDTH, HEIGHT = 1080, 1920
SAFE_TOP, SAFE_BOTTOM = 250, HEIGHT - 340
"""Between these the apps draw nothing of their own over a story: Instagram's guides, and WhatsApp's bars are
lower."""

PAPER, INK, SOFT_INK = "#faf6ef", "#241c18", "#665a51"
"""The pages' own: warm white and ink. The only red is the ribbon's."""

CIRCLE = 796
CIRCLE_TOP = 268
MOUNT = 10
"""White paper around the avatar, which parts a dark ribbon's edge from its shadow."""

MARGIN = 112
SLOGAN_TOP, SLOGAN_BOTTOM = 1132, 1444
"""The room that the slogan's ink is centred in."""
ADDRESS_BASELINE = 1548

LARGEST, COMFORTABLE = 118, 84
"""Type sizes, in pixels per em. A slogan is broken into lines until it can be set comfortably."""
MOST_LINES = 3
ADDRESS_SIZE = 42

LEADING = 1.16
"""Least distance of baselines, in ems."""
CLEARANCE = 0.2
"""Least distance of one line's ink from the next one's, in ems; Nastaliq needs more than its leading."""

_EXPLICIT = re.compile("[\u202a-\u202e\u2066-\u2069]")
_LEFT_TO_RIGHT_MARK, _RIGHT_TO_LEFT_MARK = "\u200e", "\u200f"


def draw_story(avatar: bytes, spec: AvatarSpec, address: str, frame: Frame) -> bytes:
    """Draw the card.

    Args:
        avatar: A finished avatar, a square JPEG of ours.
        spec: What it was made by: its slogan, or its language.
        address: Where the campaign is found, such as ``ribbons.example``; none where it is empty.
        frame: The spec's.

    Returns:
        A JPEG, 4:4:4, of 1080 x 1920 pixels.

    Raises:
        PhotoError: The avatar is not whole.
        MissingGlyphs: The frame's fonts lack a character of the address.
    """
    circle = resize(open_avatar(avatar), (CIRCLE, CIRCLE))
    card = _ground().copy()
    card.paste(circle, ((WIDTH - CIRCLE) // 2, CIRCLE_TOP), draw_circle(CIRCLE))
    words = rasterise(only_paths(*_words(frame, spec, address)), WIDTH, frame.id)
    card.paste(words.convert("RGB"), (0, HEIGHT - WIDTH), words.getchannel("A"))
    return encode_jpeg(card, JPEG_QUALITY)


@lru_cache(maxsize=1)
def _ground() -> Image.Image:
    """Return the empty card: paper, and the mount that the avatar lies on. The same for everyone."""
    card = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    side = CIRCLE + 2 * MOUNT
    at = (WIDTH - side) // 2, CIRCLE_TOP - MOUNT
    mount = draw_circle(side)
    for drop, blur, strength in ((26, 34, 0.20), (5, 6, 0.12)):
        shadow = Image.new("L", card.size)
        shadow.paste(mount, (at[0], at[1] + drop))
        shadow = shadow.filter(ImageFilter.GaussianBlur(blur))
        card.paste(INK, (0, 0, *card.size), shadow.point(lambda value, by=strength: value * by))
    card.paste("white", (*at, at[0] + side, at[1] + side), mount)
    return card


# -- words -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Type:
    """What a line is set in."""

    fonts: tuple[str, ...]
    fallback: tuple[Fallback, ...]
    fonts_folder: FontsFolder
    language: str

    def set(self, words: str, size: float) -> Outline:
        """Set a line across the card, between its margins, as large as ``size`` pixels per em.

        It is not placed yet: its baseline is at :data:`_MIDDLE`.
        """
        side = MARGIN / _SCALE
        style = TextStyle(
            fonts=self.fonts,
            fallback=self.fallback,
            largest=size / _SCALE,
            smallest=1,
            above=UNITS,
            below=UNITS,
            shift=0,
            baseline=Line(kind="line", start=(side, _MIDDLE), end=(UNITS - side, _MIDDLE)),
            language=self.language,
        )
        return set_slogan(words, style, self.fonts_folder)


_SCALE = WIDTH / UNITS
_MIDDLE = UNITS / 2


def _words(frame: Frame, spec: AvatarSpec, address: str) -> Iterator[str]:
    """Yield the card's words as SVG elements."""
    lines = _set_texts(frame, spec)
    baselines = _baselines(lines)
    start = (SLOGAN_TOP + SLOGAN_BOTTOM - _height(lines)) / 2 + _rise(lines[0])
    for line, baseline in zip(lines, baselines, strict=True):
        yield _at(start + baseline, line, INK)
    # What is read out and typed: no scheme. From left to right, whatever its first letter is.
    name = re.sub(r"^https?://|/+$", "", address)
    if name:
        # A frame names its boldest typeface first, for the slogan; this is to be quieter.
        quiet = _Type(frame.texts[0].fonts[::-1], frame.fallback, frame.fonts_folder, "en")
        yield _at(ADDRESS_BASELINE, quiet.set(_LEFT_TO_RIGHT_MARK + name, ADDRESS_SIZE), SOFT_INK)


def _at(baseline: float, line: Outline, fill: str) -> str:
    """Return a line with its baseline at a height of the card, in the square at the card's foot."""
    down = (baseline - (HEIGHT - WIDTH)) / _SCALE - _MIDDLE
    return f'<g transform="translate(0 {down:.2f})">{path_element(line, fill)}</g>'


def _set_texts(frame: Frame, spec: AvatarSpec) -> list[Outline]:
    """Set what the avatar says: a slogan in as few lines as are read with ease, or each text of the frame."""
    texts = [text for text in frame.texts if text.custom] if spec.slogan else frame.texts
    types = [
        _Type(text.style(spec.lang).fonts, frame.fallback, frame.fonts_folder, spec.lang) for text in texts
    ]
    slogans = [spec.slogan or text.languages[spec.lang].slogan for text in texts]
    if len(texts) > 1:
        return _set_in_room(list(zip(slogans, types, strict=True)), [LARGEST] * len(texts))
    best: list[Outline] = []
    for broken in _ways_to_break(slogans[0], spec.lang):
        lines = [(words, types[0]) for words in broken]
        narrowest = min(type_.set(words, LARGEST).size for words, type_ in lines) * _SCALE
        setting = _set_in_room(lines, [narrowest] * len(lines))
        if not best or setting[0].size > best[0].size:
            best = setting
        if best[0].size * _SCALE >= COMFORTABLE:
            break
    return best


def _ways_to_break(slogan: str, language: str) -> Iterator[Sequence[str]]:
    """Yield a slogan in one line, in two, and so on, each time in lines as even as they can be.

    Every line keeps the whole slogan's direction (UAX #9, 3.4), told by a mark. A slogan that steers its own
    order is not broken: what it opens in one line it would close in the next.
    """
    yield [slogan]
    words = slogan.split()
    if _EXPLICIT.search(slogan):
        return
    mark = _RIGHT_TO_LEFT_MARK if base_direction(slogan, language) else _LEFT_TO_RIGHT_MARK
    for count in range(2, min(MOST_LINES, len(words)) + 1):
        breaks = ((0, *inner, len(words)) for inner in combinations(range(1, len(words)), count - 1))
        ways = ([" ".join(words[a:b]) for a, b in pairwise(places)] for places in breaks)
        yield [mark + line for line in min(ways, key=lambda lines: max(map(len, lines)))]


def _set_in_room(lines: Sequence[tuple[str, _Type]], sizes: Sequence[float]) -> list[Outline]:
    """Set lines at sizes, or at smaller ones of the same proportion where the room is not high enough."""
    setting = [type_.set(words, size) for (words, type_), size in zip(lines, sizes, strict=True)]
    excess = _height(setting) / (SLOGAN_BOTTOM - SLOGAN_TOP)
    if excess <= 1:
        return setting
    smaller = [line.size * _SCALE / excess for line in setting]
    return [type_.set(words, size) for (words, type_), size in zip(lines, smaller, strict=True)]


def _height(lines: Sequence[Outline]) -> float:
    """Return the height of the ink of lines under each other, in pixels."""
    return _rise(lines[0]) + _baselines(lines)[-1] + _fall(lines[-1])


def _baselines(lines: Sequence[Outline]) -> list[float]:
    """Return how far each line's baseline is below the first one's, in pixels."""
    baselines = [0.0]
    for above, below in pairwise(lines):
        apart = _fall(above) + _rise(below) + CLEARANCE * min(above.size, below.size) * _SCALE
        baselines.append(baselines[-1] + max(apart, LEADING * below.size * _SCALE))
    return baselines


def _rise(line: Outline) -> float:
    """Return how far a line's ink is above its baseline, in pixels."""
    return (_MIDDLE - line.box[1]) * _SCALE


def _fall(line: Outline) -> float:
    """Return how far a line's ink is below its baseline, in pixels."""
    return (line.box[3] - _MIDDLE) * _SCALE
