from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.errors import NotFound
from app.web.pages.assets import ELSEWHERE, MEDIA_TYPES, STATIC_FOLDER, Assets

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, **files: str) -> Path:
    """Write files; ``main_js`` is ``main.js``."""
    for name, text in files.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(text)
    return folder


def test_a_name_holds_the_hash_of_its_file(tmp_path: Path) -> None:
    """Another content has another address, and the old address is gone."""
    before = Assets(write(tmp_path, page_css="body {}")).address("page.css")
    assets = Assets(write(tmp_path, page_css="body { color: red }"))
    after = assets.address("page.css")
    assert before != after
    assert assets.response(after.removeprefix("/static/")).body == b"body { color: red }"
    with pytest.raises(NotFound):
        assets.response(before.removeprefix("/static/"))


def test_references_are_served_under_hashed_names(tmp_path: Path) -> None:
    """What a script imports and a style sheet refers to is found where it is served."""
    assets = Assets(
        write(
            tmp_path,
            main_js='import { crop } from "./crop.js";',
            crop_js="export const crop = 1;",
            page_css='@font-face { src: url("./type.woff2") }',
            type_woff2="font",
        )
    )
    crop, font = (assets.address(name).removeprefix("/static/") for name in ("crop.js", "type.woff2"))
    main, page = (assets.address(name).removeprefix("/static/") for name in ("main.js", "page.css"))
    assert f'"./{crop}"'.encode() in assets.response(main).body
    assert f'url("./{font}")'.encode() in assets.response(page).body


def test_a_file_changes_its_address_with_what_it_refers_to(tmp_path: Path) -> None:
    """A browser that kept the old importer would go on asking for the old import."""
    files = {"main_js": 'import "./crop.js";', "crop_js": "1;"}
    before = Assets(write(tmp_path, **files)).address("main.js")
    assert Assets(write(tmp_path, crop_js="2;")).address("main.js") != before


def test_a_reference_to_nothing_is_refused_at_the_start(tmp_path: Path) -> None:
    """The service does not start with a page that would not work."""
    with pytest.raises(ValueError, match=r"main.js refers to gone.js, which is not there"):
        Assets(write(tmp_path, main_js='import "./gone.js";'))


def test_a_circle_of_references_is_refused_at_the_start(tmp_path: Path) -> None:
    """Two files that import each other have no hash."""
    with pytest.raises(ValueError, match=r"a.js -> b.js -> a.js: a circle"):
        Assets(write(tmp_path, a_js='import "./b.js";', b_js='import "./a.js";'))


@pytest.mark.parametrize("name", ["base.css", "../app.py", "", "base.000000000000.css", ".", "docs"])
def test_only_hashed_names_are_served(name: str) -> None:
    """No path is ever joined from what a stranger sent."""
    with pytest.raises(NotFound):
        Assets(STATIC_FOLDER).response(name)


def test_every_file_of_ours_is_of_a_known_kind() -> None:
    """Nothing lies in the folder that would never be served."""
    files = [path for path in STATIC_FOLDER.iterdir() if path.is_file()]
    assert {path.suffix for path in files} <= set(MEDIA_TYPES)
    assert {path.name for path in files} | set(ELSEWHERE) == set(Assets(STATIC_FOLDER))
