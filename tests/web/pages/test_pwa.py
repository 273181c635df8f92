"""The manifest and the service worker as files; what a browser does with them is in tests/browser."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from app.texts.languages import PAGE_LANGUAGES
from app.web.pages import pwa
from tests import photos
from tests.photos import QUADRANTS_HEIC

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI
    from starlette.testclient import TestClient

    from app.web.pages.site import Site


@pytest.fixture
def site(client: TestClient) -> Site:
    """What the pages are made of."""
    app: FastAPI = client.app  # type: ignore[assignment]  # the test client knows it as any ASGI application
    site: Site = app.state.site
    return site


def shell_of(script: str) -> dict[str, Any]:
    """Return the list that the worker's script begins with."""
    found = re.match(r"const SHELL = (\{.*\});\n", script)
    assert found
    shell: dict[str, Any] = json.loads(found[1])
    return shell


# -- the manifest ----------------------------------------------------------


@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_the_app_is_installed_in_the_pages_language(client: TestClient, code: str) -> None:
    """Each language has a manifest that starts in it, and all of them are one app."""
    answer = client.get(f"/{code}/manifest.webmanifest")
    assert answer.headers["content-type"] == "application/manifest+json"
    assert answer.headers["content-language"] == code
    manifest = answer.json()
    assert (manifest["lang"], manifest["dir"]) == (code, PAGE_LANGUAGES[code].direction)
    assert (manifest["id"], manifest["scope"], manifest["start_url"]) == ("/", "/", f"/{code}")
    assert manifest["display"] == "standalone"
    assert manifest["name"]
    assert 0 < len(manifest["short_name"]) <= 12  # more is cut off under the icon
    assert re.fullmatch("#[0-9a-f]{6}", manifest["theme_color"])
    assert client.get(manifest["start_url"]).status_code == 200


@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_a_page_names_its_manifest(client: TestClient, code: str) -> None:
    """A page links to the manifest in its own language."""
    assert f'<link rel="manifest" href="/{code}/manifest.webmanifest">' in client.get(f"/{code}").text


def test_the_icons_are_there_in_the_sizes_that_they_are_said_to_have(client: TestClient) -> None:
    """Every icon of the manifest is a PNG of its size; one of them may be cut to any shape."""
    icons = client.get("/ar/manifest.webmanifest").json()["icons"]
    for icon in icons:
        answer = client.get(icon["src"])
        assert answer.headers["content-type"] == icon["type"] == "image/png"
        with Image.open(io.BytesIO(answer.content)) as image:
            assert "x".join(map(str, image.size)) == icon["sizes"]
    assert {(icon["sizes"], icon["purpose"]) for icon in icons} == {
        ("192x192", "any"),
        ("512x512", "any"),
        ("512x512", "maskable"),
    }


def test_a_maskable_icon_fills_its_square(client: TestClient) -> None:
    """The icon that a system cuts to a shape of its own has no transparent corner."""
    icons = client.get("/ar/manifest.webmanifest").json()["icons"]
    (address,) = [icon["src"] for icon in icons if icon["purpose"] == "maskable"]
    with Image.open(io.BytesIO(client.get(address).content)) as image:
        assert image.convert("RGBA").getchannel("A").getextrema() == (255, 255)


@pytest.mark.parametrize("code", PAGE_LANGUAGES)
def test_the_share_target_is_a_form_that_we_answer(client: TestClient, photo: bytes, code: str) -> None:
    """What the manifest promises the share sheet, the server does, with or without a worker."""
    target = client.get(f"/{code}/manifest.webmanifest").json()["share_target"]
    assert (target["method"], target["enctype"]) == ("POST", "multipart/form-data")
    (files,) = target["params"]["files"]
    assert {"image/*", ".heic", ".heif", ".avif"} <= set(files["accept"])
    answer = client.post(
        target["action"], files={files["name"]: ("a.jpg", photo, "image/jpeg")}, follow_redirects=False
    )
    assert answer.status_code == 303
    assert re.fullmatch(rf"/{code}/made/[\w-]{{20,}}", answer.headers["location"])
    assert client.get(answer.headers["location"]).status_code == 200


@pytest.mark.parametrize(
    ("name", "media_type", "content"),
    [
        ("IMG_0001.HEIC", "", QUADRANTS_HEIC.read_bytes()),
        ("IMG_0001.HEIC", "application/octet-stream", QUADRANTS_HEIC.read_bytes()),
        ("PHOTO.JPG", "IMAGE/JPEG", photos.save(photos.quadrants((200, 200)), "JPEG")),
        ("image", "text/plain", photos.save(photos.quadrants((200, 200)), "PNG")),
    ],
)
def test_a_shared_photo_is_known_by_its_bytes(
    client: TestClient, name: str, media_type: str, content: bytes
) -> None:
    """However a phone names a photo and its type, it becomes an avatar."""
    # Not by ``files``, which makes up a type where there is none.
    boundary = "b0undary"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="photo"; filename="{name}"\r\n'
    kind = f"Content-Type: {media_type}\r\n" if media_type else ""
    body = f"{head}{kind}\r\n".encode() + content + f"\r\n--{boundary}--\r\n".encode()
    answer = client.post(
        "/ar/share",
        content=body,
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        follow_redirects=False,
    )
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("files", "status"),
    [({"photo": ("a.jpg", b"", "image/jpeg")}, 400), ({"photo": ("a.txt", b"text", "text/plain")}, 415)],
)
def test_a_share_without_a_photo_leads_to_the_editor(
    client: TestClient, files: dict[str, tuple[str, bytes, str]], status: int
) -> None:
    """Sharing something else ends on a page that says so and has a form, not on a bare error."""
    answer = client.post("/en/share", files=files)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert 'action="/en/made"' in answer.text


@pytest.mark.parametrize("path", ["manifest.webmanifest", "offline"])
def test_a_language_that_there_is_not_has_no_app(client: TestClient, path: str) -> None:
    """The manifest and the notice of a language that the pages do not speak are not found."""
    assert client.get(f"/xx/{path}").status_code == 404


def test_the_notice_is_no_version_of_any_page(client: TestClient) -> None:
    """What stands in for a page without a network stays out of indexes, and claims no other address."""
    notice = client.get("/ar/offline").text
    assert '<meta name="robots" content="noindex">' in notice
    assert 'rel="canonical"' not in notice
    assert 'rel="alternate"' not in notice


# -- the service worker ----------------------------------------------------


def test_the_worker_is_asked_for_anew_and_bound_by_a_policy_of_its_own(client: TestClient) -> None:
    """Browsers look whether the worker has changed, and it may ask nobody but us."""
    answer = client.get("/service-worker.js")
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["service-worker-allowed"] == "/"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    policy = answer.headers["content-security-policy"].split("; ")
    assert set(policy) == {"default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"}


def test_all_that_the_worker_keeps_is_there_and_small(client: TestClient) -> None:
    """What is kept before it is asked for costs less than 150 KB on the wire, all of it found."""
    shell = shell_of(client.get("/service-worker.js").text)
    pages = ["/", "/ar", "/ar/ios", "/ar/offline"]
    size = 0
    for address in [*shell["files"], *pages]:
        answer = client.get(address, headers={"Accept-Encoding": "br"})
        assert answer.status_code == 200, address
        size += answer.num_bytes_downloaded
    assert size < 150_000


def test_the_kept_files_are_all_that_a_page_names(client: TestClient) -> None:
    """Every style and script of the pages that are kept is in the list."""
    files = set(shell_of(client.get("/service-worker.js").text)["files"])
    for page in ("/ar", "/en", "/ar/ios", "/ar/offline"):
        named = set(re.findall(r"/static/[\w.-]+\.(?:css|js)", client.get(page).text))
        assert named
        assert named <= files


def test_the_version_changes_with_the_pages_texts(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A translation that was mended makes another worker: browsers would else keep the old page."""
    before = pwa.worker_script(site)
    assert before == pwa.worker_script(site)
    (tmp_path / "messages.po").write_text("mended")
    monkeypatch.setattr(pwa, "LOCALE_FOLDER", tmp_path)
    assert shell_of(pwa.worker_script(site))["version"] != shell_of(before)["version"]


def test_the_version_changes_with_a_files_name(site: Site) -> None:
    """A style or a script that changed, and with it its hashed name, makes another worker."""
    before = shell_of(pwa.worker_script(site))

    class Renamed:
        def __iter__(self) -> Any:
            return iter(["base.css"])

        def address(self, name: str) -> str:
            return f"/static/other.{name}"

    changed = shell_of(pwa.worker_script(replace(site, assets=Renamed())))  # type: ignore[arg-type]
    assert changed["version"] != before["version"]
    assert changed["files"] == ["/static/other.base.css"]
