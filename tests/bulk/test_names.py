from __future__ import annotations

import posixpath
import time
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.bulk.names import NAME_BYTES, PART_BYTES, avatar_names, clean_name, fold, is_photo_name, shown_name
from app.errors import InvalidName

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

# Names that collide: of few letters, in both cases and both forms, with and without extensions.
PARTS = st.text("aAéÉ\u0301eßsS.-2", min_size=1, max_size=4) | st.sampled_from(
    [
        "a.jpg",
        "a.jpg.jpg",
        "a-2",
        "A.heic",
        "a.png",
        "a.heic-2.jpg",
        "صورة.jpg",
        "x" * 255,
        "é" * 127 + ".png",
    ]
)


def is_kept(name: str) -> bool:
    """Whether a name is one of a photo that is kept."""
    try:
        return clean_name(name) == name
    except InvalidName:
        return False


NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join).filter(is_kept)


def key(name: str) -> str:
    """Return what macOS and Windows tell names by, or less."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


@pytest.mark.parametrize(
    "name",
    [
        "a.jpg",
        "members/2026/أحمد محمود.heic",
        unicodedata.normalize("NFD", "Zoë.jpg"),
        "a\\b.jpg",
        "..a.jpg",
        "a..b/c...jpg",
        " a .jpg",
        "می‌خواهم.jpg",
        "WhatsApp 10:30.jpg",
        "x" * PART_BYTES,
        "👩‍👩‍👧.png",
    ],
)
def test_a_name_is_kept_as_it_came(name: str) -> None:
    """With its folders, its spelling, its spaces, and what joins or divides letters."""
    assert clean_name(name) == name


@pytest.mark.parametrize(("name", "kept"), [("./a.jpg", "a.jpg"), ("a//b/./c.jpg", "a/b/c.jpg"), ("a/", "a")])
def test_what_says_nothing_in_a_path_is_left_out(name: str, kept: str) -> None:
    """Empty parts, and those that are a dot."""
    assert clean_name(name) == kept


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "./",
        "/",
        "/a.jpg",
        "//host/a.jpg",
        "\\a.jpg",
        "\\\\host\\a.jpg",
        "..",
        "../a.jpg",
        "a/../b.jpg",
        "a/..",
        "..\\a.jpg",
        "a\\..\\b.jpg",
        "a/..\\b.jpg",
        "C:a.jpg",
        "c:/a.jpg",
        "./C:/a.jpg",
        "./\\a.jpg",
        "a\0.jpg",
        "a\n.jpg",
        "a\x1b[31m.jpg",
        "a\x7f.jpg",
        "a\x85.jpg",
        "a\u2028.jpg",
        "a\udcff.jpg",
        "x" * (PART_BYTES + 1),
        "ع" * 128,
        "/".join(["x" * 200] * 6),
    ],
)
def test_a_name_that_nothing_may_have_is_refused(name: str) -> None:
    """It leads elsewhere, is empty or too long, or has characters that are no text."""
    with pytest.raises(InvalidName):
        clean_name(name)


@given(st.text(max_size=60) | st.lists(PARTS | st.sampled_from(["..", ".", "", "C:", "\\"])).map("/".join))
def test_a_clean_name_stays_in_its_folder(name: str) -> None:
    """Whatever came; and to clean it again changes nothing."""
    try:
        cleaned = clean_name(name)
    except InvalidName:
        return
    assert clean_name(cleaned) == cleaned
    for path in (cleaned, cleaned.replace("\\", "/")):
        inside = posixpath.normpath(posixpath.join("/top/folder", path))
        assert inside.startswith("/top/folder/")
    assert len(cleaned.encode()) <= NAME_BYTES
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in cleaned)


@given(st.text(st.characters(), max_size=300))
def test_any_name_can_be_shown(name: str) -> None:
    """On one line, and not for longer than that; never as nothing."""
    shown = shown_name(name)
    assert 0 < len(shown) <= 200
    assert len(shown.splitlines()) == 1
    assert shown.encode()


def test_two_spellings_are_one_name() -> None:
    """That of macOS and that of everybody else; capitals differ."""
    assert fold(unicodedata.normalize("NFD", "Zoë أحمد")) == fold("Zoë أحمد")
    assert fold("a.jpg") != fold("A.jpg")


@pytest.mark.parametrize(
    ("name", "is_photo"),
    [
        ("a.jpg", True),
        ("a", True),
        ("macosx/a.jpg", True),
        ("thumbs.jpg", True),
        ("a.b/c.jpg", True),
        ("./a.jpg", True),
        ("__MACOSX/a.jpg", False),
        ("__MACOSX/people/._a.jpg", False),
        ("people/._a.jpg", False),
        ("people/.DS_Store", False),
        ("THUMBS.DB", False),
        ("people/Thumbs.db", False),
        ("desktop.ini", False),
        ("Icon\r", False),
        (".git/a.jpg", False),
        (".a.jpg", False),
        ("people/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", False),
    ],
)
def test_what_systems_lay_beside_photos_is_known(name: str, is_photo: bool) -> None:  # noqa: FBT001 - a column
    """By its name: resource forks, previews, settings of folders, all that is hidden."""
    assert is_photo_name(name) is is_photo


def test_an_avatar_has_its_photos_name() -> None:
    """With another extension, in the same folder; what is no extension stays."""
    photos = ["a/b.heic", "c.JPEG", "Dr. Ahmad", "v1.2", "أحمد.png", "a.b/c"]
    assert avatar_names(photos, "jpg") == {
        "a/b.heic": "a/b.jpg",
        "c.JPEG": "c.jpg",
        "Dr. Ahmad": "Dr. Ahmad.jpg",
        "v1.2": "v1.2.jpg",
        "أحمد.png": "أحمد.jpg",
        "a.b/c": "a.b/c.jpg",
    }


def test_photos_of_which_the_extension_differs_keep_it() -> None:
    """In one folder; in another one, the same name is free."""
    assert avatar_names(["b.heic", "b.png", "c/b.heic"], "jpg") == {
        "b.heic": "b.heic.jpg",
        "b.png": "b.png.jpg",
        "c/b.heic": "c/b.jpg",
    }


def test_so_do_those_that_some_systems_take_for_one() -> None:
    """Where capitals, or letters and their accents, are not told apart; what is still alike gets a number."""
    apart = unicodedata.normalize("NFD", "é")
    named = avatar_names(["IMG.heic", "img.heic", "é.png", f"{apart}.png", "ß.png", "SS.png"], "jpg")
    assert named["IMG.heic"] == "IMG.heic.jpg"
    assert named["img.heic"] == "img.heic-2.jpg"
    assert len({key(name) for name in named.values()}) == 6


def test_a_name_that_another_would_fall_back_to_stays_its_own() -> None:
    """The photo that is alone with its name has it, whatever others need."""
    assert avatar_names(["b.heic", "b.png", "b.heic.gif"], "jpg") == {
        "b.heic": "b.heic-2.jpg",
        "b.png": "b.png.jpg",
        "b.heic.gif": "b.heic.jpg",
    }


def test_no_avatar_stands_where_a_folder_has_to() -> None:
    """A folder may be called like a photo."""
    named = avatar_names(["a.png", "a.jpg/b.png", "A.JPG/c.png"], "jpg")
    assert named["a.png"] not in {"a.jpg", "A.JPG"}


def test_a_long_name_leaves_room_for_the_extension() -> None:
    """Between two characters, and so that long names that become alike still differ."""
    photos = ["x" * 255, "ع" * 127, "y" * 254 + "1", "y" * 254 + "2"]
    named = avatar_names(photos, "jpeg")
    assert all(len(name.encode()) <= PART_BYTES for name in named.values())
    assert len(set(named.values())) == 4
    assert named["ع" * 127] == "ع" * 125 + ".jpeg"


@given(st.sets(NAMES, max_size=12), st.randoms(use_true_random=False), st.sampled_from(["jpg", "webp"]))
def test_avatars_never_share_a_name(photos: set[str], chance: random.Random, extension: str) -> None:
    """On any system, as files or as folders; in whichever order the photos come, the names are the same."""
    named = avatar_names(photos, extension)
    assert named.keys() == photos
    files = {key(name) for name in named.values()}
    folders = {key(folder) for name in (*photos, *named.values()) for folder in folders_of(name)}
    assert len(files) == len(photos)
    assert not files & folders
    assert all(is_kept(name) for name in named.values() if len(name.encode()) <= NAME_BYTES)
    assert all(posixpath.dirname(photo) == posixpath.dirname(named[photo]) for photo in photos)
    assert all(name.endswith(f".{extension}") for name in named.values())
    shuffled = [*photos, *photos]
    chance.shuffle(shuffled)
    assert avatar_names(shuffled, extension) == named


def folders_of(name: str) -> Iterable[str]:
    """Return the folders above a file."""
    parts = name.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts)))


def test_fifty_thousand_photos_are_named_in_a_moment() -> None:
    """Also where each needs a number."""
    alike = [
        f"{'aA'[n % 2]}{'bB'[n // 2 % 2]}{chr(0x300) * (n % 3)}{n // 12}.{n % 5}a" for n in range(30_000)
    ]
    long = ["x" * 250 + f"{number:05}" for number in range(20_000)]
    started = time.process_time()
    named = avatar_names(alike + long, "jpg")
    assert len({key(name) for name in named.values()}) == len(named)
    assert time.process_time() - started < 15
