from __future__ import annotations

import os
import pickle
import unicodedata
import zipfile
from typing import TYPE_CHECKING

import pytest

from app.bulk.sources import UnusablePlace, open_source
from app.errors import (
    ArchiveDamaged,
    ArchiveNotSupported,
    InvalidName,
    NameRepeated,
    PhotoTooManyBytes,
    PhotoUnreadable,
    RibbonsError,
)
from tests.photos import quadrants, save

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 1000
PNG = save(quadrants(), "PNG")


def put(root: Path, *names: str) -> None:
    """Write files that hold their own names."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_a_folder_is_read_with_all_below_it(tmp_path: Path) -> None:
    """In an order that is the same each time, and what is read is what lies there."""
    names = ["a.jpg", "b/c/d.png", "b/a.heic", "صور/أحمد.jpg", "no-ending", "B.JPG"]
    put(tmp_path, *names)
    (tmp_path / "empty").mkdir()
    source = open_source(tmp_path, LIMIT)
    assert [photo.name for photo in source.photos] == sorted(names)
    assert [photo.read() for photo in source.photos] == [name.encode() for name in sorted(names)]
    assert (source.place, source.skipped) == (tmp_path, ())


def test_names_are_kept_as_they_are(tmp_path: Path) -> None:
    """Some systems write accents apart from their letters, and both ways may lie side by side."""
    both = [unicodedata.normalize(form, "é/آ.jpg") for form in ("NFC", "NFD")]
    put(tmp_path, *both)
    assert {photo.name for photo in open_source(tmp_path, LIMIT).photos} == set(both)


def test_what_is_no_photo_is_left_out_and_named(tmp_path: Path) -> None:
    """Hidden files, files of systems, pipes, links out of the folder or to nowhere, and the table."""
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "root"
    put(root, "a.jpg", ".hidden.jpg", "b/.DS_Store", "__MACOSX/a.jpg", "b/._a.jpg", "Thumbs.db", "people.csv")
    put(tmp_path, "elsewhere/secret.jpg")
    os.mkfifo(root / "pipe.jpg")
    (root / "out.jpg").symlink_to(tmp_path / "elsewhere" / "secret.jpg")
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    (root / "circle.jpg").symlink_to(root / "circle.jpg")
    (root / "nowhere.jpg").symlink_to(root / "nothing")
    (root / "again").symlink_to(root)
    source = open_source(root, LIMIT, but=root / "people.csv")
    assert [photo.name for photo in source.photos] == ["a.jpg"]
    assert list(source.skipped) == sorted(
        [
            ".hidden.jpg",
            "Thumbs.db",
            "__MACOSX/a.jpg",
            "again",
            "b/.DS_Store",
            "b/._a.jpg",
            "circle.jpg",
            "folder",
            "nowhere.jpg",
            "out.jpg",
            "people.csv",
            "pipe.jpg",
        ]
    )


def test_a_link_inside_the_folder_is_a_photo(tmp_path: Path) -> None:
    """The folder itself may be a link, too."""
    put(tmp_path, "root/a.jpg")
    (tmp_path / "root" / "b.jpg").symlink_to("a.jpg")
    (tmp_path / "link").symlink_to("root")
    photos = open_source(tmp_path / "link", LIMIT).photos
    assert [photo.name for photo in photos] == ["a.jpg", "b.jpg"]
    assert [photo.read() for photo in photos] == [b"root/a.jpg"] * 2


def test_a_stamp_changes_with_the_photo(tmp_path: Path) -> None:
    """With its size, and with its time."""
    put(tmp_path, "a.jpg")
    path = tmp_path / "a.jpg"
    stamps = []
    for content, when in ((b"1", 1), (b"2", 1), (b"22", 1), (b"22", 2)):
        path.write_bytes(content)
        os.utime(path, ns=(when, when))
        stamps.append(open_source(tmp_path, LIMIT).photos[0].stamp)
    assert stamps[0] == stamps[1]
    assert len(set(stamps)) == 3


def test_what_cannot_be_read_is_refused_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that nothing else can keep, a file that went away, one that is too large, a closed folder."""
    put(tmp_path, "a.jpg", "b\n.jpg", "gone.jpg", "closed/c.jpg")
    (tmp_path / "large.jpg").write_bytes(bytes(LIMIT + 1))
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff.jpg", os.O_CREAT))
    walk = os.walk

    def closed(root: Path, onerror: object) -> object:
        for folder, folders, names in walk(root):
            if "closed" in folders:
                folders.remove("closed")
                onerror(PermissionError(13, "", f"{folder}/closed"))  # type: ignore[operator]
            yield folder, folders, names

    monkeypatch.setattr(os, "walk", closed)
    photos = {photo.name: photo for photo in open_source(tmp_path, LIMIT).photos}
    (tmp_path / "gone.jpg").unlink()
    assert sorted(photos) == sorted(["a.jpg", "b\ufffd.jpg", "gone.jpg", "closed", "large.jpg", "\ufffd.jpg"])
    refused = {name: type(photo.refusal) for name, photo in photos.items() if photo.refusal}
    assert refused == {"b\ufffd.jpg": InvalidName, "\ufffd.jpg": InvalidName, "closed": PhotoUnreadable}
    for name in refused:
        with pytest.raises(RibbonsError):
            photos[name].read()
    with pytest.raises(PhotoUnreadable):
        photos["gone.jpg"].read()
    with pytest.raises(PhotoTooManyBytes):
        photos["large.jpg"].read()


def test_a_zip_is_read_like_a_folder(tmp_path: Path) -> None:
    """Its photos can be read in another process; what it refuses is told of each."""
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("b/a.png", PNG)
        archive.writestr("a.png", PNG + b"\0")
        archive.writestr("__MACOSX/._a.png", b"")
        archive.writestr("../up.png", PNG)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.png", PNG)
    source = open_source(path, LIMIT)
    assert [photo.name for photo in source.photos] == ["../up.png", "a.png", "a.png", "b/a.png"]
    refused = {(photo.name, type(photo.refusal)) for photo in source.photos if photo.refusal}
    assert refused == {("../up.png", InvalidName), ("a.png", NameRepeated)}
    assert source.skipped == ("__MACOSX/._a.png",)
    good = {photo.name: photo for photo in source.photos if not photo.refusal}
    assert sorted(good) == ["a.png", "b/a.png"]
    assert pickle.loads(pickle.dumps(good["b/a.png"].read))() == PNG  # noqa: S301 - our own
    assert good["a.png"].stamp != good["b/a.png"].stamp
    path.unlink()
    with pytest.raises(PhotoUnreadable):
        good["a.png"].read()


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\5\6", PNG])
def test_what_is_no_zip_is_refused(content: bytes, tmp_path: Path) -> None:
    """Before any of it is taken for a photo."""
    path = tmp_path / "photos.zip"
    path.write_bytes(content)
    with pytest.raises((ArchiveNotSupported, ArchiveDamaged)):
        open_source(path, LIMIT)


def test_a_place_that_cannot_be_a_source_is_told(tmp_path: Path) -> None:
    """What is not there, is neither a folder nor a file, or leads in circles."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    for name, said in (
        ("none", "No such file"),
        ("pipe", "neither a folder nor a ZIP"),
        ("circle", "Too many"),
    ):
        with pytest.raises(UnusablePlace, match=said):
            open_source(tmp_path / name, LIMIT)
