from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

import pytest

from app.bulk.destinations import (
    REPORT,
    FolderDestination,
    ZipDestination,
    choose_destination,
)
from app.bulk.report import ReportRow, report_lines
from app.bulk.sources import UnusablePlace
from app.errors import InvalidName
from app.render.framing import Choice

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from app.bulk.destinations import Destination

SQUARE = Choice("faces", 0.5, 0.5, 1.0)


def row(avatar: str, made_from: str = "d1") -> ReportRow:
    """Return the line of an avatar."""
    return ReportRow(f"photo of {avatar}", avatar, "made", None, SQUARE, 0.1, (), made_from)


def report(*rows: ReportRow) -> bytes:
    """Return a report by which work goes on."""
    return b"".join(report_lines([], rows, "en", goes_on=True))


def line(one: ReportRow) -> bytes:
    """Return a line of such a report."""
    return list(report_lines([], [one], "en", goes_on=True))[-1]


def found(destination: Destination) -> dict[str, str]:
    """Return the avatars that an earlier run has made, by what they were made from."""
    return {made_from: earlier["avatar"] for made_from, earlier in destination.earlier().items()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of photos."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"a photo")
    return folder


# -- the choice --------------------------------------------------------------------


def test_the_name_says_what_it_is(tmp_path: Path, source: Path) -> None:
    """A ZIP where it ends so; a folder where there is one of that name, and else."""
    (tmp_path / "folder.zip").mkdir()
    for name, kind in (("out", "Folder"), ("out.ZIP", "Zip"), ("folder.zip", "Folder"), ("a/b.c", "Folder")):
        assert type(choose_destination(tmp_path / name, source)).__name__ == f"{kind}Destination", name


@pytest.mark.parametrize(
    "name", ["photos", "photos/out", "photos/out.zip", "link", "link/out", "file", "pipe.zip"]
)
def test_what_would_touch_the_photos_is_refused(name: str, tmp_path: Path, source: Path) -> None:
    """The source itself, what lies in it, also by a link; and what is neither a folder nor a ZIP."""
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(UnusablePlace):
        choose_destination(tmp_path / name, source)


def test_a_zip_may_not_replace_itself(tmp_path: Path) -> None:
    """A source that is a ZIP may have its destination beside it, but not in its place."""
    path = tmp_path / "photos.zip"
    path.touch()
    with pytest.raises(UnusablePlace):
        choose_destination(path, path)
    choose_destination(tmp_path, path).check(["a.jpg"], path)
    with pytest.raises(UnusablePlace):
        choose_destination(tmp_path, path).check(["photos.zip"], path)


# -- what is there -----------------------------------------------------------------


@pytest.mark.parametrize("kind", [FolderDestination, ZipDestination])
def test_what_others_have_made_is_not_replaced(
    kind: type[FolderDestination | ZipDestination], tmp_path: Path, source: Path
) -> None:
    """A file of an avatar's name that no report of ours tells of, and a report that is not ours."""
    place = tmp_path / "out.zip"
    folder = place if kind is FolderDestination else tmp_path / "out.zip.unfinished"
    folder.mkdir()
    (folder / "notes.txt").touch()
    kind(place).check(["a.jpg"], source)
    (folder / "a.jpg").touch()
    with pytest.raises(UnusablePlace, match=r"a\.jpg is there already"):
        kind(place).check(["a.jpg"], source)
    kind(place).check(["b.jpg"], source)
    (folder / REPORT).write_bytes(b"name,salary\r\n")
    with pytest.raises(UnusablePlace, match=r"report\.csv is there already"):
        kind(place).check(["b.jpg"], source)
    (folder / REPORT).write_bytes(report())
    kind(place).check(["a.jpg"], source)


@pytest.mark.parametrize("content", [b"", b"PK", None])
def test_another_zip_is_not_replaced(content: bytes | None, tmp_path: Path, source: Path) -> None:
    """Nor what is broken: somebody may mend it."""
    place = tmp_path / "out.zip"
    if content is None:
        with zipfile.ZipFile(place, "w") as archive:
            archive.writestr("letters.txt", b"")
    else:
        place.write_bytes(content)
    with pytest.raises(UnusablePlace, match="is there already"):
        ZipDestination(place).check(["a.jpg"], source)


def test_no_link_leads_avatars_to_the_photos(tmp_path: Path, source: Path) -> None:
    """A folder of the destination may be a link to one of the photos'."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "sub").symlink_to(source / "sub")
    FolderDestination(out).check(["a.jpg"], source)
    with pytest.raises(UnusablePlace, match="lies in the folder of the photos"):
        FolderDestination(out).check(["sub/a.jpg"], source)


def test_an_avatar_replaces_a_link_and_not_what_it_leads_to(tmp_path: Path, source: Path) -> None:
    """A photo is never written over."""
    out = FolderDestination(tmp_path / "out")
    out.begin(report(), [], ["a.jpg"])
    (tmp_path / "out" / "a.jpg").symlink_to(source / "a.jpg")
    out.put("a.jpg", b"avatar")
    out.close()
    assert (source / "a.jpg").read_bytes() == b"a photo"
    assert (tmp_path / "out" / "a.jpg").read_bytes() == b"avatar"


def test_only_avatars_that_are_there_count(tmp_path: Path) -> None:
    """Of a report's lines: not those of files that are gone, empty, links, or of a line that is torn."""
    out = tmp_path / "out"
    out.mkdir()
    names = ["there", "gone", "empty", "link", "torn"]
    for name in names:
        (out / name).write_bytes(b"" if name == "empty" else b"avatar")
    (out / "gone").unlink()
    (out / "link").unlink()
    (out / "link").symlink_to("there")
    (out / REPORT).write_bytes(report(*(row(name, name) for name in names))[:-5])
    assert found(FolderDestination(out)) == {"there": "there"}
    (out / REPORT).unlink()
    assert found(FolderDestination(out)) == {}


# -- writing -----------------------------------------------------------------------


def test_a_report_grows_line_by_line_and_ends_whole(tmp_path: Path) -> None:
    """Whoever is killed has left a line of each avatar; leftovers of one who was are removed."""
    out = tmp_path / "out"
    out.mkdir()
    (out / ".ribbons-abc").write_bytes(b"half")
    destination = FolderDestination(out)
    assert not destination.is_final(report(row("a.jpg")), ["a.jpg"])
    destination.begin(report(), [], ["a.jpg", "sub/b.jpg"])
    assert sorted(path.name for path in out.iterdir()) == [REPORT]
    destination.put("sub/b.jpg", b"b")
    destination.note(line(row("sub/b.jpg", "d2")))
    assert found(FolderDestination(out)) == {"d2": "sub/b.jpg"}
    destination.put("a.jpg", b"a")
    destination.note(line(row("a.jpg")))
    whole = report(row("a.jpg"), row("sub/b.jpg", "d2"))
    destination.finish(whole, ["a.jpg", "sub/b.jpg"])
    destination.close()
    assert (out / REPORT).read_bytes() == whole
    assert destination.is_final(whole, ["a.jpg", "sub/b.jpg"])
    assert destination.read("a.jpg") == b"a"


@pytest.mark.parametrize("kind", [FolderDestination, ZipDestination])
def test_two_do_not_write_to_one_place(
    kind: type[FolderDestination | ZipDestination], tmp_path: Path
) -> None:
    """The second is told; when the first has ended, it may."""
    first, second = kind(tmp_path / "out"), kind(tmp_path / "out")
    first.begin(report(), [], [])
    with pytest.raises(UnusablePlace, match="Another process"):
        second.begin(report(), [], [])
    first.close()
    second.close()
    second.begin(report(), [], [])
    second.close()


@pytest.mark.parametrize("name", ["n" * 256, "file/a.jpg", "folder"])
def test_a_name_that_the_disk_cannot_keep_costs_its_own_photo(name: str, tmp_path: Path) -> None:
    """Too long, or below what is a file, or what is a folder."""
    destination = FolderDestination(tmp_path)
    destination.begin(report(), [], [])
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidName):
        destination.put(name, b"avatar")
    destination.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", REPORT]


# -- a ZIP -------------------------------------------------------------------------


def packed(path: Path) -> dict[str, bytes]:
    """Return what is in a ZIP."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        return {name: archive.read(name) for name in archive.namelist()}


def make(place: Path, avatars: Iterable[tuple[str, bytes, str]]) -> bytes:
    """Make a ZIP of avatars, each with what it was made from; return its report."""
    rows = [row(name, made_from) for name, _, made_from in avatars]
    destination = ZipDestination(place)
    destination.begin(report(), [], [])
    for name, content, _ in avatars:
        destination.put(name, content)
    destination.finish(report(*rows), [name for name, _, _ in avatars])
    destination.close()
    return report(*rows)


def test_a_zip_is_packed_at_the_end(tmp_path: Path) -> None:
    """The avatars and the report; what was beside it until then is gone."""
    place = tmp_path / "new" / "out.zip"
    avatars = [("صور/é.jpg", b"1", "d1"), ("a.jpg", b"2", "d2")]
    whole = make(place, avatars)
    assert packed(place) == {"a.jpg": b"2", "صور/é.jpg": b"1", REPORT: whole}
    assert [path.name for path in place.parent.iterdir()] == ["out.zip"]
    assert found(ZipDestination(place)) == {"d1": "صور/é.jpg", "d2": "a.jpg"}
    assert ZipDestination(place).is_final(whole, ["a.jpg", "صور/é.jpg"])
    assert not ZipDestination(place).is_final(whole, ["a.jpg"])
    assert not ZipDestination(place).is_final(report(), ["a.jpg", "صور/é.jpg"])


def test_a_zip_of_the_same_is_the_same(tmp_path: Path) -> None:
    """In whichever order its avatars were made."""
    avatars = [("b.jpg", b"1", "d1"), ("a.jpg", b"2", "d2")]
    for name, order in (("one.zip", avatars), ("two.zip", avatars[::-1])):
        make(tmp_path / name, order)
    one, two = packed(tmp_path / "one.zip"), packed(tmp_path / "two.zip")
    assert list(one) == list(two)
    assert one["a.jpg"] == two["a.jpg"]


def test_a_zip_goes_on_with_what_is_in_it(tmp_path: Path) -> None:
    """What is kept is taken out of the earlier one, and until the new one is whole the earlier one stays."""
    place = tmp_path / "out.zip"
    before = make(place, [("a.jpg", b"1", "d1"), ("old.jpg", b"0", "d0")])
    destination = ZipDestination(place)
    destination.begin(report(row("a.jpg")), [row("a.jpg")], ["a.jpg", "b.jpg"])
    destination.put("b.jpg", b"2")
    destination.note(line(row("b.jpg", "d2")))
    assert packed(place)[REPORT] == before
    assert found(ZipDestination(place)) == {"d1": "a.jpg", "d0": "old.jpg", "d2": "b.jpg"}
    whole = report(row("a.jpg"), row("b.jpg", "d2"))
    destination.finish(whole, ["a.jpg", "b.jpg"])
    assert destination.read("a.jpg") == b"1"
    destination.close()
    assert packed(place) == {"a.jpg": b"1", "b.jpg": b"2", REPORT: whole}


def test_a_zip_keeps_its_own_avatar_and_not_one_that_was_begun_since(tmp_path: Path) -> None:
    """One with other words was killed between an avatar and its line; then the first are asked for again."""
    place = tmp_path / "out.zip"
    whole = make(place, [("a.jpg", b"first", "d1")])
    killed = ZipDestination(place)
    killed.begin(report(), [], ["a.jpg"])
    killed.put("a.jpg", b"second")
    killed.close()
    again = ZipDestination(place)
    assert found(again) == {"d1": "a.jpg"}
    assert not again.is_final(whole, ["a.jpg"])
    again.begin(whole, [row("a.jpg")], ["a.jpg"])
    again.close()  # killed once more, and again
    again = ZipDestination(place)
    assert found(again) == {"d1": "a.jpg"}
    again.begin(whole, [row("a.jpg")], ["a.jpg"])
    again.finish(whole, ["a.jpg"])
    again.close()
    assert packed(place) == {"a.jpg": b"first", REPORT: whole}


def test_an_avatar_that_is_nowhere_is_told(tmp_path: Path) -> None:
    """As a folder tells it."""
    place = tmp_path / "out.zip"
    make(place, [("a.jpg", b"1", "d1")])
    for destination in (ZipDestination(place), FolderDestination(tmp_path)):
        with pytest.raises(OSError):
            destination.read("b.jpg")
        destination.close()
