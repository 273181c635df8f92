from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.errors import FrameNotFound, InvalidFrame
from app.frames import FontFolders, FontsFolder, Frame, FrameLibrary
from app.render.artwork import draw_words
from app.texts.languages import PAGE_LANGUAGES

SLOGAN_LANGUAGES = set(PAGE_LANGUAGES)


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    """A copy of the red-ribbons frame that a test may damage."""
    return Path(shutil.copytree(root / "frames" / "red-ribbons", tmp_path / "red-ribbons"))


def edit(folder: Path, old: str, new: str) -> None:
    """Change the frame's file, where it says ``old``."""
    file = folder / "frame.toml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def reason(folder: Path, fonts: FontsFolder) -> str:
    """Return why the frame is refused."""
    with pytest.raises(InvalidFrame) as caught:
        Frame(folder, fonts)
    return str(caught.value.params["reason"])


def test_the_campaigns_frame_comes_first(frames: FrameLibrary) -> None:
    """The library lists red-ribbons, the default, before the others."""
    assert next(frame.id for frame in frames) == "red-ribbons"
    assert len(frames) == 3


def test_every_frame_speaks_eight_languages(frames: FrameLibrary) -> None:
    """Slogans come in all the campaign's languages, Arabic first."""
    for frame in frames:
        assert set(frame.languages) == SLOGAN_LANGUAGES
        assert frame.languages[0] == "ar"


def test_the_slogan_is_the_campaigns(frames: FrameLibrary) -> None:
    """Red Ribbons says «الحرية للأسرى», letter for letter."""
    (text,) = frames.get("red-ribbons").texts
    assert text.languages["ar"].slogan == "الحرية للأسرى"


def test_the_day_of_solidarity_carries_both_hashtags(frames: FrameLibrary) -> None:
    """One hashtag is on an upper arc, the other on a lower one."""
    frame = next(frame for frame in frames if len(frame.texts) == 2)
    slogans = {text.languages["ar"].slogan for text in frame.texts}
    assert slogans == {"#أنقذوا_الأسرى", "#اليوم_العالمي_للتضامن_مع_الأسرى"}
    sides = [text.baseline.side for text in frame.texts if text.baseline.kind == "arc"]
    assert sorted(sides) == ["bottom", "top"]


def test_urdu_is_set_in_nastaliq(frames: FrameLibrary) -> None:
    """Urdu readers read Nastaliq; naskh letters look foreign to them."""
    for frame in frames:
        for text in frame.texts:
            assert "nastaliq" in text.style("ur").fonts[0]


def test_an_unknown_frame_says_which_there_are(frames: FrameLibrary) -> None:
    """Whoever mistypes a frame's name is told the names."""
    with pytest.raises(FrameNotFound, match="red-ribbons"):
        frames.get("red-ribbon")


def test_an_empty_folder_is_no_library(tmp_path: Path) -> None:
    """A wrong folder in the settings is noticed at the start, not at the first photo."""
    with pytest.raises(InvalidFrame, match=r"no frame\.toml"):
        FrameLibrary([tmp_path], tmp_path)


def test_frames_of_several_folders_are_one_library(root: Path, tmp_path: Path) -> None:
    """A folder of somebody's own is added to the campaign's, in the frames' own order."""
    shutil.copytree(root / "frames" / "ribbon-loop", tmp_path / "another")
    edit(tmp_path / "another", "order = ", "order = -")
    library = FrameLibrary([root / "frames", tmp_path], root / "fonts")
    assert [frame.id for frame in library][:2] == ["another", "red-ribbons"]
    assert library.get("another").artwork == library.get("ribbon-loop").artwork


def test_two_folders_may_not_have_one_frame(root: Path, tmp_path: Path) -> None:
    """Which of them would be drawn is nobody's guess; both places are named."""
    ours, theirs = root / "frames" / "ribbon-loop", tmp_path / "ribbon-loop"
    shutil.copytree(ours, theirs)
    with pytest.raises(
        InvalidFrame, match=f"“ribbon-loop” .*: two folders have this name: {ours} and {theirs}"
    ):
        FrameLibrary([root / "frames", tmp_path], root / "fonts")


def test_each_folder_has_to_hold_a_frame(root: Path, tmp_path: Path) -> None:
    """A wrong second folder is noticed as a wrong first one is."""
    with pytest.raises(InvalidFrame, match=r"no frame\.toml"):
        FrameLibrary([root / "frames", tmp_path], root / "fonts")


def test_a_misspelt_field_is_refused(folder: Path, root: Path) -> None:
    """A typo in frame.toml is an error, not a default."""
    edit(folder, "order = ", "ordre = ")
    assert "ordre" in reason(folder, root / "fonts")


def test_toml_that_does_not_parse_is_refused(folder: Path, root: Path) -> None:
    """The author is told the line."""
    (folder / "frame.toml").write_text("order = = 1", encoding="utf-8")
    assert "line 1" in reason(folder, root / "fonts")


def test_a_missing_artwork_is_refused(folder: Path, root: Path) -> None:
    """A frame without artwork is named, without the machine's paths."""
    (folder / "artwork.svg").unlink()
    assert reason(folder, root / "fonts") == "artwork.svg cannot be read"


@pytest.mark.parametrize("font", ["cairo/Missing.ttf", "../frames/portrait.png", "/etc/passwd"])
def test_a_font_must_be_in_the_fonts_folder(folder: Path, root: Path, font: str) -> None:
    """A frame can name only fonts that we ship, never a file elsewhere."""
    edit(folder, "cairo/Cairo_900Black.ttf", font)
    assert reason(folder, root / "fonts") == f"frame.toml: text[1].fonts[1]: there is no font {font}"


def test_a_fallback_must_be_in_the_fonts_folder(folder: Path, root: Path) -> None:
    """It is found missing when the frame is loaded, not with the first Kurdish slogan."""
    edit(folder, "noto-sans/NotoSans_900Black.ttf", "../frames/portrait.png")
    said = "frame.toml: fallback[2].font: there is no font ../frames/portrait.png"
    assert reason(folder, root / "fonts") == said


def test_every_font_that_is_missing_is_told_with_its_place(folder: Path, root: Path) -> None:
    """A language's own fonts too; an author mends them all in one go."""
    edit(folder, "cairo/Cairo_800ExtraBold.ttf", "our-type/One.ttf")
    edit(folder, "noto-nastaliq-urdu/NotoNastaliqUrdu_700Bold.ttf", "our-type/Two.ttf")
    assert reason(folder, root / "fonts").splitlines() == [
        "frame.toml: text[1].fonts[2]: there is no font our-type/One.ttf",
        "frame.toml: text[1].languages.ur.fonts[1]: there is no font our-type/Two.ttf",
    ]


@pytest.mark.parametrize("scale", ["0", "0.49", "2.01", "nan"])
def test_a_fallback_of_another_size_altogether_is_refused(folder: Path, root: Path, scale: str) -> None:
    """Its letters are to stand beside those of the text's own fonts."""
    edit(folder, "scale = 0.92", f"scale = {scale}")
    assert "fallback[1].scale" in reason(folder, root / "fonts")


def test_smallest_above_largest_is_refused(folder: Path, root: Path) -> None:
    """Sizes that no text could meet are refused."""
    text = (folder / "frame.toml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("smallest"))
    edit(folder, line, "smallest = 900")
    assert "smallest is larger than largest" in reason(folder, root / "fonts")


def test_text_that_would_reach_the_centre_of_its_arc_is_refused(folder: Path, root: Path) -> None:
    """Ink bent through the centre would come out on the other side."""
    text = (folder / "frame.toml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("above"))
    edit(folder, line, "above = 600")
    assert "the centre of its arc" in reason(folder, root / "fonts")


def test_a_language_without_a_title_is_refused(folder: Path, root: Path) -> None:
    """Titles exist in Arabic and in English, at the least."""
    text = (folder / "frame.toml").read_text(encoding="utf-8")
    title = text[text.index("[title]") :]
    line = next(line for line in title.splitlines() if line.startswith("en"))
    edit(folder, line + "\n", "")
    assert "lacks en" in reason(folder, root / "fonts")


def test_the_revision_follows_every_file(folder: Path, root: Path) -> None:
    """An overlay's ETag changes with the artwork and with the settings, and with nothing else."""
    before = Frame(folder, root / "fonts").revision
    assert Frame(folder, root / "fonts").revision == before
    svg = folder / "artwork.svg"
    svg.write_text(svg.read_text(encoding="utf-8") + "<!-- touched -->", encoding="utf-8")
    assert Frame(folder, root / "fonts").revision != before


def test_the_revision_follows_the_fallback(folder: Path, root: Path, tmp_path: Path) -> None:
    """Words of a supporter are drawn with it, and their overlay is kept under the revision."""
    fonts = tmp_path / "fonts"
    shutil.copytree(root / "fonts", fonts)
    before = Frame(folder, fonts).revision
    with (fonts / "noto-sans/NotoSans_900Black.ttf").open("ab") as file:
        file.write(b"\0")
    assert Frame(folder, fonts).revision != before


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("radius = ", "radius = -", "frame.toml: face.radius: Input should be greater than 0"),
        ("order = ", "ordre = ", "frame.toml: order: is missing\nframe.toml: ordre: there is no such field"),
        ("largest = ", "largest = -", "frame.toml: text[1].largest: Input should be greater than 0"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    old: str, new: str, said: str, folder: Path, root: Path
) -> None:
    """An author reads the field as they wrote it, a line for each, and no library's address."""
    edit(folder, old, new)
    assert reason(folder, root / "fonts") == said


@pytest.mark.parametrize("name", ["frame.toml", "artwork.svg"])
def test_a_file_that_is_not_utf_8_is_named(name: str, folder: Path, root: Path) -> None:
    """A file that an editor saved in another encoding is named, with the place."""
    (folder / name).write_bytes("# été".encode("latin-1"))
    assert reason(folder, root / "fonts") == f"{name} is not UTF-8, from byte 3 on"


def test_fonts_of_ones_own_are_searched_after_ours(folder: Path, root: Path, tmp_path: Path) -> None:
    """A frame of somebody's own mixes our typefaces with theirs; a file of the same name is ours."""
    theirs = tmp_path / "fonts"
    (theirs / "cairo").mkdir(parents=True)
    (theirs / "cairo" / "Cairo_900Black.ttf").write_bytes(b"another")
    shutil.copy(root / "fonts/cairo/Cairo_700Bold.ttf", theirs / "March.ttf")
    fonts = FontFolders((root / "fonts", theirs))
    before = Frame(folder, fonts).revision
    assert before == Frame(folder, root / "fonts").revision
    edit(folder, "cairo/Cairo_900Black.ttf", "March.ttf")
    frame = Frame(folder, fonts)
    assert frame.font_path("March.ttf") == theirs / "March.ttf"
    assert draw_words(frame, "ar", None, 64).getbbox()
    (theirs / "March.ttf").write_bytes((root / "fonts/cairo/Cairo_800ExtraBold.ttf").read_bytes())
    assert Frame(folder, fonts).revision != frame.revision
    edit(folder, "March.ttf", "../March.ttf")
    assert reason(folder, fonts) == "frame.toml: text[1].fonts[1]: there is no font ../March.ttf"
