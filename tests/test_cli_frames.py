"""``ribbons frames check`` with paths, and frames of one's own beside those that we ship."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from app.cli import main


@pytest.fixture
def own(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a frame, ``march``, that names a typeface of its own in ``fonts`` beside it."""
    shutil.copytree(root / "frames" / "ribbon-loop", tmp_path / "frames" / "march")
    (tmp_path / "fonts" / "own").mkdir(parents=True)
    shutil.copy(root / "fonts/cairo/Cairo_900Black.ttf", tmp_path / "fonts" / "own" / "March.ttf")
    edit(tmp_path / "frames" / "march", "cairo/Cairo_900Black.ttf", "own/March.ttf")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(folder: Path, old: str, new: str) -> None:
    """Change a frame's file wherever it says ``old``."""
    file = folder / "frame.toml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def ribbons(*words: object, **environment: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(main, [str(word) for word in words], env={"LC_ALL": "C", **environment})


def check(*names: str, fonts: str = "fonts") -> Result:
    """Run ``frames check``."""
    return ribbons("frames", "check", *names, "--more-fonts", fonts)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    "name", ["frames", "frames/", "frames/march", "./frames/march/", "frames/march/frame.toml"]
)
def test_a_frame_is_checked_where_it_lies(name: str) -> None:
    """By its own folder, its file, or the folder of frames that holds it: it need not be installed."""
    result = check(name)
    assert (result.exit_code, result.output) == (0, "frames/march: ok\n")


def test_a_frame_is_checked_from_inside(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``.`` is the frame that an author stands in."""
    monkeypatch.chdir(own / "frames" / "march")
    assert check(".", fonts="../../fonts").output == ".: ok\n"


def test_paths_and_ids_are_checked_together(own: Path) -> None:
    """In the order in which they are given; a name that is an id is that frame, whatever lies here."""
    shutil.copytree(own / "frames" / "march", own / "ribbon-loop")
    result = check("frames/march", "red-ribbons", "ribbon-loop")
    assert (result.exit_code, result.output) == (0, "frames/march: ok\nred-ribbons: ok\nribbon-loop: ok\n")


def test_what_is_wrong_is_told_for_each_frame(own: Path) -> None:
    """A frame that is not valid hides no other, and each finding says in which file and where."""
    frames = own / "frames"
    for name in ("ARTWORK", "bad-font", "bad-toml", "covers", "no-artwork", "two-slips"):
        shutil.copytree(frames / "march", frames / name)
    edit(frames / "bad-font", "own/March.ttf", "own/Missing.ttf")
    (frames / "bad-toml" / "frame.toml").write_text("order = = 1", encoding="utf-8")
    edit(frames / "covers", "face = {", "face = { radius = 450, center = [500, 500] } #")
    (frames / "no-artwork" / "artwork.svg").unlink()
    edit(frames / "two-slips", "order = ", "ordre = ")
    result = check("frames")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    told = dict(line.split(": ", 1) for line in result.output.splitlines() if not line.startswith(" "))
    assert told.pop("frames/march") == "ok"
    assert set(told) == {f"frames/{path.name}" for path in frames.iterdir()} - {"frames/march"}
    for line in (
        "  the folder's name may hold a-z, 0-9 and hyphens only\n",
        "  frame.toml: text[1].fonts[1]: there is no font own/Missing.ttf\n",
        "  frame.toml: Invalid value (at line 1, column 9)\n",
        "  artwork.svg: it covers the face by up to",
        "  artwork.svg cannot be read\n",
        "frames/two-slips: 2 findings\n  frame.toml: order: is missing\n  frame.toml: ordre: there is",
    ):
        assert line in result.output


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("no/such", 2, "'no/such': No such file or directory"),
        ("fonts/own/March.ttf", 2, "'fonts/own/March.ttf': Not a directory"),
        ("fonts", 2, "fonts holds neither frame.toml nor a folder with one."),
        # A folder of frames and of fonts: its frames are one deeper.
        (".", 2, ". holds neither frame.toml nor a folder with one."),
        ("nowhere", 2, "nowhere is neither a frame nor a folder. The frames are: january-31, "),
    ],
)
def test_a_path_without_a_frame_is_told(name: str, code: int, said: str) -> None:
    """What is not there, no folder, a folder without frames, or no id."""
    result = check(name)
    assert result.exit_code == code
    assert said in result.output


@pytest.mark.usefixtures("own")
def test_frames_of_ones_own_are_added() -> None:
    """By options or by variables: every command knows ours and theirs."""
    options = ("--more-frames", "frames", "--more-fonts", "fonts")
    variables = {"RIBBONS_MORE_FRAMES_FOLDERS": "frames", "RIBBONS_MORE_FONTS_FOLDERS": "fonts"}
    lists = ribbons("frames", "list", *options), ribbons("frames", "list", **variables)
    assert lists[0].output == lists[1].output
    assert {"march", "red-ribbons"} <= {line.split("\t")[0] for line in lists[0].output.splitlines()}
    assert ribbons("frames", "check", "march", *options).output == "march: ok\n"
    Image.new("RGB", (64, 64)).save("photo.png")
    for name in ("one.png", "many/"):
        words = ("make", "photo.png", "-o", name, "--frame", "march", "--size", "64", "--format", "png")
        assert ribbons(*words, *options).exit_code == 0
        assert ribbons(*words, **variables).exit_code == 0
    photos = ("photo.png", "one.png")
    several = ribbons("make", *photos, "-o", "several", "--frame", "march", "--size", "64", *options)
    assert (several.exit_code, several.stdout) == (0, "Pictures made: 2 of 2.\n")
    assert Path("one.png").read_bytes() == Path("many/photo.png").read_bytes()


def test_several_folders_are_added(own: Path) -> None:
    """As the system writes lists of folders; an option may be repeated."""
    shutil.copytree(own / "frames", own / "more")
    (own / "more" / "march").rename(own / "more" / "april")
    both = os.pathsep.join(["frames", "more"])
    listed = ribbons(
        "frames", "list", RIBBONS_MORE_FRAMES_FOLDERS=both, RIBBONS_MORE_FONTS_FOLDERS="fonts"
    ).output
    assert {"april", "march"} <= {line.split("\t")[0] for line in listed.splitlines()}
    words = ("frames", "list", "--more-frames", "frames", "--more-frames", "more", "--more-fonts", "fonts")
    assert ribbons(*words).output == listed


def test_one_id_in_two_places_is_refused_with_both(own: Path, root: Path) -> None:
    """Nobody could tell which is worn. ``check`` names both places, and proves the others."""
    (own / "frames" / "march").rename(own / "frames" / "ribbon-loop")
    words = ("--more-frames", "frames", "--more-fonts", "fonts")
    places = f"two folders have this name: {root / 'frames' / 'ribbon-loop'} and frames/ribbon-loop"
    refused = ribbons("frames", "list", *words)
    assert refused.exit_code == 1
    assert places in refused.stderr
    checked = ribbons("frames", "check", *words)
    assert checked.exit_code == 1
    assert checked.output.count(places) == 2
    assert "red-ribbons: ok\n" in checked.output


@pytest.mark.usefixtures("own")
def test_the_sheet_shows_frames_of_a_folder_without_a_portrait() -> None:
    """Our portrait is there whatever folder the frames come from."""
    result = ribbons(
        "frames", "sheet", "-o", "sheet.png", "--more-fonts", "fonts", RIBBONS_FRAMES_FOLDER="frames"
    )
    assert (result.exit_code, result.output) == (0, "")
