from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from app.bulk import local, sheet
from app.bulk.destinations import REPORT, FolderDestination
from app.bulk.local import draw_all, draw_contact_sheet, look, make_plan
from app.bulk.report import ReportRow, read_report
from app.bulk.sources import Source, SourcePhoto, open_source
from app.bulk.table import read_table
from app.errors import (
    InvalidName,
    InvalidRow,
    InvalidSpec,
    MissingGlyphs,
    NameRepeated,
    PhotoNotSupported,
    RibbonsError,
    SloganDoesNotFit,
)
from app.render.avatar import Avatar
from app.render.framing import Choice
from app.settings import Settings
from tests.photos import quadrants, save

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from app.bulk.local import Given, Plan
    from app.frames import FrameLibrary
    from app.making import Order, Outcome
    from app.spec import AvatarSpec

SQUARE = Choice("faces", 0.5, 0.25, 1.0)


def no_bytes() -> bytes:
    """Stand for a photo that nobody reads."""
    raise AssertionError


def source(*names: str, place: Path, skipped: Sequence[str] = ()) -> Source:
    """Return photos of these names; of "!name" one that is refused."""
    photos = [
        SourcePhoto(name.lstrip("!"), "stamp", InvalidName() if name.startswith("!") else None, no_bytes)
        for name in names
    ]
    return Source(place, tuple(photos), tuple(skipped))


@pytest.fixture
def plan(tmp_path: Path, frames: FrameLibrary) -> Callable[..., Plan]:
    """Plan avatars of photos by their names, with a table."""

    def planned(*names: str, table: str = "", given: Given = (), looks_for_faces: bool = True) -> Plan:
        photos = source(*names, place=tmp_path)
        rows = read_table(table.encode()) if table else None
        return make_plan(photos, rows, given, frames, looks_for_faces=looks_for_faces)

    return planned


def rows_of(plan: Plan) -> dict[str, str | None]:
    """Return what the row of each photo said in the table's first column, by the photo's name."""
    return {item.name: item.cells[0] for item in plan.items if item.photo and item.cells}


# -- the plan: whose row it is -----------------------------------------------------


def test_a_row_is_that_of_its_photo(plan: Callable[..., Plan]) -> None:
    """By the name with its folders, whichever way it spells accents; then by the only file of a name."""
    composed, apart = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    table = (
        f"id,photo\n1,a.jpg\n2,x/a.jpg\n3,{composed}\n4,alone.jpg\n5,twice.jpg\n6,X\\b.jpg\n7,none/alone2.jpg"
    )
    photos = [
        "a.jpg",
        "x/a.jpg",
        apart,
        "x/alone.jpg",
        "x/twice.jpg",
        "y/twice.jpg",
        "X/b.jpg",
        "x/alone2.jpg",
    ]
    made = plan(*photos, table=table)
    assert rows_of(made) == {"a.jpg": "1", "x/a.jpg": "2", apart: "3", "x/alone.jpg": "4", "X/b.jpg": "6"}
    assert made.missing == ["twice.jpg", "none/alone2.jpg"]
    assert set(made.unlisted) == {"x/twice.jpg", "y/twice.jpg", "x/alone2.jpg"}


def test_a_row_takes_no_photo_from_another(plan: Callable[..., Plan]) -> None:
    """The row that names the folder, too, has it; two spellings side by side have each its own."""
    made = plan("x/a.jpg", table="id,photo\n1,a.jpg\n2,x/a.jpg")
    assert (rows_of(made), made.missing) == ({"x/a.jpg": "2"}, ["a.jpg"])
    composed, apart = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    made = plan(composed, apart, table=f"id,photo\n1,{apart}")
    assert rows_of(made) == {apart: "1"}


def test_the_tables_order_is_the_reports(plan: Callable[..., Plan]) -> None:
    """Then come the photos that it has not."""
    made = plan("a.jpg", "b.jpg", "c.jpg", table="photo\nc.jpg\nnone.jpg\na.jpg")
    assert [item.name for item in made.items] == ["c.jpg", "none.jpg", "a.jpg", "b.jpg"]


def test_an_avatars_name_does_not_hang_on_other_photos_rows(plan: Callable[..., Plan]) -> None:
    """A row that is wrong is mended, and the command run again: nobody's face is under another name."""
    wrong = plan("b.jpg", "b.png", table="photo,size\nb.jpg,9000")
    right = plan("b.jpg", "b.png", table="photo,size\nb.jpg,900")
    assert [item.avatar for item in wrong.items] == [None, "b.png.jpg"]
    assert [item.avatar for item in right.items] == ["b.jpg.jpg", "b.png.jpg"]


# -- the plan: what is asked for ---------------------------------------------------


def specs(plan: Plan) -> dict[str, AvatarSpec | None]:
    """Return what is asked for of each photo."""
    return {item.name: item.spec for item in plan.items}


def test_what_a_row_says_wins(plan: Callable[..., Plan]) -> None:
    """What it leaves empty is as the options say, and so is a photo without a row."""
    table = "photo,size,slogan,shape\na.jpg,200,,\nb.jpg,,قدسنا,circle\n"
    made = plan("a.jpg", "b.jpg", "c.jpg", table=table, given=(("size", "100"), ("slogan", "حرة")))
    asked = {
        name: (spec.size, spec.slogan, spec.shape) for name, spec in specs(made).items() if spec is not None
    }
    assert asked == {
        "a.jpg": (200, "حرة", "square"),
        "b.jpg": (100, "قدسنا", "circle"),
        "c.jpg": (100, "حرة", "square"),
    }
    assert [item.avatar for item in made.items] == ["a.jpg", "b.png", "c.jpg"]


def test_avatars_of_one_stem_keep_apart_in_each_format(plan: Callable[..., Plan]) -> None:
    """Where a row asks for another format, its avatar meets none of the others."""
    table = "photo,format\na.jpg,\na.png,\na.heic,webp\n"
    made = plan("a.jpg", "a.png", "a.heic", table=table)
    assert [item.avatar for item in made.items] == ["a.jpg.jpg", "a.png.jpg", "a.webp"]


def test_no_face_is_looked_for_where_the_settings_say_so(plan: Callable[..., Plan]) -> None:
    """Whatever the table says."""
    made = plan("a.jpg", "b.jpg", table="photo,faces\na.jpg,on", looks_for_faces=False)
    assert [spec and spec.faces for spec in specs(made).values()] == ["off", "off"]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ((("size", "9000"),), InvalidSpec),
        ((("slogan", "水"),), MissingGlyphs),
        ((("slogan", "كلمة " * 12),), SloganDoesNotFit),
    ],
)
def test_options_that_are_not_right_are_told_before_anything_else(
    given: Given, error: type[RibbonsError], plan: Callable[..., Plan]
) -> None:
    """Words that cannot be drawn as well, though nothing is drawn."""
    with pytest.raises(error):
        plan("a.jpg", given=given)


def test_what_is_wrong_with_the_table_is_told_by_its_rows(plan: Callable[..., Plan]) -> None:
    """Those photos fail; the first of two rows counts, and a photo that is not there is missing anyway."""
    table = (
        "photo,size,slogan\na.jpg,9000,\nb.jpg,100,水\nc.jpg,100,\nc.jpg,200,\n,100,\nnone.jpg,9000,\n"
        "d.jpg,,حرة\nd.jpg,9000,\n"
    )
    made = plan("a.jpg", "b.jpg", "c.jpg", "d.jpg", table=table)
    assert [(problem.line, type(problem.error)) for problem in made.problems] == [
        (2, InvalidSpec),
        (3, MissingGlyphs),
        (5, NameRepeated),
        (6, InvalidRow),
        (7, InvalidSpec),
        (9, NameRepeated),
        (9, InvalidSpec),
    ]
    assert [(item.name, item.avatar, type(item.error)) for item in made.items] == [
        ("a.jpg", None, InvalidSpec),
        ("b.jpg", None, MissingGlyphs),
        ("c.jpg", "c.jpg", type(None)),
        ("c.jpg", None, NameRepeated),
        ("", None, InvalidRow),
        ("none.jpg", None, type(None)),
        ("d.jpg", "d.jpg", type(None)),
        ("d.jpg", None, NameRepeated),
    ]
    assert made.missing == ["none.jpg"]


def test_a_refused_photo_keeps_its_row_and_its_reason(plan: Callable[..., Plan]) -> None:
    """Another one of the same name, which can be read, goes first."""
    made = plan("!a.jpg", "!b.jpg", "b.jpg", table="photo\na.jpg\nb.jpg")
    assert [(item.name, item.avatar, type(item.error)) for item in made.items] == [
        ("a.jpg", None, InvalidName),
        ("b.jpg", "b.jpg", type(None)),
        ("b.jpg", None, InvalidName),
    ]
    assert [item.name for item in made.refused] == ["a.jpg", "b.jpg"]


def test_made_from_changes_with_all_that_the_avatar_depends_on(
    tmp_path: Path, frames: FrameLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with nothing else: the same again says the same."""

    def made_from(photos: Source, *given: tuple[str, str]) -> str:
        (item,) = make_plan(photos, None, given, frames, looks_for_faces=True).items
        return item.made_from

    one = source("a.jpg", place=tmp_path)
    first = made_from(one)
    assert first == made_from(source("a.jpg", place=tmp_path / "moved"))
    assert first == made_from(one, ("size", "1080"))
    others = [
        made_from(source("b.jpg", place=tmp_path)),
        made_from(source("A.jpg", place=tmp_path)),
        made_from(replace(one, photos=(replace(one.photos[0], stamp="another"),))),
        made_from(one, ("size", "1000")),
        made_from(one, ("frame", "january-31")),
        made_from(one, ("format", "png")),
    ]
    monkeypatch.setattr(local, "drawing_revision", lambda: "another")
    others.append(made_from(one))
    assert len({first, *others}) == 8


# -- making ------------------------------------------------------------------------


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Have no worker: an avatar is the photo's own bytes; and collect the photos that were drawn."""
    photos: list[bytes] = []

    def make(
        orders: Sequence[Order], _: AvatarSpec, __: Settings, take: Callable[[int, Outcome], None]
    ) -> None:
        for index in reversed(range(len(orders))):
            content = orders[index].read()
            photos.append(content)
            is_bad = content.startswith(b"<")
            seconds = {"decode": 0.25, "encode": 0.5}
            avatar = Avatar(b"avatar of " + content, "image/jpeg", ".jpg", SQUARE, seconds)
            take(index, PhotoNotSupported(formats=("JPEG",)) if is_bad else avatar)

    monkeypatch.setattr(local, "make_avatars", make)
    return photos


class Place:
    """Photos in a folder, and their avatars in another."""

    def __init__(self, root: Path, frames: FrameLibrary) -> None:
        self.photos, self.out = root / "photos", root / "out"
        self._frames = frames
        self.photos.mkdir()

    def put(self, **photos: str) -> None:
        """Write photos."""
        for name, content in photos.items():
            (self.photos / f"{name}.jpg").write_text(content)

    def run(
        self, *given: tuple[str, str], table: str = "", tell: Callable[[ReportRow], None] = lambda _: None
    ) -> dict[str, str]:
        """Make avatars; return what became of each photo."""
        rows = read_table(table.encode()) if table else None
        plan = make_plan(open_source(self.photos, 1000), rows, given, self._frames, looks_for_faces=True)
        destination = FolderDestination(self.out)
        destination.check(plan.avatars, self.photos)
        try:
            made = draw_all(look(plan, destination), destination, Settings(), "en", tell)
        finally:
            destination.close()
        return {row.photo: row.outcome for row in made}

    def report(self) -> list[dict[str, str]]:
        """Return the report's lines."""
        return read_report((self.out / REPORT).read_bytes())


@pytest.fixture
def place(tmp_path: Path, frames: FrameLibrary) -> Place:
    """Two photos, and a page."""
    place = Place(tmp_path, frames)
    place.put(a="A", b="B", page="<html>")
    return place


def test_each_photo_has_its_avatar_and_its_line(place: Place, drawn: list[bytes]) -> None:
    """Each line is told as it comes to be, and the report is in order at last, with the table's columns."""
    told: list[str] = []
    made = place.run(table="id,photo\n7,b.jpg\n8,none.jpg", tell=lambda row: told.append(row.photo))
    assert made == {"b.jpg": "made", "none.jpg": "missing", "a.jpg": "made", "page.jpg": "failed"}
    assert told == ["page.jpg", "a.jpg", "b.jpg"]
    assert sorted(drawn) == [b"<html>", b"A", b"B"]
    assert {path.name: path.read_bytes() for path in place.out.glob("*.jpg")} == {
        "a.jpg": b"avatar of A",
        "b.jpg": b"avatar of B",
    }
    report = (place.out / REPORT).read_text(encoding="utf-8-sig").splitlines()
    assert report[0] == "id,photo,avatar,outcome,error,error_text,framing,x,y,zoom,seconds,made_from"
    assert report[1].startswith("7,b.jpg,b.jpg,made,,,faces,0.500,0.250,1.000,0.750,")
    assert report[2] == "8,none.jpg,,missing,,,,,,,,"
    assert report[3].startswith(",a.jpg,a.jpg,made,")
    assert report[4].startswith(",page.jpg,,failed,photo_not_supported,This file is not a photo")
    assert len(report) == 5


def test_what_is_there_is_kept_and_what_failed_is_tried_again(place: Place, drawn: list[bytes]) -> None:
    """A second run reads nothing that is made; what was mended meanwhile is made."""
    before = place.run()
    first = (place.out / REPORT).read_bytes()
    drawn.clear()
    assert place.run() == before
    assert drawn == [b"<html>"]
    assert (place.out / REPORT).read_bytes() == first
    place.put(page="mended")
    drawn.clear()
    assert set(place.run().values()) == {"made"}
    assert drawn == [b"mended"]
    report = (place.out / REPORT).stat()
    drawn.clear()
    assert set(place.run().values()) == {"made"}
    assert drawn == []
    assert (place.out / REPORT).stat().st_mtime_ns == report.st_mtime_ns


def test_what_would_be_another_today_is_made_anew(place: Place, drawn: list[bytes]) -> None:
    """A photo that was changed, another wish of one row or of all, an avatar that is gone."""
    place.run()
    drawn.clear()
    place.put(a="AA")
    place.run()
    assert sorted(drawn) == [b"<html>", b"AA"]
    drawn.clear()
    place.run(table="photo,size\nb.jpg,100")
    assert sorted(drawn) == [b"<html>", b"B"]
    (place.out / "a.jpg").unlink()
    drawn.clear()
    place.run(table="photo,size\nb.jpg,100")
    assert sorted(drawn) == [b"<html>", b"AA"]
    drawn.clear()
    place.run(("size", "200"))
    assert sorted(drawn) == [b"<html>", b"AA", b"B"]


def test_other_columns_alone_draw_nothing(place: Place, drawn: list[bytes]) -> None:
    """The report is written anew with them."""
    place.run()
    drawn.clear()
    place.run(table="photo,user id\nb.jpg,7")
    assert drawn == [b"<html>"]
    assert (
        (place.out / REPORT).read_text(encoding="utf-8-sig").splitlines()[1].startswith("b.jpg,7,b.jpg,made")
    )


@pytest.mark.parametrize("cut", range(1, 400, 7))
def test_any_end_of_a_report_may_be_missing(cut: int, place: Place, drawn: list[bytes]) -> None:
    """Who was killed left all but its last bytes: the lines that are whole count, and the rest is drawn."""
    place.put(page="third")
    made = place.run()
    whole = (place.out / REPORT).read_bytes()
    left = whole[:-cut]
    header = whole.index(b"\n") + 1
    if len(left) < header:
        return  # it is never written without its header
    (place.out / REPORT).write_bytes(left)
    drawn.clear()
    assert place.run() == made
    assert len(drawn) == 3 - left[header:].count(b"\n")
    assert (place.out / REPORT).read_bytes() == whole


def test_it_goes_on_from_whichever_moment_it_was_stopped(place: Place, drawn: list[bytes]) -> None:
    """After each of its lines, and between an avatar and its line."""
    place.put(page="third")

    class Stopped(Exception):
        pass

    for stop in range(3):
        count = 0

        def tell(_: ReportRow, stop: int = stop) -> None:
            nonlocal count
            if count == stop:
                raise Stopped
            count += 1

        with pytest.raises(Stopped):
            place.run(("size", str(100 + stop)), tell=tell)
        assert len(place.report()) == stop + 1
        drawn.clear()
        place.run(("size", str(100 + stop)))
        assert len(drawn) == 2 - stop
        assert [row["outcome"] for row in place.report()] == ["made"] * 3


def test_lines_of_other_wishes_are_gone_before_their_avatars_are(place: Place, drawn: list[bytes]) -> None:
    """One that was killed in the middle has left none that is true no more."""

    class Stopped(Exception):
        pass

    def stop(_: ReportRow) -> None:
        raise Stopped

    place.put(page="third")
    place.run()
    with pytest.raises(Stopped):
        place.run(("size", "100"), tell=stop)
    drawn.clear()
    place.run()
    assert len(drawn) == 3


def test_a_line_that_somebody_has_changed_costs_a_drawing(place: Place, drawn: list[bytes]) -> None:
    """And never a wrong one."""
    place.put(page="third")
    place.run()
    report = (place.out / REPORT).read_text(encoding="utf-8")
    changed = report.replace("a.jpg,a.jpg,made,,,faces,0.500", "a.jpg,b.jpg,made,,,faces,0.500")
    changed = changed.replace("b.jpg,b.jpg,made,,,faces,0.500", "b.jpg,b.jpg,made,,,nothing,much")
    (place.out / REPORT).write_text(changed, encoding="utf-8", newline="")
    drawn.clear()
    place.run()
    assert sorted(drawn) == [b"A", b"B"]
    assert [(row["avatar"], row["framing"]) for row in place.report()] == [
        ("a.jpg", "faces"),
        ("b.jpg", "faces"),
        ("page.jpg", "faces"),
    ]


def test_a_name_that_the_disk_cannot_keep_fails_alone(place: Place, drawn: list[bytes]) -> None:
    """The others are made."""
    place.run()
    (place.out / "a.jpg").unlink()
    (place.out / "a.jpg").mkdir()
    drawn.clear()
    assert place.run() == {"a.jpg": "failed", "b.jpg": "made", "page.jpg": "failed"}
    assert [row["error"] for row in place.report()] == ["invalid_name", "", "photo_not_supported"]
    assert drawn == [b"<html>", b"A"]


# -- the contact sheet -------------------------------------------------------------


def test_a_sheet_has_a_cell_for_each_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the report's order, with what somebody has to look at; of too many that comes in first."""
    content = save(quadrants(), "PNG")
    (tmp_path / "a.png").write_bytes(content)
    rows = [
        ReportRow("a", "a.png", "made", None, SQUARE),
        ReportRow("b", "a.png", "made", None, SQUARE._replace(kind="centre")),
        ReportRow("c", None, "failed", InvalidName()),
        ReportRow("d", "gone.png", "made", None, SQUARE),
    ]
    seen: list[object] = []

    def draw(thumbs: object, count: int) -> bytes:
        seen.extend([list(thumbs), count])  # type: ignore[call-overload]
        return b"sheet"

    monkeypatch.setattr(local, "draw_sheet", draw)
    destination = FolderDestination(tmp_path)
    assert draw_contact_sheet(rows, destination) == b"sheet"
    a, b, c, d = ("a", content, False), ("b", content, True), ("c", None, False), ("d", None, False)
    assert seen == [[a, b, c, d], 4]
    monkeypatch.setattr(sheet, "MAX_CELLS", 3)
    seen.clear()
    draw_contact_sheet(rows, destination)
    assert seen == [[a, b, c], 3]
    monkeypatch.setattr(sheet, "MAX_CELLS", 2)
    seen.clear()
    draw_contact_sheet(rows, destination)
    assert seen == [[b, c], 2]
