"""Every face that we ship, glyph by glyph: an upgrade of HarfBuzz that moves something is seen here.

When ``test_glyphs_stand_where_they_did`` fails, look at the words it names before ``make goldens``.
"""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from app.render.artwork import only_paths, rasterise
from app.render.text.bend import path_data
from app.render.text.shaping import Font, Segment
from tests.conftest import GOLDENS, ROOT
from tests.render.text.specimens import RUQAA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from app.render.text.bend import Contour

FACES = sorted(path.relative_to(ROOT / "fonts").as_posix() for path in ROOT.glob("fonts/*/*.ttf"))

WORDS = {
    "Arab": [
        # Letters that kerning raises, ة alone and joined, lam-alef, dots above and below, tooth after tooth.
        *("ثورة", "غزّة", "شهيدة", "مدرسة", "الحرية", "للأسرى", "بلا", "لآلئ", "تثبيت", "يتيم", "حجج"),
        # Vowel signs alone, on shadda, and on a ligature.
        *("حُرِّيَّةٌ", "لِلْأَسْرَى", "عِيشِي", "إِلَٰهٌ", "الله"),
        *("اسیروں", "ٹھہرے", "چاہیے", "پنجگانه", "گڑیا", "٠١٢٣٤", "۴۵۶۷"),
        *("ڕۆژی", "ئۇيغۇر", "ڳالھيون", "ښځې", "ڤڠݢيلن", "كٓهيعٓصٓ", "صَلَّىٰۖ", "۝١٢", "ﷺ"),
    ],
    "Latn": ["AVATAR", "Tolyo", "Freiheit", "STRAẞE", "özgürlük", "Vượt", "Ọ̀ṣun", "ɓaɗe", "1948"],
    "Cyrl": ["Свобода", "Ўзбекистон"],
    "Grek": ["Ελευθερία"],
}
"""By script. Each face shows those that it has every letter of."""


def rtl(script: str) -> bool:
    """Whether a script of the words is read from right to left."""
    return script == "Arab"


def shaped(font: Font, word: str, script: str) -> Any:
    """Return a word's glyphs, from left to right."""
    return font.shape(word, 0, len(word), Segment(rtl=rtl(script), script=script, language="ar"))


def positions(face: str) -> Iterator[str]:
    """Yield a line for each word that a face has: its glyphs from left to right, and the word.

    A glyph is its name, its offset where it has one, and its advance, in font units. The word comes last, so
    that an editor leaves the rest from left to right.
    """
    font = Font(ROOT / "fonts" / face)
    for script, words in WORDS.items():
        for word in words:
            buffer = shaped(font, word, script)
            if not all(info.codepoint for info in buffer.glyph_infos):
                continue
            glyphs = []
            for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
                x, y = position.x_offset, position.y_offset
                offset = f"@{x},{y}" if x or y else ""
                glyphs.append(f"{font._font.glyph_to_string(info.codepoint)}{offset}+{position.x_advance}")
            yield f"  {' '.join(glyphs)}  {word}"


@pytest.mark.golden
def test_glyphs_stand_where_they_did(request: pytest.FixtureRequest) -> None:
    """Glyphs, advances and offsets of known words are those that somebody has looked at, in every face."""
    path = GOLDENS / "glyph-positions.txt"
    text = "".join(f"{face}\n" + "".join(f"{line}\n" for line in positions(face)) for face in FACES)
    if request.config.getoption("--regenerate-goldens"):
        path.write_text(text, encoding="utf-8")
    assert text.splitlines() == path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("face", FACES)
def test_every_face_is_compared(face: str) -> None:
    """No face is left out because it lacks the words."""
    assert sum(1 for _ in positions(face)) >= 8


# -- dots ------------------------------------------------------------------------

TEH_MARBUTA = [
    "ة",
    "ثورة",
    "غزة",
    "شهيدة",
    "مدرسة",
    "حرة",
    "زهرة",
    "دائرة",
    "عودة",
    "قوة",
    "حياة",
    "مسيرة",
    "ذرة",
]
FALL = 0.146j
"""How far Aref Ruqaa's kerning raises ة after ر, in ems."""

ARABIC_FACES = [face for face in FACES if "noto-sans" not in face]


def last_letter(font: Font, word: str) -> list[Contour]:
    """Return the outlines of a word's last letter, with its dots, as it stands in the word."""
    buffer = shaped(font, word, "Arab")
    contours: list[Contour] = []
    for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        if info.cluster == len(word) - 1:
            # It is the first from the left, and no glyph of one cluster but its base has an advance.
            contours += font.draw(info.codepoint, complex(position.x_offset, position.y_offset) / font.em)
    return contours


def ink(contours: list[Contour]) -> NDArray[np.bool_]:
    """Return outlines as a raster of 100 pixels an em, x from -0.5 em, the baseline at its middle."""
    moved = [[tuple(complex(z.real + 0.5, 1 - z.imag) * 500 for z in curve) for curve in c] for c in contours]
    path = "".join(path_data(contour) for contour in moved)  # type: ignore[arg-type]  # four points stay four
    return np.asarray(rasterise(only_paths(f'<path d="{path}"/>'), 200, "letter").getchannel("A")) > 127


def pieces(raster: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return what hangs together in a raster, each on a raster of its own, the largest first."""
    waiting = {(int(y), int(x)) for y, x in np.argwhere(raster)}
    found = []
    while waiting:
        piece = np.zeros_like(raster)
        front = [waiting.pop()]
        while front:
            y, x = front.pop()
            piece[y, x] = True
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & waiting
            waiting -= near
            front += near
        found.append(piece)
    return sorted(found, key=np.count_nonzero, reverse=True)


def dots_are_above(letter: NDArray[np.bool_]) -> bool:
    """Whether a letter has dots, and each stands over its body, wherever both are in one column."""
    body, *dots = pieces(letter)
    for dot in dots:
        shared = body.any(axis=0) & dot.any(axis=0)
        lowest = len(dot) - 1 - dot[::-1, shared].argmax(axis=0)
        if (lowest >= body[:, shared].argmax(axis=0)).any():
            return False
    return bool(dots)


@pytest.mark.parametrize("face", ARABIC_FACES)
def test_dots_lie_above_the_last_letter(face: str) -> None:
    """ة keeps its dots clear above it, also where kerning raises it (Aref Ruqaa, ثورة)."""
    font = Font(ROOT / "fonts" / face)
    assert [word for word in TEH_MARBUTA if not dots_are_above(ink(last_letter(font, word)))] == []


def test_fallen_dots_are_seen_as_fallen() -> None:
    """The test above sees the fault it is for: the letter raised by kerning, its dots where they were."""
    letter = last_letter(Font(ROOT / "fonts" / RUQAA), "ثورة")
    dots, body = letter[:1], letter[1:]
    fallen: list[Contour] = [
        [(a - FALL, b - FALL, c - FALL, d - FALL) for a, b, c, d in contour] for contour in dots
    ]
    assert dots_are_above(ink(dots + body))
    assert not dots_are_above(ink(fallen + body))


def test_aref_ruqaa_is_as_mended(root: Path) -> None:
    """The font in the folder is what ``fonts/mend.py`` makes; a new release has to go through it."""
    mending = runpy.run_path(str(root / "fonts" / "mend.py"))
    assert mending["mend"](mending["RUQAA"]) == mending["RUQAA"].read_bytes()
