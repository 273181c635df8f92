"""How well heads land is measured: what is counted as whole is whole, and the way is every photo's."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageDraw

from app.render.framing import Choice, Kind
from app.spec import AvatarSpec
from benchmarks import framing as command
from benchmarks.framing import Framed, Labelled, Timing, false, figures, load, missed, shown, table, worst

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.framing import Box

FACE = (0.175, 0.145, 0.0885, 0.222)
"""From brow to chin, of the portrait at the left of a photo twice as wide."""


def framed(
    path: Path, seen: float | None, covered: float = 0, extent: float = 0.5, kind: Kind = "faces"
) -> Framed:
    """Return what became of a photo; without a face where None of it is seen."""
    labelled = Labelled("a", path, "portrait", [] if seen is None else [FACE], [], 500)
    choice = Choice(kind, 0.5, 0.5, 1)
    return Framed(labelled, "red-ribbons", AvatarSpec(frame="red-ribbons"), choice, seen, covered, extent)


def folder(path: Path, portrait: bytes, faces: list[Box]) -> Path:
    """Write a folder of the portrait at the left, with that label, and of a photo that shows nobody."""
    (path / "photos").mkdir()
    photo = Image.new("RGB", (1024, 512), "grey")
    with Image.open(io.BytesIO(portrait)) as file:
        photo.paste(file.convert("RGB"))
    photo.save(path / "photos" / "somebody.png")
    Image.linear_gradient("L").resize((300, 200)).save(path / "photos" / "nobody.png")
    labels = {
        "somebody": {"kind": "portrait", "faces": faces, "maybe": [], "short_side": 512, "source": ""},
        "nobody": {"kind": "none", "faces": [], "maybe": [], "short_side": 200, "source": ""},
    }
    (path / "labels.json").write_text(json.dumps(labels))
    return path


# -- the measure ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("face", "seen", "covered"),
    [
        ((60, 40, 20, 30), 1, 0),
        ((40, 40, 20, 30), 0.5, 0.5),  # half under the ribbon
        ((10, 40, 20, 30), 0, 1),
        ((90, 40, 20, 30), 0.5, 0),  # half past the edge
        ((60, -15, 20, 30), 0.5, 0),
        ((200, 40, 20, 30), 0, 0),
        ((0, 0, 100, 100), 0.5, 0.5),
    ],
)
def test_a_face_is_seen_where_the_frame_is_clear_and_the_avatar_is(
    face: Box, seen: float, covered: float
) -> None:
    """What the ribbon covers is told from what lies past the edge."""
    alpha = bytes([255] * 250 + [0] * 250) * 500
    found = shown(alpha, (0, 0, 100), face)
    assert found == pytest.approx((seen, covered), abs=0.02)
    left, top, width, height = face
    assert shown(alpha, (-7, 3, 100), (left - 7, top + 3, width, height)) == pytest.approx(found, abs=0.01)


def test_it_is_the_ellipse_that_counts() -> None:
    """The corners of a face's box may lie under the ribbon."""
    alpha = Image.new("L", (400, 400), 255)
    ImageDraw.Draw(alpha).ellipse((100, 150, 300, 250), fill=0)
    assert shown(alpha.tobytes(), (0, 0, 200), (50, 75, 100, 50))[0] > 0.99


def test_half_covered_is_cut_and_not_whole(tmp_path: Path) -> None:
    """Whole, a quarter of the opening, and cut are counted each by itself, of photos with a face alone."""
    rows = [
        framed(tmp_path, 1),
        framed(tmp_path, 0.5, covered=0.5),
        framed(tmp_path, 0.985, covered=0.015, extent=0.2),
        framed(tmp_path, 0.5),
        framed(tmp_path, None, kind="centre"),
    ]
    assert figures(rows) == (50, 25, 25)
    assert figures([]) == pytest.approx((math.nan,) * 3, nan_ok=True)


def test_a_false_face_counts_where_there_is_none(tmp_path: Path) -> None:
    """Not beside a true one, and not where nobody is sure."""
    nobody, changed = framed(tmp_path, None, kind="centre"), framed(tmp_path, None)
    unsure = Labelled("b", tmp_path, "drawn", [], [FACE], 500)
    rows = [nobody, changed, framed(tmp_path, 1), Framed(unsure, "red-ribbons", changed.spec, changed.choice)]
    assert false(rows) == 50
    assert worst(rows, 9) == [changed, rows[2]]


def test_the_worst_is_what_is_seen_least(tmp_path: Path) -> None:
    """Among whole faces it is the smallest."""
    rows = [framed(tmp_path, 1, extent=0.5), framed(tmp_path, 0.3), framed(tmp_path, 0.99, extent=0.1)]
    assert worst(rows, 2) == [rows[1], rows[2]]


def test_an_aim_that_is_missed_is_told(tmp_path: Path) -> None:
    """Each with its figure and its frame; nothing where all are reached."""
    slow = Timing(thumbnail=[0], faces=[2], choice=[0], resize=[1])
    told = missed([framed(tmp_path, 0.5), framed(tmp_path, None)], slow)
    assert told == [
        "red-ribbons: 0.0 whole; at least 88",
        "red-ribbons: 0.0 whole and a quarter of the opening; at least 80",
        "red-ribbons: 100.0 changed by a false face; at most 2",
        "faces take 2.00 times as long as the resize; at most 1.18",
    ]
    assert missed([framed(tmp_path, 1)], Timing()) == []


# -- the whole way -----------------------------------------------------------------


@pytest.fixture
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is not what is tested, on a machine that does other things."""
    monkeypatch.setattr(command, "BUDGET", math.inf)


@pytest.mark.usefixtures("_unhurried")
def test_a_portrait_lands_in_every_frame(
    tmp_path: Path, portrait: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its face is found, and whole; nobody is found where nobody is."""
    assert command.main([str(folder(tmp_path, portrait, [FACE]))]) == 0
    told = capsys.readouterr().out
    lines = {line.split()[0]: line.split()[1:] for line in told.splitlines() if line}
    assert lines["all"] == lines["portrait"] == ["1", *["100.0", "100.0", "0.0"] * 3]
    assert lines["false"] == ["1", "0.0", "0.0", "0.0"]
    assert "faces / resize" in told
    assert "Missed" not in told


@pytest.mark.usefixtures("_unhurried")
def test_without_a_look_for_faces_it_is_worse(
    tmp_path: Path, portrait: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """The middle of the photo is not where the head is; the worst avatars are drawn."""
    drawn = tmp_path / "drawn"
    arguments = [
        str(folder(tmp_path, portrait, [FACE])),
        "--no-faces",
        "--worst",
        "2",
        "--output",
        str(drawn),
    ]
    assert command.main(arguments) == 1
    assert "Missed: january-31: 0.0 whole; at least 88." in capsys.readouterr().out
    names = sorted(path.name for path in drawn.iterdir())
    assert [name[:3] for name in names] == ["01-", "02-"]
    assert "01-january-31-somebody.png" in names
    with Image.open(drawn / names[0]) as picture:
        assert picture.size == (1080, 1080)
        assert (0, 255, 0) in {colour for _, colour in picture.getcolors(1 << 21) or []}


def test_the_number_of_pixels_is_the_originals(tmp_path: Path, portrait: bytes) -> None:
    """A photo that was reduced for the folder may be brought as near as its original."""
    labelled = load(folder(tmp_path, portrait, [FACE]))[0]
    bench = command.Bench()
    near = Labelled(labelled.name, labelled.path, "portrait", [FACE], [], 4000)
    assert all(one.choice.zoom <= 1 for one in bench.measure(labelled))
    assert all(one.choice.zoom > 1 for one in bench.measure(near))
    assert "portrait" in table(bench.measure(near))


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (None, "labels.json"),
        ("{", "Invalid JSON"),
        ("[]", "an object"),
        ('{"somebody": {"kind": "portrait", "maybe": [], "short_side": 1}}', "somebody.faces"),
        ('{"somebody": {"kind": "", "faces": [[1, 2]], "maybe": [], "short_side": 1}}', "somebody.faces.0.2"),
        ('{"somebody": {"kind": "", "faces": [], "maybe": [], "short_side": 0}}', "somebody.short_side"),
        (
            '{"gone": {"kind": "", "faces": [], "maybe": [], "short_side": 1}}',
            "not there: gone",
        ),
        ("{}", "names no photo"),
    ],
)
def test_a_folder_that_is_not_as_it_should_be_is_refused(
    labels: str | None, told: str, tmp_path: Path, portrait: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reason, before anything is measured."""
    path = folder(tmp_path, portrait, [])
    if labels is None:
        (path / "labels.json").unlink()
    else:
        (path / "labels.json").write_text(labels)
    with pytest.raises(SystemExit, match="2"):
        command.main([str(path)])
    assert told in capsys.readouterr().err


def test_a_photo_that_cannot_be_read_is_named(
    tmp_path: Path, portrait: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Among hundreds, whoever put it there has to find it."""
    path = folder(tmp_path, portrait, [FACE])
    (path / "photos" / "nobody.png").write_text("a page")
    with pytest.raises(SystemExit, match="2"):
        command.main([str(path)])
    assert f"{path / 'photos' / 'nobody.png'}: This file is not a photo" in capsys.readouterr().err


def test_the_worst_need_a_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No folder is guessed."""
    with pytest.raises(SystemExit, match="2"):
        command.main([str(tmp_path), "--worst", "3"])
    assert "--output" in capsys.readouterr().err
