from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.frames import Frame, FrameLibrary
from app.render import proof
from app.render.artwork import kept_ground
from app.render.overlay import Overlays
from app.render.proof import SHEET_SIZES, check_frame, draw_sheet
from app.render.text.shaping import Font
from app.spec import DEFAULT_SIZE


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    """A copy of the red-ribbons frame that a test may spoil: in two languages, without its picture."""
    ours = root / "frames" / "red-ribbons"
    folder = Path(shutil.copytree(ours, tmp_path / "spoilt", ignore=shutil.ignore_patterns("*.webp")))
    file = folder / "frame.toml"
    lines = file.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not re.match(r"(fr|es|de|tr|id|ur) = ", line)]
    file.write_text("\n".join(kept), encoding="utf-8")
    return folder


def findings(folder: Path, root: Path, pattern: str, replacement: str) -> str:
    """Return what the proof says of the frame once its file is changed."""
    file = folder / "frame.toml"
    text, count = re.subn(pattern, replacement, file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count, "the frame's file no longer has what this test changes"
    file.write_text(text, encoding="utf-8")
    return "\n".join(check_frame(Frame(folder, root / "fonts")))


def test_a_slogan_that_does_not_fit_is_found(folder: Path, root: Path) -> None:
    """A size that leaves no room for the words is reported with the text and the language."""
    found = findings(folder, root, r"^span = .*|span = [\d.]+", "span = 5")
    assert "frame.toml: text[1].languages.ar: Your words do not fit this frame" in found


def test_a_missing_glyph_is_found(folder: Path, root: Path) -> None:
    """A slogan with a character that no font has is reported with the character."""
    assert "水" in findings(folder, root, "الحرية للأسرى", "الحرية 水")


@pytest.mark.parametrize(
    ("replacement", "finding"),
    [
        ('"amiri/Amiri_700Bold.ttf", scale = 0.99', "64% as heavy as that of cairo/Cairo_900Black.ttf"),
        (
            '"noto-kufi-arabic/NotoKufiArabic_900Black.ttf", scale = 1',
            "frame.toml: fallback[1]: scale = 0.92 would make it as high as",
        ),
        ('"cairo/OFL.txt", scale = 1', "frame.toml: fallback[1].font: cairo/OFL.txt is no font"),
    ],
)
def test_a_fallback_unlike_the_texts_own_font_is_found(
    folder: Path, root: Path, replacement: str, finding: str
) -> None:
    """Letters of another height or weight would look like a mistake beside the others."""
    assert finding in findings(folder, root, r'"noto-kufi[^"]*", scale = 0.92', replacement)


def test_letters_that_want_different_scales_are_told_in_one_finding() -> None:
    """Their middle where that is near enough for all; else each letter's own."""
    unlike = proof._unlike_in_height
    assert unlike({"ا": 0.96, "l": 1.04}, 1, "A.ttf") is None
    assert unlike({"ا": 0.9, "l": 0.96}, 1, "A.ttf") == "scale = 1.08 would make it as high as A.ttf"
    told = "no scale makes it as high as A.ttf: 1.25 its ا and 1.00 its l"
    assert unlike({"ا": 0.8, "l": 1.0}, 1, "A.ttf") == told


def test_words_of_a_frames_own_that_are_small_are_found(folder: Path, root: Path) -> None:
    """They are told by language, with the size that they are read as, and what makes them larger."""
    plain = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 1000"/>'
    (folder / "artwork.svg").write_text(plain, encoding="utf-8")
    small = """
ar = { slogan = "حر", fonts = ["aref-ruqaa/ArefRuqaa_700Bold.ttf"], largest = 60 }
fr = { slogan = "Libérez tous les prisonniers, maintenant" }
tr = { slogan = "Esir", largest = 50 }
ur = { slogan = "اسیر", fonts = ["noto-nastaliq-urdu/NotoNastaliqUrdu_700Bold.ttf"], largest = 49.9 }
"""
    found = findings(folder, root, r"(?s)(\[text\.languages\]).*", rf"\1{small}").splitlines()
    place, reads = "frame.toml: text[1].languages.", "its letters are read as type of"
    assert [line.removeprefix(place) for line in found if reads in line] == [
        f"ar: {reads} 46.9 units, less than 50: raise largest to 64",
        f"fr: {reads} 43.1 units, less than 50: use shorter words, or give them more room",
        f"ur: {reads} 49.9 units, less than 50: raise largest to 50",
    ]


def test_the_least_size_is_the_one_that_the_guide_tells(root: Path) -> None:
    """Authors read the number there, and for which letters it is meant."""
    guide = (root / "docs" / "frames.md").read_text(encoding="utf-8")
    assert f"**At least {proof.LEGIBLE} units" in guide
    cairo = proof._stems(Font(root / "fonts" / "cairo" / "Cairo_900Black.ttf"))
    assert {high for _, high in cairo.values()} == {proof.LETTER_HEIGHT}


def test_weak_contrast_is_found(folder: Path, root: Path) -> None:
    """Red words on red are reported."""
    assert "contrast with the ground is" in findings(
        folder, root, r'^fill = "#[0-9a-f]{6}"', 'fill = "#c01020"'
    )


def test_text_outside_the_circle_is_found(folder: Path, root: Path) -> None:
    """Words that a round crop would cut are reported."""
    found = findings(folder, root, r"radius = [\d.]+, side", "radius = 520, side")
    assert "of the circle's edge" in found


def test_a_covered_face_is_found(folder: Path, root: Path) -> None:
    """A frame whose artwork lies over the face is reported."""
    svg = folder / "artwork.svg"
    artwork = svg.read_text(encoding="utf-8")
    svg.write_text(artwork.replace("</svg>", '<circle cx="500" cy="420" r="60"/></svg>'), encoding="utf-8")
    (finding,) = check_frame(Frame(folder, root / "fonts"))
    assert finding == "artwork.svg: it covers the face by up to 100%, between (440, 360) and (560, 480)"


def test_a_picture_of_something_else_beside_the_artwork_is_found(folder: Path, root: Path) -> None:
    """It would be in every avatar of that size."""
    frame = Frame(folder, root / "fonts")
    kept = kept_ground(frame, DEFAULT_SIZE)
    Image.new("RGBA", (DEFAULT_SIZE, DEFAULT_SIZE), "red").save(kept, "WEBP", lossless=True)
    assert f"{kept.name}: it is not what artwork.svg draws. Remove it." in check_frame(frame)


def test_unsafe_artwork_is_found(folder: Path, root: Path) -> None:
    """An unsafe artwork is the only finding: nothing of it is drawn."""
    (folder / "artwork.svg").write_text("<svg/>", encoding="utf-8")
    (finding,) = check_frame(Frame(folder, root / "fonts"))
    assert "must be an svg" in finding


def test_the_sheet_shows_every_frame_at_every_size(frames: FrameLibrary, portrait: bytes) -> None:
    """Each frame has a row: its largest picture at the left, the smaller ones in a column, on white."""
    sheet = np.asarray(draw_sheet(Overlays(frames), portrait))
    largest, *smaller = SHEET_SIZES
    gap = 60
    assert sheet.shape == (gap + (largest + gap) * len(frames), gap * 3 + largest + smaller[0], 3)
    for row in range(len(frames)):
        top = gap + row * (largest + gap)
        picture = sheet[top : top + largest, gap : gap + largest]
        assert (picture[0, 0] == 255).all(), "the corner outside the circle is white"
        assert picture.std() > 30
        for size in smaller:
            column = gap * 2 + largest + (smaller[0] - size) // 2
            small = sheet[top : top + size, column : column + size]
            expected = np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS))
            assert np.abs(small.astype(int) - expected).mean() < 2
            top += size + gap
