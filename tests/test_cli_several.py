"""``ribbons make`` with a folder: several photos, names, what happens when some of it goes wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from app.cli import main
from app.files import is_folder, name_avatars
from app.render.avatar import make_avatar
from app.render.overlay import Overlays
from app.spec import AvatarSpec

if TYPE_CHECKING:
    from app.frames import FrameLibrary

pytestmark = pytest.mark.usefixtures("put_back")  # the command configures logging

COLOURS = ("#102030", "#405060", "#708090")


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Photos that differ, two of them with one stem, in two folders."""
    (tmp_path / "more").mkdir()
    paths = [tmp_path / "a.jpg", tmp_path / "a.png", tmp_path / "more" / "A.webp"]
    for path, colour in zip(paths, COLOURS, strict=True):
        Image.new("RGB", (80, 80), colour).save(path)
    return paths


def make(*words: object, language: str = "en", **environment: str) -> Result:
    """Run the command in this process."""
    env = {"LC_ALL": f"{language}_XX.UTF-8", "RIBBONS_DEADLINE": "60", **environment}
    return CliRunner().invoke(main, ["make", "--size", "64", *map(str, words)], env=env)


def avatar(photo: Path, frames: FrameLibrary, **spec: str) -> bytes:
    """Return the avatar that a photo becomes by itself."""
    asked = AvatarSpec.model_validate({"frame": "red-ribbons", "size": 64, **spec})
    return make_avatar(photo.read_bytes(), asked, Overlays(frames)).content


def test_each_photo_gets_its_own_avatar(photos: list[Path], tmp_path: Path, frames: FrameLibrary) -> None:
    """The bytes are those of one photo made alone; two photos of one stem keep out of each other's way."""
    out = tmp_path / "new" / "folder"
    before = [photo.read_bytes() for photo in photos]
    result = make(*photos, "--out", out)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "Pictures made: 3 of 3.\n", "")
    made = {path.name: path.read_bytes() for path in out.iterdir()}
    assert made == {
        name: avatar(photo, frames)
        for name, photo in zip(("a.jpg", "a-2.jpg", "A-3.jpg"), photos, strict=True)
    }
    assert [photo.read_bytes() for photo in photos] == before


def test_verbose_says_a_line_of_each(photos: list[Path], tmp_path: Path) -> None:
    """Of those that were made, on standard error; the summary stays where it is."""
    bad, out = tmp_path / "page.jpg", tmp_path / "out"
    bad.write_text("<html>", encoding="utf-8")
    square = ["--x", "0.5", "--y", "0.25", "--zoom", "2"]
    result = make(*photos, bad, "--out", out, *square, "--verbose")
    assert (result.exit_code, result.stdout) == (1, "Pictures made: 3 of 4.\n")
    lines = sorted(line for line in result.stderr.splitlines() if "->" in line)
    assert lines == sorted(
        f"{photo} -> {out / name}: given; x=0.5; y=0.25; zoom=2.0"
        for photo, name in zip(photos, ("a.jpg", "a-2.jpg", "A-3.jpg"), strict=True)
    )
    assert len(result.stderr.splitlines()) == 4


def test_a_second_run_replaces_the_first(photos: list[Path], tmp_path: Path, frames: FrameLibrary) -> None:
    """As one photo to one file does: nothing is doubled, and what else lies in the folder is left alone."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("kept", encoding="utf-8")
    for lang in ("ar", "en"):
        assert make(*photos, "-o", out, "--lang", lang).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["A-3.jpg", "a-2.jpg", "a.jpg", "notes.txt"]
    assert (out / "a.jpg").read_bytes() == avatar(photos[0], frames, lang="en")


@pytest.mark.parametrize(("ending", "is_there"), [("", True), ("", False), (os.sep, False)])
def test_one_photo_goes_to_a_folder_too(
    ending: str, is_there: object, photos: list[Path], tmp_path: Path, frames: FrameLibrary
) -> None:
    """What is a folder, ends as one, or has no ending, as of a glob of one; the format gives the ending."""
    out = tmp_path / "out"
    if is_there:
        out.mkdir()
    result = make(photos[1], "--out", f"{out}{ending}", "--shape", "circle")
    assert (result.exit_code, result.output) == (0, "")
    assert (out / "a.png").read_bytes() == avatar(photos[1], frames, shape="circle")


@pytest.mark.parametrize(
    ("language", "summary", "said"),
    [
        ("en", "Pictures made: 3 of 7.\n", "not a photo we can read"),
        ("ar", "الصور التي صُنعت: ٣ من ٧.\n", "لا يمكننا قراءة هذا الملف"),
    ],
)
def test_bad_photos_are_named_and_the_others_made(
    language: str, summary: str, said: str, photos: list[Path], tmp_path: Path
) -> None:
    """Each is named with its reason on standard error, in the reader's language; the exit code is 1."""
    page, cut, missing, folder = (tmp_path / name for name in ("page.jpg", "cut.jpg", "none.jpg", "more"))
    page.write_text("<html>", encoding="utf-8")
    cut.write_bytes(photos[0].read_bytes()[:200])
    out = tmp_path / "out"
    result = make(page, photos[0], cut, photos[1], missing, folder, photos[2], "-o", out, language=language)
    assert (result.exit_code, result.stdout) == (1, summary)
    assert len(list(out.iterdir())) == 3
    lines = sorted(result.stderr.splitlines())
    assert [line.partition(": ")[0] for line in lines] == sorted(map(str, (page, cut, missing, folder)))
    assert said in result.stderr
    assert f"{missing}: No such file or directory" in lines
    assert f"{folder}: Is a directory" in lines


def test_a_name_does_not_reach_the_terminal_as_it_is(photos: list[Path], tmp_path: Path) -> None:
    """A file's name may hold what moves the cursor or colours the line."""
    bad = tmp_path / "\x1b[31mred\n.jpg"
    bad.write_bytes(b"")
    result = make(bad, photos[0], "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "\x1b" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_photo_that_takes_too_long_is_given_up(photos: list[Path], tmp_path: Path) -> None:
    """Several are drawn in processes that can be killed: what has not ended at the deadline is named."""
    out = tmp_path / "out"
    result = make(*photos[:2], "-o", out, RIBBONS_DEADLINE="0.001")
    assert (result.exit_code, result.stdout) == (1, "Pictures made: 0 of 2.\n")
    assert f"{photos[0]}: Making the picture took too long" in result.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a.jpg", "a.png", "-o", "-"), "2 photos need a folder to go to, and - is none"),
        (("a.jpg", "a.png", "-o", "avatar.jpg"), "2 photos need a folder to go to, and avatar.jpg is none"),
        (("a.jpg", "a.png", "-o", "page.txt"), "2 photos need a folder to go to, and page.txt is none"),
        (("a.jpg", "a.png", "-o", "."), ". holds the photos. Choose another folder"),
        (("more/A.webp", "a.jpg", "-o", "more/"), "more holds the photos"),
        (("a.jpg", "a.png", "-o", "links"), "links/a.jpg is one of the photos"),
        (("-", "a.png", "-o", "out"), "A photo from standard input has no name"),
        (("-", "-o", "out/"), "A photo from standard input has no name"),
        (("a.jpg", "a.png", "-o", ""), "The name of the output is empty"),
        (("*.gif", "-o", "out/"), "'*.gif': No such file or directory"),
        (("more", "-o", "out/"), "'more': Is a directory"),
        (("more", "-o", "out"), "'more': Is a directory"),
        (("a.jpg", "a.png", "-o", "out", "--size", "5"), "--size: This must be from 64 to 2048"),
        (("a.jpg", "a.png", "-o", "out", "--slogan", "水"), "cannot draw these characters"),
        (("a.jpg", "a.png", "-o", "out", "--format", "bmp"), "--format"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_drawn(
    words: tuple[str, ...], said: str, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad usage is exit code 2; no avatar is made, and no photo written over, by a link either."""
    monkeypatch.chdir(tmp_path)
    Path("page.txt").write_text("kept", encoding="utf-8")
    Path("links").mkdir()
    Path("links/a.jpg").symlink_to(photos[0])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    result = make(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr.replace("\n", " ").replace("//", "/")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_folder_in_which_nothing_was_made_is_removed(photos: list[Path], tmp_path: Path) -> None:
    """With those above it that were made for it; one that was there stays, and so does one with an avatar."""
    for names in (("none.jpg",), ("more",), ("none.jpg", "more")):
        words = [tmp_path / name for name in names]
        assert make(*words, "-o", tmp_path / "new" / "out").exit_code in {1, 2}
        assert not (tmp_path / "new").exists()
    (tmp_path / "new").mkdir()
    assert make(tmp_path / "more", "-o", tmp_path / "new" / "out").exit_code == 2
    assert list((tmp_path / "new").iterdir()) == []
    assert make(photos[0], "-o", tmp_path / "new" / "out").exit_code == 0
    assert (tmp_path / "new" / "out" / "a.jpg").is_file()


def test_a_folder_that_cannot_be_made_is_told(photos: list[Path]) -> None:
    """Before anything is drawn."""
    result = make(*photos, "-o", "/proc/no-such-folder")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Could not open file '/proc/no-such-folder'" in result.stderr


def script(command: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Run a shell's line with the command line in it, as ``$RIBBONS``."""
    env = {**os.environ, "RIBBONS": f"{sys.executable} -m app", "PYTHONPATH": str(Path.cwd()), **environment}
    return subprocess.Popen(
        ["bash", "-c", command],
        cwd=cwd,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def test_a_full_disk_ends_it_and_leaves_no_half_avatar(tmp_path: Path) -> None:
    """What was made before stays whole; the error is told once, not for each photo that is left."""
    for number in range(4):
        Image.new("RGB", (90, 90), COLOURS[0]).save(tmp_path / f"{number}.png")
    # No file may have more than 4 KB, which each avatar has.
    process = script("ulimit -f 4; exec $RIBBONS make ?.png -o out", tmp_path)
    stdout, stderr = process.communicate(timeout=90)
    assert process.returncode == 1
    assert stdout == "Pictures made: 0 of 4.\n"
    assert stderr.count("File too large") == 1
    assert "Traceback" not in stderr
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_it_with_whole_avatars_only(tmp_path: Path) -> None:
    """Somebody who has changed their mind waits for no photo but those being drawn."""
    Image.effect_noise((2500, 2500), 60).convert("RGB").save(tmp_path / "0.jpg", quality=95)
    for number in range(1, 60):
        shutil.copy(tmp_path / "0.jpg", tmp_path / f"{number}.jpg")
    process = script("exec $RIBBONS make *.jpg -o out", tmp_path)
    out = tmp_path / "out"
    start = time.monotonic()
    while not out.exists() or not list(out.glob("[0-9]*.jpg")):
        assert time.monotonic() - start < 60
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    made = list(out.iterdir())
    assert process.returncode == 1
    assert stdout == f"Pictures made: {len(made)} of 60.\n"
    assert stderr.strip() == "Aborted!"
    assert 0 < len(made) < 60
    for path in made:
        with Image.open(path) as image:
            image.load()


@pytest.mark.parametrize("seconds", [0, 0.2, 0.5])
def test_ctrl_c_while_workers_start_leaves_no_trace(seconds: float, tmp_path: Path) -> None:
    """A terminal signals the workers too, which cannot ignore it before they have started."""
    Image.effect_noise((2000, 2000), 60).save(tmp_path / "0.jpg")
    for number in range(1, 300):
        (tmp_path / f"{number}.jpg").hardlink_to(tmp_path / "0.jpg")
    process = script("exec $RIBBONS make *.jpg -o out", tmp_path)
    start = time.monotonic()
    while not psutil.Process(process.pid).children():
        assert time.monotonic() - start < 60
        time.sleep(0.01)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr.strip()) == (1, "Aborted!")


# -- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("photos", "names"),
    [
        (("a.jpg", "b.heic"), ["a.png", "b.png"]),
        (("a.jpg", "a.heic", "x/a.jpg"), ["a.png", "a-2.png", "a-3.png"]),
        # A number that a photo has itself is not given twice.
        (("a.jpg", "a.gif", "a-2.jpg"), ["a.png", "a-2.png", "a-2-2.png"]),
        (("a-2.jpg", "a.jpg", "a.gif"), ["a-2.png", "a.png", "a-3.png"]),
        # One file on systems that tell no capitals apart, or no ways of writing an accent.
        (("IMG.JPG", "img.jpg"), ["IMG.png", "img-2.png"]),
        (("caf\u00e9.jpg", "cafe\u0301.jpg"), ["caf\u00e9.png", "cafe\u0301-2.png"]),
        (
            ("صورة.jpg", "no-ending", ".hidden", "a.b.c"),
            ["صورة.png", "no-ending.png", ".hidden.png", "a.b.png"],
        ),
    ],
)
def test_every_avatar_has_a_name_of_its_own(
    photos: tuple[str, ...], names: list[str], tmp_path: Path
) -> None:
    """The photo's, numbered from the second of a name on, in the order in which they were given."""
    out = tmp_path / "out"
    assert [path.name for path in name_avatars(photos, out, ".png")] == names


def test_ten_thousand_photos_of_one_name_are_named_at_once(tmp_path: Path) -> None:
    """Phones number from the same number on: naming them takes no time for each pair."""
    photos = [f"{folder}/IMG_0001.jpg" for folder in range(10_000)]
    start = time.process_time()
    names = {path.name for path in name_avatars(photos, tmp_path / "out", ".jpg")}
    assert len(names) == 10_000
    assert time.process_time() - start < 5


def test_when_the_output_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it is one, ends as one, or several photos go to what is not there yet."""
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    Path("file").touch()
    several = (("there/", 2), ("new", 2), ("avatar.jpg/", 2), ("2026.11", 2))
    for output, photos in (("there", 1), ("new/", 1), ("new", 1), ("new/other", 1), *several):
        assert is_folder(output, photos), output
    for output in ("avatar.jpg", "avatar.bmp", "file", "/dev/null", "-"):
        assert not is_folder(output, 1), output


def test_a_long_name_is_written(tmp_path: Path) -> None:
    """A photo's name may be as long as a file's may be, and so may its avatar's."""
    photo = tmp_path / f"{'n' * 251}.png"
    Image.new("RGB", (64, 64)).save(photo)
    assert make(photo, "-o", f"{tmp_path / 'out'}/").exit_code == 0
    assert (tmp_path / "out" / f"{'n' * 251}.jpg").is_file()
