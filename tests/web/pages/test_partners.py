"""The page for partners as a document; what a browser does with it is in tests/browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from app.bulk.names import SYSTEM_FILES, SYSTEM_FOLDERS, is_photo_name
from app.settings import load_settings
from app.spec import DEFAULT_SIZE, TRANSPARENT_FORMATS, AvatarSpec, field_choices, field_range
from app.texts.languages import PAGE_LANGUAGES
from app.web.app import create_app
from app.web.pages.assets import STATIC_FOLDER
from app.web.pages.partners import QUALITY, ROOM

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TestClient]:
    """Return what answers for a service with batches, or without. It is not started: pages need no worker."""
    folder: Path = tmp_path_factory.mktemp("data")

    def client(*, batches: bool = True, **settings: float) -> TestClient:
        return TestClient(
            create_app(load_settings(workers=1, batches=batches, data_folder=folder, **settings))
        )

    return client


def attributes_of(page: str, identity: str) -> dict[str, str]:
    """Return the data attributes of an element."""
    tag = re.search(f'<[a-z]+ [^>]*id="{identity}"[^>]*>', page)
    assert tag
    return dict(re.findall(r'data-([a-z-]+)="([^"]*)"', tag[0]))


@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_every_page_leads_to_it(served: Callable[..., TestClient], code: str) -> None:
    """Pages have a link to it in their own language, and it has one to each of the others."""
    client = served()
    for path in ("", "/ios", "/partners"):
        assert f'<a href="/{code}/partners">' in client.get(f"/{code}{path}").text
    page = client.get(f"/{code}/partners").text
    for other in PAGE_LANGUAGES:
        assert f'href="/{other}/partners" lang="{other}"' in page


def test_without_batches_there_is_none(served: Callable[..., TestClient]) -> None:
    """Where an operator takes no batches, neither the page nor a link to it is there."""
    client = served(batches=False)
    assert client.get("/en/partners").status_code == client.get("/partners").status_code == 404
    assert "/partners" not in client.get("/en").text


def test_a_language_that_there_is_not_has_none(served: Callable[..., TestClient]) -> None:
    """The page is not found in a language that the pages do not speak."""
    assert served().get("/xx/partners").status_code == 404


def test_the_address_without_a_language_is_in_the_readers(served: Callable[..., TestClient]) -> None:
    """Who is told "/partners" gets it in the language that the browser asks for."""
    answer = served().get("/partners", headers={"Accept-Language": "tr"})
    assert answer.headers["content-language"] == "tr"


def test_it_says_what_the_operator_set(served: Callable[..., TestClient]) -> None:
    """How many photos there may be, how large, and how long a batch rests: as the settings say."""
    client = served(max_batch_photos=77, max_photo_bytes=1_500_000, batch_lifetime=7200)
    page = client.get("/en/partners").text
    told = attributes_of(page, "partners")
    assert told["batch-photos"] == "77"
    assert (float(told["room"]), float(told["quality"])) == (ROOM, QUALITY)
    assert attributes_of(page, "editor")["max-photo-bytes"] == "1500000"
    assert "A batch may have at most 77 photos" in page
    assert "after 2 hours" in page


def test_it_offers_what_the_spec_takes(served: Callable[..., TestClient]) -> None:
    """Sizes, shapes and formats are those of the spec's declaration."""
    page = served().get("/en/partners").text
    smallest, largest = field_range("size")
    assert f'min="{smallest:g}" max="{largest:g}" value="{DEFAULT_SIZE}"' in page
    for name in ("shape", "format"):
        select = re.search(f'<select id="{name}".*?</select>', page, re.DOTALL)
        assert select
        offered = re.findall('<option value="([^"]+)"', select[0])
        assert tuple(offered) == field_choices(AvatarSpec.model_fields[name])
    transparent = re.findall('<option value="([^"]+)" data-is-transparent>', page)
    assert tuple(transparent) == TRANSPARENT_FORMATS


def test_no_phone_keeps_it(served: Callable[..., TestClient]) -> None:
    """Its scripts and style are none of those that the service worker keeps for everybody."""
    client = served()
    page = client.get("/en/partners").text
    own = re.findall(r"/static/partners[\w.-]+", page)
    assert len(own) == 2
    worker = client.get("/service-worker.js").text
    assert [address for address in own if address in worker] == []
    assert "/static/partners" not in worker


def test_the_key_is_no_password_to_browsers(served: Callable[..., TestClient]) -> None:
    """The field of the key has no name that a form would send, and no type that a browser would keep."""
    field = re.search('<input [^>]*id="key"[^>]*>', served().get("/en/partners").text)
    assert field
    assert 'type="text"' in field[0]
    assert 'autocomplete="off"' in field[0]
    assert " name=" not in field[0]


_SORTS = """
import { readFileSync } from "node:fs";
const { script, dataset, names } = JSON.parse(readFileSync(0, "utf8"));
globalThis.document = { getElementById: () => ({ dataset }) };
const { Choice } = await import(`data:text/javascript,${encodeURIComponent(script)}`);
const choice = new Choice();
choice.add(names.map((path) => ({ path, file: { name: path, type: "image/jpeg" } })));
console.log(JSON.stringify(choice.leftOut.system));
"""


def test_the_page_leaves_out_what_the_service_does(served: Callable[..., TestClient]) -> None:
    """What systems lay beside photos is told to the script, which says of each name what we ourselves say."""
    if shutil.which("node") is None:
        pytest.skip("no node here; install it (Debian: nodejs)")
    told = attributes_of(served().get("/en/partners").text, "partners")
    dataset = {
        re.sub("-(.)", lambda match: match[1].upper(), name): html.unescape(value)
        for name, value in told.items()
    }
    parts = [".a", "..a", "...", "a.jpg", "thumbs.jpg", *SYSTEM_FILES, *SYSTEM_FOLDERS]
    paths = [*parts, *(f"{part}/{file}" for part in parts for file in ("a.jpg", "b.JPG", "Thumbs.DB"))]
    paths += [f"members/{path.upper()}" for path in paths]
    given = {
        "script": (STATIC_FOLDER / "partners-files.js").read_text(encoding="utf-8"),
        "dataset": dataset,
        "names": paths,
    }
    done = subprocess.run(
        ["node", "--input-type=module", "-e", _SORTS],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == [path for path in paths if not is_photo_name(path)]
