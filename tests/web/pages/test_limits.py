"""What the server decides and the editor's scripts need is handed over, and written down nowhere else."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from app.render.formats import FORMAT_NAMES, PHOTO_SIGNATURE, PICKED_FILES, SIGNATURE_BYTES
from app.settings import load_settings
from app.spec import DEFAULT_SIZE, field_range
from app.web.addresses import PAGE_SIZES
from app.web.app import create_app
from app.web.pages.assets import STATIC_FOLDER
from app.web.pages.site import TEMPLATES_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def operators_own() -> Iterator[TestClient]:
    """A service whose operator has changed what can be changed."""
    settings = load_settings(
        workers=1, min_photo_side=100, max_photo_bytes=1_500_000, result_lifetime=300, upload_timeout=45
    )
    with TestClient(create_app(settings)) as client:
        yield client


def handed_over(client: TestClient) -> dict[str, float]:
    """Return the numbers in the attributes of the editor's form, by the names that scripts see."""
    form = re.search('<form id="editor"[^>]*>', client.get("/en").text)
    assert form
    attributes = re.findall(r'data-([a-z-]+)="([0-9.]+)"', form[0])
    return {re.sub("-(.)", lambda m: m[1].upper(), name): float(value) for name, value in attributes}


def test_the_form_says_what_the_operator_set(operators_own: TestClient) -> None:
    """Each number is the one that the server itself goes by."""
    assert handed_over(operators_own) == {
        "maxPhotoBytes": 1_500_000,
        "signatureBytes": SIGNATURE_BYTES,
        "minSide": 100,
        "pictureSide": DEFAULT_SIZE,
        "minZoom": field_range("zoom")[0],
        "maxZoom": field_range("zoom")[1],
        "lifetime": 300,
        "uploadTimeout": 45,
    }


def test_the_scripts_read_what_the_form_says(client: TestClient) -> None:
    """limits.js asks for just these names: one that is spelt otherwise would be NaN, unseen."""
    asked = re.findall(r'number\("(\w+)"\)', (STATIC_FOLDER / "limits.js").read_text())
    assert sorted(asked) == sorted(handed_over(client))


def test_the_operators_word_on_faces_is_handed_over(client: TestClient) -> None:
    """Where none may be looked for, the editor's script may not either, and no page speaks of it."""
    forbidden = TestClient(create_app(load_settings(workers=1, faces=False)))
    assert '"findsFaces" in dataset' in (STATIC_FOLDER / "limits.js").read_text()
    for service, is_said in ((client, True), (forbidden, False)):
        page = service.get("/en").text
        assert ("data-finds-faces" in page) is is_said
        assert ("A face is looked for" in page) is is_said
        assert ("Sometimes a face is not found" in service.get("/en/ios").text) is is_said


def test_the_formats_that_are_read_are_handed_over(client: TestClient) -> None:
    """The form offers and the script looks for what the server reads; so does the share sheet."""
    form = html.unescape(client.get("/en").text)
    assert f'data-photo-signature="{PHOTO_SIGNATURE}"' in form
    assert f'accept="{",".join(PICKED_FILES)}"' in form
    assert "dataset.photoSignature" in (STATIC_FOLDER / "limits.js").read_text()
    (files,) = client.get("/en/manifest.webmanifest").json()["share_target"]["params"]["files"]
    assert files["accept"] == list(PICKED_FILES)


def test_no_script_or_template_names_a_format_of_photos() -> None:
    """What is read is written down in app/render/formats, and nowhere among the pages."""
    names = re.compile("|".join({*FORMAT_NAMES} - {"JPEG", "PNG"}))
    sources = [*STATIC_FOLDER.glob("*.js"), *TEMPLATES_FOLDER.glob("*.html")]
    comments = re.compile(r"//.*?$|/\*.*?\*/|{#.*?#}", re.DOTALL | re.MULTILINE)
    code = {path.name: comments.sub("", path.read_text()) for path in sources}
    assert not [name for name, text in code.items() if names.search(text)]


def test_no_script_has_a_number_of_the_servers_own(client: TestClient) -> None:
    """What the server hands over stands in no script, in no unit; 3 and 64 would be found everywhere."""
    given = handed_over(client)
    numbers = {given["pictureSide"], given["maxPhotoBytes"]}
    numbers |= {given[name] * unit for name in ("lifetime", "uploadTimeout") for unit in (1, 1000)}
    scripts = [path for path in STATIC_FOLDER.glob("*.js") if path.name != "limits.js"]
    assert len(scripts) > 10
    for path in scripts:
        code = path.read_text().replace("_", "")
        products = (int(a) * int(b or 1) for a, b in re.findall(r"\b(\d+)(?: \* (\d+))?\b", code))
        assert not numbers & set(products), path.name


def test_the_smallest_photo_may_be_raised(operators_own: TestClient) -> None:
    """A probe draws no photo that the service itself would refuse: it is ready with any limit."""
    assert operators_own.get("/readyz").status_code == 200


def test_the_sizes_that_pages_ask_for_are_known(client: TestClient) -> None:
    """Pictures of frames in other sizes are drawn for whoever asks, and pages would wait for their turn."""
    script = re.search(r"SIZES = \[([0-9, ]+)\]", (STATIC_FOLDER / "overlays.js").read_text())
    assert script
    page = client.get("/en").text
    sizes = {
        int(size) for size in (*script[1].split(","), *re.findall(r"overlay\.webp\?[^\"]*size=(\d+)", page))
    }
    assert sizes == PAGE_SIZES
    assert set(re.findall(r"overlay\.webp\?[^\"]*shape=(\w+)", page)) == {"square"}
