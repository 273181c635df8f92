from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageChops

from app.errors import PhotoError
from app.jobs import Studio
from app.render.artwork import draw_circle
from app.render.derived.platforms import PLATFORMS
from app.render.derived.story import (
    ADDRESS_BASELINE,
    CIRCLE,
    CIRCLE_TOP,
    MARGIN,
    PAPER,
    SAFE_BOTTOM,
    SAFE_TOP,
    SLOGAN_BOTTOM,
    SLOGAN_TOP,
    WIDTH,
    _ways_to_break,
    draw_story,
)
from app.render.limits import Limits
from app.spec import AvatarSpec
from app.texts.languages import PAGE_LANGUAGES
from tests import photos

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from app.frames import FrameLibrary

ADDRESS = "https://ribbons.example"
LONG_ADDRESS = "https://a-very-long-name.of-a-campaign.prisoners-solidarity-network.example.org:8443"
ARABIC = "لن ننسى أسيراتنا وأسرانا حتى يعودوا إلى بيوتهم أحرارًا"
ENGLISH = "Bring every prisoner home, today and not tomorrow, to all"
URDU = "ہمارے تمام قیدی بھائیوں کو آج ہی گھر واپس لاؤ"

LANGUAGES = tuple(PAGE_LANGUAGES)
FRAMES = ("red-ribbons", "ribbon-loop", "january-31")
SPECS = [
    *(AvatarSpec(frame=frame, lang=lang) for frame in FRAMES for lang in LANGUAGES),
    AvatarSpec(frame="red-ribbons", slogan=ARABIC),
    AvatarSpec(frame="red-ribbons", slogan=ENGLISH, lang="en"),
    AvatarSpec(frame="red-ribbons", slogan=URDU, lang="ur"),
    AvatarSpec(slogan="حرّة", frame="ribbon-loop"),
    AvatarSpec(frame="red-ribbons", slogan="ا" * 60),
    AvatarSpec(frame="red-ribbons", slogan="#أنقذوا_الأسرى Free them in 2026 الآن وليس غدًا"),
    AvatarSpec(frame="red-ribbons", slogan="\u2067حرية للأسرى \u2066now\u2069 الآن\u2069 والآن"),
]


def opened(data: bytes) -> Image.Image:
    """Return a story, decoded."""
    image = Image.open(io.BytesIO(data))
    image.load()
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (1080, 1920))
    return image


def ink(card: Image.Image, top: int, bottom: int) -> NDArray[np.bool_]:
    """Return where a strip of the card holds more than paper and shadow."""
    grey = np.asarray(card.convert("L"))[top:bottom]
    return grey < 140


@pytest.mark.golden
def test_a_story_looks_as_it_did(
    avatar: bytes, frames: FrameLibrary, golden: Callable[[Image.Image, str], None]
) -> None:
    """A designer has looked at this picture and found it right."""
    card = opened(draw_story(avatar, AvatarSpec(frame="red-ribbons"), ADDRESS, frames.get("red-ribbons")))
    golden(card.resize((360, 640), Image.Resampling.BOX), "story")


def test_the_circle_holds_the_avatar(avatar: bytes, frames: FrameLibrary) -> None:
    """All of the avatar that a circle shows, at the place and size that the layout says."""
    card = opened(draw_story(avatar, AvatarSpec(frame="red-ribbons"), ADDRESS, frames.get("red-ribbons")))
    left = (WIDTH - CIRCLE) // 2
    shown = card.crop((left, CIRCLE_TOP, left + CIRCLE, CIRCLE_TOP + CIRCLE))
    expected = Image.open(io.BytesIO(avatar)).resize((CIRCLE, CIRCLE), Image.Resampling.LANCZOS)
    inside = np.asarray(draw_circle(CIRCLE)) == 255
    difference = np.asarray(ImageChops.difference(shown, expected), float)[inside]
    assert difference.mean() < 3
    assert np.percentile(difference, 99) < 25
    outside = np.asarray(shown)[0, 0]
    assert np.abs(outside - np.array((0xFA, 0xF6, 0xEF))).max() < 40


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.frame}-{spec.lang}-{spec.slogan}")
def test_words_stand_in_the_safe_zone(avatar: bytes, frames: FrameLibrary, spec: AvatarSpec) -> None:
    """Each slogan has ink, in its own room and between the margins; so has the address; nothing else has."""
    address = LONG_ADDRESS if spec.slogan else ADDRESS
    content = draw_story(avatar, spec, address, frames.get(spec.frame))
    assert len(content) < 1_000_000
    card = opened(content)
    for top, bottom in ((SLOGAN_TOP, SLOGAN_BOTTOM), (ADDRESS_BASELINE - 50, SAFE_BOTTOM)):
        rows, columns = np.nonzero(ink(card, top, bottom))
        assert rows.size
        assert columns.min() >= MARGIN - 2
        assert columns.max() <= WIDTH - MARGIN + 2
        assert abs((columns.min() + columns.max()) / 2 - WIDTH / 2) < 4, "centred"
    slogan = ink(card, SLOGAN_TOP - 30, SLOGAN_BOTTOM + 30).any(axis=1)
    heights = np.nonzero(slogan)[0]
    assert heights.max() - heights.min() >= 20, "legible"
    for top, bottom in (
        (0, SAFE_TOP),
        (CIRCLE_TOP + CIRCLE + 20, SLOGAN_TOP - 2),
        (SLOGAN_BOTTOM + 2, ADDRESS_BASELINE - 50),
        (SAFE_BOTTOM, 1920),
    ):
        assert not ink(card, top, bottom).any()
    paper = Image.new("RGB", (1, 1), PAPER).getpixel((0, 0))
    assert np.abs(np.asarray(card)[SAFE_BOTTOM:].astype(int) - np.array(paper)).max() <= 2


def test_each_slogan_gives_its_own_card(avatar: bytes, frames: FrameLibrary) -> None:
    """Words come from the spec: its own ones, or else its frame's in its language."""
    cards = {draw_story(avatar, spec, ADDRESS, frames.get(spec.frame)) for spec in SPECS[:4] + SPECS[-2:]}
    assert len(cards) == 6


def test_long_words_of_ones_own_are_broken_into_lines(avatar: bytes, frames: FrameLibrary) -> None:
    """Sixty characters in one line would be hard to read; in three they are not."""
    for slogan, lang in ((ARABIC, "ar"), (ENGLISH, "en")):
        spec = AvatarSpec(frame="red-ribbons", slogan=slogan, lang=lang)
        card = opened(draw_story(avatar, spec, ADDRESS, frames.get("red-ribbons")))
        filled = ink(card, SLOGAN_TOP, SLOGAN_BOTTOM).any(axis=1)
        heights = np.nonzero(filled)[0]
        assert heights.max() - heights.min() > 220


def test_a_line_keeps_the_direction_of_the_whole() -> None:
    """A Latin word that a break brings to the front of a line does not turn an Arabic line around."""
    arabic = list(_ways_to_break("حرية للأسرى FREEDOM الآن", "ar"))
    assert arabic[1] == ["\u200fحرية للأسرى", "\u200fFREEDOM الآن"]
    english = list(_ways_to_break("Freedom now الآن كلهم", "ar"))
    assert english[1] == ["\u200eFreedom now", "\u200eالآن كلهم"]


def test_words_that_steer_their_own_order_are_not_broken() -> None:
    """What they open in one line they would close in the next."""
    assert len(list(_ways_to_break("\u2067حرية \u2066now\u2069 الآن\u2069 والآن", "ar"))) == 1


def test_an_address_is_written_as_it_is_typed(avatar: bytes, frames: FrameLibrary) -> None:
    """Without scheme and slash; and without an address the card is drawn all the same."""
    red = frames.get("red-ribbons")
    plain = draw_story(avatar, AvatarSpec(frame="red-ribbons"), "ribbons.example", red)
    for address in ("https://ribbons.example", "http://ribbons.example/", "ribbons.example//"):
        assert draw_story(avatar, AvatarSpec(frame="red-ribbons"), address, red) == plain
    bare = opened(draw_story(avatar, AvatarSpec(frame="red-ribbons"), "", red))
    assert not ink(bare, SLOGAN_BOTTOM + 2, 1920).any()


def test_nothing_but_pixels_goes_out(avatar: bytes, frames: FrameLibrary) -> None:
    """What hung on the avatar does not hang on the card."""
    marked = photos.with_jpeg_segments(avatar, photos.jpeg_segment(0xFE, photos.CANARY))
    assert photos.CANARY not in draw_story(
        marked, AvatarSpec(frame="red-ribbons"), ADDRESS, frames.get("red-ribbons")
    )


def test_a_damaged_avatar_is_one_of_our_errors(avatar: bytes, frames: FrameLibrary) -> None:
    """However it came apart in the store."""
    for broken in (b"", b"nothing", avatar[: len(avatar) // 2]):
        with pytest.raises(PhotoError):
            draw_story(broken, AvatarSpec(frame="red-ribbons"), ADDRESS, frames.get("red-ribbons"))


@pytest.fixture(scope="module")
def studio(root: Path) -> Studio:
    """What a worker draws with."""
    return Studio((root / "frames",), root / "fonts", 10_000_000, Limits())


def test_the_collection_holds_every_picture_and_says_nothing_else(avatar: bytes, studio: Studio) -> None:
    """The same bytes as each by itself; no date, no owner, no comment."""
    spec = AvatarSpec(frame="red-ribbons", lang="en")
    content = studio.draw_collection(avatar, spec, ADDRESS)
    assert content == studio.draw_collection(avatar, spec, ADDRESS)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        files = {info.filename: archive.read(info) for info in archive.infolist()}
        assert archive.comment == b""
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert (info.extra, info.comment) == (b"", b"")
    assert files.pop("red-ribbons.jpg") == avatar
    assert files.pop("red-ribbons-story.jpg") == studio.draw_story(avatar, spec, ADDRESS)
    assert files == {f"red-ribbons-{key}.jpg": studio.draw_platform(avatar, key) for key in PLATFORMS}


def test_a_damaged_avatar_gives_no_collection(avatar: bytes, studio: Studio) -> None:
    """Not one with some pictures in it."""
    with pytest.raises(PhotoError):
        studio.draw_collection(avatar[:1000], AvatarSpec(frame="red-ribbons"), ADDRESS)
