"""``ribbons bulk`` and ``ribbons table``, mostly as somebody runs them: in a process of their own."""

from __future__ import annotations

import csv
import io
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openpyxl
import psutil
import pytest
from click.testing import CliRunner
from PIL import Image

from app.bulk.sheet import Grid
from app.cli import main
from app.render.avatar import make_avatar
from app.render.overlay import Overlays
from app.spec import AvatarSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from click.testing import Result

    from app.frames import FrameLibrary

pytestmark = pytest.mark.usefixtures("put_back")  # the command configures logging

SMALL = ("--size", "64")
WORKERS = 2


def bulk(*words: object, language: str = "en", **environment: str) -> Result:
    """Run the command in this process, with workers of its own."""
    env = {"LC_ALL": f"{language}_XX.UTF-8", "RIBBONS_DEADLINE": "60", "RIBBONS_WORKERS": "1", **environment}
    return CliRunner().invoke(main, ["bulk", *map(str, words)], env=env)


def table(*words: object) -> Result:
    """Run the other command in this process."""
    return CliRunner().invoke(main, ["table", *map(str, words)], env={"LC_ALL": "C"})


def start(*words: object, cwd: Path, **given: Any) -> subprocess.Popen[Any]:
    """Run the command in a process, and a group, of its own."""
    env = {**os.environ, "PYTHONPATH": str(Path.cwd()), "LC_ALL": "C.UTF-8", "RIBBONS_DEADLINE": "60"}
    env["RIBBONS_WORKERS"] = str(WORKERS)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | given
    command = [sys.executable, "-m", "app", "bulk", *map(str, words)]
    return subprocess.Popen(command, cwd=cwd, env=env, start_new_session=True, **pipes)


def report_of(content: bytes) -> list[dict[str, str]]:
    """Return the lines of a report."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def files_in(folder: Path) -> dict[str, bytes]:
    """Return what is in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def packed_in(place: Path) -> dict[str, bytes]:
    """Return what is in a ZIP."""
    with zipfile.ZipFile(place) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def avatar(frames: FrameLibrary) -> Callable[..., bytes]:
    """Return what a photo becomes by itself."""
    overlays = Overlays(frames)

    def make(photo: Path, **spec: object) -> bytes:
        asked = AvatarSpec.model_validate({"frame": "red-ribbons", "size": 64, **spec})
        return make_avatar(photo.read_bytes(), asked, overlays).content

    return make


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Photos of three kinds, of which two have one stem, with what a system has laid beside them."""
    folder = tmp_path / "photos"
    apart = unicodedata.normalize("NFD", "é")
    names = ["a.jpg", "a.png", "صور/أحمد.webp", f"{apart}.jpg", "sub/deep/A.jpg"]
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (80, 80), (40 * number, 90, 120)).save(folder / name)
    (folder / ".DS_Store").touch()
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos that take some time, and differ."""
    folder = tmp_path_factory.mktemp("many")
    Image.effect_noise((1600, 1600), 60).convert("RGB").save(folder / "0.jpg", quality=95)
    photo = (folder / "0.jpg").read_bytes()
    for number in range(1, 40):
        # What follows a JPEG's end is no part of it.
        (folder / f"{number}.jpg").write_bytes(photo + bytes([number]))
    return folder


# -- from a folder to a folder -----------------------------------------------------


def test_a_folder_becomes_a_folder(photos: Path, tmp_path: Path, avatar: Callable[..., bytes]) -> None:
    """Names and sub-folders are kept as they are, and each avatar is the one that its photo makes alone."""
    before = files_in(photos)
    result = bulk(photos, tmp_path / "new" / "out", *SMALL)
    assert (result.exit_code, result.stdout) == (0, "Pictures made: 5 of 5.\n")
    assert ".DS_Store" in result.stderr
    made = files_in(tmp_path / "new" / "out")
    report = report_of(made.pop("report.csv"))
    apart = unicodedata.normalize("NFD", "é")
    expected = {
        "a.jpg.jpg": "a.jpg",
        "a.png.jpg": "a.png",
        f"{apart}.jpg": f"{apart}.jpg",
        "sub/deep/A.jpg": "sub/deep/A.jpg",
        "صور/أحمد.jpg": "صور/أحمد.webp",
    }
    assert made == {name: avatar(photos / photo) for name, photo in expected.items()}
    assert {row["avatar"]: row["photo"] for row in report} == expected
    assert [row["photo"] for row in report] == sorted(expected.values())
    for row in report:
        assert (row["outcome"], row["error"], row["framing"]) == ("made", "", "centre")
        assert 0 < float(row["seconds"]) < 60
    assert files_in(photos) == before


def test_a_run_with_nothing_to_do_draws_nothing_and_says_so(photos: Path, tmp_path: Path) -> None:
    """No worker is started, and no file touched."""
    out = tmp_path / "out"
    assert bulk(photos, out, *SMALL).exit_code == 0
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    result = bulk(photos, out, *SMALL, RIBBONS_DEADLINE="0.001")
    assert (result.exit_code, result.stdout) == (0, "Nothing to do: all 5 pictures are there already.\n")
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == times


def test_bad_photos_are_named_and_the_others_made(photos: Path, tmp_path: Path) -> None:
    """As they come, in the reader's language, and in the report with a code; the exit code is 1."""
    (photos / "page\x1b[31m.jpg").write_text("<html>")
    (photos / "page.jpg").write_text("<html>")
    (photos / "cut.jpg").write_bytes((photos / "a.jpg").read_bytes()[:200])
    for language, made, said in (
        ("en", "Pictures made: 5 of 8.", "page.jpg: This file is not a photo we can read."),
        ("ar", "الصور التي صُنعت: ٥ من ٨.", "page.jpg: لا يمكننا قراءة هذا الملف."),
    ):
        result = bulk(photos, tmp_path / "out", *SMALL, language=language)
        assert result.exit_code == 1
        assert result.stdout.startswith(made)
        assert said in result.stderr
        assert "cut.jpg: " in result.stderr
        assert "\x1b" not in result.output
        report = {row["photo"]: row for row in report_of((tmp_path / "out" / "report.csv").read_bytes())}
        assert report["page.jpg"]["error"] == "photo_not_supported"
        assert report["page.jpg"]["error_text"] in result.stderr
        assert [report["cut.jpg"][name] for name in ("outcome", "error", "avatar")] == [
            "failed",
            "photo_damaged",
            "",
        ]
        assert report["page\ufffd[31m.jpg"]["error"] == "invalid_name"


def test_what_failed_is_made_when_it_is_mended(photos: Path, tmp_path: Path) -> None:
    """The others are kept."""
    page = photos / "page.jpg"
    page.write_text("<html>")
    assert bulk(photos, tmp_path / "out", *SMALL).exit_code == 1
    shutil.copy(photos / "a.png", page)
    result = bulk(photos, tmp_path / "out", *SMALL)
    assert result.exit_code == 0
    assert result.stdout == "Pictures made: 6 of 6.\nOf these, made by an earlier run: 5.\n"


# -- the table ---------------------------------------------------------------------

ROWS = [
    ("رقم", "File", "شعار", "shape"),
    ("0017", "a.png", "فلسطين حرة", ""),
    ("=1+1", "صور/أحمد.webp", "", "circle"),
    ("19", "nobody.jpg", "", ""),
]


def written(kind: str) -> bytes:
    """Return the table as a program writes it."""
    if kind == "xlsx":
        book, file = openpyxl.Workbook(), io.BytesIO()
        sheet = book.create_sheet(index=0)
        for row in ROWS:
            sheet.append([f"'{cell}" if cell.startswith("=") else cell for cell in row])
        book.save(file)
        return file.getvalue()
    separator, encoding = {
        "excel": (";", "utf-8-sig"),
        "plain": (",", "utf-8"),
        "tsv": ("\t", "utf-8"),
        "unicode text": ("\t", "utf-16"),
        "windows": (";", "cp1256"),
    }[kind]
    return "".join(separator.join(row) + "\r\n" for row in ROWS).encode(encoding)


@pytest.mark.parametrize("kind", ["excel", "plain", "tsv", "unicode text", "windows", "xlsx"])
def test_a_table_says_what_is_asked_for(
    kind: str, photos: Path, tmp_path: Path, avatar: Callable[..., bytes]
) -> None:
    """However it was exported; its own columns stay in the report, and nothing in them is run."""
    people = tmp_path / "people.csv"
    people.write_bytes(written(kind))
    mapping = ("--column", "slogan=شعار", "--column", "photo=File")
    result = bulk(photos, tmp_path / "out", "--table", people, *mapping, *SMALL, "--lang", "en")
    assert result.exit_code == 1
    assert result.stdout == ("Pictures made: 5 of 6.\nIn the table, but not among the photos: 1.\n")
    assert "  nobody.jpg" in result.stderr
    made = files_in(tmp_path / "out")
    assert made["a.png.jpg"] == avatar(photos / "a.png", slogan="فلسطين حرة", lang="en")
    assert made["صور/أحمد.png"] == avatar(photos / "صور" / "أحمد.webp", shape="circle", lang="en")
    assert made["a.jpg.jpg"] == avatar(photos / "a.jpg", lang="en")
    report = report_of(made["report.csv"])
    own = [tuple(row[name] for name in ROWS[0]) for row in report[:3]]
    harmless = "''=1+1" if kind == "xlsx" else "'=1+1"
    assert own == [ROWS[1], (harmless, *ROWS[2][1:]), ROWS[3]]
    assert [row["outcome"] for row in report] == ["made", "made", "missing", "made", "made", "made"]


def test_what_is_wrong_with_a_table_is_told_before_anything_is_drawn(photos: Path, tmp_path: Path) -> None:
    """By its rows; those photos fail, and the rest is made. A dry run tells the same, and makes nothing."""
    people = tmp_path / "people.csv"
    people.write_text(
        "photo,size,slogan\na.jpg,9000,\na.png,,水\nsub/deep/A.jpg,,\nsub/deep/A.jpg,,\nno.jpg,,\n,64,\n"
    )
    (photos / "bad\n.jpg").touch()
    out = tmp_path / "out"
    dry = bulk(photos, out, "--table", people, *SMALL, "--dry-run")
    assert dry.exit_code == 1
    assert not out.exists()
    for said in (
        "To be made: 3.",
        "There already: 0.",
        "row 2, a.jpg: size: This must be from 64 to 2048.",
        "row 3, a.png: This frame cannot draw these characters",
        "row 5, sub/deep/A.jpg: This name comes more than once.",
        "\n  Row 7 of the table: the photo’s name is missing",
        "not among the photos: 1.\n  no.jpg",
        "Not in the table",
        "  صور/أحمد.webp",
        "  .DS_Store",
        "bad\ufffd.jpg: A photo may not have this name.",
    ):
        assert said in re.sub("[\u2066-\u2069]", "", dry.stdout)
    result = bulk(photos, out, "--table", people, *SMALL)
    assert result.exit_code == 1
    assert "row 2, a.jpg: size: This must be from 64 to 2048." in result.stderr
    report = report_of((out / "report.csv").read_bytes())
    assert [(row["photo"], row["outcome"], row["error"]) for row in report[:5]] == [
        ("a.jpg", "failed", "invalid_spec"),
        ("a.png", "failed", "missing_glyphs"),
        ("sub/deep/A.jpg", "made", ""),
        ("sub/deep/A.jpg", "failed", "name_repeated"),
        ("no.jpg", "missing", ""),
    ]
    assert (report[5]["photo"], report[5]["error"]) == ("", "invalid_row")
    assert len(report) == 9
    again = bulk(photos, out, "--table", people, *SMALL, "--dry-run")
    assert "To be made: 0.\nThere already: 3." in again.stdout


def test_a_dry_run_with_nothing_wrong_ends_well(photos: Path, tmp_path: Path) -> None:
    """Photos without a row, and hidden files, are nothing wrong."""
    people = photos / "people.csv"
    people.write_text("photo\na.jpg\n")
    result = bulk(photos, tmp_path / "out.zip", "--table", people, "--dry-run")
    assert result.exit_code == 0
    assert "To be made: 5." in result.stdout
    assert "  people.csv" in result.stdout
    assert list(tmp_path.iterdir()) == [photos]


def test_a_table_to_fill_in_goes_the_whole_way(photos: Path, tmp_path: Path) -> None:
    """It names every photo, and what is filled in is taken."""
    people = photos / "people.csv"
    assert table(photos, "-o", people).exit_code == 0
    rows = report_of(people.read_bytes())
    assert [row["photo"] for row in rows] == sorted(set(files_in(photos)) - {"people.csv", ".DS_Store"})
    assert list(rows[0]) == ["photo", *AvatarSpec.model_fields]
    assert people.read_bytes().startswith(b"\xef\xbb\xbf")
    before = people.read_bytes()
    refused = table(photos, "-o", people)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "is there already" in refused.stderr.replace("\n", " ")
    assert table(photos, "-o", people, "--force").exit_code == 0
    assert people.read_bytes() == before
    people.write_bytes(before.replace(b"a.jpg,", b"a.jpg,january-31"))
    result = bulk(photos, tmp_path / "out", "--table", people, *SMALL)
    assert (result.exit_code, result.stdout) == (0, "Pictures made: 5 of 5.\n")
    people.unlink()
    (photos / "bad\n.jpg").touch()
    standard = table(photos, "-o", "-")
    assert standard.stdout_bytes == before
    assert standard.stderr == "Left out, because no table can name them: 1.\n"


# -- ZIPs --------------------------------------------------------------------------


def test_what_an_earlier_run_has_left_is_told(photos: Path, tmp_path: Path) -> None:
    """Who takes a photo away, or renames it, hears of the picture that stays; a ZIP has none that is left."""
    out, packed = tmp_path / "out", tmp_path / "out.zip"
    bulk(photos, out, "--size", 64)
    bulk(photos, packed, "--size", 64)
    gone = min(path for path in photos.rglob("*.jpg") if (out / path.relative_to(photos)).is_file())
    gone.rename(gone.with_name("renamed.jpg"))
    for words in (("--dry-run",), ()):
        told = bulk(photos, out, "--size", 64, *words).output
        assert f"Left by an earlier run, and not part of this one: 1.\n  {gone.relative_to(photos)}\n" in told
        assert "Left by" not in bulk(photos, packed, "--size", 64, *words).output
    assert (out / gone.relative_to(photos)).is_file()


def test_a_zip_becomes_a_zip(photos: Path, tmp_path: Path) -> None:
    """With the avatars and the report that a folder makes of a folder; again, it is left as it is."""
    source, dest = tmp_path / "photos.zip", tmp_path / "out.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for name, content in files_in(photos).items():
            archive.writestr(name, content)
    result = bulk(source, dest, *SMALL)
    assert (result.exit_code, result.stdout) == (0, "Pictures made: 5 of 5.\n")
    assert bulk(photos, tmp_path / "out", *SMALL).exit_code == 0
    made, other = packed_in(dest), files_in(tmp_path / "out")
    assert [row["photo"] for row in report_of(made.pop("report.csv"))] == [
        row["photo"] for row in report_of(other.pop("report.csv"))
    ]
    assert made == other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.zip", "photos", "photos.zip"]
    before = dest.read_bytes(), dest.stat().st_mtime_ns
    result = bulk(source, dest, *SMALL)
    assert result.stdout == "Nothing to do: all 5 pictures are there already.\n"
    assert (dest.read_bytes(), dest.stat().st_mtime_ns) == before


def test_a_zip_goes_on_with_photos_that_came_later(photos: Path, tmp_path: Path) -> None:
    """What is in it is not drawn again."""
    dest = tmp_path / "out.zip"
    assert bulk(photos, dest, *SMALL).exit_code == 0
    before = packed_in(dest)
    shutil.copy(photos / "a.png", photos / "new.png")
    result = bulk(photos, dest, *SMALL)
    assert result.stdout == "Pictures made: 6 of 6.\nOf these, made by an earlier run: 5.\n"
    after = packed_in(dest)
    assert set(after) - set(before) == {"new.jpg"}
    assert len(report_of(after.pop("report.csv"))) == 6
    assert all(after[name] == content for name, content in before.items() if name != "report.csv")


# -- being stopped -----------------------------------------------------------------


def wait_for(count: int, folder: Path) -> None:
    """Wait until so many avatars are there."""
    begin = time.monotonic()
    while len(list(folder.glob("[0-9]*.jpg"))) < count:
        assert time.monotonic() - begin < 90
        time.sleep(0.02)


@pytest.fixture(scope="module")
def undisturbed(many: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """What the photos become when nobody stops it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(many, "out", *SMALL, cwd=folder)
    process.communicate(timeout=100)
    assert process.returncode == 0
    made = files_in(folder / "out")
    made.pop("report.csv")
    assert len(made) == 40
    return made


@pytest.mark.parametrize("dest", ["out", "out.zip"])
def test_it_goes_on_after_ctrl_c_and_after_kill(
    dest: str, many: Path, tmp_path: Path, undisturbed: Mapping[str, bytes]
) -> None:
    """Ctrl-C at one moment, kill -9 at others: in the end each avatar is there once, as if nobody had."""
    work = tmp_path / ("out.zip.unfinished" if dest.endswith(".zip") else "out")
    process = start(many, dest, *SMALL, cwd=tmp_path)
    wait_for(3, work)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    count = len(list(work.glob("[0-9]*.jpg")))
    assert process.returncode == 1
    assert f"Pictures made: {count} of 40." in stdout.decode()
    assert "Run the same command again to go on." in stderr.decode()
    assert "Traceback" not in stderr.decode()
    for more in (4, 9):
        process = start(many, dest, *SMALL, cwd=tmp_path)
        workers = psutil.Process(process.pid)
        wait_for(count + more, work)
        children = workers.children(recursive=True)
        process.kill()
        process.communicate(timeout=60)
        # They end by themselves, and write nothing.
        assert not psutil.wait_procs(children, timeout=30)[1]
        assert (work / "report.csv").exists()
        for path in work.glob("[0-9]*.jpg"):
            assert path.read_bytes() == undisturbed[path.name]
    count = len(list(work.glob("[0-9]*.jpg")))
    process = start(many, dest, *SMALL, cwd=tmp_path)
    stdout, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    lines = stdout.decode().splitlines()
    assert lines[0] == "Pictures made: 40 of 40."
    # Of the last ones that were there, the line of one in each worker may not have been written.
    kept = int(re.findall(r"\d+", lines[1])[0])
    assert count - WORKERS <= kept <= count
    made = packed_in(tmp_path / dest) if dest.endswith(".zip") else files_in(tmp_path / dest)
    report = report_of(made.pop("report.csv"))
    assert made == undisturbed
    assert sorted(row["photo"] for row in report) == sorted(undisturbed)
    assert {row["outcome"] for row in report} == {"made"}
    assert not list(tmp_path.rglob(".ribbons-*"))


def test_a_second_one_at_the_same_place_is_refused(many: Path, tmp_path: Path) -> None:
    """While the first one goes on."""
    process = start(many, "out", *SMALL, cwd=tmp_path)
    wait_for(1, tmp_path / "out")
    second = bulk(many, tmp_path / "out", *SMALL)
    process.kill()
    process.communicate(timeout=60)
    assert second.exit_code == 2
    assert "Another process is writing" in second.stderr.replace("\n", " ")


def test_a_full_disk_loses_nothing(many: Path, tmp_path: Path, undisturbed: Mapping[str, bytes]) -> None:
    """It is told once; what was made stays, and with room again it goes on."""
    # No file may have more than 4 KB: each avatar has less, and the report comes to that after some lines.
    lines = (f"{number}.jpg,{'n' * 80}\n" for number in range(40))
    (tmp_path / "people.csv").write_text(f"photo,name\n{''.join(lines)}")
    words = [many, "out", "--table", "people.csv", *SMALL]
    command = f"ulimit -f 4; exec {sys.executable} -m app bulk {' '.join(map(str, words))}"
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "LC_ALL": "C"}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("File too large") == 1
    assert "Run the same command again" in done.stderr
    assert "Traceback" not in done.stderr
    made = files_in(tmp_path / "out")
    assert 5 < len(made) < 41
    made.pop("report.csv")
    assert all(content == undisturbed[name] for name, content in made.items())
    process = start(*words, cwd=tmp_path)
    stdout, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    assert stdout.decode().startswith("Pictures made: 40 of 40.\nOf these, made by an earlier run: ")
    made = files_in(tmp_path / "out")
    made.pop("report.csv")
    assert made == undisturbed


# -- how far it is -----------------------------------------------------------------


def test_elsewhere_than_on_a_terminal_progress_is_plain_lines(
    many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With how many, how fast and how long; no line is written over, and none has colours."""
    monkeypatch.setattr("app.cli.progress._LINE_SECONDS", 0.2)
    result = bulk(many, tmp_path / "out", *SMALL)
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) > 2
    for line in lines:
        assert re.fullmatch(r"\d+ of 40(; [\d.]+ a second; time left: \d+:\d\d)?", line), line
    assert not re.search(r"[\r\x1b]", result.output)


def test_on_a_terminal_it_is_one_line(many: Path, tmp_path: Path) -> None:
    """That is written over, and gone when somebody else's line comes; a failure keeps its own."""
    photos = tmp_path / "photos"
    shutil.copytree(many, photos)
    (photos / "5.jpg").write_text("<html>")
    ours, theirs = pty.openpty()
    process = start(photos, "out", *SMALL, cwd=tmp_path, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # what Linux says of a terminal that nobody has any more
            break
        if not piece:
            break
        said += piece
    os.close(ours)
    assert process.wait(timeout=60) == 1
    text = said.decode()
    assert re.search(r"\r\d+ of 40; [\d.]+ a second; time left: \d+:\d\d", text)
    assert "failed: 1" in text
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    assert [line.partition(".")[0] for line in lines if line] == [
        "5",
        "Pictures made: 39 of 40",
        "Failed: 1",
    ]


# -- the contact sheet -------------------------------------------------------------


def sheet_cell(path: Path, number: int, count: int) -> Image.Image:
    """Return a cell of a contact sheet."""
    grid = Grid.of(count)
    left, top = grid.place(number)
    with Image.open(path) as sheet:
        return sheet.convert("RGB").crop((left, top, left + grid.side, top + grid.side))


def count_of(colour: tuple[int, int, int], picture: Image.Image) -> int:
    """Return how many pixels nearly have a colour."""
    return int((abs(np.asarray(picture, dtype=int) - colour).max(axis=-1) < 40).sum())


def test_the_contact_sheet_shows_all_and_marks_the_doubtful(tmp_path: Path, portrait: bytes) -> None:
    """A face is right, a wall doubtful, a page an empty cell; the same again when all was there already."""
    photos, sheet = tmp_path / "photos", tmp_path / "sheet.webp"
    photos.mkdir()
    (photos / "a.png").write_bytes(portrait)
    Image.new("RGB", (300, 300), "#2040c0").save(photos / "b.png")
    (photos / "c.png").write_text("<html>")
    yellow, grey = (255, 216, 0), (228, 228, 228)
    for _ in range(2):
        result = bulk(photos, tmp_path / "out", "--contact-sheet", sheet, "--size", "200")
        assert result.exit_code == 1
        assert "Doubtful, and marked on the contact sheet: 1." in result.stdout
        face, wall, page = (sheet_cell(sheet, number, 3) for number in range(3))
        assert [count_of(yellow, cell) > 200 for cell in (face, wall, page)] == [False, True, False]
        assert [count_of(grey, cell) > 12_000 for cell in (face, wall, page)] == [False, False, True]
        # Of the one that is marked the edge is red all around; of the face it is white.
        edges = [cell.crop((0, cell.height - 4, cell.width, cell.height - 1)) for cell in (face, wall)]
        assert [count_of((212, 0, 0), edge) > 300 for edge in edges] == [False, True]
        sheet.rename(tmp_path / "before.webp")
    assert not sheet.exists()


# -- what is refused ---------------------------------------------------------------


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none", "out"), "none: No such file"),
        (("empty", "out"), "There is no photo in empty"),
        (("hidden", "out"), "left out: .a.jpg"),
        (("page.zip", "out"), "This file is not a ZIP"),
        (("cut.zip", "out"), "ZIP"),
        (("people.csv", "out"), "This file is not a ZIP"),
        (("photos", "photos"), "lies in the folder of the photos"),
        (("photos", "photos/sub/out"), "lies in the folder of the photos"),
        (("photos", "photos/out.zip"), "lies in the folder of the photos"),
        (("photos", "people.csv"), "people.csv is a file"),
        (("photos", "other.zip"), "not made by us"),
        (("photos", "other"), "not made by us"),
        (("photos", "taken"), "a.jpg.jpg is there already"),
        (("photos", "out", "--size", "5"), "--size: This must be from 64 to 2048"),
        (("photos", "out", "--slogan", "水"), "cannot draw these characters"),
        (("photos", "out", "--format", "bmp"), "--format"),
        (("photos", "out", "--table", "none.csv"), "No such file"),
        (("photos", "out", "--table", "page.zip"), "table"),
        (("photos", "out", "--table", "people.csv", "--column", "photo"), "OURS=THEIRS"),
        (
            ("photos", "out", "--table", "people.csv", "--column", "colour=x"),
            "--column: This must be one of: photo, frame, lang",
        ),
        (("photos", "out", "--table", "people.csv", "--column", "slogan=x"), "no column “x”"),
        (("photos", "out", "--table", "people.csv", "--column", "size=a", "--column", "size=b"), "twice"),
        (("photos", "out", "--column", "slogan=x"), "--column is for a --table"),
        (("photos", "other", "--table", "other/report.csv"), "would be replaced by the report"),
        (("photos", "out", "--contact-sheet", "sheet.png"), "must end in .webp"),
        (
            ("photos", "out", "--contact-sheet", "photos/sheet.webp"),
            "may not lie in the folder of the photos",
        ),
        (("photos", "out", "--contact-sheet", "none/sheet.webp"), "There is no folder"),
        (("photos", "out", "--format", "webp", "--contact-sheet", "out/a.jpg.webp"), "over an avatar"),
        (("photos", "out", "--contact-sheet", "a.webp", "--contact-sheet", "b.webp"), "more than once"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_drawn(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, in so many words, and nothing on the disk has changed."""
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "hidden", "other", "taken"):
        Path(name).mkdir()
    Path("hidden/.a.jpg").touch()
    Path("taken/a.jpg.jpg").touch()
    Path("people.csv").write_text("photo\na.jpg\n")
    Path("other/report.csv").write_text("photo\na.jpg\n")
    Path("page.zip").write_text("<html>")
    with zipfile.ZipFile("other.zip", "w") as archive:
        archive.writestr("letter.txt", "dear")
    Path("cut.zip").write_bytes(Path("other.zip").read_bytes()[:-30])
    before = files_in(tmp_path)
    for more in ((), ("--dry-run",)):
        result = bulk(*words, *more)
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in re.sub("[\u2066-\u2069]", "", " ".join(result.stderr.split()))
        assert files_in(tmp_path) == before


def test_a_place_that_cannot_be_written_to_is_told(photos: Path) -> None:
    """In a line, with exit code 1: how it was called is right."""
    result = bulk(photos, "/proc/no-such-folder", *SMALL)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "/proc/no-such-folder: " in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none", "-o", "a.csv"), "none: No such file"),
        (("photos", "-o", "a.xlsx"), "must end in .csv"),
        (("photos", "-o", "photos.csv"), "is there already"),
        (("photos",), "--output"),
    ],
)
def test_a_table_that_cannot_be_written_is_refused(
    words: tuple[str, ...], said: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, and no file is touched."""
    monkeypatch.chdir(tmp_path)
    Path("photos.csv").write_text("filled in")
    before = files_in(tmp_path)
    result = table(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.split())
    assert files_in(tmp_path) == before
    assert photos.exists()


def test_the_frames_of_a_partner_are_taken(photos: Path, tmp_path: Path, root: Path) -> None:
    """From a folder of theirs, as by the other commands."""
    shutil.copytree(root / "frames" / "ribbon-loop", tmp_path / "frames" / "ours")
    given = ("--more-frames", tmp_path / "frames", "--frame", "ours")
    result = bulk(photos, tmp_path / "out", *SMALL, *given)
    assert (result.exit_code, result.stdout) == (0, "Pictures made: 5 of 5.\n")
