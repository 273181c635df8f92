from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import app
from app.cli import main
from app.render.avatar import make_avatar
from app.render.overlay import Overlays
from app.spec import AvatarSpec

if TYPE_CHECKING:
    from pathlib import Path

    from app.frames import FrameLibrary


@pytest.fixture
def photo(tmp_path: Path, portrait: bytes) -> Path:
    """A photo on disk, as a user has it."""
    path = tmp_path / "photo.png"
    path.write_bytes(portrait)
    return path


def ribbons(*words: object, language: str = "en", **environment: str) -> Result:
    """Run the command line in this process, as a reader of that language."""
    env = {"LC_ALL": f"{language}_XX.UTF-8", **environment}
    return CliRunner().invoke(main, [str(word) for word in words], env=env)


def test_make_writes_the_avatar(photo: Path, portrait: bytes, tmp_path: Path, frames: FrameLibrary) -> None:
    """The file is the avatar of the default spec, byte for byte, and nothing is printed."""
    out = tmp_path / "avatar.jpg"
    result = ribbons("make", photo, "-o", out)
    assert (result.exit_code, result.output) == (0, "")
    assert (
        out.read_bytes() == make_avatar(portrait, AvatarSpec(frame="red-ribbons"), Overlays(frames)).content
    )


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ("--frame ribbon-loop", {"frame": "ribbon-loop"}),
        ("--lang tr", {"lang": "tr"}),
        ("--slogan حرية", {"slogan": "حرية"}),
        ("--shape circle", {"shape": "circle"}),
        ("--format webp", {"format": "webp"}),
        ("--zoom 2 --x 0.1", {"zoom": 2, "x": 0.1}),
        ("--zoom 2 --y 0.9", {"zoom": 2, "y": 0.9}),
        ("--rotate -90", {"rotate": -90}),
        ("--flip ON", {"flip": True}),
        ("--flip", {"flip": True}),
        ("--flip --lang en", {"flip": True, "lang": "en"}),
        ("--faces off", {"faces": "off"}),
        ("--zoom ٠٫٥", {"zoom": 0.5}),
    ],
)
def test_every_field_of_the_spec_is_an_option(
    options: str, changed: dict[str, str | float], photo: Path, portrait: bytes, frames: FrameLibrary
) -> None:
    """Each option makes the avatar of that spec, and not the default one."""
    result = ribbons("make", photo, "-o", "-", "--size", "200", *options.split(" "))
    spec = AvatarSpec.model_validate({"frame": "red-ribbons", "size": 200, **changed})
    expected = make_avatar(portrait, spec, Overlays(frames)).content
    assert (result.exception, result.exit_code, result.stderr) == (None, 0, "")
    assert result.stdout_bytes == expected
    assert (
        expected != make_avatar(portrait, AvatarSpec(frame="red-ribbons", size=200), Overlays(frames)).content
    )


@pytest.mark.parametrize("flag", ["-v", "--verbose"])
def test_verbose_says_which_square_was_chosen(
    flag: str, photo: Path, portrait: bytes, tmp_path: Path, frames: FrameLibrary
) -> None:
    """A line on standard error, in the words of the API; the picture is the same."""
    out = tmp_path / "avatar.jpg"
    result = ribbons("make", photo, "-o", out, "--size", "64", flag)
    avatar = make_avatar(portrait, AvatarSpec(frame="red-ribbons", size=64), Overlays(frames))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"{photo} -> {out}: {avatar.framing}\n"
    assert out.read_bytes() == avatar.content


def test_verbose_leaves_standard_output_to_the_picture(portrait: bytes) -> None:
    """What is said goes beside it, in a pipe too."""
    words = ["make", "-", "-o", "-", "--size", "64", "--zoom", "2", "--x", "0", "--y", "0.123456", "-v"]
    done = CliRunner().invoke(main, words, input=portrait)
    assert done.stderr == "- -> -: given; x=0.0; y=0.123; zoom=2.0\n"
    with Image.open(io.BytesIO(done.stdout_bytes)) as image:
        assert image.size == (64, 64)


def test_a_photo_that_is_refused_has_no_square(tmp_path: Path) -> None:
    """Verbose says nothing of what was not made."""
    (tmp_path / "page.jpg").write_text("<html>", encoding="utf-8")
    result = ribbons("make", tmp_path / "page.jpg", "-o", tmp_path / "out.jpg", "-v")
    assert (result.exit_code, "->" in result.output) == (1, False)


def test_the_operators_word_on_faces_holds_at_the_terminal(
    photo: Path, portrait: bytes, frames: FrameLibrary
) -> None:
    """RIBBONS_FACES=false looks at nobody's photo, though the option asks for it."""
    words = ["make", photo, "-o", "-", "--size", "64", "--faces", "on", "-v"]
    result = ribbons(*words, RIBBONS_FACES="false")
    spec = AvatarSpec(frame="red-ribbons", size=64, faces="off")
    avatar = make_avatar(portrait, spec, Overlays(frames))
    assert result.stderr == f"{photo} -> -: {avatar.framing}\n"
    assert result.stdout_bytes == avatar.content
    assert ribbons(*words).stderr.startswith(f"{photo} -> -: faces; ")


def test_help_names_every_field_with_its_range() -> None:
    """Whoever asks for help sees what may be asked for."""
    text = " ".join(ribbons("make", "--help").output.split())
    for name in AvatarSpec.model_fields:
        assert f"--{name}" in text
    for words in ("64..2048", "0.5..8", "square|circle", "jpeg|png|webp|avif", "true|false", "on|off"):
        assert words in text
    for default in ("square", "0", "false", "on"):
        assert f"[default: {default}]" in text
    assert text.count("Chosen unless given.") == 3


@pytest.mark.parametrize(
    ("ending", "kind"),
    [("jpg", "JPEG"), ("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("AVIF", "AVIF")],
)
def test_the_names_ending_chooses_the_format(ending: str, kind: str, photo: Path, tmp_path: Path) -> None:
    """Whoever asks for avatar.png means a PNG."""
    out = tmp_path / f"avatar.{ending}"
    assert ribbons("make", photo, "-o", out, "--size", "64").exit_code == 0
    with Image.open(out) as image:
        assert image.format == kind


def test_a_dash_is_standard_input_and_output(portrait: bytes) -> None:
    """The command is a filter in a pipe: bytes in, bytes out, nothing else on standard output."""
    words = [sys.executable, "-m", "app", "make", "-", "-o", "-", "--size", "64", "--format", "png"]
    done = subprocess.run(words, input=portrait, capture_output=True, check=True, timeout=60)
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert np.asarray(image.convert("RGB")).std() > 20
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("language", "said"), [("ar", "لا يمكننا قراءة هذا الملف"), ("en", "not a photo we can read")]
)
def test_a_file_that_is_no_photo_is_an_error_of_ours(language: str, said: str, tmp_path: Path) -> None:
    """The reason comes in the reader's language on standard error, with exit code 1, and no file is made."""
    bad = tmp_path / "page.jpg"
    bad.write_text("<html>", encoding="utf-8")
    result = ribbons("make", bad, "-o", tmp_path / "out.jpg", language=language)
    assert result.exit_code == 1
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == [bad]


def test_a_failure_leaves_an_earlier_avatar_as_it_was(tmp_path: Path, photo: Path) -> None:
    """Bad input loses nothing."""
    out = tmp_path / "out.jpg"
    out.write_bytes(b"an earlier avatar")
    assert ribbons("make", photo, "-o", out, "--slogan", "水").exit_code == 2
    told = ribbons("make", photo, "-o", out, "--slogan", "حر \U0001f1f5\U0001f1f8").output
    assert "\U0001f1f5\U0001f1f8" in told
    assert "U+" not in told
    assert out.read_bytes() == b"an earlier avatar"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("ar", "يجب أن تكون القيمة من ٦٤ إلى ٢٠٤٨"),
        ("en", "This must be from 64 to 2048"),
        ("fr", "La valeur doit être comprise entre 64 et 2048"),
        ("ur", "یہ قدر 64 سے 2048 تک ہونی چاہیے"),
        ("xx", "This must be from 64 to 2048"),
    ],
)
def test_bad_options_are_named_all_at_once(language: str, said: str, photo: Path) -> None:
    """Each bad option is listed with what it may be; exit code 2 is bad usage."""
    result = ribbons("make", photo, "-o", "-", "--size", "5", "--zoom", "x", language=language)
    assert result.exit_code == 2
    assert f"--size: {said}" in result.stderr
    assert "--zoom:" in result.stderr
    assert result.stdout_bytes == b""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--slogan", "حر\u0007"), "Your words contain"),
        (("--slogan", "x" * 61), "Your words may have at most 60 characters. Shorten them.\n"),
        (
            ("--slogan", "x", "--frame", "january-31"),
            "This frame carries the campaign’s own words only. Choose another frame for yours.\n",
        ),
        (("--slogan", "x" * 61, "--size", "5"), "  --size: This must be from 64 to 2048.\n"),
    ],
)
def test_what_is_wrong_with_own_words_is_told_once(options: tuple[str, ...], said: str, photo: Path) -> None:
    """The sentence is about them already; other options follow by name."""
    result = ribbons("make", photo, "-o", "-", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == (2 if "--size" in options else 1)
    assert "--slogan" not in result.stderr


def test_help_says_what_is_served() -> None:
    """The page too, in the list of commands and in the command's own help."""
    for words in (("--help",), ("serve", "--help")):
        assert "Serve the page and the API." in ribbons(*words).output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Usage"),
        (("make",), "Missing argument"),
        (("make", "no-such-file.jpg", "-o", "-"), "No such file"),
        (
            ("frames", "check", "no-such-frame"),
            "no-such-frame is neither a frame nor a folder. The frames are: january-31, red-ribbons, ",
        ),
        (("make", "a.jpg", "-o", "x.jpg", "--out", "out"), "This was given more than once. Give it once."),
        (("frames", "sheet", "-o", "x.png", "--output", "y.png"), "This was given more than once."),
        (("make", "--colour", "red"), "No such option"),
    ],
)
def test_wrong_usage_is_told(words: tuple[str, ...], said: str) -> None:
    """A slip on the command line is answered with what is wrong, never a trace."""
    result = ribbons(*words)
    assert result.exit_code in {1, 2}
    assert said in result.output
    assert "Traceback" not in result.output


def test_an_output_that_cannot_be_written_is_told(photo: Path, tmp_path: Path) -> None:
    """A folder that does not exist is named; nothing is left behind."""
    result = ribbons("make", photo, "-o", tmp_path / "none" / "a.jpg")
    assert result.exit_code == 1
    assert "No such file or directory" in result.stderr


def test_what_is_no_file_is_written_to_and_never_replaced(photo: Path, tmp_path: Path) -> None:
    """A pipe stays a pipe, a device a device; as root, replacing /dev/null would break the machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    words = [
        sys.executable,
        "-m",
        "app",
        "make",
        str(photo),
        "-o",
        str(pipe),
        "--size",
        "64",
        "--format",
        "png",
    ]
    with subprocess.Popen(words) as process:
        content = pipe.read_bytes()
        assert process.wait(timeout=60) == 0
    assert content.startswith(b"\x89PNG")
    assert pipe.is_fifo()


def test_a_link_is_followed(photo: Path, tmp_path: Path) -> None:
    """Writing through a link changes the file it points to, and leaves the link a link."""
    link, real = tmp_path / "link.png", tmp_path / "real.png"
    link.symlink_to(real)
    assert ribbons("make", photo, "-o", link, "--size", "64").exit_code == 0
    assert link.is_symlink()
    assert real.read_bytes().startswith(b"\x89PNG")


def test_a_write_that_fails_leaves_nothing_behind(photo: Path, tmp_path: Path) -> None:
    """A disk that is full is told in a line, and no part of the avatar stays on it."""
    out = tmp_path / "a.png"
    script = f"ulimit -f 1; exec {sys.executable} -m app make {photo} -o {out}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [photo]


@pytest.mark.parametrize("where", [">/dev/full", ">&-"])
def test_standard_output_that_cannot_be_written_is_told(where: str, photo: Path) -> None:
    """A full or closed standard output is an error in a line, not a trace."""
    script = f"exec {sys.executable} -m app make {photo} -o - --size 64 {where}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Could not open file '-'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("avatar.bmp", (), "must end in one of: .jpg"),
        ("avatar.2026", ("--format", "png"), "A folder's name ends in /"),
        ("avatar.png", ("--format", "jpeg"), "--format jpeg contradicts the name avatar.png"),
    ],
)
def test_a_name_that_lies_about_the_format_is_refused(
    name: str, options: tuple[str, ...], said: str, photo: Path, tmp_path: Path
) -> None:
    """No JPEG is written into a file that says it is something else."""
    result = ribbons("make", photo, "-o", tmp_path / name, *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == [photo]


def test_an_avatar_has_the_rights_of_any_new_file(photo: Path, tmp_path: Path) -> None:
    """Writing through a temporary file does not make the avatar private to its owner."""
    before = os.umask(0o022)
    try:
        ribbons("make", photo, "-o", tmp_path / "a.jpg", "--size", "64")
    finally:
        os.umask(before)
    assert (tmp_path / "a.jpg").stat().st_mode & 0o777 == 0o644


def test_a_photo_over_the_limit_is_refused_before_it_is_read(photo: Path) -> None:
    """The setting for bytes holds on the command line too."""
    result = ribbons("make", photo, "-o", "-", RIBBONS_MAX_PHOTO_BYTES="100000")
    assert result.exit_code == 1
    assert "larger than 0.1 MB" in result.stderr


def test_a_malformed_setting_refuses_to_start(photo: Path) -> None:
    """A typo in the environment is told with the variable's name, not ignored."""
    for variable, value in (("RIBBONS_DEADLINE", "soon"), ("RIBBONS_DEADLIN", "5")):
        result = ribbons("make", photo, "-o", "-", **{variable: value})
        assert result.exit_code == 2
        assert variable in result.stderr


def test_frames_list_names_every_frame(frames: FrameLibrary) -> None:
    """A line a frame: id, title in the reader's language, languages."""
    lines = ribbons("frames", "list", language="ar").output.splitlines()
    assert [line.split("\t")[0] for line in lines] == [frame.id for frame in frames]
    assert [line.split("\t")[1] for line in lines] == [frame.title["ar"] for frame in frames]


def test_frames_check_says_ok(frames: FrameLibrary) -> None:
    """Every frame that we ship is sound in every language, and the exit code says so."""
    result = ribbons("frames", "check")
    assert result.exit_code == 0
    assert result.output == "".join(f"{frame.id}: ok\n" for frame in frames)


def test_frames_sheet_takes_another_portrait(tmp_path: Path) -> None:
    """An author sees the frames over a photo of their own."""
    grey = tmp_path / "grey.png"
    Image.new("RGB", (300, 300), "#808080").save(grey)
    out = tmp_path / "sheet.png"
    assert ribbons("frames", "sheet", "-o", out, "--portrait", grey).exit_code == 0
    with Image.open(out) as sheet:
        assert sheet.getpixel((60 + 540, 60 + 380)) == (128, 128, 128)


def test_the_version_is_told() -> None:
    """``ribbons --version`` names what is installed."""
    assert ribbons("--version").output == f"ribbons, version {app.__version__}\n"
