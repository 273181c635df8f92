from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from app.errors import Busy
from app.lanes import Lane
from app.render.avatar import make_avatar
from app.render.overlay import Overlays
from app.spec import AvatarSpec, parse_spec
from app.texts.languages import PAGE_LANGUAGES
from tests.web.pages.visitors import BROWSER, SCRIPT, made

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from app.frames import FrameLibrary

TOKEN = re.compile(r"/(?P<lang>[a-z]{2})/made/(?P<token>[A-Za-z0-9_-]{32})")


# -- sending a form --------------------------------------------------------


@pytest.mark.parametrize("way", ["made", "share"])
@pytest.mark.parametrize("lang", PAGE_LANGUAGES)
def test_a_form_leads_to_the_picture(client: TestClient, photo: bytes, lang: str, way: str) -> None:
    """Without a script, and from a share sheet without a service worker, a form is answered with the page."""
    answer = client.post(
        f"/{lang}/{way}", files={"photo": ("a.jpg", photo)}, headers=BROWSER, follow_redirects=False
    )
    assert answer.status_code == 303
    place = TOKEN.fullmatch(answer.headers["location"])
    assert place
    assert place["lang"] == lang
    assert answer.headers["cache-control"] == "no-store"
    page = client.get(answer.headers["location"], headers=BROWSER)
    assert page.status_code == 200
    assert f'<html lang="{lang}" dir="{PAGE_LANGUAGES[lang].direction}">' in page.text
    assert f"/made/{place['token']}/avatar.jpg?disposition=inline" in page.text


def test_a_script_is_told_the_address(client: TestClient, photo: bytes) -> None:
    """With Accept: application/json the answer is 201 and the page's address."""
    answer = client.post("/en/made", files={"photo": ("a.jpg", photo)}, headers=SCRIPT)
    assert answer.status_code == 201
    assert answer.headers["location"] == answer.json()["address"]
    assert TOKEN.fullmatch(answer.json()["address"])
    assert answer.headers["cache-control"] == "no-store"


def test_every_picture_has_an_address_of_its_own(client: TestClient, photo: bytes) -> None:
    """The same photo sent twice is kept twice: nobody learns that another sent it too."""
    assert made(client, photo) != made(client, photo)


def test_the_picture_is_what_the_core_makes(client: TestClient, photo: bytes, frames: FrameLibrary) -> None:
    """The form's choices reach the picture, byte for byte."""
    choices = {"frame": "ribbon-loop", "lang": "en", "x": "0.4", "y": "0.6", "zoom": "1.5", "rotate": "30"}
    page = made(client, photo, **choices)
    answer = client.get(page.removeprefix("/ar") + "/avatar.jpg")
    spec = AvatarSpec(frame="ribbon-loop", lang="en", x=0.4, y=0.6, zoom=1.5, rotate=30)
    assert answer.content == make_avatar(photo, spec, Overlays(frames)).content


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({}, "faces"),
        ({"x": "", "y": "", "zoom": ""}, "faces"),
        ({"faces": "off", "flip": "on"}, "centre"),
        ({"x": "0.5", "y": "0.5", "zoom": "1"}, "given"),
    ],
)
def test_without_a_script_the_square_is_chosen(
    client: TestClient, portrait: bytes, frames: FrameLibrary, fields: dict[str, str], kind: str
) -> None:
    """The head lands in the opening of who could not place it; the page's script says where its square is."""
    page = made(client, portrait, **fields, frame="january-31")
    answer = client.get(page.removeprefix("/ar") + "/avatar.jpg")
    spec = parse_spec([*fields.items(), ("frame", "january-31")], frames)
    avatar = make_avatar(portrait, spec, Overlays(frames))
    assert avatar.framing.kind == kind
    assert answer.content == avatar.content


@pytest.mark.parametrize(
    ("fields", "lang"),
    [
        ({}, "de"),
        ({"lang": ""}, "de"),
        ({"lang": "ar"}, "ar"),
        ({"frame": "", "lang": "", "slogan": "", "zoom": ""}, "de"),
    ],
)
def test_a_slogan_speaks_the_pages_language_unless_another_was_chosen(
    client: TestClient, photo: bytes, frames: FrameLibrary, fields: dict[str, str], lang: str
) -> None:
    """A field that is empty, as forms send what was not chosen, is as good as none."""
    page = made(client, photo, "de", **fields)
    answer = client.get(page.removeprefix("/de") + "/avatar.jpg")
    assert (
        answer.content
        == make_avatar(photo, AvatarSpec(frame="red-ribbons", lang=lang), Overlays(frames)).content
    )


@pytest.mark.parametrize("lang", PAGE_LANGUAGES)
def test_a_refused_form_shows_the_editor_again(client: TestClient, lang: str) -> None:
    """What is no photo is told on the editor's own page, which can be sent again."""
    answer = client.post(
        f"/{lang}/made",
        files={"photo": ("a.jpg", b"no photo")},
        data={"frame": "ribbon-loop"},
        headers=BROWSER,
        follow_redirects=False,
    )
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert f'<html lang="{lang}"' in answer.text
    assert f'action="/{lang}/made"' in answer.text
    assert 'role="alert"' in answer.text
    assert re.search(r'value="ribbon-loop"[^>]* checked', answer.text)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"zoom": "0"}, 422, "invalid_spec"),
        ({"zoom": "<script>canary</script>"}, 422, "invalid_spec"),
        ({"canary": "1"}, 422, "invalid_spec"),
        ({"size": "64"}, 422, "invalid_spec"),
        ({"format": "png"}, 422, "invalid_spec"),
        ({"shape": "circle"}, 422, "invalid_spec"),
        ({"lang": "xx"}, 422, "invalid_spec"),
        ({"slogan": "ش" * 61}, 422, "invalid_spec"),
        ({"frame": "canary"}, 404, "frame_not_found"),
        ({"frame": "canary", "lang": "ar"}, 404, "frame_not_found"),
        ({"frame": "../../etc"}, 404, "frame_not_found"),
    ],
)
def test_a_bad_choice_is_refused(
    client: TestClient, photo: bytes, fields: dict[str, str], status: int, code: str
) -> None:
    """A script is told the problem, a reader sees the editor; nothing is kept, and no markup comes back."""
    files = {"photo": ("a.jpg", photo)}
    problem = client.post("/en/made", files=files, data=fields, headers=SCRIPT)
    assert problem.status_code == status
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["code"] == code
    page = client.post("/en/made", files=files, data=fields, headers=BROWSER, follow_redirects=False)
    assert page.status_code == status
    assert 'action="/en/made"' in page.text
    assert "<script>canary" not in page.text


def test_the_query_chooses_no_other_format(client: TestClient, photo: bytes) -> None:
    """What the pages keep is always the JPEG that their addresses promise."""
    answer = client.post("/en/made?format=png", files={"photo": ("a.jpg", photo)}, headers=SCRIPT)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("send", "status"),
    [
        ({}, 400),
        ({"files": {"frame": (None, "red-ribbons")}}, 400),
        ({"files": {"photo": ("a.jpg", b"")}}, 400),
        ({"content": b"--x", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400),
        ({"files": {"photo": ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(100))}}, 422),
        ({"files": {"photo": ("a.jpg", bytes(6_000_001))}}, 413),
    ],
    ids=["nothing", "no photo", "empty photo", "no form", "damaged", "too large"],
)
def test_a_form_without_a_photo_that_can_be_read_is_a_page_again(
    client: TestClient, send: dict[str, Any], status: int
) -> None:
    """Every error of a form has a page with the form on it, never a bare line."""
    answer = client.post("/en/made", **{**send, "headers": {**BROWSER, **send.get("headers", {})}})
    assert answer.status_code == status
    assert answer.headers["cache-control"] == "no-store"  # with the supporter's own words on it
    assert 'action="/en/made"' in answer.text
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize("lang", PAGE_LANGUAGES)
def test_a_script_gets_the_problem_in_the_pages_language(client: TestClient, lang: str) -> None:
    """The detail is what the page would say, whatever the browser's own language is."""
    answer = client.post(
        f"/{lang}/made", files={"photo": ("a", b"x")}, headers={**SCRIPT, "Accept-Language": "fr"}
    )
    assert answer.headers["content-language"] == lang
    assert answer.json()["code"] == "photo_not_supported"
    page = client.post(f"/{lang}/made", files={"photo": ("a", b"x")}, headers=BROWSER)
    assert answer.json()["detail"] in page.text


@pytest.mark.parametrize("accept", [BROWSER, SCRIPT])
def test_thousands_of_fields_in_the_query_are_one_short_answer(
    client: TestClient, photo: bytes, accept: dict[str, str]
) -> None:
    """Naming each of them would keep everybody else waiting for seconds."""
    query = "&".join(f"f{number}=" for number in range(1000))
    answer = client.post(f"/en/made?{query}", files={"photo": ("a.jpg", photo)}, headers=accept)
    assert answer.status_code == 400
    assert len(answer.content) < 30_000


@pytest.mark.parametrize("accept", [BROWSER, SCRIPT])
def test_a_busy_service_says_when_to_come_again(
    client: TestClient, photo: bytes, monkeypatch: pytest.MonkeyPatch, accept: dict[str, str]
) -> None:
    """503 with Retry-After, as a page or as a problem."""

    def refuse(lane: Lane, _party: bytes) -> None:
        assert lane is Lane.PHOTO
        raise Busy

    monkeypatch.setattr(client.app.state.service.drawing.pool, "refuse_if_full", refuse)  # type: ignore[attr-defined]
    answer = client.post("/en/made", files={"photo": ("a.jpg", photo)}, headers=accept)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ["/xx/made", "/made/made", "/EN/made", "/xx/share"])
def test_a_form_in_no_language_of_ours_is_not_found(client: TestClient, photo: bytes, path: str) -> None:
    """The first part of the address is a language, or there is nothing there."""
    assert client.post(path, files={"photo": ("a.jpg", photo)}).status_code == 404


@pytest.mark.parametrize("way", ["made", "share"])
def test_reopening_a_forms_address_leads_to_the_editor(client: TestClient, way: str) -> None:
    """A browser that opens anew what a refused form left in its address bar does not meet a dead end."""
    answer = client.get(f"/fr/{way}", headers=BROWSER, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/fr")
    assert client.get(f"/xx/{way}", headers=BROWSER, follow_redirects=False).status_code == 404


# -- how people type -------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("typed", "location"),
    [
        ("/ar/", "/ar"),
        ("/AR", "/ar"),
        ("/Tr/", "/tr"),
        ("/en-US", "/en"),
        ("/ur/?deleted", "/ur?deleted"),
        ("/EN?a=%2F%2Fx.example&b=%0D%0Aa", "/en?a=%2F%2Fx.example&b=%0D%0Aa"),
    ],
)
def test_a_language_typed_otherwise_leads_to_its_page(
    client: TestClient, method: str, typed: str, location: str
) -> None:
    """Capitals, which phones set by themselves, and one slash more are no dead end."""
    answer = client.request(method, typed, headers=BROWSER, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, location)


@pytest.mark.parametrize(
    "path",
    [
        "/xx/",
        "/XX",
        "/ar//",
        "//ar",
        "//ar/",
        "//evil.example",
        "//evil.example/",
        "/%2Fevil.example/",
        "/\\evil.example/",
        "/evil.example/",
        "/ar%2F",
        "/ar%00",
        "/\u0130d/",
    ],
)
def test_nobody_is_led_to_another_site(client: TestClient, path: str) -> None:
    """What is no language of ours is not found, however its slashes stand."""
    # As an address of its own, since the client would take what stands after two slashes for a host.
    answer = client.get(f"http://testserver{path}", headers=BROWSER, follow_redirects=False)
    if path == "/ar%2F":  # a slash as well as any other
        assert (answer.status_code, answer.headers["location"]) == (308, "/ar")
    else:
        assert answer.status_code == 404
        assert "location" not in answer.headers
